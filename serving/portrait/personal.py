"""How a customer is addressed, for eyes that may see it: joined here at rendering, and at no other place.

Inside the bank a cleared role sees the name and the token that calls; from outside the family name alone (王**).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from features.vocabulary import Sensitivity
from serving.portrait.customer_rows import rows_of
from serving.security import Actor

_COLUMNS = ("full_name", "phone_token")


def personal(home: Path, customer_ids: Sequence[str], actor: Actor, now: datetime) -> dict[str, dict[str, str]]:
    """What `actor` may see of each customer's contact data, by customer; nothing of it for one who is not cleared."""
    if actor.clearance < Sensitivity.C2:
        return {}
    rows = rows_of(home, "personal", customer_ids, ("customer_id", *_COLUMNS), now)
    inside = actor.may_see(Sensitivity.C2)
    return {
        row["customer_id"]: {name: row[name] for name in _COLUMNS if row[name]} if inside else _from_outside(row)
        for row in rows
    }


def names(home: Path, customer_ids: Sequence[str], actor: Actor, now: datetime) -> dict[str, str]:
    """The name by which `actor` sees each of the customers: whole, masked, or empty where there is none for him."""
    seen = personal(home, customer_ids, actor, now)
    told = {one: seen.get(one, {}) for one in customer_ids}
    return {one: parts.get("full_name") or parts.get("masked_name") or "" for one, parts in told.items()}


def masked_name(full_name: str) -> str:
    """A name as it may be read over somebody's shoulder.

    >>> masked_name("王小明"), masked_name("Anna Novak")
    ('王**', 'A**')
    """
    return f"{full_name[:1]}**"


def _from_outside(row: dict[str, str | None]) -> dict[str, str]:
    return {"masked_name": masked_name(row["full_name"])} if row["full_name"] else {}
