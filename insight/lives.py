"""Cohorts: how long those who became customers in the same quarter stay, and how long until they reach a tier.

A life begins at the first month end at which the person stands as a customer and counts months from there. Who was a
customer at the first month already began before anybody watched: these are one cohort, `before`, whose clock starts
with the history; it tells how they stay, not how long they had stayed, and nothing of the way to a tier.

    retention      it ends at the first month end in LOST or out of the bank's files; everybody else is censored at the
                   last month of the history. A customer won back later had left all the same
    activity       it ends at the first month end in DORMANT already, for he who sleeps is kept in name only; who slept
                   when the watch began is not in it
    time to tier   it ends at the first month end in the tier or above it. Who leaves does not reach it and stays in the
                   count until the last month: leaving as censoring would count him as one who may reach it still, and
                   the curve would flatter (what it then shows is the cumulative incidence; Fine and Gray 1999)

Left out and counted: who was lost before he ever was a customer here, so that no beginning was seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir

from features.vocabulary import CUSTOMER_ID, Stage
from insight.history import History, is_customer
from insight.survival import Curve, Spell, curve

BEFORE, ALL = "before", "all"
Cohorts = Mapping[str, Sequence[Spell]]


@dataclass(frozen=True, slots=True)
class Lives:
    """Curves by cohort, oldest first: of staying a customer, of staying awake, of not yet having reached each tier."""

    retention: tuple[Curve, ...]
    activity: tuple[Curve, ...]
    time_to_tier: Mapping[str, tuple[Curve, ...]]
    n_left_out: int

    def to_json(self) -> dict[str, Any]:
        return {
            "retention": [found.to_json() for found in self.retention],
            "activity": [found.to_json() for found in self.activity],
            "time_to_tier": {tier: [found.to_json() for found in curves] for tier, curves in self.time_to_tier.items()},
            "n_left_out": self.n_left_out,
        }


def lives(history: History, tiers: Sequence[str], level: float) -> Lives:
    """The lives in `history`; `tiers` ascend, and the lowest, which everybody has, is left out."""
    people = history.con.create_table("lives", _lives(history, tiers), temp=True, overwrite=True)
    watched = people.filter(people.is_seen)
    begun = watched.filter(watched.began > 0)
    return Lives(
        _curves(history, _until(history, watched, "ended"), level),
        _curves(history, _until(history, watched.filter(_is_awake(watched)), "slept"), level),
        {tier: _curves(history, _until(history, begun, f"reached_{tier}"), level) for tier in tiers[1:]},
        int(people.filter(~people.is_seen).count().execute()),
    )


def quarter(day: date) -> str:
    """The quarter of `day`.

    >>> quarter(date(2025, 5, 31))
    '2025Q2'
    """
    return f"{day.year}Q{(day.month + 2) // 3}"


def _lives(history: History, tiers: Sequence[str]) -> ir.Table:
    """One row for each who ever was a customer: when that began, ended and was last seen, when tiers were reached."""
    rows = history.whole("stage", "tier")
    inside, gone = is_customer(rows.stage), rows.stage == str(Stage.LOST)
    reached = {
        f"reached_{tier}": rows.place.min(where=inside & rows.tier.isin(tiers[rank:]))
        for rank, tier in enumerate(tiers)
        if rank
    }
    people = rows.group_by(CUSTOMER_ID).agg(
        began=rows.place.min(where=inside), lost=rows.place.min(where=gone), last=rows.place.max(),
        sleeps=rows.place.min(where=rows.stage == str(Stage.DORMANT)), **reached
    )  # fmt: skip
    people = people.filter(people.began.notnull())
    out = people.lost.isnull() & (people.last < len(history) - 1)
    ended = out.ifelse(people.last + 1, people.lost)
    return people.mutate(
        is_seen=people.lost.isnull() | (people.lost > people.began), ended=ended, slept=ibis.least(people.sleeps, ended)
    )


def _is_awake(people: ir.Table) -> Any:
    return people.slept.isnull() | (people.slept > people.began)


def _until(history: History, people: ir.Table, event: str) -> dict[int, list[Spell]]:
    """Spells up to the month in the column `event`, else censored at the last one, by the month of the beginning."""
    place = people[event]
    spells = people.mutate(months=place.fill_null(len(history) - 1) - people.began, is_event=place.notnull())
    counted = spells.group_by("began", "months", "is_event").agg(n=spells.count()).to_pyarrow().to_pylist()
    found: dict[int, list[Spell]] = {}
    for row in sorted(counted, key=lambda row: (row["began"], row["months"], row["is_event"])):
        found.setdefault(row["began"], []).append(Spell(row["months"], row["is_event"], row["n"]))
    return found


def _curves(history: History, spells: Mapping[int, list[Spell]], level: float) -> tuple[Curve, ...]:
    return tuple(curve(name, own, level) for name, own in _cohorts(history, spells))


def _cohorts(history: History, spells: Mapping[int, list[Spell]]) -> Iterator[tuple[str, list[Spell]]]:
    """Spells by cohort, then those of all whose beginning was seen."""
    named: dict[str, list[Spell]] = {}
    for began, own in sorted(spells.items()):
        named.setdefault(quarter(history.months[began].as_of) if began else BEFORE, []).extend(own)
    yield from named.items()
    yield ALL, [spell for name, own in named.items() if name != BEFORE for spell in own]
