"""What a training stands on: the newest build, the policies and clock of a home, the last instant it sees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from features.gaps import refuse_gap
from features.nearness import SO_FAR
from features.policy import SegmentsPolicy, segments
from features.profiles import PROFILE, Build, builds, latest
from features.recent import RECENT
from features.segments.grades import POINTS
from features.standing import STANDING
from features.today import TODAY
from training.encoding import LEARNABLE
from training.policy import ModelsPolicy, models

# a bank keeps these without their history, so that a past month would know of today's
_UNDATED = frozenset({"is_staff", "is_restricted", "has_marketing_optout"})
_RIGHTS = frozenset({"has_profiling_optout"})  # used, they are no trait to score by
# what a tier is measured by and the points of a grade repeat other columns, and thresholds are the tier once more
_SAID_TWICE = frozenset(
    {"rated_mda", "net_mda", "family_mda", "tier_floor", "next_floor", "near_floor", "fall_floor", "is_next_highest"}
    | {*POINTS.values(), *SO_FAR}
) - {"aum_now"}
_PROFILE = tuple(column for column in PROFILE if column.name not in _UNDATED | _SAID_TWICE)
_TODAY = tuple(column for column in TODAY if column.name not in _RIGHTS | _SAID_TWICE)
FACTS = tuple(column for column in (*_PROFILE, *_TODAY, *STANDING, *RECENT) if column.kind in LEARNABLE)
PROFILE_FACTS = tuple(column for column in _PROFILE if column.kind in LEARNABLE)


@dataclass(frozen=True)
class Ground:
    """A home as one training sees it; `about` is what home.json states."""

    home: Path
    build: Build
    policy: SegmentsPolicy
    models: ModelsPolicy
    horizon: datetime
    about: Mapping[str, Any]

    def when(self, name: str) -> datetime | None:
        """An instant that home.json states under `name`, such as where a data set's test begins."""
        return datetime.fromisoformat(str(self.about[name])) if name in self.about else None

    @property
    def last_on(self) -> date:
        """The last day the training sees, in the bank's zone."""
        return self.horizon.astimezone(ZoneInfo(self.policy.bank.zone)).date()


def ground_of(home: Path, as_of: date | None = None, horizon: datetime | None = None) -> Ground:
    """The ground of `home` at the end of `as_of`, at `horizon`, or at the home's own clock; raises MissingBuild,
    too where a month of the lineage was built before a column of the profile came in."""
    home = home.resolve()
    path = home / "home.json"
    about = json.loads(path.read_text("utf-8")) if path.exists() else {}
    build = latest(home)
    refuse_gap((one for one in builds(home) if one.lineage == build.lineage), [column.name for column in PROFILE])
    policy = segments(*_own(home, "segments")).view(as_of or build.as_of)
    seen = horizon or _horizon(about, as_of, build, policy)
    return Ground(home, build, policy, models_policy(home, seen.date()), seen, about)


def models_policy(home: Path, on: date) -> ModelsPolicy:
    """The models' policy of `home` in force on `on`."""
    return models(*_own(home, "models")).view(on)


def code_version() -> str:
    """The project's version and twelve digits of the SHA-256 over the sources that make features and models."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(path for room in ("features", "training") for path in (root / room).rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    try:
        number = version("tiercel")
    except PackageNotFoundError:
        number = "0"
    return f"{number}+{digest.hexdigest()[:12]}"


def _own(home: Path, book: str) -> list[Path]:
    folder = home / "policy" / book
    return [folder] if folder.is_dir() else []


def _horizon(about: Mapping[str, Any], as_of: date | None, build: Build, policy: SegmentsPolicy) -> datetime:
    """The end of `as_of` in the bank's zone; without it what the home states, or else the end of the last build."""
    stated = about.get("trains_as_of", about.get("instant"))
    if as_of is None and stated is not None:
        return datetime.fromisoformat(str(stated)).astimezone(UTC)
    day = (as_of or build.as_of) + timedelta(days=1)
    return datetime.combine(day, time(), ZoneInfo(policy.bank.zone)).astimezone(UTC)
