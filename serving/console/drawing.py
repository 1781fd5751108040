"""Where lines and bars of a chart go; the templates draw them as SVG, without a script and without inline styles.

Every figure that a chart shows stands in a table or in text beside it as well, for those who do not see it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

HEATS = 9  # steps of the heat scale, 0 for nothing
NODE_WIDTH, NODE_HEIGHT, NODE_GAP = 104, 46, 26
_ARC_STEP, _ARC_LEAST, _WIDEST = 24, 18, 7.0
_LABELLED = 12  # arcs that carry their figure; all stand in the table


def heat(value: float | None, most: float | None, *, power: float = 0.5) -> int:
    """The step of the heat scale of a value: 0 for nothing, 8 for the most.

    >>> heat(0, 100), heat(1, 100), heat(25, 100), heat(100, 100), heat(None, 100)
    (0, 1, 4, 8, 0)
    """
    if not value or not most or value <= 0:
        return 0
    return max(1, min(HEATS - 1, round((HEATS - 1) * math.pow(value / most, power))))


@dataclass(frozen=True, slots=True)
class Node:
    """A stage or tier in the drawing of moves: left edge and top of its box."""

    name: str
    x: float
    y: float
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Going:
    """People who went from one box to another, for the better or for the worse; None where that cannot be said."""

    source: str
    target: str
    n: int
    is_better: bool | None


@dataclass(frozen=True, slots=True)
class Arc:
    """A move from one box to another: for the worse below the boxes, any other above them."""

    source: str
    target: str
    n: int
    path: str
    width: float
    is_better: bool | None
    label_x: float
    label_y: float
    is_labelled: bool


@dataclass(frozen=True, slots=True)
class Moves:
    """The drawing of all moves."""

    width: float
    height: float
    nodes: tuple[Node, ...]
    arcs: tuple[Arc, ...]


def moves(names: Sequence[str], before: Mapping[str, int], after: Mapping[str, int], going: Sequence[Going]) -> Moves:
    """Boxes in a row, a move between two as an arc as wide as the square root of its number; stays are not drawn."""
    places = {name: i for i, name in enumerate(names)}
    moved = sorted((move for move in going if move.source != move.target and move.n), key=lambda move: -move.n)
    spans = {move: places[move.target] - places[move.source] for move in moved}
    above = max((abs(span) for move, span in spans.items() if move.is_better is not False), default=0)
    below = max((abs(span) for move, span in spans.items() if move.is_better is False), default=0)
    top = _rise(above) + 14
    nodes = tuple(
        Node(name, i * (NODE_WIDTH + NODE_GAP), top, before.get(name, 0), after.get(name, 0))
        for name, i in places.items()
    )
    most = moved[0].n if moved else 1
    arcs = tuple(
        _arc(nodes[places[move.source]], nodes[places[move.target]], spans[move], move, most,
             is_labelled=rank < _LABELLED)
        for rank, move in enumerate(moved)
    )  # fmt: skip
    width = len(names) * (NODE_WIDTH + NODE_GAP) - NODE_GAP
    return Moves(width, top + NODE_HEIGHT + _rise(below) + 14, nodes, arcs)


def _arc(source: Node, target: Node, span: int, move: Going, most: int, *, is_labelled: bool) -> Arc:
    is_below = move.is_better is False
    aside = NODE_WIDTH / 4 * (-1 if span < 0 else 1)
    x1, x2 = source.x + NODE_WIDTH / 2 + aside, target.x + NODE_WIDTH / 2 - aside
    edge = source.y + NODE_HEIGHT if is_below else source.y
    rise = _rise(abs(span)) * (1 if is_below else -1)
    bow = edge + rise * 4 / 3  # a cubic curve reaches three quarters of its handles
    path = f"M{x1:.1f} {edge:.1f}C{x1:.1f} {bow:.1f} {x2:.1f} {bow:.1f} {x2:.1f} {edge:.1f}"
    width = max(1.0, _WIDEST * math.sqrt(move.n / most))
    label_y = edge + rise + (10 if is_below else -4)
    return Arc(move.source, move.target, move.n, path, round(width, 1), move.is_better, (x1 + x2) / 2, label_y,
               is_labelled)  # fmt: skip


def _rise(span: int) -> float:
    return _ARC_LEAST + _ARC_STEP * (span - 1) if span else 0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a list of bars: its share of the longest, 0 to 100."""

    name: str
    value: float
    length: float


def bars(values: Mapping[str, float]) -> tuple[Bar, ...]:
    """A bar for each value, in order; the largest is 100 long.

    >>> [bar.length for bar in bars({"a": 2, "b": 8})]
    [25.0, 100.0]
    """
    most = max(values.values(), default=0) or 1
    return tuple(Bar(name, value, round(100 * max(value, 0) / most, 2)) for name, value in values.items())


@dataclass(frozen=True, slots=True)
class Line:
    """A line over months: its path in a box of `width` × `height`, and the area under it."""

    width: float
    height: float
    path: str
    area: str
    last_x: float
    last_y: float


def line(values: Sequence[float | None], *, width: float = 320, height: float = 72) -> Line | None:
    """The line of `values` from zero to the largest, left to right; None where fewer than two are known."""
    known = [(i, value) for i, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return None
    most = max(value for _, value in known) or 1
    step = width / max(len(values) - 1, 1)
    points = [(i * step, height - 4 - (height - 8) * value / most) for i, value in known]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    area = f"{path}L{points[-1][0]:.1f} {height}L{points[0][0]:.1f} {height}Z"
    return Line(width, height, path, area, round(points[-1][0], 1), round(points[-1][1], 1))


@dataclass(frozen=True, slots=True)
class Steps:
    """A line of steps over months on a ladder of labels; the highest rung on top."""

    width: float
    height: float
    path: str
    rungs: tuple[tuple[str, float], ...]
    months: tuple[tuple[str, float], ...]


def steps(history: Sequence[tuple[str, str | None]], ladder: Sequence[str], *, width: float = 330) -> Steps | None:
    """The way over months (month, rung) on `ladder`, from the lowest rung that is near to the highest."""
    known = [(month, ladder.index(rung)) for month, rung in history if rung in ladder]
    if not known:
        return None
    low, high = min(i for _, i in known), max(i for _, i in known)
    shown = ladder[max(low - 1, 0) : high + 2]
    height, left, above = 26 * len(shown) + 20, 46, 10
    y = {ladder.index(rung): above + 26 * (len(shown) - 1 - i) + 8 for i, rung in enumerate(shown)}
    step = (width - left) / len(known)
    parts = [f"M{left} {y[known[0][1]]}"]
    for i, (_, rung) in enumerate(known):
        parts.append(f"V{y[rung]}H{left + (i + 1) * step:.1f}")
    every = max(1, math.ceil(len(known) / 6))
    months = tuple((month, left + (i + 0.5) * step) for i, (month, _) in enumerate(known) if i % every == 0)
    return Steps(width, height, "".join(parts), tuple((rung, y[ladder.index(rung)]) for rung in shown), months)


@dataclass(frozen=True, slots=True)
class Whisker:
    """A figure with its interval on the scale of its drawing, 0 to WHISKER_WIDTH; `zero` is on it where asked for."""

    name: str
    value: float
    low: float
    high: float
    x: float
    x_low: float
    x_high: float
    zero: float | None


WHISKER_WIDTH = 200
_WHISKER_EDGE = 6


def whiskers(figures: Mapping[str, Mapping[str, float]], *, zero: float | None = None) -> tuple[Whisker, ...]:
    """Figures {value, low, high} by name on one scale that holds them all, and `zero` where it is asked for.

    >>> [(w.x_low, w.x, w.x_high) for w in whiskers({"a": {"value": 1, "low": 0, "high": 2}})]
    [(6.0, 100.0, 194.0)]
    """
    ends = [end for figure in figures.values() for end in (figure["low"], figure["high"])]
    ends += [] if zero is None else [zero]
    least, most = min(ends, default=0.0), max(ends, default=1.0)
    span = (most - least) or 1.0

    def place(value: float) -> float:
        return round(_WHISKER_EDGE + (WHISKER_WIDTH - 2 * _WHISKER_EDGE) * (value - least) / span, 1)

    return tuple(
        Whisker(name, one["value"], one["low"], one["high"], place(one["value"]), place(one["low"]),
                place(one["high"]), None if zero is None else place(zero))
        for name, one in figures.items()
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trail:
    """Two lines over the same months from zero to the larger of both, such as a figure and its noise."""

    width: float
    height: float
    path: str
    beside: str
    dots: tuple[tuple[float, float], ...]


def trail(values: Sequence[float | None], beside: Sequence[float | None], *, least: float = 0.0,
          width: float = 132, height: float = 30) -> Trail:  # fmt: skip
    """`values` and what lies `beside` them, left to right; the scale reaches up to `least` at the least."""
    most = max([least, *(value for value in (*values, *beside) if value is not None)]) or 1.0
    step = (width - 8) / max(len(values) - 1, 1)

    def points(of: Sequence[float | None]) -> list[tuple[float, float]]:
        return [(round(4 + i * step, 1), round(height - 3 - (height - 6) * value / most, 1))
                for i, value in enumerate(of) if value is not None]  # fmt: skip

    def path(of: Sequence[float | None]) -> str:
        found = points(of)
        return "M" + "L".join(f"{x} {y}" for x, y in found) if found else ""

    return Trail(width, height, path(values), path(beside), tuple(points(values)))
