"""The hash chain over the decisions: what each row is hashed over, and the check that nothing was changed.

    row_hash = SHA-256( prev_hash ‖ body )

The body is canonical JSON in which the customer, the answer and the inputs stand as HMAC-SHA256 under the home's
pseudonym key: a customer can be erased later while the chain, over the values noted at his erasure, still holds; and
who has the chain without the key cannot guess a customer from it. The placements of a decision are part of its body.

A chain shows a row that was mutated, deleted, moved or inserted, at any position. Cutting off its tail it shows only
against a head that was noted elsewhere (an anchor: daily file, log line, time stamp): who rewrites the tail rewrites
the stored head with it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, func, select, update

from features.errors import NotReady, UserMistake
from serving.ledger.tables import chain_head, decision, placement

CHAIN = "decision"
GENESIS = "0" * 64
FAULTS_MAX = 100
_NAMELESS, _NAMED = 1, 2  # layouts of the body: without and with who asked
_PLAIN = itemgetter(
    "seq", "decision_id", "decided_at", "channel", "release_id", "prices_version", "segments_digest",
    "decisions_digest", "arm", "repeat_of", "is_degraded", "is_fallback", "is_stale",
)  # fmt: skip
_PERSONAL = ("customer_id", "answer", "inputs")
_SLOT = itemgetter(
    "placement_id", "rank", "offer_id", "treatment_id", "channel", "purpose", "propensity", "cost_minor", "expires_at"
)
_CHUNK_ROWS = 1_000
_OF_CHAIN = chain_head.c.chain == bindparam("of_chain")
HEAD = select(chain_head.c.seq, chain_head.c.row_hash).where(_OF_CHAIN)
WRITE_HEAD = update(chain_head).where(_OF_CHAIN).values(seq=bindparam("new_seq"), row_hash=bindparam("new_hash"))
_WRITE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
Values = Mapping[str, Any] | RowMapping


class WrongKey(NotReady):
    """The pseudonym key is not the one that the chain was written with."""

    slug = "wrong-key"


@dataclass(frozen=True, slots=True)
class Head:
    """The last decision of the chain; (0, 64 zeros) for an empty one. Noted elsewhere, it is an anchor."""

    seq: int
    row_hash: str


@dataclass(frozen=True, slots=True)
class ChainFault:
    """Where the chain does not hold: `seq` of the row, and how (gap, link, body, head, anchor, orphan)."""

    seq: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What `verify` found. Without an anchor (`is_anchored`) a tail that was cut off cannot be told."""

    n_rows: int
    head: Head
    faults: tuple[ChainFault, ...]
    is_anchored: bool

    @property
    def is_whole(self) -> bool:
        return not self.faults

    @property
    def limits(self) -> str:
        """What this check cannot see, as one sentence."""
        if self.is_anchored:
            return f"rows after the anchor may have been cut off; up to it the {self.n_rows} rows are accounted for"
        return "a tail that was cut off together with the stored head cannot be told without an anchor"


def pseudonym_key(home: Path) -> bytes:
    """The home's key of 32 bytes, made once, mode 0600; raises UserMistake if others may read it."""
    path = home / "keys" / "pseudonym.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_suffix(".new")
        made.unlink(missing_ok=True)
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UserMistake("the pseudonym key can be read by others", value=path.name, allowed="mode 0600",
                          todo=f"chmod 600 {path}")  # fmt: skip
    return path.read_bytes()


class Chain:
    """Hashes decisions under one pseudonym key."""

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, digestmod="sha256")
        self.key_id = hashlib.sha256(key).hexdigest()[:16]

    def pseudonym(self, value: str) -> str:
        """HMAC-SHA256 of a text under the home's key, hexadecimal: stable within a home, unlinkable without its key."""
        keyed = self._keyed.copy()  # what is hashed of the key is the same for every value
        keyed.update(value.encode())
        return keyed.hexdigest()

    def begin(self, connection: Connection) -> None:
        """Write the head of an empty chain if there is none; raises WrongKey if the chain has another key."""
        row = connection.execute(select(chain_head).where(chain_head.c.chain == CHAIN)).one_or_none()
        if row is None:
            start = {"chain": CHAIN, "seq": 0, "row_hash": GENESIS, "key_id": self.key_id}
            connection.execute(chain_head.insert(), start)
        elif row.key_id != self.key_id:
            raise WrongKey("keys/pseudonym.key is not the key of this ledger", value=self.key_id, allowed=row.key_id,
                           todo="restore the key file from the backup")  # fmt: skip

    def row_hash(self, prev_hash: str, row: Values, slots: Iterable[Values]) -> str:
        """The hash of a decision after `prev_hash`, over the values of its row and of its placements in rank order."""
        customer_id = row["customer_id"]
        body = [
            _NAMELESS if row["actor"] is None else _NAMED,
            _PLAIN(row),
            [self.pseudonym(row[name]) for name in _PERSONAL],
            [(*_SLOT(slot), slot["customer_id"] == customer_id) for slot in slots],
        ]
        if row["actor"] is not None:
            body.append(row["actor"])
        text = _WRITE(body)
        return hashlib.sha256(prev_hash.encode() + text.encode()).hexdigest()

    def verify(self, connection: Connection, anchor: Head | None = None) -> ChainReport:
        """Recompute the whole chain on one snapshot; at most 100 faults are listed."""
        faults: list[ChainFault] = []
        last, is_met, n_rows = Head(0, GENESIS), anchor is None or anchor.seq == 0, 0
        for row, slots in _decisions(connection):
            n_rows += 1
            faults += self._faults(last, row, slots)
            last = Head(row["seq"], row["row_hash"])
            is_met = is_met or last == anchor
        stored = head(connection)
        if stored != last:
            faults.append(ChainFault(last.seq, "head", f"the stored head is at {stored.seq}, the last row {last.seq}"))
        if anchor is not None and not is_met:
            faults.append(ChainFault(anchor.seq, "anchor", "the anchored row is not in the chain"))
        faults += _orphans(connection)
        return ChainReport(n_rows, last, tuple(faults[:FAULTS_MAX]), anchor is not None)

    def _faults(self, last: Head, row: Values, slots: list[Values]) -> Iterator[ChainFault]:
        seq = row["seq"]
        if seq != last.seq + 1:
            yield ChainFault(seq, "gap", f"follows row {last.seq}")
        if row["prev_hash"] != last.row_hash:
            yield ChainFault(seq, "link", "does not name the hash of the row before it")
        if row["row_hash"] != self.row_hash(row["prev_hash"], row, slots):
            yield ChainFault(seq, "body", "is not what was hashed when it was written")


def head(connection: Connection, *, for_update: bool = False) -> Head:
    """The stored head; `for_update` holds it until the transaction ends, so that writers follow one another."""
    query = HEAD.with_for_update() if for_update else HEAD
    return Head(*connection.execute(query, {"of_chain": CHAIN}).one())


def _decisions(connection: Connection) -> Iterator[tuple[Values, list[Values]]]:
    """Every decision in order with its placements in theirs, a chunk of rows in memory at a time."""
    of_decision = decision.c.decision_id == placement.c.decision_id
    in_order = (
        select(decision.c.seq, placement)
        .join_from(decision, placement, of_decision)
        .order_by(decision.c.seq, placement.c.rank, placement.c.placement_id)
    )
    slots = groupby(_stream(connection, in_order), key=itemgetter("seq"))
    waiting = next(slots, None)
    for row in _stream(connection, select(decision).order_by(decision.c.seq)):
        mine: list[Values] = []
        if waiting is not None and waiting[0] == row["seq"]:
            mine = list(waiting[1])
            waiting = next(slots, None)
        yield row, mine


def _stream(connection: Connection, query: Select[Any]) -> Iterator[RowMapping]:
    yield from connection.execute(query, execution_options={"yield_per": _CHUNK_ROWS}).mappings()


def _orphans(connection: Connection) -> list[ChainFault]:
    missing = ~placement.c.decision_id.in_(select(decision.c.decision_id))
    n_orphans = connection.execute(select(func.count()).select_from(placement).where(missing)).scalar_one()
    return [ChainFault(0, "orphan", f"{n_orphans} placements belong to no decision")] if n_orphans else []
