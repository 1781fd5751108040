"""`tiercel …`: every command of the engine, gathered from `serving.commands`."""

from __future__ import annotations

import os

import typer

from serving.commands import bank, decisions, evaluation, house, keys, ledger, models, policy, release

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
                  help="Know the customer, learn who responds, decide, serve, listen.")  # fmt: skip
for plain in (bank, models, decisions, evaluation, house):
    app.add_typer(plain.app)
app.add_typer(keys.app, name="keys")
app.add_typer(release.app, name="release")
app.add_typer(policy.app, name="policy")
app.add_typer(ledger.ledger_app, name="ledger")
app.add_typer(ledger.audit_app, name="audit")


def main() -> None:
    """Entry point of the console script; what it writes is the user's own (umask 077)."""
    os.umask(0o077)
    app()
