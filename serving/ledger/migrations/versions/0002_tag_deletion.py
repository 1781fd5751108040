"""Tags that customers deleted (R32)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
WORD = sa.String().with_variant(sa.String(collation="C"), "postgresql")  # compared byte by byte


def upgrade() -> None:
    op.create_table(
        "tag_deletion",
        sa.Column("customer_id", WORD, nullable=False),
        sa.Column("tag", WORD, nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", WORD, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "tag"),
    )


def downgrade() -> None:
    op.drop_table("tag_deletion")
