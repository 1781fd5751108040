"""`tiercel ledger` and `audit`: what was decided and came back, exported and verified."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving.commands.options import HOME, Home, Json, clock
from serving.commands.telling import say, told

ledger_app = typer.Typer(no_args_is_help=True, help="The ledger: export its tables as bank tables.")
audit_app = typer.Typer(no_args_is_help=True, help="The hash chain of decisions: verify it.")


@ledger_app.command("export", epilog="example: tiercel ledger export")
@told
def ledger_export(
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default HOME/export.")] = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Write the ledger's tables as Parquet, in the form of bank tables."""
    from serving import jobs

    with jobs.desk(home, clock(home)) as desk:
        written = desk.ledger.export(out or home / "export")
    say(", ".join(f"{n:,} {name}" for name, n in written.items()), written, as_json=as_json)


@audit_app.command("verify", epilog="example: tiercel audit verify")
@told
def audit_verify(home: Home = HOME, as_json: Json = False) -> None:
    """Check the hash chain over all decisions."""
    from serving import jobs

    with jobs.desk(home, clock(home)) as desk:
        report = desk.ledger.verify()
    lines = [f"row {fault.seq}: {fault.message}" for fault in report.faults]
    text = "\n".join(lines) or f"{report.n_rows:,} decisions, every link holds; {report.limits}"
    say(text, {"is_whole": report.is_whole, "n_rows": report.n_rows, "faults": lines}, as_json=as_json)
    if not report.is_whole:
        raise typer.Exit(1)
