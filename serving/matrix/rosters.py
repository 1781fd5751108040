"""Whom the two lists name where tier and grade disagree (高层低级, 低层高级), as one may work with them.

A list is a tag: it names nobody whose tag was deleted at his request (R32), and nobody at all once the tag has outlived
its days, since an old truth is not a truth. Names are joined where a list is rendered, and at no other place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Literal, get_args

import ibis
import ibis.expr.types as ir

from features.policy import SegmentsPolicy
from features.segments import grades
from features.segments.tags import age_days, alive
from features.vocabulary import CUSTOMER_ID
from insight.history import History
from insight.people import without
from serving.ledger import Ledger
from serving.settings import ledger_url, read_settings, zone_of

RosterName = Literal["rescue", "growth"]
ROSTERS: tuple[RosterName, ...] = get_args(RosterName)
Deleted = Callable[[Sequence[str]], Mapping[str, Collection[str]]]


def tag_of(name: RosterName) -> str:
    """The tag that puts a customer on the list."""
    return grades.LISTS[name]


def is_living(name: RosterName, as_of: date, who: SegmentsPolicy, now: datetime) -> bool:
    """Whether what the month that ended on `as_of` says of the list is still shown at `now`."""
    return tag_of(name) in alive(tag_of(name), age_days(as_of, now, who.bank), who.tags)


def roster(name: RosterName, history: History, who: SegmentsPolicy, now: datetime, deleted: Deleted) -> ir.Table:
    """Rows of the last month's profile of those on the list, who matters most first."""
    rows = grades.listed(history.month(-1), who, name)
    if not is_living(name, history.months[-1].as_of, who, now):
        return rows.filter(ibis.literal(False))
    named = rows[CUSTOMER_ID].to_pyarrow().to_pylist()
    return without(rows, [one for one, tags in deleted(named).items() if tag_of(name) in tags])


@contextmanager
def deletions(home: Path, who: SegmentsPolicy, now: datetime) -> Iterator[Deleted]:
    """What customers had deleted, as the home's ledger says; a home without a ledger was never asked."""
    told = read_settings(home=home)
    if told.ledger_url is None and not (home / "ledger.db").exists():
        yield lambda _: {}
        return
    zone = zone_of(who.bank.zone)
    with Ledger.open(ledger_url(told), home.resolve(), zone=zone, clock=lambda: now) as ledger:
        yield ledger.deleted_tags
