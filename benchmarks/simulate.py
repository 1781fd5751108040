"""How long a simulated bank takes and how much memory, at three sizes, each in a process of its own.

    python -m benchmarks.simulate --size 1000000

The sizes are a hundredth, a tenth and the whole of it; all banks have 24 months. There is no peer: nobody else draws
this bank. The bounds hold at a million customers. With `--banks FOLDER` the banks stay there, and `benchmarks.profile`
with the same option builds their months.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.table import Line, show

MONTHS, SEED = 24, 7
LARGEST = 1_000_000
SECONDS, GIB = 480, 8
GROWTH = 1.15  # processor seconds a customer, beside those at a tenth: other work on the machine does not lengthen them
_FEWEST = 1_000


@dataclass(frozen=True, slots=True)
class Run:
    """What one bank took; processor seconds and peak memory are of the whole process, its imports included."""

    customers: int
    seconds: float
    processor_seconds: float
    gib: float
    written_gib: float
    rows: int


def simulated(customers: int, home: Path) -> Run:
    """One bank, drawn in a child process."""
    command = [sys.executable, "-m", "benchmarks.simulate", "--into", str(home), "--size", str(customers)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    if told.returncode != 0:
        raise SystemExit(f"the bank of {customers} customers was not drawn: {told.stderr.strip()[-500:]}")
    written = sum(path.stat().st_size for path in home.rglob("*.parquet"))
    return Run(customers=customers, written_gib=written / 2**30, **json.loads(told.stdout.splitlines()[-1]))


@contextmanager
def place(banks: Path | None, customers: int) -> Iterator[Path]:
    """Where a bank of that size stands: in the folder of banks that stay, else in one that is removed again."""
    if banks is not None:
        yield banks / f"bank{customers}"
        return
    with tempfile.TemporaryDirectory(prefix="tiercel-simulate-") as folder:
        yield Path(folder)


def draw(home: Path, customers: int) -> None:
    """Draws the bank as `tiercel simulate` does and prints what it took."""
    from serving import jobs

    began = time.perf_counter()
    made = jobs.simulate(
        home, customers=customers, months=MONTHS, seed=SEED, last_on=jobs.LAST_SIMULATED, progress=lambda *_: None
    )
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "seconds": seconds, "processor_seconds": used.ru_utime + used.ru_stime, "gib": used.ru_maxrss / 2**20,
        "rows": sum(made.rows.values()),
    }  # fmt: skip
    sys.stdout.write(json.dumps(told) + "\n")


def lines(runs: list[Run]) -> list[Line]:
    found = []
    for run in runs:
        is_largest = run.customers == LARGEST
        name = f"{run.customers:,} customers, {run.rows / 1e6:,.1f} million rows"
        found.append(Line.at_most(name, run.seconds, "s", floor=SECONDS if is_largest else None))
        found.append(Line.at_most("  processor seconds", run.processor_seconds, "s", floor=None))
        found.append(Line.at_most("  memory at the peak", run.gib, "GiB", floor=GIB if is_largest else None))
        found.append(Line.at_most("  written", run.written_gib, "GiB", floor=None))
    for small, large in pairwise(runs):
        each = (large.processor_seconds / large.customers) / (small.processor_seconds / small.customers)
        what = f"processor seconds a customer, {large.customers:,} beside {small.customers:,}"
        found.append(Line.at_most(what, each, "×", floor=GROWTH))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=LARGEST, help="customers of the largest bank")
    parser.add_argument("--banks", type=Path, help="a folder in which the banks stay")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.into:
        draw(asked.into, asked.size)
        return
    sizes = sorted({max(_FEWEST, asked.size // part) for part in (100, 10, 1)})
    runs = []
    for n in sizes:
        with place(asked.banks, n) as home:
            runs.append(simulated(n, home))
    show("simulate", asked.size, lines(runs), title=f"A simulated bank of {MONTHS} months")


if __name__ == "__main__":
    main()
