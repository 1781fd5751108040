"""Requests that wait while others are decided are decided together, in one pass over all of them.

One pass over eight customers takes little longer than one over a single customer, so a busy server answers several
requests for the price of two, and an idle one answers at once: nothing is ever waited for. A decision depends on its
customer alone, so who happens to be decided beside him changes nothing (`decisioning.decide`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from serving.deciding import Decided, Desk, Question

MOST_CUSTOMERS = 16  # of one pass on the event loop: some 6 ms, which other requests can wait


@dataclass(frozen=True, slots=True)
class _Waiting:
    question: Question
    answer: asyncio.Future[Decided]


class Gathering:
    """The requests of one event loop that wait for the next pass."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: deque[_Waiting] = deque()

    async def decided(self, question: Question) -> Decided:
        """The decisions that a question asks for, not yet kept; raises what `Desk.decide` raises for it alone."""
        self._desk.check(question.asked)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(question, loop.create_future())
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            loop.call_soon(self._pass)  # after every request that has already come in
        return await waiting.answer

    def _pass(self) -> None:
        chosen = self._next()
        try:
            found = self._desk.together([waiting.question for waiting in chosen])
        except Exception:  # whichever request it was, each is now tried alone and tells its own error
            for waiting in chosen:
                self._alone(waiting)
        else:
            for waiting, decided in zip(chosen, found, strict=True):
                if not waiting.answer.done():  # given up by its caller
                    waiting.answer.set_result(decided)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._pass)

    def _next(self) -> list[_Waiting]:
        """The longest waiting requests that fit one pass; a customer stands in it once."""
        chosen: list[_Waiting] = []
        customers: set[str] = set()
        while self._waiting:
            mine = self._waiting[0].question.customer_ids
            if chosen and (len(customers) + len(mine) > MOST_CUSTOMERS or not customers.isdisjoint(mine)):
                break
            customers.update(mine)
            chosen.append(self._waiting.popleft())
        return chosen

    def _alone(self, waiting: _Waiting) -> None:
        if waiting.answer.done():
            return
        try:
            waiting.answer.set_result(self._desk.together([waiting.question])[0])
        except Exception as error:  # handed to the one who asked, whatever it is
            waiting.answer.set_exception(error)
