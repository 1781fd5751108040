"""The rules that a row of a bank table breaks or keeps, read off the table's contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir

from features.bank.contract import Table
from features.bank.tables import TABLES
from features.vocabulary import Column, Kind

SAID = "_said_"  # before a column's name: the text that stood in the file
TWICE = "key stands twice"
OVERLAPS = "still holds when the next balance of its account begins"
_EARLIEST, _LATEST = "1901-01-01", "2100-01-01"
_VALID_FROM = ("preapproval", "customer_fact", "do_not_call", "offer")  # from_on of these may lie ahead
_NEVER_AHEAD = ("birth_on", "registered_on", "first_product_on")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a contract: its name, the column it looks at (None: the key), when a row breaks it."""

    name: str
    column: str | None
    broken: Any


def rules(
    table: Table, rows: ir.Table, others: Mapping[str, ir.Table], *, readings: Mapping[str, str] | None = None,
    until: date | None = None,
) -> Iterator[Rule]:  # fmt: skip
    """The rules that a row breaks or keeps by itself, in the order in which they are told."""
    for column in table.columns:  # before what follows from it is missing
        yield from _unread(column, rows, readings or {})
    for column in sorted(table.columns, key=lambda column: column.kind is Kind.INSTANT):  # a day tells more plainly
        yield from _column_rules(column, rows)
    ahead = [name for name in _NEVER_AHEAD if name in rows.columns]
    if table.happened is not None and table.name not in _VALID_FROM:
        ahead.append(table.happened)
    for name in ahead if until is not None else []:
        yield Rule(f"{name} lies in the future", name, rows[name] > ibis.date(str(until)))
    if {"from_on", "to_on"} <= set(rows.columns):
        yield Rule("to_on lies before from_on", "to_on", rows.to_on < rows.from_on)
    for name, owner in table.foreign.items():
        if owner in others:
            owners = others[owner][TABLES[owner].key[0]]
            yield Rule(f"{name} is not in {owner}", name, rows[name].notnull() & rows[name].notin(owners))


def _unread(column: Column, rows: ir.Table, readings: Mapping[str, str]) -> Iterator[Rule]:
    name = column.name
    if SAID + name in rows.columns:
        unread = rows[name].isnull() & rows[SAID + name].notnull()
        yield Rule(f"{name} is not {readings.get(name, column.kind.value)}", name, unread)


def _column_rules(column: Column, rows: ir.Table) -> Iterator[Rule]:
    name, value = column.name, rows[column.name]
    if not column.is_nullable:
        yield Rule(f"{name} is missing", name, value.isnull())
    if column.allowed:
        yield Rule(f"{name} is not a known code", name, value.notnull() & ~value.isin(column.allowed))
    if column.at_least is not None:
        yield Rule(f"{name} is below {column.at_least:g}", name, value < column.at_least)
    if column.kind is Kind.NUMBER:
        yield Rule(f"{name} is not a number", name, value.isnan() | value.isinf())
    if column.kind is Kind.DATE:
        yield Rule(f"{name} is out of time", name, (value < ibis.date(_EARLIEST)) | (value > ibis.date(_LATEST)))
    if column.kind is Kind.INSTANT:
        day = value.date()
        yield Rule(f"{name} is out of time", name, (day < ibis.date(_EARLIEST)) | (day > ibis.date(_LATEST)))


def overlaps(judged: ir.Table) -> Any:
    """Whether a good balance still holds when the next good one of the same account begins, so that both would count.

    Changes without an end, or days without `snapshots`, look like this: each would be added to all before it.
    """
    account = [judged.customer_id, judged.account_id, judged.asset_class, judged._rule.isnull()]
    following = judged.from_on.lead().over(ibis.window(group_by=account, order_by=judged.from_on))
    return judged._rule.isnull() & following.notnull() & (judged.to_on.isnull() | (judged.to_on > following))


def key_of(rows: ir.Table, table: Table) -> Any:
    """The key of each row as text, its parts joined by a stroke."""
    parts = [ibis.coalesce(told(rows, name), ibis.literal("")) for name in table.key]
    key = parts[0]
    for part in parts[1:]:
        key = key + ibis.literal("/") + part
    return key


def told(rows: ir.Table, name: str) -> Any:
    """What stood in a column: its text where there is one, else its value as text."""
    said = [rows[SAID + name]] if SAID + name in rows.columns else []
    return ibis.coalesce(*said, rows[name].cast("string"))
