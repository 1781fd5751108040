"""One row per customer per month: every closed month built once, oldest first, and numbered as a build.

A build is immutable: its Parquet file and its manifest are written beside a temporary name and then renamed, the
manifest last, and a month that stands is never written again under the same lineage. `as_of_at` is the instant at which
the month ended, `available_at` the one at which the profile could first be read; training sees a profile only from then
on. A process killed at any moment leaves whole months and files that no reader looks at; started again, it goes on with
the first month that does not stand. How months hang together is told in `lineages.py`, how one is computed in
`plans.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

from features import lineages
from features.bank import windows
from features.bank.engines import ENGINES, Bank, month_end, open_bank
from features.bank.tiles import Closing, Seen
from features.errors import MissingBuild
from features.lineages import Build, Lineage, builds, latest
from features.plans import FAMILIES, PROFILE, Task, order, write_month
from features.policy import PolicyBook, SegmentsPolicy

__all__ = ["FAMILIES", "PROFILE", "Build", "build", "builds", "history_began", "latest", "order", "silent"]
_FACT_TABLES = {
    "txn": "business_on", "channel_event": "business_on", "balance": "from_on", "contact": "business_on",
    "response": "business_on", "app_quality": "business_on",
}  # fmt: skip


def silent(_what: str, _share: float) -> None:
    """Progress that nobody watches: called with what is done and the share of the whole."""


def build(
    home: Path,
    book: PolicyBook[SegmentsPolicy],
    *,
    instant: datetime,
    as_of: date | None = None,
    restate: date | None = None,
    engine: str = ENGINES[0],
    progress: Callable[[str, float], None] = silent,
) -> list[Build]:
    """Every month that is not built yet, oldest first, and those that are.

    With `restate`, the end of a month, a new lineage whose months from that one on see all that is known at `instant`;
    its older months are those of the lineage it restates. Raises BadBank, BadPolicy, BadRequest, MissingBuild.
    """
    with open_bank(home, engine) as bank, lineages.one_at_a_time(home):
        lineages.drop_unseen(home)
        policy = book.view(as_of or instant.date())
        last = as_of or instant.date()
        newest = _month_before(last)
        if restate:
            known = Closing.of(restate, policy.bank).known_at(instant)
            lineage = lineages.restating(home, book, known, bank.delivery)
        else:
            lineage = lineages.continued(home, book) or lineages.begun(home, book.view(newest).digest)
        history_on = _history_on(bank, lineage, instant)
        first = lineage.months[0].as_of if lineage.months else restate or min(month_end(history_on), newest)
        closings = [c for c in _closings(first, last, policy) if c.available_at <= instant]
        if not closings:
            raise MissingBuild("no month has closed yet", value=instant.isoformat(), todo="ask for a later instant")
        for done, closing in enumerate(closings):
            lineage = _with(bank, lineage, closing, book, history_on, instant)
            progress(f"month {closing.as_of:%Y-%m}", (done + 1) / len(closings))
        windows.drop_others(lineage.tiles, lineage.months[-1].as_of)
        return [build for build in lineage.months if build.as_of <= closings[-1].as_of]


def history_began(bank: Bank, instant: datetime) -> date:
    """First day of business in the bank's fact tables as known at `instant`, else the last day of registering."""
    firsts = [
        first
        for name, column in _FACT_TABLES.items()
        if bank.has(name) and (first := bank.known_by(instant)[name][column].min().execute()) is not None
    ]
    if not firsts:
        return _day(bank.tables["customer"].registered_on.max().execute())
    return min(_day(first) for first in firsts)


def _with(
    bank: Bank,
    lineage: Lineage,
    closing: Closing,
    book: PolicyBook[SegmentsPolicy],
    history_on: date,
    instant: datetime,
) -> Lineage:
    """The lineage with the month of `closing`, built unless it stands."""
    if any(build.as_of == closing.as_of for build in lineage.months):
        return lineage
    before = next((build for build in reversed(lineage.months) if build.as_of < closing.as_of), None)
    if closing.as_of == lineage.restated_from:
        closing = closing.known_at(instant)
        seen_at = instant
    elif before is None:
        seen_at = closing.available_at
    else:  # a month knows at least what the month before knew
        closing = closing.known_at(max(closing.available_at, before.available_at))
        seen_at = before.available_at
    seen = Seen(closing.first_on - timedelta(days=1), seen_at)
    task = Task(closing, seen, before.path if before else None, book, history_on, lineage.tiles)
    write_month(bank, task, lineage.path_of(closing.as_of))
    lineage = lineages.shown(lineage.with_month(closing, task.policy.digest, history_on, bank.delivery))
    windows.drop_others(lineage.tiles, closing.as_of)
    return lineage


def _history_on(bank: Bank, lineage: Lineage, instant: datetime) -> date:
    """First day of history: what the lineage's first build knew, whatever older rows have come since."""
    known = lineage.months[0].history_on if lineage.months else None
    return known or history_began(bank, instant)


def _closings(first: date, last: date, policy: SegmentsPolicy) -> Iterator[Closing]:
    """Closings of the months from `first` to the last one that ends by `last`."""
    as_of = first
    while as_of <= last:
        yield Closing.of(as_of, policy.bank)
        as_of = month_end(as_of + timedelta(days=1))


def _month_before(day: date) -> date:
    """The last month end by `day`."""
    return day if day == month_end(day) else day.replace(day=1) - timedelta(days=1)


def _day(value: object) -> date:
    return value.date() if isinstance(value, datetime) else date.fromisoformat(str(value)[:10])
