"""What may be champion of effects: every gate answered on arms whose truth is known, closed where that closes it."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.training.made_up import evidence_of
from training.gates import EFFECT_GATES, GATES, Evidence, Gate, examine
from training.judging import pictures, report
from training.judging.effect_judgement import EffectJudgement, judge_effects
from training.judging.effects import HeldArms, effect, row_effects, slope
from training.judging.judgement import OURS, PLAIN
from training.judging.metrics import Interval

N = 9_000
EFFECTS = np.repeat([-0.15, 0.05, 0.3], N // 3)


@lru_cache
def held(seed: int = 5, *, is_noise: bool = False) -> HeldArms:
    """Told by known, uneven odds; a third is harmed, a third hardly moved, a third moved, or nobody in particular."""
    chance = np.random.default_rng(seed)
    odds = chance.choice([0.3, 0.5, 0.7], N)
    told = chance.random(N) < odds
    moved = np.full(N, 0.1) if is_noise else EFFECTS
    outcomes = (chance.random(N) < 0.3 + told * moved).astype(float)
    return HeldArms(outcomes, told, odds, np.arange(N))


def judged(effects: Any, plain: Any = None, *, arms: HeldArms | None = None) -> EffectJudgement:
    blind = np.random.default_rng(2).random(N) if plain is None else plain
    return judge_effects(arms or held(), {PLAIN: blind, OURS: effects}, seed=1, n_resamples=200)


@lru_cache
def truth() -> EffectJudgement:
    return judged(EFFECTS)


def evidence(judgement: EffectJudgement | None = None, **changed: Any) -> Evidence[EffectJudgement]:
    return replace(evidence_of(), judgement=judgement or truth(), **changed)  # type: ignore[return-value]  # of effects now


def gate(name: str, found: Evidence[EffectJudgement]) -> Gate:
    return next(one for one in examine(found).gates if one.name == name)


def test_a_model_that_knows_the_truth_passes_and_every_gate_has_the_name_it_has_for_probabilities() -> None:
    verdict = examine(evidence())
    assert verdict.passes, verdict.says
    assert verdict.says.startswith("better than the ranking by response by")
    assert [one.name for one in verdict.gates] == [one.name for one in examine(evidence_of()).gates]
    assert len(EFFECT_GATES) == len(GATES)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_noise_is_never_called_better_than_a_constant(seed: int) -> None:
    """Everybody is moved alike: no ranking is right, whatever a model says."""
    said = np.random.default_rng(seed).normal(0.1, 0.05, N)
    verdict = examine(evidence(judged(said, arms=held(seed, is_noise=True))))
    assert (verdict.passes, verdict.is_better_than_constant) == (False, False)
    assert verdict.says.startswith("not better than a constant: Qini")


def test_a_model_that_would_spare_those_whom_telling_moves_is_refused() -> None:
    """It ranks as the truth does, and puts the third that gains a little below 0: that third would be left alone."""
    found = gate("honest", evidence(judged(np.where(EFFECTS == 0.3, -0.01, EFFECTS - 0.2))))
    assert not found.passes
    assert "worse than telling everybody" in found.says
    assert gate("honest", evidence()).says.startswith("telling those whom it puts above 0 is better than")


@pytest.mark.parametrize(("factor", "passes"), [(0.5, False), (1.0, True), (2.0, False)])
def test_effects_said_too_boldly_or_too_timidly_are_refused_by_their_slope(factor: float, passes: bool) -> None:
    found = gate("calibration_slope", evidence(judged(EFFECTS * factor)))
    assert found.passes is passes
    said = slope(held(), EFFECTS * factor)
    assert said.value == pytest.approx(1 / factor, rel=0.12)


def test_the_slopes_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    inside = [slope(held(seed), EFFECTS).interval(held(seed).customers) for seed in range(120)]
    assert 0.89 <= np.mean([one.low <= 1 <= one.high for one in inside]) <= 0.99


def test_what_rows_say_adds_up_to_the_effect_of_any_group() -> None:
    for third in np.split(np.arange(N), 3):
        member = np.isin(np.arange(N), third)
        measured = effect(held(), member.astype(float)).interval(held().customers)
        assert row_effects(held())[member].mean() == pytest.approx(measured.value, abs=0.02)


@pytest.mark.parametrize(("low", "high", "passes"), [(0.01, 0.03, True), (-0.01, 0.03, True), (-0.03, -0.01, False)])
def test_a_later_model_must_not_rank_significantly_worse_than_the_champion(
    low: float, high: float, passes: bool
) -> None:
    found = gate("not_worse", evidence(less_champion=Interval((low + high) / 2, low, high)))
    assert found.passes is passes
    assert "Qini" in found.says
    assert "champion" in found.says


def test_the_report_holds_every_figure_with_its_interval_and_both_pictures(tmp_path: Path) -> None:
    found = evidence()
    verdict, said = examine(found), io.StringIO()
    drawn = pictures.draw(found.judgement, tmp_path)
    assert {path.name for path in drawn} == {"calibration.png", "qini.png"}
    page = report.page("uplift", {"lineage": "l1"}, found, verdict, drawn)
    Console(file=said, width=200).print(report.table(found.judgement, "uplift"), report.gates_table(verdict.gates))
    for text in (page, said.getvalue()):
        for metric in ("qini", "uplift_at_10", "slope"):
            assert str(found.judgement.figures[OURS][metric]) in text
        assert str(found.judgement.less_everybody) in text
    assert page.count("data:image/png;base64,") == 2
    assert "left alone: last" in page


def test_the_fifths_of_the_picture_agree_with_the_truth() -> None:
    for said, measured in pictures.fifths(truth()):
        one = measured.interval(held().customers)
        assert one.low - 0.02 <= said <= one.high + 0.02
