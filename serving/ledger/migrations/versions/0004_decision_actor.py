"""Who asked for a decision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
WORD = sa.String().with_variant(sa.String(collation="C"), "postgresql")  # compared byte by byte


def upgrade() -> None:
    op.add_column("decision", sa.Column("actor", WORD))


def downgrade() -> None:
    op.drop_column("decision", "actor")
