"""Consent by category of products (R34)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
WORD = sa.String().with_variant(sa.String(collation="C"), "postgresql")  # compared byte by byte


def upgrade() -> None:
    op.add_column("consent", sa.Column("category", WORD))


def downgrade() -> None:
    op.drop_column("consent", "category")
