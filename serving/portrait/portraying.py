"""Everything that a portrait needs, read in one place for the interface and the console alike."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from serving.desk.deciding import Desk, unknown_customer
from serving.disclosure import seen_tags
from serving.errors import UnknownTag
from serving.portrait.customer_rows import rows_of
from serving.portrait.expectations import next_step, value
from serving.portrait.months import Shelf
from serving.portrait.personal import personal
from serving.portrait.portraits import Around, Known, plain, portrait
from serving.portrait.timelines import timeline
from serving.security import Actor, require

_MOST_SURVEYS = 5


def known_of(desk: Desk, customer_id: str, now: datetime) -> Known | None:
    """What is known of one customer at `now`; None for one whom the release does not know."""
    ground = desk.ground()
    rules, found = ground.rulebook(ground.business_day(now)), desk.facts([customer_id], now)
    if not found.ids:
        return None
    facts = found.facts | {"p_churn": rules.scorer.churn(found.facts, 1)}
    scores = rules.scorer.score(facts, 1, "")
    p_best = None if scores is None else float(np.nanmax(scores.p))
    champions = ground.champions
    return Known(customer_id, facts, p_best, bool(found.stale[0]), rules.catalogue.bands,
                 next_step(champions, facts), value(champions, facts))  # fmt: skip


def portrayed(desk: Desk, shelf: Shelf, actor: Actor, customer_id: str) -> dict[str, Any]:
    """The portrait of a customer for `actor`; raises NotAllowed outside his book, and UnknownCustomer."""
    require(actor, "read_customer", customer_id)
    now, ground = desk.clock.now(), desk.ground()
    known = known_of(desk, customer_id, now)
    if known is None:
        raise unknown_customer(customer_id)
    history, surveys = shelf.of(ground.release).history(customer_id), _surveys(desk.home, customer_id, now)
    around = Around(
        personal=personal(desk.home, [customer_id], actor, now).get(customer_id, {}),
        history=history,
        surveys=surveys,
        timeline=timeline(desk.ledger, customer_id, history, surveys, now, ground.zone),
    )
    return portrait(known, around, ground, ground.rulebook(ground.business_day(now)), actor)


def delete_tag(desk: Desk, actor: Actor, customer_id: str, tag: str) -> datetime:
    """When the customer's tag was deleted; again gives the first time.

    Raises NotAllowed outside the actor's book, UnknownCustomer, and UnknownTag for a tag that the customer neither has
    nor had deleted, or that the actor may not see.
    """
    require(actor, "delete_tag", customer_id)
    known = known_of(desk, customer_id, desk.clock.now())
    if known is None:
        raise unknown_customer(customer_id)
    had = {*(plain("tags", known.facts["tags"]) or ()), *desk.ledger.deleted_tags([customer_id]).get(customer_id, ())}
    seen = seen_tags(sorted(had), desk.ground().segments, actor)
    if tag not in seen:
        raise UnknownTag("the customer has no such tag", value=tag, allowed=seen, zh=f"该客户没有标签 {tag}")
    return desk.ledger.delete_tag(customer_id, tag, actor.name)


def _surveys(home: Path, customer_id: str, now: datetime) -> list[dict[str, Any]]:
    """The last answers to surveys, newest first."""
    columns = ("touchpoint", "nps", "csat", "business_on", "occurred_at")
    rows = rows_of(home, "survey_response", [customer_id], columns, now)
    rows.sort(key=lambda row: row["occurred_at"], reverse=True)
    return [
        {"on": row["business_on"].isoformat(), "touchpoint": row["touchpoint"], "nps": row["nps"], "csat": row["csat"]}
        for row in rows[:_MOST_SURVEYS]
    ]
