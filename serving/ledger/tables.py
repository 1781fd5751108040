"""Tables of the ledger: what was decided, what went out, what came back.

Instants (`_at`) are whole microseconds since 1970 in UTC, so that no driver's date adapter (Feast replaces the one of
sqlite3 for the whole process) and no time zone of a machine can change them; `_on` is a date in the bank's zone;
`_minor` is money in hundredths; JSON is kept as the text that was sent or used. `source` tells the bank's own history
('bank') from what this ledger learned ('ledger'), which alone is exported.

The migrations under `migrations/versions` create these tables; a test holds the two equal.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()
LEDGER, BANK = "ledger", "bank"
# Compared byte by byte on every database: the chain hashes placements of one rank in the order of their ids.
WORD = String().with_variant(String(collation="C"), "postgresql")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Whole microseconds of an aware instant since 1970 in UTC.

    >>> micros(datetime(1970, 1, 1, 8, 0, 1, tzinfo=UTC))
    28801000000
    """
    return (at - _EPOCH) // _MICROSECOND


def instant(at: int) -> datetime:
    """The aware instant, UTC, that `micros` wrote; exact in both directions.

    >>> instant(28801000000).isoformat()
    '1970-01-01T08:00:01+00:00'
    """
    return _EPOCH + at * _MICROSECOND


def minor(amount: Decimal) -> int:
    """Hundredths of an amount in the bank's reporting currency.

    >>> minor(Decimal("1.25"))
    125
    """
    return round(amount * 100)


decision = Table(
    "decision",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 … without a gap: place in the chain
    Column("decision_id", WORD, nullable=False, unique=True),
    Column("customer_id", WORD, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("channel", WORD, nullable=False),
    Column("release_id", WORD, nullable=False),
    Column("prices_version", WORD, nullable=False),
    Column("segments_digest", WORD, nullable=False),
    Column("decisions_digest", WORD, nullable=False),
    Column("arm", WORD, nullable=False),
    Column("repeat_of", WORD),  # null: the first of its day
    Column("is_degraded", Boolean, nullable=False),
    Column("is_fallback", Boolean, nullable=False),
    Column("is_stale", Boolean, nullable=False),
    Column("answer", Text, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("row_hash", String(64), nullable=False),
    Column("actor", WORD),  # who asked; null: recorded before that was kept
    Index("ix_decision_customer", "customer_id", "decided_at"),
    Index("ix_decision_decided", "decided_at", "seq"),
)
placement = Table(
    "placement",
    METADATA,
    Column("placement_id", WORD, primary_key=True),
    Column("decision_id", WORD, ForeignKey("decision.decision_id"), nullable=False),
    Column("customer_id", WORD, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("offer_id", WORD, nullable=False),
    Column("treatment_id", WORD, nullable=False),
    Column("channel", WORD, nullable=False),
    Column("purpose", WORD, nullable=False),
    Column("propensity", Float),  # null: not chosen by chance
    Column("cost_minor", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_placement_decision", "decision_id"),
)
contact = Table(
    "contact",
    METADATA,
    Column("contact_id", WORD, primary_key=True),
    Column("customer_id", WORD, nullable=False),
    Column("placement_id", WORD),  # null: not from a decision
    Column("campaign_id", WORD),
    Column("offer_id", WORD),
    Column("channel", WORD, nullable=False),
    Column("purpose", WORD, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("business_on", Date, nullable=False),
    Column("delivered_at", BigInteger),
    Column("opened_at", BigInteger),
    Column("failed_at", BigInteger),
    Column("propensity", Float),
    Column("cost_minor", BigInteger, nullable=False),
    Column("known_at", BigInteger, nullable=False),
    Column("source", WORD, nullable=False),
    Index("ix_contact_customer", "customer_id", "sent_at"),
    Index("ix_contact_placement", "placement_id"),
)
contact_event = Table(
    "contact_event",
    METADATA,
    Column("event_id", WORD, primary_key=True),
    Column("contact_id", WORD, ForeignKey("contact.contact_id"), nullable=False),
    Column("status", WORD, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", WORD, nullable=False),
    Column("body_digest", String(64), nullable=False),
    Column("known_at", BigInteger, nullable=False),
    Index("ix_contact_event_contact", "contact_id"),
)
response = Table(
    "response",
    METADATA,
    Column("event_id", WORD, primary_key=True),
    Column("customer_id", WORD, nullable=False),
    Column("contact_id", WORD),
    Column("placement_id", WORD),
    Column("offer_id", WORD),
    Column("outcome", WORD, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("business_on", Date, nullable=False),
    Column("amount_minor", BigInteger),
    Column("reason_code", WORD),
    Column("next_contact_on", Date),
    Column("note", Text),
    Column("actor", WORD, nullable=False),
    Column("body_digest", String(64), nullable=False),
    Column("known_at", BigInteger, nullable=False),
    Column("source", WORD, nullable=False),
    Index("ix_response_customer", "customer_id", "occurred_at"),
    Index("ix_response_placement", "placement_id"),
)
complaint = Table(
    "complaint",
    METADATA,
    Column("complaint_id", WORD, primary_key=True),
    Column("customer_id", WORD, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("business_on", Date, nullable=False),
    Column("closed_at", BigInteger),  # null: still open
    Column("topic", WORD, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("known_at", BigInteger, nullable=False),
    Column("source", WORD, nullable=False),
    Index("ix_complaint_customer", "customer_id", "opened_at"),
)
case_file = Table(
    "case",
    METADATA,
    Column("case_id", WORD, primary_key=True),
    Column("complaint_id", WORD, ForeignKey("complaint.complaint_id"), nullable=False, unique=True),
    Column("customer_id", WORD, nullable=False),
    Column("placement_id", WORD),
    Column("opened_at", BigInteger, nullable=False),
    Column("state", WORD, nullable=False),
    Column("opened_by", WORD, nullable=False),
    Index("ix_case_customer", "customer_id"),
)
do_not_call = Table(
    "do_not_call",
    METADATA,
    Column("customer_id", WORD, primary_key=True),
    Column("channel", WORD, primary_key=True),
    Column("from_on", Date, primary_key=True),
    Column("to_on", Date),  # null: until renewed consent (R40)
    Column("occurred_at", BigInteger, nullable=False),  # when the customer said so
    Column("event_id", WORD, nullable=False),  # the response it came with
    Column("known_at", BigInteger, nullable=False),
)
consent = Table(
    "consent",
    METADATA,
    Column("consent_id", WORD, primary_key=True),
    Column("customer_id", WORD, nullable=False),
    Column("purpose", WORD, nullable=False),
    Column("channel", WORD),  # null: all channels
    Column("category", WORD),  # null: all categories of products
    Column("is_granted", Boolean, nullable=False),
    Column("proof_id", WORD),
    Column("occurred_at", BigInteger, nullable=False),
    Column("business_on", Date, nullable=False),
    Column("actor", WORD, nullable=False),
    Column("body_digest", String(64), nullable=False),
    Column("known_at", BigInteger, nullable=False),
    Index("ix_consent_customer", "customer_id", "occurred_at"),
)
tag_deletion = Table(
    "tag_deletion",
    METADATA,
    Column("customer_id", WORD, primary_key=True),
    Column("tag", WORD, primary_key=True),
    Column("deleted_at", BigInteger, nullable=False),
    Column("actor", WORD, nullable=False),
)
idempotency = Table(
    "idempotency",
    METADATA,
    Column("actor", WORD, primary_key=True),
    Column("route", WORD, primary_key=True),
    Column("key", WORD, primary_key=True),
    Column("body_digest", String(64), nullable=False),
    Column("state", WORD, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),  # the database's time: the home's clock may stand still
    Column("status", Integer),
    Column("answer", Text),
)
chain_head = Table(
    "chain_head",
    METADATA,
    Column("chain", WORD, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("row_hash", String(64), nullable=False),
    Column("key_id", String(16), nullable=False),  # which pseudonym key the chain is hashed with
)
