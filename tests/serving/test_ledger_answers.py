"""Answers of customers count once, a batch is all or nothing, and what they ask for takes effect with them."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.vocabulary import Outcome
from serving.ledger import BadRows, ConsentRow, DecisionRow, Ledger, PlacementRow, ResponseReceipt, ResponseRow
from serving.ledger.rows import digest
from tests.serving.ledgers import NOON, LedgerUrl, opened, rows_of

LATER = NOON + timedelta(days=30)
_examples = itertools.count()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("answers")


@pytest.fixture(scope="module")
def url(ledger_url: LedgerUrl, home: Path) -> str:
    return ledger_url(home)


@pytest.fixture(scope="module")
def ledger(url: str, home: Path) -> Iterator[Ledger]:
    with opened(url, home) as ledger:
        yield ledger


def decided(ledger: Ledger, *, n: int = 2, channel: str = "APP") -> str:
    """The customer of a new decision with `n` placements, whose ids are his own with .1, .2 …"""
    customer_id = f"C{next(_examples)}"
    slots = tuple(
        PlacementRow(f"{customer_id}.{rank}", rank, f"O{rank}", f"T{rank}", channel, None, LATER)
        for rank in range(1, n + 1)
    )
    names = ("R1", "none", "s", "d", "treated", "{}", "{}")
    row = DecisionRow(f"D-{customer_id}", customer_id, NOON, channel, *names, slots)
    ledger.record([row]).result()
    return customer_id


def answered(event_id: str, placement_id: str, outcome: str = "refused", **given: Any) -> ResponseRow:
    return ResponseRow(event_id, placement_id, outcome, **({"occurred_at": NOON} | given))


def consented(consent_id: str, customer_id: str, **given: Any) -> ConsentRow:
    values: dict[str, Any] = {"purpose": "MARKETING", "is_granted": True, "occurred_at": NOON, "proof_id": "proof"}
    return ConsentRow(consent_id, customer_id, **(values | given))


def outcomes_of(ledger: Ledger, customer_id: str) -> list[str]:
    return sorted(str(outcome) for outcome in ledger.recent([customer_id], LATER).outcome if outcome is not None)


def test_a_response_is_kept_with_its_placements_customer_and_offer(ledger: Ledger) -> None:
    customer_id = decided(ledger)
    receipts = ledger.responses([answered(f"{customer_id}-e", f"{customer_id}.2", "accepted")], "rm7")
    assert receipts == [
        ResponseReceipt(f"{customer_id}-e", f"{customer_id}.2", customer_id, "O2", Outcome.ACCEPTED, None, None)
    ]
    recent = ledger.recent([customer_id], LATER)
    assert (recent.kind.tolist(), recent.outcome.tolist(), recent.offer_id.tolist()) == (
        ["response"],
        ["accepted"],
        ["O2"],
    )
    assert recent.at.tolist() == [NOON.replace(tzinfo=None)]


OUTCOMES = ("refused", "accepted", "complained", "invented")
event = st.tuples(st.integers(1, 4), st.integers(1, 3), st.sampled_from(OUTCOMES))


@settings(max_examples=60, deadline=None)
@given(batches=st.lists(st.lists(event, min_size=1, max_size=4), min_size=1, max_size=5))
def test_an_event_counts_once_whatever_is_sent_and_sent_again(
    ledger: Ledger, batches: list[list[tuple[int, int, str]]]
) -> None:
    """Held against a dictionary: placement 3 does not exist, 'invented' is no outcome."""
    customer_id = decided(ledger)
    model: dict[int, tuple[int, str]] = {}
    for batch in batches:
        rows = [answered(f"{customer_id}-{e}", f"{customer_id}.{slot}", outcome) for e, slot, outcome in batch]
        known, bad = dict(model), set()
        for index, (e, slot, outcome) in enumerate(batch):
            bad |= {(index, "UNKNOWN_PLACEMENT")} if slot == 3 else set()
            bad |= {(index, "UNKNOWN_OUTCOME")} if outcome == "invented" else set()
            bad |= {(index, "OTHER_BODY")} if known.setdefault(e, (slot, outcome)) != (slot, outcome) else set()
        if bad:
            with pytest.raises(BadRows) as refused:
                ledger.responses(rows, "rm7")
            assert {(row.index, row.code) for row in refused.value.rows} == bad
        else:
            model = known
            receipts = ledger.responses(rows, "rm7")
            assert receipts == ledger.responses(rows, "someone else who sends it again")
            assert [(r.event_id, r.placement_id, r.outcome) for r in receipts] == [
                (row.event_id, row.placement_id, row.outcome) for row in rows
            ]
            assert [r.case_id is not None for r in receipts] == [row.outcome == "complained" for row in rows]
        assert outcomes_of(ledger, customer_id) == sorted(outcome for _, outcome in model.values())
        n_open = int((ledger.recent([customer_id], LATER).kind == "complaint").sum())
        assert n_open == sum(outcome == "complained" for _, outcome in model.values())


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome": "accepted"}, {"occurred_at": NOON + timedelta(microseconds=1)}, {"note": "calls back"},
        {"reason_code": "PRICE"}, {"next_contact_on": date(2026, 1, 5)}, {"placement_id": "2"},
    ],
)  # fmt: skip
def test_any_difference_of_content_makes_it_another_body(ledger: Ledger, changed: dict[str, Any]) -> None:
    customer_id = decided(ledger)
    first = answered(f"{customer_id}-e", f"{customer_id}.1")
    ledger.responses([first], "rm7")
    if "placement_id" in changed:
        changed = {"placement_id": f"{customer_id}.2"}
    with pytest.raises(BadRows, match=f"{customer_id}-e"):
        ledger.responses([replace(first, **changed)], "rm7")


def test_the_same_instant_in_another_zone_is_the_same_content(ledger: Ledger) -> None:
    customer_id = decided(ledger)
    row = answered(f"{customer_id}-e", f"{customer_id}.1")
    local = replace(row, occurred_at=NOON.astimezone(ZoneInfo("Asia/Shanghai")))
    assert ledger.responses([row], "rm7") == ledger.responses([local], "rm7")


def test_an_instant_without_a_zone_is_listed_with_the_other_bad_rows(ledger: Ledger) -> None:
    customer_id = decided(ledger)
    rows = [
        answered(f"{customer_id}-1", f"{customer_id}.1"),
        answered(f"{customer_id}-2", f"{customer_id}.1", occurred_at=datetime(2025, 12, 31)),
        answered("", "nowhere"),
    ]
    with pytest.raises(BadRows) as refused:
        ledger.responses(rows, "rm7")
    assert [(row.index, row.code) for row in refused.value.rows] == [
        (1, "NO_ZONE"), (2, "UNKNOWN_PLACEMENT"), (2, "NO_KEY")
    ]  # fmt: skip
    assert [error["index"] for error in refused.value.errors] == ["1", "2", "2"]
    assert outcomes_of(ledger, customer_id) == []


def test_eight_threads_that_send_one_event_write_it_once(ledger: Ledger, url: str) -> None:
    customer_id = decided(ledger)
    rows = [answered(f"{customer_id}-{n}", f"{customer_id}.1", "complained") for n in range(50)]
    receipts: list[list[ResponseReceipt]] = [[] for _ in range(8)]

    def send(mine: list[ResponseReceipt]) -> None:
        for row in rows:
            mine += ledger.responses([row], "rm7")

    threads = [threading.Thread(target=send, args=(mine,)) for mine in receipts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == receipts[0] for mine in receipts)
    assert len(receipts[0]) == 50
    for table in ("response", "complaint", '"case"'):
        assert rows_of(url, f"SELECT count(*) FROM {table} WHERE customer_id = '{customer_id}'") == [(50,)]


def test_of_eight_threads_with_eight_bodies_one_wins_and_the_others_are_told(ledger: Ledger) -> None:
    customer_id = decided(ledger)
    told: list[str] = []

    def send(note: str) -> None:
        try:
            ledger.responses([answered(f"{customer_id}-e", f"{customer_id}.1", note=note)], "rm7")
            told.append("written")
        except BadRows as error:
            told.append(error.rows[0].code)

    threads = [threading.Thread(target=send, args=(f"note {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["OTHER_BODY"] * 7 + ["written"]
    assert outcomes_of(ledger, customer_id) == ["refused"]


def test_a_complaint_opens_a_case_with_it_and_stays_open(ledger: Ledger, url: str) -> None:
    customer_id = decided(ledger)
    row = answered(f"{customer_id}-e", f"{customer_id}.1", "complained", reason_code="FEES")
    case_id = ledger.responses([row], "rm7")[0].case_id
    found = rows_of(
        url,
        'SELECT c.case_id, c.state, c.opened_by, c.placement_id, p.topic, p.closed_at FROM "case" c '
        f"JOIN complaint p USING (complaint_id) WHERE c.customer_id = '{customer_id}'",
    )
    assert found == [(case_id, "OPEN", "rm7", f"{customer_id}.1", "FEES", None)]
    for days in (1, 400):  # an open complaint does not grow old
        recent = ledger.recent([customer_id], NOON + timedelta(days=days))
        assert "complaint" in recent.kind.tolist()


def test_who_asks_not_to_be_called_is_not_until_he_consents_anew(ledger: Ledger) -> None:
    customer_id = decided(ledger, channel="CALL")
    row = answered(f"{customer_id}-e", f"{customer_id}.1", "dnc_requested")
    assert ledger.responses([row], "rm7")[0].do_not_call == "CALL"
    said, closed = date(2025, 12, 31), {customer_id: frozenset({"CALL"})}
    assert ledger.do_not_call([customer_id], said) == closed
    assert ledger.do_not_call([customer_id], said + timedelta(days=4000)) == closed
    assert ledger.do_not_call([customer_id], said - timedelta(days=1)) == {}

    renewed_at = NOON + timedelta(days=200)
    ineffective = [
        consented("no-proof", customer_id, proof_id=None, occurred_at=renewed_at),
        consented("withdrawn", customer_id, is_granted=False, occurred_at=renewed_at),
        consented("for-research", customer_id, purpose="RESEARCH", occurred_at=renewed_at),
        consented("another-channel", customer_id, channel="SMS", occurred_at=renewed_at),
        consented("one-category", customer_id, category="理财", occurred_at=renewed_at),
        consented("before", customer_id, occurred_at=NOON - timedelta(days=1)),
        consented("that-very-instant", customer_id, occurred_at=NOON),
    ]
    for change in ineffective:
        ledger.consents([replace(change, consent_id=f"{customer_id}-{change.consent_id}")], "rm7")
        assert ledger.do_not_call([customer_id], renewed_at.date()) == closed, change.consent_id
    ledger.consents([consented(f"{customer_id}-renewed", customer_id, channel="CALL", occurred_at=renewed_at)], "rm7")
    assert ledger.do_not_call([customer_id], renewed_at.date() - timedelta(days=1)) == closed
    assert ledger.do_not_call([customer_id], renewed_at.date()) == {}


word = st.tuples(st.booleans(), st.integers(0, 60), st.sampled_from(["CALL", "SMS"]), st.booleans())


@settings(max_examples=40, deadline=None)
@given(words=st.lists(word, min_size=1, max_size=6, unique_by=lambda w: w[1]), data=st.data())
def test_closed_channels_do_not_depend_on_which_word_arrives_first(
    ledger: Ledger, words: list[tuple[bool, int, str, bool]], data: st.DataObject
) -> None:
    """A word: asks not to be called (or consents), an hour, a channel, and for consent whether it has a proof."""
    customer_id = decided(ledger)
    slots = {"CALL": decided(ledger, n=1, channel="CALL"), "SMS": decided(ledger, n=1, channel="SMS")}
    who = {channel: slots[channel] for channel in slots}
    for index, (is_request, hour, channel, has_proof) in enumerate(data.draw(st.permutations(words))):
        at = NOON + timedelta(hours=hour)
        if is_request:
            row = answered(f"{customer_id}-{index}", f"{who[channel]}.1", "dnc_requested", occurred_at=at)
            ledger.responses([row], "rm7")
        else:
            proof = "proof" if has_proof else None
            change = consented(f"{customer_id}-{index}", who[channel], occurred_at=at, proof_id=proof)
            ledger.consents([change], "rm7")
    bank_zone = ZoneInfo("Asia/Shanghai")
    for channel, customer in who.items():
        for day in range(5):
            on = date(2025, 12, 31) + timedelta(days=day)
            hours = [h for is_request, h, c, _ in words if is_request and c == channel]
            renewed = [h for is_request, h, c, has_proof in words if not is_request and has_proof and c == channel]

            def day_of(hour: int) -> date:
                return (NOON + timedelta(hours=hour)).astimezone(bank_zone).date()

            is_closed = any(
                day_of(said) <= on and not any(h > said and day_of(h) <= on for h in renewed) for said in hours
            )
            assert ledger.do_not_call([customer], on) == ({customer: frozenset({channel})} if is_closed else {})


def test_a_consent_kept_before_there_were_categories_is_the_same_content_still() -> None:
    plain = ConsentRow("c1", "C1", "MARKETING", True, NOON, None, "proof")
    kept = ["c1", "C1", "MARKETING", True, int(NOON.timestamp() * 1_000_000), None, "proof"]
    assert digest(plain) == sha256(json.dumps(kept).encode()).hexdigest()
    assert digest(replace(plain, category="理财")) != digest(plain)


def test_a_change_of_consent_counts_once_and_not_with_another_content(ledger: Ledger, url: str) -> None:
    customer_id = decided(ledger)
    change = consented(f"{customer_id}-1", customer_id)
    ledger.consents([change, change], "rm7")
    ledger.consents([change], "rm7")
    with pytest.raises(BadRows):
        ledger.consents([replace(change, is_granted=False), consented(f"{customer_id}-2", customer_id)], "rm7")
    assert rows_of(url, f"SELECT consent_id FROM consent WHERE customer_id = '{customer_id}'") == [(change.consent_id,)]
