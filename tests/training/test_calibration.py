"""Isotonic maps: never falling, close to the truth, keeping order, and plain."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.calibration import ORDER_SHARE, Calibration

ROWS = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60)


def fitted(rows: list[tuple[int, bool]]) -> Calibration:
    return Calibration.fit(np.array([s / 20 for s, _ in rows]), np.array([float(y) for _, y in rows]))


@given(ROWS)
def test_a_map_never_falls_and_never_says_certain(rows: list[tuple[int, bool]]) -> None:
    answers = fitted(rows).apply(np.linspace(0, 1, 101))
    assert (np.diff(answers) >= 0).all()
    assert answers.min() > 0
    assert answers.max() < 1


@given(ROWS)
def test_knots_ascend_strictly(rows: list[tuple[int, bool]]) -> None:
    assert (np.diff(fitted(rows).x) > 0).all()


def test_violators_are_pooled_and_the_raw_score_keeps_its_share() -> None:
    """Rates by score .2 -> 1/4, .4 -> 3/4, .6 -> 1/4, .8 -> 3/4: the middle two pool to 4/8 from .4 to .6."""
    scores = np.repeat([0.2, 0.4, 0.6, 0.8], 4)
    outcomes = np.array([1, 0, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0], dtype=float)
    at = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    pooled = np.array([0.25, 0.25, 0.375, 0.5, 0.5, 0.5, 0.625, 0.75, 0.75])
    answers = Calibration.fit(scores, outcomes).apply(at)
    assert answers == pytest.approx((1 - ORDER_SHARE) * pooled + ORDER_SHARE * at)


def test_a_distorted_score_finds_back_to_its_probability() -> None:
    chance = np.random.default_rng(0)
    p = chance.random(60_000)
    outcomes = (chance.random(60_000) < p).astype(float)
    grid = np.linspace(0.05, 0.95, 19)
    found = Calibration.fit(p**2, outcomes).apply(grid**2)
    assert np.abs(found - grid).max() < 0.03
    assert np.abs(grid**2 - grid).max() > 0.2  # what it was before


def test_order_is_kept_inside_a_block() -> None:
    chance = np.random.default_rng(1)
    scores, outcomes = chance.random(5000), (chance.random(5000) < 0.2).astype(float)
    answers = Calibration.fit(scores, outcomes).apply(np.sort(scores))
    assert len(np.unique(answers)) == len(np.unique(scores))


def test_a_lone_row_at_an_end_does_not_move_the_rest() -> None:
    """The lowest row has no outcome and the highest has one; in between every fifth has."""
    scores, outcomes = np.arange(1, 102) / 102, np.r_[np.tile([0.0, 1.0, 0.0, 0.0, 0.0], 20), 1.0]
    answers = Calibration.fit(scores, outcomes).apply(scores)
    assert np.abs(answers[1:96] - 0.2).max() < 0.025
    assert answers[96:100] == pytest.approx(np.full(4, 0.25), abs=0.02)  # a one and three zeros before the last row
    assert answers[0] < 0.13  # half-way to the next block at most


def test_a_block_without_outcomes_is_one_pseudo_observation_away_from_never() -> None:
    answers = Calibration.fit(np.full(8, 0.5), np.zeros(8)).apply(np.array([0.5]))
    assert answers == pytest.approx([(1 - ORDER_SHARE) / 10 + ORDER_SHARE / 2])


def test_a_map_survives_json() -> None:
    fit = fitted([(3, False), (7, True), (9, True)])
    assert Calibration.from_json(json.loads(json.dumps(fit.to_json()))) == fit
