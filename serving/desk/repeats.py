"""When a business day begins, and which epoch an earlier release had: what later decisions of a day share."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from features.errors import NotFound
from serving.releases import release_of


@lru_cache(maxsize=32)
def start_of(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a business day begins."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


@lru_cache(maxsize=32)
def epoch_of(home: Path, release_id: str) -> str | None:
    """The epoch of an earlier release; None where its folder is gone."""
    try:
        return release_of(home, release_id).epoch
    except NotFound:
        return None
