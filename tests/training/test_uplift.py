"""Effects learnt from arms whose truth is known: found where they are, below 0 where they are, absent where none is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.arbitration import Components
from features.errors import MissingModel, UserMistake
from tests.training.made_up import FACTS
from training.boosting import Parameters
from training.encoding import Recipe, arrays_of
from training.examples import Examples, Split
from training.fitted import FittedModel, digests_of
from training.judging.effect_judgement import judge_effects
from training.judging.effects import HeldArms
from training.judging.judgement import OURS
from training.models import uplift
from training.models.uplift import TrainedUplift, train
from training.panel import TOGETHER
from training.trials import Arms, Expected

QUICK = Parameters(n_rounds=30, n_leaves=7, min_leaf_rows=40, seed=3)
TIERS = np.array(["V1", "V2", "V3"], dtype=object)
P = st.floats(0.01, 0.99)


def trial(*, n: int = 6000, seed: int = 1, by_tier: tuple[float, float, float] = (0.05, -0.15, 0.3)) -> pd.DataFrame:
    """Customers drawn to be told with odds that depend on their habit, whose effect is that of their tier."""
    chance = np.random.default_rng(seed)
    tier, opened = chance.integers(0, 3, n), chance.integers(0, 2, n)
    propensity = np.where(opened == 1, 0.7, 0.4)
    told = chance.random(n) < propensity
    effect = np.array(by_tier)[tier]
    p0 = 0.2 + 0.3 * opened
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{place}" for place in range(n)], "age": chance.integers(18, 90, n).astype(float),
            "tier": TIERS[tier], "is_staff": 0.0, "n_opened_90d": opened.astype(float),
            "is_treated": told.astype(float),
            "propensity": propensity, "effect": effect,
        }
    )  # fmt: skip
    return frame.assign(outcome=(chance.random(n) < p0 + told * effect).astype(float))


def split_of(frame: pd.DataFrame, *, share: float = 0.7) -> Split:
    first = np.arange(len(frame)) < share * len(frame)
    return Split(first, ~first, np.datetime64("2025-01-01"))


def trained(frame: pd.DataFrame, split: Split | None = None, parameters: Parameters = QUICK) -> TrainedUplift:
    return train(Examples(frame, {}), split or split_of(frame), facts=FACTS, offers=(), parameters=parameters)


@pytest.fixture(scope="module")
def known() -> tuple[pd.DataFrame, Split, TrainedUplift]:
    frame = trial()
    return frame, split_of(frame), trained(frame)


def test_effects_are_found_and_those_below_zero_stay_below_zero(
    known: tuple[pd.DataFrame, Split, TrainedUplift],
) -> None:
    frame, split, found = known
    held = frame[split.test]
    said = held.assign(said=found.ours.predict(held)).groupby("tier")["said"].mean()
    assert said["V3"] == pytest.approx(0.3, abs=0.06)
    assert said["V1"] == pytest.approx(0.05, abs=0.06)
    assert said["V2"] == pytest.approx(-0.15, abs=0.06)


def test_each_learner_that_asks_for_effects_finds_them_and_ranking_by_response_does_not(
    known: tuple[pd.DataFrame, Split, TrainedUplift],
) -> None:
    """Those who open answer more often and are moved no more: response ranks them first, and wrongly."""
    frame, split, found = known
    held = frame[split.test]
    agreement = {
        name: np.corrcoef(model.predict(held), held["effect"])[0, 1] for name, model in found.panel.items()
    }  # fmt: skip
    assert all(agreement[name] > 0.9 for name in (uplift.DR, uplift.T, uplift.S, TOGETHER)), agreement
    assert agreement[uplift.RESPONSE] < min(agreement[name] for name in (uplift.DR, uplift.T, uplift.S))
    assert found.chosen != uplift.RESPONSE
    assert found.plain is found.panel[uplift.RESPONSE]
    assert set(found.rivals) == {*uplift.LEARNERS, TOGETHER} - {found.chosen, uplift.RESPONSE}


def test_all_together_say_the_mean_of_the_effects_of_all_of_one_row_and_of_many(
    known: tuple[pd.DataFrame, Split, TrainedUplift],
) -> None:
    """Up to their own line, which inner folds gave a slope of about 1; the average effect is theirs too."""
    frame, split, found = known
    rows = frame[split.train]
    recipe = found.ours.recipe
    matrix = recipe.encode(arrays_of(rows, recipe.features))
    weights = 4 * rows["propensity"].to_numpy() * (1 - rows["propensity"].to_numpy())
    mean = np.mean([found.panel[name].predict(rows) for name in uplift.LEARNERS], axis=0)
    kept = found.shrinkage[TOGETHER]
    expected = kept.average + kept.slope * (mean - np.average(mean, weights=weights))
    assert kept.measured == pytest.approx(1, abs=4 * kept.error)
    np.testing.assert_allclose(found.panel[TOGETHER].score(matrix), expected, rtol=0, atol=1e-9)
    one_by_one = [found.panel[TOGETHER].score(matrix[[place]])[0] for place in range(40)]
    np.testing.assert_allclose(one_by_one, expected[:40], rtol=0, atol=1e-9)


def test_the_choice_reads_nothing_of_the_test_rows(known: tuple[pd.DataFrame, Split, TrainedUplift]) -> None:
    frame, split, found = known
    other = frame.copy()
    other.loc[split.test, "outcome"] = 1 - other.loc[split.test, "outcome"]
    again = trained(other, split)
    assert (again.ours, again.gains, again.leads) == (found.ours, found.gains, found.leads)


def test_more_draws_of_the_folds_are_one_figure_of_each_learner_and_no_more_customers(
    known: tuple[pd.DataFrame, Split, TrainedUplift],
) -> None:
    """Errors do not shrink by counting a customer thrice, and what a model says of its training rows is said thrice."""
    frame, split, thrice = known
    once = train(Examples(frame, {}), split, facts=FACTS, offers=(), parameters=QUICK, n_repeats=1)
    assert len(thrice.unseen) == 3 * len(once.unseen) == 3 * split.train.sum()
    for name, kept in once.shrinkage.items():
        assert thrice.gains[name] != once.gains[name]
        assert thrice.shrinkage[name].average_error == pytest.approx(kept.average_error, rel=0.1)
        assert thrice.shrinkage[name].error == pytest.approx(kept.error, rel=0.5)


def test_one_effect_for_all_is_told_as_one_effect() -> None:
    frame = trial(seed=5, by_tier=(0.1, 0.1, 0.1))
    found = trained(frame)
    kept = found.shrinkage[found.chosen]
    said = found.ours.predict(frame)
    assert np.ptp(said) < 0.12
    assert abs(kept.average - 0.1) < 3 * kept.average_error


def test_who_was_told_more_often_does_not_bend_the_average() -> None:
    """Those who open are told more often and answer more often anyhow: told − untold overstates by .09."""
    averages, naive, errors = [], [], []
    for seed in range(6):
        frame = trial(n=3000, seed=seed, by_tier=(0.05, 0.05, 0.05))
        found = trained(frame, parameters=replace(QUICK, n_rounds=10))
        kept = found.shrinkage[found.chosen]
        averages.append(kept.average)
        errors.append(kept.average_error)
        told = frame["is_treated"] == 1
        naive.append(frame.loc[told, "outcome"].mean() - frame.loc[~told, "outcome"].mean())
    assert np.mean(naive) > 0.11
    assert np.mean(averages) == pytest.approx(0.05, abs=3 * np.mean(errors) / np.sqrt(6))


def test_noise_has_no_effect_on_anybody() -> None:
    frame = trial(seed=8, by_tier=(0.0, 0.0, 0.0))
    frame["outcome"] = (np.random.default_rng(0).random(len(frame)) < 0.3).astype(float)
    found = trained(frame)
    kept = found.shrinkage[found.chosen]
    assert found.chosen == TOGETHER, "nobody is proven better than all"
    assert abs(kept.average) < 3 * kept.average_error
    assert np.abs(found.ours.predict(frame)).max() < 0.1
    held = HeldArms.of(frame[split_of(frame).test])
    judged = judge_effects(held, {OURS: found.ours.predict(frame[split_of(frame).test])}, seed=0)
    assert judged.figures[OURS]["qini"].low < 0 < judged.figures[OURS]["qini"].high


@given(P, P, P, st.integers(0, 1), st.integers(0, 1))
def test_a_pseudo_outcome_is_right_on_average_whatever_the_nuisances_say(
    told: float, untold: float, e: float, y1: int, y0: int
) -> None:
    """Of one customer with y1 if told and y0 if not: e · ψ(told) + (1 − e) · ψ(untold) = y1 − y0, to the last digit."""
    expected = Expected(np.full(2, told), np.full(2, untold), np.zeros(2))
    arms = Arms(
        recipe=Recipe(()),
        matrix=np.zeros((2, 0)), outcomes=np.array([y1, y0], float), told=np.array([True, False]),
        propensity=np.full(2, e), customers=np.arange(2),
    )  # fmt: skip
    psi = expected.pseudo_outcomes(arms)
    assert e * psi[0] + (1 - e) * psi[1] == pytest.approx(y1 - y0, abs=1e-12)


def test_the_same_rows_and_seed_give_the_same_files_and_what_is_read_back_says_the_same(
    known: tuple[pd.DataFrame, Split, TrainedUplift], tmp_path: Path
) -> None:
    frame, split, found = known
    trained(frame, split).ours.write(tmp_path / "again", frame)
    found.ours.write(tmp_path / "first", frame)
    assert digests_of(tmp_path / "first") == digests_of(tmp_path / "again")
    read = FittedModel.read(tmp_path / "first", digests_of(tmp_path / "first"))
    assert np.array_equal(read.predict(frame), found.ours.predict(frame))
    assert read.predict(frame).min() < 0
    assert read.largest_golden_difference(tmp_path / "first") == 0


def test_what_cannot_be_learnt_from_is_refused_with_its_figure() -> None:
    frame = trial(n=2000)
    with pytest.raises(UserMistake, match="between 0 and 1"):
        trained(frame.assign(propensity=1.0))
    with pytest.raises(MissingModel, match="smaller arm"):
        trained(frame.assign(is_treated=(np.arange(2000) < 30).astype(float)))
    with pytest.raises(MissingModel, match="too few conversions"):
        trained(frame.assign(outcome=(np.arange(2000) % 20 == 0).astype(float)))


def test_a_sleeping_dog_is_left_alone_by_the_one_scoring_function(
    known: tuple[pd.DataFrame, Split, TrainedUplift],
) -> None:
    """An effect below 0 makes the score lower than NO_ACTION's floor however much the offer earns."""
    frame, split, found = known
    effects = found.ours.predict(frame[split.test])[:, None]
    ones = np.ones_like(effects)
    parts = Components(
        p=0.4 * ones, uplift=effects, uplift_is_assumed=ones < 0, is_prior=ones < 0, value=500 * ones, reward=0 * ones,
        cost=0 * ones, context=ones, lever=ones, shadow_price=0 * ones,
    )  # fmt: skip
    assert (effects < 0).sum() > 100
    assert np.array_equal(parts.score > 0, effects > 0)
