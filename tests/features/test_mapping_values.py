"""One mapped value: each form that a mapping may name, and that what does not fit is never guessed at."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.bank.engines import connect
from features.bank.mapping import MULTIPLIER, Value
from features.bank.values import quoted, reading
from features.vocabulary import Column, Kind

CON = connect().con


def read(kind: Kind, text: str | None, name: str = "x_id", **keys: Any) -> Any:
    """What the text `text` is under a mapping's keys."""
    value = Value.model_validate({"from": "列", **keys})
    found = reading(Column(name, kind, "a column"), value, "Asia/Shanghai", ())
    rows = CON.execute(f"SELECT {found.typed} FROM (SELECT ?::VARCHAR AS {quoted('列')}, 7 AS _row)", [text]).fetchall()
    return rows[0][0]


LEAP_DAY = {
    "yyyy-mm-dd": "2024-02-29", "yyyymmdd": "20240229", "yyyy/mm/dd": "2024/2/29", "yyyy.mm.dd": "2024.02.29",
    "yyyy年mm月dd日": "2024年2月29日", "dd.mm.yyyy": "29.02.2024", "dd/mm/yyyy": "29/02/2024",
    "mm/dd/yyyy": "02/29/2024", "excel": "45351",
}  # fmt: skip
NO_DAYS = {
    "yyyymmdd": ["20230229", "2024-02-29", "00000000"], "yyyy-mm-dd": ["20240229", "2024-02-29 08:00:00", "2024-2-30"],
    "excel": ["-1", "a", "123456"], "yymmdd": ["931301", "19930101"], "dd/mm/yyyy": ["02/29/2024"],
}  # fmt: skip


@pytest.mark.parametrize(("form", "text"), LEAP_DAY.items())
def test_each_date_form_reads_leap_day(form: str, text: str) -> None:
    assert read(Kind.DATE, text, date=form) == date(2024, 2, 29)


@pytest.mark.parametrize(("form", "text"), [(form, text) for form, texts in NO_DAYS.items() for text in texts])
def test_what_is_no_date_of_that_form_is_nothing(form: str, text: str) -> None:
    assert read(Kind.DATE, text, date=form) is None


@given(day=st.dates(date(1901, 1, 1), date(1999, 12, 31)), is_woman=st.booleans())
def test_a_birth_number_is_its_day_with_fifty_months_more_for_a_woman(day: date, is_woman: bool) -> None:
    text = f"{day.year % 100:02d}{day.month + 50 * is_woman:02d}{day.day:02d}"
    assert read(Kind.DATE, text, date="birth_number") == day


@given(fen=st.integers(-(10**12), 10**12), unit=st.sampled_from(sorted(MULTIPLIER)))
def test_an_amount_is_its_number_times_its_unit_to_the_fen(fen: int, unit: str) -> None:
    money = Decimal(fen) / 100
    text = format(money / Decimal(MULTIPLIER[unit]), "f")
    assert read(Kind.AMOUNT, text, unit=unit) == money


@pytest.mark.parametrize(
    "text", ["1,000", "1_000", "￥5", "5元", "nan", "inf", "1e999", "--1", "", " ", "９", "9" * 40]
)
def test_what_is_no_amount_is_nothing(text: str) -> None:
    assert read(Kind.AMOUNT, text) is None


@pytest.mark.parametrize("text", ["12,50", "1,23,4.0", "1234,567", ",123", "1,000,00", "1,234.50-", "1_000,000"])
def test_a_mark_that_stands_not_between_thousands_is_no_mark(text: str) -> None:
    assert read(Kind.AMOUNT, text, thousands=",") is None
    assert read(Kind.INTEGER, text, thousands=",") is None
    assert read(Kind.AMOUNT, "1.234.567", thousands=".") == 1234567
    assert read(Kind.NUMBER, "1,234,567.5", thousands=",") == 1234567.5


def test_tabs_and_wide_blanks_around_a_value_are_no_part_of_it() -> None:
    assert read(Kind.CODE, "\t6222021234567890123\u3000", name="account_id") == "6222021234567890123"
    assert read(Kind.AMOUNT, "\u00a012.50\t") == Decimal("12.50")
    assert read(Kind.CODE, "\t") is None


def test_commas_signs_and_other_nothings_are_read_where_the_mapping_names_them() -> None:
    assert read(Kind.AMOUNT, "-1,234,567.895", thousands=",", absolute=True) == Decimal("1234567.90")
    assert read(Kind.AMOUNT, "无", nulls=["无"], missing="0") == 0
    assert read(Kind.DATE, "99991231", nulls=["99991231"], date="yyyymmdd") is None
    assert read(Kind.CODE, "110101196206151234", take=[17, 1], codes={"3": "M", "4": "F"}) == "M"
    assert read(Kind.CODE, "a", codes={"b": "B"}) == "a"
    assert read(Kind.CODE, "a", codes={"b": "B"}, others="C") == "C"
    assert read(Kind.CODE, None, codes={"b": "B"}, others="C") is None
    assert read(Kind.CODE, "7", prefix="L") == "L7"
    assert read(Kind.DATE, "20240131", date="yyyymmdd", plus_months=1) == date(2024, 2, 29)
    assert read(Kind.DATE, "20240130", date="yyyymmdd", plus_months=1, plus_days=1) == date(2024, 3, 1)  # months first
    assert read(Kind.DATE, "34", age_on="2018-08-01") == date(1984, 1, 1)
    assert read(Kind.INTEGER, "3.0") == 3
    assert read(Kind.INTEGER, "3.7") is None
    assert [read(Kind.FLAG, text) for text in ("是", "N", "true", "0", "maybe")] == [True, False, True, False, None]


@pytest.mark.parametrize(
    ("keys", "text", "instant"),
    [
        ({}, "2024-01-01 08:00:00", datetime(2024, 1, 1, 0, 0, tzinfo=UTC)),  # in the bank's zone
        ({}, "2024-01-01T08:00:00Z", datetime(2024, 1, 1, 8, 0, tzinfo=UTC)),
        ({}, "2024-01-01 08:00:00+02:00", datetime(2024, 1, 1, 6, 0, tzinfo=UTC)),
        ({"instant": "yyyymmddHHMMSS"}, "20240101235959", datetime(2024, 1, 1, 15, 59, 59, tzinfo=UTC)),
        ({"instant": "excel"}, "45292.5", datetime(2024, 1, 1, 4, 0, tzinfo=UTC)),
        ({"hours_since": "2018-08-01T00:00:00Z"}, "36", datetime(2018, 8, 2, 12, 0, tzinfo=UTC)),
        ({}, "yesterday", None),
    ],
)
def test_instants_stand_in_the_banks_zone_unless_they_name_their_own(
    keys: dict[str, Any], text: str, instant: datetime | None
) -> None:
    assert read(Kind.INSTANT, text, **keys) == instant


def test_an_account_number_that_a_spreadsheet_has_rounded_is_no_id() -> None:
    assert read(Kind.CODE, "6.2220212345678E+18", name="account_id") is None
    assert read(Kind.CODE, "6222021234567890123", name="account_id") == "6222021234567890123"
