"""Several customer numbers, one person: chains followed to their end; what leads nowhere stays apart and is told."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from features.bank.crosswalk import lay_persons
from features.bank.engines import connect
from features.bank.reading import Fault
from tests.features.bank_files import SMALLEST, imported, smallest, write

Pairs = Sequence[tuple[str, str]]
CROSSWALK = {"files": ["merged.csv"], "from": "旧", "to": "新"}
N = 200


def crossed(pairs: Pairs) -> tuple[dict[str, str], list[Fault]]:
    """Who each number is, and what cannot be followed."""
    con = connect()
    con.raw_sql("CREATE TABLE pairs (id VARCHAR, person VARCHAR, _row BIGINT, _place VARCHAR)")
    for row, pair in enumerate(pairs):
        con.con.execute("INSERT INTO pairs VALUES (?, ?, ?, ?)", [*pair, row, f"f:{row}"])
    faults = lay_persons(con, "SELECT * FROM pairs")
    found = dict(con.raw_sql("SELECT id, person FROM _person").fetchall())
    con.disconnect()
    return found, faults


def test_a_number_merged_into_one_that_is_merged_itself_is_the_last_of_them() -> None:
    pairs = [("B", "C"), ("A", "B"), ("C", "D"), ("X", "D"), ("D", "D"), ("A", "B")]
    found, faults = crossed(pairs)
    assert found == dict.fromkeys("ABCX", "D")
    assert faults == []


def test_a_circle_and_what_leads_into_it_stay_apart_and_are_told() -> None:
    found, faults = crossed([("A", "B"), ("B", "A"), ("Z", "A"), ("P", "Q")])
    assert found == {"P": "Q"}
    assert [(fault.place, fault.value) for fault in faults] == [("f:0", "A → B"), ("f:1", "B → A"), ("f:2", "Z → A")]
    assert {fault.rule for fault in faults} == {"customer number leads to no person, but in a circle"}


def test_a_number_of_two_persons_is_the_first_and_the_other_is_told() -> None:
    found, faults = crossed([("A", "B"), ("A", "C"), ("A", "B")])
    assert found == {"A": "B"}
    assert [(fault.rule, fault.value) for fault in faults] == [
        ("customer number stands for another person already", "A → C")
    ]


@given(pairs=st.lists(st.tuples(st.sampled_from("ABCDEFGH"), st.sampled_from("ABCDEFGH")), max_size=12))
def test_every_number_is_who_a_plain_walk_says(pairs: Pairs) -> None:
    first: dict[str, str] = {}
    for number, person in pairs:
        if number != person:
            first.setdefault(number, person)
    walked = {}
    for number in first:
        at, seen = number, set()
        while at in first and at not in seen:
            seen.add(at)
            at = first[at]
        if at not in first:
            walked[number] = at
    assert crossed(pairs)[0] == walked


def test_a_bank_with_chains_circles_and_words_for_nothing_loses_nobody(tmp_path: Path) -> None:
    folder = smallest(tmp_path / "files", N)
    pairs = [("C000", "C001"), ("C001", "C002"), ("C010", "C011"), ("C011", "C010"), ("C020", "NULL"), ("C021", "NULL"),
             ("C030", "")]  # fmt: skip
    random.Random(3).shuffle(pairs)
    write(folder / "merged.csv", [("旧", "新"), *pairs])
    done = imported(SMALLEST, folder, tmp_path / "home", crosswalk=CROSSWALK, nulls=["NULL"])
    people = set(pq.read_table(tmp_path / "home" / "bank" / "customer")["customer_id"].to_pylist())
    assert people == {f"C{i:03d}" for i in range(N)} - {"C000", "C001"}
    owners = pq.read_table(tmp_path / "home" / "bank" / "balance").to_pylist()
    assert {row["customer_id"] for row in owners if row["account_id"] in ("A000", "A001", "A002")} == {"C002"}
    assert len(owners) == N
    assert [(aside.table, aside.n) for aside in done.received.aside] == [("customer", 2)]


def test_the_row_of_the_persons_own_number_stands_for_all_else_that_of_the_smallest(tmp_path: Path) -> None:
    born = {"C1": "1981-01-01", "C2": "1982-01-01", "C3": "1983-01-01", "C4": "1984-01-01", "C5": "1985-01-01"}
    people = [(name, day, "2023-01-01") for name, day in born.items()]
    write(tmp_path / "customer.csv", [("id", "born", "joined"), *reversed(people)])
    write(tmp_path / "merged.csv", [("旧", "新"), ("C1", "C3"), ("C2", "C3"), ("C4", "P"), ("C5", "P")])
    imported({"customer": SMALLEST["customer"]}, tmp_path, tmp_path / "home", crosswalk=CROSSWALK)
    found = pq.read_table(tmp_path / "home" / "bank" / "customer").to_pylist()
    assert {row["customer_id"]: str(row["birth_on"]) for row in found} == {"C3": born["C3"], "P": born["C4"]}
