"""One customer's packed rows, or many, joined with what follows on the day and what happened up to the moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.online_rows import OnlineReader, OnlineRow, OnlineRows, microseconds
from features.policy import Tag
from features.recent import Happenings, recent
from features.segments.tags import alive, living
from features.standing import STANDING, standing, standing_alone

Facts = dict[str, NDArray[Any]]
MONTH_VIEW = "profile_month"
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Customers:
    """n customers of a release as they stand on a day, in the order asked; those it does not know stand aside.

    `facts` holds the columns of all views and what follows from their dates, shape (n,); `stale`, bool (n,), says that
    some view of the customer has outlived its lifetime, so that its columns are missing.
    """

    ids: tuple[str, ...]
    unknown: tuple[str, ...]
    facts: Facts
    stale: NDArray[np.bool_]


class CustomerReader:
    """Reads the packed rows of one release; may be shared by threads."""

    def __init__(self, path: Path, tags: Mapping[str, Tag]) -> None:
        """`tags` as the policy defines them. Raises MissingStore or SchemaMismatch where the rows cannot be read."""
        self._rows = OnlineReader(path, is_frozen=True, later=[column.name for column in STANDING])
        self._tags = tags

    @property
    def views(self) -> dict[str, float]:
        """Lifetime in days of each view."""
        return {name: view.lifetime_us / 86_400e6 for name, view in self._rows.views.items()}

    def read(self, customer_ids: Sequence[str], *, at: datetime, day: date) -> Customers:
        """The customers as they stand at `at`, on the business day `day`."""
        rows = self._rows.rows(customer_ids, at=at)
        known, stale = (_any_of(marks.values()) for marks in (rows.is_known, rows.is_stale))
        facts = self._with_living_tags(rows, at)
        if np.count_nonzero(known) == len(known):
            ids, unknown = tuple(customer_ids), tuple[str, ...]()
        else:
            ids, unknown = _parted(customer_ids, known)
            facts = {name: values[known] for name, values in facts.items()}
        return Customers(ids, unknown, facts | standing(facts, day), stale[known])

    def read_each(self, customer_ids: Sequence[str], *, at: datetime, day: date) -> list[OnlineRow | None]:
        """Each of a few customers as `read` gives him, as plain values; None for one whom the release does not know."""
        at_us, rows = microseconds(at), self._rows.each(customer_ids, at=at)
        return [self._stood(row, at_us, day) if row.is_known else None for row in rows]

    def _stood(self, row: OnlineRow, at_us: int, day: date) -> OnlineRow:
        """A customer with what follows from his dates and without tags that have expired."""
        row.facts.update(standing_alone(row.facts, day))
        if isinstance(tags := row.facts.get("tags"), str) and MONTH_VIEW in row.events_us:
            row.facts["tags"] = alive(tags, (at_us - row.events_us[MONTH_VIEW]) / _DAY_US, self._tags)
        return row

    def _with_living_tags(self, rows: OnlineRows, at: datetime) -> Facts:
        """The columns of all views; a tag whose days are over since its month's end is not among them."""
        if MONTH_VIEW not in rows.event_at:
            return rows.arrays
        age = (np.datetime64(microseconds(at), "us") - rows.event_at[MONTH_VIEW]) / np.timedelta64(1, "D")
        return rows.arrays | {"tags": living(rows.arrays["tags"], age, self._tags)}

    def raw(self, customer_id: str, *, at: datetime) -> OnlineRows:
        """One customer's rows with the instants of each view, as stored."""
        return self._rows.rows([customer_id], at=at)

    def customer_ids(self) -> list[str]:
        """Every customer of the release, in the order of their ids."""
        return self._rows.customer_ids()

    def close(self) -> None:
        self._rows.close()


def recent_facts(n: int, now: datetime, happened: Happenings) -> Facts:
    """The RECENT columns of n customers at `now`, shape (n,); `happened` counts customers 0 … n − 1."""
    instant = np.datetime64(now.replace(tzinfo=None), "us")
    return dict(recent(np.arange(n, dtype=np.int64), np.full(n, instant), happened))


def _any_of(marks: Iterable[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    first, *others = marks
    for other in others:
        first = first | other
    return first


def _parted(customer_ids: Sequence[str], known: NDArray[np.bool_]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    marked = list(zip(customer_ids, known.tolist(), strict=True))
    return tuple(c for c, is_known in marked if is_known), tuple(c for c, is_known in marked if not is_known)
