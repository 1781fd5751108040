"""What `policy check` says: nothing of the shipped policy on any day, and the right thing of each way to break it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.catalogue.checks import Finding, check, rules_of
from decisioning.catalogue.copy_lint import banned_words, lint_text
from decisioning.catalogue.journeys import most_within
from decisioning.policy import DecisionsPolicy, decisions
from features.facts import FACTS
from features.policy import PolicyBook, SegmentsPolicy, segments

TODAY = date(2025, 12, 31)
Sections = dict[str, Any]
EVERY_DAY = sorted({*segments().dates(), *decisions().dates()})
WORDING = decisions().view(TODAY).wording


def findings(
    *,
    decide: Callable[[Sections], object] | None = None,
    segment: Callable[[Sections], object] | None = None,
    day: date = TODAY,
) -> list[Finding]:
    """What the check says of the shipped policies, each changed as given."""
    theirs, ours = copy.deepcopy(dict(decisions().sections)), copy.deepcopy(dict(segments().sections))
    if decide:
        decide(theirs)
    if segment:
        segment(ours)
    return check(PolicyBook(SegmentsPolicy, ours).view(day), PolicyBook(DecisionsPolicy, theirs).view(day), FACTS)


def told(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.where, finding.what, finding.rule) for finding in found]


@pytest.mark.parametrize("day", EVERY_DAY)
def test_the_shipped_policy_has_no_findings_on_any_day_that_changes_it(day: date) -> None:
    assert findings(day=day) == []


def test_every_rule_of_the_policy_is_checked() -> None:
    policy = decisions().view(TODAY)
    where = [place for place, _ in rules_of(segments().view(TODAY), policy)]
    assert len(where) == len(set(where))
    assert {"class WEALTH keep", "tag near_up", "product P19", "service S01", "channel APP", "overlay MATURITY",
            "exclusion STAFF", "hook H06", "hook H01 step 2", "hook H01 step 2 stop"} <= set(where)  # fmt: skip


def test_a_rule_over_an_unknown_column_is_found_with_its_place() -> None:
    found = findings(decide=lambda s: s["products"]["P06"].update(gate="star_sign == 'LEO'"))
    assert told(found) == [("product P06", "unknown column 'star_sign' in rule", "A11"),
                           ("product P06", "gated core product asks for no readiness", "D08")]  # fmt: skip
    assert "days_to_maturity" in found[0].allowed


def test_a_rule_that_compares_unlike_kinds_is_found() -> None:
    found = findings(segment=lambda s: s["tags"]["near_up"].update(rule="tier >= 200000"))
    assert told(found) == [("tag near_up", "column 'tier' is a code and cannot be used so", "A11")]


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("customer_class == 'RICH'", "customer_class is never 'RICH'"),
        ("'RICH' in other_classes", "other_classes is never 'RICH'"),
        ("tier in ('V4', 'V6')", "tier is never 'V6'"),
        ("stage != 'ASLEEP'", "stage is never 'ASLEEP'"),
        ("'P99' in held_products", "held_products is never 'P99'"),
        ("'SHOE_SIZE' in customer_facts", "customer_facts is never 'SHOE_SIZE'"),
        ("'gold_digger' in tags", "tags is never 'gold_digger'"),
        ("not (investor_type == 'BRAVE')", "investor_type is never 'BRAVE'"),
    ],
)
def test_a_rule_that_compares_with_a_label_nobody_has_is_found(rule: str, what: str) -> None:
    found = findings(decide=lambda s: s["products"]["P24"].update(gate=rule))
    assert told(found) == [("product P24", what, "A11")]


def test_a_missing_cell_and_a_missing_row_are_found() -> None:
    found = findings(decide=lambda s: (s["matrix"]["MASS"].pop("LOST"), s["matrix"].pop("YOUNG")))
    cells = {where for where, what, rule in told(found) if (what, rule) == ("cell is missing", "B07")}
    assert cells == {"cell MASS/LOST", *(f"cell YOUNG/{stage}" for stage in
        ("PROSPECT", "NEW", "GROWTH", "MATURE", "DECLINE", "DORMANT", "LOST"))}  # fmt: skip


def test_a_row_for_a_class_that_nobody_can_have_is_found() -> None:
    found = findings(decide=lambda s: s["matrix"].update(RICH=s["matrix"]["WEALTH"]))
    assert told(found) == [("matrix row RICH", "no such class", "B07")]


def test_a_cell_without_product_is_found_and_so_is_the_product_that_stood_there_alone() -> None:
    found = findings(decide=lambda s: s["matrix"]["YOUNG"]["NEW"].update(products=[]))
    assert ("cell YOUNG/NEW", "cell has no product", "B08") in told(found)
    found = findings(decide=lambda s: s["matrix"]["CREDIT"]["MATURE"].update(products=["P03"]))
    assert told(found) == [("product P20", "stands in no cell and no overlay", "C01")]


def test_a_core_product_for_those_who_sleep_is_found() -> None:
    found = findings(decide=lambda s: s["matrix"]["MASS"]["DORMANT"]["products"].append("P06"))
    assert told(found) == [("cell MASS/DORMANT", "core product in a stage that bars core products", "D08")]


def test_a_product_without_an_offer_of_its_own_is_found() -> None:
    found = findings(decide=lambda s: s["offers"].pop("P29"))
    assert told(found) == [("product P29", "has no offer of its own", "C01")]


def test_a_pair_that_a_cell_names_and_nobody_offers_is_found() -> None:
    found = findings(decide=lambda s: s["offers"].pop("H01-P30"))
    assert told(found) == [("cell MASS/PROSPECT", "pair of hook and product is no offer", "C01")]
    assert found[0].value == "H01-P30"


def test_a_financial_product_outside_the_six_categories_is_found() -> None:
    found = findings(decide=lambda s: s["products"]["P16"].update(category="珠宝"))
    assert told(found) == [("product P16", "category of a financial product", "D01")]


def test_a_catalogue_without_one_of_the_four_kinds_is_found() -> None:
    def change(sections: Sections) -> None:
        for name in ("P30", "P31"):
            sections["products"][name]["kind"] = "platform"

    assert told(findings(decide=change)) == [("products", "no product of a kind", "D02")]


@pytest.mark.parametrize(
    ("trigger", "rule"),
    [("ACCOUNT", "R35"), ("DEPOSIT", "R35"), ("SALARY", "R35"), ("AUM", "R35"), ("WMP", "R36"), ("FUND", "R38"),
     ("INSURANCE", "R37")],
)  # fmt: skip
def test_a_reward_on_balance_or_purchase_is_found_with_its_rule(trigger: str, rule: str) -> None:
    found = findings(decide=lambda s: s["hooks"]["H07"]["reward"].update(trigger=[trigger]))
    assert told(found) == [("hook H07", "reward is not lawful", rule)]


def test_a_task_beside_a_purchase_does_not_make_the_reward_lawful() -> None:
    found = findings(decide=lambda s: s["hooks"]["H07"]["reward"].update(trigger=["TASK", "WMP"]))
    assert told(found) == [("hook H07", "reward is not lawful", "R36")]


def test_a_draw_without_a_recorded_sign_off_is_found() -> None:
    found = findings(decide=lambda s: s["hooks"]["H11"]["reward"].pop("sign_off"))
    assert told(found) == [("hook H11", "reward needs a recorded sign-off", "R56")]


def test_a_reward_paid_on_buying_a_deposit_under_a_task_hook_is_found() -> None:
    found = findings(decide=lambda s: s["offers"]["H01-P01"].pop("reward_amount"))
    assert told(found) == [("offer H01-P01", "reward on buying the product", "R35")]


def test_forbidden_words_and_missing_phrases_in_copy_are_found() -> None:
    found = findings(decide=lambda s: s["offers"]["P09"].update(copy_zh="保 本理财", copy_en="Buy now"))
    assert sorted((finding.rule, finding.value or finding.allowed) for finding in found) == [
        ("R39", "opt out"), ("R39", "退订"), ("R42", "risk notice"), ("R42", "保本"), ("R42", "风险提示"),
    ]  # fmt: skip


def test_a_loan_without_its_yearly_rate_is_found() -> None:
    found = findings(decide=lambda s: s["offers"]["P19"].update(copy_zh="借款。退订回T。"))
    assert [(finding.rule, finding.allowed) for finding in found] == [("R42", "年化(单利)")]


def test_a_channel_that_no_table_knows_is_found() -> None:
    found = findings(decide=lambda s: s["channels"].update(FAX=s["channels"]["LETTER"]))
    assert told(found) == [("channel FAX", "no channel of the bank's tables", "C10")]


def test_a_move_to_a_stage_that_is_none_is_found() -> None:
    def change(sections: Sections) -> None:
        sections["lifecycle"]["legal_moves"] = {"PROSPECT": ["NEW", "ASLEEP"]}

    found = told(findings(segment=change))
    assert ("legal moves from PROSPECT", "no such stage", "B01") in found
    assert sum(what == "a stage has no row" for _, what, _ in found) == 6


def test_a_holdout_exempting_a_tier_that_is_none_is_found() -> None:
    found = findings(decide=lambda s: s["arbitration"].update(holdout_exempt_tiers=["DIAMOND"]))
    assert told(found) == [("arbitration", "holdout exempts no such tier", "R47")]


def test_readiness_weights_that_do_not_sum_to_one_are_found() -> None:
    found = findings(decide=lambda s: s["readiness"].update(weights={"days": 0.3, "services": 0.3}))
    assert told(found) == [("readiness", "weights must name four parts and sum to 1", "D08")]


def test_a_journey_that_its_channels_caps_cannot_carry_is_found() -> None:
    def change(sections: Sections) -> None:
        for step in sections["hooks"]["H01"]["steps"][1:3]:
            step["channels"] = ["SMS"]

    assert told(findings(decide=change)) == [("hook H01", "sales steps do not fit into their channels' caps", "E03")]


def test_a_journey_with_more_sales_steps_than_a_customer_may_get_is_found() -> None:
    found = findings(decide=lambda s: s["contact"].update(sales_max=2))
    assert [(finding.where, finding.what, finding.value) for finding in found] == [
        ("hook H01", "too many sales steps in 30 days", "3")
    ]


@given(days=st.lists(st.integers(-30, 60), max_size=12), window=st.integers(1, 40))
def test_the_busiest_window_is_the_busiest_of_all_windows(days: list[int], window: int) -> None:
    by_hand = max((sum(start <= day < start + window for day in days) for start in range(-80, 80)), default=0)
    assert most_within(days, window) == by_hand


@given(
    word=st.sampled_from(WORDING.banned_zh), before=st.text(max_size=5), gap=st.sampled_from(["", " ", "·", "\u200b"])
)
def test_a_forbidden_word_is_found_whatever_stands_around_it_or_between(word: str, before: str, gap: str) -> None:
    assert word in banned_words(f"{before}。{gap.join(word)}!", "", WORDING)


def test_an_english_word_is_found_as_a_word_and_not_inside_another() -> None:
    assert banned_words("", "GUARANTEED, risk free!", WORDING) == ["guaranteed", "risk-free"]
    assert banned_words("", "the last daylight; below risk", WORDING) == []


def test_care_needs_no_way_out_and_a_sale_does() -> None:
    assert lint_text("copy", "专人会与您联系。", "A person will call you.", WORDING, ()) == []
    found = lint_text("copy", "专人会与您联系。", "A person will call you.", WORDING, ("sale",))
    assert [finding.allowed for finding in found] == ["退订", "opt out"]
