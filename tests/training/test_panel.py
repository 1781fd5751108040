"""Learners on rows they had not seen: slopes and gains by hand, all together, and who is taken, by what was planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata

from training.panel import TOGETHER, Lead, Part, Shrinkage, Unseen, chosen, shrinkage

N = 4_000


def unseen(*, noise: float, seed: int = 0, n_draws: int = 2, n: int = N) -> Unseen:
    """Draws of three folds: `knows` states effects as they are, the four others share an error of `noise` times their
    spread, and trees of every fold are on a scale and round a middle of their own."""
    chance = np.random.default_rng(seed)
    effect, error = chance.normal(0.1, 0.2, n), noise * chance.normal(0, 0.2, n)
    psi = effect + chance.normal(0, 0.8, n)
    parts = []
    for draw in range(n_draws):
        folds = chance.integers(0, 3, n)
        for fold in range(3):
            rows = np.flatnonzero(folds == fold)
            scores = {"knows": effect[rows]} | {f"other {k}": effect[rows] + error[rows] for k in range(4)}
            scores = {name: 5 * values - 3 for name, values in scores.items()}
            parts.append(Part(draw, psi[rows] + 0.01 * draw, chance.uniform(0.5, 1, len(rows)), rows, scores))
    return Unseen(tuple(parts)).together()


def in_folds(psi: np.ndarray, scores: dict[str, np.ndarray]) -> Unseen:
    """One draw of three folds whose trees are on one scale, and all together beside them."""
    rows = [np.arange(fold, len(psi), 3) for fold in range(3)]
    mine = [{name: values[one] for name, values in scores.items()} for one in rows]
    return Unseen(
        tuple(Part(0, psi[r], np.ones(len(r)), r, said) for r, said in zip(rows, mine, strict=True))
    ).together()


def taken(found: Unseen) -> str:
    return chosen({name: found.gain(name) for name in found.learners}, found.leads())


def test_a_learner_that_is_proven_to_rank_better_than_all_together_is_taken() -> None:
    found = unseen(noise=2.5, n=20_000)
    lead = found.lead("knows")
    assert lead.value > 4 * lead.error
    assert taken(found) == "knows"


def test_among_learners_that_know_the_same_all_together_are_taken_however_one_is_favoured_by_luck() -> None:
    """Five learners with errors of their own, equally good: the best by inner folds is not told apart."""
    chance, n_taken, n_lucky = np.random.default_rng(1), 0, 0
    for _ in range(40):
        effect = chance.normal(0, 0.2, 1_500)
        scores = {f"l{k}": effect + chance.normal(0, 0.05, 1_500) for k in range(5)}
        found = in_folds(effect + chance.normal(0, 2, 1_500), scores)
        n_taken += taken(found) == TOGETHER
        n_lucky += max(lead.value for lead in found.leads().values()) > 0
    assert n_taken == 40
    assert n_lucky > 0, "in some of them a learner had the larger gain"


def test_noise_proves_nobody_better_and_what_is_taken_says_the_average_of_everybody() -> None:
    chance, n_taken, moved = np.random.default_rng(2), 0, []
    for _ in range(200):
        found = in_folds(chance.normal(0.05, 1, 900), {f"l{k}": chance.normal(0, 1, 900) for k in range(5)})
        n_taken += taken(found) == TOGETHER
        moved.append(found.effects(TOGETHER, found.shrinkage(TOGETHER)).std())
    assert n_taken >= 196
    assert np.median(moved) < 0.02


def test_all_together_keep_their_order_and_no_more_where_they_gained_nothing() -> None:
    """Whom they put first in one fold the others put last: no slope holds, and one learner ranks in all."""
    chance = np.random.default_rng(4)
    ranks, psi = chance.normal(0, 1, 900), chance.normal(0.1, 1, 900)
    found = in_folds(psi, {"ranks": ranks, "against": -ranks})
    found = replace(found, parts=tuple(replace(p, scores=p.scores | {TOGETHER: -p.psi}) for p in found.parts))
    kept = found.shrinkage(TOGETHER)
    assert found.gain(TOGETHER) < 0
    assert kept.slope == kept.order > 0
    assert kept.effects(-psi).std() < 0.1 * kept.average_error
    worse = next(name for name in ("ranks", "against") if found.gain(name) < 0)
    assert found.shrinkage(worse).slope == 0


def test_of_several_proven_learners_the_one_that_gains_most_is_taken() -> None:
    gains = {"a": 0.02, "b": 0.03, "c": 0.04, TOGETHER: 0.01}
    leads = {"a": Lead(0.01, 0.001), "b": Lead(0.02, 0.001), "c": Lead(0.03, 0.02)}
    assert chosen(gains, leads) == "b"
    assert chosen({"dr": 0.1}, {}) == "dr", "a panel of one is that one"
    assert not Lead(0.033, 0.01).is_proven(5), "not enough of five that were looked at"
    assert Lead(0.033, 0.01).is_proven(1)


def test_all_together_are_the_mean_of_effects_by_lines_that_knew_nothing_of_the_fold() -> None:
    found = unseen(noise=1.0)
    part = found.parts[4]
    others = [one for one in found.parts if one.draw == part.draw and one is not part]
    assert len(others) == 2
    psi, weights = (np.concatenate([getattr(one, name) for one in others]) for name in ("psi", "weights"))
    said = []
    for name in (name for name in found.learners if name != TOGETHER):
        scores = np.concatenate([one.scores[name] for one in others])
        slope, _ = np.polyfit(scores, psi, 1, w=np.sqrt(weights))
        who = np.concatenate([one.customers for one in others])
        kept = shrinkage(scores, psi, weights, who, is_ranking=True)
        assert kept.measured == pytest.approx(slope)
        mine = part.scores[name]
        said.append(np.average(psi, weights=weights) + kept.slope * (mine - np.average(mine, weights=part.weights)))
    np.testing.assert_allclose(part.scores[TOGETHER], np.mean(said, axis=0), rtol=0, atol=1e-12)


def test_gain_and_lead_are_those_of_a_plain_loop_over_folds_and_customers() -> None:
    found = unseen(noise=1.0)
    places = {
        name: np.concatenate([(rankdata(part.scores[name]) - 0.5) / len(part.psi) for part in found.parts])
        for name in ("knows", TOGETHER)
    }
    w, psi = found.weights, found.psi
    assert found.gain("knows") == pytest.approx(np.average(psi * (places["knows"] - 0.5), weights=w))
    more = psi * (places["knows"] - places[TOGETHER])
    value = np.average(more, weights=w)
    sums = [(w * (more - value))[found.customers == customer].sum() for customer in range(N)]
    lead = found.lead("knows")
    assert lead.value == pytest.approx(value)
    assert lead.value == pytest.approx(found.gain("knows") - found.gain(TOGETHER))
    assert lead.error == pytest.approx(np.sqrt(np.square(sums).sum()) / w.sum())


def test_the_line_goes_straight_until_an_effect_of_one() -> None:
    kept = Shrinkage(0.1, 0.01, 2.0, 0.5, 0.0)
    s = np.linspace(0, 4, 9)
    np.testing.assert_allclose(kept.line(s).apply(s), (0.1 + 0.5 * (s - 2)).clip(-1, 1), rtol=0, atol=1e-12)
    assert kept.line(s).apply(np.array([-9.0, 9.0])).tolist() == pytest.approx([-1, 1])


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
