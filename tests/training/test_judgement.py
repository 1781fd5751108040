"""The figures of the test rows: a constant scores what it must, and what says more wins by a paired interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.made_up import FACTS, OFFERS, PROFILE, QUICK, examples_of
from training.examples import Examples, instants, split_by_time
from training.fitting import constant
from training.judging.judgement import CONSTANT, OURS, PLAIN, Judgement, judge
from training.judging.metrics import Interval
from training.models import response


def judgement_of(examples: Examples, *, seed: int = 3) -> Judgement:
    split = split_by_time(instants(examples.frame["sent_at"]), instants(examples.frame["closes_at"]))
    trained = response.train(examples, split, facts=FACTS, profile=PROFILE, offers=OFFERS, parameters=QUICK)
    test = examples.frame[split.test]
    scores = {OURS: trained.ours.predict(test), PLAIN: trained.plain.predict(test),
              CONSTANT: constant(examples.outcomes, split)}  # fmt: skip
    return judge(examples.outcomes[split.test], scores, test["customer_id"].to_numpy(), seed=seed, n_resamples=200)


def better(by: float) -> Judgement:
    """A judgement whose paired difference is `by` ± .01, on scores that rank well."""
    y = np.tile([0.0, 1.0], 200)
    good = np.tile([0.2, 0.7], 200) + np.random.default_rng(0).normal(0, 0.2, 400)
    scores = {OURS: good, PLAIN: good, CONSTANT: np.full(400, 0.5)}
    return replace(judge(y, np_scores(scores), np.arange(400), seed=1, n_resamples=50),
                   ours_less_plain=Interval(by, by - 0.01, by + 0.01))  # fmt: skip


def np_scores(scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.clip(values, 0.01, 0.99) for name, values in scores.items()}


def test_a_constant_scores_exactly_what_it_must() -> None:
    judged = better(0.0)
    figures = judged.figures[CONSTANT]
    assert figures["auc"] == Interval(0.5, 0.5, 0.5)
    assert figures["brier"].value == pytest.approx(0.25)
    assert figures["log_loss"].value == pytest.approx(np.log(2))
    assert "constant_slope" not in judged.flat()  # it has none, and MLflow would keep a NaN for ever


def test_behaviour_that_says_more_than_the_profile_wins_by_a_paired_interval() -> None:
    assert judgement_of(examples_of(n=6000)).ours_less_plain.low > 0
