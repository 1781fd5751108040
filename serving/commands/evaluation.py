"""`tiercel evaluate`: a decisions policy judged by what was decided before, ahead of its first decision."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from serving.commands.options import HOME, Home, Instant, Json, clock
from serving.telling import progress, say, told

app = typer.Typer()


@app.command(epilog="examples: tiercel evaluate; tiercel evaluate --policy drafts/decisions")
@told
def evaluate(
    policy: Annotated[
        Path | None, typer.Option(help="Folder of policy sections to judge; the home's own as they stand now.")
    ] = None,
    as_of: Instant = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Say what a decisions policy would have brought by the decisions of the ledger: pass, fail or no support."""
    from decisioning.policy import decisions
    from serving import jobs
    from serving.evaluating import evaluate_policy

    with progress("evaluate", as_json=as_json), jobs.desk(home, clock(home, as_of)) as desk:
        found = evaluate_policy(desk, decisions(policy) if policy else jobs.decisions_book(home))
    if as_json:
        say("", found.to_json(), as_json=True)
    else:
        Console(width=120).print(found.table())
