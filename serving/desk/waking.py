"""Staying awake between requests that follow each other closely.

A processor that an event loop lets sleep for a tenth of a millisecond comes back with cold caches and, on a virtual
machine, late: a client that asks again at once then waits a quarter of a millisecond longer for each answer.
"""

from __future__ import annotations

import asyncio
import time

AWAKE_SECONDS = 0.0005  # at most, after an answer: what a quiet server spends on each request that comes soon enough


class Waking:
    """Keeps an event loop turning for a moment after an answer, where the last request came within such a moment."""

    def __init__(self) -> None:
        self._answered_at = self._until = 0.0
        self._is_brisk = self._is_turning = False

    def asked(self) -> None:
        """Note that somebody asks."""
        self._is_brisk = time.monotonic() - self._answered_at < AWAKE_SECONDS

    def answered(self) -> None:
        """Note that somebody has his answer: he may ask again at once."""
        self._answered_at = time.monotonic()
        if self._is_brisk:
            self._until = self._answered_at + AWAKE_SECONDS
            if not self._is_turning:
                self._is_turning = True
                self._turn(asyncio.get_running_loop())

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_turning = time.monotonic() < self._until
        if self._is_turning:
            loop.call_soon(self._turn, loop)
