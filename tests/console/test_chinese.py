"""Every page that a link leads to, in Chinese: no English sentence is left on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serving.app import create_app
from serving.key_file import Role, make_keys
from serving.settings import Settings
from tests.console.english import english_in, walk


@pytest.fixture(scope="module")
def pages_of(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Role], dict]]:
    """The console of the bank as a browser that prefers Chinese sees it: all that a role reaches from the matrix."""
    home = tmp_path_factory.mktemp("chinese") / "home"
    shutil.copytree(released_home, home)
    keys = make_keys(home)
    with TestClient(create_app(Settings(home=home))) as client:

        def pages(role: Role) -> dict[str, str]:
            headers = {"Authorization": f"Bearer {keys[role]}", "Accept": "text/html", "Accept-Language": "zh-CN,zh"}

            def fetch(path: str) -> str:
                answer = client.get(path, headers=headers)
                assert answer.status_code == 200, path
                assert '<html lang="zh-Hans">' in answer.text, path
                return answer.text

            return dict(walk(fetch, "/console/matrix", ("/console/",)))

        yield pages


@pytest.mark.parametrize(
    ("role", "kinds"), [("marketing", {"matrix", "moves", "lists", "customers"}), ("auditor", {"models"})]
)
def test_no_page_that_a_link_leads_to_says_anything_in_english(
    pages_of: Callable[[Role], dict[str, str]], role: Role, kinds: set[str]
) -> None:
    pages = pages_of(role)
    assert kinds <= {path.split("?")[0].split("/")[2] for path in pages}
    left = {path: said for path, text in pages.items() if (said := english_in(text))}
    assert left == {}
