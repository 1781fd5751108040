"""Publishing and reading online rows: the packed store beside Feast's own SQLite store, in one run.

    python -m benchmarks.publish --size 20000

Both get the same customers with the same 60 columns. The peer writes through Feast's `write_to_online_store`, as its
users do, and both stores are read through Feast; the request path's own reader stands beside.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureStore
from rich.console import Console
from rich.table import Table

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
READS = 300
MISSING_SHARE = 0.1


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


def measure(n: int, home: Path) -> list[dict[str, object]]:
    table = customers(n)
    (home / "profiles" / LINEAGE).mkdir(parents=True)
    pq.write_table(table, home / "profiles" / LINEAGE / "2025-12-31.parquet")
    path, peer_path = online_path(home, LINEAGE), home / "peer.sqlite"
    view = ViewRows(MONTH, COLUMNS, LIFETIME, table)
    ours_seconds = min(seconds(lambda: publish(path, view)) for _ in range(3))
    apply(home, LINEAGE, [ViewSpec(MONTH, COLUMNS, f"profiles/{LINEAGE}/*.parquet", LIFETIME)])
    feast = store(home, LINEAGE, at=AS_OF)
    peer = peer_store(feast, peer_path)
    frame = table.to_pandas()
    peer_seconds = seconds(lambda: peer.write_to_online_store(MONTH, frame))
    ids = [f"C{k:08d}" for k in np.random.default_rng(8).integers(0, n, READS)]
    through_feast, peer_read = read_microseconds(feast, ids), read_microseconds(peer, ids)
    with OnlineReader(path) as reader:
        direct = float(np.median([seconds(lambda i=i: reader.rows([i], at=AS_OF)) for i in ids])) * 1e6
    return [
        line("publish", ours_seconds, peer_seconds, "s", goal=20),
        line("bytes", path.stat().st_size, peer_path.stat().st_size, "bytes", goal=8),
        line("read one customer, request path", direct, peer_read, "µs", goal=5),
        line("read one customer, through Feast", through_feast, peer_read, "µs", goal=None),
    ]


def line(what: str, ours: float, peer: float, unit: str, *, goal: float | None) -> dict[str, object]:
    ratio = peer / ours
    met = goal is None or ratio >= goal
    return {"what": what, "ours": ours, "peer": peer, "ratio": ratio, "unit": unit, "floor": goal, "goal": goal,
            "met_floor": met, "met_goal": met}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=20_000, help="customers")
    size = parser.parse_args().size
    with tempfile.TemporaryDirectory() as folder:
        lines = measure(size, Path(folder))
    shown = Table("what", "unit", "ours", "Feast's SQLite store", "ratio", "to reach",
                  title=f"{size} customers × {len(COLUMNS)} columns, {platform.machine()}")  # fmt: skip
    for found in lines:
        goal = "" if found["goal"] is None else f"≥ {found['goal']} ×"
        shown.add_row(str(found["what"]), str(found["unit"]), f"{found['ours']:,.2f}", f"{found['peer']:,.2f}",
                      f"{found['ratio']:,.1f}", goal)  # fmt: skip
    console = Console()
    console.print(shown)
    console.file.write(json.dumps({"name": "publish", "size": size, "lines": lines}) + "\n")


if __name__ == "__main__":
    main()
