"""Tags that customers deleted (R32): written once, never taken back, whatever later builds say of the customer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, and_, select

from serving.ledger.chain import head
from serving.ledger.scope import Scope, chunks
from serving.ledger.tables import instant, micros, tag_deletion


def delete_tag(scope: Scope, connection: Connection, customer_id: str, tag: str, actor: str) -> datetime:
    """When the customer's tag was deleted: now, or at the first time if it is deleted already."""
    head(connection, for_update=True)
    deleted = and_(tag_deletion.c.customer_id == customer_id, tag_deletion.c.tag == tag)
    before = connection.execute(select(tag_deletion.c.deleted_at).where(deleted)).scalar_one_or_none()
    if before is not None:
        return instant(before)
    at = micros(scope.clock())
    row = {"customer_id": customer_id, "tag": tag, "deleted_at": at, "actor": actor}
    connection.execute(tag_deletion.insert(), row)
    return instant(at)


def read_deleted(connection: Connection, customer_ids: Sequence[str]) -> dict[str, dict[str, datetime]]:
    """The deleted tags of each customer who has any, with when."""
    found: dict[str, dict[str, datetime]] = {}
    for chunk in chunks(customer_ids):
        query = deleted_of(partial(_among, chunk)).add_columns(tag_deletion.c.deleted_at)
        for customer_id, tag, at in connection.execute(query):
            found.setdefault(customer_id, {})[tag] = instant(at)
    return found


def deleted_of(of_customers: Callable[[Any], Any]) -> Select[Any]:
    """The query of the tags that customers deleted."""
    return select(tag_deletion.c.customer_id, tag_deletion.c.tag).where(of_customers(tag_deletion.c.customer_id))


def _among(customer_ids: Sequence[str], column: Any) -> Any:
    return column.in_(customer_ids)
