"""Who withdraws consent is not spoken to from the next decision on (R32), on each database; who renews it, is again."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from decisioning.policy import decisions
from features.bank.engines import arrow_schema
from features.bank.tables import TABLES
from features.policy import PolicyBook, SegmentsPolicy, segments
from features.profiles import silent
from serving.api.documents import ConsentAnswer
from serving.desk.deciding import Desk
from serving.jobs import decide_everybody
from serving.releases import cut, switch
from serving.settings import Settings, clock_of
from tests.serving.conftest import Bank, open_bank
from tests.serving.homes import AS_OF, INSTANT, build, publish_rows, write_home
from tests.serving.ledgers import LedgerUrl
from tests.serving.test_rights_api import change_key

CONSENTS, USUAL = "/v1/customers/{}/consents", "C-USUAL"
BANK_SAID_ON = date(2025, 12, 20)
Opened = Callable[[str], Bank]


def word(consent_id: str, *, granted: bool = False, at: datetime = INSTANT, **given: Any) -> dict[str, Any]:
    """A withdrawal of marketing consent, or a proven grant."""
    said = {"consent_id": consent_id, "purpose": "MARKETING", "is_granted": granted, "occurred_at": at.isoformat()}
    return said | ({"proof_id": f"proof of {consent_id}"} if granted else {}) | given


def renewed(bank: Bank, consent_id: str, **given: Any) -> dict[str, Any]:
    """A proven grant of this moment."""
    return word(consent_id, granted=True, at=bank.desk.clock.now(), **given)


def say(bank: Bank, *words: dict[str, Any], customer_id: str = USUAL, role: str = "service") -> Any:
    return bank.ask("PUT", CONSENTS.format(customer_id), role=role, json={"consents": words})


def said(bank: Bank, *words: dict[str, Any], customer_id: str = USUAL) -> dict[str, Any]:
    """How the customer stands after words that must be taken."""
    answer = say(bank, *words, customer_id=customer_id)
    assert answer.status_code == 200, answer.text
    return ConsentAnswer.model_validate(answer.json()).model_dump()["standing"]


def codes(bank: Bank, channel: str, customer_id: str = USUAL) -> set[str]:
    """Why offers are not made in a channel."""
    return {out["code"] for out in bank.decide(customer_id, channel=channel, explain="full")["suppressed"]}


def is_spoken_to(bank: Bank, channel: str, customer_id: str = USUAL) -> bool:
    return bool(bank.decide(customer_id, channel=channel)["offers"])


@pytest.fixture
def opened(ledger_url: LedgerUrl, tmp_path: Path) -> Iterator[Opened]:
    """`opened("opt_in")`: a running bank of that basis, on each database in turn, in which C-USUAL allowed all."""
    running = []

    def begin(basis: str) -> Bank:
        home = tmp_path / basis
        write_home(home)
        publish_rows(home, at=INSTANT, changes={
            USUAL: {"consent_said_on": BANK_SAID_ON, "withheld_categories": "|", "has_profiling_optout": False}
            if basis == "opt_in" else {"consented_channels": None, "do_not_call": None}
        })  # fmt: skip
        sections = copy.deepcopy(dict(segments().sections))
        sections["bank"]["consent_basis"] = {"unit": "test", "source": "R39", "since": {date(1990, 1, 1): basis}}
        book = PolicyBook(SegmentsPolicy, sections)
        standing = build(home, segments_digest=book.view(AS_OF).digest)
        switch(home, cut(home, segments=book, decisions=decisions(), champions={}, now=INSTANT, build=standing))
        running.append(open_bank(home, ledger_url=SecretStr(ledger_url(home))))
        return next(running[-1])

    yield begin
    for bank in running:
        next(bank, None)


@pytest.fixture
def bank(opened: Opened) -> Bank:
    return opened("opt_in")


def test_a_withdrawal_closes_every_channel_that_goes_out_from_the_next_decision_on(bank: Bank) -> None:
    before = bank.decide(channel="WECHAT")
    assert before["offers"], "or there is nothing to be closed"
    standing = said(bank, word("c1"))
    assert standing["consented_channels"] == []
    assert {channel: is_spoken_to(bank, channel) for channel in ("WECHAT", "SMS", "EMAIL", "CALL")} == {
        "WECHAT": False, "SMS": False, "EMAIL": False, "CALL": False
    }  # fmt: skip
    assert "NO_CONSENT" in codes(bank, "WECHAT")
    assert is_spoken_to(bank, "APP"), "where he comes himself no consent is asked"
    assert is_spoken_to(bank, "WECHAT", "C-WEALTHY"), "another customer said nothing"


def test_a_decision_before_it_is_replayed_as_it_was_and_one_after_it_too(bank: Bank) -> None:
    before = bank.decide(channel="WECHAT")["decision_id"]
    said(bank, word("c1"))
    after = bank.decide(channel="WECHAT")["decision_id"]
    replayed = [bank.ask("POST", f"/v1/decisions/{d}/replay", role="auditor").json() for d in (before, after)]
    assert [answer["identical"] for answer in replayed] == [True, True]
    stored = [
        json.loads(bank.desk.ledger.decision(d).row.inputs)["facts"]["consented_channels"] for d in (before, after)
    ]
    assert stored == ["|ALL|", "|"]


def test_of_an_instant_before_it_the_ledger_still_gives_the_old_answer(bank: Bank) -> None:
    said(bank, word("c1"))
    earlier = INSTANT - timedelta(hours=1)
    known = [bank.desk.facts([USUAL], at).facts["consented_channels"][0] for at in (earlier, bank.desk.clock.now())]
    assert known == ["|ALL|", "|"]


def test_one_channel_is_closed_alone_and_opened_again_by_a_proven_word(bank: Bank) -> None:
    said(bank, word("c1", channel="WECHAT"))
    assert [is_spoken_to(bank, channel) for channel in ("WECHAT", "EMAIL")] == [False, True]
    standing = said(bank, renewed(bank, "c2", channel="WECHAT"))
    assert standing["consented_channels"] == ["ALL"]
    assert is_spoken_to(bank, "WECHAT")


def test_of_words_at_one_instant_the_withdrawal_counts(bank: Bank) -> None:
    said(bank, word("c1", granted=True, channel="WECHAT"), word("c2", channel="WECHAT"))
    assert not is_spoken_to(bank, "WECHAT")


def test_a_word_that_came_late_does_not_undo_a_later_one(bank: Bank) -> None:
    said(bank, word("c1", at=INSTANT - timedelta(hours=1)))
    said(bank, word("c2", granted=True, at=INSTANT - timedelta(hours=2)))
    assert not is_spoken_to(bank, "WECHAT")


@pytest.mark.parametrize(("days_later", "expected"), [(0, False), (1, True)])
def test_a_grant_counts_only_if_it_is_of_a_later_day_than_the_banks_last_word(
    bank: Bank, days_later: int, *, expected: bool
) -> None:
    """The bank's own table told of a withdrawal on that day, after which the ledger's grant may have come or not."""
    publish_rows(bank.home, at=INSTANT, changes={USUAL: {
        "consent_said_on": BANK_SAID_ON, "consented_channels": "|", "do_not_call": "|CALL|"}})  # fmt: skip
    recut(bank)
    noon = datetime(2025, 12, 20, 4, tzinfo=UTC) + timedelta(days=days_later)
    standing = said(bank, word("c1", granted=True, at=noon))
    assert is_spoken_to(bank, "WECHAT") is expected
    assert standing["do_not_call"] == ([] if expected else ["CALL"]), "a proven word ends it too (R40)"


def recut(bank: Bank) -> None:
    """Release the rows that were published anew, under the policy that stands."""
    ground = bank.desk.ground()
    book = ground.release.segments()
    standing = build(bank.home, segments_digest=book.view(AS_OF).digest)
    switch(bank.home, cut(bank.home, segments=book, decisions=decisions(), champions={}, now=INSTANT, build=standing))
    bank.desk.refresh()
    assert bank.desk.ground().id != ground.id


def test_a_withdrawal_stays_though_rows_published_later_say_otherwise(bank: Bank) -> None:
    said(bank, word("c1"))
    publish_rows(bank.home, at=INSTANT, changes={USUAL: {"consent_said_on": date(2026, 1, 2)}})
    recut(bank)
    assert not is_spoken_to(bank, "WECHAT")


def test_who_ends_profiling_gets_the_order_of_any_stranger_at_once_and_may_take_it_back(bank: Bank) -> None:
    stranger, personal = {"PROFILING_WITHDRAWN"}, bank.decide()
    assert not reasons(personal) & stranger
    assert said(bank, word("c1", purpose="PROFILING"))["has_profiling_optout"] is True
    assert reasons(bank.decide()) >= stranger
    said(bank, renewed(bank, "c2", purpose="PROFILING"))
    again = bank.decide()
    assert not reasons(again) & stranger
    assert [slot["offer_id"] for slot in again["offers"]] == [slot["offer_id"] for slot in personal["offers"]]


def reasons(answer: dict[str, Any]) -> set[str]:
    return {reason["code"] for slot in answer["offers"] for reason in slot["reasons"]}


def test_a_category_is_withheld_in_session_too_everywhere_or_by_one_channel(bank: Bank) -> None:
    known = bank.desk.rulebook().catalogue
    offered = bank.decide(limit=10)["offers"][0]["offer_id"]
    category = next(name for name, which in known.of_category.items() if which[known.index[offered]])
    assert said(bank, word("c1", category=category))["withheld_categories"] == [category]
    assert "CATEGORY_WITHHELD" in codes(bank, "APP")
    said(bank, renewed(bank, "c2", category=category))
    assert "CATEGORY_WITHHELD" not in codes(bank, "APP")
    standing = said(bank, word("c3", category=category, channel="WECHAT", at=bank.desk.clock.now()))
    assert standing["withheld_categories"] == [f"{category}/WECHAT"]
    assert [("CATEGORY_WITHHELD" in codes(bank, channel)) for channel in ("APP", "WECHAT")] == [False, True]


def test_a_request_not_to_be_called_ends_with_renewed_consent(bank: Bank) -> None:
    slot = bank.decide(channel="CALL", limit=1)["offers"][0]["placement_id"]
    event = {"event_id": "E1", "placement_id": slot, "outcome": "dnc_requested", "occurred_at": INSTANT.isoformat()}
    assert bank.ask("POST", "/v1/responses", role="rm", json=[event]).status_code == 200
    assert "DO_NOT_CALL" in codes(bank, "CALL")
    said(bank, renewed(bank, "c1", channel="CALL"))
    assert "DO_NOT_CALL" not in codes(bank, "CALL")


@pytest.mark.parametrize("basis", ["bank_attests", "none"])
def test_without_a_table_of_consents_a_withdrawal_counts_against_the_banks_own_word(opened: Opened, basis: str) -> None:
    bank = opened(basis)
    assert is_spoken_to(bank, "WECHAT") is (basis == "bank_attests")
    standing = said(bank, word("c1"))
    assert standing["consented_channels"] == ([] if basis == "bank_attests" else None)
    assert not any(is_spoken_to(bank, channel) for channel in ("WECHAT", "SMS", "EMAIL", "CALL"))
    assert is_spoken_to(bank, "APP")
    said(bank, renewed(bank, "c2"))
    assert is_spoken_to(bank, "WECHAT") is (basis == "bank_attests")


def test_lists_portraits_and_other_processes_see_it_at_once(bank: Bank, ledger_url: LedgerUrl) -> None:
    settings = Settings(home=bank.home, ledger_url=SecretStr(ledger_url(bank.home)))
    other = Desk.open(settings, clock_of(settings))
    try:
        said(bank, word("c1"))
        listed = {row["customer_id"]: row["offers"] for row in decide_everybody(
            other, channel="WECHAT", limit=3, progress=silent)}  # fmt: skip
        assert listed[USUAL] == []
        assert listed["C-WEALTHY"]
    finally:
        other.close()
    contacts = bank.ask("GET", f"/v1/customers/{USUAL}").json()["contacts"]
    assert contacts["consented_channels"] == []


def test_words_sent_again_are_answered_the_same_and_another_content_is_refused(bank: Bank) -> None:
    first, again = say(bank, word("c1")), say(bank, word("c1"))
    assert (first.status_code, first.content) == (200, again.content)
    other = say(bank, word("c2"), word("c1", channel="SMS"))
    assert (other.status_code, other.json()["errors"][0]["code"]) == (422, "OTHER_BODY")
    kept = export(bank)
    assert [row["consent_id"] for row in kept] == ["c1"], "all or nothing"


def export(bank: Bank) -> list[dict[str, Any]]:
    bank.desk.ledger.export(bank.home / "export")
    rows: list[dict[str, Any]] = pq.read_table(bank.home / "export/consent/ledger.parquet").to_pylist()
    return rows


def test_what_was_said_is_exported_with_its_proof_as_a_bank_table(bank: Bank) -> None:
    said(bank, word("c1", channel="SMS"), word("c2", granted=True, channel="SMS", at=INSTANT - timedelta(days=1)))
    assert [(row["consent_id"], row["is_granted"], row["proof_id"]) for row in export(bank)] == [
        ("c1", False, None), ("c2", True, "proof of c2")
    ]  # fmt: skip


@pytest.mark.parametrize(("wrong", "code"), [
    ({"is_granted": True}, "NO_PROOF"), ({"channel": "PIGEON"}, "UNKNOWN_CHANNEL"),
    ({"category": "umbrellas"}, "UNKNOWN_CATEGORY"), ({"purpose": "PROFILING", "category": "fund"}, "NO_CATEGORY"),
    ({"occurred_at": (INSTANT + timedelta(days=1)).isoformat()}, "IN_FUTURE"),
])  # fmt: skip
def test_a_word_that_does_not_hold_together_is_refused_with_the_whole_batch(
    own_bank: Bank, wrong: dict[str, Any], code: str
) -> None:
    answer = say(own_bank, word("c1"), word("c2") | wrong)
    assert (answer.status_code, [e["code"] for e in answer.json()["errors"]]) == (422, [code])
    assert export(own_bank) == []


def test_an_unknown_field_and_an_empty_list_are_refused(own_bank: Bank) -> None:
    assert say(own_bank, word("c1", colour="red")).status_code == 422
    assert say(own_bank).status_code == 422


def test_who_registered_today_may_say_no_before_any_release_knows_him(own_bank: Bank) -> None:
    assert say(own_bank, word("c1"), customer_id="C-NEW").status_code == 404
    schema = arrow_schema(TABLES["customer"])
    row = dict.fromkeys(schema.names) | {"customer_id": "C-NEW", "known_at": INSTANT - timedelta(hours=1)}
    row |= {field.name: False for field in schema if field.name not in row or (
        not field.nullable and pa.types.is_boolean(field.type))}  # fmt: skip
    row |= {"registered_on": INSTANT.date()}
    folder = own_bank.home / "bank" / "customer"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row], schema=pa.schema([f.with_nullable(True) for f in schema])),
                   folder / "part.parquet")  # fmt: skip
    assert said(own_bank, word("c1"), customer_id="C-NEW")["consented_channels"] is None
    assert [row["customer_id"] for row in export(own_bank)] == ["C-NEW"]


def test_managers_and_leaders_in_their_book_compliance_and_the_app_may_and_nobody_else(own_bank: Bank) -> None:
    change_key(own_bank.home, "rm", book=["C-YOUNG"])
    own_bank.client.app.state.keys.refresh()  # type: ignore[attr-defined]  # the client types its app as plain ASGI
    asked = {role: say(own_bank, word(f"of {role}"), role=role).status_code for role in own_bank.keys}
    assert {role for role, status in asked.items() if status == 200} == {"compliance", "leader", "service"}
    assert set(asked.values()) == {200, 403}
    assert say(own_bank, word("of rm"), customer_id="C-YOUNG", role="rm").status_code == 200
