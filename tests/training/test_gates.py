"""What may be champion: every gate answered with figure and limit, and told which is closed and by how much."""

from __future__ import annotations

import html
import io
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.console.english import untranslated
from tests.training.made_up import chances, evidence_of, examples_of, judged_as, suspicion
from training.gates import GATES, Evidence, Gate, examine
from training.judging import pictures, report
from training.judging.judgement import CONSTANT, OURS, PLAIN, judge
from training.judging.metrics import Interval
from training.judging.slices import slices_of
from training.policy import models

ENGLISH = {"AUC", "PSI", "PIPL", "HOME", "policy", "models", "inventory", "yaml", "pipia", "duration", "Qini"}


def gate(name: str, evidence: Evidence) -> Gate:
    return next(one for one in examine(evidence).gates if one.name == name)


def with_slope(low: float, high: float) -> Evidence:
    evidence = evidence_of()
    figures = {**evidence.judgement.figures}
    figures[OURS] = {**figures[OURS], "slope": Interval((low + high) / 2, low, high)}
    return replace(evidence, judgement=replace(evidence.judgement, figures=figures))


def test_all_gates_are_answered_even_after_the_first_that_is_closed() -> None:
    verdict = examine(evidence_of(score_psi=0.4, suspicions=[suspicion("duration ranks the outcome")]))
    assert len(verdict.gates) == len(GATES)
    assert [closed.name for closed in verdict.failed] == ["score_stability", "no_leak"]
    assert not verdict.passes
    assert verdict.is_better_than_constant
    assert verdict.says == (
        "score PSI 0.400 against the champion's training scores is above 0.25 by 0.150; "
        "features that may know the answer: duration ranks the outcome"
    )


def test_every_gate_speaks_chinese_too_with_the_same_figures() -> None:
    """Open and closed alike: figures are equal, and no English is left but names, measures and files."""
    nobody, worse = models().view(date(2025, 1, 1)).inventory, Interval(-0.2, -0.3, -0.1)
    closed = evidence_of(score_psi=0.4, suspicions=[suspicion("duration")], inventory=nobody, less_champion=worse)
    for evidence in (evidence_of(), with_slope(0.7, 0.88), closed, replace(evidence_of(), slices=())):
        verdict = examine(evidence)
        assert verdict.says_zh == "；".join(g.says_zh for g in verdict.failed or [gate("not_worse", evidence)])
        for one in verdict.gates:
            assert numbers(one.says_zh) == numbers(one.says), one
            assert re.search("[一-鿿]", one.says_zh + one.zh["limit"])
            named = "".join(str(value) for value in evidence.inventory.model_dump().values())
            words = set(re.findall("[A-Za-z]{3,}", one.says_zh)) - ENGLISH
            assert all(word in named for word in words), one.says_zh
    assert "比 0.25 高 0.150" in gate("score_stability", closed).says_zh


@pytest.mark.parametrize(
    ("low", "said", "said_zh"),
    [(0.4971, "not better than a constant: AUC", "不好于常数："), (0.54, "better than a constant: AUC", "好于常数："),
     (0.517, "not proven better than a constant: AUC", "尚未证明好于常数：")],
)  # fmt: skip
def test_a_lead_that_95_percent_shows_and_one_in_a_thousand_does_not_is_called_unproven(
    low: float, said: str, said_zh: str
) -> None:
    """.5557 less .0387 × 3.09 ÷ 1.96 lies .0053 below chance; .0610 ÷ .0557 squared is 1.2 times the rows."""
    evidence = evidence_of()
    figures = {**evidence.judgement.figures}
    figures[OURS] = {**figures[OURS], "auc": Interval(0.5557, low, 0.593)}
    found = gate("beats_constant", replace(evidence, judgement=replace(evidence.judgement, figures=figures)))
    assert found.passes is (low == 0.54)
    assert found.says.startswith(said)
    assert found.says_zh.startswith(said_zh)
    assert numbers(found.says) == numbers(found.says_zh)
    assert ("1.2 times the test rows" in found.says) is (low == 0.517)
    assert ("为现在的 1.2 倍" in found.says_zh) is (low == 0.517)
    if low == 0.517:
        assert found.figure == "0.4947"


def numbers(text: str) -> list[str]:
    """The figures of a sentence but for those that a language writes out, such as one in a thousand."""
    return sorted(re.findall(r"-?\d+\.\d+", text))


def test_a_model_that_holds_every_gate_is_told_beside_its_rival() -> None:
    verdict = examine(evidence_of())
    assert verdict.passes
    assert verdict.says.startswith("better than the plain model by")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_is_never_called_better_than_a_constant(seed: int) -> None:
    examples = examples_of(is_noise=True, seed=seed)
    drawn = np.random.default_rng(seed).uniform(0.2, 0.4, len(examples.outcomes))
    verdict = examine(evidence_of(judgement=judged_as(examples, drawn)))
    assert (verdict.passes, verdict.is_better_than_constant) == (False, False)
    assert verdict.says.startswith("not better than a constant")


@pytest.mark.parametrize(
    ("low", "high", "passes", "words"),
    [(0.04, 0.06, True, "better than the plain model by"), (-0.01, 0.01, True, "not distinguishable from the plain"),
     (-0.06, -0.04, False, "worse than the plain model by")],
)  # fmt: skip
def test_the_first_model_must_not_be_worse_than_the_plain_one(
    low: float, high: float, passes: bool, words: str
) -> None:
    evidence = evidence_of()
    against = Interval((low + high) / 2, low, high)
    found = gate("not_worse", replace(evidence, judgement=replace(evidence.judgement, ours_less_plain=against)))
    assert found.passes is passes
    assert found.says.startswith(words)


@pytest.mark.parametrize(
    ("low", "high", "passes"), [(0.01, 0.03, True), (-0.01, 0.03, True), (-0.03, -0.01, False), (-0.01, 0.0, True)]
)
def test_a_later_model_must_not_be_significantly_worse_than_the_champion(low: float, high: float, passes: bool) -> None:
    found = gate("not_worse", evidence_of(less_champion=Interval((low + high) / 2, low, high)))
    assert found.passes is passes
    assert "champion" in found.says


def test_a_model_that_ranks_well_and_overstates_is_refused() -> None:
    """The square root of a good p ranks the same and overstates; money would follow it."""
    examples = examples_of()
    truth = chances(examples.frame)
    scores = {OURS: np.sqrt(truth), PLAIN: truth, CONSTANT: np.full(len(truth), examples.outcomes.mean())}
    judged = judge(examples.outcomes, scores, examples.frame["customer_id"].to_numpy(), seed=3, n_resamples=100)
    assert "its probabilities are worse than the" in gate("honest", evidence_of(judgement=judged)).says


@pytest.mark.parametrize(
    ("low", "high", "passes", "by"),
    [(0.95, 1.05, True, ""), (0.80, 0.95, True, ""), (0.70, 0.88, False, "by 0.110"), (1.12, 1.20, False, "by 0.060"),
     (0.60, 1.60, True, "")],
)  # fmt: skip
def test_a_slope_is_refused_when_its_whole_interval_lies_outside(
    low: float, high: float, passes: bool, by: str
) -> None:
    found = gate("calibration_slope", with_slope(low, high))
    assert found.passes is passes
    assert by in found.says
    assert found.limit == "0.9 to 1.1"


def test_a_bank_that_names_no_assessment_is_told_what_to_write_and_where() -> None:
    shipped = models().view(date(2025, 1, 1)).inventory
    failed = {closed.name: closed.says for closed in examine(evidence_of(inventory=shipped)).failed}
    assert set(failed) == {"assessment", "second_person"}
    assert "write its number as pipia_id into HOME/policy/models/inventory.yaml" in failed["assessment"]
    assert failed["second_person"].startswith("the inventory names no owner and no author and no approver")


def test_who_made_a_model_cannot_approve_it() -> None:
    alone = evidence_of().inventory.model_copy(update={"approver": "Li Na", "author": "Li Na"})
    found = gate("second_person", evidence_of(inventory=alone))
    assert not found.passes
    assert found.says == "Li Na made the model and cannot approve it: name a second person"


def test_rows_without_any_group_make_no_parity_report() -> None:
    assert not gate("parity", evidence_of(slices=())).passes


def test_a_group_that_a_model_overrates_shows_its_gap_and_the_others_none() -> None:
    """Everybody converts at .3; the model says .5 of those aged 60 and more, so that they fill the top tenth."""
    chance = np.random.default_rng(4)
    frame = examples_of(n=4000).frame.assign(region=None)
    y = (chance.random(4000) < 0.3).astype(float)
    is_old = (frame["age"] >= 60).to_numpy()
    found = {one.group: one for one in slices_of(frame, y, np.where(is_old, 0.5, 0.3), seed=1) if one.by == "age"}
    assert found["60 and over"].calibration_gap.low > 0.1
    assert found["60 and over"].chosen_gap.low > 0
    assert found["60 and over"].calibration_gap.value == pytest.approx(0.5 - y[is_old].mean())
    others = [one for group, one in found.items() if group != "60 and over"]
    assert all(one.calibration_gap.high < 0.1 and one.chosen_gap.high < 0 for one in others)
    assert set(found) == {"under 30", "30 to 44", "45 to 59", "60 and over", "not known"}
    assert sum(one.n_rows for one in found.values()) == 4000


def test_a_group_of_a_few_customers_is_marked_small() -> None:
    frame = examples_of(n=4000).frame.assign(customer_class="MASS")
    frame.loc[frame["customer_id"].isin(["c1", "c2"]), "customer_class"] = "BIZ_OWNER"
    found = {one.group: one for one in slices_of(frame, np.zeros(4000), np.linspace(0, 1, 4000), seed=1)}
    assert (found["BIZ_OWNER"].n_customers, found["BIZ_OWNER"].is_small, found["MASS"].is_small) == (2, True, False)


def test_the_report_says_what_the_evidence_holds(tmp_path: Path) -> None:
    evidence = evidence_of(suspicions=[suspicion("duration <leaks>")])
    judged, verdict = evidence.judgement, examine(evidence)
    drawn = pictures.draw(judged, tmp_path)
    facts = {"lineage": "l1 & more", "pipia_id": "PIA-7", "lead_time": "3 months"}
    page = report.page("response <1>", facts, evidence, verdict, drawn)
    said = io.StringIO()
    Console(file=said, width=160).print(report.table(judged, "response"), report.gates_table(verdict.gates))
    for text in (page, said.getvalue()):
        assert str(judged.figures[OURS]["auc"]) in text
        assert str(judged.ours_less_plain) in text
        assert "calibration_slope" in text
    assert page.count("data:image/png;base64,") == 2
    for told in ("response &lt;1&gt;", "l1 &amp; more", "PIA-7", "3 months", "duration &lt;leaks&gt;", "60 and over"):
        assert told in page
    assert "http" not in page


@pytest.mark.parametrize(
    "changed",
    [{}, {"score_psi": 0.4}, {"score_psi": 0.2499}, {"suspicions": [suspicion("x ranks the outcome")]},
     {"less_champion": Interval(-0.02, -0.03, -0.01)}, {"less_champion": Interval(0.0, -0.01, 0.01)}],
)  # fmt: skip
def test_a_margin_lies_inside_exactly_where_the_gate_is_open(changed: dict[str, object]) -> None:
    measured = [one for one in examine(evidence_of(**changed)).gates if one.margin is not None]
    assert len(measured) == 6
    assert [one.name for one in measured if (one.margin >= 0) is not one.passes] == []
    narrow = [gate("calibration_slope", with_slope(*ends)).margin for ends in ((0.7, 0.88), (1.12, 1.2))]
    assert narrow == [pytest.approx(-0.02), pytest.approx(-0.02)]


def test_the_report_says_every_gate_in_both_languages() -> None:
    evidence = evidence_of(score_psi=0.4)
    verdict = examine(evidence)
    text = report.page("model", {}, evidence, verdict, [])
    for one in verdict.gates:
        for said in (one.says, one.says_zh):
            assert f"<td>{html.escape(said)}</td>" in text
    judged = evidence.judgement
    assert numbers(judged.caption_zh()) == numbers(judged.caption())
    assert f'<p lang="zh-Hans">{judged.caption_zh()}</p>' in text
    assert untranslated(text) == []
    heads = re.findall("<h2>(.*?)</h2>", text)
    assert len(heads) == 7
    assert all(re.search("[一-鿿]", head) for head in heads), heads
