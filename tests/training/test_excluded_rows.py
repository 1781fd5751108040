"""Rows that nobody may learn from, each kind planted in a bank: left out of the frame, and counted under its rule."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.habits import N_CUSTOMERS, bank, table_of
from training.gathering import gather
from training.ground import ground_of
from training.retrain import retrain

pytestmark = pytest.mark.slow
AS_OF = date(2025, 3, 29)  # the last wave, of 27 March, is open for five days
PLANTED = {"DEGRADED": 11, "DRY_RUN": 7, "REPLAYED": 5, "HOLDOUT": 3}
N_IN_GLOBAL = 4  # customers of the yearly holdout whom one wave reached in spite of it


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bank of the retraining tests, with marks on the first contacts of the first wave."""
    home = bank(tmp_path_factory.mktemp("marked") / "home")
    (path,) = (home / "bank" / "contact").glob("*.parquet")
    rows = pq.read_table(path)
    marks = np.full(rows.num_rows, None, dtype=object)
    order = np.argsort(rows["contact_id"].to_numpy(zero_copy_only=False).astype(str))
    marks[order[: sum(PLANTED.values())]] = np.repeat(list(PLANTED), list(PLANTED.values()))
    place = rows.schema.get_field_index("decision_mark")
    pq.write_table(rows.set_column(place, "decision_mark", pa.array(marks, pa.string())), path)
    return home


def marked(home: Path) -> dict[str, str]:
    (path,) = (home / "bank" / "contact").glob("*.parquet")
    rows = pq.read_table(path, columns=["contact_id", "decision_mark"]).to_pylist()
    return {row["contact_id"]: row["decision_mark"] for row in rows if row["decision_mark"]}


def test_degraded_dry_replayed_held_out_and_open_rows_are_left_out_and_counted_by_rule(home: Path) -> None:
    examples = gather(ground_of(home, AS_OF), "response").examples
    assert examples.excluded == PLANTED | {"IMMATURE": N_CUSTOMERS}
    learnt = set(examples.frame["contact_id"])
    assert learnt.isdisjoint(marked(home))
    (path,) = (home / "bank" / "contact").glob("*.parquet")
    sent = dict(zip(*[pq.read_table(path)[name].to_pylist() for name in ("contact_id", "sent_at")], strict=True))
    horizon = datetime(2025, 3, 29, 16, tzinfo=UTC)
    closed = {name for name, at in sent.items() if at + timedelta(days=5) <= horizon}
    assert learnt == closed - set(marked(home)), "and nothing else is"


def test_the_counts_stand_with_the_version_and_its_run(home: Path) -> None:
    done = retrain(home, "response", AS_OF, 1)
    assert done.excluded == PLANTED | {"IMMATURE": N_CUSTOMERS}
    assert sum(done.sizes.values()) + sum(done.excluded.values()) == 9 * N_CUSTOMERS


def test_members_of_the_banks_holdout_are_told_by_its_assignments_too(home: Path) -> None:
    (path,) = (home / "bank" / "contact").glob("*.parquet")
    rows = pq.read_table(path).to_pylist()
    free = sorted({row["customer_id"] for row in rows} - {row["customer_id"] for row in rows if row["decision_mark"]})
    held = free[:N_IN_GLOBAL]
    at = datetime(2025, 1, 1, tzinfo=UTC)
    frame = pd.DataFrame({"experiment_id": "GLOBAL-2025", "customer_id": held, "arm": "HOLDOUT", "propensity": 0.05,
                          "assigned_at": at, "business_on": at.date(), "known_at": at})  # fmt: skip
    (home / "bank" / "assignment").mkdir()
    pq.write_table(table_of("assignment", frame), home / "bank" / "assignment" / "all.parquet")
    counts = gather(ground_of(home, AS_OF), "response").examples.excluded
    assert counts["HOLDOUT"] == PLANTED["HOLDOUT"] + N_IN_GLOBAL * 9, "the open wave too"
