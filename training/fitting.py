"""From examples to a fitted model: the recipe, the trees, and a calibration on rows that their fit had not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import MissingModel
from features.vocabulary import Column
from training.boosting import Parameters, Trees, grow
from training.calibration import Calibration
from training.encoding import Matrix, Recipe, arrays_of
from training.examples import Examples, Split, customer_folds
from training.fitted import FittedModel

_N_FOLDS = 4
_PARTS_ZH = {"training": "训练", "test": "检验"}
_LEAST_TEST_POSITIVES = 10  # with fewer, an interval of the AUC spans nearly everything


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, and the plain model of the same learner that it has to beat."""

    ours: FittedModel
    plain: FittedModel

    def figures(self) -> dict[str, float]:
        """What a run logs of how it was fitted, beside its parameters."""
        return {}

    @property
    def rivals(self) -> Mapping[str, FittedModel]:
        """Other models of the same rows that are judged beside it, by name."""
        return {}


@dataclass(frozen=True, slots=True)
class CrossFitted(Trained):
    """Both, and the model's p of its training rows (n,), each by trees that were grown without its customer.

    `unseen` is what its scores are like in the time it learnt from.
    """

    unseen: NDArray[np.float64]


def train_beside(
    name: str,
    examples: Examples,
    split: Split,
    columns: Sequence[Column],
    plain: Sequence[Column],
    *,
    offer_columns: Sequence[Column] = (),
    parameters: Parameters,
    learnt: Examples | None = None,
) -> CrossFitted:
    """The model `name` on `columns`, beside the plain one on the columns `plain`.

    `learnt` are the same rows as ours is to learn them, where that is otherwise than they are: the plain one's stay.
    """
    ours, unseen = _fit(name, learnt or examples, split, columns, offer_columns, parameters=parameters)
    rival = fit(name, examples, split, plain, offer_columns=offer_columns, parameters=parameters)
    return CrossFitted(ours, rival, unseen)


def fit(
    name: str,
    examples: Examples,
    split: Split,
    columns: Sequence[Column],
    *,
    offer_columns: Sequence[Column] = (),
    parameters: Parameters,
) -> FittedModel:
    """The model `name` of `examples.outcomes` on `columns` and `offer_columns`.

    The trees are grown on all of `split.train`. The isotonic map comes from training rows scored by trees of the same
    parameters that were grown without their customers. A slice of the last training days did worse: it holds only the
    offers with short windows, and its map left a calibration error of .031 in the days after, against .022 (six waves
    of a retailer's offers, mean of three seeds). Test rows are never touched.
    """
    return _fit(name, examples, split, columns, offer_columns, parameters=parameters)[0]


def _fit(
    name: str,
    examples: Examples,
    split: Split,
    columns: Sequence[Column],
    offer_columns: Sequence[Column],
    *,
    parameters: Parameters,
) -> tuple[FittedModel, NDArray[np.float64]]:
    training_rows = examples.frame[split.train]
    recipe = Recipe.learn(columns, offer_columns, arrays_of(training_rows, [*columns, *offer_columns]))
    matrix, outcomes = recipe.encode(arrays_of(training_rows, recipe.features)), examples.outcomes[split.train]
    folds = customer_folds(training_rows["customer_id"].to_numpy(), _N_FOLDS, parameters.seed)
    unseen = _scores_unseen(matrix, outcomes, folds, recipe, parameters=parameters)
    calibration = Calibration.fit(unseen, outcomes)
    model = FittedModel(
        name, grow(matrix, outcomes, recipe, parameters, objective=_objective(outcomes)), recipe, calibration
    )
    return model, calibration.apply(unseen)


def _scores_unseen(
    matrix: Matrix,
    outcomes: NDArray[np.float64],
    folds: NDArray[np.int64],
    recipe: Recipe,
    *,
    parameters: Parameters,
) -> NDArray[np.float64]:
    """The score (n,) of each row by trees grown without its fold."""
    scores = np.empty(len(outcomes))
    for fold in np.unique(folds):
        inside = folds == fold
        trees = Trees(
            grow(matrix[~inside], outcomes[~inside], recipe, parameters, objective=_objective(outcomes)),
            parameters.n_threads,
        )
        scores[inside] = trees.score(matrix[inside])
    return scores


def _objective(outcomes: NDArray[np.float64]) -> str:
    """What the trees are grown for: events, or shares that lie between."""
    return "binary" if np.isin(outcomes, (0.0, 1.0)).all() else "cross_entropy"


def constant(outcomes: NDArray[np.float64], split: Split) -> NDArray[np.float64]:
    """What a model without features would say of the test rows: the training rate, shape (n test rows,)."""
    return np.full(int(split.test.sum()), outcomes[split.train].mean())


def refuse_too_little(name: str, examples: Examples, split: Split, *, least_positives: int, event: str) -> None:
    """Raise MissingModel, with the count, if there are too few positives to learn from or to judge on."""
    outcomes = examples.outcomes
    counts: dict[str, Any] = {"training": outcomes[split.train].sum(), "test": outcomes[split.test].sum()}
    for part, least in (("training", least_positives), ("test", _LEAST_TEST_POSITIVES)):
        if counts[part] < least:
            raise MissingModel(
                f"too few {event} in the {part} rows of model {name}", value=int(counts[part]),
                allowed=f"{least} or more", todo="go on with rules until more windows have closed",
                zh=f"{_PARTS_ZH[part]}样本中的正例只有 {int(counts[part])} 个，至少要 {least} 个",
            )  # fmt: skip
