"""One row a day -> one row a change: daily balance snapshots as the intervals that our contract asks for.

The days of all files together are the calendar. With `ends` an account that is absent from the next day of the calendar
has ended there; with `holds` it stands as it was until it is heard of again (a ledger that writes only what moved).
Rows that cannot be read, or stand twice for a day, take no part and go on as they are, to be judged. Accounts do not
touch each other, so that many rows are folded a share of the accounts at a time, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.bank.contract import Table
from features.bank.values import literal, quoted

_TIME = ("from_on", "to_on", "known_at")
_MANY, _FEW = 20, 0.5  # accounts of a day before, and the share of them below which a day is no day
_THIN = "a day on which less than half of the accounts of a day before are heard of"
_ROWS_A_SHARE = 4_000_000  # 90 million daily rows then fold within 4 GiB


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Daily rows of one source: a statement of them typed, how many, columns of text beside, what absence means."""

    table: Table
    typed: str
    n_rows: int
    said: Sequence[str]
    absent: str

    def fold(self, con: Any, name: str, folder: Path, rows_a_share: int = _ROWS_A_SHARE) -> int:
        """The table `name` of their intervals, made a share of the accounts at a time; how many daily rows there were.

        The shares lie in `folder` until then.
        """
        share = f"hash(account_id) % {max(1, -(-self.n_rows // rows_a_share))}"
        rows = f"SELECT *, {share} AS _share FROM ({self.typed})"
        con.raw_sql(f"COPY ({rows}) TO {literal(str(folder))} (FORMAT parquet, PARTITION_BY _share)")
        shares = [_parquet(sorted(part.glob("*.parquet"))) for part in sorted(folder.glob("_share=*"))]
        every = _parquet(sorted(folder.glob("*/*.parquet"))) if shares else f"({self.typed})"
        parts = shares or [every]
        heard, days = quoted(f"{name}_heard"), quoted(f"{name}_days")
        _gathered(con, heard, [heard_of(self.table, part, self.said) for part in parts])
        con.raw_sql(f"CREATE OR REPLACE TEMP TABLE {days} AS {calendar_of(heard, self.absent)}")
        _gathered(con, quoted(name), [intervals_of(self.table, part, days, self.absent, self.said) for part in parts])
        return int(con.raw_sql(f"SELECT count(*) FROM {every}").fetchone()[0])


def heard_of(table: Table, relation: str, said: Sequence[str]) -> str:
    """A statement of how many balances of each day of `relation` can be used, one that stands twice counted once."""
    once = f"SELECT DISTINCT {_names(table.key)} FROM {relation} WHERE NOT ({_is_bad(table, said)})"
    return f"SELECT from_on, count(*) AS n FROM ({once}) GROUP BY from_on"


def calendar_of(heard: str, absent: str) -> str:
    """A statement of the days that can be used, out of the counts in `heard`: `from_on`, and `_no` counting them.

    Where absence ends an account, a day on which not half of the accounts of a day before are heard of is no day: a
    file that is cut off, or one wrong date, would end everybody.
    """
    is_day = "true"
    if absent == "ends":
        is_day = f"most < {_MANY} OR n >= {_FEW} * most"
    return (
        f"SELECT from_on, row_number() OVER (ORDER BY from_on) AS _no FROM (SELECT *, max(n) OVER (ORDER BY from_on) "
        f"AS most FROM (SELECT from_on, sum(n) AS n FROM {heard} GROUP BY from_on)) WHERE {is_day}"
    )


def intervals_of(table: Table, relation: str, days: str, absent: str, said: Sequence[str]) -> str:
    """A statement of the intervals made of `relation` on the calendar `days`, and of its unusable rows with `_fault`.

    Columns: those of the table, `said`, `_row`, `_fault`, and `_n`, of how many daily rows it is made. A row is a
    change where the day before says otherwise or nothing; it holds until the next, or until the day after the last on
    which its like was heard of.
    """
    key = [name for name in table.key if name != "from_on"]
    values = [c.name for c in table.columns if c.name not in (*key, *_TIME)]
    same = " AND ".join(f"{quoted(v)} IS NOT DISTINCT FROM lag({quoted(v)}) OVER w" for v in values) or "true"
    heard = "lag(_no) OVER w = _no - 1" if absent == "ends" else "lag(_no) OVER w IS NOT NULL"
    following = "n.from_on" if absent == "ends" else "c._next"
    by_key = f"PARTITION BY {_names(key)} ORDER BY from_on"
    kept = ", ".join(f"c.{quoted(name)}" for name in (*key, *values))
    return f"""
WITH judged AS (SELECT *, ({_is_bad(table, said)}) AS is_bad FROM {relation}),
twice AS (SELECT {_names(table.key)} FROM judged WHERE NOT is_bad GROUP BY ALL HAVING count(*) > 1),
numbered AS (
  SELECT _row, row_number() OVER (PARTITION BY {_names(table.key)} ORDER BY _row) AS nth
  FROM judged SEMI JOIN twice USING ({_names(table.key)}) WHERE NOT is_bad),
surplus AS (SELECT _row FROM numbered WHERE nth > 1),
good AS (SELECT j.*, _no FROM judged j JOIN {days} USING (from_on) ANTI JOIN surplus USING (_row) WHERE NOT is_bad),
marked AS (
  SELECT *, row_number() OVER w AS _nth, count(*) OVER (PARTITION BY {_names(key)}) AS _most,
    lag(_no) OVER w AS _before, CASE WHEN {heard} AND {same} THEN 0 ELSE 1 END AS is_change,
    last_value(_no) OVER ({by_key} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS _last
  FROM good WINDOW w AS ({by_key})),
changes AS (
  SELECT *, coalesce(lead(_before) OVER w, _last) AS last_no, lead(from_on) OVER w AS _next,
    coalesce(lead(_nth) OVER w, _most + 1) - _nth AS _n
  FROM marked WHERE is_change = 1 WINDOW w AS ({by_key}))
SELECT {kept}, c.from_on, {following} AS to_on, c.known_at, c._row, c._n, NULL::VARCHAR AS _fault
FROM changes c LEFT JOIN {days} n ON n._no = c.last_no + 1
UNION ALL BY NAME
SELECT j.* EXCLUDE (is_bad), 1 AS _n, CASE WHEN is_bad THEN NULL WHEN d._no IS NULL THEN {literal(_THIN)}
  ELSE {literal("key stands twice")} END AS _fault
FROM judged j LEFT JOIN {days} d USING (from_on) WHERE is_bad OR d._no IS NULL OR _row IN (SELECT _row FROM surplus)"""


def _gathered(con: Any, name: str, statements: Sequence[str]) -> None:
    """The rows of all statements as the table `name`, one after the other."""
    for number, sql in enumerate(statements):
        con.raw_sql(f"{f'INSERT INTO {name}' if number else f'CREATE OR REPLACE TEMP TABLE {name} AS'} {sql}")


def _is_bad(table: Table, said: Sequence[str]) -> str:
    """Whether a row lacks what it must have, or holds text that could not be read."""
    needed = [f"{quoted(c.name)} IS NULL" for c in table.columns if not c.is_nullable]
    unread = [f"({quoted(name)} IS NOT NULL AND {quoted(name.removeprefix('_said_'))} IS NULL)" for name in said]
    return " OR ".join([*needed, *unread])


def _parquet(files: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(literal(str(file)) for file in files)}], hive_partitioning = false)"


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names))
