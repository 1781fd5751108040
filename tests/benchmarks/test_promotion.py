"""Whom a promotion tells: its money by hand, and rules that find on rows that teach what was planted there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.quality.promotion import (
    COST,
    MARGIN,
    RULES,
    TEST_ROWS,
    Choice,
    Told,
    Unseen,
    _difference,
    best_rule,
    paid_by_all,
)

N = 20_000


def unseen(*, stated: float, seed: int = 0) -> Unseen:
    """A fifth is moved by .1, all others by nothing; one learner knows who, but states `stated` times the effect."""
    chance = np.random.default_rng(seed)
    truth = np.where(np.arange(N) % 5 == 0, 0.1, 0.0)
    psi = truth + chance.normal(0, 0.3, N)
    scores = {"knows": truth + chance.normal(0, 0.001, N), "guesses": chance.random(N)}
    places = {name: np.argsort(np.argsort(score)) / N for name, score in scores.items()}
    return Unseen(places, {name: stated * score for name, score in scores.items()}, psi, np.arange(N))


def test_the_money_of_a_promotion_by_hand() -> None:
    """Told are rows 0 to 3: one treated bought, one did not, one untreated bought, one did not."""
    held = pd.DataFrame({"outcome": [1.0, 0, 1, 0, 1, 0], "is_treated": [1.0, 1, 0, 0, 1, 0]})
    found = Told.of(held, np.array([True] * 4 + [False] * 2))
    assert found.by_row.tolist() == [MARGIN - COST, -COST, -MARGIN, 0, 0, 0]
    assert found.response == 0
    assert found.revenue == pytest.approx(-2 * COST / 6 * TEST_ROWS)
    nobody = Told.of(held, np.zeros(6, dtype=bool))
    assert (nobody.revenue, nobody.response, nobody.n_told) == (0, 0, 0)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_finds_the_learner_that_knows_and_tells_those_who_are_moved(name: str) -> None:
    known = unseen(stated=1.0)
    choice = RULES[name](known)
    assert choice.learner == "knows"
    told = known.tells(choice)
    assert told[np.arange(N) % 5 == 0].mean() > 0.9
    assert told.mean() < 0.35


def test_the_rule_is_taken_by_what_it_earns_where_it_has_not_chosen() -> None:
    """Effects that are stated upside down tell the wrong ones, so that a share of the ranking earns more."""
    assert best_rule(unseen(stated=-1.0), seed=1) != "effect that pays"
    known = unseen(stated=1.0)
    assert known.earned(RULES["effect that pays"](known)) > known.earned(Choice("knows", 0.6))


def test_where_all_learners_have_a_say_told_is_whom_their_mean_effect_pays() -> None:
    """One learner that is sure of a customer does not outvote two that see harm."""
    said = [np.array([0.09, 0.016, 0.02]), np.array([-0.05, 0.016, 0.02]), np.array([0.0, 0.012, 0.006])]
    assert paid_by_all(said).tolist() == [False, False, True]
    assert paid_by_all(said[:1]).tolist() == [True, True, True]


def test_a_row_that_two_splits_held_out_is_no_second_witness() -> None:
    chance = np.random.default_rng(0)
    by_row, place = chance.normal(1, 5, 400), np.arange(400)
    one = Told(by_row, 0.0, 400)
    once, twice = _difference([one], None, [place], 400), _difference([one, one], None, [place, place], 400)
    assert (once.value, once.low, once.high) == (twice.value, twice.low, twice.high)
    assert once.value == pytest.approx(by_row.mean() * TEST_ROWS)
