"""Builds and the lineages they stand in: what has been built, what a new build continues, how a restating begins.

A build is one immutable month. A lineage is a line of months that each continue the one before, under one segments
policy and one knowledge of late rows; it has its own folders `profiles/<lineage>/` and `tiles/<lineage>/`. Another
policy begins another lineage, and so does a restating, which carries the months before it over and leaves what it
supersedes in `superseded/`, where the feature store finds it: an example of the past sees what could be known then.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path

import pyarrow.parquet as pq

from features.bank.tiles import Closing
from features.bank.whole_files import whole
from features.errors import BadRequest, MissingBuild
from features.policy import PolicyBook, SegmentsPolicy

_CHUNK = 1 << 20
_HIDDEN = ".restating"


@dataclass(frozen=True, slots=True)
class Build:
    """One immutable month of profiles and where it stands.

    `number` counts the lineages of a home from 0, so that of two the newer is known; `history_on` is the first day of
    the bank's data as the lineage's first build knew it; `restated_from` the month end from which the lineage restates;
    `delivery` the delivery of the bank that was read, empty for one that no import brought.
    """

    as_of: date
    lineage: str
    path: Path
    n_customers: int
    digest: str
    segments_digest: str
    available_at: datetime
    number: int = 0
    history_on: date | None = None
    restated_from: date | None = None
    delivery: str = ""

    @property
    def manifest(self) -> Path:
        return self.path.with_suffix(".json")

    @property
    def is_carried(self) -> bool:
        """Whether the month is the restated lineage's own only by name: built before, and carried over."""
        return self.restated_from is not None and self.as_of < self.restated_from


@dataclass(frozen=True, slots=True)
class Lineage:
    """A lineage and its months so far, oldest first; the folder may be one that nobody sees yet."""

    home: Path
    name: str
    number: int
    folder: Path
    months: tuple[Build, ...] = ()
    restated_from: date | None = None

    @property
    def tiles(self) -> Path:
        return self.home / "tiles" / self.name

    def path_of(self, as_of: date) -> Path:
        return self.folder / f"{as_of}.parquet"

    def with_month(self, closing: Closing, segments_digest: str, history_on: date, delivery: str) -> Lineage:
        """The lineage with the month whose file has just been written; its manifest makes the month stand."""
        path = self.path_of(closing.as_of)
        build = Build(
            closing.as_of, self.name, path, pq.read_metadata(path).num_rows, sha256_of(path), segments_digest,
            closing.available_at, self.number, history_on, self.restated_from, delivery,
        )  # fmt: skip
        _write_manifest(build)
        return replace(self, months=(*self.months, build))


def builds(home: Path) -> Iterator[Build]:
    """Every build of a home, oldest month first, and of one month that of the newest lineage last."""
    found = [_read_manifest(path) for path in (home / "profiles").glob("*/*.json")]
    yield from sorted(found, key=lambda build: (build.as_of, build.number, build.lineage))


def latest(home: Path, instant: datetime | None = None) -> Build:
    """The newest build, as known at `instant` if given; raises MissingBuild."""
    found = [b for b in builds(home) if instant is None or b.available_at <= instant]
    if not found:
        raise MissingBuild("no month has been built", value=str(home), todo="run `tiercel build`")
    return found[-1]


def lineages(home: Path) -> list[Lineage]:
    """Every lineage of a home, in the order in which they were begun."""
    months: dict[str, list[Build]] = {}
    for build in builds(home):
        months.setdefault(build.lineage, []).append(build)
    found = [
        Lineage(home, name, own[0].number, home / "profiles" / name, tuple(own), own[-1].restated_from)
        for name, own in months.items()
    ]
    return sorted(found, key=lambda lineage: (lineage.number, lineage.name))


def continued(home: Path, book: PolicyBook[SegmentsPolicy]) -> Lineage | None:
    """The newest lineage whose months all stand under this policy."""
    return next((known for known in reversed(lineages(home)) if _agrees(known, book)), None)


def begun(home: Path, digest: str) -> Lineage:
    """A new lineage without months, named by its number and the policy it begins under."""
    number = _next_number(home)
    return _new(home, number, f"{number}{digest}")


def restating(home: Path, book: PolicyBook[SegmentsPolicy], first: Closing, delivery: str) -> Lineage:
    """The lineage that restates from the month `first`, known at `first.available_at`, what `delivery` brought.

    It is begun where it was not, so that a bank that was mended is read again though its clock stands.

    One that has just begun holds the months before `first` in a folder that nobody sees; `shown` moves it to its
    place. Raises MissingBuild where no lineage stands under this policy, BadRequest where it does not hold the month.
    """
    known = [lineage for lineage in lineages(home) if _agrees(lineage, book)]
    for lineage in known:
        own = next((build for build in lineage.months if build.as_of == lineage.restated_from == first.as_of), None)
        if own is not None and (own.available_at, own.delivery) == (first.available_at, delivery):
            return lineage
    if not known:
        raise MissingBuild("no lineage stands under this policy", todo="run `tiercel build` first")
    old = known[-1]
    if first.as_of not in {build.as_of for build in old.months}:
        raise BadRequest(
            "the month to restate from has not been built", value=f"{first.as_of:%Y-%m}",
            allowed=f"{old.months[0].as_of:%Y-%m} to {old.months[-1].as_of:%Y-%m}", todo="name one of these months",
        )  # fmt: skip
    number = _next_number(home)
    seed = f"{number}{old.name}{first.as_of}{first.available_at.timestamp()}{delivery}"
    return _carried(replace(_new(home, number, seed), restated_from=first.as_of), old, first.as_of)


def shown(lineage: Lineage) -> Lineage:
    """The lineage in its place, moved there in one step if it was begun where nobody sees it."""
    place = lineage.home / "profiles" / lineage.name
    if lineage.folder != place:
        _sync(lineage.folder)
        lineage.folder.replace(place)
        _sync(place.parent)
    months = tuple(replace(build, path=place / build.path.name) for build in lineage.months)
    return replace(lineage, folder=place, months=months)


def drop_unseen(home: Path) -> None:
    """Delete what a killed build left of a lineage none of whose own months stands; only for who builds alone."""
    seen = {lineage.name for lineage in lineages(home)}
    for folder in (home / "tiles").glob("*/"):
        if folder.name not in seen:
            shutil.rmtree(folder)
    shutil.rmtree(home / _HIDDEN, ignore_errors=True)


@contextmanager
def one_at_a_time(home: Path) -> Iterator[None]:
    """One builder of a home at a time, over processes; a second one waits. A killed one holds nothing."""
    with (home / ".building").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _carried(lineage: Lineage, old: Lineage, first: date) -> Lineage:
    """`lineage` in a hidden folder, with the older months of `old` as its own and the others as superseded."""
    folder = lineage.home / _HIDDEN / lineage.name
    (folder / "superseded").mkdir(parents=True)
    months = []
    for build in old.months:
        if build.as_of < first:
            kept = replace(build, lineage=lineage.name, number=lineage.number, path=folder / build.path.name,
                           restated_from=lineage.restated_from)  # fmt: skip
            _share(build.path, kept.path)
            _write_manifest(kept)
            months.append(kept)
        else:
            _share(build.path, folder / "superseded" / f"{build.as_of}.{old.number}.parquet")
    for path in sorted((old.folder / "superseded").glob("*.parquet")):
        _share(path, folder / "superseded" / path.name)
    return replace(lineage, folder=folder, months=tuple(months))


def _share(old: Path, new: Path) -> None:
    """The same immutable bytes under a second name: a link, or a copy where the disk has none."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)


def _agrees(lineage: Lineage, book: PolicyBook[SegmentsPolicy]) -> bool:
    return all(build.segments_digest == book.view(build.as_of).digest for build in lineage.months)


def _next_number(home: Path) -> int:
    return max((lineage.number for lineage in lineages(home)), default=-1) + 1


def _new(home: Path, number: int, seed: str) -> Lineage:
    name = f"l{hashlib.sha256(seed.encode()).hexdigest()[:12]}"
    return Lineage(home, name, number, home / "profiles" / name)


def _write_manifest(build: Build) -> None:
    said = asdict(build) | {"path": build.path.name}
    with whole(build.manifest) as half:
        half.write_text(json.dumps(said, default=str, indent=1))


def _read_manifest(manifest: Path) -> Build:
    said = json.loads(manifest.read_text())
    history_on, restated_from = (
        date.fromisoformat(said[name]) if said.get(name) else None for name in ("history_on", "restated_from")
    )
    return Build(
        date.fromisoformat(said["as_of"]), said["lineage"], manifest.with_suffix(".parquet"), said["n_customers"],
        said["digest"], said["segments_digest"], datetime.fromisoformat(said["available_at"]), said.get("number", 0),
        history_on, restated_from, said.get("delivery", ""),
    )  # fmt: skip


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
