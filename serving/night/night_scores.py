"""Every customer of the release scored with every offer, as Parquet: what a night, an audience or a report starts from.

The facts are written first, a file for each part of the customers; then each part is scored on its own, here one after
the other or by Spark on as many machines as it has, by the same `PartitionScorer` and so to the bit.

    HOME/reports/scores/DAY/facts/part-00000.parquet      what the champions ask, one row a customer
    HOME/reports/scores/DAY/scores/*.parquet              one row a customer and offer, as `partitions.SCHEMA` says
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.bank.engines import ENGINES
from features.bank.whole_files import whole
from features.errors import BadRequest
from features.profiles import silent
from features.vocabulary import CUSTOMER_ID, Kind
from serving.desk.deciding import Desk
from serving.night.partitions import SCHEMA, PartitionScorer, asked_of

PART_ROWS = 20_000  # customers of a part: with thirty offers some 60 MB of scores


@dataclass(frozen=True, slots=True)
class Scored:
    """Where the scores lie, of how many customers and rows, by which release."""

    folder: Path
    release_id: str
    n_customers: int
    n_rows: int


def score_everybody(
    desk: Desk,
    *,
    channel: str = "",
    engine: str = ENGINES[0],
    part_rows: int = PART_ROWS,
    progress: Callable[[str, float], None] = silent,
) -> Scored:
    """The scores of all customers at the desk's instant for `channel` (empty: the reference channel).

    What stood there of the same day is replaced. `engine` is one of ENGINES; a Spark session that is open already is
    joined, so that a program on a cluster scores on it. Raises BadRequest for another engine, MissingSpark.
    """
    if engine not in ENGINES:
        raise BadRequest("unknown engine", value=engine, allowed=ENGINES)
    ground, now = desk.ground(), desk.clock.now()
    day = ground.business_day(now)
    folder = desk.home / "reports" / "scores" / day.isoformat()
    shutil.rmtree(folder, ignore_errors=True)
    progress("facts", 0.0)
    parts = [_written(folder / "facts" / f"part-{place:05d}.parquet", rows)
             for place, rows in enumerate(_facts(desk, part_rows))]  # fmt: skip
    scorer, out = PartitionScorer(desk.home, ground.id, day, channel), folder / "scores"
    progress("scores", 0.3)
    if engine == ENGINES[0]:
        for place, part in enumerate(parts):
            (scores,) = scorer(iter([pq.read_table(part).to_pandas()]))
            _written(out / part.name, pa.Table.from_pandas(scores, preserve_index=False))
            progress("scores", 0.3 + 0.7 * (place + 1) / len(parts))
    else:
        _by_spark(parts, scorer, out)
    n_rows = sum(pq.read_metadata(path).num_rows for path in out.glob("*.parquet"))
    return Scored(folder, ground.id, sum(pq.read_metadata(path).num_rows for path in parts), n_rows)


def _facts(desk: Desk, part_rows: int) -> Iterator[pa.Table]:
    """What the champions ask of all customers, part by part in the order of their ids, each of the same types."""
    ground, now = desk.ground(), desk.clock.now()
    asked = asked_of(ground.champions)
    every = ground.reader.customer_ids()
    for start in range(0, len(every), part_rows):
        found = desk.facts(every[start : start + part_rows], now)
        kinds = {feature.name: pa.string() if feature.kind is Kind.CODE else pa.float64() for feature in asked}
        columns = {name: pa.array(found.facts[name], kind) for name, kind in kinds.items() if name in found.facts}
        yield pa.table({CUSTOMER_ID: pa.array(found.ids, pa.string()), **columns})


def _written(path: Path, rows: pa.Table) -> Path:
    with whole(path) as half:
        pq.write_table(rows, half)
    return path


def _by_spark(parts: list[Path], scorer: PartitionScorer, out: Path) -> None:
    from features.bank.spark_engine import Spark

    spark = Spark()
    try:
        spark.map_files(parts, scorer, SCHEMA, out)
    finally:
        spark.close()
