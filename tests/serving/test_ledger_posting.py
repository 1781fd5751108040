"""The process that posts beside a server: it posts by itself, is started anew, and ends with whom it works for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.ledger import Ledger, at_once, poster
from tests.serving.ledgers import opened, rows_of
from tests.serving.test_ledger_decisions import decided

PATIENCE_SECONDS = 60.0
SERVER = """
import sys, time
from pathlib import Path
from serving.ledger import at_once
from tests.serving.ledgers import opened
from tests.serving.test_ledger_decisions import decided
at_once.SLOW_SECONDS, at_once.HELD_MILLISECONDS = 60.0, 5_000
ledger = opened(sys.argv[1], Path(sys.argv[2]))
ledger.post_apart()
print(ledger._poster.process_id, flush=True)
n = 0
while True:
    if ledger.record_at_once([decided(f"D{n}")]):
        print(f"D{n}", flush=True)
        n += 1
    time.sleep(0.001)
"""

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_once, "SLOW_SECONDS", 60.0)
    monkeypatch.setattr(at_once, "HELD_MILLISECONDS", 5_000)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def posted(url: str) -> list[str]:
    return [key for (key,) in rows_of(url, "SELECT decision_id FROM decision ORDER BY seq")]


def process_of(ledger: Ledger) -> int | None:
    assert ledger._poster is not None
    return ledger._poster.process_id


def is_running(process_id: int) -> bool:
    """Whether it runs still; who has ended but was not waited for does not."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_is_entered_comes_into_the_ledger_by_itself(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger:
        ledger.post_apart()
        process_id = process_of(ledger)
        assert process_id is not None
        for n in range(3):
            assert ledger.record_at_once([decided(f"D{n}")])
            wait_until(lambda: posted(url) == [f"D{k}" for k in range(n + 1)])  # noqa: B023  # waited for at once
        assert ledger.verify().is_whole
        assert ledger.record_at_once([decided("D3")])
    assert not is_running(process_id)
    assert posted(url) == ["D0", "D1", "D2", "D3"]


def test_a_killed_poster_is_started_anew_and_meanwhile_the_server_posts(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(poster, "ANEW_SECONDS", 0.05)
    monkeypatch.setattr(poster, "LEAST_SECONDS", 0.5)
    with opened(url, tmp_path) as ledger:
        ledger.post_apart()
        for n in range(3):
            process_id = process_of(ledger)
            assert process_id is not None
            os.kill(process_id, signal.SIGKILL)
            wait_until(lambda: process_of(ledger) is None)
            assert ledger.record_at_once([decided(f"D{n}")])
            wait_until(lambda: len(posted(url)) == n + 1)  # noqa: B023
            wait_until(lambda: process_of(ledger) not in (None, process_id))  # noqa: B023
        assert ledger.verify().is_whole
    assert "it is started anew" in caplog.text


def test_where_no_process_can_be_started_the_server_posts_by_itself(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(poster, "ANEW_SECONDS", 0.05)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with opened(url, tmp_path) as ledger:
        ledger.post_apart()
        assert process_of(ledger) is None
        assert ledger.record_at_once([decided("D1")])
        wait_until(lambda: posted(url) == ["D1"])
    assert "cannot be started" in caplog.text


def test_a_poster_ends_with_a_killed_server_and_posts_what_it_left(url: str, tmp_path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, url, str(tmp_path)], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert server.stdout is not None
    process_id = int(server.stdout.readline())
    wait_until(lambda: bool(posted(url)))  # it runs
    server.kill()
    told = server.stdout.read().split()
    server.wait()
    wait_until(lambda: not is_running(process_id))
    found = posted(url)
    assert found[: len(told)] == told
    with opened(url, tmp_path) as ledger:
        report = ledger.verify()
    assert (report.is_whole, report.n_rows) == (True, len(found))


def test_the_process_that_posts_loads_little() -> None:
    """With the libraries of tables and migrations it holds 140 MB instead of 55, beside each server."""
    program = "import sys, serving.ledger.attending\nprint(*{name.partition('.')[0] for name in sys.modules})"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    loaded = set(told.stdout.split())
    assert "sqlalchemy" in loaded
    assert not loaded & {"alembic", "pyarrow", "pandas", "duckdb", "ibis", "fastapi", "lightgbm", "numba"}
