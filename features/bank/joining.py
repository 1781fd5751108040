"""What becomes of the rows of a bank that stands when files come in: they give way, or are joined by the new.

Joined, a row whose key comes again replaces the one that stood: the newest delivery is what the bank's systems say
now. Rows that do not come again stay. Balances speak for days, not keys: what stood ends where the new files begin.

    files are daily snapshots, absent = ended   every account, from the first day of the files on
    other balances                              each account that is in the files, from its first day there on

Files that list all that is open close what they do not list, on the day up to which they speak. A row that is new but
of a day that the bank held already comes late: where the files do not say when it was known, it was not before they
came, so that the months that were built stay right and the next one counts it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import ibis.expr.types as ir

from features.bank import deliveries
from features.bank.contract import Table
from features.bank.tables import TABLES
from features.bank.values import literal, quoted
from features.errors import BadBank

MOST_CLOSED = 0.5  # of what is open; files that lack more are cut off rather than a month in which so much closed
DAYS = {"balance": "from_on", "txn": "business_on", "channel_event": "business_on"}


class Joining(Protocol):
    """Rows of one table that the bank holds after an import, and what is told of it."""

    notes: list[str]

    def together(self, con: Any, table: Table, good: ir.Table) -> ir.Table: ...


@dataclass
class Instead:
    """The files are the bank; what stands in `home` gives way, but never more days than they bring."""

    home: Path
    notes: list[str] = field(default_factory=list)

    def together(self, con: Any, table: Table, good: ir.Table) -> ir.Table:
        """`good`; raises BadBank where business of days that the files do not reach would be lost."""
        files = _standing(self.home, table)
        if table.name in DAYS and files:
            day = DAYS[table.name]
            first, last = _span(con, con.compile(good), day)
            stood = _span(con, f"SELECT * FROM {_parquet(files)}", day)
            if not first or stood[0] < first or last < stood[1]:
                raise BadBank(
                    f"table {table.name}: the home holds business from {stood[0]} to {stood[1]}, which these files "
                    "would take away", value=f"the files hold {first} to {last}" if first else "the files hold no row",
                    todo="add them with --add, or name a new home with --out",
                )  # fmt: skip
        return good


@dataclass
class Further:
    """Joins the bank of `home`; `whole_days` are tables whose files speak for every account of a day.

    What the files of a table in `all_open` do not list was closed on the day `until`. Rows of a table in `derived` do
    not say when they were known; all in the files were by `came`, an instant in SQL.
    """

    home: Path
    whole_days: Collection[str] = ()
    all_open: Collection[str] = ()
    until: date | None = None
    derived: Collection[str] = ()
    came: str | None = None
    notes: list[str] = field(default_factory=list)

    def together(self, con: Any, table: Table, good: ir.Table) -> ir.Table:
        """`good` rows and those that stand; raises BadBank for balances that end before those that stand."""
        files = _standing(self.home, table)
        if not files:
            return good
        names = ", ".join(quoted(column.name) for column in table.columns)
        new, old, whole = (quoted(f"{part}_{table.name}") for part in ("new", "old", "whole"))
        con.raw_sql(f"CREATE OR REPLACE TEMP TABLE {new} AS {con.compile(good)}")
        con.raw_sql(f"CREATE OR REPLACE TEMP VIEW {old} AS SELECT {names} FROM {_parquet(files)}")
        sql = f"SELECT * FROM {old}"
        if _count(con, new):
            sql = self._balances(con, table, new, old) if table.name == "balance" else self._keyed(con, table, new, old)
        con.raw_sql(f"CREATE OR REPLACE TEMP TABLE {whole} AS SELECT {names} FROM ({sql})")
        return con.table(f"whole_{table.name}").order_by(list(table.key))

    def _keyed(self, con: Any, table: Table, new: str, old: str) -> str:
        on = _same(table.key, "n", "o")
        self._place_late(con, table, new, old)
        values = [c.name for c in table.columns if c.name not in table.key]
        n_new, n_again = _count(con, new), _count(con, f"{new} n JOIN {old} o ON {on}")
        n_changed = _count(con, f"{new} n JOIN {old} o ON {on} AND NOT ({_same(values, 'n', 'o')})")
        self.notes.append(f"{table.name}: {n_new - n_again:,} rows are new, {n_changed:,} replace what stood, "
                          f"{n_again - n_changed:,} stood already")  # fmt: skip
        stays = f"SELECT o.* FROM {old} o ANTI JOIN {new} n ON {on}"
        if table.name in self.all_open:
            stays = self._closed(con, table, stays)
        return f"SELECT * FROM {new} UNION ALL BY NAME {stays}"

    def _place_late(self, con: Any, table: Table, new: str, old: str) -> None:
        """Rows of `new` that the bank lacked of days that it held: known since the files came, and ever after."""
        if self.came is None or table.happened != "business_on" or table.name not in self.derived:
            return
        key = _same(table.key, "n", "o")
        con.raw_sql(f"UPDATE {new} n SET known_at = greatest(n.known_at, o.known_at) FROM {old} o WHERE {key}")
        late = (f"business_on <= DATE '{self._held_until(con)}' AND known_at < {self.came} "
                f"AND NOT EXISTS (FROM {old} o WHERE {key})")  # fmt: skip
        if n_late := _count(con, f"{new} n WHERE {late}"):
            con.raw_sql(f"UPDATE {new} n SET known_at = {self.came} WHERE {late}")
            self.notes.append(f"{table.name}: {n_late:,} rows come late, of days that the bank held already; the next "
                              "month counts them, `tiercel build --restate` puts them in their own")  # fmt: skip

    def _held_until(self, con: Any) -> str:
        """The last day of business in the bank that stands."""
        stood = [(files, day) for name, day in DAYS.items() if (files := _standing(self.home, TABLES[name]))]
        return max((_span(con, f"SELECT * FROM {_parquet(files)}", day)[1] for files, day in stood), default="") or (
            "0001-01-01"
        )

    def _closed(self, con: Any, table: Table, stays: str) -> str:
        """The rows that `stays` gives, those that were open closed by now; raises BadBank where too many would be."""
        absent, n_open = f"({stays}) WHERE closed_on IS NULL", f"old_{table.name} WHERE closed_on IS NULL"
        n_closed, n_stood = _count(con, absent), _count(con, n_open)
        if self.until is None:
            raise BadBank(f"table {table.name}: what is absent has closed, but nothing says by which day",
                          todo="say it with --as-of, or in the mapping as last_on")  # fmt: skip
        if n_closed > MOST_CLOSED * n_stood:
            raise BadBank(
                f"table {table.name}: of {n_stood:,} rows that are open, {n_closed:,} are not in these files",
                allowed=f"up to {MOST_CLOSED:.0%}", todo="bring the whole list, or leave out `absent`",
            )  # fmt: skip
        self.notes.append(f"{table.name}: {n_closed:,} that stood open are not listed: closed on {self.until}")
        return f"SELECT * REPLACE (coalesce(closed_on, DATE '{self.until}') AS closed_on) FROM ({stays})"

    def _balances(self, con: Any, table: Table, new: str, old: str) -> str:
        """A statement of all balances: what stood up to the cut, then the new; equal ones at the cut made one."""
        first, last = _span(con, new, "from_on")
        _, stood_until = _span(con, old, "from_on")
        if last < stood_until:
            raise BadBank("the balances of this delivery end before those that stand", value=last,
                          allowed=f"a delivery that reaches {stood_until} or beyond",
                          todo="bring months in one after the other, or all their files into a new home")  # fmt: skip
        n_gone = _count(con, f"{old} WHERE from_on >= DATE '{first}'")
        _, before = _span(con, f"(SELECT * FROM {old} WHERE from_on < DATE '{first}')", "from_on")
        self.notes.append(f"balance: the new files speak from {first} on; the last change that stood before was on "
                          f"{before or 'no day'}, and {n_gone:,} intervals that began later gave way")  # fmt: skip
        key = [name for name in table.key if name != "from_on"]
        values = [c.name for c in table.columns if c.name not in (*table.key, "to_on", "known_at")]
        by_key = ", ".join(map(quoted, key))
        cuts = f"JOIN (SELECT min(from_on) AS cut FROM {new}) c ON true"
        if table.name not in self.whole_days:
            each = f"SELECT {by_key}, min(from_on) AS cut FROM {new} GROUP BY ALL"
            cuts = f"LEFT JOIN ({each}) c ON {_same(key, 'c', 'o')}"
        return f"""
WITH kept AS (
  SELECT o.* REPLACE (least(o.to_on, c.cut) AS to_on) FROM {old} o {cuts} WHERE c.cut IS NULL OR o.from_on < c.cut),
seams AS (
  SELECT n.* FROM {new} n JOIN kept o ON {_same(key, "n", "o")} AND n.from_on = o.to_on AND {_same(values, "n", "o")})
SELECT o.* REPLACE (CASE WHEN s.from_on IS NULL THEN o.to_on ELSE s.to_on END AS to_on)
FROM kept o LEFT JOIN seams s ON {_same(key, "s", "o")} AND s.from_on = o.to_on
UNION ALL BY NAME
SELECT n.* FROM {new} n ANTI JOIN seams s ON {_same(table.key, "n", "s")}"""


def _standing(home: Path, table: Table) -> list[Path]:
    """Files of the table in the bank that stands at this moment: a delivery before may have come while this one waited.

    They lie there until this delivery is shown.
    """
    return sorted((deliveries.standing(home) / "bank" / table.name).glob("*.parquet"))


def _parquet(files: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(literal(str(file)) for file in files)}])"


def _count(con: Any, relation: str) -> int:
    return int(con.raw_sql(f"SELECT count(*) FROM {relation}").fetchall()[0][0])


def _span(con: Any, relation: str, day: str) -> tuple[str, str]:
    """First and last day as yyyy-mm-dd, which sort as the days do; empty for no rows."""
    of = relation if relation.startswith(('"', "(")) else f"({relation})"
    found = con.raw_sql(f"SELECT min({day})::DATE::VARCHAR, max({day})::DATE::VARCHAR FROM {of}").fetchall()
    first, last = found[0]
    return (str(first), str(last)) if first is not None else ("", "")


def _same(names: Sequence[str], left: str, right: str) -> str:
    pairs = [f"{left}.{quoted(name)} IS NOT DISTINCT FROM {right}.{quoted(name)}" for name in names]
    return " AND ".join(pairs) or "true"
