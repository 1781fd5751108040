"""Alembic's folder: how the ledger's tables came to be, one file a step."""
