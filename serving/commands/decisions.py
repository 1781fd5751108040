"""`tiercel decide` and `replay`: what customers are told, and told again."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from serving.commands.options import HOME, Home, Instant, Json, clock
from serving.commands.telling import progress, say, told

app = typer.Typer()


@app.command(epilog="example: tiercel decide --channel APP --limit 3")
@told
def decide(
    channel: Annotated[str, typer.Option(help="Channel to decide for; empty takes each offer's best.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=50, help="Offers a customer at most.")] = 3,
    as_of: Instant = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Decide for every customer of the release and keep the decisions."""
    from serving import jobs
    from serving.commands.summary import Tally, offers_table

    with progress("decide", as_json=as_json) as moved, jobs.desk(home, clock(home, as_of)) as desk:
        tally = Tally.of(jobs.decide_everybody(desk, channel=channel, limit=limit, progress=moved))
    if as_json:
        say("", tally.to_json(), as_json=True)
    else:
        Console(width=120).print(offers_table(tally))


@app.command(epilog="example: tiercel score --channel APP --engine spark")
@told
def score(
    channel: Annotated[str, typer.Option(help="Channel of p_channel; empty takes the reference channel.")] = "",
    engine: Annotated[str, typer.Option(help="duckdb: here, part by part; spark: on its executors.")] = "duckdb",
    as_of: Instant = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Score every customer of the release with every offer into Parquet, here or on Spark."""
    from serving import jobs
    from serving.night.night_scores import score_everybody

    with progress("score", as_json=as_json) as moved, jobs.desk(home, clock(home, as_of)) as desk:
        done = score_everybody(desk, channel=channel, engine=engine, progress=moved)
    text = f"{done.n_rows:,} scores of {done.n_customers:,} customers by {done.release_id} in {done.folder}"
    say(text, asdict(done), as_json=as_json)


@app.command(epilog="example: tiercel replay d0123456789abcdef")
@told
def replay(
    decision_id: Annotated[str, typer.Argument(help="Decision to decide again from its stored inputs.")],
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Decide again from stored inputs; the same to the bit, or what differs."""
    from serving import jobs
    from serving.replay import replay as again

    with jobs.desk(home, clock(home)) as desk:
        answer = again(desk.home, desk.ledger.decision(decision_id).row)
    text = "identical to the bit" if answer.is_identical else json.dumps(answer.to_json(), indent=1, default=str)
    say(text, answer.to_json(), as_json=as_json)
