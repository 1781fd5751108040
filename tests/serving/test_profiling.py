"""Who withdrew consent to profiling: the order of any stranger, by request as in a night, with why, and replayed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.api.documents import DecisionRequest
from serving.desk.deciding import MOST_ALONE
from serving.desk.making import Inquiry
from tests.serving import homes
from tests.serving.conftest import Bank, open_bank

PERSONAL = {"CELL_LISTED", "CELL_SECONDARY", "TIER_LEADS", "HIGH_P"}


@pytest.fixture
def withdrawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    """A bank in which C-USUAL withdrew consent to profiling and C-LIKEWISE, alike in all else, did not."""
    monkeypatch.setitem(homes.CUSTOMERS, "C-USUAL", {"has_profiling_optout": True})
    monkeypatch.setitem(homes.CUSTOMERS, "C-LIKEWISE", {"has_profiling_optout": False})
    homes.write_home(tmp_path / "home")
    yield from open_bank(tmp_path / "home")


def test_a_request_and_a_night_give_the_strangers_order_and_say_why(withdrawn: Bank) -> None:
    asked = DecisionRequest.model_construct(channel="APP", limit=50)
    crowd = ["C-USUAL", "C-LIKEWISE", *(f"NOBODY-{k}" for k in range(MOST_ALONE))]
    night = withdrawn.desk.decide(Inquiry(asked, crowd)).kept
    for name, is_generic in (("C-USUAL", True), ("C-LIKEWISE", False)):
        for answer in (withdrawn.decide(name, limit=50, explain="reasons"), night[name].public):
            codes = {reason["code"] for slot in answer["offers"] for reason in slot["reasons"]}
            marks = {mark["code"] for mark in answer["marks"]}
            assert ("PROFILING_WITHDRAWN" in marks & codes) is is_generic
            assert bool(codes & PERSONAL) is not is_generic
            assert (
                len({slot["components"]["p"] for slot in answer["offers"] if slot["product_id"]}) == 1
            ) is is_generic
    assert [slot["offer_id"] for slot in night["C-USUAL"].public["offers"]] == [
        slot["offer_id"] for slot in withdrawn.decide("C-USUAL", limit=50)["offers"]
    ]


def test_it_is_replayed_the_same_and_shown_in_the_portrait(withdrawn: Bank) -> None:
    answer = withdrawn.decide("C-USUAL")
    again = withdrawn.ask("POST", f"/v1/decisions/{answer['decision_id']}/replay", role="auditor").json()
    assert again["identical"] is True, again
    portrait = withdrawn.ask("GET", "/v1/customers/C-USUAL", role="rm").json()
    assert portrait["who"]["has_profiling_optout"] is True
