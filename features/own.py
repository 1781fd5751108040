"""A bank's own features, one file each, and scores of its own models: each a Feast view beside the shipped three.

    HOME/features/NAME.py                          COLUMNS, and rows(month), customer_id and COLUMNS as an Ibis table
    HOME/views/<lineage>/own_NAME/<digest>/        a file a month, written by `tiercel build`
    HOME/views/<lineage>/score_MODEL/              a file a month, written by `tiercel score-own MODEL`

A feature sees what its month's profile could see and counts from the same instant, so that training finds it as it was
known; a changed file has another digest, and is computed for every month again. It may not look past its month: `rows`
of a table end with it. The file runs with the rights of whoever builds. docs/own.md shows one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.bank.engines import STORED, Bank, open_bank
from features.bank.whole_files import whole
from features.errors import MissingBuild, UserMistake
from features.facts import FACTS
from features.lineages import Build, builds
from features.vocabulary import AS_OF_AT, AVAILABLE_AT, CUSTOMER_ID, Column, Kind

__all__ = ["Column", "Kind", "Month", "OwnView", "own_views", "with_own", "write_missing", "write_scores"]
OWN, SCORE = "own_", "score_"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DAYS = ("business_on", "from_on")  # what tells the day of a row; a table without either ends with what was known
_SCORED = "scores: what the bank's own model {name} says of a customer"


class BadFeature(UserMistake):
    """A file of the bank's own features does not say what it must."""

    slug = "bad-feature"


@dataclass(frozen=True, slots=True)
class Month:
    """One closed month as a feature sees it."""

    first_on: date
    as_of: date
    _tables: Mapping[str, ir.Table]

    def rows(self, table: str) -> ir.Table:
        """The rows of a bank table up to the month's last day, as far as they were known; raises BadFeature."""
        if table not in self._tables:
            raise BadFeature("the bank has no such table", value=table, allowed=sorted(self._tables))
        found = self._tables[table]
        day = next((name for name in _DAYS if name in found.columns), None)
        return found if day is None else found.filter(found[day] <= ibis.literal(self.as_of))

    def rows_within(self, table: str) -> ir.Table:
        """Those of the month alone."""
        found = self.rows(table)
        day = next((name for name in _DAYS if name in found.columns), None)
        if day is None:
            raise BadFeature("the rows of this table have no day", value=table, todo="ask for `rows`")
        return found.filter(found[day] >= ibis.literal(self.first_on))


@dataclass(frozen=True, slots=True)
class OwnView:
    """A view of the bank's own: its name in the feature store, its columns, and where its months stand.

    `rows` computes a month; None for scores, which a night writes.
    """

    name: str
    columns: tuple[Column, ...]
    folder: str
    rows: Callable[[Month], ir.Table] | None = None

    def path(self, home: Path, build: Build) -> Path:
        return home / "views" / build.lineage / self.name / self.folder / f"{build.as_of}.parquet"

    def glob(self, lineage: str) -> str:
        """Its files, under the home."""
        return "/".join(part for part in ("views", lineage, self.name, self.folder, "*.parquet") if part)


def own_views(home: Path) -> tuple[OwnView, ...]:
    """The bank's own features in the order of their files, and its own scores; raises BadFeature."""
    found = [_read(path) for path in sorted((home / "features").glob("*.py"))]
    names = {path.name for path in (home / "views").glob(f"*/{SCORE}*")}
    found += [scores_of(name.removeprefix(SCORE)) for name in sorted(names)]
    columns = [column.name for view in found for column in view.columns]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise BadFeature("two of the bank's own features have one name", value=twice[0], todo="rename one of them")
    return tuple(found)


def scores_of(model: str) -> OwnView:
    """The view of what the bank's own model `model` says: column `<model>_score`; raises BadFeature for its name."""
    column = Column(f"{model}_score", Kind.NUMBER, _SCORED.format(name=model), "not scored in this month")
    _check(model, (column,))
    return OwnView(SCORE + model, (column,), "")


def write_missing(home: Path, views: Sequence[OwnView] | None = None) -> int:
    """Every month of the standing lineage that one of the features lacks; files written. Raises BadFeature."""
    own = [view for view in (own_views(home) if views is None else views) if view.rows is not None]
    lacking = [(view, build) for view in own for build in builds(home) if not view.path(home, build).exists()]
    if not lacking:
        return 0
    with open_bank(home) as bank:
        for view, build in lacking:
            _write(bank, view, build)
    return len(lacking)


def with_own(home: Path, build: Build, frame: pd.DataFrame, views: Sequence[OwnView]) -> pd.DataFrame:
    """`frame` of a month's customers with the columns of `views`; missing where a month was never written."""
    for view in views:
        path, names = view.path(home, build), [column.name for column in view.columns]
        if path.exists():
            rows = pq.read_table(path, columns=[CUSTOMER_ID, *names]).to_pandas()
            frame = frame.merge(rows, on=CUSTOMER_ID, how="left")
        else:
            frame = frame.assign(**dict.fromkeys(names))
    return frame


def write_scores(home: Path, build: Build, view: OwnView, scores: pd.Series[Any], at: datetime) -> Path:
    """What a night said of the customers of `build` (index: customer_id), readable from `at` on; the file written."""
    (column,) = view.columns
    people = pq.read_table(build.path, columns=[CUSTOMER_ID, AS_OF_AT])
    values = pa.array(scores.reindex(people[CUSTOMER_ID].to_pylist()).to_numpy(dtype="float64"), from_pandas=True)
    known = pa.array([at] * people.num_rows, STORED[Kind.INSTANT])
    return _stored(view.path(home, build), people.append_column(AVAILABLE_AT, known).append_column(column.name, values))


def _write(bank: Bank, view: OwnView, build: Build) -> None:
    names = [column.name for column in view.columns]
    month = Month(build.as_of.replace(day=1), build.as_of, bank.known_by(build.available_at))
    rows = view.rows(month) if view.rows else None
    lost = sorted({CUSTOMER_ID, *names} - set(getattr(rows, "columns", ())))
    if rows is None or lost:
        raise BadFeature(f"rows of {view.name} lack columns", value=lost, allowed=[CUSTOMER_ID, *names])
    people = pq.read_table(build.path, columns=[CUSTOMER_ID, AS_OF_AT, AVAILABLE_AT]).to_pandas()
    found = rows.select(CUSTOMER_ID, *names).to_pandas()
    if found[CUSTOMER_ID].duplicated().any():
        raise BadFeature(
            f"rows of {view.name} hold a customer twice", value=str(build.as_of), todo="one row a customer"
        )
    table = pa.Table.from_pandas(people.merge(found, on=CUSTOMER_ID, how="left"), preserve_index=False)
    for column in view.columns:
        place = table.schema.get_field_index(column.name)
        table = table.set_column(place, column.name, table[column.name].cast(STORED[column.kind]))
    for name in (AS_OF_AT, AVAILABLE_AT):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(STORED[Kind.INSTANT]))
    _stored(view.path(bank.home, build), table)


def _stored(path: Path, table: pa.Table) -> Path:
    with whole(path) as half:
        pq.write_table(table, half)
    return path


def _read(path: Path) -> OwnView:
    spec = importlib.util.spec_from_file_location(f"own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BadFeature("the file cannot be read", value=path.name)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the bank's own code: whatever it raises, the file is named
        raise BadFeature(f"the file cannot be run: {error}", value=path.name) from error
    columns, rows = getattr(module, "COLUMNS", ()), getattr(module, "rows", None)
    if not columns or not callable(rows):
        raise BadFeature("the file lacks COLUMNS or rows(month)", value=path.name, todo="docs/own.md shows one")
    _check(path.stem, tuple(columns))
    return OwnView(OWN + path.stem, tuple(columns), hashlib.sha256(path.read_bytes()).hexdigest()[:12], rows)


def _check(name: str, columns: Sequence[Column]) -> None:
    for told in (name, *(column.name for column in columns)):
        if not _NAME.fullmatch(told) or told.endswith("_y"):
            raise BadFeature("a name is small letters, digits and _, and does not end with _y", value=told)
    taken = sorted(column.name for column in columns if column.name in FACTS)
    if taken:
        raise BadFeature("a fact of this name is there already", value=taken[0], todo="take another name")
    never_null = sorted(column.name for column in columns if column.null is None)
    if never_null:
        raise BadFeature("a feature says what a missing value means", value=never_null[0], todo="give Column a `null`")


def newest(home: Path, views: Sequence[OwnView], build: Build) -> list[tuple[OwnView, Path]]:
    """The file of each view that is published with `build`; a feature without one raises MissingBuild."""
    found = []
    for view in views:
        path = view.path(home, build)
        if path.exists():
            found.append((view, path))
        elif view.rows is not None:
            raise MissingBuild(
                "a feature of the bank's own has no rows yet", value=view.name, todo="run `tiercel build`"
            )
    return found
