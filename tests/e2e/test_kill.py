"""A server that is killed the moment it has answered: what it told is there when it is opened again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from decisioning.policy import decisions
from features.policy import segments
from serving.key_file import make_keys
from serving.ledger import Ledger
from serving.releases import current, cut, switch
from tests.serving.homes import INSTANT, build, publish_rows, write_home

ROOT = Path(__file__).parents[2]
# Imports once, then forks a server for each port it is told: an import takes seconds, opening a home takes none.
NURSERY = """
import os, sys, uvicorn, serving.app
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        uvicorn.run("serving.app:app_from_environment", factory=True, port=int(line), log_level="warning")
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
"""
N_KILLS = 10
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("killed") / "home"
    write_home(home)
    return home


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Nursery:
    """Starts real uvicorn servers of one home, each in a process of its own, one after the other."""

    def __init__(self, home: Path) -> None:
        environment = {**os.environ, "TIERCEL_HOME": str(home), "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY], env=environment, cwd=home, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    @contextmanager
    def server(self) -> Iterator[str]:
        """The address of a server that is ready; it is killed, without a chance to close anything, at the end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        port = free_port()
        print(port, file=self._process.stdin, flush=True)
        server_id = int(self._process.stdout.readline())
        try:
            wait_until_ready(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.kill(server_id, signal.SIGKILL)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def nursery(home: Path) -> Iterator[Nursery]:
    nursery = Nursery(home)
    yield nursery
    nursery.close()


def wait_until_ready(address: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise AssertionError("the server was not ready in time")


def decide(address: str, key: str) -> Any:
    asked = {"customer_id": "C-USUAL", "channel": "APP"}
    response = httpx.post(f"{address}/v1/decisions", json=asked, headers={"Authorization": f"Bearer {key}"})
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.slow
def test_a_decision_that_was_told_survives_the_killing_of_the_server_ten_times(home: Path, nursery: Nursery) -> None:
    key = make_keys(home)["service"]
    told = []
    for _ in range(N_KILLS):
        with nursery.server() as address:
            told.append(decide(address, key))
    zone = ZoneInfo("Asia/Shanghai")
    with Ledger.open(f"sqlite:///{home / 'ledger.db'}", home, zone=zone, clock=lambda: INSTANT) as ledger:
        kept = [ledger.decision(answer["decision_id"]) for answer in told]
        report = ledger.verify()
    assert [len(stored.row.placements) for stored in kept] == [len(answer["offers"]) for answer in told]
    assert [stored.seq for stored in kept] == list(range(1, N_KILLS + 1))
    assert report.is_whole
    assert report.n_rows == N_KILLS
    assert {answer["repeat_of"] for answer in told[1:]} == {told[0]["decision_id"]}


@pytest.mark.slow
def test_a_release_switched_under_a_running_server_is_answered_from_within_seconds(
    home: Path, nursery: Nursery
) -> None:
    """This process cuts and switches; the server follows the pointer without being told."""
    key = make_keys(home)["service"]
    with nursery.server() as address:
        assert decide(address, key)["release_id"] == current(home).id
        publish_rows(home, at=INSTANT, changes={"C-USUAL": {"mda": 7.0}})
        champions = {name: home / "champions" / name for name in ("response", "churn")}
        new = cut(home, segments=segments(), decisions=decisions(), champions=champions, now=INSTANT, build=build(home))
        switch(home, new)
        deadline = time.monotonic() + 5
        while decide(address, key)["release_id"] != new.id:
            assert time.monotonic() < deadline
            time.sleep(0.1)
