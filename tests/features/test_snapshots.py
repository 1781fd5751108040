"""Daily snapshots as intervals: days that are none, days exported twice, many shares of the accounts folded apart."""

from __future__ import annotations

import random
from copy import deepcopy
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from features.bank.engines import connect
from features.bank.intervals import Snapshots
from features.bank.tables import TABLES
from tests.features.bank_files import SMALLEST, imported, smallest, write


def rows(home: Path, table: str, *names: str) -> list[tuple[Any, ...]]:
    read = pq.read_table(home / "bank" / table).select(list(names)).to_pylist()
    return [tuple(row.values()) for row in read]


def test_a_day_on_which_hardly_anybody_is_heard_of_ends_nobody(tmp_path: Path) -> None:
    folder = smallest(tmp_path / "files", 100)
    whole = [
        (f"C{i:03d}", f"A{i:03d}", "DEMAND", day, "5.00") for day in ("2024-01-01", "2024-01-02") for i in range(100)
    ]
    typo = [("C001", "A001", "DEMAND", "2024-02-02", "7.00")]
    write(folder / "balance.csv", [("id", "account", "kind", "day", "amount"), *whole, *typo])
    tables = deepcopy(SMALLEST)
    for absent in ("ends", "holds"):
        tables["balance"]["snapshots"] = absent
        done = imported(tables, folder, tmp_path / absent)
        ended = [end for _, _, end in rows(tmp_path / absent, "balance", "account_id", "from_on", "to_on")]
        assert ended.count(None) == 100
        assert [(a.n, a.rule.partition(" on which")[0]) for a in done.received.aside] == (
            [(1, "a day")] if absent == "ends" else []
        )


@pytest.mark.parametrize(("n_heard", "is_day"), [(50, True), (49, False)])
def test_a_day_on_which_half_of_the_accounts_are_heard_of_is_one(tmp_path: Path, n_heard: int, is_day: bool) -> None:
    folder = smallest(tmp_path / "files", 100)
    days = [f"{date(2024, 1, 1) + timedelta(days=i)}" for i in range(30)]
    money = [(f"C{i:03d}", f"A{i:03d}", "DEMAND", day, "5.00") for day in days for i in range(100)]
    last = [(f"C{i:03d}", f"A{i:03d}", "DEMAND", "2024-01-31", "5.00") for i in range(n_heard)]
    write(folder / "balance.csv", [("id", "account", "kind", "day", "amount"), *money, *last])
    tables = deepcopy(SMALLEST)
    tables["balance"]["snapshots"] = "ends"
    done = imported(tables, folder, tmp_path / "home")
    ended = [end for _, end in rows(tmp_path / "home", "balance", "account_id", "to_on") if end is not None]
    assert len(ended) == (100 - n_heard if is_day else 0)
    assert done.received.n_aside == (0 if is_day else n_heard)


def test_a_day_that_was_exported_twice_makes_no_later_day_look_cut_off(tmp_path: Path) -> None:
    n = 60
    folder = smallest(tmp_path / "files", n)
    days = [f"{date(2024, 1, 1) + timedelta(days=i)}" for i in range(n)]
    money = [
        (f"C{i:03d}", f"A{i:03d}", "DEMAND", day, "5.00") for day in days for i in range(n if day < days[9] else 59)
    ]
    again = [row for row in money if row[3] == days[5]]
    write(folder / "balance.csv", [("id", "account", "kind", "day", "amount"), *money, *again])
    tables = deepcopy(SMALLEST)
    tables["balance"]["snapshots"] = "ends"
    done = imported(tables, folder, tmp_path / "home")
    assert [(a.n, a.rule) for a in done.received.aside] == [(n, "key stands twice")]
    ended = {a: end for a, end in rows(tmp_path / "home", "balance", "account_id", "to_on") if end is not None}
    assert ended == {"A059": date(2024, 1, 10)}


@pytest.mark.parametrize("absent", ["ends", "holds"])
def test_balances_folded_in_many_shares_are_those_of_a_plain_loop(tmp_path: Path, absent: str) -> None:
    """The loop: an account's days in order; a new interval where the value changes or, if absence ends, after a gap."""
    chance = random.Random(3)
    days = [date(2024, 1, 1) + timedelta(days=i) for i in range(25)]
    said = {(f"A{i}", day): chance.choice(["1.00", "2.00"]) for i in range(40) for day in days if chance.random() < 0.9}
    expected = set()
    for account in {account for account, _ in said}:
        heard = [(day, said[account, day]) for day in days if (account, day) in said]
        begins = [n for n, (day, amount) in enumerate(heard) if n == 0 or amount != heard[n - 1][1]
                  or (absent == "ends" and heard[n - 1][0] != day - timedelta(days=1))]  # fmt: skip
        for n, following in zip(begins, [*begins[1:], None], strict=True):
            after = heard[(following or len(heard)) - 1][0] + timedelta(days=1)
            end = heard[following][0] if absent == "holds" and following else None
            if absent == "ends":
                end = after if after in days else None
            expected.add((account, *heard[n], end))
    typed = " UNION ALL ".join(
        f"SELECT 'C' AS customer_id, '{account}' AS account_id, 'DEMAND' AS asset_class, DATE '{day}' AS from_on, "
        f"NULL::DATE AS to_on, {amount}::DECIMAL(18, 2) AS amount, 0.0 AS in_transit_amount, "
        f"0.0 AS loan_proceeds_amount, now() AS known_at, {n} AS _row"
        for n, ((account, day), amount) in enumerate(said.items())
    )
    con = connect()
    daily = Snapshots(TABLES["balance"], typed, len(said), [], absent)
    assert daily.fold(con, "folded", tmp_path / "days", rows_a_share=100) == len(said)
    assert len(list((tmp_path / "days").iterdir())) > 5  # of ten shares, one may have no account
    found = con.raw_sql(
        "SELECT account_id, from_on, amount::VARCHAR, to_on FROM folded WHERE _fault IS NULL"
    ).fetchall()
    assert {(a, _day(f), v, _day(t)) for a, f, v, t in found} == expected
    assert len(found) == len(expected)


def _day(at: Any) -> date | None:
    return at.date() if isinstance(at, datetime) else at
