"""Good rows pass; a row that breaks its table's contract is set aside with table, key, rule and value, and counted.

Nothing is repaired. What could not be read at all (a line that does not fit its header, a file that is cut off) is set
aside the same way, under its place in the files. A run that would set aside more than the allowed share of a table, by
rows or by bytes, stops with one sentence and leaves the home as it was: everything is a delivery written beside the
bank that stands, and shown when it is whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from features.bank import deliveries
from features.bank.contract import Table
from features.bank.engines import arrow_schema, connect
from features.bank.joining import Joining
from features.bank.reading import Fault
from features.bank.rules import OVERLAPS, TWICE, key_of, overlaps, rules, told
from features.bank.tables import TABLES
from features.errors import BadBank
from features.policy import segments

_UNTOLD = "personal, see the file in quarantine"  # instead of a value of a table that is kept apart


@dataclass(frozen=True, slots=True)
class Incoming:
    """One table that comes in: a relation of the connection (None if no file of it could be read) and what is amiss.

    The relation has the table's columns, and perhaps `_said_<column>` (the text that stood there), `_fault` (a rule
    broken already), `_place` (file and line), `_row` (their order) and `_n` (rows of the files that one stands for).
    `readings` says what a text should have been.
    """

    relation: str | None
    readings: Mapping[str, str] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    n_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Aside:
    """Rows of one table set aside under one rule: how many, and one of them."""

    table: str
    rule: str
    n: int
    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.table}: {self.n:,} × {self.rule}, such as {self.key} ({self.value})"


@dataclass
class Received:
    """What came in: good rows by table, and what was set aside."""

    kept: dict[str, int] = field(default_factory=dict)
    aside: list[Aside] = field(default_factory=list)
    stayed: list[str] = field(default_factory=list)  # tables of the home that no file spoke of

    @property
    def n_aside(self) -> int:
        return sum(found.n for found in self.aside)


def receive(home: Path, tables: Mapping[str, pa.Table], *, largest_share: float | None = None) -> dict[str, int]:
    """Bring Arrow tables into `home`: good rows to bank/, bad ones to quarantine/; rows kept by table.

    Raises BadBank, and changes nothing, if a table is unknown, lacks a column, or breaks its contract too often:
    beyond `largest_share`, by default what the home's policy allows.
    """
    unknown = sorted(set(tables) - set(TABLES))
    if unknown:
        raise BadBank("unknown table", value=unknown, allowed=sorted(TABLES))
    con = connect()
    try:
        incoming = {}
        for name, rows in tables.items():
            numbered = _conformed(TABLES[name], rows).append_column("_row", pa.array(range(rows.num_rows), pa.int64()))
            con.create_table(f"given_{name}", numbered, temp=True)
            incoming[name] = Incoming(f"given_{name}")
        share = share_of(home / "policy" / "segments") if largest_share is None else largest_share
        return take_in(con, home, incoming, largest_share=share).kept
    finally:
        con.disconnect()


def share_of(folder: Path, as_of: date | None = None) -> float:
    """The largest share of a table's rows that may be set aside, by the policy in `folder` on `as_of` or at last."""
    book = segments(*([folder] if folder.is_dir() else []))
    return book.view(as_of or max(book.dates())).bank.quarantine_share


def take_in(
    con: Any, home: Path, incoming: Mapping[str, Incoming], *, largest_share: float, until: date | None = None,
    joining: Joining | None = None, about: Mapping[str, Any] | None = None,
) -> Received:  # fmt: skip
    """Judge every table and show the whole bank in `home` in one step; what was kept and what set aside.

    Tables of the home that do not come in stay. Business dated after `until` is set aside as the future; `joining`
    says what becomes of rows that stand, without it they go; `about` is what home.json states from then on. Raises
    BadBank and leaves the home as it was.
    """
    if "customer" not in incoming:
        raise BadBank("a bank needs its customers", value=sorted(incoming), allowed="at least the table customer")
    received = Received()
    kept: dict[str, ir.Table] = {}
    with deliveries.delivering(home) as made:
        for name in sorted(incoming, key=lambda name: name != "customer"):
            sift = _Sift(con, TABLES[name], incoming[name], kept, until)
            sift.refuse_beyond(largest_share)
            received.aside += sift.asides()
            sift.set_aside(made)
            if name == "customer" and not sift.n_good:
                raise BadBank("no customer can be read", value=str(incoming[name].faults[:1] or "empty table"),
                              todo="mend the source; the home is as it was")  # fmt: skip
            rows = sift.good if joining is None else joining.together(con, TABLES[name], sift.good)
            if n_rows := _write(con, TABLES[name], rows, made):
                received.kept[name] = n_rows
                kept[name] = rows
        received.stayed = deliveries.carry_over(home, made, but=incoming)
        if about is not None:
            (made / "home.json").write_text(json.dumps(about, indent=1, ensure_ascii=False, default=str), "utf-8")
    return received


def complaints(table: Table, rows: ir.Table, others: Mapping[str, ir.Table]) -> Iterator[tuple[str, Any]]:
    """Each rule of the contract, named, with the condition under which a row breaks it."""
    yield from ((rule.name, rule.broken) for rule in rules(table, rows, others))
    nth = ibis.row_number().over(ibis.window(group_by=list(table.key), order_by=list(table.key)))
    yield TWICE, nth > 0


class _Sift:
    """One table judged: which rows are good, which broke which rule."""

    def __init__(
        self, con: Any, table: Table, incoming: Incoming, others: Mapping[str, ir.Table], until: date | None
    ) -> None:
        self._con, self._table, self._incoming = con, table, incoming
        self._judged: ir.Table | None = None
        if incoming.relation is not None:
            self._judged = con.create_table(f"judged_{table.name}", self._judge(others, until), temp=True)
        self.n_good = self._count(is_good=True)
        self.n_bad = self._count(is_good=False) + len(incoming.faults)

    @property
    def good(self) -> ir.Table:
        names = [column.name for column in self._table.columns]
        if self._judged is None:
            return self._con.create_table(
                f"none_{self._table.name}", arrow_schema(self._table).empty_table(), temp=True
            )
        return self._judged.filter(self._judged._rule.isnull()).order_by(self._order).select(*names)

    @property
    def _order(self) -> list[str]:
        has_order = self._judged is not None and "_row" in self._judged.columns
        return ["_row"] if has_order else list(self._table.key)

    def refuse_beyond(self, share: float) -> None:
        """Raises BadBank if more than `share` of the rows, or of the bytes of its files, would be set aside."""
        n_bad = self._rows(is_good=False) + len(self._incoming.faults)
        n = self._rows(is_good=True) + n_bad
        lost = [fault for fault in self._incoming.faults if fault.is_file]
        n_lost = sum(fault.n_bytes for fault in lost)
        is_empty = (
            not self.n_good and all(fault.rule == "file holds no rows" for fault in lost) and len(lost) == self.n_bad
        )
        if is_empty or (n_bad <= share * n and n_lost <= share * max(self._incoming.n_bytes, 1)):
            return
        first = self.asides()[0]
        what = f"{n_bad:,} of {n:,} rows break the contract"
        if n_lost:
            what = f"{len(lost)} of its files cannot be taken"
        raise BadBank(
            f"table {self._table.name}: {what}", value=f"{first.key}: {first.rule} ({first.value})",
            allowed=f"at most {share:.0%} of the rows", todo="mend the source; the home is as it was",
        )  # fmt: skip

    def asides(self) -> list[Aside]:
        """What is set aside, rule by rule, most frequent first."""
        name = self._table.name
        by_rule: dict[str, list[Fault]] = {}
        for fault in self._incoming.faults:
            by_rule.setdefault(fault.rule, []).append(fault)
        found = [Aside(name, rule, len(all_), all_[0].place, all_[0].value) for rule, all_ in by_rule.items()]
        if self._judged is not None:
            bad = self._judged.filter(self._judged._rule.notnull())
            grouped = bad.group_by("_rule").agg(
                n=bad.count(),
                key=bad._key.first(order_by=self._order),
                value=bad._value.first(order_by=self._order, include_null=True),
            )
            found += [
                Aside(name, r["_rule"], r["n"], r["key"], r["value"] or "") for r in grouped.to_pyarrow().to_pylist()
            ]
        if self._table.is_apart:  # what is told here is printed and logged
            found = [replace(aside, value=_UNTOLD) for aside in found]
        return sorted(found, key=lambda aside: (-aside.n, aside.rule))

    def set_aside(self, made: Path) -> None:
        """Bad rows to their file in the delivery `made`, if there are any."""
        if self.n_bad:
            pq.write_table(self._bad_rows(), made / "quarantine" / f"{self._table.name}.parquet", compression="zstd")

    def _judge(self, others: Mapping[str, ir.Table], until: date | None) -> ir.Table:
        rows = self._con.table(self._incoming.relation)
        found = list(rules(self._table, rows, others, readings=self._incoming.readings, until=until))
        given = rows._fault if "_fault" in rows.columns else ibis.null("string")
        broken = ibis.coalesce(ibis.cases(*[(r.broken.fill_null(False), r.name) for r in found], else_=None), given)
        judged = rows.mutate(_rule=broken, _key=key_of(rows, self._table))
        if "_row" in rows.columns:  # of two rows under one key, the later in the files is the one too many
            places = ibis.window(group_by=[*self._table.key, judged._rule.isnull()], order_by=judged._row)
            nth = ibis.row_number().over(places)
            judged = judged.mutate(_nth=nth)
            twice = judged._rule.isnull() & (judged._nth > 0)
            judged = judged.mutate(_rule=ibis.ifelse(twice, TWICE, judged._rule)).drop("_nth")
        if self._table.name == "balance":
            judged = judged.mutate(_rule=judged._rule.coalesce(ibis.ifelse(overlaps(judged), OVERLAPS, None)))
        values = [(judged._rule == r.name, told(judged, str(r.column))) for r in found if r.column is not None]
        return judged.mutate(_value=ibis.cases(*values, else_=judged._key))

    def _bad_rows(self) -> pa.Table:
        """Rows set aside: `_table`, `_place`, `_key`, `_rule`, `_value`, then the columns as far as they were read."""
        names = [column.name for column in self._table.columns]
        schema = pa.schema([*((name, pa.string()) for name in ("_table", "_place", "_key", "_rule", "_value")),
                            *(field.with_nullable(True) for field in arrow_schema(self._table))])  # fmt: skip
        faults = [{"_table": self._table.name, "_place": fault.place, "_key": fault.place, "_rule": fault.rule,
                   "_value": fault.value} for fault in self._incoming.faults]  # fmt: skip
        parts = [pa.Table.from_pylist(faults, schema=schema)]
        if self._judged is not None:
            bad = self._judged.filter(self._judged._rule.notnull())
            place = bad._place if "_place" in bad.columns else ibis.literal("")
            named = bad.order_by(self._order).mutate(_table=ibis.literal(self._table.name), _place=place)
            parts.append(named.select("_table", "_place", "_key", "_rule", "_value", *names).to_pyarrow().cast(schema))
        return pa.concat_tables(parts)

    def _count(self, *, is_good: bool) -> int:
        return 0 if self._judged is None else int(self._of(self._judged, is_good).count().execute())

    def _rows(self, *, is_good: bool) -> int:
        """Rows of the files that are good or bad: an interval stands for its days."""
        if self._judged is None or "_n" not in self._judged.columns:
            return self._count(is_good=is_good)
        return int(self._of(self._judged, is_good)._n.fill_null(1).sum().fill_null(0).execute())

    def _of(self, judged: ir.Table, is_good: bool) -> ir.Table:
        return judged.filter(judged._rule.isnull() if is_good else judged._rule.notnull())


def _conformed(table: Table, rows: pa.Table) -> pa.Table:
    schema = arrow_schema(table)
    missing = [name for name in schema.names if name not in rows.column_names]
    if missing:
        raise BadBank(f"table {table.name} lacks columns", value=missing, allowed=", ".join(schema.names))
    try:
        return rows.select(schema.names).cast(pa.schema([field.with_nullable(True) for field in schema]))
    except pa.ArrowException as error:
        raise BadBank(
            f"table {table.name} does not fit its contract", value=str(error), todo="convert the column"
        ) from error


def _write(con: Any, table: Table, rows: ir.Table, made: Path) -> int:
    """`rows` as the table's file in the delivery `made`, none for no rows; how many."""
    n_rows = int(rows.count().execute())
    if n_rows:
        path = made / "bank" / table.name / "all.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        con.to_parquet(rows, path, compression="zstd")
    return n_rows
