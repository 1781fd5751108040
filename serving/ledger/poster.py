"""The process that posts beside a server, as the server sees it: started, started anew when it dies, ended.

It holds one end of a pipe and ends when the other one does, however that happens. While it cannot be run, the server
posts by its own writer's thread.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import URL

ANEW_SECONDS = 1.0  # after which a process that died is looked after
LEAST_SECONDS = 30.0  # between two starts: to start takes a second of a processor
_END_SECONDS = 20.0  # which it gets to post the rest
_ROOT = Path(__file__).parents[2]  # `-m` looks for packages in its folder first, so both run the same code
_log = logging.getLogger("tiercel.serving")


class Poster:
    """Runs until `close`; `post` does its work here while it does not run."""

    def __init__(self, url: URL, home: Path, post: Callable[[], object]) -> None:
        self._where = json.dumps({"url": str(url), "home": str(home.absolute())})
        self._post = post
        self._changes = threading.Lock()
        self._is_closed = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._not_before = 0.0
        self._start()
        self._thread = threading.Thread(target=self._run, name="tiercel-poster", daemon=True)
        self._thread.start()

    @property
    def process_id(self) -> int | None:
        """The id of the process; None while there is none."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """Let the process post the rest and end."""
        with self._changes:
            self._is_closed.set()
            process = self._process
        if process is not None:
            assert process.stdin is not None
            with suppress(OSError):
                process.stdin.close()
            self._thread.join(_END_SECONDS)
            process.kill()  # does nothing to one that has ended
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closed.is_set():
            if self._process is not None:
                code = self._process.wait()
                if self._is_closed.is_set():
                    return
                self._process = None
                _log.warning("the process that posts to the ledger ended with %s; it is started anew", code)
            with suppress(Exception):  # whoever reads or writes next posts, and is told
                self._post()
            self._is_closed.wait(ANEW_SECONDS)
            self._start()

    def _start(self) -> None:
        with self._changes:
            if self._is_closed.is_set() or time.monotonic() < self._not_before:
                return
            self._not_before = time.monotonic() + LEAST_SECONDS
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", "serving.ledger.attending"], stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL, cwd=_ROOT, text=True,
                )  # fmt: skip
            except OSError as error:
                _log.warning("the process that posts to the ledger cannot be started: %s", type(error).__name__)
                return
            assert process.stdin is not None
            with suppress(OSError):  # it has died already
                process.stdin.write(f"{self._where}\n")
                process.stdin.flush()
            self._process = process
