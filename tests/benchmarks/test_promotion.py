"""Whom a promotion tells: its money by hand, and the product's own model that finds what was planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.quality.mailings import trial
from benchmarks.quality.promotion import _TIMELESS, COST, MARGIN, TEST_ROWS, Told, _difference, _judged, pays
from training.examples import Split
from training.models import uplift
from training.panel import TOGETHER

N = 20_000


def test_the_money_of_a_promotion_by_hand() -> None:
    """Told are rows 0 to 3: one treated bought, one did not, one untreated bought, one did not."""
    held = pd.DataFrame({"outcome": [1.0, 0, 1, 0, 1, 0], "is_treated": [1.0, 1, 0, 0, 1, 0]})
    found = Told.of(held, np.array([True] * 4 + [False] * 2))
    assert found.by_row.tolist() == [MARGIN - COST, -COST, -MARGIN, 0, 0, 0]
    assert found.response == 0
    assert found.revenue == pytest.approx(-2 * COST / 6 * TEST_ROWS)
    nobody = Told.of(held, np.zeros(6, dtype=bool))
    assert (nobody.revenue, nobody.response, nobody.n_told) == (0, 0, 0)


def test_told_is_whose_effect_earns_more_than_telling_costs() -> None:
    assert pays(np.array([COST / MARGIN - 1e-9, COST / MARGIN, COST / MARGIN + 1e-9])).tolist() == [False, False, True]


def test_the_judge_asks_the_model_that_a_training_takes() -> None:
    """Effects that are as large as they are known: whoever is moved is told, by ours and by the best alone."""
    chance = np.random.default_rng(3)
    moved = chance.integers(1, 4, N).astype(float)
    told = chance.random(N) < 0.5
    outcome = (chance.random(N) < 0.02 + told * np.where(moved == 2, 0.2, -0.01)).astype(float)
    frame = pd.DataFrame({f"V{place}": chance.normal(size=N) for place in range(1, 8)}).assign(V3=moved)
    frame = trial(frame, pd.Series(told), pd.Series(outcome), np.arange(N))
    first = np.arange(N) < N / 2
    found = _judged(frame, Split(first, ~first, _TIMELESS), 0)
    held = frame[~first]
    assert found.ours.by_row == pytest.approx(Told.of(held, (held["V3"] == 2).to_numpy()).by_row)
    assert found.ours.response == pytest.approx(0.2, abs=0.03)
    assert found.best in uplift.LEARNERS
    assert found.taken in (TOGETHER, *uplift.LEARNERS)


def test_a_row_that_two_splits_held_out_is_no_second_witness() -> None:
    chance = np.random.default_rng(0)
    by_row, place = chance.normal(1, 5, 400), np.arange(400)
    one = Told(by_row, 0.0, 400)
    once, twice = _difference([one], None, [place], 400), _difference([one, one], None, [place, place], 400)
    assert (once.value, once.low, once.high) == (twice.value, twice.low, twice.high)
    assert once.value == pytest.approx(by_row.mean() * TEST_ROWS)
