"""How far the newest month has moved from the one before, and from the one a champion was trained on: PSI (R48)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from features import profiles
from features.profiles import Build
from training import registry
from training.encoding import Feature, arrays_of
from training.ground import PROFILE_FACTS
from training.judging.drift import Band, Psi, psi
from training.models import churn


def drift_of(home: Path, month: date) -> dict[str, Any]:
    """PSI of every fact of the profile against the month before, and of the churn champion's features and scores
    against the last month it could see; rows beside each, and a sentence. A first month has nothing to be told by."""
    builds = {build.as_of: build for build in profiles.builds(home)}
    now, before = builds[month], builds.get(month.replace(day=1) - timedelta(days=1))
    if before is None:
        return {"says": "a first month has nothing to be compared with", "month_before": {}, "champion": {}}
    features = [Feature(column.name, column.kind) for column in PROFILE_FACTS]
    last = _compared(now, before, features)
    trained = _against_champion(home, builds, now)
    moved = [name for name, one in {**last, **trained}.items() if one["band"] in (Band.WATCH, Band.ACT)]
    says = f"{len(moved)} of {len(last)} facts to watch or act upon" + (f": {', '.join(moved[:8])}" if moved else "")
    return {"says": says, "month_before": last, "champion": trained}


def _against_champion(home: Path, builds: Mapping[date, Build], now: Build) -> dict[str, Any]:
    standing = registry.with_alias(home, churn.NAME, registry.CHAMPION)
    if standing is None:
        return {}
    seen = datetime.fromisoformat(standing.facts["horizon"]).date()
    then = max((day for day in builds if day <= seen), default=None)
    if then is None or then == now.as_of:
        return {}
    model = standing.read()
    found = _compared(now, builds[then], list(model.recipe.features))
    scores = [model.predict(_frame(build)) for build in (builds[then], now)]
    return {"p_churn": _told(psi(*scores)), **found}


def _compared(now: Build, before: Build, features: list[Feature]) -> dict[str, Any]:
    left, right = (arrays_of(_frame(build), features) for build in (before, now))
    return {feature.name: _told(psi(left[feature.name], right[feature.name])) for feature in features}


def _frame(build: Build) -> Any:
    return pq.read_table(build.path).to_pandas()


def _told(one: Psi) -> dict[str, Any]:
    return {"psi": round(one.value, 4), "band": one.band, "n_before": one.n_expected, "n_now": one.n_actual}
