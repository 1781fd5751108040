"""How far the newest month has moved from the one before, and from the one that each champion saw last: PSI (R48)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from features import profiles
from features.bank.engines import Bank, open_bank
from features.gaps import gap_of
from features.own import own_views, with_own
from features.profiles import Build
from serving import jobs
from serving.models.drift_history import SCORE
from training import registry
from training.encoding import LEARNABLE, Feature, arrays_of
from training.fitted import FittedModel
from training.ground import PROFILE_FACTS
from training.judging.drift import Band, Psi, psi
from training.models import churn, next_step, response, uplift, value
from training.offer_rows import facts_of_month, with_offers

_OF_MONTHS = (churn.NAME, next_step.NAME, value.NAME)  # models that score a month's profiles
_OF_OFFERS = (response.NAME, uplift.NAME)  # models that score customers with offers
CALENDAR = frozenset({"month_days_left", "mtd_days"})  # one value for everybody on a day: the date moved, nobody else
_ASKED = {value.AHEAD.name: float(max(value.MONTHS_AHEAD))}  # what is asked of a model, and no feature of anybody


def drift_of(home: Path, month: date) -> dict[str, Any]:
    """PSI of every fact of the profile against the month before, and of each champion's features and score against the
    last month it could see; rows and noise beside each, and a sentence. A first month has nothing to be told by.

    A champion of offers is asked of one offer a customer (`training.offer_rows`), the same in both months. A column
    that a month was built without is left out of the comparison, the score of a champion that asks for it too, and the
    sentence tells since when it stands (`features.gaps`).
    """
    builds = {build.as_of: build for build in profiles.builds(home)}
    now, before = builds[month], builds.get(month.replace(day=1) - timedelta(days=1))
    if before is None:
        return {"says": "a first month has nothing to be compared with", "says_zh": "第一个月没有可比的月份",
                "month_before": {}, "champions": {}}  # fmt: skip
    features = [Feature(column.name, column.kind) for column in PROFILE_FACTS]
    features += [Feature(column.name, column.kind) for view in own_views(home) for column in view.columns
                 if column.kind in LEARNABLE]  # fmt: skip
    gap = gap_of(builds.values(), [column.name for column in PROFILE_FACTS])
    last = _compared([_frame(home, build) for build in (before, now)], features)
    with open_bank(home) as bank:
        asked = _Asked(bank, now, is_whole=gap is None)
        champions = {model: found for model in (*_OF_MONTHS, *_OF_OFFERS) if (found := _against(asked, model, builds))}
    moved = [name if name != SCORE else f"score of {model}" for model, found in [("", last), *champions.items()]
             for name, one in found.items() if one["band"] in (Band.WATCH, Band.ACT)]  # fmt: skip
    moved = list(dict.fromkeys(moved))
    says = f"{len(moved)} of {len(last)} facts to watch or act upon" + (f": {', '.join(moved[:8])}" if moved else "")
    says_zh = f"{len(last)} 个特征中 {len(moved)} 个需关注或处置" + (f"：{'、'.join(moved[:8])}" if moved else "")
    if gap:
        says, says_zh = f"{says}; {gap.sentence()}", f"{says_zh}；{gap.sentence_zh()}"
    return {"says": says, "says_zh": says_zh, "month_before": last, "champions": champions}


class _Asked:
    """What champions are asked about the customers of a month; facts of the moment are joined once a month.

    `is_whole`: every month holds every column, without which the feature store joins none.
    """

    def __init__(self, bank: Bank, now: Build, *, is_whole: bool) -> None:
        self.bank, self.now, self.is_whole = bank, now, is_whole
        self._facts: dict[date, Any] = {}

    def of(self, model: FittedModel, build: Build) -> Any:
        """The rows of `build`: its profiles, or for a model of offers its customers with an offer each."""
        home = self.bank.home
        if model.name not in _OF_OFFERS:
            return _frame(home, build).assign(**_ASKED)
        if not self.is_whole:
            return pd.DataFrame()
        if build.as_of not in self._facts:
            policy = jobs.segments_book(home).view(build.as_of)
            self._facts[build.as_of] = facts_of_month(self.bank, build, policy)
        channel = jobs.decisions_book(home).view(self.now.as_of).arbitration.reference_channel
        return with_offers(self.bank, model, self._facts[build.as_of], self.now.as_of, channel)


def _against(asked: _Asked, model: str, builds: Mapping[date, Build]) -> dict[str, Any]:
    """Features and score of the champion of `model` in this month, against the last month that it could see."""
    standing = registry.with_alias(asked.bank.home, model, registry.CHAMPION)
    if standing is None:
        return {}
    seen = datetime.fromisoformat(standing.facts["horizon"]).date()
    then = max((day for day in builds if day <= seen), default=None)
    if then is None or then == asked.now.as_of:
        return {}
    fitted = standing.read()
    frames = [asked.of(fitted, build) for build in (builds[then], asked.now)]
    if any(frame.empty for frame in frames):
        return {}
    left_out = CALENDAR | _ASKED.keys()
    features = [one for one in fitted.recipe.features if one.name not in left_out and not one.of_offer]
    told = _compared(frames, features)
    if any(feature.name not in frame for frame in frames for feature in fitted.recipe.features):
        return told
    return {SCORE: _told(psi(*(fitted.predict(frame) for frame in frames))), **told}


def _compared(frames: list[Any], features: list[Feature]) -> dict[str, Any]:
    """The index of each of `features` that both months hold."""
    held = [feature for feature in features if all(feature.name in frame for frame in frames)]
    left, right = (arrays_of(frame, held) for frame in frames)
    return {feature.name: _told(psi(left[feature.name], right[feature.name])) for feature in held}


def _frame(home: Path, build: Build) -> Any:
    return with_own(home, build, pq.read_table(build.path).to_pandas(), own_views(home))


def _told(one: Psi) -> dict[str, Any]:
    return {"psi": round(one.value, 4), "noise": round(one.noise, 4), "band": one.band, "n_before": one.n_expected,
            "n_now": one.n_actual}  # fmt: skip
