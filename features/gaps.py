"""Months that were built before a column came in (旧月份缺列): which columns, since when they stand, and what to do.

A build is never rewritten, so a lineage that was begun by an older version holds months without a column of this one.
Who compares months goes on with the others and tells; who needs the column refuses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import pyarrow.parquet as pq

from features.errors import MissingBuild
from features.lineages import Build


@dataclass(frozen=True, slots=True)
class Gap:
    """Columns that a month lacks, each with the first month that holds it (None: none does), and the first that lacks
    one."""

    since: Mapping[str, date | None]
    first_on: date

    @property
    def todo(self) -> str:
        return f"`tiercel build --restate {self.first_on:%Y-%m}` builds them anew"

    def sentence(self) -> str:
        """Which columns are missing since when, and what to do."""
        told = ", ".join(f"{name} ({_month(day, 'there since', 'in no month')})" for name, day in self.since.items())
        return f"months from {self.first_on:%Y-%m} on were built before a column came in: {told}; {self.todo}"

    def sentence_zh(self) -> str:
        """The same in Chinese."""
        told = "、".join(f"{name}（{_month(day, '始于', '各月都没有')}）" for name, day in self.since.items())
        month = f"{self.first_on:%Y-%m}"
        return f"{month} 起的画像建于新列加入之前：{told}；请运行 `tiercel build --restate {month}`"


def gap_of(months: Iterable[Build], names: Collection[str]) -> Gap | None:
    """What of `names` a profile of `months` lacks; None where every month holds all."""
    held = {build.as_of: set(pq.read_schema(build.path).names) for build in months}
    lost = sorted(name for name in names if any(name not in columns for columns in held.values()))
    if not lost:
        return None
    since = {name: min((day for day, columns in held.items() if name in columns), default=None) for name in lost}
    return Gap(since, min(day for day, columns in held.items() if not columns.issuperset(lost)))


def refuse_gap(months: Iterable[Build], names: Collection[str]) -> None:
    """Raise MissingBuild, in one sentence, where a profile of `months` lacks one of `names`."""
    if found := gap_of(months, names):
        raise MissingBuild(found.sentence(), zh=found.sentence_zh())


def _month(day: date | None, since: str, never: str) -> str:
    return never if day is None else f"{since} {day:%Y-%m}"
