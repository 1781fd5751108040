"""What the months of a home say, gathered for the commands, the API and the pages; `insight` does the counting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import ibis.expr.types as ir

from features.bank.engines import Bank, open_bank
from features.lineages import Build
from features.policy import SegmentsPolicy
from features.vocabulary import Stage
from insight.answers import Answers, answers
from insight.bridge import Bridge, bridge
from insight.cells import Cells, cells
from insight.dwell import dwell
from insight.flows import Flow, Passage, last_flows, passages
from insight.history import History, Label, open_history
from insight.jumps import Jump, jumps, jumps_at
from insight.lives import Lives, lives
from insight.mix import Mix, mix
from insight.pareto import Pareto, pareto
from insight.people import Listing, listing
from insight.policy import InsightPolicy
from insight.preferences import Preference, preferences
from insight.survival import Curve
from serving.doctor import set_aside
from serving.jobs import insight_book, segments_book
from serving.matrix.rosters import ROSTERS, RosterName, deletions, roster
from training.outcomes import response_labels

_SHOWN_MONTHS = 12  # of the Pareto curve at the end of a build
_LABELS: tuple[Label, ...] = ("stage", "tier")
LISTED = ("tier", "grade", "customer_class", "stage", "mda", "value_12m", "grade_score")  # of each person on a list
MOST_LISTED = 200  # of each list; the console turns the pages of all


@dataclass(frozen=True, slots=True)
class MonthTold:
    """What the newest month came to: who is where, who went where, how few hold how much, what jumped, what was set
    aside at the last import. A first month has neither flows nor bridge.
    """

    mix: Mix
    classes: tuple[str, ...]
    flows: Mapping[Label, Flow]
    bridge: Bridge | None
    pareto: tuple[Pareto, ...]
    jumps: tuple[Jump, ...]
    aside: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        return {
            "cells": [{"cell": share.name, "n_customers": share.n_customers, "aum": share.aum}
                      for share in self.mix.cells],
            "mau": self.mix.n_logged_in,
            "effective": self.mix.n_effective,
            "migration": {label: flow.to_json() for label, flow in self.flows.items()},
            "bridge": None if self.bridge is None else self.bridge.to_json(),
            "pareto": [curve.to_json() for curve in self.pareto],
            "jumps": [jump.to_json() for jump in self.jumps],
            "quarantine": dict(self.aside),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """All that the months say: every passage with its bridge, how long people stay, what they want, whom to see."""

    passages: tuple[Passage, ...]
    bridges: tuple[Bridge, ...]
    dwell: Mapping[Label, tuple[Curve, ...]]
    lives: Lives
    pareto: tuple[Pareto, ...]
    jumps: tuple[Jump, ...]
    preferences: tuple[Preference, ...]
    lists: Mapping[RosterName, Listing]

    def to_json(self) -> dict[str, Any]:
        return {
            "migration": {label: [passage.flows[label].to_json() for passage in self.passages] for label in _LABELS},
            "bridges": [found.to_json() for found in self.bridges],
            "dwell": {label: [curve.to_json() for curve in curves] for label, curves in self.dwell.items()},
            "lives": self.lives.to_json(),
            "pareto": [curve.to_json() for curve in self.pareto],
            "jumps": [jump.to_json() for jump in self.jumps],
            "preferences": [row.to_json() for row in self.preferences],
            "lists": {name: {"n": found.n, "people": [dict(row) for row in found.rows]}
                      for name, found in self.lists.items()},
        }  # fmt: skip


def month_told(home: Path, months: Sequence[Build]) -> MonthTold:
    """What the last of `months`, which follow each other, came to; raises BrokenHistory where it does not add up."""
    last = months[-1]
    who, what = segments_book(home).view(last.as_of), insight_policy(home, last.as_of)
    with open_history(months) as history:
        flows = last_flows(history, _names(who))
        return MonthTold(
            mix(last.path), tuple(name for name, _ in who.classes.ranked()), flows,
            bridge(flows["stage"]) if flows else None, tuple(pareto(history.since(-_SHOWN_MONTHS))),
            tuple(_jumped(history, what, newest_only=True)), set_aside(home),
        )  # fmt: skip


def everything(home: Path, months: Sequence[Build], now: datetime) -> Told:
    """All that `months` say with what the bank knows at `now`."""
    who, what = segments_book(home).view(months[-1].as_of), insight_policy(home, months[-1].as_of)
    names = _names(who)
    with _opened(home, months) as (history, bank), deletions(home, who, now) as deleted:
        seen = tuple(passages(history, names))
        return Told(
            seen, tuple(bridge(passage.flows["stage"]) for passage in seen),
            {label: dwell(history, seen, label, names[label], what.evidence.level) for label in _LABELS},
            lives(history, names["tier"], what.evidence.level), tuple(pareto(history)),
            tuple(_jumped(history, what, newest_only=False)),
            tuple(preferences(_answers(bank, history, what, now), names["tier"], what.evidence)),
            {name: listing(roster(name, history, who, now, deleted), LISTED, names["tier"], order=None, start=0,
                           limit=MOST_LISTED) for name in ROSTERS},
        )  # fmt: skip


def matrix(home: Path, months: Sequence[Build], now: datetime, book: frozenset[str] | None = None) -> Cells:
    """The cells of the matrix by `months` and by what the bank knows at `now`; with a `book`, of its people alone."""
    what = insight_policy(home, months[-1].as_of)
    with _opened(home, months, book) as (history, bank):
        return cells(history, _answers(bank, history, what, now), what.evidence.level)


def migration(home: Path, months: Sequence[Build], book: frozenset[str] | None = None) -> Mapping[Label, Flow]:
    """Who went where between the last two of `months`, which follow each other; empty where there is one month only.

    With a `book`, of its people alone.
    """
    with open_history(months, book) as history:
        return last_flows(history, _names(segments_book(home).view(months[-1].as_of)))


def insight_policy(home: Path, as_of: date) -> InsightPolicy:
    """The bounds of alerts and evidence in force on `as_of`."""
    return insight_book(home).view(as_of)


def listed(months: Sequence[Build]) -> list[dict[str, Any]]:
    """Months as programs read them."""
    return [{"as_of": b.as_of, "lineage": b.lineage, "n_customers": b.n_customers, "digest": b.digest} for b in months]


@contextmanager
def _opened(
    home: Path, months: Sequence[Build], book: frozenset[str] | None = None
) -> Iterator[tuple[History, Bank | None]]:
    """The history of `months` on the bank's own connection; a home of profiles alone has no bank."""
    if not any((home / "bank" / "customer").glob("*.parquet")):
        with open_history(months, book) as history:
            yield history, None
        return
    with open_bank(home) as bank:
        yield History(bank.con, tuple(months), book), bank


def _names(who: SegmentsPolicy) -> dict[Label, list[str]]:
    return {"tier": list(who.tiers.thresholds), "stage": [str(stage) for stage in Stage]}


def _jumped(history: History, what: InsightPolicy, *, newest_only: bool) -> list[Jump]:
    days = [build.as_of for build in history.months]
    found: list[Jump] = []
    for label in _LABELS:
        counts = history.counts(label)
        if not newest_only:
            found += jumps(days, counts, what.jumps)
        elif len(days) > 1:
            found += jumps_at(len(days) - 1, days, counts, what.jumps)
    return found


def _answers(bank: Bank | None, history: History, what: InsightPolicy, now: datetime) -> tuple[Answers, ...]:
    asked = None if bank is None else _asked(bank, history, what, now)
    return () if asked is None else answers(history, asked, what.evidence.answer_months)


def _asked(bank: Bank, history: History, what: InsightPolicy, now: datetime) -> ir.Table | None:
    """Contacts whose outcome is known at `now`, by the one definition of converted; None where the bank has none."""
    if not {"contact", "offer"} <= set(bank.tables):
        return None
    known = dict(bank.known_by(now))
    since = history.months[-min(what.evidence.answer_months, len(history))].as_of
    known["contact"] = known["contact"].filter(known["contact"].business_on > since)
    labels = response_labels(known, now)
    return labels.filter(labels.excluded.isnull()).select(
        "customer_id", "business_on", need=labels.offer_category, is_yes=labels.is_converted
    )
