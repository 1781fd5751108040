"""A bank's own files through a mapping: what stands in them is what stands in our tables, and nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.bank.mapping import BadMapping, load, parse
from features.errors import BadBank
from tests.features.bank_files import SMALLEST, imported, mapping_of, smallest, workbook, write

CITY_BANK: dict[str, Any] = {
    "customer": {
        "files": ["客户信息.csv"],
        "columns": {
            "customer_id": "客户号",
            "birth_on": {"from": "出生日期", "date": "yyyymmdd"},
            "gender": {"from": "性别", "codes": {"男": "M", "女": "F"}},
            "declared_income_amount": {"from": "年收入(万元)", "unit": "万元"},
            "registered_on": {"from": "建档日期", "date": "yyyymmdd"},
            "first_product_on": {"from": "建档日期", "date": "yyyymmdd"},
            "is_staff": "是否员工",
            "is_restricted": {"constant": False},
            "has_marketing_optout": {"constant": False},
        },
    },
    "balance": [
        {
            "files": ["余额/*.csv"],
            "snapshots": "ends",
            "columns": {
                "customer_id": {"owner_of": "账号"},
                "account_id": "账号",
                "asset_class": {"from": "储种", "codes": {"活期": "DEMAND", "定期": "TIME"}},
                "from_on": {"from": "数据日期", "date": "yyyymmdd"},
                "amount": {"from": "余额", "thousands": ","},
                "in_transit_amount": {"constant": 0},
                "loan_proceeds_amount": {"constant": 0},
            },
        },
        {
            "files": ["理财.xlsx"],
            "sheet": "持仓",
            "header_row": 2,
            "columns": {
                "customer_id": "客户号",
                "account_id": {"from": "产品代码", "prefix": "W-"},
                "asset_class": {"constant": "WMP"},
                "from_on": {"from": "购买日期", "date": "excel"},
                "amount": {"from": "金额（万元）", "unit": "万元"},
                "in_transit_amount": {"constant": 0},
                "loan_proceeds_amount": {"constant": 0},
            },
        },
    ],
    "txn": {
        "files": ["流水.parquet"],
        "columns": {
            "txn_id": "流水号",
            "customer_id": {"owner_of": "账号"},
            "occurred_at": {"from": "交易时间", "instant": "yyyymmddHHMMSS"},
            "txn_type": {"from": "摘要", "codes": {"代发": "SALARY"}, "others": "OTHER"},
            "amount": {"from": "金额(分)", "unit": "分", "absolute": True},
            "by_customer": {"from": "摘要", "codes": {"代发": False}, "others": True},
        },
    },
}
OWNERS = {"files": ["账户.txt"], "account": "账号", "customer": "客户号", "role": "角色", "roles": ["主", "共有"]}
CROSSWALK = {"files": ["合并.csv"], "from": "原客户号", "to": "统一客户号"}


@pytest.fixture
def city(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    people = [
        ("C1", "张三", "19620615", "男", "12.5", "20150301", "否"),
        ("C2", "李四", "19900101", "女", "", "20190801", "是"),
        ("C3", "李四", "19900101", "女", "3", "20210801", "是"),  # the second number of C2
        ("C4", "王五", "", "男", "0", "20200101", "否"),
    ]
    header = ("客户号", "姓名", "出生日期", "性别", "年收入(万元)", "建档日期", "是否员工")
    write(folder / "客户信息.csv", [header, *people], encoding="gb18030", end="\r\n")
    owners = [("6222", "C4", "共有"), ("6222", "C1", "主"), ("6333", "C3", "主"), ("6333", "C1", "代理人")]
    write(folder / "账户.txt", [("账号", "客户号", "角色"), *owners], encoding="utf-8-sig", delimiter="|")
    write(folder / "合并.csv", [("原客户号", "统一客户号"), ("C3", "C2")], encoding="gb18030")
    one, two = '"1,234,567.89"', '"1,000.00"'
    for day, rows in {
        "20240101": [("6222", "活期", one), ("6333", "定期", two)],
        "20240102": [("6222", "活期", one), ("6333", "定期", two)],
        "20240103": [("6222", "活期", '"10.00"'), ("6333", "定期", two)],
        "20240105": [("6222", "活期", '"10.00"')],
    }.items():
        header = ("数据日期", "账号", "储种", "余额")
        write(folder / "余额" / f"{day}.csv", [header, *((day, *row) for row in rows)], encoding="gb18030")
    title: Sequence[str | float] = ("2024年1月理财持仓", "", "", "")
    fund: Sequence[str | float] = ("C3", "LC01", 45292, 5.5)  # 45292 = 2024-01-01
    workbook(folder / "理财.xlsx", {"说明": [("x",)],
             "持仓": [title, ("客户号", "产品代码", "购买日期", "金额（万元）"), fund]})  # fmt: skip
    columns = {"流水号": ["T1", "T2"], "账号": ["6222", "6333"], "交易时间": ["20240102235959", "20240103000000"],
               "摘要": ["代发", "转账"], "金额(分)": pa.array([1_000_050, -99])}  # fmt: skip
    pq.write_table(pa.table(columns), folder / "流水.parquet")
    return folder


@pytest.fixture
def home(city: Path, tmp_path: Path) -> Path:
    imported(CITY_BANK, city, tmp_path / "home", owners=OWNERS, crosswalk=CROSSWALK)
    return tmp_path / "home"


def rows(home: Path, table: str, *names: str) -> list[tuple[Any, ...]]:
    read = pq.read_table(home / "bank" / table).select(list(names)).to_pylist()
    return [tuple(row.values()) for row in read]


def test_chinese_headers_ten_thousands_dates_and_codes_are_read_as_the_mapping_says(home: Path) -> None:
    columns = ("customer_id", "birth_on", "gender", "declared_income_amount", "registered_on", "is_staff")
    assert rows(home, "customer", *columns) == [
        ("C1", date(1962, 6, 15), "M", Decimal("125000.00"), date(2015, 3, 1), False),
        ("C2", date(1990, 1, 1), "F", None, date(2019, 8, 1), True),
        ("C4", None, "M", Decimal("0.00"), date(2020, 1, 1), False),
    ]


def test_daily_snapshots_become_one_row_a_change_and_end_where_the_account_is_absent(home: Path) -> None:
    found = rows(home, "balance", "customer_id", "account_id", "asset_class", "from_on", "to_on", "amount")
    assert sorted(found, key=lambda row: (row[1], row[3])) == [
        ("C1", "6222", "DEMAND", date(2024, 1, 1), date(2024, 1, 3), Decimal("1234567.89")),
        ("C1", "6222", "DEMAND", date(2024, 1, 3), None, Decimal("10.00")),
        ("C2", "6333", "TIME", date(2024, 1, 1), date(2024, 1, 5), Decimal("1000.00")),
        ("C2", "W-LC01", "WMP", date(2024, 1, 1), None, Decimal("55000.00")),
    ]


def test_the_first_role_owns_the_account_and_the_crosswalk_makes_two_numbers_one_person(home: Path) -> None:
    found = rows(home, "txn", "txn_id", "customer_id", "amount", "txn_type", "by_customer")
    assert found == [
        ("T1", "C1", Decimal("10000.50"), "SALARY", False),
        ("T2", "C2", Decimal("0.99"), "OTHER", True),
    ]


def test_a_day_follows_from_an_instant_in_the_banks_zone_and_a_row_is_known_the_morning_after(home: Path) -> None:
    found = rows(home, "txn", "occurred_at", "business_on", "known_at")
    assert found == [
        (datetime(2024, 1, 2, 15, 59, 59, tzinfo=UTC), date(2024, 1, 2), datetime(2024, 1, 2, 22, tzinfo=UTC)),
        (datetime(2024, 1, 2, 16, tzinfo=UTC), date(2024, 1, 3), datetime(2024, 1, 3, 22, tzinfo=UTC)),
    ]


def test_what_the_mapping_does_by_its_own_word_is_told(city: Path, tmp_path: Path) -> None:
    done = imported(CITY_BANK, city, tmp_path / "home", owners=OWNERS, crosswalk=CROSSWALK)
    assert done.notes == [
        "customer: 1 rows merged into the person that the crosswalk names",
        "balance: 7 daily rows became 3 intervals",
        "business after 2024-03-05 counts as future (the mapping's instant)",
    ]
    assert done.kept == {"customer": 3, "balance": 4, "txn": 2}
    assert (done.first_on, done.last_on) == (date(2024, 1, 1), date(2024, 1, 3))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "\x01", "|@|"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_encoding_and_delimiter_are_found_out(tmp_path: Path, encoding: str, delimiter: str, suffix: str) -> None:
    tables = deepcopy(SMALLEST)
    tables["customer"]["files"] = [f"customer{suffix}"]
    tables["customer"]["columns"]["customer_id"] = "客户号"
    tables["customer"]["columns"]["occupation"] = "职业"
    if len(delimiter) > 1:
        tables["customer"]["delimiter"] = delimiter
    people = [(f"C{i}", "工程师", "1980-06-15", "2023-01-01") for i in range(30)]
    header = ("客户号", "职业", "born", "joined")
    write(tmp_path / f"customer{suffix}", [header, *people], encoding=encoding, delimiter=delimiter)
    del tables["balance"]
    imported(tables, tmp_path, tmp_path / "home")
    assert rows(tmp_path / "home", "customer", "customer_id", "occupation")[7] == ("C7", "工程师")


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16-le", "utf-8"])
def test_the_mark_before_the_first_character_is_no_part_of_its_column(tmp_path: Path, encoding: str) -> None:
    tables = {"customer": deepcopy(SMALLEST["customer"]) | {"encoding": encoding}}
    people = [(f"C{i}", "1980-06-15", "2023-01-01") for i in range(30)]
    write(tmp_path / "customer.csv", [("\ufeffid", "born", "joined"), *people], encoding=encoding)
    imported(tables, tmp_path, tmp_path / "home")
    assert [row[0] for row in rows(tmp_path / "home", "customer", "customer_id")] == [row[0] for row in people]
    write(tmp_path / "customer.csv", [("\ufeffC0", *people[0][1:]), *people[1:]], encoding=encoding)
    tables["customer"] |= {"names": ["id", "born", "joined"]}
    imported(tables, tmp_path, tmp_path / "bare")
    assert whole_of(tmp_path / "bare") == whole_of(tmp_path / "home")


def whole_of(home: Path) -> list[tuple[Any, ...]]:
    return rows(home, "customer", "customer_id", "birth_on", "registered_on")


def test_a_file_whose_name_looks_like_a_pattern_is_found_by_its_name(tmp_path: Path) -> None:
    tables = {"customer": deepcopy(SMALLEST["customer"]) | {"files": ["客户 [1]*.csv"]}}
    smallest(tmp_path)
    (tmp_path / "customer.csv").rename(tmp_path / "客户 [1]*.csv")
    write(tmp_path / "客户 1.csv", [("id", "born", "joined"), ("X", "1980-06-15", "2023-01-01")])
    assert imported(tables, tmp_path, tmp_path / "home").kept == {"customer": 100}


def test_a_quoted_tab_before_an_account_is_no_part_of_it(tmp_path: Path) -> None:
    people = [("\tC1", "1980-06-15", "2023-01-01"), ("C2", "1980-06-15", "2023-01-01")]
    write(tmp_path / "customer.csv", [("id", "born", "joined"), *people])
    write(tmp_path / "owner.csv", [("账号", "客户号", "角色"), ("62220001\t", "C1\t", "主\t")])
    write(tmp_path / "merged.csv", [("旧", "新"), ("\tC2", "C1")])
    write(tmp_path / "balance.csv", [("id", "account", "kind", "day", "amount"),
          ("", "\t62220001", "DEMAND", "2024-01-01", "\t5.00")])  # fmt: skip
    tables = deepcopy(SMALLEST)
    tables["balance"]["columns"]["customer_id"] = {"owner_of": "account"}
    imported(tables, tmp_path, tmp_path / "home", crosswalk={"files": ["merged.csv"], "from": "旧", "to": "新"},
             owners=OWNERS | {"files": ["owner.csv"]})  # fmt: skip
    assert rows(tmp_path / "home", "balance", "customer_id", "account_id", "amount") == [
        ("C1", "62220001", Decimal("5.00"))
    ]
    assert rows(tmp_path / "home", "customer", "customer_id") == [("C1",)]


def test_quoted_fields_hold_delimiters_and_doubled_quotes(tmp_path: Path) -> None:
    tables = {"customer": deepcopy(SMALLEST["customer"])}
    tables["customer"]["columns"]["occupation"] = "job"
    text = 'id,job,born,joined\n"C1","cook, ""the"" one",1980-01-01,2023-01-01\n'
    (tmp_path / "customer.csv").write_text(text)
    imported(tables, tmp_path, tmp_path / "home")
    assert rows(tmp_path / "home", "customer", "occupation") == [('cook, "the" one',)]


def test_a_ledger_that_writes_only_what_moved_holds_between_its_rows(tmp_path: Path) -> None:
    tables = deepcopy(SMALLEST)
    tables["balance"]["snapshots"] = "holds"
    smallest(tmp_path, 2)
    money = [("C000", "A", "DEMAND", "2024-01-01", "5"), ("C001", "B", "DEMAND", "2024-01-02", "7"),
             ("C000", "A", "DEMAND", "2024-01-09", "5"), ("C000", "A", "DEMAND", "2024-02-01", "6")]  # fmt: skip
    write(tmp_path / "balance.csv", [("id", "account", "kind", "day", "amount"), *money])
    imported(tables, tmp_path, tmp_path / "home")
    assert sorted(rows(tmp_path / "home", "balance", "account_id", "from_on", "to_on", "amount")) == [
        ("A", date(2024, 1, 1), date(2024, 2, 1), Decimal("5.00")),
        ("A", date(2024, 2, 1), None, Decimal("6.00")),
        ("B", date(2024, 1, 2), None, Decimal("7.00")),
    ]


def test_of_several_owners_of_one_role_the_first_in_the_file_owns_the_account(tmp_path: Path) -> None:
    smallest(tmp_path, 5)
    owners = [("A000", "C004", "共有"), ("A000", "C003", "主"), ("A000", "C001", "主")]
    write(
        tmp_path / "账户.txt",
        [("账号", "客户号", "角色"), *owners, *((f"A00{i}", f"C00{i}", "主") for i in range(1, 5))],
    )
    tables = deepcopy(SMALLEST)
    tables["balance"]["columns"]["customer_id"] = {"owner_of": "account"}
    done = imported(tables, tmp_path, tmp_path / "home", owners=OWNERS | {"files": ["账户.txt"]})
    found = dict(rows(tmp_path / "home", "balance", "account_id", "customer_id"))
    assert (found["A000"], found["A001"]) == ("C003", "C001")
    assert "1 accounts have several owners of one role; the first in the file owns them" in done.notes


def test_the_first_row_of_a_join_counts_and_bounds_are_kept(tmp_path: Path) -> None:
    tables = {"customer": deepcopy(SMALLEST["customer"])}
    tables["customer"] |= {
        "joins": [{"name": "more", "files": ["more.csv"], "on": {"id": "no"}}],
        "keep": [{"column": "joined", "at_least": "2023-01-01", "at_most": "2023-06-30"},
                 {"column": "more.age", "at_least": 18, "at_most": 30}],
    }  # fmt: skip
    tables["customer"]["columns"]["region"] = "more.city"
    days = {"C0": "2023-01-01", "C1": "2023-06-30", "C2": "2022-12-31", "C3": "2023-07-01", "C4": "2023-03-01"}
    people = [(name, "1980-01-01", day) for name, day in days.items()]
    write(tmp_path / "customer.csv", [("id", "born", "joined"), *people])
    more = [("C0", "Ulm", "18"), ("C0", "Bonn", "18"), ("C1", "Kiel", "30"), ("C1", "Jena", "30"), ("C4", "Köln", "31")]
    write(tmp_path / "more.csv", [("no", "city", "age"), *more, ("C2", "Trier", "20"), ("C3", "Trier", "20")])
    imported(tables, tmp_path, tmp_path / "home")
    assert rows(tmp_path / "home", "customer", "customer_id", "region") == [("C0", "Ulm"), ("C1", "Kiel")]


def test_rows_are_joined_kept_and_held_within_as_the_mapping_says(tmp_path: Path) -> None:
    tables = {"customer": deepcopy(SMALLEST["customer"])}
    tables["customer"] |= {
        "joins": [
            {"name": "more", "files": ["more.csv"], "on": {"id": "no"}, "keep": [{"column": "state", "one_of": ["1"]}]}
        ],
        "within": [{"files": ["ours.csv"], "column": "id", "of": "who"}],
        "keep": [{"column": "joined", "at_most": "2023-06-30"}, {"column": "more.age", "at_least": 18}],
    }
    tables["customer"]["columns"]["region"] = "more.city"
    people = [(f"C{i}", "1980-01-01", "2023-01-01") for i in range(4)] + [("C9", "1980-01-01", "2023-12-01")]
    write(tmp_path / "customer.csv", [("id", "born", "joined"), *people])
    more = [("C0", "0", "Ulm", "30"), ("C0", "1", "Bonn", "30"), ("C1", "1", "Kiel", "9"), ("C2", "1", "Jena", "40"),
            ("C9", "1", "Köln", "50")]  # fmt: skip
    write(tmp_path / "more.csv", [("no", "state", "city", "age"), *more])
    write(tmp_path / "ours.csv", [("who",), ("C0",), ("C1",), ("C9",)])
    done = imported(tables, tmp_path, tmp_path / "home")
    assert rows(tmp_path / "home", "customer", "customer_id", "region") == [("C0", "Bonn")]
    assert done.notes[:-1] == ["customer: 4 rows left out by the mapping's own choice"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"columns": {"custmer_id": "id"}}, r"no column 'custmer_id'; allowed: acquisition_source"),
        ({"columns": {"customer_id": {"from": "id", "dat": "x"}}}, r"dat: unknown key"),
        ({"columns": {"customer_id": {"from": "id", "date": "ddmmyy"}}}, r"date: Input should be 'yyyy-mm-dd'"),
        ({"columns": {"customer_id": {"constant": 1, "from": "id"}}}, r"say exactly one of from, constant"),
        ({"columns": {"customer_id": "id"}}, r"needs registered_on, is_staff.*say \{constant: …\}"),
        ({"columns": {"customer_id": {"owner_of": "id"}}}, r"owner_of needs the section `owners`"),
        ({"snapshots": "ends"}, r"table customer holds no intervals"),
    ],
)
def test_a_mapping_that_does_not_hold_together_is_told_before_a_file_is_opened(
    change: dict[str, Any], says: str
) -> None:
    tables = {"customer": SMALLEST["customer"] | change}
    with pytest.raises(BadMapping, match=says):
        mapping_of(tables)


def test_unknown_tables_missing_customers_and_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadMapping, match=r"unknown table 'wallet'; allowed: customer, account"):
        mapping_of(SMALLEST | {"wallet": SMALLEST["balance"]})
    with pytest.raises(BadMapping, match="map the table customer"):
        mapping_of({"balance": SMALLEST["balance"]})
    with pytest.raises(BadMapping, match=r"no such mapping file.*--propose"):
        load(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("source: [")
    with pytest.raises(BadMapping, match="cannot be read as YAML"):
        load(tmp_path / "bad.yaml")
    with pytest.raises(BadMapping, match="lies outside the folder"):
        imported({"customer": SMALLEST["customer"] | {"files": ["../x.csv"]}}, tmp_path, tmp_path / "home")
    with pytest.raises(BadMapping, match="does not hold together"):
        parse(["not", "a", "mapping"])
    with pytest.raises(BadBank, match=r"missing: 'customer.csv'; allowed: the folder holds bad\.yaml"):
        imported(SMALLEST, tmp_path, tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_the_home_gets_the_policy_and_clock_of_the_mapping(tmp_path: Path) -> None:
    smallest(tmp_path / "files")
    segments = tmp_path / "own" / "segments"
    segments.mkdir(parents=True)
    shipped = Path(__file__).parents[2] / "features" / "policy" / "bank.yaml"
    (segments / "bank.yaml").write_text(shipped.read_text("utf-8").replace("Asia/Shanghai", "Europe/Prague"), "utf-8")
    from features.bank.importing import bring_in

    bring_in(mapping_of(SMALLEST, policy="own"), tmp_path / "files", tmp_path / "home", beside=tmp_path)
    assert "Europe/Prague" in (tmp_path / "home" / "policy" / "segments" / "bank.yaml").read_text("utf-8")
    assert '"instant": "2024-03-05T10:00:00+08:00"' in (tmp_path / "home" / "home.json").read_text("utf-8")
    known = pq.read_table(tmp_path / "home" / "bank" / "balance")["known_at"][0].as_py()
    assert known == datetime(2024, 1, 2, 5, tzinfo=UTC)


def test_rows_that_no_date_places_in_time_are_known_at_the_instant_of_the_files(tmp_path: Path) -> None:
    folder = smallest(tmp_path / "files")
    write(folder / "names.csv", [("id", "name"), ("C001", "夜莺")])
    tables = deepcopy(SMALLEST) | {
        "personal": {"files": ["names.csv"], "columns": {"customer_id": "id", "full_name": "name"}}
    }
    imported(tables, folder, tmp_path / "home")
    (row,) = pq.read_table(tmp_path / "home" / "bank" / "personal").to_pylist()
    assert (row["full_name"], row["known_at"].isoformat()) == ("夜莺", "2024-03-05T02:00:00+00:00")
    with pytest.raises(BadMapping, match="table personal needs known_at"):
        imported(tables, folder, tmp_path / "other", instant=None)
