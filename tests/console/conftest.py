"""One small simulated bank, built and released once, its console behind a real server, and a real browser before it."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from features import views
from features.bank.engines import open_bank
from features.facts import PROFILE, TODAY
from features.profiles import Build
from features.publishing import ViewRows, publish
from serving import jobs
from serving.app import create_app
from serving.key_file import make_keys
from serving.settings import Settings, clock_of

INSTALL = "apt-get install -y --no-install-recommends chromium"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@dataclass(frozen=True)
class Served:
    """A running console of one home, and the key of each role."""

    home: Path
    address: str
    keys: dict[Any, str]
    app: Any


@pytest.fixture(scope="session")
def released_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank of 400 customers over four months, released without models; tests only read it."""
    home = tmp_path_factory.mktemp("console") / "home"
    jobs.simulate(home, customers=400, months=4, seed=7, last_on=jobs.LAST_SIMULATED, progress=lambda *_: None)
    clock = clock_of(Settings(home=home))
    built = jobs.build(home, clock)[-1]
    _publish(home, built, clock.now())
    jobs.cut_release(home, clock)
    make_keys(home)
    return home


def _publish(home: Path, built: Build, now: datetime) -> None:
    """The packed rows as `tiercel day` publishes them, without the seconds that Feast takes to be imported."""
    policy = jobs.segments_book(home).view(now.date())
    with open_bank(home) as bank:
        today = views.write_today(bank, built.lineage, now, policy)
    rows = [
        ViewRows(name, columns, timedelta(days=policy.lifetimes[lives]), pq.read_table(path))
        for name, lives, columns, path in (
            ("profile_month", "profile", PROFILE, built.path),
            ("today_day", "today", TODAY, today),
        )
    ]
    publish(home / "feast" / "online" / f"{built.lineage}.sqlite", *rows)


@pytest.fixture(scope="module")
def console(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The console of a copy of the home, on a free port, for the tests of one file."""
    home = tmp_path_factory.mktemp("served") / "home"
    shutil.copytree(released_home, home)
    with served(home) as console:
        yield console


@contextmanager
def served(home: Path) -> Iterator[Served]:
    """The console of a home on a free port, for as long as the block."""
    app = create_app(Settings(home=home, refresh_seconds=0.1))
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.02)
    yield Served(home, f"http://127.0.0.1:{listening.getsockname()[1]}", make_keys(home), app)
    server.should_exit = True
    thread.join(30)


@pytest.fixture(scope="module")  # Playwright's loop must end with the file, or other tests find it running
def browser() -> Iterator[Browser]:
    """The system's Chromium; skipped with the install command where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip(f"Chromium is not installed here: {INSTALL}")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, console: Served) -> Iterator[Visit]:
    """A page of a fresh browser; with a role, signed in by its key. What the browser complains of fails the test."""
    contexts, complaints = [], []

    def visited(
        path: str = "/console/matrix", *, role: str | None = "marketing", provoked: str = "", **given: Any
    ) -> Page:
        context = browser.new_context(**({"locale": "en-GB", "viewport": {"width": 1280, "height": 900}} | given))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said) if _complains(said, provoked) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(console.address + path)
        if role is not None:
            page.fill("#key", console.keys[role])
            page.click("button.main")
            page.wait_for_url(lambda url: "/login" not in url)
        return page

    yield visited
    for context in contexts:
        context.close()
    assert [getattr(said, "text", said) for said in complaints] == []


def _complains(said: ConsoleMessage, provoked: str) -> bool:
    return said.type in ("error", "warning") and not (provoked and provoked in said.text)
