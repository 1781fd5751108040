"""Every kind of bad input: set aside with table, key, rule and value, counted and told; nothing repaired in silence."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import BadBank
from tests.features.bank_files import SMALLEST, imported, smallest, write

N = 100
KINDS = [
    ("wrong type", {"amount": "a lot"}, "amount is not an amount", "a lot"),
    ("text in a number", {"amount": "12 元"}, "amount is not an amount", "12 元"),
    ("NaN", {"amount": "NaN"}, "amount is not an amount", "NaN"),
    ("infinity", {"amount": "inf"}, "amount is not an amount", "inf"),
    ("no value", {"amount": ""}, "amount is missing", ""),
    ("orphan key", {"id": "nobody"}, "customer_id is not in customer", "nobody"),
    ("duplicate", {"id": "C007", "account": "A007"}, "key stands twice", "C007/A007/DEMAND/2024-01-01"),
    ("future date", {"day": "2024-03-06"}, "from_on lies in the future", "2024-03-06"),
    ("a date in 1900", {"day": "1900-12-31"}, "from_on is out of time", "1900-12-31"),
    ("a date beyond 2100", {"day": "2100-01-02"}, "from_on is out of time", "2100-01-02"),
    ("a day that does not exist", {"day": "2024-02-30"}, "from_on is not a date yyyy-mm-dd", "2024-02-30"),
    ("another date form", {"day": "20240101"}, "from_on is not a date yyyy-mm-dd", "20240101"),
    ("unknown code", {"kind": "BITCOIN"}, "asset_class is not a known code", "BITCOIN"),
    ("an id spoilt by a spreadsheet", {"account": "6.22202E+18"},
     "account_id is not an id (a spreadsheet or a wrong encoding has spoilt it)", "6.22202E+18"),
    ("impossible negative", {"transit": "-3"}, "in_transit_amount is below 0", "-3"),
]  # fmt: skip


def bank(folder: Path, row: dict[str, str], n: int = N) -> Path:
    """A good bank with one more balance, as given."""
    smallest(folder, n)
    good = {"id": "C001", "account": "A-bad", "kind": "DEMAND", "day": "2024-01-01", "amount": "1.00", "transit": "0"}
    money = [(f"C{i:03d}", f"A{i:03d}", "DEMAND", "2024-01-01", f"{1000 * i}.00", "0") for i in range(n)]
    write(folder / "balance.csv", [tuple(good), *money, tuple((good | row).values())])
    return folder


def tables() -> dict[str, Any]:
    made = deepcopy(SMALLEST)
    made["balance"]["columns"]["in_transit_amount"] = "transit"
    return made


def aside(home: Path, table: str = "balance") -> list[dict[str, Any]]:
    return [dict(row) for row in pq.read_table(home / "quarantine" / f"{table}.parquet").to_pylist()]


@pytest.mark.parametrize(("kind", "row", "rule", "value"), KINDS, ids=[kind for kind, *_ in KINDS])
def test_a_bad_row_is_set_aside_with_key_rule_and_value(
    tmp_path: Path, kind: str, row: dict[str, str], rule: str, value: str
) -> None:
    done = imported(tables(), bank(tmp_path / "files", row), tmp_path / "home")
    assert done.kept == {"customer": N, "balance": N}
    (found,) = aside(tmp_path / "home")
    assert (found["_table"], found["_rule"], found["_value"] or "") == ("balance", rule, value)
    assert found["_place"] == f"balance.csv:{N + 2}"
    account = row.get("account", "A-bad")
    assert account in found["_key"]
    (told,) = done.received.aside
    assert (told.n, told.rule, told.value) == (1, rule, value)
    assert f"1 × {rule}" in "\n".join(done.lines())


@pytest.mark.parametrize("text", ["20250229101500", "not a moment"])
def test_a_moment_that_cannot_be_read_is_told_with_its_text(tmp_path: Path, text: str) -> None:
    folder = smallest(tmp_path / "files")
    moments = [(f"T{i}", f"C{i:03d}", f"202402{1 + i % 28:02d}101500") for i in range(N)]
    write(folder / "txn.csv", [("no", "id", "at"), *moments, ("bad", "C001", text)])
    at = {"from": "at", "instant": "yyyymmddHHMMSS"}
    said = {name: {"constant": value} for name, value in
            {"txn_type": "OTHER", "amount": 1, "by_customer": True}.items()}  # fmt: skip
    columns = said | {"txn_id": "no", "customer_id": "id", "occurred_at": at}
    done = imported(tables() | {"txn": {"files": ["txn.csv"], "columns": columns}}, bank(folder, {}), tmp_path / "home")
    (told,) = done.received.aside
    assert (told.rule, told.key, told.value) == ("occurred_at is not an instant yyyymmddHHMMSS", "bad", text)
    assert done.kept["txn"] == N


def test_birth_in_the_future_is_a_future_date_of_a_customer(tmp_path: Path) -> None:
    folder = smallest(tmp_path / "files")
    with (folder / "customer.csv").open("a") as file:
        file.write("C999,2099-01-01,2023-01-01\n")
    imported(SMALLEST, folder, tmp_path / "home")
    assert [row["_rule"] for row in aside(tmp_path / "home", "customer")] == ["birth_on lies in the future"]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("C001,A,DEMAND,2024-01-01,1.00,extra", "line does not fit the header"),
        ("C001,A", "line does not fit the header"),
        ('"C001,A,DEMAND,2024-01-01,1.00', "line does not fit the header"),
        ('C001,A,"DEMAND,2024-01-01,1.00', "line does not fit the header"),
        ("C001\rA,DEMAND,2024-01-01,1.00", "line does not fit the header"),
    ],
)
def test_a_line_that_does_not_fit_costs_no_other_line(tmp_path: Path, line: str, rule: str) -> None:
    folder = smallest(tmp_path / "files")
    lines = (folder / "balance.csv").read_text().splitlines()
    lines.insert(50, line)
    (folder / "balance.csv").write_text("\n".join(lines) + "\n", newline="")
    done = imported(SMALLEST, folder, tmp_path / "home")
    assert done.kept["balance"] == N
    (found,) = aside(tmp_path / "home")
    assert (found["_rule"], found["_place"]) == (rule, "balance.csv:51")
    assert found["_value"].replace("\n", "") == line


def test_what_stood_in_a_bad_line_of_names_is_kept_aside_and_not_told(tmp_path: Path) -> None:
    folder = smallest(tmp_path / "files")
    write(
        folder / "names.csv", [("id", "name"), *((f"C{i:03d}", f"Person {i}") for i in range(N)), ("C001", "夜莺", "7")]
    )
    tables = deepcopy(SMALLEST)
    tables["personal"] = {"files": ["names.csv"], "columns": {"customer_id": "id", "full_name": "name"}}
    done = imported(tables, folder, tmp_path / "home")
    (told,) = [found for found in done.received.aside if found.table == "personal"]
    assert (told.rule, told.n) == ("line does not fit the header", 1)
    assert "夜莺" not in str(told)
    assert "夜莺" in aside(tmp_path / "home", "personal")[0]["_value"]


def test_bytes_that_are_no_text_set_their_row_aside(tmp_path: Path) -> None:
    folder = smallest(tmp_path / "files")
    data = (folder / "balance.csv").read_bytes().replace(b"A042", b"A\xff42")
    (folder / "balance.csv").write_bytes(data)
    done = imported(SMALLEST, folder, tmp_path / "home")
    assert done.kept["balance"] == N - 1
    assert aside(tmp_path / "home")[0]["_rule"].startswith("account_id is not an id")


def _truncated(folder: Path) -> None:
    pq.write_table(pa.table({"id": [f"C{i}" for i in range(500)]}), folder / "more.parquet")
    data = (folder / "more.parquet").read_bytes()
    (folder / "more.parquet").write_bytes(data[: len(data) // 2])


def _wrong_delimiter(folder: Path) -> None:
    write(folder / "more.parquet.csv", [("id¦account¦kind¦day¦amount",), ("C001¦A¦DEMAND¦2024-01-01¦1",)])


def _cut_off(folder: Path) -> None:
    whole = write(folder / "more.csv.gz", [HEADER, *[("C001",) * 5] * 999])
    whole.write_bytes(whole.read_bytes()[:-9])


def _bytes(name: str, data: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(data)


HEADER = ("id", "account", "kind", "day", "amount")
LACKS_ALL = "file lacks the columns account, amount, day, id, kind"
FILES: list[tuple[str, str, Callable[[Path], Any], str]] = [
    ("truncated Parquet", "more.parquet", _truncated, "file cannot be read to its end"),
    ("cut-off gzip", "more.csv.gz", _cut_off, "file cannot be read to its end"),
    ("wrong delimiter", "more.parquet.csv", _wrong_delimiter, LACKS_ALL),
    ("a picture", "more.csv", _bytes("more.csv", bytes(range(256)) * 20), "file is not text"),
    ("no workbook", "more.xlsx", _bytes("more.xlsx", b"PK\x03\x04nothing"), "workbook cannot be read"),
    ("empty file", "more.csv", _bytes("more.csv", b""), LACKS_ALL),
    ("header alone", "more.csv", lambda folder: write(folder / "more.csv", [HEADER]), "file holds no rows"),
]


@pytest.mark.parametrize(("kind", "name", "spoil", "rule"), FILES, ids=[kind for kind, *_ in FILES])
def test_a_file_that_cannot_be_taken_counts_with_its_bytes_and_stops_the_run(
    tmp_path: Path, kind: str, name: str, spoil: Callable[[Path], Any], rule: str
) -> None:
    folder = smallest(tmp_path / "files")
    home = tmp_path / "home"
    imported(SMALLEST, folder, home)
    before = {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}
    spoil(folder)
    spoilt = deepcopy(SMALLEST)
    spoilt["balance"]["files"] = [name]
    if rule == "file holds no rows":
        assert imported(spoilt, folder, tmp_path / "new").received.aside[0].rule == rule
        assert not (tmp_path / "new" / "bank" / "balance").exists()
    with pytest.raises(BadBank) as told:
        imported(spoilt, folder, home)
    refused = "which these files would take away" if rule == "file holds no rows" else f"{name}: {rule}"
    assert refused in str(told.value)
    assert "\n" not in str(told.value)
    assert {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()} == before


def test_one_small_file_of_many_that_cannot_be_read_is_set_aside_and_told(tmp_path: Path) -> None:
    folder = smallest(tmp_path / "files", 400)
    (folder / "balance-2.csv").write_bytes(b"id,account\n")
    split = deepcopy(SMALLEST)
    split["balance"]["files"] = ["balance*.csv"]
    done = imported(split, folder, tmp_path / "home")
    assert done.kept["balance"] == 400
    (told,) = done.received.aside
    assert (told.key, told.rule) == ("balance-2.csv", "file lacks the columns amount, day, kind")
    assert aside(tmp_path / "home")[0]["_key"] == "balance-2.csv"


def test_a_folder_that_is_not_a_bank_and_one_that_is_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "sea.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(BadBank, match=r"missing: 'customer\.csv'; allowed: the folder holds sea\.jpg"):
        imported(SMALLEST, tmp_path / "photos", tmp_path / "home")
    with pytest.raises(BadBank, match="no such folder of files"):
        imported(SMALLEST, tmp_path / "nowhere", tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_the_share_that_may_be_set_aside_is_the_policys(tmp_path: Path) -> None:
    folder = bank(tmp_path / "files", {"amount": "x"}, n=20)  # 1 of 21 rows: 4.8 %
    with pytest.raises(BadBank, match=r"table balance: 1 of 21 rows break the contract.*at most 2% of the rows"):
        imported(tables(), folder, tmp_path / "home")
    assert not (tmp_path / "home").exists()
    own = tmp_path / "home" / "policy" / "segments"
    own.mkdir(parents=True)
    shipped = Path(__file__).parents[2] / "features" / "policy" / "bank.yaml"
    (own / "bank.yaml").write_text(shipped.read_text("utf-8").replace("0.02", "0.05"), "utf-8")
    done = imported(tables(), folder, tmp_path / "home")
    assert done.kept["balance"] == 20


def test_a_good_row_is_not_lost_to_a_bad_one_of_the_same_key(tmp_path: Path) -> None:
    folder = bank(tmp_path / "files", {})
    lines = (folder / "balance.csv").read_text().splitlines()
    lines.insert(1, "C001,A-bad,DEMAND,2024-01-01,none,0")  # the good row of this key comes last
    (folder / "balance.csv").write_text("\n".join(lines) + "\n")
    done = imported(tables(), folder, tmp_path / "home")
    assert done.kept["balance"] == N + 1
    assert [row["_value"] for row in aside(tmp_path / "home")] == ["none"]


def test_a_balance_that_holds_beyond_the_next_is_set_aside_and_days_without_snapshots_stop_the_run(
    tmp_path: Path,
) -> None:
    done = imported(tables(), bank(tmp_path / "files", {"account": "A001", "day": "2024-02-01"}), tmp_path / "home")
    assert [(a.rule, a.n, a.key) for a in done.received.aside] == [
        ("still holds when the next balance of its account begins", 1, "C001/A001/DEMAND/2024-01-01")
    ]
    folder = smallest(tmp_path / "daily")
    days = [(f"C{i:03d}", f"A{i:03d}", "DEMAND", f"2024-01-0{day}", "5.00") for day in (1, 2) for i in range(N)]
    write(folder / "balance.csv", [HEADER, *days])
    with pytest.raises(BadBank, match=r"100 of 200 rows break the contract: .*still holds when the next"):
        imported(SMALLEST, folder, tmp_path / "refused")
    snapshots = deepcopy(SMALLEST)
    snapshots["balance"]["snapshots"] = "ends"
    assert imported(snapshots, folder, tmp_path / "mended").kept["balance"] == N


def test_money_of_two_kinds_in_one_account_holds_side_by_side(tmp_path: Path) -> None:
    folder = bank(tmp_path / "files", {"id": "C007", "account": "A007", "kind": "TIME", "day": "2024-01-02"})
    done = imported(tables(), folder, tmp_path / "home")
    assert done.kept == {"customer": N, "balance": N + 1}
    assert done.received.aside == []


def test_a_balance_that_ends_before_it_begins_is_set_aside(tmp_path: Path) -> None:
    made, folder = tables(), smallest(tmp_path / "files", N)
    made["balance"]["columns"] |= {"to_on": "end", "in_transit_amount": {"constant": 0}}
    money = [(f"C{i:03d}", f"A{i:03d}", "DEMAND", "2024-01-02", "2024-01-02", "1.00") for i in range(N)]
    bad = ("C001", "A-bad", "DEMAND", "2024-01-02", "2024-01-01", "1.00")
    write(folder / "balance.csv", [("id", "account", "kind", "day", "end", "amount"), *money, bad])
    (told,) = imported(made, folder, tmp_path / "home").received.aside
    assert (told.rule, told.n, told.value) == ("to_on lies before from_on", 1, "2024-01-01")


def test_one_lost_file_among_many_rows_stops_the_run_by_its_bytes(tmp_path: Path) -> None:
    made, folder = tables(), bank(tmp_path / "files", {})
    made["balance"]["files"] = ["balance*.csv"]
    (folder / "balance2.csv").write_bytes(b"\x00" * (folder / "balance.csv").stat().st_size)
    with pytest.raises(BadBank, match=r"1 of its files cannot be taken: .balance2.csv: file is not text"):
        imported(made, folder, tmp_path / "home")


def test_a_column_that_is_mapped_and_stands_twice_is_no_column(tmp_path: Path) -> None:
    folder = smallest(tmp_path / "files", N)
    text = (folder / "balance.csv").read_text().replace("amount", "amount,amount", 1)
    (folder / "balance.csv").write_text(
        "\n".join(f"{line},7" if i else line for i, line in enumerate(text.split("\n")[:-1]))
    )
    with pytest.raises(BadBank, match=r"header names amount twice"):
        imported(SMALLEST, folder, tmp_path / "home")


def test_a_later_good_import_takes_what_was_set_aside_away(tmp_path: Path) -> None:
    imported(tables(), bank(tmp_path / "files", {"amount": "x"}), tmp_path / "home")
    imported(tables(), bank(tmp_path / "files", {}), tmp_path / "home")
    assert not (tmp_path / "home" / "quarantine" / "balance.parquet").exists()
