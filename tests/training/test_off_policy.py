"""The worth of a policy that never ran: formulas by hand, a simulated bank whose truth is known, and a real log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import UserMistake
from features.vocabulary import Kind
from simulation.truth import Moment, State, Truth
from tests.simulation.banks import simulated
from training.boosting import Parameters, Trees, grow
from training.encoding import Feature, Recipe
from training.examples import customer_folds
from training.judging import off_policy
from training.judging.metrics import Interval
from training.judging.off_policy import FAIL, NO_SUPPORT, PASS, Floor, Logged, Support, evaluate, mean_rewards

Array = NDArray[np.float64]
N_OFFERS, N_CHOICES = 14, 2_500  # every offer of the catalogue that is ranked
NO_FLOOR = Floor(effective_rows=0, effective_rewards=0, largest_share=1, lost_share=10)


def log(*, rewards: list[float], propensity: list[float], target: list[float], expected: float = 0.0,
        expected_target: float = 0.0, customers: list[str] | None = None) -> Logged:  # fmt: skip
    n = len(rewards)
    return Logged(
        np.array(rewards), np.array(propensity), np.array(target), np.full(n, expected), np.full(n, expected_target),
        np.array(customers or [f"c{place}" for place in range(n)]),
    )  # fmt: skip


def test_each_estimate_is_its_formula() -> None:
    """w = 2, ½, 1; q = .3 throughout and Q = .4."""
    logged = log(rewards=[1, 0, 2], propensity=[0.25, 0.5, 0.5], target=[0.5, 0.25, 0.5], expected=0.3,
                 expected_target=0.4)  # fmt: skip
    assert off_policy.ips(logged).value == pytest.approx((2 * 1 + 0 + 2) / 3)
    assert off_policy.snips(logged).value == pytest.approx((2 * 1 + 0 + 2) / 3.5)
    assert off_policy.dr(logged).value == pytest.approx(0.4 + (2 * 0.7 - 0.5 * 0.3 + 1.7) / 3)
    parts = np.array([2, 0, 2])
    half = 1.959964 * np.sqrt(((parts - 4 / 3) ** 2).sum() / 2 / 3)
    assert off_policy.ips(logged).high == pytest.approx(4 / 3 + half)


@given(st.lists(st.tuples(*[st.floats(0.05, 1)] * 2, *[st.floats(-3, 3)] * 2), min_size=2, max_size=6))
def test_over_all_that_chance_could_have_chosen_DR_is_the_value_whatever_q_says(
    rows: list[tuple[float, float, float, float]],
) -> None:
    mu, pi, reward, q = (np.array(column) for column in zip(*rows, strict=True))
    mu, pi = mu / mu.sum(), pi / pi.sum()
    parts = [
        off_policy.dr(log(rewards=[r], propensity=[m], target=[p], expected=e, expected_target=float(pi @ q))).value
        for m, p, r, e in zip(mu, pi, reward, q, strict=True)
    ]
    assert float(mu @ parts) == pytest.approx(float(pi @ reward), abs=1e-9)


def test_a_row_told_twice_for_one_customer_is_no_second_witness() -> None:
    once = log(rewards=[1, 0, 0, 1, 0], propensity=[0.5] * 5, target=[0.3, 0.6, 0.5, 0.5, 0.7])
    twice = Logged(*(np.repeat(values, 2) for values in vars(once).values()))
    assert off_policy.ips(twice).high == pytest.approx(off_policy.ips(once).high)
    alone = replace(twice, customers=np.arange(10))
    assert off_policy.ips(alone).high < off_policy.ips(once).high


@dataclass(frozen=True)
class Known:
    """Customers with the true p1 of each offer, a policy that pushed, and one that a model would lead; all (n, m)."""

    p: Array
    logged: Array
    judged: Array

    @property
    def value(self) -> float:
        return float((self.judged * self.p).sum(axis=1).mean())

    def log(self, seed: int, n: int = N_CHOICES) -> Logged:
        """n choices of the pushing policy with what came of them, and q by the plainest model there is."""
        chance = np.random.default_rng(seed)
        who = chance.integers(0, len(self.p), n)
        choice = (chance.random(n)[:, None] > np.cumsum(self.logged[who], axis=1)).sum(axis=1).clip(0, N_OFFERS - 1)
        rewards = (chance.random(n) < self.p[who, choice]).astype(float)
        q = mean_rewards(choice, rewards, np.arange(n) % 2, n_choices=N_OFFERS)
        rows = np.arange(n)
        return Logged(rewards, self.logged[who, choice], self.judged[who, choice], q[rows, choice],
                      (self.judged[who] * q).sum(axis=1), rows)  # fmt: skip


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """Six thousand customers of a simulated bank; what its truth says of a contact by app is the p of each offer."""
    home = simulated(tmp_path_factory.mktemp("truth") / "home", customers=6_000, months=1).home
    truth, customers, _ = Truth.read(home / "truth")
    n = len(customers)
    same = np.zeros(n, np.int8)
    p = np.column_stack([
        truth.probabilities(Moment(np.arange(n), np.full(n, offer), same, same + State.ACTIVE, same))[1]
        for offer in range(N_OFFERS)
    ])  # fmt: skip
    chance = np.random.default_rng(5)
    pushed = softmax(0.8 * chance.normal(size=(1, N_OFFERS)) + 0.5 * chance.normal(size=p.shape))
    led = softmax(1.5 * (np.log(p / (1 - p)) + 0.7 * chance.normal(size=p.shape)))
    return Known(p, 0.2 / N_OFFERS + 0.8 * pushed, led)


def softmax(score: Array) -> Array:
    weight = np.exp(score - score.max(axis=1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def errors(known: Known, estimate: Callable[[Logged], Interval], seeds: range) -> Array:
    return np.array([estimate(known.log(seed)).value for seed in seeds]) - known.value


def test_over_200_simulated_logs_DR_errs_at_most_four_fifths_of_IPS(known: Known) -> None:
    seeds = range(200)
    square = {name: np.sqrt((errors(known, getattr(off_policy, name), seeds) ** 2).mean())
              for name in ("ips", "dr", "dr_shrunk")}  # fmt: skip
    assert square["dr"] <= 0.8 * square["ips"], square
    assert square["dr_shrunk"] <= 0.8 * square["ips"], square


def test_intervals_of_DR_hold_the_truth_as_often_as_they_promise_over_2000_seeds(known: Known) -> None:
    held = []
    for seed in range(10_000, 12_000):
        said = off_policy.dr(known.log(seed))
        held.append(said.low <= known.value <= said.high)
    assert 0.935 <= np.mean(held) <= 0.965


def test_with_a_good_q_shrinkage_is_calmer_than_DR(known: Known) -> None:
    def told(seed: int) -> Logged:
        logged = known.log(seed, n=600)
        chance = np.random.default_rng(seed)
        who = chance.integers(0, len(known.p), 600)  # the draws of `log` again
        choice = (chance.random(600)[:, None] > np.cumsum(known.logged[who], axis=1)).sum(axis=1).clip(0, N_OFFERS - 1)
        return replace(logged, expected=known.p[who, choice],
                       expected_target=(known.judged[who] * known.p[who]).sum(axis=1))  # fmt: skip

    logs = [told(seed) for seed in range(200)]
    assert [float(row.target[0]) for row in logs[:3]] == [float(known.log(seed, n=600).target[0]) for seed in range(3)]
    whole = np.std([off_policy.dr(row).value for row in logs])
    assert np.std([off_policy.dr_shrunk(row).value for row in logs]) < 0.95 * whole


def test_the_truth_of_a_supported_policy_lies_in_the_verdict(known: Known) -> None:
    found = evaluate(known.log(1, n=6_000))
    assert found.verdict == PASS, found.says
    assert found.gain is not None
    assert found.gain.low > 0
    assert known.value > float((known.logged * known.p).sum(axis=1).mean())
    swapped = evaluate(replace(known, logged=known.judged * 0.9 + 0.1 / N_OFFERS, judged=known.logged).log(2, n=6_000))
    assert (swapped.verdict, swapped.ramp_share) == (FAIL, 0.0)


def test_what_the_log_never_did_is_refused_and_no_figure_is_printed() -> None:
    """Chosen for certain, whatever the customer: of a policy that would choose otherwise it knows nothing."""
    logged = log(rewards=[1.0, 0.0] * 300, propensity=[1.0] * 600, target=[1.0] * 200 + [0.0] * 400)
    found = evaluate(logged)
    assert (found.verdict, found.ramp_share, dict(found.estimates), found.gain) == (NO_SUPPORT, 0.05, {}, None)
    assert "mean weight 0.33, where 1 is full overlap" in found.says
    assert evaluate(log(rewards=[], propensity=[], target=[])).n_needed > 0
    never = evaluate(log(rewards=[1.0] * 50, propensity=[0.5] * 50, target=[0.0] * 50))
    assert (never.verdict, never.estimates) == (NO_SUPPORT, {})


def test_with_the_decisions_it_asks_for_the_floor_is_reached(known: Known) -> None:
    few = Support.of(known.log(3, n=200))
    needed = few.n_needed(Floor())
    assert few.lacks(Floor())
    assert 500 < needed < 5_000
    held = [not Support.of(known.log(seed, n=200 + int(1.3 * needed))).lacks(Floor()) for seed in range(40, 60)]
    assert np.mean(held) > 0.8


def test_an_interval_too_wide_to_exclude_a_loss_says_how_many_more(known: Known) -> None:
    same = replace(known, judged=0.5 * known.logged + 0.5 / N_OFFERS)
    found = evaluate(same.log(4, n=2_000), largest_loss_share=0.001)
    assert found.verdict == NO_SUPPORT
    assert set(found.estimates) == {"ips", "snips", "dr", "dr_shrunk"}
    assert found.n_needed >= 2_000
    assert f"{found.n_needed:,} decisions more" in found.says


@pytest.mark.parametrize(("name", "value"), [("propensity", 0.0), ("propensity", 1.5), ("target", -0.1),
                                             ("target", float("nan"))])  # fmt: skip
def test_figures_that_no_log_can_hold_are_refused(name: str, value: float) -> None:
    whole = log(rewards=[1.0, 0.0], propensity=[0.5, 0.5], target=[0.5, 0.5])
    with pytest.raises(UserMistake, match=f"{name} is no probability"):
        replace(whole, **{name: np.array([value, 0.5])})
    with pytest.raises(UserMistake, match="one length"):
        replace(whole, rewards=np.ones(3))


class Bandit:
    """A real log of fashion items shown by two policies, with the propensity of each choice."""

    def __init__(self, folder: Path, who: str) -> None:
        self.rows = {name: pd.read_csv(folder / "open_bandit" / name / who / f"{who}.csv.gz", index_col=0)
                     for name in ("bts", "random")}  # fmt: skip
        self.n_items = int(self.rows["random"].item_id.max()) + 1

    def value(self, policy: str) -> float:
        return float(self.rows[policy].click.mean())

    def logged(self, by: str, judged: str, *, seed: int) -> Logged:
        """The log of one policy under the other's chances: even for random, its shares by position for bts."""
        rows = self.rows[by]
        item, clicks, n = rows.item_id.to_numpy(), rows.click.to_numpy(float), np.arange(len(rows))
        pi = self._chances(judged)[rows.position]
        q = self._expected(rows, seed)
        return Logged(clicks, rows.propensity_score.to_numpy(), pi[n, item], q[n, item], (pi * q).sum(axis=1), n)

    def _chances(self, policy: str) -> Array:
        if policy == "random":
            return np.full((4, self.n_items), 1 / self.n_items)
        rows = self.rows[policy]
        return np.array([np.bincount(rows.item_id[rows.position == place], minlength=self.n_items)
                         / max((rows.position == place).sum(), 1) for place in range(4)])  # fmt: skip

    def _expected(self, rows: pd.DataFrame, seed: int) -> Array:
        """q (n, items) by trees that did not see the row: item, position, person, affinity to the item."""
        names = ["item_id", "position", *(f"user_feature_{place}" for place in range(4))]
        told = np.column_stack([pd.factorize(rows[name], sort=True)[0] for name in names]).astype(float)
        liking = rows[[f"user-item_affinity_{item}" for item in range(self.n_items)]].to_numpy()
        recipe = Recipe((*(Feature(name, Kind.CODE) for name in names), Feature("affinity", Kind.NUMBER)))
        n, item, clicks = np.arange(len(rows)), rows.item_id.to_numpy(), rows.click.to_numpy(float)
        shown = np.column_stack([told, liking[n, item]])
        folds, q = customer_folds(n, 3, seed), np.empty((len(rows), self.n_items))
        for fold in range(3):
            inside = folds == fold
            few = Parameters(n_rounds=40, n_leaves=4, min_leaf_rows=300, l2=10.0, seed=seed)
            trees = Trees(grow(shown[~inside], clicks[~inside], recipe, few))
            for other in range(self.n_items):
                other_item = np.column_stack([np.full(inside.sum(), other), told[inside, 1:], liking[inside, other]])
                q[inside, other] = trees.score(other_item)
        return q


@pytest.mark.slow
def test_open_bandit_men_are_told_within_their_lines(shared_data: Path) -> None:
    """Means over three seeds of the folds; the truth hangs on 46 and 69 clicks itself, so about .18 is its floor."""
    men = Bandit(shared_data, "men")
    for by, judged, name, line in (("bts", "random", "dr_shrunk", 0.30), ("random", "bts", "dr", 0.22)):
        found = [evaluate(men.logged(by, judged, seed=seed)) for seed in range(3)]
        truth = men.value(judged)
        assert np.mean([abs(one.estimates[name].value - truth) / truth for one in found]) <= line
        assert all(one.estimates["dr"].low <= truth <= one.estimates["dr"].high for one in found)


@pytest.mark.slow
def test_open_bandit_women_from_bts_to_random_are_refused(shared_data: Path) -> None:
    found = evaluate(Bandit(shared_data, "women").logged("bts", "random", seed=0))
    assert (found.verdict, dict(found.estimates), found.gain) == (NO_SUPPORT, {}, None)
    assert found.support.effective_rows < 3
    assert found.support.largest_weight == pytest.approx(21_739, abs=1)
    assert found.n_needed > 100_000
