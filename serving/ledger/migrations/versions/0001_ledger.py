"""The first ledger: decisions in a chain, what went out, what came back, consents, cases, idempotency."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
WORD = sa.String().with_variant(sa.String(collation="C"), "postgresql")  # compared byte by byte


def upgrade() -> None:
    op.create_table(
        "chain_head",
        sa.Column("chain", WORD, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("row_hash", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("chain"),
    )
    op.create_table(
        "complaint",
        sa.Column("complaint_id", WORD, nullable=False),
        sa.Column("customer_id", WORD, nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("topic", WORD, nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.Column("source", WORD, nullable=False),
        sa.PrimaryKeyConstraint("complaint_id"),
    )
    op.create_index("ix_complaint_customer", "complaint", ["customer_id", "opened_at"], unique=False)
    op.create_table(
        "consent",
        sa.Column("consent_id", WORD, nullable=False),
        sa.Column("customer_id", WORD, nullable=False),
        sa.Column("purpose", WORD, nullable=False),
        sa.Column("channel", WORD, nullable=True),
        sa.Column("is_granted", sa.Boolean(), nullable=False),
        sa.Column("proof_id", WORD, nullable=True),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("actor", WORD, nullable=False),
        sa.Column("body_digest", sa.String(length=64), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("consent_id"),
    )
    op.create_index("ix_consent_customer", "consent", ["customer_id", "occurred_at"], unique=False)
    op.create_table(
        "contact",
        sa.Column("contact_id", WORD, nullable=False),
        sa.Column("customer_id", WORD, nullable=False),
        sa.Column("placement_id", WORD, nullable=True),
        sa.Column("campaign_id", WORD, nullable=True),
        sa.Column("offer_id", WORD, nullable=True),
        sa.Column("channel", WORD, nullable=False),
        sa.Column("purpose", WORD, nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("propensity", sa.Float(), nullable=True),
        sa.Column("cost_minor", sa.BigInteger(), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.Column("source", WORD, nullable=False),
        sa.PrimaryKeyConstraint("contact_id"),
    )
    op.create_index("ix_contact_customer", "contact", ["customer_id", "sent_at"], unique=False)
    op.create_index("ix_contact_placement", "contact", ["placement_id"], unique=False)
    op.create_table(
        "decision",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("decision_id", WORD, nullable=False),
        sa.Column("customer_id", WORD, nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("channel", WORD, nullable=False),
        sa.Column("release_id", WORD, nullable=False),
        sa.Column("prices_version", WORD, nullable=False),
        sa.Column("segments_digest", WORD, nullable=False),
        sa.Column("decisions_digest", WORD, nullable=False),
        sa.Column("arm", WORD, nullable=False),
        sa.Column("repeat_of", WORD, nullable=True),
        sa.Column("is_degraded", sa.Boolean(), nullable=False),
        sa.Column("is_fallback", sa.Boolean(), nullable=False),
        sa.Column("is_stale", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("row_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("decision_id"),
    )
    op.create_index("ix_decision_customer", "decision", ["customer_id", "decided_at"], unique=False)
    op.create_index("ix_decision_decided", "decision", ["decided_at", "seq"], unique=False)
    op.create_table(
        "do_not_call",
        sa.Column("customer_id", WORD, nullable=False),
        sa.Column("channel", WORD, nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("to_on", sa.Date(), nullable=True),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("event_id", WORD, nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "channel", "from_on"),
    )
    op.create_table(
        "idempotency",
        sa.Column("actor", WORD, nullable=False),
        sa.Column("route", WORD, nullable=False),
        sa.Column("key", WORD, nullable=False),
        sa.Column("body_digest", sa.String(length=64), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("actor", "route", "key"),
    )
    op.create_table(
        "response",
        sa.Column("event_id", WORD, nullable=False),
        sa.Column("customer_id", WORD, nullable=False),
        sa.Column("contact_id", WORD, nullable=True),
        sa.Column("placement_id", WORD, nullable=True),
        sa.Column("offer_id", WORD, nullable=True),
        sa.Column("outcome", WORD, nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("reason_code", WORD, nullable=True),
        sa.Column("next_contact_on", sa.Date(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("actor", WORD, nullable=False),
        sa.Column("body_digest", sa.String(length=64), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.Column("source", WORD, nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("ix_response_customer", "response", ["customer_id", "occurred_at"], unique=False)
    op.create_index("ix_response_placement", "response", ["placement_id"], unique=False)
    op.create_table(
        "case",
        sa.Column("case_id", WORD, nullable=False),
        sa.Column("complaint_id", WORD, nullable=False),
        sa.Column("customer_id", WORD, nullable=False),
        sa.Column("placement_id", WORD, nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("opened_by", WORD, nullable=False),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaint.complaint_id"],
        ),
        sa.PrimaryKeyConstraint("case_id"),
        sa.UniqueConstraint("complaint_id"),
    )
    op.create_index("ix_case_customer", "case", ["customer_id"], unique=False)
    op.create_table(
        "contact_event",
        sa.Column("event_id", WORD, nullable=False),
        sa.Column("contact_id", WORD, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", WORD, nullable=False),
        sa.Column("body_digest", sa.String(length=64), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"],
            ["contact.contact_id"],
        ),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("ix_contact_event_contact", "contact_event", ["contact_id"], unique=False)
    op.create_table(
        "placement",
        sa.Column("placement_id", WORD, nullable=False),
        sa.Column("decision_id", WORD, nullable=False),
        sa.Column("customer_id", WORD, nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("offer_id", WORD, nullable=False),
        sa.Column("treatment_id", WORD, nullable=False),
        sa.Column("channel", WORD, nullable=False),
        sa.Column("purpose", WORD, nullable=False),
        sa.Column("propensity", sa.Float(), nullable=True),
        sa.Column("cost_minor", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id"],
            ["decision.decision_id"],
        ),
        sa.PrimaryKeyConstraint("placement_id"),
    )
    op.create_index("ix_placement_decision", "placement", ["decision_id"], unique=False)


def downgrade() -> None:
    op.drop_table("placement")
    op.drop_table("contact_event")
    op.drop_table("case")
    op.drop_table("response")
    op.drop_table("idempotency")
    op.drop_table("do_not_call")
    op.drop_table("decision")
    op.drop_table("contact")
    op.drop_table("consent")
    op.drop_table("complaint")
    op.drop_table("chain_head")
