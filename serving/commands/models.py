"""`tiercel train` and `promote`: models, from the bank's months to the champion."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from serving.commands.options import HOME, Day, Home, Json
from serving.telling import progress, say, told

app = typer.Typer()


class ModelName(StrEnum):
    """Models that can be trained now."""

    RESPONSE = "response"
    CHURN = "churn"
    ALL = "all"


@app.command(epilog="example: tiercel train response")
@told
def train(
    model: Annotated[ModelName, typer.Argument(help="Which model.")] = ModelName.ALL,
    as_of: Day = None,
    seed: Annotated[int, typer.Option(help="Seed of trees and intervals.")] = 0,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Train, judge and register models in MLflow; one that passes becomes champion."""
    from serving import jobs
    from training.judging import report
    from training.retrain import retrain

    share = jobs.incremental_share(home)
    names = [m for m in ModelName if m is not ModelName.ALL] if model is ModelName.ALL else [model]
    answers = []
    for name in names:
        with progress(f"train {name}", as_json=as_json) as moved:
            done = retrain(home, name, as_of.date() if as_of else None, seed, moved, default_share=share)
        answers.append(done.to_json())
        if not as_json:
            Console(width=120).print(report.table(done.judgement, f"{name}, version {done.version}"))
            left_out = ", ".join(f"{n:,} {rule}" for rule, n in done.excluded.items()) or "none"
            say(f"{done.sentence()}\nrows {dict(done.sizes)}; left out by rule: {left_out}", None, as_json=False)
    if as_json:
        say("", answers, as_json=True)


@app.command(epilog="example: tiercel promote response 2")
@told
def promote(
    model: Annotated[str, typer.Argument(help="Registered model.")],
    version: Annotated[int, typer.Argument(help="Version to make champion.")],
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Make a registered version the champion."""
    from training import registry

    done = registry.promote(home.resolve(), model, version)
    say(f"{done.model} version {done.version} is champion", {"model": model, "version": version}, as_json=as_json)
