"""Entity, views and services of the feature store, declared in code; point-in-time frames; online rows.

Two clocks have a view in both stores, the month (`profile_month`) and the day (`today_day`); the moment
(`recent_moment`) is offline only, because online the same function runs on the ledger's rows. A row counts at an
instant if it had happened and was published by then and has not outlived its view: Feast's created-timestamp filter
is always on, so that a late correction or a build of tomorrow reaches no example of today.

Everything that is written lies under the home: `feast/registry.db` and `feast/online/<lineage>.sqlite`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from glob import iglob
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa

from features.bank.engines import connect
from features.errors import MissingBuild, NotFound, UserMistake
from features.facts import PROFILE, RECENT, TODAY
from features.online_rows import microseconds
from features.own import OwnView
from features.vocabulary import AS_OF_AT, AVAILABLE_AT, CUSTOMER_ID, Column, Kind

with warnings.catch_warnings():  # Feast switches deprecation warnings on for the whole process when it is imported
    from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.errors import FeastObjectNotFoundException
    from feast.types import String

    from features.feast_online import columns_of, fields_of

PROJECT = "tiercel"
MONTH, DAY, MOMENT = "profile_month", "today_day", "recent_moment"
SERVICES: Mapping[str, tuple[str, ...]] = {
    "response_v1": (MONTH, DAY, MOMENT),
    "churn_v1": (MONTH,),
    "decision_v1": (MONTH, DAY),
}
AT_ONCE = timedelta(milliseconds=1)  # lifetime of 0 days: a row counts at its own instant; to Feast 0 means for ever
EVENT_TIMESTAMP = "event_timestamp"  # Feast finds the instant of a spine row by this name

_LINEAGE = "lineage"
_PLACE = "place_in_spine"


@dataclass(frozen=True, slots=True)
class ViewSpec:
    """One view: the Parquet files it reads (`glob`, under the home) and how long a row counts.

    The files hold customer_id, as_of_at, available_at (UTC, microseconds) and every one of `columns`, in the types
    of bank tables.
    """

    name: str
    columns: tuple[Column, ...]
    glob: str
    lifetime: timedelta
    is_online: bool = True


def view_specs(lineage: str, lifetimes: Mapping[str, int], own: Sequence[OwnView] = ()) -> tuple[ViewSpec, ...]:
    """The three views of a lineage, and the bank's own, which live as long as the profile.

    `lifetimes` are the policy's days by clock: profile, today, recent.
    """
    return (
        ViewSpec(MONTH, PROFILE, f"profiles/{lineage}/**/*.parquet", _lifetime(lifetimes["profile"])),
        ViewSpec(DAY, TODAY, f"views/{lineage}/today/*.parquet", _lifetime(lifetimes["today"])),
        ViewSpec(MOMENT, RECENT, f"views/{lineage}/recent/*.parquet", _lifetime(lifetimes["recent"]), is_online=False),
        *(ViewSpec(view.name, view.columns, view.glob(lineage), _lifetime(lifetimes["profile"])) for view in own),
    )


def online_path(home: Path, lineage: str) -> Path:
    """Where the packed online store of a lineage stands."""
    return home / "feast" / "online" / f"{lineage}.sqlite"


def store(home: Path, lineage: str, *, at: datetime | None = None) -> FeatureStore:
    """Feast's handle on a home and lineage; online reads are as of `at` and refuse to run without it."""
    home = home.resolve()
    (home / "feast").mkdir(parents=True, exist_ok=True)
    return FeatureStore(
        config=RepoConfig(
            project=PROJECT,
            provider="local",
            repo_path=home,
            registry={"registry_type": "sql", "path": f"sqlite:///{home / 'feast' / 'registry.db'}"},
            offline_store={"type": "duckdb"},
            online_store={
                "type": "features.feast_online.PackedOnlineStore",
                "path": str(online_path(home, lineage)),
                "read_at_us": None if at is None else microseconds(at),
            },
            entity_key_serialization_version=3,
        )
    )


def apply(home: Path, lineage: str, specs: Sequence[ViewSpec]) -> None:
    """Declare entity, views and services of `lineage`; what an earlier lineage declared is replaced."""
    customer = Entity(name="customer", join_keys=[CUSTOMER_ID], value_type=ValueType.STRING)
    views = {spec.name: _view(home.resolve(), lineage, spec, customer) for spec in specs}
    own = [name for name in views if name not in (MONTH, DAY, MOMENT)]  # they stand wherever the month does
    services = [
        FeatureService(name=name, features=[views[part] for part in (*parts, *own)], tags={_LINEAGE: lineage})
        for name, parts in SERVICES.items()
        if set(parts) <= set(views)
    ]
    feast = store(home, lineage)
    with utc_engine():
        feast.apply([customer, *views.values(), *services])


def historical(home: Path, lineage: str, spine: pd.DataFrame, service: str) -> pd.DataFrame:
    """`spine` with the columns of `service` as they were known at each row's instant; same rows, same order.

    `spine` has customer_id and event_timestamp (with zone); a repeated row stays repeated. A column is missing where
    no row of its view had happened, was published and still counted by then. Flags come as `boolean`, integers as
    `Int64`, numbers as float64, amounts as Decimal objects, codes and sets as str objects with None, dates as
    datetime64[s]. Raises NotFound for an unknown service and MissingBuild if another lineage is applied.
    """
    _check_spine(spine)
    feast = store(home, lineage)
    views = _views_of(feast, lineage, service)
    for view in views:
        _check_files(view)
    with utc_engine():
        job = feast.get_historical_features(
            entity_df=_asked(spine), features=feast.get_feature_service(service), filter_by_created_timestamp=True
        )
        joined = job.to_arrow().sort_by(_PLACE)
    columns = [column for view in views for column in columns_of(view)]
    found = {column.name: _series(joined[column.name], column.kind) for column in columns}
    return pd.concat([spine, pd.DataFrame(found).set_axis(spine.index)], axis=1)


def online(
    home: Path, lineage: str, service: str, customer_ids: Sequence[str], *, at: datetime
) -> dict[str, list[Any]]:
    """Columns of the service's online views through Feast's own reading path, one list a column, None where missing.

    The request path reads the same rows by `features.online_rows`, without Feast; a test holds the two equal.
    """
    feast = store(home, lineage, at=at)
    views = [view for view in _views_of(feast, lineage, service) if view.online]
    names = [f"{view.name}:{column.name}" for view in views for column in columns_of(view)]
    entities = [{CUSTOMER_ID: customer_id} for customer_id in customer_ids]
    found = feast.get_online_features(features=names, entity_rows=entities).to_dict()
    return {
        column.name: [_day(value) if column.kind is Kind.DATE else value for value in found[column.name]]
        for view in views
        for column in columns_of(view)
    }


@contextmanager
def utc_engine() -> Iterator[None]:
    """A private DuckDB in UTC behind Ibis, where Feast's offline store finds it; the caller's is put back at the end.

    Feast takes Ibis' default connection, which is in the zone of the host, and `materialize` compares local times.
    """
    before = ibis.options.default_backend
    engine = connect()
    ibis.set_backend(engine)
    try:
        yield
    finally:
        ibis.options.default_backend = before
        engine.disconnect()


def _lifetime(days: int) -> timedelta:
    return max(timedelta(days=days), AT_ONCE)


def _view(home: Path, lineage: str, spec: ViewSpec, customer: Entity) -> FeatureView:
    ambiguous = [column.name for column in spec.columns if column.name.endswith("_y")]
    if ambiguous:
        raise UserMistake("Feast's join drops columns whose name ends with _y", value=ambiguous, todo="rename them")
    source = FileSource(
        name=f"{spec.name}_files",
        path=str(home / spec.glob),
        timestamp_field=AS_OF_AT,
        created_timestamp_column=AVAILABLE_AT,
    )
    return FeatureView(
        name=spec.name,
        entities=[customer],
        ttl=spec.lifetime,
        schema=[Field(name=CUSTOMER_ID, dtype=String), *fields_of(spec.columns)],
        online=spec.is_online,
        source=source,
        tags={_LINEAGE: lineage},
    )


def _views_of(feast: FeatureStore, lineage: str, service: str) -> list[FeatureView]:
    try:
        parts = feast.get_feature_service(service).feature_view_projections
    except FeastObjectNotFoundException as error:
        known = [found.name for found in feast.list_feature_services()]
        raise NotFound("no such feature service", value=service, allowed=known, todo="apply the views first") from error
    views = [feast.get_feature_view(part.name) for part in parts]
    others = {view.tags[_LINEAGE] for view in views} - {lineage}
    if others:
        raise MissingBuild("another lineage is applied to the feature store", value=lineage, allowed=sorted(others),
                           todo="apply the views to this lineage first")  # fmt: skip
    return views


def _check_files(view: FeatureView) -> None:
    pattern = view.batch_source.path
    if not any(iglob(pattern, recursive=True)):  # noqa: PTH207  # the source's pattern is a text, absolute and with stars
        raise MissingBuild(f"view {view.name!r} has no files", value=pattern, todo="build the view first")


def _check_spine(spine: pd.DataFrame) -> None:
    lost = {CUSTOMER_ID, EVENT_TIMESTAMP} - set(spine.columns)
    if lost:
        raise UserMistake("spine lacks columns", value=sorted(lost), allowed=[CUSTOMER_ID, EVENT_TIMESTAMP])
    if getattr(spine[EVENT_TIMESTAMP].dtype, "tz", None) is None:
        raise UserMistake("instants of a spine need a zone", value=str(spine[EVENT_TIMESTAMP].dtype), todo="give UTC")


def _asked(spine: pd.DataFrame) -> pd.DataFrame:
    """What Feast is asked: customer and instant alone, for it would prefer a spine's column to a view's of that name,
    and the place of each row, because DuckDB returns rows in any order."""
    instants = spine[EVENT_TIMESTAMP].dt.tz_convert("UTC").dt.as_unit("us")
    asked = {CUSTOMER_ID: spine[CUSTOMER_ID].astype(object), EVENT_TIMESTAMP: instants}
    return pd.DataFrame(asked).reset_index(drop=True).assign(**{_PLACE: range(len(spine))})


def _series(values: pa.ChunkedArray, kind: Kind) -> pd.Series[Any]:
    match kind:
        case Kind.FLAG:
            return values.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
        case Kind.INTEGER:
            return values.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        case Kind.DATE:
            return values.cast(pa.timestamp("s")).to_pandas()
    return values.to_pandas()


def _day(value: datetime | None) -> date | None:
    return None if value is None else value.date()
