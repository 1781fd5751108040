"""A customer may have a tag deleted (R32): at once, everywhere, for good."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from decisioning.policy import decisions
from features.policy import segments
from features.predicates import Predicate
from serving.api import listings
from serving.key_file import add_key
from serving.releases import cut, switch
from tests.serving.conftest import Bank
from tests.serving.homes import INSTANT, build, publish_rows
from tests.serving.test_rights_api import change_key

PORTRAIT, TAG = "/v1/customers/C-USUAL", "/v1/customers/C-USUAL/tags/near_up"


def inputs_of(bank: Bank, decision_id: str) -> dict[str, str]:
    """Codes and sets that a decision was made from, as stored with it."""
    found: dict[str, str] = json.loads(bank.desk.ledger.decision(decision_id).row.inputs)["facts"]
    return found


def test_a_deleted_tag_is_gone_from_portrait_and_timeline_tells_it(own_bank: Bank) -> None:
    assert own_bank.ask("GET", PORTRAIT).json()["tags"] == ["effective", "long_tail", "near_up"]
    answer = own_bank.ask("DELETE", TAG).json()
    listings.TagDeletion.model_validate(answer)
    portrait = own_bank.ask("GET", PORTRAIT).json()
    assert portrait["tags"] == ["effective", "long_tail"]
    assert [event["tag"] for event in portrait["timeline"] if event["kind"] == "tag_deleted"] == ["near_up"]


def test_deleting_again_gives_the_same_answer(own_bank: Bank) -> None:
    first, again = (own_bank.ask("DELETE", TAG) for _ in range(2))
    assert (first.status_code, first.content) == (again.status_code, again.content) == (200, first.content)


def test_a_later_build_that_says_the_tag_again_is_not_believed(own_bank: Bank) -> None:
    own_bank.ask("DELETE", TAG)
    publish_rows(own_bank.home, at=INSTANT, changes={"C-USUAL": {"tags": "|near_up|payroll|"}})
    later = cut(own_bank.home, segments=segments(), decisions=decisions(), champions={}, now=INSTANT,
                build=build(own_bank.home))  # fmt: skip
    switch(own_bank.home, later)
    own_bank.desk.refresh()
    portrait = own_bank.ask("GET", PORTRAIT).json()
    assert (portrait["release_id"], portrait["tags"]) == (later.id, ["payroll"])


def test_predicates_of_a_decision_do_not_see_a_deleted_tag(own_bank: Bank) -> None:
    """What the filters read is what is stored with the decision, so a predicate on tags is asked of that."""
    told = Predicate.parse("'near_up' in tags")
    before, other = own_bank.decide()["decision_id"], own_bank.decide("C-YOUNG")["decision_id"]
    own_bank.ask("DELETE", TAG)
    after, still = own_bank.decide()["decision_id"], own_bank.decide("C-YOUNG")["decision_id"]
    tags = [inputs_of(own_bank, decision)["tags"] for decision in (before, after, other, still)]
    holds = told.mask({"tags": np.array(tags, dtype=object)}).tolist()
    assert holds == [True, False, True, True]
    replayed = [own_bank.ask("POST", f"/v1/decisions/{d}/replay", role="auditor").json() for d in (before, after)]
    assert [answer["identical"] for answer in replayed] == [True, True]


def test_decisions_for_many_and_for_one_read_the_same_tags(own_bank: Bank) -> None:
    own_bank.ask("DELETE", TAG)
    body = {"customer_ids": ["C-USUAL", "C-YOUNG"], "channel": "APP"}
    many = own_bank.ask("POST", "/v1/decisions", json=body).json()["decisions"]
    alone = own_bank.decide()["decision_id"]
    assert (
        inputs_of(own_bank, many[0]["decision_id"])["tags"]
        == inputs_of(own_bank, alone)["tags"]
        == "|effective|long_tail|"
    )
    assert inputs_of(own_bank, many[1]["decision_id"])["tags"] == "|effective|long_tail|near_up|"


@pytest.mark.parametrize("tag", ["payroll", "no_such_tag", "near_up2"])
def test_a_tag_that_the_customer_does_not_have_is_unknown(own_bank: Bank, tag: str) -> None:
    answer = own_bank.ask("DELETE", f"/v1/customers/C-USUAL/tags/{tag}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-tag")
    assert own_bank.desk.ledger.deleted_tags(["C-USUAL"]) == {}


def test_a_tag_above_the_callers_clearance_is_unknown_to_him(own_bank: Bank) -> None:
    change_key(own_bank.home, "rm", network="external")
    own_bank.client.app.state.keys.refresh()  # type: ignore[attr-defined]  # the client types its app as plain ASGI
    hidden = own_bank.ask("DELETE", TAG, role="rm")
    assert (hidden.status_code, hidden.json().get("allowed")) == (404, ["effective", "long_tail"])
    assert own_bank.ask("DELETE", "/v1/customers/C-USUAL/tags/effective", role="rm").status_code == 200


def test_a_manager_deletes_tags_in_his_book_alone(own_bank: Bank) -> None:
    change_key(own_bank.home, "rm", book=["C-YOUNG"])
    own_bank.client.app.state.keys.refresh()  # type: ignore[attr-defined]  # the client types its app as plain ASGI
    assert own_bank.ask("DELETE", TAG, role="rm").status_code == 403
    assert own_bank.ask("DELETE", "/v1/customers/C-NOBODY/tags/near_up", role="rm").status_code == 403
    assert own_bank.ask("DELETE", "/v1/customers/C-NOBODY/tags/near_up").status_code == 404


def test_who_had_it_deleted_and_when_is_exported(own_bank: Bank, tmp_path: Path) -> None:
    own_bank.ask("DELETE", TAG, role="leader")
    own_bank.desk.ledger.export(tmp_path)
    (row,) = pq.read_table(tmp_path / "tag_deletion" / "ledger.parquet").to_pylist()
    assert (row["customer_id"], row["tag"], row["actor"]) == ("C-USUAL", "near_up", "leader")
    assert INSTANT <= row["deleted_at"] < datetime(2026, 1, 3, tzinfo=UTC)


def test_what_a_person_deletes_is_written_under_his_own_name(own_bank: Bank) -> None:
    own_bank.keys["chen.yu"] = add_key(own_bank.home, "chen.yu", "rm")
    own_bank.client.app.state.keys.refresh()  # type: ignore[attr-defined]  # the client types its app as plain ASGI
    tag = own_bank.ask("GET", "/v1/customers/C-WEALTHY").json()["tags"][0]
    answer = own_bank.ask("DELETE", f"/v1/customers/C-WEALTHY/tags/{tag}", role="chen.yu")
    assert answer.headers["cache-control"] == "no-store"
    with own_bank.db() as db:
        assert db.execute("SELECT tag, actor FROM tag_deletion").fetchall() == [(tag, "chen.yu")]
