"""Runs the steps on the connection that `serving.ledger.engine` passes; DDL and version in one transaction."""

from __future__ import annotations

from alembic import context

from serving.ledger.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
