"""`tiercel serve`, `doctor`, `demo`: the house itself, opened, examined and shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving.commands.options import HOME, Home, Instant, Json
from serving.commands.telling import say, told

app = typer.Typer()


@app.command(epilog="example: tiercel serve --port 8000")
@told
def serve(
    port: Annotated[int | None, typer.Option(help="Port; the next free one if it is taken.")] = None,
    as_of: Instant = None,
    home: Home = HOME,
) -> None:
    """Serve the API."""
    from serving.running import run
    from serving.settings import read_settings

    run(read_settings(home=home, port=port, as_of=as_of))


@app.command(epilog="example: tiercel doctor --bank")
@told
def doctor(
    bank: Annotated[bool, typer.Option("--bank", help="What works with the bank's tables, and what waits.")] = False,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """What this home has, what it lacks, and where its key files are."""
    from serving.doctor import examine, examine_bank

    if bank:
        told_of = examine_bank(home)
        say("\n".join(told_of.lines()), told_of.to_json(), as_json=as_json)
        return
    found = examine(home)
    say("\n".join(f"{what:<12} {state}" for what, state in found.items()), found, as_json=as_json)


@app.command(epilog="example: tiercel demo --no-serve")
@told
def demo(
    customers: Annotated[int, typer.Option(min=100, help="How many customers.")] = 20_000,
    months: Annotated[int, typer.Option(min=7, help="How many months.")] = 24,
    port: Annotated[int | None, typer.Option(help="Port; the next free one if it is taken.")] = None,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End after the summary.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Keep the summary as an SVG.")] = None,
    home: Home = HOME,
) -> None:
    """The whole way once: simulate a bank, build, train, release, decide, show, serve."""
    from serving.demo import show
    from serving.running import run
    from serving.settings import read_settings

    show(home, customers=customers, months=months, picture=picture)
    if not no_serve:
        run(read_settings(home=home, port=port))
