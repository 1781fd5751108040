"""A month of profiles, and 24 of them: our build beside one hand-written DuckDB query and beside pandas, in one run.

    python -m benchmarks.profile --size 100000

Banks of N/100, N/10 and N customers are simulated (four to six events a customer and month) and their 24 months built,
each in a process of its own whose largest memory is told. Then the newest month of N is built again and again, in turn
with the query: the same columns from the same inputs, which are the bank's tables, the tiles of the months before and
the profile before. The answers are compared, value by value, before any time is told. pandas is given larger and larger
banks, up to the largest that it finishes in three minutes and 20 GiB: the bank's tables alone, as there is nothing else
without an engine that keeps tiles; and the same tiles as ours, which is told without a line to reach. With
`--banks FOLDER` the banks that `benchmarks.simulate` left there are built, and stay; others are simulated first.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.profile_peers import Asked, query, run_query
from benchmarks.table import Line, note, show
from features import lineages, profiles
from features.bank import tiles, windows
from features.bank.tiles import Closing
from features.lineages import Build, Lineage
from features.policy import segments
from features.vocabulary import Kind
from serving import jobs

MONTHS, SEED, RUNS = 24, 7, 3
PATIENCE_SECONDS = 180
PANDAS_GIB = 20
GIB = 1 << 30
KEPT = "kept-window.parquet"


@dataclass(frozen=True, slots=True)
class Built:
    """24 months of one size: seconds in all and of the last, the largest memory, events a customer and month."""

    n: int
    home: Path
    seconds: float
    last_seconds: float
    gib: float
    events: float


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def build(home: Path, as_of: date | None = None) -> list[Build]:
    instant = datetime.fromisoformat(json.loads((home / "home.json").read_text())["instant"])
    return profiles.build(home, jobs.segments_book(home), instant=instant, as_of=as_of)


def build_all(home: Path) -> None:
    """In a process of its own: all months but the last, then the last one; tells its figures as JSON."""
    before_last = date(jobs.LAST_SIMULATED.year, jobs.LAST_SIMULATED.month - 1, 30)
    most = seconds(lambda: build(home, before_last))
    lineage = lineages.lineages(home)[-1]
    os.link(windows.path_of(lineage.tiles, before_last), home / KEPT)
    last = seconds(lambda: build(home))
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    sys.stdout.write(json.dumps({"seconds": most + last, "last_seconds": last, "gib": gib}) + "\n")


def run_pandas_alone(home: Path, with_tiles: bool) -> None:
    """In a process of its own, with a bound on its memory: the newest month by pandas; tells its seconds."""
    from benchmarks.profile_pandas import run_pandas

    resource.setrlimit(resource.RLIMIT_AS, (PANDAS_GIB * GIB, PANDAS_GIB * GIB))
    asked, policy = newest(home)
    asked = asked if with_tiles else asked.without_tiles()
    sys.stdout.write(f"{seconds(lambda: run_pandas(asked, policy, home / 'pandas.parquet'))}\n")


def newest(home: Path) -> tuple[Asked, object]:
    lineage = lineages.lineages(home)[-1]
    policy = jobs.segments_book(home).view(lineage.months[-1].as_of)
    return Asked.of(lineage, policy), policy


def grown(folder: Path, n: int) -> Built:
    """A bank of n customers and its 24 months, built anew."""
    home = folder / f"bank{n}"
    if not home.exists():
        jobs.simulate(
            home, customers=n, months=MONTHS, seed=SEED, last_on=jobs.LAST_SIMULATED, progress=profiles.silent
        )
    for made in (home / "profiles", home / "tiles"):
        shutil.rmtree(made, ignore_errors=True)
    (home / KEPT).unlink(missing_ok=True)
    told = json.loads(alone("--build", str(home)))
    counts = [f"(SELECT count(*) FROM '{home}/bank/{table}/*.parquet')" for table in ("txn", "channel_event")]
    ((n_events,),) = duckdb.connect().execute(f"SELECT {' + '.join(counts)}").fetchall()
    note(f"{MONTHS} months of {n:,} customers in {told['seconds']:.1f} s, the last in {told['last_seconds']:.1f} s")
    return Built(n, home, told["seconds"], told["last_seconds"], told["gib"], n_events / n / MONTHS)


def alone(*arguments: str, timeout: float | None = None) -> str:
    """What this module prints when it is run with these arguments in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.profile", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True)
    return done.stdout.splitlines()[-1]


def build_last_again(home: Path) -> float:
    """Seconds of building the newest month once more, from the state after the month before."""
    lineage = lineages.lineages(home)[-1]
    last, before = lineage.months[-1], lineage.months[-2]
    closing = Closing.of(last.as_of, segments().view(last.as_of).bank)
    for path in (last.path, last.manifest, tiles.path_of(lineage.tiles, closing),
                 windows.path_of(lineage.tiles, last.as_of)):  # fmt: skip
        path.unlink()
    os.link(home / KEPT, windows.path_of(lineage.tiles, before.as_of))
    return seconds(lambda: build(home))


def beside_query(home: Path) -> tuple[float, float, float]:
    """Median seconds of our newest month, of the query for it, and of the query over the bank's tables alone."""
    asked, policy = newest(home)
    sql, sql_alone = query(asked, policy), query(asked.without_tiles(), policy)
    answer = home / "query.parquet"
    build_last_again(home)  # compiles the statements, as the first month of a build does
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(build_last_again(home))
        theirs.append(seconds(lambda: run_query(sql, answer)))
    compare(lineages.lineages(home)[-1], answer)
    without = seconds(lambda: run_query(sql_alone, answer))
    compare(lineages.lineages(home)[-1], answer)
    note(f"the newest month in {median(ours):.1f} s, the query {median(theirs):.1f} s, without tiles {without:.1f} s")
    return median(ours), median(theirs), without


def beside_pandas(folder: Path, built: list[Built]) -> tuple[Built, float]:
    """The largest bank whose newest month pandas finished in time from the bank's tables, and its seconds."""
    bank, took = built[0], by_pandas(built[0], with_tiles=False)
    if took is None:
        raise SystemExit(f"pandas did not finish {bank.n} customers")
    n = likely(built, bank, took)
    while n >= 1.5 * bank.n:
        larger = next((b for b in built if b.n == n), None) or grown(folder, n)
        longer = by_pandas(larger, with_tiles=False)
        if longer is None:
            n //= 2
        else:
            bank, took = larger, longer
            n = likely(built, bank, took)
    return bank, took


def likely(built: list[Built], bank: Built, took: float) -> int:
    """Customers that pandas may finish if it goes on as with this bank; those of one that stands, if there is one."""
    most = int(0.9 * PATIENCE_SECONDS / took * bank.n)
    standing = [b.n for b in built if bank.n < b.n <= most]
    return max(standing, default=min(built[-1].n, round(most, 1 - len(str(most)))))


def by_pandas(bank: Built, *, with_tiles: bool) -> float | None:
    """Seconds of pandas for the newest month of a bank, equal to ours; none where time or memory ran out."""
    tiled = ["--tiles"] if with_tiles else []
    try:
        took = float(alone("--pandas", str(bank.home), *tiled, timeout=PATIENCE_SECONDS))
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        note(f"pandas did not finish {bank.n:,} customers: {type(error).__name__}")
        return None
    compare(lineages.lineages(bank.home)[-1], bank.home / "pandas.parquet")
    note(f"pandas {bank.n:,} customers in {took:.1f} s")
    return took


def compare(lineage: Lineage, peer: Path) -> None:
    """Raise unless a peer's answer is ours: all rows, equal values, numbers to 1e-9 of themselves."""
    tests = []
    for column in profiles.PROFILE:
        a, b = f"a.{column.name}", f"b.{column.name}"
        near = f"abs({a} - {b}) <= 1e-9 * greatest(1, abs({a}))" if column.kind is Kind.NUMBER else f"{a} = {b}"
        tests.append(f"count(*) FILTER (NOT coalesce({near}, {a} IS NULL AND {b} IS NULL)) AS {column.name}")
    sql = f"SELECT count(*), {', '.join(tests)} FROM '{lineage.months[-1].path}' a JOIN '{peer}' b USING (customer_id)"
    n, *differing = duckdb.connect().execute(sql).fetchall()[0]
    wrong = {column.name: k for column, k in zip(profiles.PROFILE, differing, strict=True) if k}
    if n != lineage.months[-1].n_customers or wrong:
        raise SystemExit(f"the peer computes something else: {n} rows joined, rows that differ by column {wrong}")


def measure(folder: Path, size: int) -> tuple[list[Line], float]:
    built = [grown(folder, n) for n in sorted({max(size // 100, 500), max(size // 10, 500), size})]
    largest, smaller = built[-1], built[-2]
    ours, theirs, alone_ = beside_query(largest.home)
    lines = [
        Line.beside("one month, beside one query", ours, theirs, "s", floor=1 / 1.5, goal=1.0),
        Line.beside("one month, beside one query without tiles", ours, alone_, "s", floor=None),
    ]
    bank, took = beside_pandas(folder, built)
    mine = ours if bank is largest else beside_query(bank.home)[0]
    lines.append(Line.beside(f"one month of {bank.n:,}, beside pandas from the tables", mine, took, "s", floor=20.0))
    tiled = by_pandas(bank, with_tiles=True)
    if tiled is not None:
        lines.append(
            Line.beside(f"one month of {bank.n:,}, beside pandas from the tiles", mine, tiled, "s", floor=None)
        )
    lines += [Line.at_most(f"{MONTHS} months of {bank.n:,}", bank.seconds, "s", floor=None) for bank in built]
    growth = largest.n / smaller.n
    lines += [
        Line.at_most("memory", largest.gib, "GiB", floor=8),
        Line.at_most(f"one further month, share of {MONTHS}", largest.last_seconds / largest.seconds, "", floor=0.08),
        Line.at_most(f"{MONTHS} months, cost a customer, {largest.n:,} ÷ {smaller.n:,}",
                     largest.seconds / smaller.seconds / growth, "", floor=1.1, goal=1.0),
    ]  # fmt: skip
    return lines, largest.events


@contextmanager
def place(banks: Path | None) -> Iterator[Path]:
    """The folder of banks that stay, else one that is removed again."""
    if banks is not None:
        yield banks
        return
    with tempfile.TemporaryDirectory(prefix="tiercel-profile-") as folder:
        yield Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=100_000, help="customers")
    parser.add_argument("--banks", type=Path, help="a folder in which the banks stay")
    for name in ("--build", "--pandas"):
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tiles", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.build:
        build_all(given.build)
    elif given.pandas:
        run_pandas_alone(given.pandas, given.tiles)
    else:
        with place(given.banks) as folder:
            lines, events = measure(folder, given.size)
        title = (
            f"profiles of {given.size:,} customers, {events:.1f} events a customer and month, {os.cpu_count()} cores"
        )
        show("profile", given.size, lines, title=title)


if __name__ == "__main__":
    main()
