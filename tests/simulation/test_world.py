"""The simulation as a program: equal seeds, equal bytes; months; what it refuses and what it leaves behind."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.bank.tables import TABLES
from features.errors import BadRequest
from simulation import HookTest, simulate, standing_tests
from simulation.months import calendar_months
from tests.simulation.banks import MONTHS, Simulated, shelf, simulated

MONTHLY = (
    "txn",
    "channel_event",
    "contact",
    "response",
    "survey_response",
    "journey_event",
    "rm_usage",
    "product_ledger",
)


def digests(home: Path) -> dict[str, str]:
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*.parquet"))
    }


def test_equal_seeds_give_equal_bytes_and_another_seed_another_bank(tmp_path: Path) -> None:
    one, same, other = (
        digests(simulated(tmp_path / name, customers=600, months=4, seed=seed).home)
        for name, seed in (("one", 5), ("same", 5), ("other", 6))
    )
    assert one == same
    assert one.keys() == other.keys()
    changed = {name for name in one if one[name] != other[name]}
    # the catalogue is given, not drawn, and what a remedy does is the same in every bank
    assert set(one) - changed == {"bank/offer/all.parquet", "truth/remedies.parquet"}


def test_every_table_of_the_contract_is_written_and_large_ones_by_month(bank: Simulated) -> None:
    folders = {path.name: sorted(file.stem for file in path.iterdir()) for path in (bank.home / "bank").iterdir()}
    assert folders.keys() == TABLES.keys()
    months = [month.label for month in calendar_months(date(2025, 12, 31), MONTHS)]
    for table in MONTHLY:
        assert folders[table] == months
    assert folders["balance"] == [*months, "open"]
    counted = {
        name: sum(pq.read_metadata(file).num_rows for file in (bank.home / "bank" / name).iterdir()) for name in TABLES
    }
    assert counted == bank.summary.rows


def test_no_transaction_lies_outside_the_file_of_its_month(bank: Simulated) -> None:
    for table in MONTHLY:
        answer = bank.sql(
            f"SELECT count(*) AS n FROM read_parquet('{bank.home}/bank/{table}/*.parquet', filename=true) "
            "WHERE strftime(business_on, '%Y-%m') <> parse_filename(filename, true)"
        )
        assert answer["n"][0] == 0, table


def test_months_are_whole_and_end_where_told() -> None:
    months = calendar_months(date(2024, 2, 29), 3)
    assert [(m.label, m.n_days) for m in months] == [("2023-12", 31), ("2024-01", 31), ("2024-02", 29)]
    assert months[-1].last_on == (date(2024, 2, 29) - date(1970, 1, 1)).days
    with pytest.raises(BadRequest, match="not the last day of a month"):
        calendar_months(date(2024, 2, 28), 3)


def test_a_home_that_holds_a_bank_is_left_as_it_is(tmp_path: Path) -> None:
    before = digests(simulated(tmp_path, customers=200, months=1).home)
    with pytest.raises(BadRequest, match="holds a bank already"):
        simulated(tmp_path, customers=200, months=1)
    assert digests(tmp_path) == before


def test_a_run_that_ends_early_leaves_no_bank_and_the_next_one_succeeds(tmp_path: Path) -> None:
    def interrupt(_what: str, share: float) -> None:
        if share > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path, customers=200, months=3, seed=1, offers=shelf(), progress=interrupt)
    assert not (tmp_path / "bank").exists()
    simulated(tmp_path, customers=200, months=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank", "truth"]


def test_progress_is_told_month_by_month(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    simulate(tmp_path, customers=200, months=2, seed=1, offers=shelf(), progress=lambda *step: told.append(step))
    assert told == [("2025-11", 0.0), ("2025-12", 0.5), ("books", 1.0)]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"customers": 10}, "too small a bank"),
        ({"months": 0}, "too small a bank"),
        ({"hooks": (HookTest("H99", "H99", "MATURITY"),)}, "not on the shelf: 'H99'"),
        ({"offers": shelf().drop_columns(["is_ranked"])}, "lack columns"),
        ({"offers": shelf().set_column(0, "offer_id", [[None] * len(shelf())])}, "do not fit"),
        ({"offers": pa.concat_tables([shelf(), shelf()])}, "listed twice"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_a_sentence(
    tmp_path: Path, given: dict[str, object], complaint: str
) -> None:
    usual: dict[str, object] = {"customers": 200, "months": 1, "seed": 1, "offers": shelf()}
    with pytest.raises(BadRequest, match=complaint):
        simulate(tmp_path, **(usual | given))  # type: ignore[arg-type]  # one wrong argument is the point


def test_standing_hooks_fall_back_to_the_nearest_offer_on_the_shelf() -> None:
    assert [t.offer_id for t in standing_tests(["P05", "H06", "S07"])] == ["P05", "H06", "S07"]
    assert standing_tests(["P24"]) == ()


def test_amounts_of_the_catalogue_may_come_as_plain_numbers(tmp_path: Path) -> None:
    plain = shelf().set_column(9, "min_amount", shelf()["min_amount"].cast(pa.float64()))
    simulate(tmp_path / "plain", customers=300, months=1, seed=1, offers=plain)
    simulate(tmp_path / "exact", customers=300, months=1, seed=1, offers=shelf())
    assert digests(tmp_path / "plain") == digests(tmp_path / "exact")


def test_without_hooks_the_holdout_and_the_treatments_are_drawn(tmp_path: Path) -> None:
    simulate(tmp_path, customers=400, months=2, seed=1, offers=shelf(), hooks=())
    arms = sorted(pq.read_table(tmp_path / "bank" / "assignment")["experiment_id"].unique().to_pylist())
    assert arms == ["GLOBAL-2025", "PRICE-2025-12", "SERVICE-2025-12"]
