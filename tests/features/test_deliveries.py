"""Deliveries: the next month joins the bank that stands, and a killed import leaves one bank or the other, whole."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from features import profiles
from features.bank.engines import open_bank
from features.bank.importing import bring_in
from features.bank.quarantine import receive
from features.errors import BadBank
from features.lineages import Build
from features.policy import segments
from tests.features.bank_files import SMALLEST, days, imported, mapping_of, smallest, write

FIRST = date(2024, 1, 1)
STEPS = {"open", "os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "shutil.copyfile"}
Balances = dict[str, list[str | None]]  # account -> balance of each day, None where it is in no file


def daily(folder: Path, balances: Balances, first: date = FIRST) -> Path:
    """Daily files of accounts A.. of customers C.. from `first` on."""
    people = [(f"C{account[1:]}", "1980-06-15", "2023-01-01") for account in balances]
    write(folder / "customer.csv", [("id", "born", "joined"), *people])
    n_days = max(len(row) for row in balances.values())
    for number, day in enumerate(days(first, n_days)):
        rows = [(f"C{account[1:]}", account, "DEMAND", str(day), row[number]) for account, row in balances.items()]
        there = [tuple(map(str, row)) for row in rows if row[-1] is not None]
        write(folder / f"balance-{day}.csv", [("id", "account", "kind", "day", "amount"), *there])
    return folder


def tables(snapshots: str = "ends") -> dict[str, Any]:
    made = deepcopy(SMALLEST)
    made["balance"] |= {"files": ["balance-*.csv"], "snapshots": snapshots}
    return made


def intervals(home: Path) -> list[tuple[Any, ...]]:
    names = ["account_id", "from_on", "to_on", "amount"]
    rows = pq.read_table(home / "bank" / "balance", columns=names).to_pylist()
    return sorted((tuple(row.values()) for row in rows), key=lambda row: row[:2])


def whole(home: Path) -> dict[str, bytes]:
    """Everything that is seen of the bank of a home."""
    seen = [*(home / "bank").glob("*/*.parquet"), *(home / "quarantine").glob("*"), home / "home.json"]
    return {str(path.relative_to(home)): path.read_bytes() for path in sorted(seen) if path.exists()}


def test_months_brought_in_one_by_one_are_the_bank_that_comes_of_all_files_at_once(tmp_path: Path) -> None:
    chance = random.Random(5)
    for absent in ("ends", "holds"):
        balances: Balances = {f"A{i:02d}": _walk(chance, 24) for i in range(30)}
        place = tmp_path / absent
        imported(tables(absent), daily(place / "all", balances), place / "once")
        for number in range(3):
            part = {account: row[8 * number : 8 * number + 8] for account, row in balances.items()}
            folder = daily(place / f"month{number}", part, FIRST + timedelta(days=8 * number))
            bring_in(mapping_of(tables(absent)), folder, place / "by_month", adds=number > 0)
        assert intervals(place / "by_month") == intervals(place / "once"), absent
        assert len(list((place / "by_month" / "deliveries").iterdir())) == 1


@pytest.mark.parametrize("absent", ["ends", "holds"])
def test_a_month_that_is_brought_in_again_changes_no_interval(tmp_path: Path, absent: str) -> None:
    home = tmp_path / "home"
    imported(tables(absent), daily(tmp_path / "jan", {"A1": ["1.00", "2.00"], "A2": ["3.00", "3.00"]}), home)
    february = daily(tmp_path / "feb", {"A1": ["2.00", "5.00"], "A2": ["4.00", "4.00"]}, date(2024, 2, 1))
    bring_in(mapping_of(tables(absent)), february, home, adds=True)
    once = intervals(home)
    bring_in(mapping_of(tables(absent)), february, home, adds=True)
    assert intervals(home) == once
    assert len({row[:2] for row in once}) == len(once) == 5


def _walk(chance: random.Random, n: int) -> list[str | None]:
    row: list[str | None] = ["10.00"]
    while len(row) < n:
        row.append(chance.choice([row[-1], row[-1], row[-1], "20.00", "30.00", None]))
    return row


def test_a_further_delivery_replaces_by_key_keeps_the_rest_and_says_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    imported(SMALLEST, smallest(tmp_path / "one"), home)
    folder = tmp_path / "two"
    write(folder / "customer.csv", [("id", "born", "joined"), ("C001", "1981-01-01", "2023-01-01"),
          ("C002", "1980-06-15", "2023-01-01"), ("D000", "1990-01-01", "2024-02-01")])  # fmt: skip
    write(folder / "balance.csv", [("id", "account", "kind", "day", "amount"), ("C001", "A001", "DEMAND", "2024-02-01",
          "7.00"), ("C050", "B050", "DEMAND", "2024-02-01", "5.00"), ("E", "E", "DEMAND", "2024-02-01", "1.00")] + [
          ("D000", f"D{i:02d}", "DEMAND", "2024-02-01", "1.00") for i in range(60)])  # fmt: skip
    done = bring_in(mapping_of(SMALLEST), folder, home, adds=True)
    customers = {row["customer_id"]: row["birth_on"] for row in pq.read_table(home / "bank" / "customer").to_pylist()}
    assert len(customers) == 101
    assert (customers["C001"], customers["C003"]) == (date(1981, 1, 1), date(1980, 6, 15))
    assert "customer: 1 rows are new, 1 replace what stood, 1 stood already" in done.notes
    stands = {(row[0], row[1]): row[2:] for row in intervals(home)}
    assert stands[("A001", date(2024, 1, 1))] == (date(2024, 2, 1), Decimal("1000.00"))
    assert stands[("A001", date(2024, 2, 1))] == (None, Decimal("7.00"))
    assert stands[("A002", date(2024, 1, 1))] == (None, Decimal("2000.00"))
    assert stands[("B050", date(2024, 2, 1))] == (None, Decimal("5.00"))  # C050 is known from the first delivery
    assert [(aside.rule, aside.value) for aside in done.received.aside] == [("customer_id is not in customer", "E")]


def held(folder: Path, *holdings: str) -> Path:
    """Files of the smallest bank and of a list of what is held now."""
    smallest(folder)
    rows = [(name, "C001", "WMP90", "2024-01-05", "100.00") for name in holdings]
    write(folder / "holding.csv", [("no", "id", "product", "bought", "paid"), *rows])
    return folder


def test_what_a_list_of_everything_open_lacks_was_closed_by_its_day(tmp_path: Path) -> None:
    columns = {
        "holding_id": "no", "customer_id": "id", "product_id": "product", "opened_on": "bought", "amount": "paid",
    }  # fmt: skip
    listed = deepcopy(SMALLEST) | {"holding": {"files": ["holding.csv"], "absent": "closed", "columns": columns}}
    home = tmp_path / "home"
    imported(listed, held(tmp_path / "one", "H1", "H2", "H3"), home)
    day = date(2024, 2, 29)
    done = bring_in(mapping_of(listed), held(tmp_path / "two", "H2", "H3", "H4"), home, adds=True, as_of=day)
    rows = pq.read_table(home / "bank" / "holding").to_pylist()
    assert {row["holding_id"]: row["closed_on"] for row in rows} == {"H1": day, "H2": None, "H3": None, "H4": None}
    assert "holding: 1 that stood open are not listed: closed on 2024-02-29" in done.notes
    half = tmp_path / "half"
    imported(listed, held(tmp_path / "two of them", "H1", "H2"), half)
    bring_in(mapping_of(listed), held(tmp_path / "one of two", "H2"), half, adds=True, as_of=day)
    assert pq.read_table(half / "bank" / "holding")["closed_on"].null_count == 1
    before = whole(home)
    with pytest.raises(BadBank, match=r"of 3 rows that are open, 2 are not in these files; allowed: up to 50%"):
        bring_in(mapping_of(listed), held(tmp_path / "three", "H4"), home, adds=True, as_of=date(2024, 3, 31))
    assert whole(home) == before


def test_the_next_month_without_add_and_a_month_out_of_order_are_refused(tmp_path: Path) -> None:
    january = daily(tmp_path / "jan", {"A1": ["1.00", "2.00", "3.00"]})
    february = daily(tmp_path / "feb", {"A1": ["4.00", "5.00"]}, date(2024, 2, 1))
    home = tmp_path / "home"
    imported(tables(), january, home)
    before = whole(home)
    with pytest.raises(
        BadBank, match=r"business from 2024-01-01 to 2024-01-03, which these files would take away.*--add"
    ):
        imported(tables(), february, home)
    assert whole(home) == before
    bring_in(mapping_of(tables()), february, home, adds=True)
    with pytest.raises(BadBank, match=r"end before those that stand: '2024-01-03'.*2024-02-02 or beyond"):
        bring_in(mapping_of(tables()), january, home, adds=True)
    with pytest.raises(BadBank, match=r"no bank to add to"):
        bring_in(mapping_of(tables()), january, tmp_path / "none", adds=True)
    assert [row[1:3] for row in intervals(home)][-1] == (date(2024, 2, 2), None)


def test_a_delivery_joins_what_stands_when_its_turn_comes_not_what_stood_when_it_began(tmp_path: Path) -> None:
    months = {
        month: daily(tmp_path / str(month), {"A1": [f"{month}.00", f"{month}.50"]}, date(2024, month, 1))
        for month in (1, 2, 3)
    }

    def one_after_the_other(home: Path) -> Path:
        for month, folder in months.items():
            bring_in(mapping_of(tables()), folder, home, adds=month > 1)
        return home

    def while_waiting(what: str, _share: float) -> None:
        if what == "quarantine":  # read, and now waiting for the home
            bring_in(mapping_of(tables()), months[2], home, adds=True)

    home = tmp_path / "home"
    imported(tables(), months[1], home)
    bring_in(mapping_of(tables()), months[3], home, adds=True, progress=while_waiting)
    assert intervals(home) == intervals(one_after_the_other(tmp_path / "in_order"))
    home = tmp_path / "again"
    imported(tables(), months[1], home)
    with pytest.raises(
        BadBank, match=r"holds business from 2024-01-01 to 2024-02-02, which these files would take away"
    ):
        bring_in(mapping_of(tables()), months[1], home, progress=while_waiting)
    assert intervals(home)[-1][1] == date(2024, 2, 2)


def transactions(folder: Path, *rows: tuple[str, str, str]) -> Path:
    """Files of the smallest bank and these transactions: number, day, amount."""
    smallest(folder, 60)
    header = ("no", "id", "day", "paid", "learned")
    write(folder / "txn.csv", [header, *((no, "C001", day, paid, "2024-03-09T00:00:00Z") for no, day, paid in rows)])
    return folder


def test_a_row_that_comes_late_counts_from_the_next_month_on_and_old_profiles_stay(tmp_path: Path) -> None:
    said = {name: {"constant": value} for name, value in {"txn_type": "OTHER", "by_customer": True}.items()}
    columns = said | {"txn_id": "no", "customer_id": "id", "business_on": "day", "amount": "paid"}
    with_txn = deepcopy(SMALLEST) | {"txn": {"files": ["txn.csv"], "columns": columns}}
    first = transactions(tmp_path / "jan", ("T1", "2024-01-05", "1"), ("T2", "2024-01-31", "2"))
    second = transactions(
        tmp_path / "feb",
        ("T2", "2024-01-31", "2"),
        ("T3", "2024-02-29", "4"),
        ("LATE", "2024-01-20", "8"),
        ("LAST", "2024-01-31", "16"),
    )
    home = tmp_path / "home"
    bring_in(mapping_of(with_txn), first, home)
    january = profiles.build(home, segments(), instant=datetime(2024, 2, 2, tzinfo=UTC))[-1]
    before = january.path.read_bytes()
    late = "txn: 2 rows come late, of days that the bank held already"
    for n_late in (1, 0):  # the same files again change nothing
        notes = bring_in(mapping_of(with_txn), second, home, adds=True).notes
        assert sum(note.startswith(late) for note in notes) == n_late
        known = pq.read_table(home / "bank" / "txn", columns=["txn_id", "known_at"]).to_pylist()
        assert {row["txn_id"]: row["known_at"] for row in known} == {
            "T1": datetime(2024, 1, 5, 22, tzinfo=UTC),  # six in the morning of the next day in the bank's zone
            "T2": datetime(2024, 1, 31, 22, tzinfo=UTC),
            "T3": datetime(2024, 2, 29, 22, tzinfo=UTC),
            "LATE": datetime(2024, 2, 29, 22, tzinfo=UTC),
            "LAST": datetime(2024, 2, 29, 22, tzinfo=UTC),
        }
    months = profiles.build(home, segments(), instant=datetime(2024, 3, 2, tzinfo=UTC))
    assert (months[0], january.path.read_bytes()) == (january, before)
    assert spent(months) == [3, 31]
    assert spent(profiles.build(home, segments(), instant=datetime(2024, 3, 2, tzinfo=UTC), restate=january.as_of)) == [
        27, 31
    ]  # fmt: skip


def spent(months: list[Build]) -> list[float]:
    """What C001 moved in the three months up to each."""
    column = [pq.read_table(month.path, columns=["customer_id", "txn_amount_3m"]).to_pylist() for month in months]
    return [next(row["txn_amount_3m"] for row in rows if row["customer_id"] == "C001") for rows in column]


def test_files_that_say_when_a_row_was_known_are_taken_at_their_word(tmp_path: Path) -> None:
    said = {name: {"constant": value} for name, value in {"txn_type": "OTHER", "by_customer": True}.items()}
    columns = said | {
        "txn_id": "no",
        "customer_id": "id",
        "business_on": "day",
        "amount": "paid",
        "known_at": "learned",
    }
    with_txn = deepcopy(SMALLEST) | {"txn": {"files": ["txn.csv"], "columns": columns}}
    first = transactions(tmp_path / "jan", ("T1", "2024-01-05", "1"), ("T2", "2024-01-31", "2"))
    bring_in(mapping_of(with_txn, instant="2024-04-01T00:00:00Z"), first, tmp_path / "home")
    second = transactions(tmp_path / "feb", ("T3", "2024-02-29", "4"), ("LATE", "2024-01-20", "8"))
    done = bring_in(mapping_of(with_txn, instant="2024-04-01T00:00:00Z"), second, tmp_path / "home", adds=True)
    assert not any("come late" in note for note in done.notes), done.notes
    known = pq.read_table(tmp_path / "home" / "bank" / "txn")["known_at"].to_pylist()
    assert set(known) == {datetime(2024, 3, 9, tzinfo=UTC)}


def test_who_reads_a_bank_reads_one_delivery_to_the_end(tmp_path: Path) -> None:
    january = daily(tmp_path / "jan", {"A1": ["1.00", "2.00"], "A2": ["3.00", "3.00"]})
    february = daily(tmp_path / "feb", {"A1": ["4.00", "5.00"]}, date(2024, 2, 1))
    home = tmp_path / "home"
    imported(tables(), january, home)
    with open_bank(home) as bank:
        before = bank.tables["balance"].count().execute()
        bring_in(mapping_of(tables()), february, home, adds=True)
        assert len(list((home / "deliveries").iterdir())) == 2
        assert bank.tables["balance"].count().execute() == before == 3
        assert bank.tables["balance"].to_on.max().execute().date() == date(2024, 1, 2)
    with open_bank(home) as bank:
        assert bank.tables["balance"].count().execute() == 5
    bring_in(mapping_of(tables()), february, home, adds=True)
    assert len(list((home / "deliveries").iterdir())) == 1


def test_a_home_with_a_plain_bank_keeps_its_other_tables_and_is_pointed_at_from_then_on(tmp_path: Path) -> None:
    made = tmp_path / "made"
    imported(SMALLEST, smallest(tmp_path / "files"), made)
    home = tmp_path / "copied"
    shutil.copytree(made / "bank", home / "bank")
    (home / "home.json").write_text('{"source": "copied"}')
    receive(home, {"customer": pq.read_table(made / "bank" / "customer")})
    assert (home / "bank").is_symlink()
    assert intervals(home) == intervals(made)
    assert "copied" in (home / "home.json").read_text()
    shutil.move(home, tmp_path / "moved")  # links are relative: a home may be moved
    assert intervals(tmp_path / "moved") == intervals(made)


def test_what_was_set_aside_of_a_table_that_does_not_come_again_stays(tmp_path: Path) -> None:
    folder = smallest(tmp_path / "files")
    with (folder / "balance.csv").open("a") as file:
        file.write("C001,A-bad,DEMAND,2024-01-01,a lot\n")
    home = tmp_path / "home"
    imported(SMALLEST, folder, home)
    before = (home / "quarantine" / "balance.parquet").read_bytes()
    done = imported({"customer": SMALLEST["customer"]}, folder, home)
    assert done.received.stayed == ["balance"]
    assert (home / "quarantine" / "balance.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("said", "given", "until"),
    [
        ({"instant": "2024-03-05T23:00:00+00:00"}, {}, date(2024, 3, 6)),  # already the sixth in the bank's zone
        ({"instant": "2024-03-05T10:00:00+08:00", "last_on": "2024-02-29"}, {}, date(2024, 2, 29)),
        ({"last_on": "2024-02-29"}, {"as_of": date(2024, 2, 10)}, date(2024, 2, 10)),
        ({}, {"now": datetime(2024, 2, 14, 17, tzinfo=UTC)}, date(2024, 2, 15)),
    ],
)
def test_business_after_the_last_day_that_counts_is_the_future(
    tmp_path: Path, said: dict[str, Any], given: dict[str, Any], until: date
) -> None:
    folder = smallest(tmp_path / "files")
    with (folder / "balance.csv").open("a") as file:
        file.writelines(f"C001,A{day},DEMAND,{day},1.00\n" for day in (until, until + timedelta(days=1)))
    mapping = mapping_of(SMALLEST, **({"instant": None} | said))
    done = bring_in(mapping, folder, tmp_path / "home", **given)
    (aside,) = done.received.aside
    assert (aside.rule, aside.value) == ("from_on lies in the future", str(until + timedelta(days=1)))
    assert done.kept["balance"] == 101
    assert any(note.startswith(f"business after {until} counts as future") for note in done.notes)


def life(home: Path, folder: Path, step: int = 0, seconds: float = 0.0) -> None:
    """An import in a process of its own, killed before its n-th step in the file system of the home or after a time."""
    child = os.fork()
    if child == 0:
        if step:
            sys.addaudithook(_killer(step, str(home)))
        bring_in(mapping_of(tables()), folder, home)
        os._exit(0)
    if seconds:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _killer(step: int, home: str) -> Callable[[str, tuple[object, ...]], None]:
    left = iter(range(step - 1, -1, -1))

    def count(event: str, given: tuple[object, ...]) -> None:
        if event in STEPS and str(given[0]).startswith(home) and next(left, 1) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return count


@pytest.mark.slow
def test_an_import_killed_at_any_moment_leaves_the_old_bank_or_the_new_one_whole(tmp_path: Path) -> None:
    old = daily(tmp_path / "old", {f"A{i}": ["1.00", "2.00"] for i in range(3)})
    new = daily(tmp_path / "new", {f"A{i}": ["5.00", "6.00", "7.00"] for i in range(60)})
    write(new / "balance-2024-01-09.csv", [("id", "account", "kind", "day", "amount"),
          ("nobody", "A1", "DEMAND", "2024-01-03", "1.00")])  # fmt: skip
    imported(tables(), old, tmp_path / "before")
    imported(tables(), new, tmp_path / "after")
    before, after = whole(tmp_path / "before"), whole(tmp_path / "after")
    assert before != after
    chance = random.Random(11)
    deaths: list[str] = []
    for number in range(N_DEATHS):
        home = tmp_path / f"home{number}"
        shutil.copytree(tmp_path / "before", home, symlinks=True)
        life(home, new, **_death(number, chance))
        seen = whole(home)
        assert seen in (before, after)
        deaths.append("old" if seen == before else "new")
        imported(tables(), new, home)
        assert whole(home) == after
        assert len(list((home / "deliveries").iterdir())) == 1
        assert not list(home.glob(".*"))
        shutil.rmtree(home)
    assert {"old", "new"} <= set(deaths)


N_DEATHS = int(os.environ.get("IMPORT_KILLS", "24"))


def _death(number: int, chance: random.Random) -> dict[str, Any]:
    """Every third at a random time, the others at each step in turn; a step beyond the last is no death."""
    return {"seconds": chance.uniform(0.05, 1.5)} if number % 3 == 2 else {"step": 1 + number}
