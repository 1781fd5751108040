"""Figures of the matrix's cells for API and console: counted once a release, month and book, masked for each caller.

The first question of a release counts over its whole history, seconds for a million customers; the answer is kept. Who
has a book is told of the people in it alone. A home whose profiles are kept elsewhere has no figures, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from features.errors import MissingBuild
from features.lineages import Build, builds
from features.vocabulary import Sensitivity
from insight.cells import Cells, Point, nobody, people, tiers
from insight.flows import Flow
from insight.history import Label, open_history
from insight.people import Choice, Listing, Order, listing
from serving.matrix.insights import insight_policy, matrix, migration
from serving.releases import Release
from serving.security import Actor
from serving.settings import Clock

_MONEY = ("aum", "value")
_KEPT = 64  # answers at once; the one asked longest ago goes


@dataclass(frozen=True, slots=True)
class Figures:
    """The cells at the last of `months`, and below how many people sums of money are for those cleared for C2 alone."""

    months: tuple[Build, ...]
    cells: Cells
    least_people: int

    def classes(self) -> set[str]:
        """The classes in which anybody stands, or stood in one of the months."""
        return {customer_class for customer_class, _ in self.cells}

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
    """Figures by release and month; of several who ask at once one counts, beside the event loop, the others wait."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._home = home
        self._clock = clock
        self._counting = asyncio.Lock()
        self._kept: dict[tuple[Any, ...], Any] = {}  # asked longest ago first

    def months(self, release: Release, as_of: date | None = None) -> tuple[Build, ...]:
        """The months of the release's lineage up to its own, or to `as_of`; none where its own is not in this home."""
        own = tuple(b for b in builds(self._home) if b.lineage == release.lineage and b.as_of <= release.as_of)
        is_here = bool(own) and own[-1].as_of == release.as_of
        return tuple(build for build in own if as_of is None or build.as_of <= as_of) if is_here else ()

    async def figures(self, release: Release, actor: Actor, as_of: date | None = None) -> Figures | None:
        """The figures of `release` for the book of `actor`, at its own month or at `as_of`.

        None where this home does not hold its profiles.
        """
        key = ("cells", release.id, actor.book, as_of or release.as_of)
        found: Figures | None = await self._once(key, lambda: self._count(self.months(release, as_of), actor.book))
        return found

    async def migration(self, release: Release, actor: Actor, as_of: date) -> Mapping[Label, Flow]:
        """Who of the book of `actor` went where in the month before `as_of`; empty for the first month."""
        key = ("migration", release.id, actor.book, as_of)
        found: Mapping[Label, Flow] = await self._once(
            key, lambda: migration(self._home, self._held(release, as_of), actor.book)
        )
        return found

    async def people(
        self, release: Release, cell: tuple[str, str], actor: Actor, columns: Sequence[str] = (), *,
        as_of: date | None = None, after: str, limit: int,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """The people in a cell at the month of `release` or at `as_of`, by id; of an actor with a book his own alone.

        Raises MissingBuild where this home does not hold its profile.
        """

        def read() -> list[dict[str, Any]]:
            with open_history(self._held(release, as_of)[-1:], actor.book) as history:
                return people(history.month(-1), cell, columns, after=after, limit=limit)

        return await asyncio.to_thread(read)

    async def listing(
        self, release: Release, actor: Actor, as_of: date | None, choose: Choice, columns: Sequence[str],
        tiers: Sequence[str], *, order: Order | None, start: int, limit: int,
    ) -> Listing:  # fmt: skip
        """A page of those whom `choose` names by the last two months to `as_of`; of an actor with a book his own alone.

        Raises MissingBuild where this home does not hold the profile.
        """

        def read() -> Listing:
            with open_history(self._held(release, as_of)[-2:], actor.book) as history:
                return listing(choose(history), columns, tiers, order=order, start=start, limit=limit)

        return await asyncio.to_thread(read)

    async def tiers(self, release: Release, cell: tuple[str, str], actor: Actor, as_of: date) -> dict[str, int]:
        """People of a cell by tier at `as_of`; raises MissingBuild where this home does not hold the profile."""

        def read() -> dict[str, int]:
            with open_history(self._held(release, as_of)[-1:], actor.book) as history:
                return tiers(history.month(-1), cell)

        return await asyncio.to_thread(read)

    async def _once(self, key: tuple[Any, ...], count: Callable[[], Any]) -> Any:
        async with self._counting:
            found = self._kept.pop(key, None)
            if found is None:
                found = await asyncio.to_thread(count)
            if found is not None:  # profiles that are not here yet may still come
                self._kept[key] = found
            while len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
            return found

    def _held(self, release: Release, as_of: date | None) -> tuple[Build, ...]:
        if months := self.months(release, as_of):
            return months
        raise MissingBuild("the profile of the release is not in this home", value=release.as_of.isoformat(),
                           todo="ask the server that builds the months", zh="当前发布所用的画像不在本机")  # fmt: skip

    def _count(self, months: tuple[Build, ...], book: frozenset[str] | None) -> Figures | None:
        if not months:
            return None
        policy = insight_policy(self._home, months[-1].as_of)
        return Figures(months, matrix(self._home, months, self._clock.now(), book), policy.evidence.least_people)
