"""The worth of a policy that never ran: formulas by hand, and a simulated bank whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.logs import N_OFFERS, Known
from features.errors import UserMistake
from simulation.truth import Truth
from tests.simulation.banks import simulated
from training.judging import off_policy
from training.judging.off_policy import FAIL, NO_SUPPORT, PASS, Floor, Logged, Support, evaluate

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


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """Six thousand customers of a simulated bank; what its truth says of a contact by app is the p of each offer."""
    home = simulated(tmp_path_factory.mktemp("truth") / "home", customers=6_000, months=1).home
    truth, customers, _ = Truth.read(home / "truth")
    return Known.of(truth, len(customers))


def test_over_200_simulated_logs_DR_errs_at_most_four_fifths_of_IPS(known: Known) -> None:
    seeds = range(200)
    square = {name: np.sqrt((known.errors(getattr(off_policy, name), seeds) ** 2).mean())
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
