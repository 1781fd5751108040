"""What became of the decisions of some days: how many were opened, acted on and converted, counted by the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Integer, Select, case, cast, func, select

from features.vocabulary import LEFT_LYING, Outcome
from serving.ledger.tables import contact, decision, instant, micros, placement, response


@dataclass(frozen=True, slots=True)
class AdviceCounts:
    """Decisions that placed an offer, by what they stood on: models, or rules alone (`is_degraded`).

    `first_at` is when the first of all was made, whether inside the days or before.
    """

    is_degraded: bool
    first_at: datetime
    n_advised: int
    n_opened: int
    n_acted: int
    n_converted: int


def read_advice(connection: Connection, since: datetime, until: datetime) -> tuple[AdviceCounts, ...]:
    """What came by `until` of the decisions with since ≤ decided_at < until that placed an offer and repeat no other.

    Opened is a contact that was opened or any answer; acted on any answer but LEFT_LYING; converted the answer of that
    name. An answer belongs to the placement it cites, or to that of its contact.
    """
    counts = {bool(row.is_degraded): row for row in connection.execute(_counted(micros(since), micros(until)))}
    placed = select(placement.c.decision_id)
    firsts = (
        select(decision.c.is_degraded, func.min(decision.c.decided_at).label("first_at"))
        .where(decision.c.decision_id.in_(placed), decision.c.decided_at < micros(until))
        .group_by(decision.c.is_degraded)
    )
    return tuple(
        AdviceCounts(bool(row.is_degraded), instant(row.first_at), *_four(counts.get(bool(row.is_degraded))))
        for row in connection.execute(firsts)
    )


def _counted(since: int, until: int) -> Select[tuple[bool, int, int, int, int]]:
    said = (
        select(
            func.coalesce(response.c.placement_id, contact.c.placement_id).label("placement_id"),
            response.c.outcome.label("outcome"),
        )
        .select_from(response.outerjoin(contact, response.c.contact_id == contact.c.contact_id))
        .where(response.c.occurred_at >= since, response.c.occurred_at < until)
        .subquery()
    )

    def any_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.max(case((condition, 1), else_=0))

    joined = (
        decision.join(placement, placement.c.decision_id == decision.c.decision_id)
        .outerjoin(contact, contact.c.placement_id == placement.c.placement_id)
        .outerjoin(said, said.c.placement_id == placement.c.placement_id)
    )
    acted = said.c.outcome.is_not(None) & said.c.outcome.not_in([str(outcome) for outcome in LEFT_LYING])
    each = (
        select(
            decision.c.is_degraded,
            any_of((contact.c.opened_at < until) | said.c.outcome.is_not(None)).label("opened"),
            any_of(acted).label("acted"),
            any_of(said.c.outcome == str(Outcome.CONVERTED)).label("converted"),
        )
        .select_from(joined)
        .where(decision.c.decided_at >= since, decision.c.decided_at < until, decision.c.repeat_of.is_(None))
        .group_by(decision.c.decision_id, decision.c.is_degraded)
        .subquery()
    )
    sums = [cast(func.sum(each.c[name]), Integer).label(f"n_{name}") for name in ("opened", "acted", "converted")]
    return select(each.c.is_degraded, func.count().label("n_advised"), *sums).group_by(each.c.is_degraded)


def _four(row: object) -> tuple[int, int, int, int]:
    names = ("n_advised", "n_opened", "n_acted", "n_converted")
    return (0, 0, 0, 0) if row is None else tuple(int(getattr(row, name)) for name in names)  # type: ignore[return-value]  # four names, four numbers
