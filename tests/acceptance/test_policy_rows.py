"""Promises that the shipped policies hold by themselves: the cells, the map, the catalogue, the rewards."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Catalogue
from decisioning.catalogue.checks import FINANCIAL_CATEGORIES, check
from decisioning.catalogue.hooks import Reward, RewardKind, Trigger
from decisioning.catalogue.legality import judge
from decisioning.decide import decide
from decisioning.inputs import Inputs, Recent
from decisioning.matrix import context
from decisioning.policy import DecisionsPolicy, decisions
from decisioning.situation import Situation
from features.facts import FACTS
from features.policy import PolicyBook, segments
from features.vocabulary import Stage

TODAY = date(2025, 12, 31)
POLICY = decisions().view(TODAY)
CATALOGUE = Catalogue.of(POLICY)
CLASSES = tuple(segments().view(TODAY).classes.classes)
REJECTED_TRIGGERS = {
    "ACCOUNT": "R35",
    "DEPOSIT": "R35",
    "SALARY": "R35",
    "AUM": "R35",
    "WMP": "R36",
    "FUND": "R38",
    "INSURANCE": "R37",
}


def objects(*values: Any) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def inputs(*, classes: tuple[str | None, ...], stages: tuple[str | None, ...], others: str | None = None) -> Inputs:
    """Customers of these classes and stages of whom nothing else is known."""
    n, m = len(classes), CATALOGUE.m
    return Inputs(
        customer_ids=tuple(f"C{i}" for i in range(n)),
        facts={
            "customer_class": objects(*classes),
            "stage": objects(*stages),
            "other_classes": objects(*[others] * n),
        },
        recent=Recent.of(),
        p=None,
        p_channel=None,
        uplift_share=np.full(m, 0.3),
        uplift_is_assumed=np.ones(m, dtype=bool),
        channel="",
        limit=3,
        now=datetime(2025, 12, 31, 4, tzinfo=UTC),
        zone="Asia/Shanghai",
        consent_basis="none",
        release_id="under-test",
        epoch="under-test",
        prices_version="none",
    )


def findings(change: Callable[[dict[str, Any]], object]) -> list[tuple[str, str]]:
    """Where and by which rule the check complains of the shipped policy once it is changed."""
    sections = copy.deepcopy(dict(decisions().sections))
    change(sections)
    changed = PolicyBook(DecisionsPolicy, sections).view(TODAY)
    return [(finding.where, finding.rule) for finding in check(segments().view(TODAY), changed, FACTS)]


def test_B07_class_and_stage_name_one_of_56_filled_cells() -> None:
    pairs = list(itertools.product(CLASSES, map(str, Stage)))
    assert len(pairs) == 56
    for name, stage in pairs:
        cell = POLICY.matrix[name][Stage(stage)]
        assert cell.goal
        assert cell.goal_zh
        assert cell.products
        assert cell.hook in POLICY.hooks
    decided = decide(inputs(classes=tuple(c for c, _ in pairs), stages=tuple(s for _, s in pairs)), CATALOGUE, POLICY)
    assert [(decision.customer_class, decision.stage) for decision in decided] == pairs
    assert all("CLASS_ASSUMED" not in decision.marks for decision in decided)


def test_B07_an_unknown_class_is_treated_as_the_default_and_the_decision_says_so() -> None:
    for unknown in ("RICH", None):
        decision, *_ = decide(inputs(classes=(unknown,), stages=("GROWTH",)), CATALOGUE, POLICY)
        assert (decision.customer_class, decision.stage) == ("MASS", "GROWTH")
        assert "CLASS_ASSUMED" in decision.marks


def test_C01_every_product_is_weighted_by_its_cell_a_secondary_class_or_neither() -> None:
    situation = Situation.of(inputs(classes=("PAYROLL",), stages=("GROWTH",), others="|WEALTH|YOUNG|"), CATALOGUE)
    weights = dict(zip(CATALOGUE.offer_ids, context(situation, CATALOGUE, POLICY).weight[0].tolist(), strict=True))
    own = set(POLICY.matrix["PAYROLL"][Stage.GROWTH].products)
    secondary = {p for name in ("WEALTH", "YOUNG") for p in POLICY.matrix[name][Stage.GROWTH].products} - own
    for product_id in POLICY.products:
        expected = 1.0 if product_id in own else 0.8 if product_id in secondary else 0.5
        assert weights[product_id] == expected, product_id
    assert (own, secondary) == ({"P03", "P11", "P22"}, {"P10", "P16"})


def test_C01_every_product_competes_in_every_cell_or_names_the_reason_that_took_it_out() -> None:
    decision, *_ = decide(inputs(classes=("MASS",), stages=("GROWTH",)), CATALOGUE, POLICY)
    told = {slot.offer_id for slot in decision.offers} | {out.offer_id for out in decision.suppressed}
    taken_out = {out.offer_id: out.code for out in decision.suppressed}
    assert all(taken_out.values())
    assert told <= set(CATALOGUE.offer_ids)
    candidates = set(CATALOGUE.offer_ids) - taken_out.keys()
    unlisted = set(POLICY.products) - set(POLICY.matrix["MASS"][Stage.GROWTH].products)
    assert {"P25", "P30"} <= candidates & unlisted


def test_C01_no_id_dangles_and_a_product_in_no_cell_is_named() -> None:
    in_cells = {name for row in POLICY.matrix.values() for cell in row.values() for name in cell.products}
    overlaid = {POLICY.offers[offer].product for overlay in POLICY.overlays for offer in overlay.offers}
    assert in_cells | (overlaid - {None}) == set(POLICY.products)
    assert ("product P26", "C01") in findings(
        lambda s: (
            s["matrix"]["MASS"]["GROWTH"].update(products=["P03"])
            or s["matrix"]["YOUNG"]["DECLINE"].update(products=["P25"])
        )
    )


def test_D01_every_financial_product_has_one_of_six_categories() -> None:
    assert FINANCIAL_CATEGORIES == ("存款", "理财", "保险", "贷款", "账户", "支付")
    financial = {name: p.category for name, p in POLICY.products.items() if p.kind == "financial"}
    assert set(financial) == {f"P{n:02}" for n in range(1, 24)}
    assert set(financial.values()) == set(FINANCIAL_CATEGORIES)


def test_D01_a_financial_product_outside_the_six_is_named() -> None:
    assert findings(lambda s: s["products"]["P13"].update(category="证券")) == [("product P13", "D01")]


def test_E01_every_pair_of_trigger_and_reward_ends_in_pass_refusal_or_sign_off() -> None:
    verdicts = {}
    for trigger, kind in itertools.product(get_args(Trigger), get_args(RewardKind)):
        ruling = judge(Reward(kind=kind, trigger=(trigger,), amount=1), POLICY.legality)
        verdicts[trigger, kind] = ruling.verdict
        if ruling.verdict == "reject":
            assert ruling.rule in {"R35", "R36", "R37", "R38", "R55"}, (trigger, kind)
    assert len(verdicts) == 8 * 6
    assert [verdicts["TASK", kind] for kind in ("COUPON", "POINTS", "SERVICE", "DRAW")] == ["pass"] * 3 + ["sign_off"]
    for trigger in REJECTED_TRIGGERS:
        assert {verdicts[trigger, kind] for kind in get_args(RewardKind) if kind != "NONE"} == {"reject"}
    assert {verdicts[trigger, "NONE"] for trigger in get_args(Trigger)} == {"pass"}


def test_E01_a_reward_on_a_purchase_is_refused_with_its_rule_and_one_on_a_task_passes() -> None:
    for trigger, rule in REJECTED_TRIGGERS.items():
        ruling = judge(Reward(kind="COUPON", trigger=(trigger,), amount=10), POLICY.legality)
        assert (ruling.verdict, ruling.rule) == ("reject", rule)
    assert judge(Reward(kind="COUPON", trigger=("TASK",), amount=10), POLICY.legality).verdict == "pass"


def test_E01_an_account_with_a_task_needs_a_sign_off_and_a_task_excuses_no_purchase() -> None:
    assert judge(Reward(kind="POINTS", trigger=("ACCOUNT", "TASK")), POLICY.legality).verdict == "sign_off"
    for trigger in set(REJECTED_TRIGGERS) - {"ACCOUNT"}:
        assert judge(Reward(kind="POINTS", trigger=(trigger, "TASK")), POLICY.legality).verdict == "reject"


def test_E01_all_shipped_hooks_end_in_pass_or_recorded_sign_off() -> None:
    verdicts = {hook_id: judge(hook.reward, POLICY.legality).verdict for hook_id, hook in POLICY.hooks.items()}
    assert len(verdicts) == 19
    assert {hook_id for hook_id, verdict in verdicts.items() if verdict != "pass"} == {"H10", "H11"}
    assert all(POLICY.hooks[hook_id].reward.sign_off for hook_id in ("H10", "H11"))
    assert [verdicts[hook_id] for hook_id in ("H10", "H11")] == ["sign_off", "sign_off"]
