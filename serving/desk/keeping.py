"""Keeping decisions: the rows of all requests that come at once are written in one transaction; a customer's turns.

Requests that an event loop has read together are decided one after the other and then written together, so that eight
of them cost one sync. While a customer's decision is on its way to the disk, the next one about him waits for it: it
has to know what it repeats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from serving.ledger import DecisionRow, Finish, Ledger


class Keeper:
    """Writes what the requests of one event loop decided."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[tuple[Sequence[DecisionRow], asyncio.Future[bool]]] = []
        self._deciding: dict[str, asyncio.Future[None]] = {}

    async def keep(self, rows: Sequence[DecisionRow], finish: Finish | None = None) -> None:
        """Return once the decisions are on the disk, all of them; raises with none of them written."""
        if finish is not None:
            await asyncio.wrap_future(self._ledger.record(rows, finish=finish))
        elif rows:
            loop = asyncio.get_running_loop()
            kept: asyncio.Future[bool] = loop.create_future()
            self._waiting.append((rows, kept))
            if len(self._waiting) == 1:
                loop.call_soon(self._write)  # after every request that has already come in
            if not await kept:
                await asyncio.wrap_future(self._ledger.record(rows))

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            is_kept = self._ledger.record_at_once([row for rows, _ in waiting for row in rows])
        except Exception as error:  # handed to all who asked, whatever it is
            for _, kept in waiting:
                if not kept.done():  # given up by its caller
                    kept.set_exception(error)
        else:
            for _, kept in waiting:
                if not kept.done():
                    kept.set_result(is_kept)

    async def begin(self, customer_ids: Sequence[str]) -> None:
        """Wait until nobody else decides about these customers, and then hold them until `end`."""
        while others := [self._deciding[name] for name in customer_ids if name in self._deciding]:
            await asyncio.wait(others)
        mine = asyncio.get_running_loop().create_future()
        for name in customer_ids:
            self._deciding[name] = mine

    def end(self, customer_ids: Sequence[str]) -> None:
        """Let others decide about these customers."""
        for name in customer_ids:
            held = self._deciding.pop(name, None)
            if held is not None and not held.done():
                held.set_result(None)
