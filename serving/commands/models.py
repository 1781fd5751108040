"""`tiercel train` and `promote`: models, from the bank's months to the champion."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from features.errors import MissingModel, NotReady, UserMistake
from serving.commands.options import HOME, Day, Home, Json, clock
from serving.commands.telling import progress, say, show, told

app = typer.Typer()


class ModelName(StrEnum):
    """Models that can be trained now."""

    RESPONSE = "response"
    UPLIFT = "uplift"
    CHURN = "churn"
    NEXT_STEP = "next_step"
    VALUE = "value"
    ALL = "all"


@app.command(epilog="example: tiercel train response")
@told
def train(
    model: Annotated[ModelName, typer.Argument(help="Which model.")] = ModelName.ALL,
    as_of: Day = None,
    seed: Annotated[int, typer.Option(help="Seed of trees and intervals.")] = 0,
    tune: Annotated[int, typer.Option(min=0, help="Trials of hyper-parameters first; asks for the extra tuning.")] = 0,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Train, judge and register models in MLflow; one that passes every gate becomes champion.

    Of all models those are trained that can be, and of the others it is told what they lack.
    """
    from serving import jobs
    from training.judging import report
    from training.retrain import retrain

    share = jobs.incremental_share(home)
    names = [m for m in ModelName if m is not ModelName.ALL] if model is ModelName.ALL else [model]
    answers: list[dict[str, Any]] = []
    for name in names:
        try:
            with progress(f"train {name}", as_json=as_json) as moved:
                done = retrain(
                    home, name, as_of.date() if as_of else None, seed, moved, default_share=share, n_trials=tune
                )
        except NotReady as error:
            if model is not ModelName.ALL:
                raise
            answers.append({"model": name, "version": None, "alias": None, "says": str(error)})
            show(f"no {name} model: {error}", as_json=as_json)
            continue
        answers.append(done.to_json())
        left_out = ", ".join(f"{n:,} {rule}" for rule, n in done.excluded.items()) or "none"
        show(
            report.table(done.judgement, f"{name}, version {done.version}"), report.gates_table(done.verdict.gates),
            f"{done.sentence()}\nrows {dict(done.sizes)}; left out by rule: {left_out}", as_json=as_json,
        )  # fmt: skip
    if all(answer["version"] is None for answer in answers):
        raise MissingModel("no model could be trained", value="; ".join(f"{a['model']}: {a['says']}" for a in answers))
    if as_json:
        say("", answers, as_json=True)


@app.command(epilog="examples: tiercel promote response 2 --approver 'Li Na'; tiercel promote response --back")
@told
def promote(
    model: Annotated[str, typer.Argument(help="Registered model.")],
    version: Annotated[int | None, typer.Argument(help="Version to make champion.")] = None,
    approver: Annotated[str, typer.Option(help="Who approves it; else the inventory's.")] = "",
    back: Annotated[bool, typer.Option("--back", help="Give the place back to the champion before this one.")] = False,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Make a registered version the champion, once every gate lets it, or go back one."""
    from training import promotion, registry
    from training.judging import report

    if back or version is None:
        if not back:
            raise UserMistake("no version is named", todo="name one, or go back with --back")
        earlier = registry.dethrone(home.resolve(), model)
        text = f"{model} version {earlier.version} is champion again; `tiercel release cut` serves it"
        say(text, {"model": model, "version": earlier.version}, as_json=as_json)
        return
    with progress(f"promote {model}", as_json=as_json) as moved:
        done = promotion.promote(home.resolve(), model, version, approver or None, moved)
    show(report.gates_table(done.gates), as_json=as_json)
    say(f"{model} version {version} is champion; `tiercel release cut` serves it", done.to_json(), as_json=as_json)


@app.command(epilog="example: tiercel recalibrate response")
@told
def recalibrate(
    model: Annotated[str, typer.Argument(help="Champion to shift: response or churn.")] = "response",
    as_of: Day = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Shift a champion's probabilities by recent mature labels, as far as they bear it; `release cut` ships it."""
    from training.recalibrating import recalibrate as recalibrated

    with progress(f"recalibrate {model}", as_json=as_json):
        done = recalibrated(home, model, as_of.date() if as_of else None)
    say(done.sentence(), done.to_json(), as_json=as_json)


@app.command("score-own", epilog="example: tiercel score-own wealth_need")
@told
def score_own(
    model: Annotated[str, typer.Argument(help="A model of the bank's own, registered in the home's MLflow.")],
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Ask the champion of a model of the bank's own about every customer; `tiercel day` publishes what it says."""
    from training.own_models import score_at_night

    path, n = score_at_night(home, model, clock(home).now())
    text = f"{n:,} customers scored by {model}; `tiercel day` publishes {model}_score"
    say(text, {"model": model, "n_customers": n, "path": str(path)}, as_json=as_json)


@app.command("month-end", epilog="example: tiercel month-end   (in cron: 0 6 2 * * tiercel month-end --home /srv/bank)")
@told
def month_end(home: Home = HOME, as_json: Json = False) -> None:
    """Build, publish, drift, retrain, gates, recalibrate, release, report; started again it goes on where it was."""
    from serving.month.month_end import month_end as ended

    with progress("month-end", as_json=as_json) as moved:
        at, now = ended(home, clock(home), moved)
    text = f"month-end {at.month:%Y-%m}: {', '.join(now) or 'everything stood already, unchanged'}"
    say("\n".join([*at.lines(), text]), at.to_json() | {"done_now": now}, as_json=as_json)
