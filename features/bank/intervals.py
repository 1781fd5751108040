"""One row a day -> one row a change: daily balance snapshots as the intervals that our contract asks for.

The days of all files together are the calendar. With `ends` an account that is absent from the next day of the calendar
has ended there; with `holds` it stands as it was until it is heard of again (a ledger that writes only what moved).
Rows that cannot be read, or stand twice for a day, take no part and go on as they are, to be judged.
"""

from __future__ import annotations

from collections.abc import Sequence

from features.bank.contract import Table
from features.bank.values import literal, quoted

_TIME = ("from_on", "to_on", "known_at")


def intervals_of(table: Table, relation: str, absent: str, said: Sequence[str]) -> str:
    """A statement of the intervals made of `relation`, and of its rows that cannot be used, marked `_fault`.

    Columns: those of the table, `said`, `_row`, `_place`, `_own_id`, `_fault`.
    """
    key = [name for name in table.key if name != "from_on"]
    values = [c.name for c in table.columns if c.name not in (*key, *_TIME)]
    needed = [c.name for c in table.columns if not c.is_nullable]
    unread = [f"({quoted(name)} IS NOT NULL AND {quoted(name.removeprefix('_said_'))} IS NULL)" for name in said]
    is_bad = " OR ".join([*(f"{quoted(name)} IS NULL" for name in needed), *unread])
    by_key = f"PARTITION BY {_names(key)} ORDER BY from_on"
    same = " AND ".join(f"{quoted(v)} IS NOT DISTINCT FROM lag({quoted(v)}) OVER w" for v in values) or "true"
    heard = "lag(_no) OVER w = _no - 1" if absent == "ends" else "lag(_no) OVER w IS NOT NULL"
    following = (
        "n.from_on" if absent == "ends" else f"lead(f.from_on) OVER (PARTITION BY {_names(key)} ORDER BY f.from_on)"
    )
    kept = ", ".join(f"f.{quoted(name)}" for name in (*key, *values))
    first = ", ".join(f"first({quoted(name)} ORDER BY from_on) AS {quoted(name)}" for name in (*values, "known_at"))
    return f"""
WITH judged AS (
  SELECT *, ({is_bad}) AS is_bad,
    row_number() OVER (PARTITION BY {_names(key)}, from_on, ({is_bad}) ORDER BY _row) AS nth
  FROM {quoted(relation)}),
days AS (
  SELECT from_on, row_number() OVER (ORDER BY from_on) AS _no
  FROM (SELECT DISTINCT from_on FROM judged WHERE NOT is_bad)),
good AS (SELECT j.*, _no FROM judged j JOIN days USING (from_on) WHERE NOT is_bad AND nth = 1),
marked AS (SELECT *, CASE WHEN {heard} AND {same} THEN 0 ELSE 1 END AS is_change FROM good WINDOW w AS ({by_key})),
runs AS (SELECT *, sum(is_change) OVER ({by_key}) AS run FROM marked),
folded AS (
  SELECT {_names(key)}, {first}, min(from_on) AS from_on, max(_no) AS last_no, min(_row) AS _row,
    first(_place ORDER BY from_on) AS _place, first(_own_id ORDER BY from_on) AS _own_id
  FROM runs GROUP BY {_names(key)}, run)
SELECT {kept}, f.from_on, {following} AS to_on, f.known_at, f._row, f._place, f._own_id, NULL::VARCHAR AS _fault
FROM folded f LEFT JOIN days n ON n._no = f.last_no + 1
UNION ALL BY NAME
SELECT * EXCLUDE (is_bad, nth), CASE WHEN is_bad THEN NULL ELSE {literal("key stands twice")} END AS _fault
FROM judged WHERE is_bad OR nth > 1"""


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names))
