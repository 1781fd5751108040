"""`tiercel …`: every command of the engine. Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import json
import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from serving.telling import USER_MISTAKE, progress, say, show, told

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
                  help="Know the customer, learn who responds, decide, serve, listen.")  # fmt: skip
release_app = typer.Typer(no_args_is_help=True, help="What serving stands on: list, cut, roll back.")
policy_app = typer.Typer(no_args_is_help=True, help="The dated policy: check it.")
ledger_app = typer.Typer(no_args_is_help=True, help="The ledger: export its tables as bank tables.")
audit_app = typer.Typer(no_args_is_help=True, help="The hash chain of decisions: verify it.")
for name, group in (("release", release_app), ("policy", policy_app), ("ledger", ledger_app), ("audit", audit_app)):
    app.add_typer(group, name=name)

Home = Annotated[Path, typer.Option("--home", envvar="TIERCEL_HOME", help="Folder of everything a run makes.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
Day = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Last day that counts.")]
Instant = Annotated[str | None, typer.Option("--as-of", help="Instant at which the clock stands, with its zone.")]
_HOME = Path(".tiercel")


class ModelName(StrEnum):
    """Models that can be trained now."""

    RESPONSE = "response"
    CHURN = "churn"
    ALL = "all"


class Engine(StrEnum):
    """Where the expressions of a build run."""

    DUCKDB = "duckdb"
    SPARK = "spark"


def _clock(home: Path, instant: str | None = None) -> Any:
    from serving.settings import clock_of, read_settings

    return clock_of(read_settings(home=home, as_of=instant))


@app.command(epilog="example: tiercel simulate --customers 20000 --months 24 --seed 7 --out .tiercel")
@told
def simulate(
    customers: Annotated[int, typer.Option(min=100, help="How many customers.")] = 20_000,
    months: Annotated[int, typer.Option(min=1, max=120, help="How many months of history.")] = 24,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    out: Annotated[Path | None, typer.Option("--out", help="The new home; default --home.")] = None,
    home: Home = _HOME,
    as_json: Json = False,
) -> None:
    """Make a bank whose truth is known."""
    from serving import jobs, summary

    place = out or home
    with progress("simulate", as_json=as_json) as moved:
        made = jobs.simulate(
            place, customers=customers, months=months, seed=seed, last_on=jobs.LAST_SIMULATED, progress=moved
        )
    say(f"{place}: {summary.simulated(made)}", made.to_json(), as_json=as_json)


@app.command("import", epilog="example: tiercel import bank.yaml ../exports --out .tiercel   (or berka, starbucks)")
@told
def import_(
    source: Annotated[str, typer.Argument(metavar="NAME|MAPPING.yaml", help="A data set we know, or a mapping file.")],
    path: Annotated[Path, typer.Argument(help="Folder of the files.")],
    propose: Annotated[bool, typer.Option("--propose", help="Draft the mapping file from the folder's files.")] = False,
    add: Annotated[bool, typer.Option("--add", help="A further delivery: what the home holds stays.")] = False,
    as_of: Day = None,
    out: Annotated[Path | None, typer.Option("--out", help="The new home; default --home.")] = None,
    home: Home = _HOME,
    as_json: Json = False,
) -> None:
    """Bring a bank's files into a home, with its own policy and clock, or draft the mapping that does."""
    from serving import importing

    if propose:
        draft = importing.propose(Path(source), path)
        say("\n".join(draft.lines()), draft.to_json(), as_json=as_json)
        return
    with progress("import", as_json=as_json) as moved:
        last = as_of.date() if as_of else None
        done = importing.bring_in(source, path, out or home, moved, as_of=last, adds=add)
    say("\n".join(done.lines()), done.to_json(), as_json=as_json)


@app.command(epilog="examples: tiercel build --as-of 2025-12-31; tiercel build --restate 2025-10")
@told
def build(
    as_of: Day = None,
    restate: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m"], help="First month of a new lineage that sees late rows known by now."),
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="Where it runs; spark asks for the extra `spark` and Java 17.")
    ] = Engine.DUCKDB,
    home: Home = _HOME,
    as_json: Json = False,
) -> None:
    """Build every closed month that is not built yet, and tell what the newest came to."""
    from serving import insight_tables, insights, jobs

    standing = {b.path for b in jobs.standing_builds(home)}
    with progress("build", as_json=as_json) as moved:
        builds = jobs.build(
            home, _clock(home), as_of=as_of.date() if as_of else None, restate=restate.date() if restate else None,
            engine=engine, progress=moved,
        )  # fmt: skip
    fresh = [b for b in builds if b.path not in standing]
    last, came = builds[-1], insights.month_told(home, builds)
    text = (
        f"{len(fresh)} months built, {len(builds) - len(fresh)} unchanged; the newest is {last.as_of} with "
        f"{last.n_customers:,} customers (lineage {last.lineage})"
    )
    say(text, {"builds": insights.listed(builds)} | came.to_json(), as_json=as_json)
    if not as_json:
        show(*insight_tables.month_end(came))


@app.command(epilog="example: tiercel insight --as-of 2025-12-31")
@told
def insight(as_of: Day = None, home: Home = _HOME, as_json: Json = False) -> None:
    """What the months say: net growth, stays, cohorts, who holds how much, what each class and tier wants, jumps."""
    from insight.history import line
    from serving import insight_tables, insights

    found = insights.everything(home, line(home, as_of.date() if as_of else None), _clock(home).now())
    if as_json:
        say("", found.to_json(), as_json=True)
    else:
        show(*insight_tables.everything(found))


@app.command(epilog="example: tiercel day")
@told
def day(home: Home = _HOME, as_json: Json = False) -> None:
    """Publish this morning: the day view of everybody, and the online store."""
    from serving import jobs

    with progress("publish", as_json=as_json) as moved:
        done = jobs.publish(home, _clock(home), progress=moved)
    size = f"{done.size_bytes / 1e6:,.1f} MB"
    text = f"{done.n_customers:,} customers online in {size} (month {done.build.as_of}, day {done.today.stem})"
    say(text, {"customers": done.n_customers, "bytes": done.size_bytes, "day": done.today.stem}, as_json=as_json)


@app.command(epilog="example: tiercel train response")
@told
def train(
    model: Annotated[ModelName, typer.Argument(help="Which model.")] = ModelName.ALL,
    as_of: Day = None,
    seed: Annotated[int, typer.Option(help="Seed of trees and intervals.")] = 0,
    home: Home = _HOME,
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
    home: Home = _HOME,
    as_json: Json = False,
) -> None:
    """Make a registered version the champion."""
    from training import registry

    done = registry.promote(home.resolve(), model, version)
    say(f"{done.model} version {done.version} is champion", {"model": model, "version": version}, as_json=as_json)


@release_app.command("list", epilog="example: tiercel release list")
@told
def release_list(home: Home = _HOME, as_json: Json = False) -> None:
    """Every release, the current one marked."""
    from serving import releases

    found = releases.releases(home)
    now = releases.current(home).id if found else None
    lines = [f"{'→' if r.id == now else ' '} {r.id}  month {r.as_of}  models {r.manifest['champions']}" for r in found]
    say("\n".join(lines) or "nothing has been released", [dict(r.manifest) for r in found], as_json=as_json)


@release_app.command("cut", epilog="example: tiercel release cut")
@told
def release_cut(home: Home = _HOME, as_json: Json = False) -> None:
    """Cut a release of the newest build, the champions and the policy, and switch to it."""
    from serving import jobs

    release, is_new = jobs.cut_release(home.resolve(), _clock(home))
    text = f"{release.id} is current{'' if is_new else ' (unchanged)'}; models {release.manifest['champions']}"
    say(text, dict(release.manifest), as_json=as_json)


@release_app.command("rollback", epilog="example: tiercel release rollback")
@told
def release_rollback(home: Home = _HOME, as_json: Json = False) -> None:
    """Switch back to the release before the current one."""
    from serving import releases

    release = releases.rollback(home)
    say(f"{release.id} is current", dict(release.manifest), as_json=as_json)


@policy_app.command("check", epilog="example: tiercel policy check")
@told
def policy_check(as_of: Day = None, home: Home = _HOME, as_json: Json = False) -> None:
    """Prove the policy: every id, predicate, cell, journey and reward, on every day on which something changes."""
    from serving import jobs

    findings = jobs.check_policy(home, as_of.date() if as_of else None)
    lines = [str(finding) for finding in findings]
    say("\n".join(lines) or "the policy holds together", lines, as_json=as_json)
    if findings:
        raise typer.Exit(USER_MISTAKE)


@policy_app.command("tags", epilog="example: tiercel policy tags")
@told
def policy_tags(as_of: Day = None, home: Home = _HOME, as_json: Json = False) -> None:
    """Show every tag with what it means, who answers for it, how many days it lives and who may see it."""
    from features.segments.tags import registry
    from serving import jobs

    book = jobs.segments_book(home)
    rows = registry(book.view(as_of.date() if as_of else max(book.dates())).tags)
    lines = [f"{row['tag']} {row['zh']} ({row['owner']}, {row['expires_days']} days, {row['sensitivity']}): "
             f"{row['definition']}" for row in rows]  # fmt: skip
    say("\n".join(lines), rows, as_json=as_json)


@app.command(epilog="example: tiercel decide --channel APP --limit 3")
@told
def decide(
    channel: Annotated[str, typer.Option(help="Channel to decide for; empty takes each offer's best.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=50, help="Offers a customer at most.")] = 3,
    as_of: Instant = None,
    home: Home = _HOME,
    as_json: Json = False,
) -> None:
    """Decide for every customer of the release and keep the decisions."""
    from serving import jobs
    from serving.summary import Tally, offers_table

    with progress("decide", as_json=as_json) as moved, jobs.desk(home, _clock(home, as_of)) as desk:
        tally = Tally.of(jobs.decide_everybody(desk, channel=channel, limit=limit, progress=moved))
    if as_json:
        say("", tally.to_json(), as_json=True)
    else:
        Console(width=120).print(offers_table(tally))


@app.command(epilog="example: tiercel keys")
@told
def keys(home: Home = _HOME, as_json: Json = False) -> None:
    """Make an API key for each role that has none, and show the new ones once."""
    from serving.security import make_keys, roles_with_keys

    standing = roles_with_keys(home)
    made = {role: token for role, token in make_keys(home).items() if role not in standing}
    lines = [f"{role:<11} {token}" for role, token in made.items()]
    say("\n".join(lines) or f"every role has its key in {home / 'keys'}", made, as_json=as_json)


@app.command(epilog="example: tiercel serve --port 8000")
@told
def serve(
    port: Annotated[int | None, typer.Option(help="Port; the next free one if it is taken.")] = None,
    as_of: Instant = None,
    home: Home = _HOME,
) -> None:
    """Serve the API."""
    from serving.running import run
    from serving.settings import read_settings

    run(read_settings(home=home, port=port, as_of=as_of))


@app.command(epilog="example: tiercel replay d0123456789abcdef")
@told
def replay(
    decision_id: Annotated[str, typer.Argument(help="Decision to decide again from its stored inputs.")],
    home: Home = _HOME,
    as_json: Json = False,
) -> None:
    """Decide again from stored inputs; the same to the bit, or what differs."""
    from serving import jobs
    from serving.replay import replay as again

    with jobs.desk(home, _clock(home)) as desk:
        answer = again(desk.home, desk.ledger.decision(decision_id).row)
    text = "identical to the bit" if answer.is_identical else json.dumps(answer.to_json(), indent=1, default=str)
    say(text, answer.to_json(), as_json=as_json)


@ledger_app.command("export", epilog="example: tiercel ledger export")
@told
def ledger_export(
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default HOME/export.")] = None,
    home: Home = _HOME,
    as_json: Json = False,
) -> None:
    """Write the ledger's tables as Parquet, in the form of bank tables."""
    from serving import jobs

    with jobs.desk(home, _clock(home)) as desk:
        written = desk.ledger.export(out or home / "export")
    say(", ".join(f"{n:,} {name}" for name, n in written.items()), written, as_json=as_json)


@audit_app.command("verify", epilog="example: tiercel audit verify")
@told
def audit_verify(home: Home = _HOME, as_json: Json = False) -> None:
    """Check the hash chain over all decisions."""
    from serving import jobs

    with jobs.desk(home, _clock(home)) as desk:
        report = desk.ledger.verify()
    lines = [f"row {fault.seq}: {fault.message}" for fault in report.faults]
    text = "\n".join(lines) or f"{report.n_rows:,} decisions, every link holds; {report.limits}"
    say(text, {"is_whole": report.is_whole, "n_rows": report.n_rows, "faults": lines}, as_json=as_json)
    if not report.is_whole:
        raise typer.Exit(1)


@app.command(epilog="example: tiercel doctor --bank")
@told
def doctor(
    bank: Annotated[bool, typer.Option("--bank", help="What works with the bank's tables, and what waits.")] = False,
    home: Home = _HOME,
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
    home: Home = _HOME,
) -> None:
    """The whole way once: simulate a bank, build, train, release, decide, show, serve."""
    from serving.demo import show
    from serving.running import run
    from serving.settings import read_settings

    show(home, customers=customers, months=months, picture=picture)
    if not no_serve:
        run(read_settings(home=home, port=port))


def main() -> None:
    """Entry point of the console script; what it writes is the user's own (umask 077)."""
    os.umask(0o077)
    app()
