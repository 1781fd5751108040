"""Effects learnt from arms whose truth is known: found where they are, below 0 where they are, absent where none is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from decisioning.arbitration import Components
from features.errors import MissingModel, UserMistake
from tests.training.made_up import FACTS
from training.boosting import Parameters
from training.encoding import Recipe
from training.examples import Examples, Split
from training.fitted import FittedModel, digests_of
from training.models import uplift
from training.models.uplift import TrainedUplift, shrinkage, train
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
    assert all(agreement[name] > 0.9 for name in (uplift.DR, uplift.T, uplift.S)), agreement
    assert agreement[uplift.RESPONSE] < min(agreement[name] for name in (uplift.DR, uplift.T, uplift.S))
    assert found.chosen != uplift.RESPONSE
    assert found.plain is found.panel[uplift.RESPONSE]
    assert found.chosen == max(found.gains, key=lambda name: found.gains[name])


def test_the_choice_reads_nothing_of_the_test_rows(known: tuple[pd.DataFrame, Split, TrainedUplift]) -> None:
    frame, split, found = known
    other = frame.copy()
    other.loc[split.test, "outcome"] = 1 - other.loc[split.test, "outcome"]
    again = trained(other, split)
    assert (again.ours, again.gains) == (found.ours, found.gains)
    assert found.psi.shape == (split.train.sum(),)
    assert np.average(found.psi) == pytest.approx(found.shrinkage[found.chosen].average, abs=0.02)


def test_draws_of_the_folds_are_repeated_and_their_mean_decides(
    known: tuple[pd.DataFrame, Split, TrainedUplift],
) -> None:
    """Each row thrice, unseen each time by trees of its own; errors do not shrink by counting a customer thrice."""
    frame, split, once = known
    thrice = train(Examples(frame, {}), split, facts=FACTS, offers=(), parameters=QUICK, n_repeats=3)
    n = int(split.train.sum())
    propensity = frame[split.train].sort_values("customer_id")["propensity"].to_numpy()  # customers are counted so
    weights = 4 * propensity * (1 - propensity)
    assert np.bincount(thrice.customers).tolist() == [3] * n
    np.testing.assert_array_equal(thrice.psi[:n], once.psi)
    assert len(np.unique(thrice.folds)) == 9
    for name, gain in once.gains.items():
        parts = []
        for third in np.split(np.arange(3 * n), 3):
            places = np.empty(n)
            for fold in np.unique(thrice.folds[third]):
                inside = thrice.folds[third] == fold
                places[inside] = (rankdata(thrice.panel_unseen[name][third][inside]) - 0.5) / inside.sum()
            order = np.argsort(thrice.customers[third])
            parts.append(np.average((thrice.psi[third] * (places - 0.5))[order], weights=weights))
        assert parts[0] == pytest.approx(gain, rel=1e-9)
        assert thrice.gains[name] == pytest.approx(np.mean(parts), rel=1e-9)
        assert thrice.shrinkage[name].average_error == pytest.approx(once.shrinkage[name].average_error, rel=0.1)


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
    assert abs(kept.average) < 3 * kept.average_error
    assert np.abs(found.ours.predict(frame)).max() < 0.1


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


def test_the_slope_and_its_error_are_those_of_a_plain_loop_over_customers() -> None:
    chance = np.random.default_rng(2)
    s, who = chance.normal(size=300), chance.integers(0, 90, 300)
    psi, w = 0.4 * s + chance.normal(size=300), chance.uniform(0.5, 1, 300)
    found = shrinkage(s, psi, w, who, is_ranking=True)
    design = np.column_stack([np.ones(300), s])
    beta = np.linalg.solve(design.T @ (w[:, None] * design), design.T @ (w * psi))
    middle = s - np.average(s, weights=w)
    meat = sum(
        sum(w[i] * middle[i] * (psi[i] - design[i] @ beta) for i in np.flatnonzero(who == c)) ** 2 for c in set(who)
    )
    assert found.measured == pytest.approx(beta[1])
    assert found.error == pytest.approx(np.sqrt(meat) / (w * middle**2).sum())
    assert found.slope == pytest.approx(beta[1] * (1 - (found.error / beta[1]) ** 2))


@pytest.mark.parametrize(("is_ranking", "moves"), [(True, True), (False, False)])
def test_a_score_that_noise_could_have_made_keeps_its_order_and_no_more(is_ranking: bool, moves: bool) -> None:
    s = np.linspace(-1, 1, 200)
    psi = np.tile([1.0, -1.0, -1.0, 1.0], 50) - 1e-4 * s
    found = shrinkage(s, psi, np.ones(200), np.arange(200), is_ranking=is_ranking)
    assert found.measured < 0
    said = found.line(s).apply(s)
    assert bool(np.ptp(said) > 1e-12) is moves
    assert np.ptp(said) < 0.1 * found.average_error
    assert np.all(np.diff(said) >= 0)  # nobody overtakes anybody


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
