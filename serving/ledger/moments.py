"""All that a decision asks the ledger, in one statement: what happened of late, what is closed, what it repeats.

Three statements, each on a connection of its own from the pool, took longer than the decision itself. One statement
also sees one instant without a transaction around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Dialect, Select, literal_column, null, union_all
from sqlalchemy.types import BigInteger, String

from serving.ledger.prepared import OfCustomers
from serving.ledger.reading import closed_of, firsts_of
from serving.ledger.recent import DAYS, NEVER, RecentRows, happened_of, recent_rows
from serving.ledger.rows import FirstDecision
from serving.ledger.tables import decision, do_not_call, instant, micros

_CLOSED, _FIRST = 3, 4  # kinds beside those of recent rows


@dataclass(frozen=True, slots=True)
class Moment:
    """What the ledger knows of n customers at an instant; `closed` and `firsts` by customer, where there is any."""

    recent: RecentRows
    closed: dict[str, frozenset[str]]
    firsts: dict[str, FirstDecision]


class MomentReader:
    """Reads the moment of one customer or of many."""

    def __init__(self, dialect: Dialect) -> None:
        self._query = OfCustomers(_query, dialect)

    def read(self, cursor: Any, customer_ids: Sequence[str], *, before: datetime, on: date, start: datetime) -> Moment:
        """The moment of `customer_ids` (distinct) at `before`: recent rows, channels closed on the day `on`, and each
        one's first decision from `start` on. `cursor` is the driver's own."""
        at, since = micros(before), micros(before - timedelta(days=DAYS))
        rows = self._query.rows_by(cursor, customer_ids, before=at, since=since, on=on, start=micros(start))
        happened = [row for row in rows if row[1] < _CLOSED]
        closed: dict[str, set[str]] = {}
        firsts: dict[str, tuple[Any, ...]] = {}
        for row in rows if len(happened) < len(rows) else ():
            if row[1] == _CLOSED:
                closed.setdefault(row[0], set()).add(row[4])
            elif row[1] == _FIRST and (row[2], row[7]) < firsts.get(row[0], (_AFTER,))[0]:
                firsts[row[0]] = ((row[2], row[7]), row)
        return Moment(
            recent_rows(happened, customer_ids, at),
            {customer_id: frozenset(channels) for customer_id, channels in closed.items()},
            {customer_id: FirstDecision(row[3], row[4], instant(row[2])) for customer_id, (_, row) in firsts.items()},
        )


_AFTER = (1 << 63, 0)  # later than any instant


def _query(of_customers: Callable[[Any], Any]) -> Any:
    """Rows (customer, kind, at, offer, channel, purpose, outcome, opened at, failed at) of all kinds.

    A closed channel stands under its column; a first decision has its id under the offer, its release under the
    channel and its place in the chain under the opening.
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
    return union_all(*happened_of(of_customers), closed, firsts.order_by(None))
