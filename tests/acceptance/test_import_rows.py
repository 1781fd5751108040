"""Promises about a bank's own files: one id over all sources, orphans counted, a tier for everybody."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from serving import jobs
from serving.settings import clock_of, read_settings
from tests.features.bank_files import SMALLEST, imported, smallest, write

N = 1_200


def test_C07_orphans_are_quarantined_and_counted_and_duplicate_ids_stay_below_a_thousandth(tmp_path: Path) -> None:
    folder = smallest(tmp_path / "files", N)
    with (folder / "customer.csv").open("a") as file:
        file.write("C007,1980-06-15,2023-01-01\n")  # the same id twice
        file.writelines(f"X{i:03d},1980-06-15,2023-01-01\n" for i in range(N // 2))  # second numbers of the first half
    pairs = [(f"X{i:03d}", f"C{i:03d}") for i in range(N // 2)]
    write(folder / "same.csv", [("old", "person"), *pairs])
    with (folder / "balance.csv").open("a") as file:
        file.writelines(f"nobody{i},B{i},DEMAND,2024-01-01,5.00\n" for i in range(3))
        file.writelines(f"X{i:03d},X{i:03d},DEMAND,2024-01-01,5.00\n" for i in range(N // 2))
    tables = deepcopy(SMALLEST)
    home = tmp_path / "home"
    done = imported(tables, folder, home, crosswalk={"files": ["same.csv"], "from": "old", "to": "person"})
    customers = pq.read_table(home / "bank" / "customer")["customer_id"].to_pylist()
    assert len(customers) == len(set(customers)) == N
    orphans = pq.read_table(home / "quarantine" / "balance.parquet").to_pylist()
    assert [(row["_rule"], row["_value"]) for row in orphans] == [
        ("customer_id is not in customer", f"nobody{i}") for i in range(3)
    ]
    assert {(a.table, a.rule, a.n) for a in done.received.aside} == {
        ("balance", "customer_id is not in customer", 3), ("customer", "key stands twice", 1),
    }  # fmt: skip
    assert done.received.aside[0].n / (N + 1) < 0.01
    assert 1 / (N + 1) < 0.001  # duplicate ids, of all that came in
    owners = set(pq.read_table(home / "bank" / "balance")["customer_id"].to_pylist())
    assert owners == set(customers)


def test_A01_every_customer_has_exactly_one_tier_to_the_fen_and_a_rerun_gives_the_same(tmp_path: Path) -> None:
    folder = smallest(tmp_path / "files", 50)
    floors = {"V1": 10_000, "V2": 50_000, "V3": 200_000, "V4": 500_000, "V5": 1_000_000, "VIP": 3_000_000,
              "VVIP": 6_000_000}  # fmt: skip
    money = [(f"C{i:03d}", "A", "DEMAND", "2024-02-01", f"{floor}.00") for i, floor in enumerate(floors.values())]
    money += [
        (f"C{10 + i:03d}", "A", "DEMAND", "2024-02-01", f"{floor - 1}.99") for i, floor in enumerate(floors.values())
    ]
    money += [("C020", "A", "DEMAND", "2024-02-01", "-7.00")]
    write(folder / "balance.csv", [("id", "account", "kind", "day", "amount"), *money])
    digests = []
    for home in (tmp_path / "one", tmp_path / "two"):
        imported(SMALLEST, folder, home)
        (*_, build) = jobs.build(home, clock_of(read_settings(home=home)))
        digests.append(build.digest)
    found = pd.read_parquet(build.path).set_index("customer_id")
    assert found.index.is_unique
    assert len(found) == 50
    assert found.tier.notna().all()
    names = ["V0", *floors]
    for i, name in enumerate(floors):
        assert found.tier[f"C{i:03d}"] == name
        assert found.tier[f"C{10 + i:03d}"] == names[names.index(name) - 1]
    assert found.tier["C020"] == found.tier["C049"] == "V0"  # below zero, and nothing at all
    assert digests[0] == digests[1]


def test_A01_the_thresholds_hold_for_daily_averages_counted_in_whole_fen_over_the_days_of_the_month(
    tmp_path: Path,
) -> None:
    """Σ of the daily balances ≥ threshold × days: the sum decides, unrounded; one fen below it is the tier below."""
    n_days, floor = 29, 500_000_00  # February 2024; V4 begins at 500,000.00, in fen
    days = [f"2024-02-{day:02d}" for day in range(1, n_days + 1)]
    uneven = [floor + (-1) ** day * 123_45 * (day // 2) for day in range(1, n_days)]
    last = floor * n_days - sum(uneven)
    paths = {"C000": [*uneven, last], "C001": [*uneven, last - 1], "C002": [floor * n_days] + [0] * (n_days - 1),
             "C003": [floor * n_days - 1] + [0] * (n_days - 1)}  # fmt: skip
    assert [sum(path) - floor * n_days for path in paths.values()] == [0, -1, 0, -1]
    folder = smallest(tmp_path / "files", 50)
    money = [
        (customer, "A", "DEMAND", day, f"{fen // 100}.{fen % 100:02d}")
        for customer, path in paths.items()
        for day, fen in zip(days, path, strict=True)
    ]
    write(folder / "balance.csv", [("id", "account", "kind", "day", "amount"), *money])
    tables = deepcopy(SMALLEST)
    tables["balance"]["snapshots"] = "ends"
    imported(tables, folder, tmp_path / "home")
    (*_, build) = jobs.build(tmp_path / "home", clock_of(read_settings(home=tmp_path / "home")))
    found = pd.read_parquet(build.path).set_index("customer_id").tier
    assert found.loc[list(paths)].to_dict() == {"C000": "V4", "C001": "V3", "C002": "V4", "C003": "V3"}
    assert found.notna().all()


def test_C07_rows_of_all_sources_end_with_one_person_under_one_id_and_nothing_is_lost_or_counted_twice(
    tmp_path: Path,
) -> None:
    """Three systems with their own numbers for one person, a joint account, orphans: every row is kept or set aside."""
    n = 300
    folder = smallest(tmp_path / "files", n)
    write(folder / "accounts.txt", [("account", "who", "role"), *((f"A{i:03d}", f"C{i:03d}", "主") for i in range(n)),
          *((f"A{i:03d}", f"C{i + 1:03d}", "共有") for i in range(0, n, 10))], delimiter="|")  # fmt: skip
    same = [(f"card{i}", f"C{i:03d}") for i in range(0, n, 3)] + [(f"loan{i}", f"C{i:03d}") for i in range(0, n, 4)]
    write(folder / "same.csv", [("old", "person"), *same])
    cards = [(f"K{i}", f"card{i}" if i % 3 == 0 else f"C{i:03d}", "P19", "2023-06-01") for i in range(n)]
    loans = [(f"L{i}", f"loan{i}", "P21", "2023-06-01") for i in range(0, n, 4)]
    write(folder / "cards.csv", [("no", "who", "kind", "opened"), *cards, ("K-x", "stranger", "P19", "2023-06-01")])
    write(folder / "loans.csv", [("no", "who", "kind", "opened"), *loans])
    tables = deepcopy(SMALLEST)
    tables["balance"]["columns"]["customer_id"] = {"owner_of": "account"}
    lent = {
        "loan_id": "no",
        "customer_id": "who",
        "product_id": "kind",
        "opened_on": "opened",
        "amount": {"constant": 1},
    }
    tables["loan"] = [{"files": ["cards.csv"], "columns": lent}, {"files": ["loans.csv"], "columns": lent}]
    owners = {"files": ["accounts.txt"], "account": "account", "customer": "who", "role": "role"}
    done = imported(
        tables, folder, tmp_path / "home", owners=owners | {"roles": ["主", "共有"]},
        crosswalk={"files": ["same.csv"], "from": "old", "to": "person"},
    )  # fmt: skip
    read = {
        name: pq.read_table(tmp_path / "home" / "bank" / name).to_pylist() for name in ("customer", "balance", "loan")
    }
    people = [row["customer_id"] for row in read["customer"]]
    assert sorted(people) == [f"C{i:03d}" for i in range(n)]
    assert {row["loan_id"]: row["customer_id"] for row in read["loan"]} == {
        **{f"K{i}": f"C{i:03d}" for i in range(n)}, **{f"L{i}": f"C{i:03d}" for i in range(0, n, 4)},
    }  # fmt: skip
    assert {row["account_id"]: row["customer_id"] for row in read["balance"]} == {
        f"A{i:03d}": f"C{i:03d}" for i in range(n)
    }
    assert [(a.table, a.rule, a.n, a.value) for a in done.received.aside] == [
        ("loan", "customer_id is not in customer", 1, "stranger")
    ]
    assert len(read["loan"]) + done.received.n_aside == len(cards) + 1 + len(loans)
