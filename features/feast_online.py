"""Feast's online store over the packed rows of one lineage: one SQLite file, one row a customer and view.

What Feast's own SQLite store does otherwise, and this one on purpose does not: it writes one row a *feature*, keeps
times through a date adapter that shifts them with the process's zone, returns a row that has outlived the view's ttl,
and lets a late write replace a newer row. Here instants are integers, a stale row reads as not found, and the later
event stays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from feast import Entity, FeatureView, Field, RepoConfig
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel
from feast.type_map import NULL_TIMESTAMP_INT_VALUE
from feast.types import Bool, FeastType, Float64, Int64, String, UnixTimestamp
from feast.types import Decimal as DecimalType
from typing_extensions import override

from features.errors import UserMistake
from features.online_rows import MissingStore, OnlineReader, check_schema, instant, is_live, microseconds, stored_views
from features.packing import ARROW_TYPES
from features.publishing import add_view, drop_view, merge_rows, writing
from features.vocabulary import AS_OF_AT, AVAILABLE_AT, CUSTOMER_ID, Column, Kind

KIND = "kind"  # tag of a Feast field that names its kind, because several kinds share a Feast type
FEAST_TYPES: dict[Kind, FeastType] = {
    Kind.FLAG: Bool,
    Kind.INTEGER: Int64,
    Kind.NUMBER: Float64,
    Kind.AMOUNT: DecimalType,
    Kind.CODE: String,
    Kind.SET: String,
    Kind.DATE: UnixTimestamp,
}
_FOREVER = timedelta(days=36_500)
WrittenRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
ReadRow = tuple[datetime | None, dict[str, Value] | None]


class PackedOnlineStoreConfig(FeastConfigBaseModel):
    """`path` of the SQLite file; `read_at_us`, the instant of reading in microseconds since 1970, which reads need."""

    type: Literal["features.feast_online.PackedOnlineStore"] = "features.feast_online.PackedOnlineStore"
    path: str
    read_at_us: int | None = None


class PackedOnlineStore(OnlineStore):
    """Rows of one entity, the customer; see the module for what it promises."""

    def __init__(self) -> None:
        self._reader: OnlineReader | None = None
        self._lock = threading.Lock()

    @override
    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[WrittenRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write rows in place; of two rows of a customer the later event stays. Raises SchemaMismatch."""
        with writing(Path(config.online_store.path)) as db:
            view = stored_views(db).get(table.name)
            if view is None:
                raise MissingStore("online store lacks a view", value=table.name, todo="apply the views first")
            columns = columns_of(table)
            check_schema(table.name, view.codec.digest, columns)
            merge_rows(db, view, _table(data, columns))
        self._forget()
        if progress is not None:
            progress(len(data))

    @override
    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[ReadRow]:
        """Rows in the order of `entity_keys`; (None, None) for one that is unknown, unpublished or stale by then.

        Raises MissingStore, SchemaMismatch, and UserMistake where the configuration names no instant.
        """
        at_us = config.online_store.read_at_us
        if at_us is None:
            raise UserMistake("an online read needs an instant", todo="set read_at_us in the online store's settings")
        with self._lock:
            reader = self._current(Path(config.online_store.path))
            columns = columns_of(table)
            reader.require(table.name, columns)
            ids = [_customer(key) for key in entity_keys]
            rows = reader.read(table.name, ids)
        view = reader.view(table.name)
        kinds = {c.name: c.kind for c in columns if requested_features is None or c.name in requested_features}
        found: list[ReadRow] = []
        for customer_id in ids:
            event_us, created_us, packed = rows.get(customer_id, (at_us + 1, at_us + 1, b""))
            if is_live(event_us, created_us, at_us=at_us, lifetime_us=view.lifetime_us):
                values = view.codec.unpack(packed)
                found.append((instant(event_us), {name: _proto(values[name], kind) for name, kind in kinds.items()}))
            else:
                found.append((None, None))
        return found

    @override
    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Make room for views that the file lacks and remove deleted ones; a published view is left as it is, and
        reading it under other columns then raises SchemaMismatch instead of returning half of a row."""
        path = Path(config.online_store.path)
        known = self._known(path)
        fresh = [view for view in tables_to_keep if view.online and view.name not in known]
        gone = [view.name for view in tables_to_delete if view.name in known]
        if fresh or gone:
            with writing(path) as db:
                for view in fresh:
                    add_view(db, view.name, columns_of(view), view.ttl or _FOREVER)
                for name in gone:
                    drop_view(db, name)
            self._forget()

    @override
    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Remove the file of this lineage."""
        self._forget()
        Path(config.online_store.path).unlink(missing_ok=True)

    def _known(self, path: Path) -> set[str]:
        if not path.exists():
            return set()
        with OnlineReader(path) as reader:
            return set(reader.views)

    def _current(self, path: Path) -> OnlineReader:
        """The open reader, opened again if the file was replaced or this store wrote to it."""
        if self._reader is None or not self._reader.is_current():
            if self._reader is not None:
                self._reader.close()
            self._reader = OnlineReader(path)
        return self._reader

    def _forget(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.close()
            self._reader = None


def fields_of(columns: Sequence[Column]) -> list[Field]:
    """Feast fields of a view; raises UserMistake for an instant, of which Feast keeps whole seconds only."""
    strange = [column.name for column in columns if column.kind not in FEAST_TYPES]
    if strange:
        raise UserMistake("Feast cannot hold these columns without loss", value=strange, allowed=sorted(FEAST_TYPES),
                          todo="keep a date, or a count of days, instead of an instant")  # fmt: skip
    return [
        Field(name=c.name, dtype=FEAST_TYPES[c.kind], description=c.meaning, tags={KIND: str(c.kind)}) for c in columns
    ]


def columns_of(view: FeatureView) -> tuple[Column, ...]:
    """Columns of a Feast view whose fields were made by `fields_of`, in their order."""
    return tuple(Column(field.name, Kind(field.tags[KIND]), field.description) for field in view.features)


def _customer(key: EntityKey) -> str:
    if list(key.join_keys) != [CUSTOMER_ID]:
        raise UserMistake("packed online store knows one entity", value=list(key.join_keys), allowed=[CUSTOMER_ID])
    return str(key.entity_values[0].string_val)


def _table(data: Sequence[WrittenRow], columns: Sequence[Column]) -> pa.Table:
    instants = pa.timestamp("us", tz="UTC")
    found: dict[str, pa.Array] = {
        CUSTOMER_ID: pa.array([_customer(key) for key, *_ in data], pa.string()),
        AS_OF_AT: pa.array([microseconds(event) for _, _, event, _ in data], instants),
        AVAILABLE_AT: pa.array([microseconds(created or event) for _, _, event, created in data], instants),
    }
    for column in columns:
        values = [_value(values.get(column.name), column.kind) for _, values, *_ in data]
        found[column.name] = pa.array(values, ARROW_TYPES[column.kind])
    return pa.table(found)


def _value(proto: Value | None, kind: Kind) -> Any:
    which = None if proto is None else proto.WhichOneof("val")
    if which is None:
        return None
    value = getattr(proto, which)
    match kind:
        case Kind.DATE:
            return None if value == NULL_TIMESTAMP_INT_VALUE else instant(value * 1_000_000).date()
        case Kind.AMOUNT:
            return Decimal(value)
    return value


def _proto(value: Any, kind: Kind) -> Value:
    if value is None:
        return Value()
    match kind:
        case Kind.FLAG:
            return Value(bool_val=value)
        case Kind.INTEGER:
            return Value(int64_val=value)
        case Kind.NUMBER:
            return Value(double_val=value)
        case Kind.AMOUNT:
            return Value(decimal_val=str(value))
        case Kind.DATE:
            return Value(unix_timestamp_val=_midnight_seconds(value))
    return Value(string_val=value)


def _midnight_seconds(day: date) -> int:
    return microseconds(datetime.combine(day, time())) // 1_000_000
