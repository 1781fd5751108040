"""The same request sent twice is done once: keys of an actor on a route, with the answer that was given.

A key is claimed before the work and finished with its answer in the same transaction as what the work wrote. Claimed
and not finished, it answers "still running"; a claim older than a minute, by the database's own clock, belongs to a
process that died, and the next one who asks takes it over. Keys are kept as long as the decisions they led to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, select, update

from features.errors import BadRequest, UserMistake
from serving.ledger.chain import head
from serving.ledger.databases import seconds_now
from serving.ledger.tables import idempotency

RUNNING, DONE = "running", "done"
CLAIM_SECONDS = 60  # no request runs as long: the longest, 500 customers, takes seconds


class StillRunning(UserMistake):
    """A request of this key is being worked on (HTTP 409)."""

    slug = "still-running"


class OtherBody(BadRequest):
    """The key was used with another body (HTTP 422)."""

    slug = "other-body"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do the work of a key, until another attempt takes it over."""

    actor: str
    route: str
    key: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The answer that a key was finished with: HTTP status and body text."""

    status: int
    answer: str


@dataclass(frozen=True, slots=True)
class Finish:
    """A claim and the answer that ends it."""

    claim: Claim
    status: int
    answer: str


def begin(connection: Connection, actor: str, route: str, key: str, body_digest: str) -> Claim | StoredAnswer:
    """The claim to a new key, or the answer to one that is done; raises StillRunning or OtherBody."""
    head(connection, for_update=True)
    now = seconds_now(connection) * 1_000_000
    claim = Claim(actor, route, key, 1)
    row = connection.execute(select(idempotency).where(_of(claim))).one_or_none()
    if row is None:
        new = {"actor": actor, "route": route, "key": key, "body_digest": body_digest}
        connection.execute(idempotency.insert(), new | {"state": RUNNING, "attempt": 1, "started_at": now})
        return claim
    if row.body_digest != body_digest:
        raise OtherBody("this Idempotency-Key was used with another body", value=key, todo="use a new key")
    if row.state == DONE:
        return StoredAnswer(row.status, row.answer)
    if now - row.started_at < CLAIM_SECONDS * 1_000_000:
        raise StillRunning("a request of this Idempotency-Key is still running", value=key, todo="ask again later")
    claim = Claim(actor, route, key, row.attempt + 1)
    connection.execute(update(idempotency).where(_of(claim)), {"attempt": claim.attempt, "started_at": now})
    return claim


def finish(connection: Connection, done: Finish) -> None:
    """Keep the answer of a claim; raises StillRunning if another attempt has taken it over."""
    values = {"state": DONE, "status": done.status, "answer": done.answer}
    if connection.execute(update(idempotency).where(_held(done.claim)), values).rowcount != 1:
        raise StillRunning("another attempt has taken over this Idempotency-Key", value=done.claim.key,
                           todo="ask again for its answer")  # fmt: skip


def abandon(connection: Connection, claim: Claim) -> None:
    """Give a claim back, so that the next request of its key may try at once; one taken over stays as it is."""
    connection.execute(delete(idempotency).where(_held(claim)))


def _of(claim: Claim) -> Any:
    return and_(*[idempotency.c[name] == getattr(claim, name) for name in ("actor", "route", "key")])


def _held(claim: Claim) -> Any:
    return and_(_of(claim), idempotency.c.state == RUNNING, idempotency.c.attempt == claim.attempt)
