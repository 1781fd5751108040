"""A randomised test as arrays, and what is expected of its rows: outcomes told and untold, and pseudo-outcomes.

Symbols: y outcome, 0 or 1; t told, 0 or 1; e propensity of being told, known, not estimated; μ₁, μ₀ outcomes expected
of the told and of the untold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.errors import MissingModel, UserMistake
from features.vocabulary import Column, Kind
from training.boosting import Parameters, Trees, grow
from training.encoding import Feature, Matrix, Recipe, arrays_of
from training.examples import Examples, Split, customer_folds

LEAST_ARM = 100  # customers in the smaller arm of the training rows
_N_FOLDS = 2
_TOLD = Feature("is_treated", Kind.FLAG)

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Arms:
    """n rows of a randomised test as arrays: `matrix` (n, f) as `recipe` lays it out, the others (n,)."""

    recipe: Recipe
    matrix: Matrix
    outcomes: Vector
    told: NDArray[np.bool_]
    propensity: Vector
    customers: NDArray[np.int64]

    def at(self, rows: NDArray[np.bool_]) -> Arms:
        """These rows alone."""
        return replace(
            self, matrix=self.matrix[rows], outcomes=self.outcomes[rows], told=self.told[rows],
            propensity=self.propensity[rows], customers=self.customers[rows],
        )  # fmt: skip

    @property
    def weights(self) -> Vector:
        """4 e (1 − e): rows whose ψ is noisier, because one arm was rare, count less; 1 at even odds."""
        return 4 * self.propensity * (1 - self.propensity)


@dataclass(frozen=True, slots=True)
class Expected:
    """Outcomes expected of n rows, each (n,): told and untold by two models, and the difference by one model."""

    told: Vector
    untold: Vector
    together: Vector

    def pseudo_outcomes(self, arms: Arms) -> Vector:
        """ψ (n,), whose mean given x is τ(x) whatever μ is, because e is known.

        ψ = μ₁ − μ₀ + t (y − μ₁) ÷ e − (1 − t)(y − μ₀) ÷ (1 − e). Kennedy (2023), Electronic Journal of Statistics 17.
        """
        missed = np.where(arms.told, arms.outcomes - self.told, self.untold - arms.outcomes)
        chance = np.where(arms.told, arms.propensity, 1 - arms.propensity)
        return np.asarray(self.told - self.untold + missed / chance)


def arms_of(examples: Examples, split: Split, facts: Sequence[Column], offers: Sequence[Column]) -> Arms:
    """The training rows of `examples` as arrays, by a recipe learnt on them."""
    rows = examples.frame[split.train]
    recipe = Recipe.learn(facts, offers, arrays_of(rows, [*facts, *offers]))
    propensity = rows["propensity"].to_numpy(dtype=np.float64)
    told = rows["is_treated"].to_numpy(dtype=np.float64) == 1
    _refuse_unfit(told, propensity)
    _, customers = np.unique(rows["customer_id"].to_numpy(), return_inverse=True)
    matrix = recipe.encode(arrays_of(rows, recipe.features))
    return Arms(recipe, matrix, examples.outcomes[split.train], told, propensity, customers.astype(np.int64))


def expect(arms: Arms, parameters: Parameters) -> Expected:
    """Outcomes expected of every row by models that were grown without its customer."""
    folds = customer_folds(arms.customers, _N_FOLDS, parameters.seed)
    found = Expected(*(np.empty(len(arms.outcomes)) for _ in range(3)))
    for fold in range(_N_FOLDS):
        inside = folds == fold
        said = Nuisances.grown(arms.at(~inside), parameters).expect(arms.at(inside))
        found.told[inside], found.untold[inside], found.together[inside] = said.told, said.untold, said.together
    return found


@dataclass(frozen=True, slots=True)
class Nuisances:
    """Models of the outcome: of the told, of the untold, and of both together with `is_treated` as a feature."""

    told: Trees
    untold: Trees
    together: Trees

    @classmethod
    def grown(cls, arms: Arms, parameters: Parameters) -> Nuisances:
        """The three models of `arms`."""

        def trees(matrix: Matrix, outcomes: Vector, recipe: Recipe) -> Trees:
            return Trees(grow(matrix, outcomes, recipe, parameters), parameters.n_threads)

        both = Recipe((*arms.recipe.features, _TOLD))
        return cls(
            trees(arms.matrix[arms.told], arms.outcomes[arms.told], arms.recipe),
            trees(arms.matrix[~arms.told], arms.outcomes[~arms.told], arms.recipe),
            trees(_with_told(arms.matrix, arms.told), arms.outcomes, both),
        )

    def expect(self, arms: Arms) -> Expected:
        """What these models expect of `arms`, whose customers they should not have seen."""
        n = len(arms.matrix)
        ends = [self.together.score(_with_told(arms.matrix, np.full(n, told))) for told in (True, False)]
        return Expected(self.told.score(arms.matrix), self.untold.score(arms.matrix), ends[0] - ends[1])


def _with_told(matrix: Matrix, told: NDArray[np.bool_]) -> Matrix:
    return np.column_stack([matrix, told.astype(np.float64)])


def _refuse_unfit(told: NDArray[np.bool_], propensity: Vector) -> None:
    if not np.all((propensity > 0) & (propensity < 1)):
        worst = propensity[~((propensity > 0) & (propensity < 1))][0]
        raise UserMistake("a propensity must lie between 0 and 1, both excluded", value=worst,
                          todo="leave out rows that chance did not decide")  # fmt: skip
    smaller = int(min(told.sum(), (~told).sum()))
    if smaller < LEAST_ARM:
        raise MissingModel(
            "too few customers in the smaller arm", value=smaller, allowed=f"{LEAST_ARM} or more",
            todo="go on with assumed shares until more are drawn",
        )  # fmt: skip
