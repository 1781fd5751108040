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

_BETWEEN = ("new", "won_back", "lost")
_ROUNDING = 1e-9  # sums of a million floats differ in their last digits with the order in which they were added


@dataclass(frozen=True, slots=True)
class Money:
    """The steps in AUM; what grew and what shrank in the hands of those who stayed closes them."""

    opening: float
    new: float
    won_back: float
    lost: float
    grown: float
    shrunk: float
    closing: float


@dataclass(frozen=True, slots=True)
class Bridge:
    """The steps from one month end to another in customers, and in `aum`, None for a bank without balances."""

    from_on: date
    to_on: date
    opening: int
    new: int
    won_back: int
    lost: int
    closing: int
    aum: Money | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"from_on": self.from_on.isoformat(), "to_on": self.to_on.isoformat()}


def bridge(flow: Flow) -> Bridge:
    """The bridge over a flow of stages; raises BrokenHistory where it does not close."""
    new = _of(flow, lambda move: not _in(move.before) and move.before != Stage.LOST and _in(move.after))
    back = _of(flow, lambda move: move.before == Stage.LOST and _in(move.after))
    lost = _of(flow, lambda move: _in(move.before) and not _in(move.after))
    stayed = _of(flow, lambda move: _in(move.before) and _in(move.after))
    there, here = _of(flow, lambda move: _in(move.before)), _of(flow, lambda move: _in(move.after))
    money = Money(
        opening=math.fsum(move.aum_before for move in there),
        new=math.fsum(move.aum_after for move in new),
        won_back=math.fsum(move.aum_after for move in back),
        lost=math.fsum(move.aum_before for move in lost),
        grown=math.fsum(move.grown for move in stayed),
        shrunk=math.fsum(move.shrunk for move in stayed),
        closing=math.fsum(move.aum_after for move in here),
    )
    people = (_n(there), _n(new), _n(back), _n(lost), _n(here))
    return _checked(Bridge(flow.from_on, flow.to_on, *people, aum=money if flow.has_money else None))


def span(bridges: Iterable[Bridge]) -> Bridge:
    """Bridges that follow each other as one; who came and went within it is in both steps."""
    steps = list(bridges)
    first, last = steps[0], steps[-1]
    money = [b.aum for b in steps if b.aum is not None]
    aum = None
    if len(money) == len(steps):
        sums = {name: math.fsum(getattr(own, name) for own in money) for name in (*_BETWEEN, "grown", "shrunk")}
        aum = Money(opening=money[0].opening, closing=money[-1].closing, **sums)
    people = {name: sum(getattr(b, name) for b in steps) for name in _BETWEEN}
    return _checked(Bridge(first.from_on, last.to_on, opening=first.opening, closing=last.closing, aum=aum, **people))


def _checked(found: Bridge) -> Bridge:
    reached = found.opening + found.new + found.won_back - found.lost
    if reached != found.closing:
        raise _broken(found, f"{reached} customers, but {found.closing} stand there")
    if (aum := found.aum) is not None:
        steps = (aum.opening, aum.new, aum.won_back, -aum.lost, aum.grown, -aum.shrunk)
        if abs(math.fsum(steps) - aum.closing) > _ROUNDING * max(1.0, math.fsum(map(abs, steps))):
            raise _broken(found, f"{math.fsum(steps):.2f} of AUM, but {aum.closing:.2f} stand there")
    return found


def _broken(found: Bridge, value: str) -> BrokenHistory:
    what = f"the bridge from {found.from_on} to {found.to_on} does not close"
    return BrokenHistory(what, value=value, todo="the months do not follow each other")


def _in(stage: str | None) -> bool:
    return stage is not None and stage not in AWAY


def _of(flow: Flow, wanted: Callable[[Move], bool]) -> list[Move]:
    return [move for move in flow.moves if wanted(move)]


def _n(moves: Iterable[Move]) -> int:
    return sum(move.n for move in moves)
