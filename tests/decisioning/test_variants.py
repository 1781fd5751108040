"""Variants by tier: what a cell is for low, middle and high tiers, and what the check says where one is left out."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from decisioning.catalogue.catalogue import Catalogue
from decisioning.catalogue.checks import check
from decisioning.catalogue.variants import variant
from decisioning.policy import DecisionsPolicy, decisions
from features.errors import BadPolicy
from features.facts import FACTS
from features.policy import PolicyBook, SegmentsPolicy, segments
from features.vocabulary import Stage

TODAY = date(2025, 12, 31)
POLICY, WHO = decisions().view(TODAY), segments().view(TODAY)


def told(change: Callable[[dict[str, Any]], object]) -> list[tuple[str, str, str]]:
    sections = copy.deepcopy(dict(decisions().sections))
    change(sections)
    found = check(WHO, PolicyBook(DecisionsPolicy, sections).view(TODAY), FACTS)
    return [(finding.where, finding.what, finding.rule) for finding in found]


def rows_of(sections: dict[str, Any]) -> Any:
    return sections["variants"]["classes"]["since"][date(1990, 1, 1)]


def test_a_variant_keeps_the_cells_products_and_puts_the_bands_own_first() -> None:
    for class_id, stage, tier in itertools.product(POLICY.matrix, Stage, WHO.tiers.thresholds):
        found, cell = variant(POLICY.matrix, POLICY.variants, class_id, stage, tier), POLICY.matrix[class_id][stage]
        assert sorted(found.products) == sorted(cell.products)
        assert found.hook == cell.hook
    rich = variant(POLICY.matrix, POLICY.variants, "WEALTH", Stage.MATURE, "VIP")
    assert rich.products == ("P07", "P12", "P10", "P14")
    assert (rich.band, rich.channels, rich.benefit) == ("V5+", ("RM", "CALL"), "AIRPORT_LOUNGE")


def test_a_tier_that_is_not_known_is_treated_as_the_lowest() -> None:
    lowest = variant(POLICY.matrix, POLICY.variants, "MASS", Stage.NEW, "V0")
    assert variant(POLICY.matrix, POLICY.variants, "MASS", Stage.NEW, None) == lowest
    assert variant(POLICY.matrix, POLICY.variants, "MASS", Stage.NEW, "PLATINUM") == lowest


@pytest.mark.parametrize(
    ("held", "newcomer", "tier"),
    [
        (None, None, None), ("V4", None, "V4"), (None, "V2", "V2"), ("V2", "V4", "V4"), ("V4", "V2", "V4"),
        ("V4", "V4", "V4"), ("VIP", "VVIP", "VVIP"), ("VVIP", "V5", "VVIP"), ("V0", "PLATINUM", "V0"),
        ("PLATINUM", "V1", "V1"),
    ],
)  # fmt: skip
def test_a_new_customers_tier_counts_where_it_is_the_higher_one(
    held: str | None, newcomer: str | None, tier: str | None
) -> None:
    assert Catalogue.of(POLICY).bands.higher(held, newcomer) == tier


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda s: rows_of(s)["MASS"].pop("V5+"), ("variant MASS/V5+", "variant is missing", "B08")),
        (lambda s: rows_of(s)["MASS"]["V5+"].update(benefit="GOLDEN_BATH"),
         ("variant MASS/V5+", "V5 does not have this benefit", "A02")),
        (lambda s: s["variants"]["cards"]["since"][date(1990, 1, 1)].pop("YOUNG"),
         ("cards of YOUNG", "class has no card of its own", "A03")),
        (lambda s: s["variants"]["cards"]["since"][date(1990, 1, 1)]["YOUNG"][0].update(product="P06"),
         ("cards of YOUNG", "product is no card", "A03")),
        (lambda s: s["variants"]["bands"]["since"][date(1990, 1, 1)].update({"V5+": ["V5", "VIP"]}),
         ("variants", "a tier stands in no band", "B08")),
        (lambda s: s["hooks"]["H19"].update(steps=[]), ("cell YOUNG/PROSPECT", "hook has no follow-up steps", "B08")),
        (lambda s: s["hooks"]["H19"].update(kpi=" "), ("cell YOUNG/PROSPECT", "hook has no measure", "B08")),
        (lambda s: s["matrix"]["YOUNG"]["NEW"].update(products=[]), ("cell YOUNG/NEW", "cell has no product", "B08")),
    ],
)  # fmt: skip
def test_what_a_cell_or_a_class_lacks_is_told(change: Callable[[Any], object], finding: tuple[str, str, str]) -> None:
    assert finding in told(change)


def test_two_bands_that_say_the_same_are_told() -> None:
    found = told(lambda s: rows_of(s)["SILVER"].update({"V3-V4": rows_of(s)["SILVER"]["V0-V2"]}))
    assert {where for where, what, _ in found if what.startswith("same channels")} == {
        "variant SILVER/V0-V2", "variant SILVER/V3-V4",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: rows_of(s)["MASS"]["V5+"].update(channels=["FAX"]), "variant MASS/V5\\+ names 'FAX'"),
        (lambda s: rows_of(s)["MASS"]["V5+"].update(leads=["P99"]), "variant MASS/V5\\+ names 'P99'"),
        (lambda s: rows_of(s)["MASS"].update(V9=rows_of(s)["MASS"]["V5+"]), "unknown bands"),
        (lambda s: s["variants"]["bands"]["since"][date(1990, 1, 1)].update({"V5+": ["V0", "V5"]}), "in one band only"),
    ],
)
def test_variants_that_do_not_hold_together_are_refused(change: Callable[[Any], object], said: str) -> None:
    with pytest.raises(BadPolicy, match=said):
        told(change)


def test_an_event_rule_that_names_what_no_event_has_is_told() -> None:
    ours = copy.deepcopy(dict(segments().sections))
    ours["activity"]["events"]["begun"] = "event == 'SWIPE'"
    ours["activity"]["events"]["loan"] = "product_id == 'P99'"
    found = check(PolicyBook(SegmentsPolicy, ours).view(TODAY), POLICY, FACTS)
    assert [(finding.where, finding.what) for finding in found] == [
        ("events loan", "product_id is never 'P99'"), ("events begun", "event is never 'SWIPE'"),
    ]  # fmt: skip
