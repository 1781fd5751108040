"""The catalogue resolves offers, cells and channels as the policy says."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from decisioning.catalogue.catalogue import Catalogue
from features.bank.tables import offer as offer_table
from tests.decisioning.builders import channel, hook, offer, product, shipped_policy, small_policy

SMALL = Catalogue.of(small_policy())
SHIPPED = Catalogue.of(shipped_policy())


def test_offers_stand_in_order_of_their_ids_and_channels_from_cheapest_to_dearest() -> None:
    assert list(SHIPPED.offer_ids) == sorted(SHIPPED.offer_ids)
    assert SMALL.channels == ("APP", "SMS", "CALL", "RM")
    assert SMALL.channel_cost.tolist() == [0.0, 0.05, 5.0, 20.0]


def test_the_rows_are_those_of_the_bank_table_offer() -> None:
    rows = SMALL.rows(date(2026, 1, 1))
    columns = {column.name: column for column in offer_table.columns}
    assert [row["offer_id"] for row in rows] == sorted(small_policy().offers)
    for row in rows:
        assert set(row) == set(columns)
        for name, value in row.items():
            assert value is not None or columns[name].is_nullable, f"{row['offer_id']}.{name}"
    by_id = {row["offer_id"]: row for row in rows}
    assert by_id["NEWS"]["is_ranked"] is False
    assert by_id["DEP-TASKS"] == {
        "offer_id": "DEP-TASKS", "from_on": date(2026, 1, 1), "product_id": "DEP", "hook_id": "TASKS",
        "kind": "financial", "category": "存款", "subcategory": "deposit", "role": "core", "risk_level": 0,
        "min_amount": 50_000, "reward_amount": 5.0, "outcome_days": 30, "n_channels": 3, "needs_view": False,
        "is_ranked": True, "known_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("offer_id", "is_listed"),
    [("DEP", True), ("DEP-TASKS", True), ("TASKS", True), ("SCENE", True), ("REMEDY", True), ("FUND", False),
     ("CAREHOOK", False)],
)  # fmt: skip
def test_a_cell_lists_its_products_its_hook_and_both_together(offer_id: str, is_listed: bool) -> None:
    assert SMALL.listed[SMALL.cells["SAVER", "GROWTH"], SMALL.index[offer_id]] == is_listed


def test_a_product_under_another_hook_is_not_listed() -> None:
    # the elders' cell lists loans, and the care hook; deposits under the task hook are neither
    policy = small_policy(offers={"LOAN-TASKS": offer(product="LOAN", hook="TASKS")})
    catalogue = Catalogue.of(policy)
    row = catalogue.listed[catalogue.cells["ELDER", "NEW"]]
    assert (row[catalogue.index["LOAN"]], row[catalogue.index["LOAN-TASKS"]]) == (True, False)


def test_care_is_service_actions_and_care_hooks_without_a_product() -> None:
    policy = small_policy(offers={"CARE-DEP": offer(product="DEP", hook="CAREHOOK")})
    catalogue = Catalogue.of(policy)
    care = {name for name, is_care in zip(catalogue.offer_ids, catalogue.is_care, strict=True) if is_care}
    assert care == {"REMEDY", "CAREHOOK"}


def test_the_higher_of_two_risk_ratings_counts() -> None:
    assert SMALL.risk_level[SMALL.index["FUND"]] == 3  # the issuer says 2, the bank 3
    assert SMALL.risk_level[SMALL.index["PRIVATE"]] == 5  # the issuer says 5, the bank 4


def test_only_core_products_that_are_no_credit_ask_for_money_at_the_bank() -> None:
    policy = small_policy(products={"HOOKED": product(min_amount=99)}, offers={"HOOKED": offer(product="HOOKED")})
    catalogue = Catalogue.of(policy)
    floors = dict(zip(catalogue.offer_ids, catalogue.own_minimum.tolist(), strict=True))
    assert floors["DEP"] == floors["DEP-TASKS"] == 50_000
    assert floors["LOAN"] == floors["HOOKED"] == 0


def test_channels_are_the_offers_own_or_its_products_or_its_hooks_steps() -> None:
    step = {"anchor": "ENTRY", "delay_days": 0, "purpose": "SALES", "template": "T"}
    policy = small_policy(
        channels={"LETTER": channel("outbound", 2.0)},
        hooks={
            "WALK": hook(steps=[step | {"no": 1, "channels": ["SMS"]}, step | {"no": 2, "channels": ["LETTER", "SMS"]}])
        },
        offers={"WALK": offer(hook="WALK"), "OWN": offer(product="DEP", channels=["RM"])},
    )
    by_id = {card.offer_id: card.channels for card in Catalogue.of(policy).cards}
    assert by_id["WALK"] == ("SMS", "LETTER")
    assert by_id["OWN"] == ("RM",)
    assert by_id["DEP"] == ("APP", "SMS", "RM")


def test_every_shipped_cell_lists_an_offer_that_is_there_for_its_products_and_hook() -> None:
    for cell, row in SHIPPED.cells.items():
        assert SHIPPED.listed[row].any(), cell


def test_a_catalogue_without_rules_or_overlays_holds() -> None:
    bare = small_policy(overlays=[], exclusions=[])
    assert Catalogue.of(bare).overlay_offers.shape == (0, SMALL.m)
