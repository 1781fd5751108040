"""One customer's row <-> bytes, by schema: what the online store keeps and the request path reads.

A record has a fixed size. Columns of one kind stand together as one block, so that reading n rows costs a handful of
vector operations and not one per column. Every kind has a value that means "missing"; codes and whole sets are
indices into dictionaries that are kept beside the rows. Neither Feast nor pandas is needed here.

    kind      stored as                         missing
    number    float64                           NaN (so NaN and null are one)
    integer   int64                             -2^63
    amount    int64 minor units                 -2^63
    instant   int64 microseconds since 1970     -2^63
    date      int32 days since 1970             -2^31
    code, set int32 index into the dictionary   -1
    flag      uint8                             255
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.errors import NotReady, UserMistake
from features.vocabulary import CUSTOMER_ID, Column, Kind

LAYOUT = 1  # part of every digest: a changed layout makes old rows unreadable instead of wrong
NO_INTEGER = int(np.iinfo(np.int64).min)
NO_DAY = int(np.iinfo(np.int32).min)
_NO_FLAG = 255
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_CENTS = Decimal(100)

ARROW_TYPES: Mapping[Kind, pa.DataType] = MappingProxyType(
    {
        Kind.FLAG: pa.bool_(), Kind.INTEGER: pa.int64(), Kind.NUMBER: pa.float64(), Kind.AMOUNT: pa.decimal128(18, 2),
        Kind.CODE: pa.string(), Kind.SET: pa.string(), Kind.DATE: pa.date32(),
        Kind.INSTANT: pa.timestamp("us", tz="UTC"),
    }
)  # fmt: skip
# widest first, so that every block is aligned
_STORED: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.NUMBER: "<f8", Kind.INTEGER: "<i8", Kind.AMOUNT: "<i8", Kind.INSTANT: "<i8", Kind.DATE: "<i4",
        Kind.CODE: "<i4", Kind.SET: "<i4", Kind.FLAG: "u1",
    }
)  # fmt: skip
_FLAGS = np.full(256, np.nan)
_FLAGS[:2] = 0.0, 1.0
_CHUNK = 4096  # rows written at once: 4096 records of 400 bytes stay within a processor's cache

Dictionaries = Mapping[str, tuple[str, ...]]
Plain = float | str | int | None


class CannotPack(UserMistake):
    """A table does not hold what its columns say, so that its rows cannot be packed."""

    slug = "cannot-pack"


class SchemaMismatch(NotReady):
    """Packed rows were written under other columns than those that are asked for."""

    slug = "schema-mismatch"


def schema_digest(columns: Sequence[Column]) -> str:
    """SHA-256 of what decides the bytes of a record: layout, and names and kinds in order."""
    schema = {"layout": LAYOUT, "columns": [[column.name, str(column.kind)] for column in columns]}
    return hashlib.sha256(json.dumps(schema).encode()).hexdigest()


def dictionaries(
    table: pa.Table, columns: Sequence[Column], known: Dictionaries = MappingProxyType({})
) -> Dictionaries:
    """Every code and set of `table` by column, sorted; those already `known` keep their place and come first."""
    found: dict[str, tuple[str, ...]] = {}
    for column in columns:
        if column.kind in (Kind.CODE, Kind.SET):
            old = known.get(column.name, ())
            new = set(pc.unique(table[column.name]).to_pylist()) - set(old) - {None}
            found[column.name] = old + tuple(sorted(new))
    return found


class RowCodec:
    """Packs tables into records and reads records back, for one set of columns and its dictionaries.

    >>> codec = RowCodec((Column("age", Kind.INTEGER, "age"), Column("tier", Kind.CODE, "tier")), {"tier": ("VIP",)})
    >>> table = pa.table({"customer_id": ["a", "b"], "age": [61, None], "tier": ["VIP", None]})
    >>> ids, records = codec.pack(table)
    >>> [codec.unpack(row) for row in codec.rows(records)]
    [{'age': 61, 'tier': 'VIP'}, {'age': None, 'tier': None}]
    """

    def __init__(self, columns: tuple[Column, ...], dictionaries: Dictionaries) -> None:
        self.columns = columns
        self.digest = schema_digest(columns)
        self._names = tuple(column.name for column in columns)
        self.dictionaries = {c.name: dictionaries[c.name] for c in columns if c.kind in (Kind.CODE, Kind.SET)}
        self.blocks = _blocks(columns)
        self.dtype = np.dtype([(str(kind), _STORED[kind], (len(names),)) for kind, names in self.blocks.items()])
        self._words = {kind: _Words(names, self.dictionaries) for kind, names in self.blocks.items() if _is_text(kind)}
        self.missing_row = self._missing_row()

    def pack(self, table: pa.Table) -> tuple[NDArray[np.object_], NDArray[np.void]]:
        """Customer ids, object (n,), and their records, (n,) of `dtype`; raises CannotPack."""
        kinds = {column.name: column.kind for column in self.columns}
        lost = [name for name in (CUSTOMER_ID, *kinds) if name not in table.column_names]
        if lost:
            raise CannotPack("table lacks columns", value=lost, allowed=table.column_names)
        encoded = {name: _encode(table[name], name, kind, self.dictionaries) for name, kind in kinds.items()}
        records = np.empty(table.num_rows, self.dtype)
        for start in range(0, table.num_rows, _CHUNK):
            part = slice(start, start + _CHUNK)
            for kind, names in self.blocks.items():
                block = records[str(kind)][part]
                for place, name in enumerate(names):
                    block[:, place] = encoded[name][part]
        return table[CUSTOMER_ID].cast(pa.string()).to_numpy(), records

    def rows(self, records: NDArray[np.void]) -> list[bytes]:
        """Each record as its own bytes."""
        size = self.dtype.itemsize
        buffer = records.tobytes()
        return [buffer[at : at + size] for at in range(0, len(buffer), size)]

    def arrays(self, rows: Sequence[bytes]) -> dict[str, NDArray[Any]]:
        """n packed rows as arrays of shape (n,): numbers, integers, amounts and flags float64 with NaN,
        codes and sets object with None, dates datetime64[D] and instants datetime64[us] with NaT."""
        records = self._records(rows)
        found: dict[str, NDArray[Any]] = {}
        for kind, names in self.blocks.items():
            block = np.ascontiguousarray(records[str(kind)].T)
            found.update(zip(names, self._decode(block, kind), strict=True))
        return {name: found[name] for name in self._names}

    def unpack(self, row: bytes) -> dict[str, Any]:
        """One packed row as Python values by column, None where missing; integers, amounts and instants exact."""
        record = self._records([row])
        found: dict[str, Any] = {}
        for kind, names in self.blocks.items():
            values = record[str(kind)][0].tolist()
            if _is_text(kind):
                pairs = zip(names, values, strict=True)
                found.update((name, None if code < 0 else self.dictionaries[name][code]) for name, code in pairs)
            else:
                found.update((name, _python(value, kind)) for name, value in zip(names, values, strict=True))
        return {column.name: found[column.name] for column in self.columns}

    def _decode(self, block: NDArray[Any], kind: Kind) -> NDArray[Any]:
        match kind:
            case Kind.NUMBER:
                return block
            case Kind.FLAG:
                flags: NDArray[np.float64] = _FLAGS[block]
                return flags
            case Kind.CODE | Kind.SET:
                return self._words[kind].of(block)
            case Kind.DATE:
                days: NDArray[np.int64] = np.where(block == NO_DAY, NO_INTEGER, block.astype(np.int64))
                return days.view("datetime64[D]")
            case Kind.INSTANT:
                return block.view("datetime64[us]")
        values: NDArray[np.float64] = np.where(block == NO_INTEGER, np.nan, block)
        return values / float(_CENTS) if kind is Kind.AMOUNT else values

    def _records(self, rows: Sequence[bytes]) -> NDArray[np.void]:
        wrong = next((len(row) for row in rows if len(row) != self.dtype.itemsize), None)
        if wrong is not None:
            raise SchemaMismatch("packed row has another length than its columns", value=wrong,
                                 allowed=f"{self.dtype.itemsize} bytes", todo="publish the view again")  # fmt: skip
        return np.frombuffer(b"".join(rows), self.dtype)

    def _missing_row(self) -> bytes:
        record = np.empty(1, self.dtype)
        for kind in self.blocks:
            record[str(kind)] = _missing(kind)
        return record.tobytes()


class _Words:
    """The dictionaries of all columns of one kind end to end, None before each, so that one look-up serves them."""

    def __init__(self, names: Sequence[str], dictionaries: Dictionaries) -> None:
        words = [word for name in names for word in (None, *dictionaries[name])]
        sizes = [1 + len(dictionaries[name]) for name in names]
        self._words = np.array(words, dtype=object)
        self._firsts = np.cumsum([1, *sizes[:-1]], dtype=np.int64)[:, None]  # a missing code, -1, falls on the None

    def of(self, block: NDArray[np.int32]) -> NDArray[np.object_]:
        words: NDArray[np.object_] = self._words[block + self._firsts]
        return words


def _blocks(columns: Sequence[Column]) -> dict[Kind, tuple[str, ...]]:
    names = {kind: tuple(column.name for column in columns if column.kind is kind) for kind in _STORED}
    return {kind: group for kind, group in names.items() if group}


def _is_text(kind: Kind) -> bool:
    return kind in (Kind.CODE, Kind.SET)


def _missing(kind: Kind) -> float | int:
    if kind is Kind.NUMBER:
        return float("nan")
    if _is_text(kind):
        return -1
    return {Kind.FLAG: _NO_FLAG, Kind.DATE: NO_DAY}.get(kind, NO_INTEGER)


def _encode(values: pa.ChunkedArray, name: str, kind: Kind, dictionaries: Dictionaries) -> NDArray[Any]:
    try:
        typed = values.cast(ARROW_TYPES[kind])
    except pa.ArrowException as error:
        raise CannotPack(f"column {name!r} does not hold {kind} values", value=str(values.type),
                         allowed=str(ARROW_TYPES[kind]), todo=str(error)) from error  # fmt: skip
    words = pa.array(dictionaries.get(name, ()), pa.string())
    stored = pc.index_in(typed, words) if _is_text(kind) else _as_stored(typed, kind)
    if _is_text(kind) and stored.null_count != typed.null_count:
        strange = pc.filter(typed, pc.and_(typed.is_valid(), stored.is_null()))
        raise CannotPack(f"column {name!r} holds a code that its dictionary lacks", value=strange[0].as_py())
    if kind is not Kind.NUMBER and pc.any(pc.equal(stored, _missing(kind))).as_py():
        raise CannotPack(f"column {name!r} holds the value that stands for missing", value=_missing(kind))
    found: NDArray[Any] = stored.fill_null(_missing(kind)).to_numpy()
    return found


def _as_stored(typed: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    match kind:
        case Kind.FLAG:
            return typed.cast(pa.uint8())
        case Kind.DATE:
            return typed.cast(pa.int32())
        case Kind.INSTANT:
            return typed.cast(pa.int64())
        case Kind.AMOUNT:
            return pc.multiply(typed, pa.scalar(_CENTS)).cast(pa.int64())
    return typed


def _python(value: Any, kind: Kind) -> Any:
    match kind:
        case Kind.NUMBER:
            return None if value != value else value  # NaN alone differs from itself
        case _ if value == _missing(kind):
            return None
        case Kind.FLAG:
            return bool(value)
        case Kind.DATE:
            return date.fromordinal(_EPOCH_DAY + value)
        case Kind.INSTANT:
            return _EPOCH + timedelta(microseconds=value)
        case Kind.AMOUNT:
            return Decimal(value).scaleb(-2)
    return value
