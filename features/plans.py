"""The statements that make a month: compiled once for each policy and set of tables, run for every month.

A statement reads tables of fixed names, which `lay_out` fills for one month: the dates of its closing, the tiles of
twelve months, the profile before. Nothing between bank and profile is kept: the engine streams each customer's row
through all families into the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from features import earnings
from features.bank import idleness, paydays, signs, tiles, windows
from features.bank.chains import Chain
from features.bank.engines import Bank
from features.bank.tiles import CLOSING, Closing, Seen
from features.errors import BadBank
from features.month import HELD, Month, beside, ibis_type
from features.policy import PolicyBook, SegmentsPolicy
from features.segments import activity, behaviour, cells, classes, grades, lifecycle, tags, tiers, value, wealth
from features.today import contracts, with_contracts
from features.vocabulary import AS_OF_AT, AVAILABLE_AT, CUSTOMER_ID, Column, Kind

FAMILIES: dict[str, ModuleType] = {
    module.__name__.rsplit(".", 1)[-1]: module
    for module in (wealth, activity, behaviour, tiers, value, grades, classes, lifecycle, cells, tags)
}
PERSON = (
    Column("gender", Kind.CODE, "gender", "not given"),
    Column("region", Kind.CODE, "region", "not known"),
    Column("tenure_days", Kind.INTEGER, "days since registration at the month's end"),
    Column("declared_income", Kind.NUMBER, "declared yearly income", "not declared"),
    Column("is_staff", Kind.FLAG, "employee of the bank"),
    Column("is_restricted", Kind.FLAG, "frozen, deceased or blocked"),
    Column("is_student", Kind.FLAG, "student", "not known"),
    Column("has_marketing_optout", Kind.FLAG, "switched personal recommendation off"),
    Column("id_doc_type", Kind.CODE, "identity document", "not known"),
    Column("acquisition_source", Kind.CODE, "where the customer came from", "not known"),
)
PROFILE: tuple[Column, ...] = (*PERSON, *(column for module in FAMILIES.values() for column in module.COLUMNS))
_BEFORE, _PROFILE = "profile_before", "month_profile"
_DAYS = tuple(f"days_{k}" for k in range(tiles.WINDOW_MONTHS))

# Ibis takes seconds to compile a month; its statements depend on policy and tables there are, not on the bank
_COMPILED: dict[tuple[object, ...], str] = {}


def order(families: dict[str, ModuleType]) -> list[str]:
    """Family names so that each stands after those it uses; raises BadBank on a cycle.

    >>> order(FAMILIES)[-1], order(FAMILIES).index("wealth") < order(FAMILIES).index("tiers")
    ('tags', True)
    """
    done: list[str] = []
    waiting = sorted(families)
    while waiting:
        ready = [name for name in waiting if set(families[name].uses) <= set(done)]
        if not ready:
            raise BadBank("families use each other in a circle", value=waiting)
        done += ready
        waiting = [name for name in waiting if name not in ready]
    return done


@dataclass(frozen=True, slots=True)
class Task:
    """A month to build: its closing, what the tiles before have seen, the profile before, and the dated policy.

    `history_on` is the first day of the bank's data; `tiles` the folder of the lineage's tiles.
    """

    closing: Closing
    seen: Seen
    before: Path | None
    book: PolicyBook[SegmentsPolicy]
    history_on: date
    tiles: Path

    @property
    def policy(self) -> SegmentsPolicy:
        return self.book.view(self.closing.as_of)

    @property
    def has_past(self) -> bool:
        return self.before is not None


def write_month(bank: Bank, task: Task, path: Path) -> None:
    """Write the tiles and the window of a closing, and then its profile to `path`: one row a customer, by their ids."""
    before = None if task.before is None else _window_before(bank, task)
    window = windows.path_of(task.tiles, task.closing.as_of)
    _roll(bank, task, task.closing, task.seen, tiles.path_of(task.tiles, task.closing), before, window)
    bank.point(windows.WINDOW, window)
    if task.before is None:
        nobody = windows.nobody(bank, {column.name: ibis_type(column) for column in PROFILE})
        bank.view(_BEFORE, nobody)
    else:
        bank.point(_BEFORE, task.before)
    has = frozenset(bank.tables) if task.history_on <= task.closing.as_of else frozenset({"customer"})
    policy = task.policy
    bank.write_sql(_compiled(bank, lambda: profile(bank, policy, has), "profile", policy.digest, has), path)


def profile(bank: Bank, policy: SegmentsPolicy, has: frozenset[str]) -> str:
    """SQL of the profile of the month laid out."""
    chain = Chain(bank)
    before = bank.con.table(_BEFORE)
    people = chain.step("month_people", _people(bank, before, policy))
    waiting = order(FAMILIES)
    while waiting:
        name = waiting.pop(0)
        answer = FAMILIES[name].family(Month(people, has), before, policy)
        gone = _read_for_good(waiting) | {column.name for column in FAMILIES[name].COLUMNS}
        kept = [column for column in people.columns if column not in gone]
        people = chain.step(f"month_{name}", answer.select(*kept, *[column.name for column in FAMILIES[name].COLUMNS]))
    rows = people.select(CUSTOMER_ID, *[column.name for column in PROFILE], "as_of", AS_OF_AT, AVAILABLE_AT)
    return chain.statement(rows.order_by(CUSTOMER_ID))


def _read_for_good(waiting: list[str]) -> set[str]:
    """Columns that none of the waiting families reads: windows are for families that use no other."""
    slots = set() if any(not FAMILIES[name].uses for name in waiting) else windows.columns()
    carried = {f"{HELD}{column}" for name in waiting for column in FAMILIES[name].carries}
    return slots | ({f"{HELD}{column}" for module in FAMILIES.values() for column in module.carries} - carried)


def _roll(bank: Bank, task: Task, closing: Closing, seen: Seen, tile: Path, before: Path | None, window: Path) -> None:
    """Write what a closing brings to `tile`, and the window `before` rolled on by it to `window`."""
    history = task.history_on.year * 12 + task.history_on.month - 1
    months = pa.scalar(max(1, closing.number - history + 1))
    more = {"history_on": pa.scalar(task.history_on), "history_months": months, "has_past": pa.scalar(task.has_past)}
    policy = task.book.view(closing.as_of)  # a month counts events as its own day's policy does
    quarter_on = closing.months()[2].first_on
    days = idleness.since(closing.as_of, policy) | paydays.since(closing.as_of, quarter_on, policy)
    more |= {name: pa.scalar(day) for name, day in days.items()}
    tiles.lay_out(bank, closing, seen, more)
    bank.write_sql(_compiled(bank, lambda: tiles.statement(bank, policy), "tile", policy.digest), tile)
    windows.point(bank, tile, before)
    bank.write_sql(_compiled(bank, lambda: windows.statement(bank), "window"), window)


def _window_before(bank: Bank, task: Task) -> Path:
    """The window of the month before; where there is none, rolled up from the bank as known to `task.seen`.

    There is none where the month before was carried over from another lineage.
    """
    seen, folder = task.seen, task.tiles
    path = windows.path_of(folder, seen.as_of)
    if path.exists():
        return path
    rolled = None
    for month in reversed(Closing(seen.as_of, seen.available_at, seen.available_at).months()):
        closing = Closing(month.last_on, seen.available_at, seen.available_at)
        if closing.as_of >= task.history_on:
            known = Seen(month.first_on - timedelta(days=1), seen.available_at)
            window = windows.path_of(folder, closing.as_of)
            _roll(bank, task, closing, known, folder / windows.SCRATCH, rolled, window)
            rolled = window
    return path


def _compiled(bank: Bank, compile_: Callable[[], str], *key: object) -> str:
    """A statement of that key for the engine and the tables of this bank, compiled once."""
    whole_key = (bank.engine.name, frozenset(bank.tables), *key)
    if whole_key not in _COMPILED:
        _COMPILED[whole_key] = compile_()
    return _COMPILED[whole_key]


def _people(bank: Bank, before: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """One wide row a customer known at the closing: all that the families read."""
    closing = bank.con.table(CLOSING)
    morning = closing.select(on="morning_on", known_until="known_until")
    year = closing.select("known_until", first_on="window_on", next_on="morning_on")
    carried = {f"{HELD}{name}": before[name] for module in FAMILIES.values() for name in module.carries}
    people = beside(
        _customers(bank, closing),
        bank.con.table(windows.WINDOW),
        *contracts(bank.tables, morning),
        *idleness.answers(bank.tables, closing, policy),
        *paydays.answers(bank.tables, closing, policy),
        *signs.answers(bank.tables, closing, policy.lifecycle),
        *earnings.answers(bank.tables, year, policy.value),
        before.select(CUSTOMER_ID, **carried),
    )
    types = signs.SIGNS | {earnings.INCOME: "float64", paydays.PAID: "int64", paydays.KEPT: "int64"}
    absent = {name: ibis.null(dtype) for name, dtype in types.items() if name not in people.columns}
    # a window's own columns end before the stage is told
    return people.mutate(funded_on=people.first_funded_on, **absent, **with_contracts(bank.tables, people))


def _customers(bank: Bank, closing: ir.Table) -> ir.Table:
    """Customers as known at the closing, with what follows from their dates, and the month's own figures."""
    figures = closing.select(
        "as_of", "known_until", "history_on", "history_months", "has_past", *_DAYS,
        **{AS_OF_AT: closing.as_of_at, AVAILABLE_AT: closing.known_until},
    )  # fmt: skip
    p = bank.tables["customer"].cross_join(figures)
    p = p.filter(p.registered_on <= p.as_of, p.known_at <= p.known_until)
    years = p.as_of.year() - p.birth_on.year()
    birthday = p.birth_on.month() * 100 + p.birth_on.day()
    return p.mutate(
        age=years - (birthday > p.as_of.month() * 100 + p.as_of.day()).cast("int64"),
        tenure_days=p.as_of.delta(p.registered_on, unit="day"),
        declared_income=p.declared_income_amount.cast("float64"),
    )
