"""Figures of the matrix's cells for callers of the API: counted once a release and book, masked for each caller.

The first question of a release counts over its whole history, seconds for a million customers; the answer is kept as
long as the release is the one that answers. Who has a book is told of the people in it alone. A home whose profiles are
kept elsewhere has no figures, and says so.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.errors import MissingBuild
from features.lineages import Build, builds
from features.vocabulary import Sensitivity, Stage
from insight.cells import Cells, Point, nobody, people
from insight.history import open_history
from serving.insights import insight_policy, matrix
from serving.releases import Release
from serving.security import Actor
from serving.settings import Clock

_MONEY = ("aum", "value")
_KEPT = 64  # books at once; the one asked longest ago goes


@dataclass(frozen=True, slots=True)
class Figures:
    """The cells of a release, and below how many people sums of money are for those cleared for C2 alone."""

    months: tuple[Build, ...]
    cells: Cells
    least_people: int

    def of(self, customer_class: str, stage: str, actor: Actor) -> dict[str, Any]:
        """Size, money, answers and trend of one cell as far as `actor` may see; what he may not is null and named."""
        days = [build.as_of for build in self.months]
        cell = self.cells.get((customer_class, stage)) or nobody(days, customer_class, stage)
        cleared = actor.may_see(Sensitivity.C2)
        points = [self._point(point, cleared=cleared) for point in cell.trend]
        is_masked = any(point.n_customers and not self._is_open(point, cleared) for point in cell.trend)
        return {**points[-1], "response": cell.answered.to_json(), "trend": points,
                "masked": list(_MONEY) if is_masked else []}  # fmt: skip

    def _point(self, point: Point, *, cleared: bool) -> dict[str, Any]:
        told = point.to_json()
        return told if self._is_open(point, cleared) else told | dict.fromkeys(_MONEY)

    def _is_open(self, point: Point, cleared: bool) -> bool:
        """The sum over a handful of people is nearly one person's own."""
        return cleared or point.n_customers >= self.least_people


class FigureBook:
    """Figures by release; of several who ask at once one counts, beside the event loop, and the others wait."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._home = home
        self._clock = clock
        self._counting = asyncio.Lock()
        self._kept: OrderedDict[tuple[str, frozenset[str] | None], Figures | None] = OrderedDict()

    async def figures(self, release: Release, actor: Actor) -> Figures | None:
        """The figures of `release` for the book of `actor`; None where this home does not hold its profiles."""
        key = (release.id, actor.book)
        async with self._counting:
            if key not in self._kept:
                self._kept[key] = await asyncio.to_thread(self._count, release, actor.book)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]

    async def people(
        self, release: Release, customer_class: str, stage: Stage, actor: Actor, *, after: str, limit: int
    ) -> list[str]:
        """Ids of the people in a cell at the month of `release`, in order; of an actor with a book his own alone.

        Raises MissingBuild where this home does not hold its profile.
        """
        months = self._months(release)
        if not months:
            raise MissingBuild("the profile of the release is not in this home", value=release.as_of.isoformat(),
                               todo="ask the server that builds the months")  # fmt: skip
        return await asyncio.to_thread(_people, months[-1:], customer_class, stage, actor, after, limit)

    def _months(self, release: Release) -> tuple[Build, ...]:
        """The months of the release's lineage whose files are there; none unless its own is."""
        own = tuple(b for b in builds(self._home) if b.lineage == release.lineage and b.as_of <= release.as_of)
        return own if own and own[-1].as_of == release.as_of else ()

    def _count(self, release: Release, book: frozenset[str] | None) -> Figures | None:
        months = self._months(release)
        if not months:
            return None
        policy = insight_policy(self._home, release.as_of)
        counted = matrix(self._home, months, self._clock.now(), book)
        return Figures(months, counted, policy.evidence.least_people)


def _people(
    months: tuple[Build, ...], customer_class: str, stage: Stage, actor: Actor, after: str, limit: int
) -> list[str]:
    with open_history(months) as history:
        return people(history.month(-1), customer_class, stage, after=after, limit=limit, book=actor.book)
