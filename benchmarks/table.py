"""How a benchmark tells its figures: a table for people and, as its last line, JSON for programs."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: ours, the peer's of the same run, their ratio, and what is to be reached."""

    what: str
    ours: float
    peer: float | None
    ratio: float | None
    unit: str
    floor: float | None
    goal: float | None
    met_floor: bool
    met_goal: bool

    @classmethod
    def beside(cls, what: str, ours: float, peer: float, unit: str, *, floor: float | None, goal: float | None = None
               ) -> Line:  # fmt: skip
        """A figure of which less is better, beside its peer's: peer ÷ ours is to reach the floor and the goal.

        >>> Line.beside("publish", 2.0, 50.0, "s", floor=20).ratio
        25.0
        """
        ratio, goal = peer / ours, floor if goal is None else goal
        return cls(what, ours, peer, ratio, unit, floor, goal, floor is None or ratio >= floor,
                   goal is None or ratio >= goal)  # fmt: skip

    @classmethod
    def share_of(cls, what: str, ours: float, peer: float, unit: str, *, floor: float, goal: float) -> Line:
        """A figure of which more is better, as a share of a peer's that does less: ours ÷ peer is to reach them.

        >>> Line.share_of("answers", 1_200.0, 4_800.0, "1/s", floor=0.2, goal=0.3).met_goal
        False
        """
        ratio = ours / peer
        return cls(what, ours, peer, ratio, unit, floor, goal, ratio >= floor, ratio >= goal)

    @classmethod
    def at_most(cls, what: str, ours: float, unit: str, *, floor: float | None, goal: float | None = None) -> Line:
        """A figure without a peer that may not lie above the floor and the goal.

        >>> Line.at_most("memory", 9.0, "GiB", floor=8).met_floor
        False
        """
        goal = floor if goal is None else goal
        return cls(what, ours, None, None, unit, floor, goal, floor is None or ours <= floor,
                   goal is None or ours <= goal)  # fmt: skip


def note(what: str) -> None:
    """Says on the error stream how far a long run has come."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")
    sys.stderr.flush()


def show(name: str, size: int, lines: Sequence[Line], *, title: str, peer: str = "peer") -> None:
    """Prints the table, then one line of JSON."""
    table = Table("what", "unit", "ours", peer, "ratio", "to reach", title=f"{title}, {platform.machine()}")
    for line in lines:
        bound = "" if line.floor is None else f"{'≤' if line.ratio is None else '≥'} {line.floor:g}"
        met = "" if line.floor is None else (" met" if line.met_floor else " MISSED")
        table.add_row(line.what, line.unit, _said(line.ours), _said(line.peer), _said(line.ratio), bound + met)
    console = Console()
    console.print(table)
    told = {"name": name, "size": size, "lines": [asdict(line) for line in lines]}
    console.file.write(json.dumps(told) + "\n")


def _said(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"
