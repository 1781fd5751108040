"""Models of several seeds said as one text: the mean of their log-odds, to the last digits, wherever it is read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.vocabulary import Column, Kind
from serving.forests.tree_text import trees_of
from tests.training.made_up import examples_of
from training.boosting import _NEXT_BAG, Parameters, Trees, grow
from training.encoding import Matrix, Recipe

FEW = Parameters(n_rounds=12, n_leaves=6, min_leaf_rows=20, seed=3)


@pytest.fixture(scope="module")
def rows() -> tuple[Matrix, np.ndarray, Recipe]:
    """Numbers with gaps and a code, so that trees split on both."""
    chance, outcomes = np.random.default_rng(4), examples_of().outcomes
    n = len(outcomes)
    number = np.where(chance.random(n) < 0.2, np.nan, chance.normal(size=n) + outcomes)
    code = np.array([f"k{place}" for place in (chance.integers(0, 6, n) + 2 * outcomes).astype(int)], dtype=object)
    columns = [Column("number", Kind.NUMBER, "a number", "none"), Column("code", Kind.CODE, "a code", "none")]
    arrays = {"number": number, "code": code}
    recipe = Recipe.learn(columns, (), arrays)
    return recipe.encode(arrays), outcomes, recipe


def log_odds(text: str, matrix: Matrix) -> np.ndarray:
    p = Trees(text).score(matrix)
    return np.log(p / (1 - p))


def test_a_bag_says_the_mean_log_odds_of_its_seeds(rows: tuple[Matrix, np.ndarray, Recipe]) -> None:
    matrix, outcomes, recipe = rows
    singles = [grow(matrix, outcomes, recipe, replace(FEW, seed=FEW.seed + _NEXT_BAG * place)) for place in range(3)]
    bag = grow(matrix, outcomes, recipe, replace(FEW, n_bags=3))
    assert len(set(singles)) == 3
    np.testing.assert_allclose(
        log_odds(bag, matrix), np.mean([log_odds(one, matrix) for one in singles], axis=0), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        Trees(bag).contributions(matrix[:50]),
        np.mean([Trees(one).contributions(matrix[:50]) for one in singles], axis=0), rtol=0, atol=1e-9,
    )  # fmt: skip
    np.testing.assert_allclose(Trees(bag).gains(), np.sum([Trees(one).gains() for one in singles], axis=0), rtol=1e-6)


def test_it_is_the_same_each_time_is_laid_out_by_serving_and_one_seed_is_the_text_as_it_was(
    rows: tuple[Matrix, np.ndarray, Recipe],
) -> None:
    matrix, outcomes, recipe = rows
    bag = grow(matrix, outcomes, recipe, replace(FEW, n_bags=3))
    assert bag == grow(matrix, outcomes, recipe, replace(FEW, n_bags=3))
    assert len(trees_of(bag)) == 3 * FEW.n_rounds
    assert grow(matrix, outcomes, recipe, FEW) == grow(matrix, outcomes, recipe, replace(FEW, n_bags=1))


def test_a_bag_of_figures_is_their_mean(rows: tuple[Matrix, np.ndarray, Recipe]) -> None:
    matrix, outcomes, recipe = rows
    said = [
        Trees(grow(matrix, outcomes, recipe, one, objective="regression")).score(matrix)
        for one in (FEW, replace(FEW, seed=FEW.seed + _NEXT_BAG), replace(FEW, n_bags=2))
    ]
    np.testing.assert_allclose(said[2], (said[0] + said[1]) / 2, rtol=0, atol=1e-12)
