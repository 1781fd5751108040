"""A server that is killed the moment it has answered: what it told is there when it is opened again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from serving.ledger import Ledger
from serving.security import make_keys
from tests.serving.homes import INSTANT, write_home

ROOT = Path(__file__).parents[2]
PROGRAM = (
    "import sys, uvicorn, serving.app\n"
    "sys.stdin.readline()\n"
    "uvicorn.run('serving.app:app_from_environment', factory=True, port=int(sys.argv[1]), log_level='warning')"
)
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


class Server:
    """A real uvicorn in a process of its own: it imports at once, and opens the home when told to begin."""

    def __init__(self, home: Path) -> None:
        self.address = f"http://127.0.0.1:{(port := free_port())}"
        environment = {**os.environ, "TIERCEL_HOME": str(home), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", PROGRAM, str(port)]
        self.process = subprocess.Popen(command, env=environment, cwd=home, stdin=subprocess.PIPE)

    def begin(self) -> str:
        """Its address, once it answers that it is ready."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"begin\n")
        self.process.stdin.flush()
        wait_until_ready(self.process, self.address)
        return self.address

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended before it was ready"
        try:
            if httpx.get(f"{address}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the server was not ready in time")


def decide(address: str, key: str) -> Any:
    asked = {"customer_id": "C-USUAL", "channel": "APP"}
    response = httpx.post(f"{address}/v1/decisions", json=asked, headers={"Authorization": f"Bearer {key}"})
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.slow
def test_a_decision_that_was_told_survives_the_killing_of_the_server_ten_times(home: Path) -> None:
    """While one server is asked and killed the next ones import, since that is most of what a start takes."""
    key = make_keys(home)["service"]
    told = []
    waiting = deque(Server(home) for _ in range(2))
    try:
        for n in range(N_KILLS):
            if n + 2 < N_KILLS:
                waiting.append(Server(home))
            told.append(decide(waiting[0].begin(), key))
            waiting.popleft().kill()
    finally:
        for server in waiting:
            server.kill()
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
def test_a_release_switched_under_a_running_server_is_answered_from_within_seconds(home: Path) -> None:
    """Another process cuts and switches; the server follows the pointer without being told."""
    from decisioning.policy import decisions
    from features.policy import segments
    from serving.releases import current, cut, switch
    from tests.serving.homes import build, publish_rows

    key = make_keys(home)["service"]
    server = Server(home)
    try:
        address = server.begin()
        assert decide(address, key)["release_id"] == current(home).id
        publish_rows(home, at=INSTANT, changes={"C-USUAL": {"mda": 7.0}})
        champions = {name: home / "champions" / name for name in ("response", "churn")}
        new = cut(home, segments=segments(), decisions=decisions(), champions=champions, now=INSTANT, build=build(home))
        switch(home, new)
        deadline = time.monotonic() + 5
        while decide(address, key)["release_id"] != new.id:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        server.kill()
