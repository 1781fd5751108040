"""The learners of the contests on a flat table: the product's own training, and LightGBM as it comes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from features.vocabulary import Column, Kind
from training.boosting import Parameters, Trees, grow
from training.encoding import Recipe, arrays_of
from training.examples import Examples, Split, customer_folds
from training.fitting import fit
from training.judging.metrics import Judged

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]
Learner = Callable[[Mask, Mask], Vector]  # learnt rows, asked rows -> probabilities of the asked

PLAIN_TREES = 200
N_FOLDS, N_INNER, N_HELD = 5, 4, 2


@dataclass(frozen=True)
class Flat:
    """Rows of a public set: `features` alone, `outcomes` (n,), 0 or 1, and their `customers`, one a row if None."""

    features: pd.DataFrame
    outcomes: Vector
    customers: NDArray[Any] | None = None

    @property
    def owners(self) -> NDArray[Any]:
        """The customer of each row (n,)."""
        return np.arange(len(self.outcomes)) if self.customers is None else self.customers

    @property
    def columns(self) -> list[Column]:
        """The features as the product's training names them: texts are codes, all else numbers."""
        frame = self.features
        return [Column(n, Kind.CODE if frame[n].dtype == object else Kind.NUMBER, n, "not known") for n in frame]

    def plain(self, learnt: Mask, asked: Mask, *, seed: int, learning_rate: float) -> Vector:
        """LightGBM as it comes: 200 trees, on four fifths of rows and columns, texts as categories."""
        frame = self.features.copy()
        for name in frame.select_dtypes("object"):
            frame[name] = frame[name].astype("category")
        model = lightgbm.LGBMClassifier(
            n_estimators=PLAIN_TREES, learning_rate=learning_rate, random_state=seed, subsample=0.8, subsample_freq=1,
            colsample_bytree=0.8, n_jobs=1, verbosity=-1,
        )  # fmt: skip
        model.fit(frame[learnt], self.outcomes[learnt])
        return np.asarray(model.predict_proba(frame[asked])[:, 1])

    def own(self, learnt: Mask, asked: Mask, parameters: Parameters) -> Vector:
        """The product's training: encoded, grown and calibrated on `learnt` alone."""
        rows = self.features.assign(customer_id=self.owners, outcome=self.outcomes)
        split = Split(learnt, asked, np.datetime64("1970-01-01", "us"))
        model = fit("contest", Examples(rows, {}), split, self.columns, parameters=parameters)
        return np.asarray(model.predict(rows[asked]))

    def trees(self, learnt: Mask, asked: Mask, parameters: Parameters) -> Vector:
        """What the product's trees alone say, without calibration."""
        arrays = arrays_of(self.features, self.columns)
        recipe = Recipe.learn(self.columns, (), {name: values[learnt] for name, values in arrays.items()})
        matrix = recipe.encode(arrays)
        return Trees(grow(matrix[learnt], self.outcomes[learnt], recipe, parameters)).score(matrix[asked])

    def folds(self, n_folds: int, seed: int) -> NDArray[np.int64]:
        """A fold for every row."""
        return customer_folds(self.owners, n_folds, seed)


@dataclass(frozen=True)
class CrossFitted:
    """Every row judged by a fit that had not seen it: `said` its probability, `ranks` its place within its fold.

    Five fits say slightly different things of equal rows, which no single model in use would; so what ranks is ranked
    inside each fold.
    """

    said: Judged
    ranks: Judged


def cross_fitted(flat: Flat, learner: Learner, seed: int) -> CrossFitted:
    """The learner on each of N_FOLDS folds, learnt on the others."""
    folds, scores, ranks = flat.folds(N_FOLDS, seed), np.empty(len(flat.outcomes)), np.empty(len(flat.outcomes))
    for fold in range(N_FOLDS):
        asked = folds == fold
        scores[asked] = learner(~asked, asked)
        ranks[asked] = rankdata(scores[asked]) / (asked.sum() + 1)
    return CrossFitted(Judged(flat.outcomes, scores), Judged(flat.outcomes, ranks))


def chosen(flat: Flat, learnt: Mask, panel: Mapping[str, Parameters], seed: int) -> str:
    """The name in `panel` that ranks best on two quarters of the `learnt` rows, each grown on the other three."""
    quarters = flat.folds(N_INNER, seed + 1)
    reached = dict.fromkeys(panel, 0.0)
    for name, quarter in itertools.product(panel, range(N_HELD)):
        asked = learnt & (quarters == quarter)
        scores = flat.trees(learnt & ~asked, asked, panel[name])
        reached[name] += Judged(flat.outcomes[asked], scores).auc()
    return max(reached, key=lambda name: reached[name])
