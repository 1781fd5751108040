"""The decisions policy: what one section names in another is there, and what is shipped is whole."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from decisioning.catalogue.catalogue import Catalogue
from decisioning.decide import decide
from decisioning.inputs import Inputs, Recent
from decisioning.policy import DecisionsPolicy, decisions
from features.errors import BadPolicy
from features.facts import FACTS
from features.policy import PolicyBook
from features.vocabulary import Kind, Purpose, Stage

BEGAN = date(1990, 1, 1)
TODAY = date(2025, 12, 31)
Sections = dict[str, Any]


def book(change: Callable[[Sections], object] | None = None) -> PolicyBook[DecisionsPolicy]:
    sections = copy.deepcopy(dict(decisions().sections))
    if change:
        change(sections)
    return PolicyBook(DecisionsPolicy, sections)


def shipped() -> DecisionsPolicy:
    return decisions().view(TODAY)


def every_dated_value(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "since" in node:
            yield path, node
        for key, child in node.items():
            yield from every_dated_value(child, f"{path}.{key}")
    elif isinstance(node, list):
        for i, child in enumerate(node):
            yield from every_dated_value(child, f"{path}[{i}]")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s["matrix"]["MASS"]["NEW"]["products"].append("P99"), "cell MASS/NEW names 'P99'"),
        (lambda s: s["matrix"]["MASS"]["NEW"].update(hook="H99"), "cell MASS/NEW names 'H99'"),
        (lambda s: s["offers"]["P01"].update(product="P99"), "offer P01 names 'P99'"),
        (lambda s: s["products"]["P01"]["channels"].append("FAX"), "product P01 names 'FAX'"),
        (lambda s: s["services"]["S01"]["channels"].append("FAX"), "service S01 names 'FAX'"),
        (lambda s: s["hooks"]["H01"]["steps"][0]["channels"].append("FAX"), "hook H01 step 1 names 'FAX'"),
        (lambda s: s["hooks"]["H01"]["steps"][1]["offers"].append("P99"), "hook H01 step 2 names 'P99'"),
        (lambda s: s["overlays"][0]["offers"].append("P99"), "overlay COMPLAINT_OR_CHURN names 'P99'"),
        (lambda s: s["arbitration"].update(reference_channel="FAX"), "arbitration names 'FAX'"),
    ],
)
def test_an_id_that_leads_nowhere_is_refused_with_who_names_it(change: Callable[[Sections], object], said: str) -> None:
    with pytest.raises(BadPolicy, match=said):
        book(change).view(TODAY)


def test_a_journey_of_one_step_is_refused() -> None:
    with pytest.raises(BadPolicy, match="a journey needs at least two follow-up steps"):
        book(lambda s: s["hooks"]["H01"].update(steps=s["hooks"]["H01"]["steps"][:1])).view(TODAY)


def test_steps_out_of_order_are_refused() -> None:
    with pytest.raises(BadPolicy, match="steps are numbered 1, 2, 3"):
        book(lambda s: s["hooks"]["H01"]["steps"].reverse()).view(TODAY)


def test_a_gate_that_cannot_be_read_is_told_with_its_product() -> None:
    with pytest.raises(BadPolicy, match=r"products\.P06\.gate: .*rule cannot be read"):
        book(lambda s: s["products"]["P06"].update(gate="no student, please")).view(TODAY)


def test_a_home_may_replace_the_matrix_and_keep_our_products(tmp_path: Path) -> None:
    cell = {"goal": "keep", "goal_zh": "维系", "products": ["P06"], "hook": "H06"}
    (tmp_path / "matrix.yaml").write_text(yaml.safe_dump({"ALL": {str(stage): cell for stage in Stage}}), "utf-8")
    view = decisions(tmp_path).view(TODAY)
    assert list(view.matrix) == ["ALL"]
    assert view.products == shipped().products


def test_before_its_first_day_the_policy_is_an_error() -> None:
    with pytest.raises(BadPolicy, match="has not begun on 1989-12-31"):
        decisions().view(BEGAN - timedelta(days=1))


def test_the_minimum_of_gold_follows_its_price_and_earlier_figures_stay() -> None:
    days = (date(2023, 12, 31), date(2024, 1, 1), date(2025, 1, 1), date(2026, 1, 1))
    assert [decisions().view(day).products["P16"].min_amount for day in days] == [400, 500, 700, 1000]
    assert len({decisions().view(day).digest for day in days}) == 4


def test_an_overlay_that_waits_for_an_event_is_in_force_while_it_is_open() -> None:
    def change(sections: Sections) -> None:
        topic = next(overlay for overlay in sections["overlays"] if overlay["id"] == "TOPIC")
        topic["is_open"]["since"] |= {date(2026, 5, 1): True, date(2026, 5, 20): False}

    days = (date(2026, 4, 30), date(2026, 5, 1), date(2026, 5, 19), date(2026, 5, 20))
    views = [book(change).view(day) for day in days]
    assert ["TOPIC" in {overlay.id for overlay in view.overlays} for view in views] == [False, True, True, False]


def test_shipped_values_state_unit_and_source_from_the_first_day_on() -> None:
    for path, value in every_dated_value(dict(decisions().sections)):
        assert value.get("unit"), path
        assert re.fullmatch(r"(R\d\d|practice|assumption)(, (R\d\d|practice))*", value["source"]), path
        assert min(value["since"]) == BEGAN, path


def test_shipped_are_31_products_7_service_actions_19_hooks_and_56_cells() -> None:
    policy = shipped()
    assert list(policy.products) == [f"P{n:02}" for n in range(1, 32)]
    assert list(policy.services) == [f"S{n:02}" for n in range(1, 8)]
    assert list(policy.hooks) == [f"H{n:02}" for n in range(1, 20)]
    assert [len(row) for row in policy.matrix.values()] == [7] * 8


def test_overlays_weigh_less_the_lower_they_stand() -> None:
    factors = [overlay.factor for overlay in shipped().overlays]
    assert factors == sorted(factors, reverse=True)
    assert (factors[0], factors[-1]) == (2.0, 1.4)


def test_private_placements_go_out_by_the_manager_alone_and_stand_in_no_cell() -> None:
    policy = shipped()
    private = {name for name, product in policy.products.items() if product.is_private_placement}
    assert private == {"P17", "P18"}
    assert all(policy.products[name].channels == ("RM",) for name in private)
    assert not private & {name for row in policy.matrix.values() for cell in row.values() for name in cell.products}


def test_every_hook_that_a_scene_needs_pays_back_over_half_a_year() -> None:
    """Own margin of hooks, scenes and tools is near zero or below; with the follow-on margin all but coupons earn."""
    policy = shipped()
    worth = {
        name: product.margin.over_horizon() + product.follow_on_amount
        for name, product in policy.products.items()
        if product.role != "core"
    }
    assert {name for name, value in worth.items() if value <= 0} == {"P31"}


def test_maturity_steps_stand_at_seven_and_three_days_before_and_end_at_fourteen_after() -> None:
    steps = shipped().hooks["H06"].steps
    assert {-7, -3} <= {step.delay_days for step in steps if step.is_mandatory and step.condition is None}
    assert max(step.delay_days for step in steps) == 14
    assert steps[0].purpose is Purpose.LEGAL


def channels_open_to(customer_class: str, *, tags: str = "|") -> set[str]:
    person = {"customer_class": np.array([customer_class], dtype=object), "tags": np.array([tags], dtype=object)}
    rules = {name: channel.allowed_for for name, channel in shipped().channels.items()}
    return {name for name, rule in rules.items() if rule is None or rule.mask(person)[0]}


def test_those_served_by_people_are_reached_by_people_and_letters_alone() -> None:
    by_people = {"CALL", "RM", "BRANCH", "LETTER"}
    assert channels_open_to("SPECIAL_ID") == channels_open_to("SILVER") == by_people
    assert channels_open_to("SPECIAL_ID", tags="|digital_silver|") == by_people
    assert channels_open_to("SILVER", tags="|near_up|digital_silver|") == by_people | {"APP", "WEB"}
    assert channels_open_to("MASS") == set(shipped().channels)


def test_every_cell_has_a_product_that_its_class_can_be_reached_with() -> None:
    policy = shipped()
    for customer_class, row in policy.matrix.items():
        open_channels = channels_open_to(customer_class)
        for stage, cell in row.items():
            reaching = [name for name in cell.products if open_channels & set(policy.products[name].channels)]
            assert reaching, f"{customer_class}/{stage}"


def facts(**known: Any) -> dict[str, Any]:
    """Facts of one customer: what is given, sets empty otherwise, everything else not known."""
    found: dict[str, Any] = {}
    for column in FACTS.values():
        value = known.get(column.name)
        if column.kind in (Kind.CODE, Kind.SET):
            found[column.name] = np.array([value or ("|" if column.kind is Kind.SET else None)], dtype=object)
        elif column.kind is Kind.DATE:
            found[column.name] = np.array([value], dtype="datetime64[D]")
        else:
            found[column.name] = np.array([np.nan if value is None else float(value)])
    return found


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("customer_class", list(decisions().view(TODAY).matrix))
def test_without_any_model_the_figures_leave_an_offer_in_every_cell(customer_class: str, stage: Stage) -> None:
    """Hooks, scenes and tools earn too little by themselves; their follow-on margin must carry them over the floor."""
    quiet = {"exploration_amount": 0, "holdout_share": 0}
    policy = book(lambda s: s["arbitration"].update(quiet)).view(TODAY)
    catalogue = Catalogue.of(policy)
    is_user_only = stage is Stage.PROSPECT
    person = facts(
        customer_class=customer_class,
        stage=str(stage),
        age=67 if customer_class == "SILVER" else 35,
        id_doc_type="FOREIGN" if customer_class == "SPECIAL_ID" else "MAINLAND",
        customer_facts="|IDENTITY_VERIFIED|",
        first_product_on=None if is_user_only else "2024-11-01",
        days_with_product=None if is_user_only else 425,
        consented_channels="|ALL|",
        n_open_complaints=0,
    )
    inputs = Inputs(
        customer_ids=("C0",), facts=person, recent=Recent.of(), p=None, p_channel=None, channel="", limit=3,
        uplift_share=np.full(catalogue.m, policy.arbitration.incremental_share),
        uplift_is_assumed=np.ones(catalogue.m, dtype=bool), now=datetime(2025, 12, 31, 4, tzinfo=UTC),
        zone="Asia/Shanghai", consent_basis="opt_in", release_id="r", epoch="e", prices_version="none",
    )  # fmt: skip
    (decision,) = decide(inputs, catalogue, policy)
    assert decision.offers, (decision.no_action, decision.suppressed)
    assert all(slot.score > 0 for slot in decision.offers)
