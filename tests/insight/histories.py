"""Small histories written by hand or drawn: who stood where at each month end, as profile files of a lineage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import Phase, settings
from hypothesis import strategies as st

from features.bank.engines import month_end
from features.lineages import Build
from features.vocabulary import Stage
from insight.history import History, Label, open_history

TIERS = ["V0", "V1", "V2", "V4"]
STAGES = [str(stage) for stage in Stage]
NAMES: Mapping[Label, Sequence[str]] = {"tier": TIERS, "stage": STAGES}
FIRST = date(2025, 1, 31)


@dataclass(frozen=True)
class Person:
    """One person at one month end."""

    stage: str = "GROWTH"
    tier: str | None = "V0"
    mda: float | None = 0.0
    customer_class: str = "MASS"
    value: float | None = None


Month = Mapping[str, Person]
_SCHEMA = pa.schema(
    {
        "customer_id": pa.string(), "customer_class": pa.string(), "stage": pa.string(), "tier": pa.string(),
        "mda": pa.float64(), "stage_entered_on": pa.date32(), "tier_since_on": pa.date32(),
    }
)  # fmt: skip


@dataclass
class _Since:
    """Since when each person has stood under a label without a break."""

    held: dict[str, tuple[Any, date]] = field(default_factory=dict)

    def of(self, who: str, label: Any, on: date) -> date:
        if who not in self.held or self.held[who][0] != label:
            self.held[who] = (label, on)
        return self.held[who][1]


def days(n: int) -> list[date]:
    """The first n month ends."""
    found = [FIRST]
    while len(found) < n:
        found.append(month_end(found[-1] + timedelta(days=1)))
    return found


def write(folder: Path, months: Sequence[Month], *, with_value: bool = False) -> tuple[Build, ...]:
    """Profile files of `months`; a label is held since the first month end of its unbroken row."""
    stages, tiers = _Since(), _Since()
    return tuple(
        written(folder, on, [_row(who, person, on, stages, tiers) for who, person in sorted(month.items())], with_value)
        for on, month in zip(days(len(months)), months, strict=True)
    )


def written(folder: Path, on: date, rows: list[dict[str, Any]], with_value: bool = False) -> Build:
    path = folder / f"{on}.parquet"
    schema = _SCHEMA.append(pa.field("value_12m", pa.float64())) if with_value else _SCHEMA
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    closed_at = datetime(on.year, on.month, on.day, 18, tzinfo=UTC)
    return Build(on, "lsmall", path, len(rows), "rows", "policy", closed_at)


@contextmanager
def history_of(*months: Month, with_value: bool = False) -> Iterator[History]:
    """The history of `months`, in files that live as long as the block."""
    with TemporaryDirectory() as folder, open_history(write(Path(folder), months, with_value=with_value)) as history:
        yield history


def _row(who: str, person: Person, on: date, stages: _Since, tiers: _Since) -> dict[str, Any]:
    return {
        "customer_id": who, "customer_class": person.customer_class, "stage": person.stage, "tier": person.tier,
        "mda": person.mda, "value_12m": person.value, "stage_entered_on": stages.of(who, person.stage, on),
        "tier_since_on": tiers.of(who, person.tier, on),
    }  # fmt: skip


# in quarters, whose sums are exact: what rounding leaves of a difference must not decide about a comparison
amounts = st.integers(-2_000, 40_000_000).map(lambda quarters: quarters / 4)
people = st.builds(
    Person,
    stage=st.sampled_from(STAGES),
    tier=st.sampled_from([*TIERS, None]),
    mda=st.one_of(st.none(), amounts),
    customer_class=st.sampled_from(["MASS", "WEALTH"]),
)
# each example writes files and asks DuckDB: to shrink one would take minutes, and the first found is small already
SLOW = settings(max_examples=8, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
histories = st.lists(st.dictionaries(st.sampled_from("abcdefgh"), people, min_size=1), min_size=1, max_size=5)
whole_histories = st.lists(st.fixed_dictionaries(dict.fromkeys("abcdef", people)), min_size=1, max_size=5)
