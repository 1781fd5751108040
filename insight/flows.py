"""Who went where between two month ends: migration of tiers and stages (迁移), arrivals and departures, and their sum.

Every person who stands in either month is in exactly one move, from nowhere where he was not yet in the bank's files
and to nowhere where he is no longer. For each label the count at the start plus arrivals minus departures is the count
at the end; that is checked against the profiles themselves each time, since a person who stands twice in a file would
otherwise be told as growth. AUM is the monthly daily average.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir

from features.vocabulary import CUSTOMER_ID, Stage
from insight.history import SINCE, UNKNOWN, BrokenHistory, History, Label, ordered

_LABELS: tuple[Label, ...] = ("tier", "stage")
_GREW = (str(Stage.MATURE), str(Stage.GROWTH))  # down the order below, and made by grown money alone
# Stages from the worst for the bank to the best: who left, who sleeps, who goes, who may come, then who grows. By this
# order a move is for the better or for the worse; tiers stand in the order of the policy's thresholds.
STAGES_RISING: tuple[str, ...] = tuple(
    str(stage)
    for stage in (Stage.LOST, Stage.DORMANT, Stage.DECLINE, Stage.PROSPECT, Stage.NEW, Stage.GROWTH, Stage.MATURE)
)


@dataclass(frozen=True, slots=True)
class Move:
    """People who went the same way: how many, their AUM before and after, and the sums of what grew and what shrank.

    `before` is None for those who appeared and `after` for those who disappeared.
    """

    before: str | None
    after: str | None
    n: int
    aum_before: float
    aum_after: float
    grown: float
    shrunk: float


@dataclass(frozen=True, slots=True)
class Stay:
    """People who left a label between two months after standing in it at so many month ends running."""

    name: str
    months: int
    n: int


@dataclass(frozen=True, slots=True)
class Flow:
    """All moves between the labels of two month ends; `names` are the labels in their order.

    `standing` are the labels from the worst to the best. Without `has_money` nobody's AUM is known in either month, and
    the amounts of the moves are 0 for want of any.
    """

    label: Label
    from_on: date
    to_on: date
    names: tuple[str, ...]
    moves: tuple[Move, ...]
    has_money: bool
    standing: tuple[str, ...] = ()

    def is_better(self, before: str | None, after: str | None) -> bool | None:
        """Whether who went from `before` to `after` stands better than he did; None where that cannot be said."""
        if before == after or before not in self.standing or after not in self.standing:
            return None
        if self.label == "stage" and (before, after) == _GREW:
            return True
        return self.standing.index(after) > self.standing.index(before)

    def before(self, name: str | None) -> int:
        """People who stood in `name` at the start; None: who appeared since."""
        return sum(move.n for move in self.moves if move.before == name)

    def after(self, name: str | None) -> int:
        """People who stand in `name` at the end; None: who disappeared."""
        return sum(move.n for move in self.moves if move.after == name)

    def arrived(self, name: str) -> int:
        return sum(move.n for move in self.moves if move.after == name != move.before)

    def departed(self, name: str) -> int:
        return sum(move.n for move in self.moves if move.before == name != move.after)

    def count(self, before: str | None, after: str | None) -> int:
        """People who went from `before` to `after`."""
        return sum(move.n for move in self.moves if (move.before, move.after) == (before, after))

    def share(self, before: str | None, after: str | None) -> float | None:
        """Of those who stood in `before` the share that went to `after`; None where nobody stood there."""
        n = self.before(before)
        return self.count(before, after) / n if n else None

    def to_json(self) -> dict[str, Any]:
        """The matrix with counts and shares, and the sum of each label."""
        cells = [
            {"from": move.before, "to": move.after, "n": move.n, "share": self.share(move.before, move.after),
             "is_better": self.is_better(move.before, move.after)}
            for move in self.moves
        ]  # fmt: skip
        sums = [
            {"name": name, "opening": self.before(name), "in": self.arrived(name), "out": self.departed(name),
             "closing": self.after(name)}
            for name in self.names
        ]  # fmt: skip
        return {"label": self.label, "from_on": self.from_on.isoformat(), "to_on": self.to_on.isoformat(),
                "moves": cells, "sums": sums}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Passage:
    """What happened between two month ends: the flow of each label, and the stays in it that ended."""

    flows: Mapping[Label, Flow]
    stays: Mapping[Label, tuple[Stay, ...]]


def passages(history: History, names: Mapping[Label, Sequence[str]]) -> Iterator[Passage]:
    """One passage for each pair of months that follow each other, oldest first; none for a single month.

    `names` gives the order of each label. Raises BrokenHistory where a flow does not close.
    """
    counts = {label: history.counts(label) for label in _LABELS}
    for place in range(len(history) - 1):
        joined = history.con.create_table("two_months", _both(history, place), temp=True, overwrite=True)
        flows = {label: _flow(history, place, joined, label, names[label]) for label in _LABELS}
        for label, flow in flows.items():
            closes(flow, counts[label][place], counts[label][place + 1])
        yield Passage(flows, {label: _ended(history, place, joined, label) for label in _LABELS})


def last_flows(history: History, names: Mapping[Label, Sequence[str]]) -> Mapping[Label, Flow]:
    """The flow of each label between the last two months; empty where there is one month only."""
    return next((passage.flows for passage in passages(history.since(-2), names)), {}) if len(history) > 1 else {}


def closes(flow: Flow, before: Mapping[str, int], after: Mapping[str, int]) -> None:
    """Raise BrokenHistory unless count at the start + arrivals − departures = count at the end for every label."""
    for name in {*before, *after, *flow.names}:
        opening, closing = before.get(name, 0), after.get(name, 0)
        reached = opening + flow.arrived(name) - flow.departed(name)
        if (reached, flow.before(name)) != (closing, opening):
            raise BrokenHistory(
                f"{flow.label} {name} does not add up from {flow.from_on} to {flow.to_on}",
                value=f"{opening} + {flow.arrived(name)} in - {flow.departed(name)} out, but {closing} stand there",
                todo="a profile holds somebody twice or was changed; build it again with `tiercel build --restate`",
            )


def still(history: History, label: Label) -> tuple[Stay, ...]:
    """Stays that had not ended at the last month end, of those whose beginning the history saw."""
    rows = history.month(-1).select(name=label, since=SINCE[label])
    return _stays(history, len(history) - 1, rows)


def _both(history: History, place: int) -> ir.Table:
    """One row a person of either month: labels and AUM of both, and since when the labels of the first were held."""
    before, after = history.month(place), history.month(place + 1)
    old = before.select(CUSTOMER_ID, aum_before=before.mda, **_named(before, "before"))
    new = after.select(then_id=after[CUSTOMER_ID], aum_after=after.mda, **_named(after, "after"))
    both = old.outer_join(new, old[CUSTOMER_ID] == new.then_id).drop(CUSTOMER_ID, "then_id")
    return both.mutate(
        has_money=both.aum_before.notnull() | both.aum_after.notnull(),
        aum_before=both.aum_before.fill_null(0.0),
        aum_after=both.aum_after.fill_null(0.0),
    )


def _named(rows: ir.Table, when: str) -> dict[str, Any]:
    labels = {f"{label}_{when}": rows[label].fill_null(UNKNOWN) for label in _LABELS}
    return labels | {f"{label}_since_{when}": rows[SINCE[label]] for label in _LABELS}


def _flow(history: History, place: int, joined: ir.Table, label: Label, names: Sequence[str]) -> Flow:
    change = joined.aum_after - joined.aum_before
    grouped = joined.group_by(before=joined[f"{label}_before"], after=joined[f"{label}_after"]).agg(
        n=joined.count(),
        aum_before=joined.aum_before.sum(),
        aum_after=joined.aum_after.sum(),
        grown=ibis.greatest(change, 0.0).sum(),
        shrunk=ibis.greatest(-change, 0.0).sum(),
        has_money=joined.has_money.any(),
    )
    rows = grouped.to_pyarrow().to_pylist()
    known = [row.pop("has_money") for row in rows]
    moves = [Move(**row) for row in rows]
    order = ordered(names, {name for move in moves for name in (move.before, move.after) if name is not None})
    rank = {name: i for i, name in enumerate((*order, None))}
    moves.sort(key=lambda move: (rank[move.before], rank[move.after]))
    ends = [build.as_of for build in history.months[place : place + 2]]
    standing = STAGES_RISING if label == "stage" else tuple(names)
    return Flow(label, ends[0], ends[1], order, tuple(moves), any(known), standing)


def _ended(history: History, place: int, joined: ir.Table, label: Label) -> tuple[Stay, ...]:
    """Stays that ended after the month at `place`; one who left and came back within a month ended his stay too."""
    rows = joined.select(
        name=f"{label}_before", since=f"{label}_since_before", then=f"{label}_after", since_then=f"{label}_since_after"
    )
    rows = rows.filter(rows.name.notnull())
    same = (rows.name == rows.then).fill_null(False) & (rows.since == rows.since_then).fill_null(False)
    return _stays(history, place, rows.filter(~same))


def _stays(history: History, place: int, rows: ir.Table) -> tuple[Stay, ...]:
    as_of, first = history.months[place].as_of, history.months[0].as_of
    seen = rows.filter(rows.name.notnull() & (rows.since > ibis.literal(first)))
    months = as_of.year * 12 + as_of.month + 1 - seen.since.year() * 12 - seen.since.month()
    named = seen.select("name", months=months.cast("int64"))
    counted = named.group_by("name", "months").agg(n=named.count()).to_pyarrow().to_pylist()
    return tuple(sorted((Stay(**row) for row in counted), key=lambda stay: (stay.name, stay.months)))


def merged(stays: Iterable[Stay]) -> list[Stay]:
    """Stays of many months as one list, equal ones added up."""
    sums: dict[tuple[str, int], int] = {}
    for stay in stays:
        sums[stay.name, stay.months] = sums.get((stay.name, stay.months), 0) + stay.n
    return [Stay(name, months, n) for (name, months), n in sorted(sums.items())]
