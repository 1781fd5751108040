"""All that a decision asks the ledger, in one statement: what happened of late, what is closed, what it repeats.

Three statements, each on a connection of its own from the pool, took longer than the decision itself. One statement
also sees one instant without a transaction around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Dialect, Select, case, literal_column, null, union_all
from sqlalchemy.types import BigInteger, String

from features.vocabulary import KEPT_DAYS
from serving.ledger.consents import Word, said_of
from serving.ledger.prepared import OfCustomers
from serving.ledger.reading import closed_of, firsts_of
from serving.ledger.recent import KINDS, NEVER, RecentRows, happened_of, recent_rows
from serving.ledger.rows import FirstDecision
from serving.ledger.tables import consent, decision, do_not_call, instant, micros, tag_deletion
from serving.ledger.tag_deletions import deleted_of

Firsts = Mapping[str, FirstDecision]  # by customer
_CLOSED, _FIRST, _UNTAGGED, _SAID = 3, 4, 5, 6  # kinds beside those of recent rows


@dataclass(frozen=True, slots=True)
class Moment:
    """What the ledger knows of n customers at an instant; all but `recent` by customer, where there is any.

    `untagged` are the tags that a customer deleted, `said` all that he said on consent here, in order of time.
    """

    recent: RecentRows
    closed: dict[str, frozenset[str]]
    firsts: dict[str, FirstDecision]
    untagged: dict[str, frozenset[str]]
    said: dict[str, tuple[Word, ...]]


class Happening(NamedTuple):
    """One row of `RecentRows` as plain values; instants are microseconds since 1970, `opened_at` None if never."""

    kind: str
    at: int
    offer_id: str | None
    channel: str | None
    purpose: str | None
    outcome: str | None
    opened_at: int | None


class MomentOfOne(NamedTuple):
    """What the ledger knows of one customer at an instant, happenings in order of time."""

    happened: Sequence[Happening]
    closed: frozenset[str] = frozenset()
    first: FirstDecision | None = None
    untagged: frozenset[str] = frozenset()
    said: tuple[Word, ...] = ()


class MomentReader:
    """Reads the moments of customers: of a few one by one, of many in arrays."""

    def __init__(self, dialect: Dialect) -> None:
        self._query = OfCustomers(_query, dialect)

    def read(
        self, cursor: Any, customer_ids: Sequence[str], waiting: Firsts, *, before: datetime, on: date, start: datetime
    ) -> Moment:
        """The moment of `customer_ids` (distinct) at `before`: recent rows, channels closed on the day `on`, and each
        one's first decision from `start` on, `waiting` those not posted yet. `cursor` is the driver's own."""
        at, since = micros(before), micros(before - _KEPT)
        rows = self._query.rows_by(cursor, customer_ids, before=at, since=since, on=on, start=micros(start))
        happened = [row for row in rows if row[1] < _CLOSED]
        closed: dict[str, set[str]] = {}
        untagged: dict[str, set[str]] = {}
        firsts: dict[str, tuple[Any, ...]] = {}
        said: dict[str, list[Any]] = {}
        for row in rows if len(happened) < len(rows) else ():
            if row[1] == _CLOSED:
                closed.setdefault(row[0], set()).add(row[4])
            elif row[1] == _UNTAGGED:
                untagged.setdefault(row[0], set()).add(row[4])
            elif row[1] == _SAID:
                said.setdefault(row[0], []).append(row)
            elif row[1] == _FIRST and (row[2], row[7]) < firsts.get(row[0], (_AFTER,))[0]:
                firsts[row[0]] = ((row[2], row[7]), row)
        return Moment(
            recent_rows(happened, customer_ids, at),
            {customer_id: frozenset(channels) for customer_id, channels in closed.items()},
            _with_waiting(
                {name: FirstDecision(row[3], row[4], instant(row[2])) for name, (_, row) in firsts.items()}, waiting
            ),
            {customer_id: frozenset(tags) for customer_id, tags in untagged.items()},
            {customer_id: _words(rows) for customer_id, rows in said.items()},
        )

    def read_each(
        self, cursor: Any, customer_ids: Sequence[str], waiting: Firsts, *, before: datetime, on: date, start: datetime
    ) -> dict[str, MomentOfOne]:
        """The moment of each of a few customers (distinct), as `read` gives it of many."""
        at, since = micros(before), micros(before - _KEPT)
        rows = self._query.rows_by(cursor, customer_ids, before=at, since=since, on=on, start=micros(start))
        rows_of: dict[str, list[Any]] = {}
        for row in rows:
            rows_of.setdefault(row[0], []).append(row)
        found = {name: _of_one(rows_of[name], at) if name in rows_of else _NOTHING for name in customer_ids}
        for customer_id in waiting:
            one = found[customer_id]
            firsts = {} if one.first is None else {customer_id: one.first}
            found[customer_id] = one._replace(first=_with_waiting(firsts, waiting)[customer_id])
        return found


def _with_waiting(firsts: Firsts, waiting: Firsts) -> dict[str, FirstDecision]:
    """The first decisions of the ledger with those that wait in its daybook; of two at one instant the posted one."""
    found = dict(firsts)
    for customer_id, first in waiting.items():
        if customer_id not in found or first.decided_at < found[customer_id].decided_at:
            found[customer_id] = first
    return found


def _of_one(rows: list[Any], at: int) -> MomentOfOne:
    rows.sort(key=_BY_TIME)
    happened = [
        Happening(
            KINDS[kind],
            when,
            offer,
            channel,
            purpose,
            outcome,
            opened_at if opened_at != NEVER and opened_at < at else None,
        )
        for _, kind, when, offer, channel, purpose, outcome, opened_at, _ in rows
        if kind < _CLOSED
    ]
    return MomentOfOne(happened) if len(happened) == len(rows) else MomentOfOne(happened, *_others(rows))


def _others(rows: Sequence[Any]) -> tuple[frozenset[str], FirstDecision | None, frozenset[str], tuple[Word, ...]]:
    """What else than happenings is among a customer's rows."""
    firsts = [row for row in rows if row[1] == _FIRST]
    first = min(firsts, key=_BY_PLACE) if firsts else None
    return (
        frozenset([row[4] for row in rows if row[1] == _CLOSED]),
        None if first is None else FirstDecision(first[3], first[4], instant(first[2])),
        frozenset([row[4] for row in rows if row[1] == _UNTAGGED]),
        _words([row for row in rows if row[1] == _SAID]),
    )


_NOTHING = MomentOfOne([])
_KEPT = timedelta(days=KEPT_DAYS)
_BY_TIME, _BY_PLACE = itemgetter(2, 1), itemgetter(2, 7)
_AFTER = (1 << 63, 0)  # later than any instant


def _query(of_customers: Callable[[Any], Any]) -> Any:
    """Rows (customer, kind, at, offer, channel, purpose, outcome, opened at, failed at) of all kinds.

    A closed channel and a deleted tag stand under the channel; a first decision has its id under the offer, its
    release under the channel and its place in the chain under the opening. A word on consent has its category under the
    offer, whether it grants under the opening and whether it is proven under the failure.
    """
    text, never = null().cast(String), literal_column(str(NEVER), BigInteger)
    closed: Select[Any] = closed_of(of_customers).with_only_columns(
        do_not_call.c.customer_id, literal_column(str(_CLOSED)), never, text, do_not_call.c.channel, text, text, never,
        never,
    )  # fmt: skip
    firsts: Select[Any] = firsts_of(of_customers).with_only_columns(
        decision.c.customer_id, literal_column(str(_FIRST)), decision.c.decided_at, decision.c.decision_id,
        decision.c.release_id, text, text, decision.c.seq, never,
    )  # fmt: skip
    untagged: Select[Any] = deleted_of(of_customers).with_only_columns(
        tag_deletion.c.customer_id, literal_column(str(_UNTAGGED)), never, text, tag_deletion.c.tag, text, text, never,
        never,
    )  # fmt: skip
    said: Select[Any] = said_of(of_customers).with_only_columns(
        consent.c.customer_id, literal_column(str(_SAID)), consent.c.occurred_at, consent.c.category,
        consent.c.channel, consent.c.purpose, text, _one_if(consent.c.is_granted),
        _one_if(consent.c.proof_id.is_not(None)),
    )  # fmt: skip
    return union_all(*happened_of(of_customers), closed, firsts.order_by(None), untagged, said)


def _one_if(holds: Any) -> Any:
    return case((holds, literal_column("1", BigInteger)), else_=literal_column("0", BigInteger))


def _words(rows: Sequence[Sequence[Any]]) -> tuple[Word, ...]:
    """Words in order of time; of those at one instant a withdrawal comes last, and so counts."""
    words = [
        Word(at, purpose, channel, category, bool(granted), bool(proven))
        for _, _, at, category, channel, purpose, _, granted, proven in rows
    ]
    return tuple(sorted(words, key=lambda word: (word.at, not word.is_granted)))
