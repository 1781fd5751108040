"""How far the newest month has moved from the one before, and from the one that each champion saw last: PSI (R48)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from features import profiles
from features.own import own_views, with_own
from features.profiles import Build
from serving.drift_history import SCORE
from training import registry
from training.encoding import LEARNABLE, Feature, arrays_of
from training.ground import PROFILE_FACTS
from training.judging.drift import Band, Psi, psi
from training.models import churn, next_step, value

_OF_MONTHS = (churn.NAME, next_step.NAME, value.NAME)  # models that score a month's profiles
_ASKED = {value.AHEAD.name: float(max(value.MONTHS_AHEAD))}  # what is asked of a model, and no feature of anybody


def drift_of(home: Path, month: date) -> dict[str, Any]:
    """PSI of every fact of the profile against the month before, and of each champion's features and score against the
    last month it could see; rows and noise beside each, and a sentence. A first month has nothing to be told by."""
    builds = {build.as_of: build for build in profiles.builds(home)}
    now, before = builds[month], builds.get(month.replace(day=1) - timedelta(days=1))
    if before is None:
        return {"says": "a first month has nothing to be compared with", "month_before": {}, "champions": {}}
    features = [Feature(column.name, column.kind) for column in PROFILE_FACTS]
    features += [Feature(column.name, column.kind) for view in own_views(home) for column in view.columns
                 if column.kind in LEARNABLE]  # fmt: skip
    last = _compared(home, now, before, features)
    champions = {model: found for model in _OF_MONTHS if (found := _against(home, model, builds, now))}
    moved = [name for found in (last, *champions.values()) for name, one in found.items()
             if one["band"] in (Band.WATCH, Band.ACT)]  # fmt: skip
    moved = list(dict.fromkeys(moved))
    says = f"{len(moved)} of {len(last)} facts to watch or act upon" + (f": {', '.join(moved[:8])}" if moved else "")
    return {"says": says, "month_before": last, "champions": champions}


def _against(home: Path, model: str, builds: Mapping[date, Build], now: Build) -> dict[str, Any]:
    """Features and score of the champion of `model` in this month, against the last month that it could see."""
    standing = registry.with_alias(home, model, registry.CHAMPION)
    if standing is None:
        return {}
    seen = datetime.fromisoformat(standing.facts["horizon"]).date()
    then = max((day for day in builds if day <= seen), default=None)
    if then is None or then == now.as_of:
        return {}
    fitted = standing.read()
    features = [feature for feature in fitted.recipe.features if feature.name not in _ASKED]
    scores = [fitted.predict(_frame(home, build).assign(**_ASKED)) for build in (builds[then], now)]
    return {SCORE: _told(psi(*scores)), **_compared(home, now, builds[then], features)}


def _compared(home: Path, now: Build, before: Build, features: list[Feature]) -> dict[str, Any]:
    left, right = (arrays_of(_frame(home, build), features) for build in (before, now))
    return {feature.name: _told(psi(left[feature.name], right[feature.name])) for feature in features}


def _frame(home: Path, build: Build) -> Any:
    return with_own(home, build, pq.read_table(build.path).to_pandas(), own_views(home))


def _told(one: Psi) -> dict[str, Any]:
    return {"psi": round(one.value, 4), "noise": round(one.noise, 4), "band": one.band, "n_before": one.n_expected,
            "n_now": one.n_actual}  # fmt: skip
