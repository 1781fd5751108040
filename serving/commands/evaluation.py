"""`tiercel evaluate` and `arms`: what chance has told of a policy, of offers, of price and service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from serving.commands.options import HOME, Home, Instant, Json, clock
from serving.commands.telling import progress, say, told

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
    from serving.models.evaluating import evaluate_policy

    with progress("evaluate", as_json=as_json), jobs.desk(home, clock(home, as_of)) as desk:
        found = evaluate_policy(desk, decisions(policy) if policy else jobs.decisions_book(home))
    if as_json:
        say("", found.to_json(), as_json=True)
    else:
        Console(width=120).print(found.table())


@app.command(epilog="example: tiercel arms")
@told
def arms(as_of: Instant = None, home: Home = HOME, as_json: Json = False) -> None:
    """Say what randomised tests showed: what telling brings by category, price and service after 30 and 180 days."""
    from serving import jobs
    from serving.models.evaluating import arms_told

    at = clock(home, as_of).now()
    zone = jobs.segments_book(home).view(at.date()).bank.zone
    found = arms_told(home, at, zone, jobs.incremental_share(home))
    if as_json:
        say("", found.to_json(), as_json=True)
    else:
        Console(width=120).print(*found.tables(), sep="\n")
