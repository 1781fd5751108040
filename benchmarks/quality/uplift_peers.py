"""scikit-uplift's learners on LightGBM, each with trees as they come and with the few that our own have."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.vocabulary import Column, Kind
from training.encoding import arrays_of
from training.examples import Split

Vector = NDArray[np.float64]

SIZES: dict[str, dict[str, Any]] = {
    "200 trees": {"n_estimators": 200, "learning_rate": 0.05},
    "few trees": {"n_estimators": 60, "learning_rate": 0.05, "num_leaves": 7, "min_child_samples": 200},
}
LEARNERS = ("S-learner", "two models", "two models, dependent", "class transformation")


def table(frame: pd.DataFrame, kinds: dict[str, Kind]) -> pd.DataFrame:
    """The features of `frame` as LightGBM takes them: texts as categories."""
    arrays = arrays_of(frame, [Column(name, kind, name, "not given") for name, kind in kinds.items()])
    return pd.DataFrame({name: pd.Categorical(v) if v.dtype == object else v for name, v in arrays.items()})


def effects(frame: pd.DataFrame, split: Split, kinds: dict[str, Kind], seed: int) -> dict[str, Vector]:
    """Effects (n test rows,) by every learner in both sizes; asks for the extra `benchmark`."""
    known, treated = table(frame, kinds), frame["is_treated"].to_numpy().astype(int)
    outcomes = frame["outcome"].to_numpy().astype(int)
    found = {}
    for learner, (size, figures) in itertools.product(LEARNERS, SIZES.items()):
        model = _of(learner, {**figures, "random_state": seed, "n_jobs": 1, "verbosity": -1})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of arms that are not quite even
            model.fit(known[split.train], outcomes[split.train], treated[split.train])
        found[f"{learner}, {size}"] = np.asarray(model.predict(known[split.test]), dtype=np.float64)
    return found


def _of(learner: str, figures: dict[str, Any]) -> Any:
    from sklift.models import ClassTransformation, SoloModel, TwoModels

    def trees() -> lightgbm.LGBMClassifier:
        return lightgbm.LGBMClassifier(**figures)

    if learner == LEARNERS[0]:
        return SoloModel(trees())
    if learner == LEARNERS[3]:
        return ClassTransformation(trees())
    method = "vanilla" if learner == LEARNERS[1] else "ddr_control"
    return TwoModels(trees(), trees(), method=method)
