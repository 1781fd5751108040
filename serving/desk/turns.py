"""A customer's turns: while his decision is on its way to the disk the next one about him waits for it.

It has to know what it repeats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence


class Turns:
    """Whose customers the requests of one event loop are deciding about."""

    def __init__(self) -> None:
        self._deciding: dict[str, asyncio.Future[None]] = {}

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
