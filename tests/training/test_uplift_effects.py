"""What held-out arms say of effects: the arithmetic by hand, intervals that hold, sleeping dogs and none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import MissingModel
from training.judging.effect_judgement import judge_effects
from training.judging.effects import HeldArms, effect, in_the_same_channels, sleeping_dogs, targeted, top

Array = NDArray[np.float64]


def held(effects: Array, *, seed: int, base: float = 0.2, odds: Array | float = 0.5) -> HeldArms:
    """Customers drawn with `odds`, who convert with `base` untold and their own effect more when told."""
    n, chance = len(effects), np.random.default_rng(seed)
    propensity = np.broadcast_to(np.asarray(odds, float), n)
    told = chance.random(n) < propensity
    outcomes = (chance.random(n) < base + told * effects).astype(float)
    return HeldArms(outcomes, told, propensity, np.arange(n))


def by_third(n: int = 6_000) -> Array:
    """A third loses .12 by being told, a third gains nothing, a third gains .3."""
    return np.repeat([-0.12, 0.0, 0.3], n // 3)


def test_an_effect_is_the_difference_of_two_weighted_means() -> None:
    arms = HeldArms(np.array([1.0, 0, 1, 0, 1]), np.array([True, True, True, False, False]),
                    np.array([0.5, 0.5, 0.25, 0.5, 0.75]), np.arange(5))  # fmt: skip
    assert effect(arms).value == pytest.approx((2 * 1 + 4 * 1) / 8 - (4 * 1) / (2 + 4))
    halves = np.array([1, 0.5, 1, 1, 0])
    assert effect(arms, halves).value == pytest.approx((2 + 4) / (2 + 1 + 4) - 0)
    with pytest.raises(MissingModel, match="an arm of the group is empty"):
        effect(arms, np.array([1.0, 1, 1, 0, 0]))


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40), st.floats(0.05, 0.95))
def test_a_share_from_the_top_is_that_share_and_no_higher_score_is_left_out(scores: list[int], share: float) -> None:
    values = np.array(scores, float)
    member = top(values, share)
    assert member.sum() == pytest.approx(share * len(scores))
    order = np.argsort(-values, kind="stable")
    assert np.all(np.diff(member[order]) <= 1e-12)
    assert all(len(set(member[values == level])) == 1 for level in set(scores))


def test_both_plans_reach_customers_by_the_same_channels() -> None:
    """Of those ranked first three in four are reached by app, of all one in two."""
    told = np.tile([True, False], 400)
    arms = HeldArms(np.zeros(800), told, np.full(800, 0.5), np.arange(800))
    channels = np.where(told, np.where(np.arange(800) < 400, "app", "call"), None)
    member = np.zeros(800)
    member[:300] = 1
    member[400:500] = 1
    alike = in_the_same_channels(arms, member, channels)
    shares = {name: alike[told & (channels == name)].sum() / alike[told].sum() for name in ("app", "call")}
    assert shares == {"app": pytest.approx(0.5), "call": pytest.approx(0.5)}
    assert alike[told].sum() == pytest.approx(member[told].sum())
    assert np.array_equal(alike[~told], member[~told])


def test_targeting_beats_none_at_equal_budget_by_points_and_by_ratio() -> None:
    found = targeted(held(by_third(), seed=1), by_third(), 1 / 3)
    assert found.n_contacts == pytest.approx(2_000)
    assert found.points.value == pytest.approx(0.3 - 0.06, abs=0.05)
    assert found.relative.value == pytest.approx(found.targeted.value / found.untargeted.value - 1)
    assert found.is_better
    assert found.relative.low > 0
    said = found.sentence()
    assert "points" in said
    assert "relative +" in said
    assert said.endswith("better than no targeting")


def test_without_an_effect_there_is_no_ratio_and_nothing_is_called_better() -> None:
    found = targeted(held(np.zeros(4_000), seed=3), np.random.default_rng(0).random(4_000), 0.3)
    assert np.isnan(found.relative.value)
    assert not found.is_better
    assert "no ratio" in found.sentence()


def test_the_interval_of_the_points_holds_the_truth_as_often_as_it_promises() -> None:
    """Uneven odds, which the weights undo: 800 tests of 1,500 customers."""
    effects = by_third(1_500)
    odds = np.tile([0.3, 0.5, 0.8], 500)
    truth = effects[-500:].mean() - effects.mean()
    hits = 0
    for seed in range(800):
        points = targeted(held(effects, seed=seed, odds=odds), effects, 1 / 3).points
        hits += points.low <= truth <= points.high
    assert 0.93 <= hits / 800 <= 0.97


def test_those_whom_telling_puts_off_are_found_by_arms_that_the_score_never_saw() -> None:
    groups = {group.name: group for group in sleeping_dogs(held(by_third(), seed=5), by_third())}
    assert groups["effect below 0"].is_asleep
    assert groups["effect below 0"].n == 2_000
    assert groups["effect below 0"].measured.value == pytest.approx(-0.12, abs=0.04)
    assert groups["last 20%"].is_asleep


def test_where_telling_harms_nobody_dogs_are_called_asleep_in_at_most_one_test_of_twenty() -> None:
    """No effect anywhere is the hardest case: a limit below 0 in any of the groups would be a false alarm."""
    scores = np.linspace(-0.05, 0.2, 900)
    alarms = [
        any(group.is_asleep for group in sleeping_dogs(held(np.zeros(900), seed=seed), scores)) for seed in range(400)
    ]
    assert np.mean(alarms) <= 0.05


def test_leaving_the_dogs_alone_is_worth_what_they_would_have_lost() -> None:
    effects = by_third()
    scores = {"ours": effects, "blind": np.random.default_rng(1).random(len(effects)), "inverse": -effects}
    found = judge_effects(held(effects, seed=7), scores, seed=1, n_resamples=200)
    assert found.less_everybody.value == pytest.approx(0.12 / 3, abs=0.02)
    assert found.less_everybody.low > 0
    assert found.less["blind"].low > 0
    assert found.less["inverse"].value == pytest.approx(2 * found.figures["ours"]["qini"].value, rel=0.01)
    assert found.figures["blind"]["qini"].low < 0 < found.figures["blind"]["qini"].high
    assert found.figures["ours"]["uplift_at_30"].value == pytest.approx(0.3, abs=0.05)
    assert found.flat()["ours_uplift_at_30"] == found.figures["ours"]["uplift_at_30"].value
    assert set(found.less) == {"blind", "inverse", "random"}
    assert any("left alone: last" in sentence for sentence in found.sentences())
