"""What several requests of one event loop ask of one function, asked of it in one call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Told = TypeVar("Told")
PATIENCE_SECONDS = 0.0002  # for which the next is waited for of those who were told together last
ANSWER_SECONDS = 0.005  # after which whoever was told has his answer, or will not have it soon


class Gathering(Generic[Asked, Told]):
    """Calls `work` with everything that was asked before the event loop came round to it; one answer each, in order.

    Callers who were told together mostly ask again together, a little after one another. They are waited for, so that
    they stay together: a call for eight takes half as long as eight calls. Who is alone waits for nobody. Where some
    cannot be answered together each is asked alone, so that a request meets its own error and no other's.
    """

    def __init__(self, work: Callable[[Sequence[Asked]], Sequence[Told]]) -> None:
        self._work = work
        self._waiting: list[tuple[Asked, asyncio.Future[Told]]] = []
        self._n_told = self._n_wanted = 1  # together last, and next
        self._until = 0.0

    async def ask(self, asked: Asked) -> Told:
        """What `work` tells of this; raises what it raises."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Told] = loop.create_future()
        self._waiting.append((asked, told))
        self._until = max(self._until, time.monotonic() + PATIENCE_SECONDS)
        if len(self._waiting) == 1:
            loop.call_soon(self._gather, loop)  # after every request that has already come in
        return await told

    def answered(self) -> None:
        """Note that one who was told has his answer: he may ask again, together with those who wait meanwhile."""
        self._n_wanted = self._n_told + len(self._waiting)
        self._until = time.monotonic() + PATIENCE_SECONDS

    def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for as many as are wanted, as long as one comes soon after the other; then tell."""
        if len(self._waiting) < self._n_wanted and time.monotonic() < self._until:
            loop.call_soon(self._gather, loop)
        else:
            self._n_told = self._n_wanted = len(self._waiting)
            self._tell()
            self._until = time.monotonic() + ANSWER_SECONDS

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            answers = list(zip(waiting, self._work([asked for asked, _ in waiting]), strict=True))
        except Exception as error:  # handed to who asked, whatever it is
            if len(waiting) > 1:
                for one in waiting:
                    self._waiting = [one]
                    self._tell()
            elif not waiting[0][1].done():  # given up by its caller
                waiting[0][1].set_exception(error)
        else:
            for (_, told), answer in answers:
                if not told.done():
                    told.set_result(answer)
