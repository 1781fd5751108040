"""Tiles -> windows: what the last twelve months hold of each customer, one row a customer, rolled on month by month.

A window has slots: `n_txn_0` is this month, `n_txn_1` the one before. To close a month every slot moves back by one,
the month's own tile takes slot 0, and late tile rows are added to the slot of their month. So a month costs one join of
a million customers and not a grouping of twelve million rows. Everything in it is integers, masks and lists without
order: a window rolled on equals one rolled up from its first month, row by row.

Grain of a file: a customer with a tile in the lineage. Only the file of the newest month is read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from features.bank.engines import Bank
from features.bank.masks import bit_or
from features.bank.tiles import CLOSING, COLUMNS, MASKS, SUMS, VIEWED, WINDOW_MONTHS, outer

BEFORE, TILES, WINDOW = "window_before", "closing_tiles", "month_window"
SCRATCH = "rolling.parquet"
SLOTS = {
    "aum_day_minor": WINDOW_MONTHS, "aum_end_minor": 2, "invest_end_minor": 1, "deposit_end_minor": 1, "asset_mask": 1,
    "n_txn": 6, "txn_minor": 3, "n_out": 4, "n_logins": 4, "out_minor": 1, "largest_out_minor": 1,
    "largest_in_minor": 3, "n_salary": 3, "salary_minor": 3, "txn_day_mask": 3, "txn_channel_mask": 3,
    "app_day_mask": 6, "event_day_mask": 3, "event_channel_mask": 3, "services_used": 3,
    "n_contacts": WINDOW_MONTHS, "n_conversions": WINDOW_MONTHS, "has_tile": WINDOW_MONTHS,
    **{f"n_{kind}_views": 3 for kind in VIEWED}, "begun_day_mask": 3, "done_day_mask": 3,
    "n_app_crashes": 3, "n_app_failures": 3, "app_latency_ms": 3, "n_app_latencies": 3, "app_latency_worst_ms": 3,
    "n_complaints": 3, "worst_complaint": 3, "n_failed_steps": 3, "n_given_up_steps": 3, "longest_step_s": 3,
    "rated_day": 3, "earned": WINDOW_MONTHS,
}  # fmt: skip
_LAST = (  # kept for good: they do not move back
    "last_txn_on", "last_login_on", "transfer_viewed_on", "product_viewed_on", "last_app_device",
)  # fmt: skip
_FIRST = ("first_funded_on",)  # and so is the least of these
_KEY = "customer_id"


def path_of(folder: Path, as_of: date) -> Path:
    """The file of the window that ends with a month, in the folder of its lineage's tiles."""
    return folder / f"window-{as_of:%Y-%m}.parquet"


def slots(name: str, months: range | None = None) -> list[str]:
    """Columns of a window that hold `name`, this month first.

    >>> slots("largest_in_minor"), slots("n_txn", range(3, 5))
    (['largest_in_minor_0', 'largest_in_minor_1', 'largest_in_minor_2'], ['n_txn_3', 'n_txn_4'])
    """
    return [f"{name}_{k}" for k in (range(SLOTS[name]) if months is None else months)]


def columns() -> set[str]:
    """Every column of a window but its key."""
    return set(_names())


def point(bank: Bank, tile: Path, before: Path | None) -> None:
    """Let the statement read the tiles that a closing brought, and the window of the month before if there is one."""
    bank.point(TILES, tile)
    if before is None:
        bank.view(BEFORE, nobody(bank, _names()))
    else:
        bank.point(BEFORE, before)


def drop_others(folder: Path, as_of: date) -> None:
    """Drop the windows of other months, and what rolling left, once the profile that was made of this one stands."""
    for path in [*folder.glob("window-*.parquet"), folder / SCRATCH]:
        if path != path_of(folder, as_of):
            path.unlink(missing_ok=True)


def statement(bank: Bank) -> str:
    """SQL of the window of the month before, rolled on by the tiles of this closing."""
    t = bank.con.table(TILES).cross_join(bank.con.table(CLOSING).select("number"))
    t = t.mutate(back=t.number - t.month_no, has_tile=ibis.literal(1, "int64")).drop("number", "month_no")
    own = t.filter(t.back == 0).drop("back")
    late = t.filter(t.back > 0, t.back < WINDOW_MONTHS)
    late = late.group_by(_KEY).agg(
        **{f"late_{name}_{k}": _added(late, name, k) for name, n in SLOTS.items() for k in range(1, n)},
        **{f"late_{name}": late[name].max() for name in _LAST},
        **{f"late_{name}": late[name].min() for name in _FIRST},
    )
    old = bank.con.table(BEFORE).rename({f"old_{name}": name for name in _names()})
    people = outer(outer(old, own, _KEY), late, _KEY)
    chosen = {}
    for name, n in SLOTS.items():
        chosen[f"{name}_0"] = people[name]
        for k in range(1, n):
            chosen[f"{name}_{k}"] = _both(name, people[f"old_{name}_{k - 1}"], people[f"late_{name}_{k}"])
    last = {name: ibis.greatest(people[f"old_{name}"], people[name], people[f"late_{name}"]) for name in _LAST}
    first = {name: ibis.least(people[f"old_{name}"], people[name], people[f"late_{name}"]) for name in _FIRST}
    return bank.engine.statement(people.select(_KEY, **chosen, **last, **first))


def nobody(bank: Bank, columns: Mapping[str, Any]) -> ir.Table:
    """No rows, of a customer and `columns` of these types."""
    people = bank.tables["customer"].limit(0)
    return people.select(_KEY, **{name: ibis.null(dtype) for name, dtype in columns.items()})


def _names() -> dict[str, str]:
    """Columns of a window and their types, but for the key."""
    types = COLUMNS | {"has_tile": "int64"}
    return {slot: types[name] for name in SLOTS for slot in slots(name)} | {
        name: types[name] for name in (*_LAST, *_FIRST)
    }


def _added(late: ir.Table, name: str, back: int) -> Any:
    where = late.back == back
    if name in SUMS:
        return late[name].sum(where=where).cast("int64")  # DuckDB sums in 128 bits, and would go on adding in them
    if name in MASKS:
        return bit_or(late[name], where=where)
    if name == "services_used":
        return late[name].arbitrary(where=where)  # of one closing a customer has one late row a month
    return late[name].max(where=where)


def _both(name: str, old: Any, late: Any) -> Any:
    if name in SUMS:
        both = old + late
    elif name in MASKS:
        both = old | late
    elif name == "services_used":
        both = old.concat(late)
    else:
        both = ibis.greatest(old, late)
    return ibis.coalesce(both, old, late)
