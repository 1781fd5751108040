"""Gradient-boosted trees that come out the same each time: same rows, same parameters, same model text.

The only file that knows LightGBM. A model is its text; a text is read only after its hash has been checked, because
a damaged one ends the process instead of raising (see `training.fitted`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from training.encoding import Matrix, Recipe

_MEANS = re.compile(r"^(leaf_value|internal_value)=(.+)$", re.MULTILINE)
_NEXT_BAG = 10_000  # between the seeds of one bag: trainings of neighbouring seeds share none


@dataclass(frozen=True, slots=True)
class Parameters:
    """Hyper-parameters, logged whole with every model.

    `monotone` maps a feature to +1 (p never falls as it grows) or -1; a name the recipe lacks is ignored, since a bank
    may not have the column. `n_threads` changes speed only: with `deterministic` and row-wise histograms the trees are
    the same on one thread and on many. `n_bags` models of several seeds are grown and said as one, the mean of their
    log-odds: what a seed draws no longer decides an order, and a score takes as much longer.
    """

    n_rounds: int = 120
    learning_rate: float = 0.05
    n_leaves: int = 31
    min_leaf_rows: int = 100
    feature_share: float = 0.7
    row_share: float = 0.8
    l2: float = 5.0
    max_bins: int = 255
    category_smoothing: float = 20.0
    monotone: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    n_threads: int = 1
    n_bags: int = 1

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "monotone": dict(self.monotone)}


def grow(
    matrix: Matrix,
    outcomes: NDArray[np.float64],
    recipe: Recipe,
    parameters: Parameters,
    *,
    objective: str = "binary",
    weights: NDArray[np.float64] | None = None,
) -> str:
    """The text of a model of `outcomes` (n,) on `matrix` (n, f) as `recipe` lays it out.

    `objective` is LightGBM's word: `binary` for outcomes of 0 or 1, `cross_entropy` for shares between, `regression`
    for the mean of any figure. `weights` (n,) say how much a row counts, all alike without them.
    """
    seeds = (parameters.seed + _NEXT_BAG * place for place in range(parameters.n_bags))
    return mean_of([_grown(matrix, outcomes, recipe, parameters, seed, objective, weights) for seed in seeds])


def mean_of(texts: Sequence[str]) -> str:
    """The text of one model that says, before the link, the mean of what `texts` of one recipe and objective say."""
    return texts[0] if len(texts) == 1 else joined(texts, [1 / len(texts)] * len(texts))


def joined(texts: Sequence[str], scales: Sequence[float]) -> str:
    """The text of one model that says, before the link, the sum of what `texts` say, each times its scale.

    They are of one recipe and objective. Its trees are theirs, one model after the other, with every leaf times the
    scale. What has scale 0 is left out; where all have, the first stays and says 0.
    """
    kept = [(text, scale) for text, scale in zip(texts, scales, strict=True) if scale] or [(texts[0], 0.0)]
    head, _, tail = kept[0][0].partition("\nTree=")
    trees = [_scaled(block, float(scale)) for text, scale in kept for block in _blocks(text)]
    # without the sizes LightGBM reads the trees one after the other
    lines = [line for line in head.splitlines() if not line.startswith("tree_sizes=")]
    blocks = [f"Tree={place}\n{tree}" for place, tree in enumerate(trees)]
    return "\n".join(lines) + "\n" + "\n".join(blocks) + "end of trees" + tail.partition("end of trees")[2]


def sums_of(text: str) -> str:
    """The same trees, saying the sums of their leaves: of a model of events its log-odds."""
    return text.replace("\nobjective=binary sigmoid:1\n", "\nobjective=regression\n", 1)


def _blocks(text: str) -> list[str]:
    """The trees of a text, each without its number."""
    return [block.partition("\n")[2] for block in text.partition("end of trees")[0].split("\nTree=")[1:]]


def _scaled(block: str, scale: float) -> str:
    """A tree whose leaves and inner means are `scale` times as large."""
    return _MEANS.sub(lambda line: f"{line[1]}={' '.join(repr(float(v) * scale) for v in line[2].split(' '))}", block)


def _grown(
    matrix: Matrix,
    outcomes: NDArray[np.float64],
    recipe: Recipe,
    parameters: Parameters,
    seed: int,
    objective: str,
    weights: NDArray[np.float64] | None,
) -> str:
    settings = {
        "objective": objective,
        "learning_rate": parameters.learning_rate,
        "num_leaves": parameters.n_leaves,
        "min_data_in_leaf": parameters.min_leaf_rows,
        "feature_fraction": parameters.feature_share,
        "bagging_fraction": parameters.row_share,
        "bagging_freq": 1,
        "lambda_l2": parameters.l2,
        "max_bin": parameters.max_bins,
        "cat_smooth": parameters.category_smoothing,
        "monotone_constraints": [parameters.monotone.get(name, 0) for name in recipe.names],
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "num_threads": parameters.n_threads,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(
        matrix,
        outcomes,
        weight=weights,
        feature_name=[_spelt(name, place) for place, name in enumerate(recipe.names)],
        categorical_feature=recipe.code_places,
        params={"max_bin": parameters.max_bins, "verbosity": -1},
        free_raw_data=True,
    )
    booster = lightgbm.train(settings, data, num_boost_round=parameters.n_rounds)
    return str(booster.model_to_string())


class Trees:
    """A model read from its text, ready to score."""

    def __init__(self, text: str, n_threads: int = 1) -> None:
        self._booster = lightgbm.Booster(model_str=text)
        self._n_threads = n_threads

    def score(self, matrix: Matrix) -> NDArray[np.float64]:
        """What the model says, not calibrated, (n,) of the rows of `matrix` (n, f)."""
        return np.asarray(self._booster.predict(matrix, num_threads=self._n_threads), dtype=np.float64)

    def contributions(self, matrix: Matrix) -> NDArray[np.float64]:
        """What each feature adds to the log-odds of each row, (n, f), from the mean of the training rows on.

        Shapley values of the trees, a thousand times as dear as a score: for explanations, never for ranking.
        Lundberg et al. (2020), Nature Machine Intelligence 2.
        """
        told = self._booster.predict(matrix, pred_contrib=True, num_threads=self._n_threads)
        return np.asarray(told, dtype=np.float64)[:, :-1]

    @property
    def names(self) -> list[str]:
        """Its features in the order of the matrix it was grown on."""
        return list(self._booster.feature_name())

    def gains(self) -> NDArray[np.float64]:
        """Total gain of each feature (f,), in the order of the recipe."""
        return np.asarray(self._booster.feature_importance(importance_type="gain"), dtype=np.float64)


def _spelt(name: str, place: int) -> str:
    """`name` as LightGBM takes it: it refuses commas and brackets, and makes other names of those with blanks."""
    return name if name.isascii() and name.isidentifier() else f"column_{place}"
