"""One home is written for the whole session; tests that write to it share a copy a file, or take one of their own."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from serving.app import create_app
from serving.desk.deciding import Desk
from serving.key_file import make_keys
from serving.settings import Settings
from tests.serving.homes import write_home


@dataclass(frozen=True)
class Bank:
    """A running API of one home, and the key of each role."""

    home: Path
    client: TestClient
    keys: dict[Any, str]

    @property
    def desk(self) -> Desk:
        desk: Desk = self.client.app.state.desk  # type: ignore[attr-defined]  # the client types its app as plain ASGI
        return desk

    def db(self) -> sqlite3.Connection:
        """The database of the ledger behind its back, with all that was decided."""
        self.desk.ledger.post()
        return sqlite3.connect(self.home / "ledger.db")

    def ask(self, method: str, path: str, *, role: str = "service", **given: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[role]}"} | given.pop("headers", {})
        return self.client.request(method, path, headers=headers, **given)

    def decide(self, customer_id: str = "C-USUAL", *, channel: str = "APP", **given: Any) -> Any:
        """The answer to one decision that must succeed."""
        response = self.ask("POST", "/v1/decisions", json={"customer_id": customer_id, "channel": channel} | given)
        assert response.status_code == 200, response.text
        return response.json()


def open_bank(home: Path, **settings: Any) -> Iterator[Bank]:
    keys = make_keys(home)
    with TestClient(create_app(Settings(home=home, **settings)), raise_server_exceptions=False) as client:
        yield Bank(home, client, keys)


@pytest.fixture(scope="session")
def written_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that tests only read."""
    home = tmp_path_factory.mktemp("bank") / "home"
    write_home(home)
    return home


@pytest.fixture
def home(written_home: Path, tmp_path: Path) -> Path:
    """A home of the test's own."""
    own = tmp_path / "home"
    shutil.copytree(written_home, own)
    return own


@pytest.fixture(scope="module")
def bank(written_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """A running API that the tests of one file share."""
    own = tmp_path_factory.mktemp("served") / "home"
    shutil.copytree(written_home, own)
    yield from open_bank(own)


@pytest.fixture
def own_bank(home: Path) -> Iterator[Bank]:
    """A running API of the test's own."""
    yield from open_bank(home)
