"""Several customer numbers, one person (一人多户): a crosswalk followed to its end.

A number that is merged into one that is merged itself stands for the last of them. A number that would be two persons
is the first in the files, the further row is set aside; numbers that lead to each other in a circle stay apart, and so
does what leads into the circle: who the person is, only the bank can say.
"""

from __future__ import annotations

from typing import Any

from features.bank.reading import Fault
from features.bank.values import quoted

_TWO_PERSONS = "customer number stands for another person already"
_NOBODY = "customer number leads to no person, but in a circle"
_MOST_STEPS = 50  # from a number to its person; a circle has no end


def lay_persons(con: Any, pairs: str) -> list[Fault]:
    """The table `_person` (`id`, `person`) of numbers that stand for another; the pairs that cannot be followed.

    `pairs` is a statement of `id`, `person`, `_row` and `_place`.
    """
    con.raw_sql(
        f"CREATE OR REPLACE TEMP TABLE _merged AS SELECT *, row_number() OVER (PARTITION BY id ORDER BY _row) = 1 AS "
        f"is_first, first_value(person) OVER (PARTITION BY id ORDER BY _row) = person AS is_said "
        f"FROM ({pairs}) WHERE id <> person"
    )
    con.raw_sql(
        f"CREATE OR REPLACE TEMP TABLE _person AS WITH RECURSIVE steps AS ("
        f"SELECT id, person, 1 AS n FROM _merged WHERE is_first UNION ALL "
        f"SELECT steps.id, m.person, n + 1 FROM steps JOIN _merged m ON steps.person = m.id "
        f"WHERE m.is_first AND n < {_MOST_STEPS}) "
        f"SELECT id, person FROM steps WHERE person NOT IN (SELECT id FROM _merged)"
    )
    return [*_faults(con, "NOT is_said", _TWO_PERSONS),
            *_faults(con, "is_first AND id NOT IN (SELECT id FROM _person)", _NOBODY)]  # fmt: skip


def merge(con: Any, name: str) -> int:
    """Rows of the relation `name` of one person made one: that of the person's own number, else of the smallest.

    How many gave way. `_own_id` is the number that stood in the file.
    """
    n_before = _count(con, quoted(name))
    rank = "dense_rank() OVER (PARTITION BY customer_id ORDER BY (_own_id = customer_id) DESC, _own_id)"
    con.raw_sql(
        f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS SELECT * FROM {quoted(name)} "
        f"QUALIFY customer_id IS NULL OR {rank} = 1"
    )
    return n_before - _count(con, quoted(name))


def _faults(con: Any, condition: str, rule: str) -> list[Fault]:
    found = con.raw_sql(f"SELECT _place, id, person FROM _merged WHERE {condition} ORDER BY _row").fetchall()
    return [Fault(place, rule, f"{number} → {person}") for place, number, person in found]


def _count(con: Any, relation: str) -> int:
    return int(con.raw_sql(f"SELECT count(*) FROM {relation}").fetchall()[0][0])
