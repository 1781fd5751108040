"""Several models said as one text: the sum of what they say, each times a scale, wherever it is read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.vocabulary import Column, Kind
from serving.forests.tree_text import trees_of
from tests.training.made_up import examples_of
from training.boosting import _NEXT_BAG, Parameters, Trees, grow, joined, sums_of
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


@pytest.mark.parametrize("scales", [(0.4, 0.3, -2.0), (0.0, 1.5, 0.0), (-1e-7, 0.0, 12.0), (0.0, 0.0, 0.0)])
def test_models_of_unlike_figures_are_joined_at_any_scale(
    rows: tuple[Matrix, np.ndarray, Recipe], scales: tuple[float, float, float]
) -> None:
    """An amount, an event as log-odds and a model that is one leaf: of one row and of many, laid out and explained."""
    matrix, outcomes, recipe = rows
    amount = grow(matrix, 40 * outcomes - 7, recipe, FEW, objective="regression")
    event = sums_of(grow(matrix, outcomes, recipe, replace(FEW, n_leaves=11, seed=8)))
    flat = grow(matrix, np.full(len(outcomes), 0.25), recipe, FEW, objective="regression")
    texts = (amount, event, flat)
    text = joined(texts, scales)
    expected = sum(scale * Trees(one).score(matrix) for one, scale in zip(texts, scales, strict=True))
    np.testing.assert_allclose(Trees(text).score(matrix), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        [Trees(text).score(matrix[[place]])[0] for place in range(30)], expected[:30], rtol=0, atol=1e-9
    )
    explained = sum(scale * Trees(one).contributions(matrix[:50]) for one, scale in zip(texts, scales, strict=True))
    np.testing.assert_allclose(Trees(text).contributions(matrix[:50]), explained, rtol=0, atol=1e-9)
    assert len(trees_of(text)) == sum(len(trees_of(t)) for t, scale in zip(texts, scales, strict=True) if scale) or (
        not any(scales) and len(trees_of(text)) == len(trees_of(amount))
    )


def test_the_sums_of_a_model_of_events_are_its_log_odds(rows: tuple[Matrix, np.ndarray, Recipe]) -> None:
    matrix, outcomes, recipe = rows
    event = grow(matrix, outcomes, recipe, FEW)
    np.testing.assert_allclose(Trees(sums_of(event)).score(matrix), log_odds(event, matrix), rtol=0, atol=1e-9)
    amount = grow(matrix, outcomes, recipe, FEW, objective="regression")
    assert sums_of(amount) == amount
