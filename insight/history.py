"""The months of one lineage side by side: profile files read lazily, of each only the columns that a question asks for.

A *customer* (客户) stands in any stage but PROSPECT and LOST; the others are known to the bank, but not with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from features.bank.engines import connect
from features.errors import MissingBuild, TiercelError
from features.lineages import Build, lineages
from features.vocabulary import CUSTOMER_ID, Stage

Label = Literal["tier", "stage"]
AWAY = (Stage.PROSPECT, Stage.LOST)
UNKNOWN = "UNKNOWN"  # the label of a customer who has none: a bank without balances has no tiers
SINCE: Mapping[Label, str] = {"tier": "tier_since_on", "stage": "stage_entered_on"}


class BrokenHistory(TiercelError):
    """Figures of two months that do not add up: a profile file is not as it was built."""

    slug = "broken-history"


@dataclass(frozen=True)
class History:
    """The months of a lineage, oldest first, as lazy tables of one connection; with a `book`, of its people alone."""

    con: Any
    months: tuple[Build, ...]
    book: frozenset[str] | None = None
    _read: dict[Path, ir.Table] = field(default_factory=dict)

    def month(self, place: int) -> ir.Table:
        """The profile of the month at `place`, one row a customer; -1 is the newest."""
        path = self.months[place].path
        if path not in self._read:
            self._read[path] = within(self.con.read_parquet(path), self.book)
        return self._read[path]

    def whole(self, *columns: str) -> ir.Table:
        """All months in one table: customer_id, `columns` and the month's place from 0."""
        parts = [self.month(place).select(CUSTOMER_ID, *columns).mutate(place=place) for place in range(len(self))]
        return parts[0].union(*parts[1:]) if len(parts) > 1 else parts[0]

    def counts(self, label: Label) -> list[dict[str, int]]:
        """People by label, a dictionary a month."""
        rows = self.whole(label)
        named = rows.group_by("place", name=rows[label].fill_null(UNKNOWN)).agg(n=rows.count())
        found: list[dict[str, int]] = [{} for _ in self.months]
        for row in named.to_pyarrow().to_pylist():
            found[row["place"]][row["name"]] = row["n"]
        return found

    def since(self, place: int) -> History:
        """The history from the month at `place` on."""
        return History(self.con, self.months[place:], self.book, self._read)

    def __len__(self) -> int:
        return len(self.months)


def line(home: Path, as_of: date | None = None) -> tuple[Build, ...]:
    """The months of a home's newest lineage up to `as_of`, oldest first; raises MissingBuild."""
    known = lineages(home)
    months = tuple(build for build in known[-1].months if as_of is None or build.as_of <= as_of) if known else ()
    if not months:
        raise MissingBuild("no month has been built", value=str(home), todo="run `tiercel build`",
                           zh="还没有构建任何月份，请运行 tiercel build")  # fmt: skip
    return months


@contextmanager
def open_history(months: Sequence[Build], book: frozenset[str] | None = None) -> Iterator[History]:
    """The history of `months` on a connection of its own; with a `book`, of its people alone."""
    con = connect()
    try:
        yield History(con, tuple(months), book)
    finally:
        con.disconnect()


def within(rows: ir.Table, book: Collection[str] | None) -> ir.Table:
    """The rows of those in `book`; None: of everybody."""
    if book is None:
        return rows
    return rows.filter(rows[CUSTOMER_ID].isin(sorted(book)) if book else ibis.literal(False))


def is_customer(stage: Any) -> Any:
    """Whether somebody in `stage` is a customer, as an expression over the column."""
    return stage.notin([str(away) for away in AWAY])


def ordered(names: Sequence[str], found: set[str]) -> tuple[str, ...]:
    """`found` in the order of `names`, then what `names` does not know, by the alphabet.

    >>> ordered(["V0", "V1", "V2"], {"V2", "V0", "OLD"})
    ('V0', 'V2', 'OLD')
    """
    return (*(name for name in names if name in found), *sorted(found - set(names)))
