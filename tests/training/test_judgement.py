"""What may be champion: better than a constant, and not significantly worse than the one it would replace."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.training.made_up import FACTS, OFFERS, PROFILE, QUICK, chances, examples_of
from training.examples import Examples, instants, split_by_time
from training.fitting import constant
from training.judging import report
from training.judging.judgement import CONSTANT, OURS, PLAIN, Judgement, judge, verdict
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


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_is_never_called_better_than_a_constant(seed: int) -> None:
    judged = judgement_of(examples_of(is_noise=True, seed=seed))
    decided = verdict(judged, None)
    assert (decided.passes, decided.is_better_than_constant) == (False, False)
    assert decided.says.startswith("not better than a constant")


def test_behaviour_that_says_more_than_the_profile_wins_by_a_paired_interval() -> None:
    judged = judgement_of(examples_of(n=6000))
    assert judged.ours_less_plain.low > 0
    assert verdict(judged, None).passes


@pytest.mark.parametrize(
    ("by", "passes", "words"),
    [(0.05, True, "better than the plain model by"), (0.0, True, "not distinguishable from the plain model"),
     (-0.05, False, "worse than the plain model by")],
)  # fmt: skip
def test_the_first_model_must_not_be_worse_than_the_plain_one(by: float, passes: bool, words: str) -> None:
    decided = verdict(better(by), None)
    assert decided.passes is passes
    assert decided.says.startswith(words)


@pytest.mark.parametrize(
    ("low", "high", "passes"), [(0.01, 0.03, True), (-0.01, 0.03, True), (-0.03, -0.01, False), (-0.01, 0.0, True)]
)
def test_a_later_model_must_not_be_significantly_worse_than_the_champion(low: float, high: float, passes: bool) -> None:
    decided = verdict(better(-0.05), Interval((low + high) / 2, low, high))
    assert decided.passes is passes
    assert "champion" in decided.says


def test_a_model_that_ranks_well_and_overstates_is_refused() -> None:
    """The square root of a good p ranks the same and overstates; money would follow it."""
    examples = examples_of()
    truth = chances(examples.frame)
    scores = {OURS: np.sqrt(truth), PLAIN: truth, CONSTANT: np.full(len(truth), examples.outcomes.mean())}
    decided = verdict(judge(examples.outcomes, scores, examples.frame["customer_id"].to_numpy(), seed=3), None)
    assert not decided.passes
    assert "its probabilities are worse than the" in decided.says


def test_a_constant_scores_exactly_what_it_must() -> None:
    judged = better(0.0)
    figures = judged.figures[CONSTANT]
    assert figures["auc"] == Interval(0.5, 0.5, 0.5)
    assert figures["brier"].value == pytest.approx(0.25)
    assert figures["log_loss"].value == pytest.approx(np.log(2))
    assert "constant_slope" not in judged.flat()  # it has none, and MLflow would keep a NaN for ever


def test_the_report_says_what_the_judgement_holds(tmp_path: Path) -> None:
    judged = judgement_of(examples_of())
    pictures = report.draw(judged, tmp_path)
    page = report.page(judged, "response <1>", {"lineage": "l1 & more"}, pictures)
    said = io.StringIO()
    Console(file=said, width=160).print(report.table(judged, "response"))
    for text in (page, said.getvalue()):
        assert str(judged.figures[OURS]["auc"]) in text
        assert str(judged.ours_less_plain) in text
    assert page.count("data:image/png;base64,") == 2
    assert "response &lt;1&gt;" in page
    assert "l1 &amp; more" in page
    assert "http" not in page
