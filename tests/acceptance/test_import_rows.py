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
