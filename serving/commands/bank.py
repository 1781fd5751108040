"""`tiercel simulate`, `import`, `build`, `insight`, `day`: a bank's data, its months and its mornings."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from serving.commands.options import HOME, Day, Home, Json, clock
from serving.commands.telling import progress, say, show, told

app = typer.Typer()


class Engine(StrEnum):
    """Where the expressions of a build run."""

    DUCKDB = "duckdb"
    SPARK = "spark"


@app.command(epilog="example: tiercel simulate --customers 20000 --months 24 --seed 7 --out .tiercel")
@told
def simulate(
    customers: Annotated[int, typer.Option(min=100, help="How many customers.")] = 20_000,
    months: Annotated[int, typer.Option(min=1, max=120, help="How many months of history.")] = 24,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    out: Annotated[Path | None, typer.Option("--out", help="The new home; default --home.")] = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Make a bank whose truth is known."""
    from serving import jobs
    from serving.commands import summary

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
    home: Home = HOME,
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
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Build every closed month that is not built yet, and tell what the newest came to."""
    from serving import jobs
    from serving.commands import insight_tables
    from serving.matrix import insights
    from serving.month.reconciling import reconciled

    standing = {b.path for b in jobs.standing_builds(home)}
    with progress("build", as_json=as_json) as moved:
        builds = jobs.build(
            home, clock(home), as_of=as_of.date() if as_of else None, restate=restate.date() if restate else None,
            engine=engine, progress=moved,
        )  # fmt: skip
    new = [b for b in builds if b.path not in standing]
    carried = [b for b in new if b.is_carried]
    last, came = builds[-1], insights.month_told(home, builds)
    text = (
        f"{len(new) - len(carried)} months built, {f'{len(carried)} carried over, ' if carried else ''}"
        f"{len(builds) - len(new)} unchanged; the newest is {last.as_of} with "
        f"{last.n_customers:,} customers (lineage {last.lineage})"
    )
    settled = builds[-2:][0]  # rows of the newest month are still on their way
    books = reconciled(home, settled.as_of, clock(home).now())
    told_of = {"reconciliation": None if books is None else books.to_json()}
    say(text, {"builds": insights.listed(builds)} | came.to_json() | told_of, as_json=as_json)
    if not as_json:
        show(*insight_tables.month_end(came))
        say("" if books is None else f"Books of {books.on:%Y-%m}: {books.says}", None, as_json=False)


@app.command(epilog="example: tiercel insight --as-of 2025-12-31")
@told
def insight(as_of: Day = None, home: Home = HOME, as_json: Json = False) -> None:
    """What the months say: net growth, stays, cohorts, who holds how much, what each class and tier wants, jumps."""
    from insight.history import line
    from serving.commands import insight_tables
    from serving.matrix import insights

    found = insights.everything(home, line(home, as_of.date() if as_of else None), clock(home).now())
    if as_json:
        say("", found.to_json(), as_json=True)
    else:
        show(*insight_tables.everything(found))


@app.command(epilog="example: tiercel day")
@told
def day(home: Home = HOME, as_json: Json = False) -> None:
    """Publish this morning: the day view of everybody, and the online store."""
    from serving import jobs

    with progress("publish", as_json=as_json) as moved:
        done = jobs.publish(home, clock(home), progress=moved)
    size = f"{done.size_bytes / 1e6:,.1f} MB"
    text = f"{done.n_customers:,} customers online in {size} (month {done.build.as_of}, day {done.today.stem})"
    say(text, {"customers": done.n_customers, "bytes": done.size_bytes, "day": done.today.stem}, as_json=as_json)
