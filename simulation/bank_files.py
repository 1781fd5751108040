"""From NumPy arrays to a bank's Parquet files, without a Python object a row.

Days are int32 since 1970, instants int64 microseconds UTC, money int64 in minor units; `NEVER` is their missing value
and -1 that of a code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.bank.engines import STORED
from features.bank.tables import TABLES
from features.vocabulary import Kind
from simulation.chance import Array

NEVER = np.iinfo(np.int32).min
DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
_ZONE_US = 8 * HOUR_US  # Asia/Shanghai has been UTC+8 without summer time since 1991
_LATE_SHARE = 0.01
_FOURS = np.array([f"{i:04d}" for i in range(10_000)], dtype="S4").view(np.uint32)

Columns = Mapping[str, pa.Array]


def ids(prefix: str, numbers: Array, digits: int = 8) -> pa.StringArray:
    """Ids of equal length: prefix and zero-padded number; `digits` is a multiple of 4.

    >>> ids("C", np.array([7, 12345678])).to_pylist()
    ['C00000007', 'C12345678']
    """
    width = len(prefix) + digits
    text = np.empty((len(numbers), width), np.uint8)
    text[:, : len(prefix)] = np.frombuffer(prefix.encode(), np.uint8)
    rest = np.asarray(numbers, np.int64)
    for place in range(width - 4, len(prefix) - 1, -4):
        above = rest // 10_000  # a subtraction for the remainder: NumPy's divmod takes four times as long
        text[:, place : place + 4] = _FOURS[rest - above * 10_000].view(np.uint8).reshape(-1, 4)
        rest = above
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(text))


def some_ids(prefix: str, numbers: Array, digits: int = 8) -> pa.Array:
    """As `ids`, null where the number is negative."""
    named = ids(prefix, np.maximum(numbers, 0), digits)
    return pa.compute.if_else(pa.array(numbers >= 0), named, pa.scalar(None, pa.string()))


def codes(labels: Sequence[str], index: Array) -> pa.Array:
    """labels[index], null where the index is negative."""
    return pa.DictionaryArray.from_arrays(pa.array(index, mask=index < 0), pa.array(list(labels), pa.string()))


def dates(days: Array) -> pa.Array:
    """date32 from days, null where NEVER."""
    return pa.array(np.asarray(days, np.int32), mask=days == NEVER).cast(pa.date32())


def instants(at: Array) -> pa.Array:
    """Instants in UTC from microseconds, null where NEVER."""
    return pa.array(np.asarray(at, np.int64), mask=at == NEVER).cast(STORED[Kind.INSTANT])


def amounts(minor: Array) -> pa.Array:
    """decimal(18,2) from minor units, null where NEVER."""
    missing = minor == NEVER
    words = np.empty((len(minor), 2), np.int64)  # a decimal128 is the low and the high word of its integer
    words[:, 0] = minor
    words[:, 1] = minor >> 63
    valid = None
    if missing.any():
        valid = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(STORED[Kind.AMOUNT], len(minor), [valid, pa.py_buffer(words)])


def nothing(kind: Kind, n: int) -> pa.Array:
    """n missing values of a kind."""
    return pa.nulls(n, STORED[kind])


def at_times(days: Array, us_of_day: Array) -> Array:
    """Instants in UTC from days in the bank's zone and microseconds of the local day."""
    return np.asarray(days, np.int64) * DAY_US + us_of_day - _ZONE_US


def hours(rng: np.random.Generator, n: int, low: float, high: float) -> Array:
    """n local times of day between two hours, in microseconds."""
    return (rng.random(n) * ((high - low) * HOUR_US)).astype(np.int64) + int(low * HOUR_US)


def in_office(local: Array) -> Array:
    """Local times of day, in microseconds, drawn into a branch's hours in their order; midnight at nine."""
    return np.asarray(9 * HOUR_US + local * 8.5 / 24, np.int64)


def known_after(rng: np.random.Generator, at: Array) -> Array:
    """When the bank knew what happened `at`: one to eight hours later, a hundredth of it two to nine days later."""
    lag = (rng.random(len(at), dtype=np.float32) * 7 + 1).astype(np.float64) * HOUR_US
    late = rng.random(len(at), dtype=np.float32) < _LATE_SHARE
    lag[late] += rng.integers(2, 10, int(late.sum())) * DAY_US
    return np.asarray(at, np.int64) + lag.astype(np.int64)


def known_next_morning(rng: np.random.Generator, days: Array) -> Array:
    """When the bank knew of what it books by day: after the end of that day, with the same lags."""
    return known_after(rng, at_times(np.asarray(days, np.int64) + 1, np.zeros(len(days), np.int64)))


def write(bank: Path, table: str, columns: Columns, *, file: str = "all") -> int:
    """Number of rows written to bank/<table>/<file>.parquet, in the contract's order and types."""
    contract = TABLES[table]
    schema = pa.schema([pa.field(c.name, STORED[c.kind]) for c in contract.columns])
    arrays = [columns[field.name] for field in schema]
    coded = [field.name for field, array in zip(schema, arrays, strict=True) if pa.types.is_dictionary(array.type)]
    return write_parquet(bank / table / f"{file}.parquet", pa.Table.from_arrays(arrays, names=schema.names), coded)


def write_parquet(path: Path, rows: pa.Table, coded: Sequence[str] = ()) -> int:
    """Number of rows written; only the `coded` columns get a dictionary, ids would outgrow one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path, compression="zstd", compression_level=1, use_dictionary=list(coded), store_schema=False)
    return int(rows.num_rows)
