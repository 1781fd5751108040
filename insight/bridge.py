"""How the base grew (净增): opening + new + won back − lost = closing, in customers and in their AUM.

    new        a customer now, and a prospect or not in the bank's files a month ago
    won back   a customer now, and lost a month ago (捞回)
    lost       a customer a month ago, and now lost or out of the files

AUM follows the people: what the new and the won back brought with them, what the lost had held. Those who stayed carry
the rest, so in AUM the bridge has two more steps, what grew and what shrank in their hands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from features.vocabulary import Stage
from insight.flows import Flow, Move
from insight.history import AWAY, BrokenHistory

_ROUNDING = 1e-9  # sums of a million floats differ in their last digits with the order in which they were added


@dataclass(frozen=True, slots=True)
class Bridge:
    """The steps from one month end to another; counts are customers, `aum_…` their monthly daily averages."""

    from_on: date
    to_on: date
    opening: int
    new: int
    won_back: int
    lost: int
    closing: int
    aum_opening: float
    aum_new: float
    aum_won_back: float
    aum_lost: float
    aum_grown: float
    aum_shrunk: float
    aum_closing: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"from_on": self.from_on.isoformat(), "to_on": self.to_on.isoformat()}


def bridge(flow: Flow) -> Bridge:
    """The bridge over a flow of stages; raises BrokenHistory where it does not close."""
    new = _of(flow, lambda move: not _in(move.before) and move.before != Stage.LOST and _in(move.after))
    back = _of(flow, lambda move: move.before == Stage.LOST and _in(move.after))
    lost = _of(flow, lambda move: _in(move.before) and not _in(move.after))
    stayed = _of(flow, lambda move: _in(move.before) and _in(move.after))
    there, here = _of(flow, lambda move: _in(move.before)), _of(flow, lambda move: _in(move.after))
    return _checked(
        Bridge(
            flow.from_on, flow.to_on, _n(there), _n(new), _n(back), _n(lost), _n(here),
            aum_opening=math.fsum(move.aum_before for move in there),
            aum_new=math.fsum(move.aum_after for move in new),
            aum_won_back=math.fsum(move.aum_after for move in back),
            aum_lost=math.fsum(move.aum_before for move in lost),
            aum_grown=math.fsum(move.grown for move in stayed),
            aum_shrunk=math.fsum(move.shrunk for move in stayed),
            aum_closing=math.fsum(move.aum_after for move in here),
        )
    )  # fmt: skip


def span(bridges: Iterable[Bridge]) -> Bridge:
    """Bridges that follow each other as one; who came and went within it is in both steps."""
    steps = list(bridges)
    first, last = steps[0], steps[-1]
    return _checked(
        Bridge(
            first.from_on, last.to_on, first.opening, sum(b.new for b in steps), sum(b.won_back for b in steps),
            sum(b.lost for b in steps), last.closing, first.aum_opening, math.fsum(b.aum_new for b in steps),
            math.fsum(b.aum_won_back for b in steps), math.fsum(b.aum_lost for b in steps),
            math.fsum(b.aum_grown for b in steps), math.fsum(b.aum_shrunk for b in steps), last.aum_closing,
        )
    )  # fmt: skip


def _checked(found: Bridge) -> Bridge:
    customers = found.opening + found.new + found.won_back - found.lost
    aum = (found.aum_opening, found.aum_new, found.aum_won_back, -found.aum_lost, found.aum_grown, -found.aum_shrunk)
    scale = max(1.0, math.fsum(map(abs, aum)))
    if customers != found.closing or abs(math.fsum(aum) - found.aum_closing) > _ROUNDING * scale:
        raise BrokenHistory(
            f"the bridge from {found.from_on} to {found.to_on} does not close",
            value=f"{customers} customers and {math.fsum(aum):.2f} of AUM, but {found.closing} and "
            f"{found.aum_closing:.2f} stand there",
            todo="the months do not follow each other",
        )
    return found


def _in(stage: str | None) -> bool:
    return stage is not None and stage not in AWAY


def _of(flow: Flow, wanted: Callable[[Move], bool]) -> list[Move]:
    return [move for move in flow.moves if wanted(move)]


def _n(moves: Iterable[Move]) -> int:
    return sum(move.n for move in moves)
