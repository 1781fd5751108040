"""Packed rows: what goes in comes out, to the last bit, and nothing is taken for missing that is not."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.packing import (
    ARROW_TYPES,
    CannotPack,
    RowCodec,
    SchemaMismatch,
    dictionaries,
    schema_digest,
)
from features.plain_rows import PlainCodec
from features.vocabulary import Column, Kind

KINDS = (Kind.CODE, Kind.FLAG, Kind.NUMBER, Kind.DATE, Kind.INTEGER, Kind.SET, Kind.INSTANT, Kind.AMOUNT)
COLUMNS = tuple(Column(f"{kind}_{n}", kind, "under test") for n in (1, 2) for kind in KINDS)

WORDS = st.sampled_from(["", "|", "|A|", "|A|B|", "金卡", "财富管理", "a b", "\n", "NULL", "None", "nan"])
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.FLAG: st.booleans(),
    Kind.INTEGER: st.integers(-(2**63) + 1, 2**63 - 1),
    Kind.NUMBER: st.floats(),
    Kind.AMOUNT: st.decimals(Decimal("-1e15"), Decimal("1e15"), allow_nan=False, places=2),
    Kind.CODE: WORDS,
    Kind.SET: WORDS,
    Kind.DATE: st.dates(),
    Kind.INSTANT: st.datetimes(timezones=st.just(UTC)),
}
ROWS = st.fixed_dictionaries({column.name: st.none() | VALUES[column.kind] for column in COLUMNS})


def table_of(rows: list[dict[str, Any]], columns: tuple[Column, ...] = COLUMNS) -> pa.Table:
    found = {c.name: pa.array([row[c.name] for row in rows], ARROW_TYPES[c.kind]) for c in columns}
    return pa.table({"customer_id": pa.array([f"C{n}" for n in range(len(rows))], pa.string()), **found})


def packed(rows: list[dict[str, Any]], columns: tuple[Column, ...] = COLUMNS) -> tuple[RowCodec, list[bytes]]:
    table = table_of(rows, columns)
    codec = RowCodec(columns, dictionaries(table, columns))
    ids, records = codec.pack(table)
    assert ids.tolist() == [f"C{n}" for n in range(len(rows))]
    return codec, codec.rows(records)


def one(kind: Kind, *values: Any) -> tuple[RowCodec, list[bytes]]:
    columns = (Column("x", kind, "under test"),)
    table = table_of([{"x": value} for value in values], columns)
    codec = RowCodec(columns, dictionaries(table, columns))
    return codec, codec.rows(codec.pack(table)[1])


def is_same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return type(a) is type(b) and bool(a == b)


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, max_size=6))
def test_every_value_comes_back_as_it_went_in(rows: list[dict[str, Any]]) -> None:
    codec, stored = packed(rows)
    for row, bytes_of_row in zip(rows, stored, strict=True):
        expected = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        found = codec.unpack(bytes_of_row)
        assert list(found) == [column.name for column in COLUMNS]
        assert [k for k in expected if not is_same(expected[k], found[k])] == []


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, max_size=6))
def test_arrays_hold_what_single_rows_hold(rows: list[dict[str, Any]]) -> None:
    codec, stored = packed(rows)
    arrays = codec.arrays(stored)
    assert list(arrays) == [column.name for column in COLUMNS]
    for column in COLUMNS:
        values = arrays[column.name]
        assert values.shape == (len(rows),)
        assert values.dtype == wanted_type(column.kind)
        for value, row in zip(values, rows, strict=True):
            assert is_same(plain(value, column.kind), as_number(row[column.name], column.kind))


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=4))
def test_rows_read_without_arrays_hold_what_arrays_hold(rows: list[dict[str, Any]]) -> None:
    """The columns of two views, of some kinds in one and of some in both."""
    (codec, stored), (other, others) = packed(rows, COLUMNS[:11]), packed(rows, COLUMNS[11:])
    arrays = codec.arrays(stored) | other.arrays(others)
    each = PlainCodec([codec, other], later=["counted"]).each([*zip(stored, others, strict=True)])
    for place, found in enumerate(each):
        assert math.isnan(float(found.pop("counted") or 0))
        assert list(found) == [name for one in (codec, other) for names in one.blocks.values() for name in names]
        for name, value in found.items():
            expected = arrays[name][[place]]
            as_stored = expected.view(np.int64) if expected.dtype.kind == "M" else expected
            assert is_same(value, as_stored.tolist()[0]), name


def test_a_row_of_another_length_than_its_columns_is_refused_though_both_together_have_theirs() -> None:
    (codec, (number,)), (other, (flag,)) = one(Kind.NUMBER, 1.5), one(Kind.FLAG, True)
    with pytest.raises(SchemaMismatch):
        PlainCodec([codec, other]).each([[number, flag], [flag, number]])


def wanted_type(kind: Kind) -> np.dtype[Any]:
    names = {Kind.CODE: "object", Kind.SET: "object", Kind.DATE: "datetime64[D]", Kind.INSTANT: "datetime64[us]"}
    return np.dtype(names.get(kind, "float64"))


def plain(value: Any, kind: Kind) -> Any:
    if kind is Kind.INSTANT:
        return None if np.isnat(value) else value.item().replace(tzinfo=UTC)
    if kind is Kind.DATE:
        return None if np.isnat(value) else value.item()
    return value if kind in (Kind.CODE, Kind.SET) else float(value)


def as_number(value: Any, kind: Kind) -> Any:
    if kind in (Kind.FLAG, Kind.INTEGER, Kind.NUMBER):
        return math.nan if value is None else float(value)
    if kind is Kind.AMOUNT:
        return math.nan if value is None else float(int(value * 100)) / 100
    return value


def test_an_empty_text_an_empty_set_and_a_missing_one_are_three_things() -> None:
    codec, rows = one(Kind.SET, "", "|", None)
    assert [codec.unpack(row)["x"] for row in rows] == ["", "|", None]
    assert codec.arrays(rows)["x"].tolist() == ["", "|", None]


def test_nan_and_null_are_one_and_zero_keeps_its_sign() -> None:
    codec, rows = one(Kind.NUMBER, math.nan, None, -0.0, math.inf)
    assert [str(codec.unpack(row)["x"]) for row in rows] == ["None", "None", "-0.0", "inf"]


def test_dates_before_1970_and_at_the_ends_of_the_calendar_survive() -> None:
    days = [date(1, 1, 1), date(1899, 12, 31), date(1969, 12, 31), date(1970, 1, 1), date(9999, 12, 31)]
    codec, rows = one(Kind.DATE, *days)
    assert [codec.unpack(row)["x"] for row in rows] == days
    assert codec.arrays(rows)["x"].tolist() == days


def test_an_instant_keeps_its_microsecond_on_both_sides_of_1970() -> None:
    instants = [datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), datetime(2026, 2, 28, 12, 0, 0, 1, UTC)]
    codec, rows = one(Kind.INSTANT, *instants)
    assert [codec.unpack(row)["x"] for row in rows] == instants


def test_the_missing_row_is_missing_everywhere() -> None:
    codec, _ = packed([])
    assert set(codec.unpack(codec.missing_row).values()) == {None}


def test_more_rows_than_one_chunk_keep_their_order() -> None:
    n = 10_007
    columns = (Column("x", Kind.INTEGER, "under test"), Column("y", Kind.CODE, "under test"))
    table = table_of([{"x": k, "y": f"word {k % 97}"} for k in range(n)], columns)
    codec = RowCodec(columns, dictionaries(table, columns))
    arrays = codec.arrays(codec.rows(codec.pack(table)[1]))
    assert arrays["x"].tolist() == list(range(n))
    assert arrays["y"].tolist() == [f"word {k % 97}" for k in range(n)]


def test_rows_packed_earlier_read_the_same_when_the_dictionary_has_grown() -> None:
    columns = (Column("x", Kind.CODE, "under test"),)
    codec, rows = one(Kind.CODE, "M", "Z")
    later = table_of([{"x": "A"}, {"x": "Z"}], columns)
    grown = RowCodec(columns, dictionaries(later, columns, codec.dictionaries))
    assert grown.dictionaries == {"x": ("M", "Z", "A")}
    assert grown.arrays([*rows, *grown.rows(grown.pack(later)[1])])["x"].tolist() == ["M", "Z", "A", "Z"]


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [(Kind.INTEGER, -(2**63), "stands for missing"), (Kind.CODE, "strange", "dictionary lacks: 'strange'")],
)
def test_a_value_that_would_read_as_something_else_is_refused(kind: Kind, value: Any, said: str) -> None:
    columns = (Column("x", kind, "under test"),)
    with pytest.raises(CannotPack, match=said):
        RowCodec(columns, {"x": ("known",)}).pack(table_of([{"x": value}], columns))


def test_a_column_of_another_type_or_none_at_all_is_refused() -> None:
    codec = RowCodec((Column("x", Kind.INTEGER, "under test"),), {})
    with pytest.raises(CannotPack, match="column 'x' does not hold integer values: 'string'"):
        codec.pack(pa.table({"customer_id": ["C1"], "x": ["many"]}))
    with pytest.raises(CannotPack, match=re.escape("lacks columns: ['x']")):
        codec.pack(pa.table({"customer_id": ["C1"]}))


def test_the_digest_sees_names_kinds_and_order_and_nothing_else() -> None:
    a, b = Column("a", Kind.DATE, "one"), Column("b", Kind.INTEGER, "two")
    digest = schema_digest((a, b))
    assert digest == schema_digest((Column("a", Kind.DATE, "in other words", null="none"), b))
    others = [(b, a), (a,), (a, Column("b", Kind.NUMBER, "two")), (a, Column("c", Kind.INTEGER, "two"))]
    assert digest not in {schema_digest(columns) for columns in others}


def test_a_row_of_another_length_is_refused() -> None:
    codec = RowCodec((Column("x", Kind.INTEGER, "under test"),), {})
    with pytest.raises(SchemaMismatch, match="another length than its columns: 7; allowed: 8 bytes"):
        codec.unpack(b"\0" * 7)
