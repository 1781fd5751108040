"""Publishing and reading online rows: the packed store beside Feast's own SQLite store, in one run.

    python -m benchmarks.publish --size 1000000

Both get the same customers with the same 60 columns. The peer writes through Feast's `write_to_online_store`, as its
users do, and both stores are read through Feast; the request path's own reader stands beside. A hundredth, a tenth and
the whole of the customers are published by us, each in a process of its own; the peer is given as many as it is likely
to finish in three minutes, and both are compared at that size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureStore

from benchmarks.table import Line, show
from features.feast_views import MONTH, ViewSpec, apply, online_path, store
from features.online_rows import OnlineReader
from features.packing import ARROW_TYPES
from features.publishing import ViewRows, publish
from features.vocabulary import Column, Kind

LINEAGE = "bench"
AS_OF = datetime(2025, 12, 31, 16, tzinfo=UTC)
LIFETIME = timedelta(days=62)
SHAPE = {Kind.NUMBER: 18, Kind.INTEGER: 18, Kind.CODE: 10, Kind.FLAG: 8, Kind.DATE: 4, Kind.SET: 2}
COLUMNS = tuple(Column(f"{kind}_{n}", kind, "random") for kind, many in SHAPE.items() for n in range(many))
READS, RUNS = 300, 3
MISSING_SHARE = 0.1
PATIENCE_SECONDS = 180
FEWEST, GROWTH = 1_000, 1.15
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Store:
    """One online store filled: seconds of filling it, its bytes, microseconds of reading one customer, memory."""

    n: int
    seconds: float
    n_bytes: int
    read_us: float
    through_feast_us: float
    gib: float


def customers(n: int) -> pa.Table:
    """n customers with random values, a tenth of them missing."""
    chance = np.random.default_rng(7)
    pick: dict[Kind, Callable[[], list[object] | np.ndarray]] = {
        Kind.NUMBER: lambda: chance.lognormal(9, 2, n),
        Kind.INTEGER: lambda: chance.integers(0, 400, n),
        Kind.CODE: lambda: np.array([f"CODE_{k}" for k in range(12)], object)[chance.integers(0, 12, n)],
        Kind.FLAG: lambda: chance.random(n) < 0.5,
        Kind.DATE: lambda: [date.fromordinal(735_000 + int(k)) for k in chance.integers(0, 4_000, n)],
        Kind.SET: lambda: np.array([f"|P{k:02d}|P{k % 7}|" for k in range(60)], object)[chance.integers(0, 60, n)],
    }
    instants = pa.array([AS_OF] * n, pa.timestamp("us", tz="UTC"))
    found = {
        c.name: pa.array(pick[c.kind](), ARROW_TYPES[c.kind], mask=chance.random(n) < MISSING_SHARE) for c in COLUMNS
    }
    ids = pa.array([f"C{k:08d}" for k in range(n)])
    return pa.table({"customer_id": ids, "as_of_at": instants, "available_at": instants, **found})


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peer_store(ours: FeatureStore, path: Path) -> FeatureStore:
    """A store over the same registry whose rows are kept by Feast's own SQLite store."""
    config = ours.config.model_copy(deep=True)
    config._online_store = None
    config.online_config = {"type": "sqlite", "path": str(path)}
    peer = FeatureStore(config=config)
    peer.apply([peer.get_entity("customer"), peer.get_feature_view(MONTH)])
    return peer


def read_microseconds(feast: FeatureStore, ids: Sequence[str]) -> float:
    names = [f"{MONTH}:{column.name}" for column in COLUMNS]
    feast.get_online_features(names, [{"customer_id": ids[0]}])
    reads = (lambda i=i: feast.get_online_features(names, [{"customer_id": i}]) for i in ids)
    return float(np.median([seconds(read) for read in reads])) * 1e6


def fill_ours(n: int, home: Path) -> Store:
    """The packed store of n customers."""
    table = customers(n)
    path = online_path(home, LINEAGE)
    view = ViewRows(MONTH, COLUMNS, LIFETIME, table)
    took = median(seconds(lambda: publish(path, view)) for _ in range(RUNS))
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    through_feast = read_microseconds(feast_of(home, table), asked(n))
    with OnlineReader(path) as reader:
        direct = float(np.median([seconds(lambda i=i: reader.rows([i], at=AS_OF)) for i in asked(n)])) * 1e6
    return Store(n, took, path.stat().st_size, direct, through_feast, gib)


def fill_peer(n: int, home: Path) -> Store:
    """Feast's own SQLite store of the same n customers."""
    table = customers(n)
    path = home / "peer.sqlite"
    peer = peer_store(feast_of(home, table), path)
    frame = table.to_pandas()
    took = seconds(lambda: peer.write_to_online_store(MONTH, frame))
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    read = read_microseconds(peer, asked(n))
    return Store(n, took, path.stat().st_size, read, read, gib)


def feast_of(home: Path, table: pa.Table) -> FeatureStore:
    """The feature store of a home whose month is `table`."""
    (home / "profiles" / LINEAGE).mkdir(parents=True, exist_ok=True)
    pq.write_table(table, home / "profiles" / LINEAGE / "2025-12-31.parquet")
    apply(home, LINEAGE, [ViewSpec(MONTH, COLUMNS, f"profiles/{LINEAGE}/*.parquet", LIFETIME)])
    return store(home, LINEAGE, at=AS_OF)


def asked(n: int) -> list[str]:
    return [f"C{k:08d}" for k in np.random.default_rng(8).integers(0, n, READS)]


def alone(who: str, n: int, timeout: float | None = None) -> Store | None:
    """A store filled in a process of its own, or nothing where the time ran out."""
    command = [sys.executable, "-m", "benchmarks.publish", "--fill", who, "--size", str(n)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=timeout, check=True)
    except subprocess.TimeoutExpired:
        return None
    return Store(**json.loads(done.stdout.splitlines()[-1]))


def largest_peer(size: int) -> Store:
    """The peer at the largest size that it finishes in time, foreseen from smaller ones and tried."""
    found = alone("peer", min(size, FEWEST))
    if found is None:
        raise SystemExit("the peer did not fill its smallest store")
    n = likely(found, size)
    while n >= 1.5 * found.n:
        more = alone("peer", n, timeout=2 * PATIENCE_SECONDS)
        if more is None or more.seconds > PATIENCE_SECONDS:
            n //= 2
        else:
            found, n = more, likely(more, size)
    return found


def likely(found: Store, size: int) -> int:
    """Customers that the peer may publish in time, if it goes on as with these."""
    most = int(0.9 * PATIENCE_SECONDS / found.seconds * found.n)
    return min(size, round(most, 1 - len(str(most))))


def lines(ours: list[Store], mine: Store, peer: Store) -> list[Line]:
    """`mine` is ours at the size of the peer's."""
    at, largest = f"{peer.n:,} customers", ours[-1]
    found = [
        Line.beside(f"publish {at}", mine.seconds, peer.seconds, "s", floor=20),
        Line.beside(f"bytes of {at}", mine.n_bytes, peer.n_bytes, "bytes", floor=8),
        Line.beside(f"read one of {at}, request path", mine.read_us, peer.read_us, "µs", floor=5),
        Line.beside(f"read one of {at}, through Feast", mine.through_feast_us, peer.read_us, "µs", floor=None),
        Line.at_most(f"read one of {largest.n:,}, request path", largest.read_us, "µs", floor=None),
    ]
    for store_ in ours:
        found.append(Line.at_most(f"publish {store_.n:,} customers", store_.seconds, "s", floor=None))
        found.append(Line.at_most("  bytes a customer", store_.n_bytes / store_.n, "bytes", floor=None))
        found.append(Line.at_most("  memory at the peak", store_.gib, "GiB", floor=None))
    for small, large in pairwise(ours):
        each = (large.seconds / large.n) / (small.seconds / small.n)
        found.append(Line.at_most(f"seconds a customer, {large.n:,} beside {small.n:,}", each, "×", floor=GROWTH))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=20_000, help="customers")
    parser.add_argument("--fill", choices=("ours", "peer"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fill:
        fill = fill_ours if given.fill == "ours" else fill_peer
        with tempfile.TemporaryDirectory(prefix="tiercel-publish-") as folder:
            sys.stdout.write(json.dumps(asdict(fill(given.size, Path(folder)))) + "\n")
        return
    ours = [filled for n in sorted({max(FEWEST, given.size // part) for part in (100, 10, 1)})
            if (filled := alone("ours", n))]  # fmt: skip
    peer = largest_peer(given.size)
    mine = next((filled for filled in ours if filled.n == peer.n), None) or alone("ours", peer.n)
    if mine is None:
        raise SystemExit("our store was not filled")
    title = f"online rows of {len(COLUMNS)} columns"
    show("publish", given.size, lines(ours, mine, peer), title=title, peer="Feast's SQLite store")


if __name__ == "__main__":
    main()
