"""What is drawn is drawn with the probability that is logged; without exploration the best is taken."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisioning.catalogue.catalogue import Catalogue
from decisioning.catalogue.offers import Offer
from decisioning.catalogue.products import Product
from decisioning.exploration import NOTHING, Draw, draw, gumbel
from tests.decisioning.builders import offer, product, small_policy

SEEDS = [f"C{i}" for i in range(60_000)]
STANDARD_ERRORS = 4


def figures(**changes: Any) -> Any:
    return small_policy(arbitration={"exploration_amount": 2.0} | changes).arbitration


def catalogue_of(groups: Sequence[str], tools: Sequence[int] = ()) -> Catalogue:
    """Offers O0, O1, … of these subcategories, in this order; some of them tools."""
    cards = {
        f"O{k}": Product(**product(subcategory=group, kind="tool" if k in tools else "financial"))
        for k, group in enumerate(groups)
    }
    offers = {name: Offer(**offer(product=name)) for name in cards}
    return Catalogue.of(small_policy().model_copy(update={"products": cards, "offers": offers, "overlays": ()}))


def drawn(
    scores: Sequence[float],
    seeds: Sequence[str],
    groups: Sequence[str] | None = None,
    *,
    tools: Sequence[int] = (),
    barred: Sequence[int] = (),
    limit: int = 3,
    **changes: Any,
) -> Draw:
    """The lists of as many customers as there are seeds, all with these scores."""
    catalogue = catalogue_of(groups or [f"g{k}" for k in range(len(scores))], tools)
    score = np.tile(np.array(scores, dtype=np.float64), (len(seeds), 1))
    permitted = np.ones(score.shape, dtype=bool)
    permitted[:, list(barred)] = False
    noise = gumbel(seeds, "2026-03-10", "E1", catalogue.m)
    return draw(score, permitted, noise, catalogue=catalogue, figures=figures(**changes), limit=limit)


def allowed(
    chosen: Sequence[int], groups: Sequence[str], tools: Sequence[int], *, top: int = 3, most: int = 2
) -> list[int]:
    """Offers that may take the next slot: the list's rules in plain words."""
    left = [k for k in range(len(groups)) if k not in chosen]
    if not chosen:
        left = [k for k in left if k not in tools]
    if len(chosen) < top <= len(groups):
        left = [k for k in left if sum(groups[other] == groups[k] for other in chosen) < most]
    return left


def exact(
    scores: Sequence[float], groups: Sequence[str], tools: Sequence[int], amount: float, limit: int
) -> dict[tuple[int, ...], float]:
    """Probability of every list, by enumeration; NOTHING ends a list early."""
    found: dict[tuple[int, ...], float] = defaultdict(float)

    def walk(chosen: tuple[int, ...], chance: float) -> None:
        if len(chosen) == limit:
            found[chosen] += chance
            return
        weights = {k: math.exp(scores[k] / amount) for k in allowed(chosen, groups, tools)} | {NOTHING: 1.0}
        for k, weight in weights.items():
            share = chance * weight / sum(weights.values())
            if k == NOTHING:
                found[(*chosen, NOTHING)] += share
            else:
                walk((*chosen, k), share)

    walk((), 1.0)
    return found


def listed(row: np.ndarray[Any, Any]) -> tuple[int, ...]:
    """A drawn list with one NOTHING where it ended early."""
    offers = [int(k) for k in row if k != NOTHING]
    return tuple(offers) if len(offers) == len(row) else (*offers, NOTHING)


CASES = {
    "plain": ([1.0, 0.0, 2.0, -1.0], ["a", "b", "c", "d"], ()),
    "three of one subcategory, which come back after the third place": ([3.0, 2.5, 2.0, 0.5], ["a", "a", "a", "b"], ()),
    "a tool that may not come first": ([1.0, 0.5, 4.0, 1.5], ["a", "b", "c", "d"], (2,)),
    "both": ([2.0, 2.0, 2.0, 3.0], ["a", "a", "a", "b"], (3,)),
}


@pytest.mark.parametrize(("scores", "groups", "tools"), CASES.values(), ids=CASES)
def test_lists_come_as_often_as_enumeration_says(
    scores: list[float], groups: list[str], tools: tuple[int, ...]
) -> None:
    limit, n = 4, len(SEEDS)
    chances = exact(scores, groups, tools, 2.0, limit)
    assert sum(chances.values()) == pytest.approx(1)
    seen = Counter(listed(row) for row in drawn(scores, SEEDS, groups, tools=tools, limit=limit).offer)
    assert set(seen) <= set(chances)
    for found, chance in chances.items():
        error = math.sqrt(chance * (1 - chance) / n)
        assert abs(seen[found] / n - chance) <= STANDARD_ERRORS * error + 1e-12, found


@pytest.mark.parametrize(("scores", "groups", "tools"), CASES.values(), ids=CASES)
def test_the_product_of_logged_propensities_is_the_probability_of_the_list(
    scores: list[float], groups: list[str], tools: tuple[int, ...]
) -> None:
    limit = 4
    chances = exact(scores, groups, tools, 2.0, limit)
    made = drawn(scores, SEEDS[:500], groups, tools=tools, limit=limit)
    for row, propensity, end in zip(made.offer, made.propensity, made.end_propensity, strict=True):
        joint = np.prod(propensity[row != NOTHING]) * (1.0 if np.isnan(end) else end)
        assert joint == pytest.approx(chances[listed(row)], rel=1e-9)


def test_a_slots_propensities_over_all_offers_sum_to_one() -> None:
    made = drawn([1.0, 0.0, 2.0, -1.0], SEEDS[:3000], limit=1)
    by_offer = {int(k): float(chance) for k, chance in zip(made.offer[:, 0], made.propensity[:, 0], strict=True)}
    end = float(np.nanmax(made.end_propensity))
    assert sum(chance for k, chance in by_offer.items() if k != NOTHING) + end == pytest.approx(1)


def test_without_exploration_the_best_come_in_order_with_probability_one() -> None:
    made = drawn([1.0, 7.0, 3.0, 5.0], ["C1"], exploration_amount=0)
    assert made.offer.tolist() == [[1, 3, 2]]
    assert made.propensity.tolist() == [[1.0, 1.0, 1.0]]
    assert np.isnan(made.end_propensity).all()


def test_no_action_wins_ties_and_ends_the_list() -> None:
    made = drawn([5.0, 2.0, 1.0], ["C1"], exploration_amount=0, relevance_floor_amount=2.0)
    assert made.offer.tolist() == [[0, NOTHING, NOTHING]]
    assert made.end_propensity.tolist() == [1.0]
    assert made.n_drawn.tolist() == [1]


def test_offers_that_tie_come_in_order_of_their_ids() -> None:
    assert drawn([2.0, 2.0, 2.0], ["C1"], exploration_amount=0).offer.tolist() == [[0, 1, 2]]


def test_the_first_three_hold_two_of_a_subcategory_and_the_third_returns_later() -> None:
    made = drawn([9.0, 8.0, 7.0, 1.0], ["C1"], ["a", "a", "a", "b"], exploration_amount=0, limit=4)
    assert made.offer.tolist() == [[0, 1, 3, 2]]


def test_the_list_ends_where_only_a_third_of_one_subcategory_is_left() -> None:
    made = drawn([9.0, 8.0, 7.0], ["C1"], ["a", "a", "a"], exploration_amount=0)
    assert made.offer.tolist() == [[0, 1, NOTHING]]


def test_fewer_candidates_than_places_pass_the_diversity_rule() -> None:
    made = drawn([9.0, 8.0, 7.0], ["C1"], ["a", "a", "a"], barred=[0], diversity_max=1, exploration_amount=0)
    assert made.offer.tolist() == [[1, 2, NOTHING]]


def test_a_tool_comes_after_something_else_or_not_at_all() -> None:
    assert drawn([9.0, 1.0], ["C1"], tools=[0], exploration_amount=0).offer.tolist() == [[1, 0, NOTHING]]
    assert drawn([9.0, -1.0], ["C1"], tools=[0], exploration_amount=0).offer.tolist() == [[NOTHING] * 3]


def test_scores_far_apart_neither_overflow_nor_lose_their_order() -> None:
    made = drawn([1e6, -1e6, 5e5, 1e3], ["C1", "C2"], exploration_amount=0.1, relevance_floor_amount=-2e6, limit=4)
    assert made.offer.tolist() == [[0, 2, 3, 1]] * 2
    assert made.propensity.tolist() == [[1.0] * 4] * 2


def test_noise_is_one_draw_a_customer_day_and_epoch() -> None:
    first = gumbel(["A", "B"], "2026-03-10", "E1", 5)
    assert gumbel(["B"], "2026-03-10", "E1", 5).tolist() == first[1:].tolist()
    for other in (gumbel(["A"], "2026-03-11", "E1", 5), gumbel(["A"], "2026-03-10", "E2", 5), first[1:]):
        assert not np.isclose(other, first[:1]).any()


def test_noise_has_the_moments_of_a_gumbel_variable() -> None:
    noise = gumbel(SEEDS[:20_000], "2026-03-10", "E1", 4)
    error = STANDARD_ERRORS * math.pi / math.sqrt(6 * noise.size)
    assert noise.mean() == pytest.approx(np.euler_gamma, abs=error)
    assert noise.var() == pytest.approx(math.pi**2 / 6, rel=0.03)
    assert abs(np.corrcoef(noise.T) - np.eye(5)).max() < STANDARD_ERRORS / math.sqrt(len(noise))


def test_noise_of_a_customer_is_fixed_for_ever() -> None:
    """Replay rests on it: a change here would re-decide every stored decision differently."""
    fixed = [2.6535173456815135, -1.0287186607123595, 2.807574896844822]
    assert gumbel(["C1"], "2026-03-10", "E1", 2)[0].tolist() == pytest.approx(fixed, rel=1e-12)


@pytest.mark.parametrize("name", ["", "C1", "客户"])
def test_noise_comes_from_the_words_that_numpys_philox_gives_under_the_same_key(name: str) -> None:
    key = hashlib.blake2b(f"2026-03-10|E1|{name}".encode(), digest_size=16, person=b"tiercel-noise").digest()
    words = np.random.Philox(key=int.from_bytes(key, "big")).random_raw(62)
    uniform = ((words >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53
    np.testing.assert_allclose(gumbel([name], "2026-03-10", "E1", 61)[0], -np.log(-np.log(uniform)), rtol=1e-12)


@settings(deadline=None)
@given(st.lists(st.floats(-5, 50), min_size=1, max_size=6), st.integers(0, 10_000))
def test_no_list_names_an_offer_twice_or_one_that_is_barred(scores: list[float], seed: int) -> None:
    barred = [seed % len(scores)]
    row = drawn(scores, [f"C{seed}"], barred=barred, limit=6).offer[0]
    taken = [int(k) for k in row if k != NOTHING]
    assert len(taken) == len(set(taken))
    assert not set(taken) & set(barred)
    assert (row[len(taken) :] == NOTHING).all()
