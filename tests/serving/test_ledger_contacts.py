"""What went out is one row a contact, in whatever order its steps arrive."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.ledger import BadRows, ContactReceipt, ContactRow, DecisionRow, Ledger, PlacementRow
from tests.serving.ledgers import NOON, LedgerUrl, opened

LATER = NOON + timedelta(days=30)
STATUSES = ("sent", "delivered", "opened", "failed", "blocked")
_examples = itertools.count()


@pytest.fixture(scope="module")
def ledger(ledger_url: LedgerUrl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    home = tmp_path_factory.mktemp("contacts")
    with opened(ledger_url(home), home) as ledger:
        yield ledger


def decided(ledger: Ledger, **said: Any) -> str:
    """The customer of a new decision with one placement, `<customer>.1`; `said` of the decision."""
    customer_id = f"C{next(_examples)}"
    slot = PlacementRow(f"{customer_id}.1", 1, "P01", "P01-SMS-1", "SMS", 0.25, LATER, "SERVICE", Decimal("0.05"))
    names = ("R1", "none", "s", "d", "treated", "{}", "{}")
    row = DecisionRow(f"D-{customer_id}", customer_id, NOON, "SMS", *names, (slot,))
    ledger.record([row._replace(**said)]).result()
    return customer_id


@pytest.mark.parametrize(
    ("said", "mark"),
    [({}, None), ({"is_degraded": True}, "DEGRADED"), ({"is_fallback": True}, "DEGRADED"), ({"is_stale": True}, None),
     ({"arm": "HOLDOUT"}, "HOLDOUT"), ({"arm": "HOLDOUT", "is_degraded": True}, "DEGRADED")],
)  # fmt: skip
def test_a_contact_is_exported_with_what_forbids_to_learn_from_its_decision(
    ledger: Ledger, tmp_path: Path, said: dict[str, Any], mark: str | None
) -> None:
    customer_id = decided(ledger, **said)
    ledger.contacts([ContactRow(f"{customer_id}-e", "sent", NOON, f"{customer_id}.1")], "sms")
    (found,) = exported(ledger, tmp_path, customer_id)
    assert found["decision_mark"] == mark


def exported(ledger: Ledger, folder: Path, customer_id: str) -> list[dict[str, Any]]:
    ledger.export(folder)
    rows = pq.read_table(folder / "contact" / "ledger.parquet").to_pylist()
    return [row for row in rows if row["customer_id"] == customer_id]


def test_a_contact_carries_what_its_placement_says(ledger: Ledger, tmp_path: Path) -> None:
    customer_id = decided(ledger)
    row = ContactRow(f"{customer_id}-e", "sent", NOON, f"{customer_id}.1")
    assert ledger.contacts([row], "sms") == [ContactReceipt(row.event_id, f"{customer_id}.1", customer_id)]
    (found,) = exported(ledger, tmp_path, customer_id)
    assert {name: found[name] for name in ("placement_id", "offer_id", "channel", "purpose", "propensity")} == {
        "placement_id": f"{customer_id}.1", "offer_id": "P01", "channel": "SMS", "purpose": "SERVICE",
        "propensity": 0.25,
    }  # fmt: skip
    assert (found["cost_amount"], found["sent_at"], found["delivered_at"]) == (Decimal("0.05"), NOON, None)


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(STATUSES), st.integers(0, 3_000)), min_size=1, max_size=6), data=st.data()
)
def test_the_order_in_which_steps_arrive_does_not_matter(
    ledger: Ledger, steps: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Held against the earliest instant of each kind; a blocked contact is a failed one; steps come in two batches."""
    customer_id = decided(ledger)
    rows = [
        ContactRow(f"{customer_id}-{i}", status, NOON + timedelta(minutes=minute), f"{customer_id}.1")
        for i, (status, minute) in enumerate(steps)
    ]
    arriving = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    for batch in (arriving[:cut], arriving[cut:], arriving):  # and everything once more
        ledger.contacts(batch, "sms")

    def first(*statuses: str) -> np.datetime64:
        at = [NOON + timedelta(minutes=minute) for status, minute in steps if status in statuses]
        return np.datetime64(min(at).replace(tzinfo=None) if at else "NaT", "us")

    found = ledger.recent([customer_id], LATER)
    assert found.kind.tolist() == ["contact"]
    for got, wanted in (
        (found.at[0], first(*STATUSES)), (found.opened_at[0], first("opened")),
        (found.failed_at[0], first("failed", "blocked")),
    ):  # fmt: skip
        assert got == wanted or (np.isnat(got) and np.isnat(wanted))


def test_a_contact_made_elsewhere_is_its_own_and_its_steps_meet_by_their_contact(ledger: Ledger) -> None:
    customer_id = f"C{next(_examples)}"
    visit = ContactRow(f"{customer_id}-1", "sent", NOON, None, customer_id, "BRANCH", "RELATION")
    call = replace(visit, event_id=f"{customer_id}-2", channel="CALL", contact_id=f"{customer_id}-call")
    picked_up = replace(call, event_id=f"{customer_id}-3", status="opened", at=NOON + timedelta(seconds=9))
    receipts = ledger.contacts([visit, call, picked_up], "rm7")
    assert [receipt.contact_id for receipt in receipts] == [f"{customer_id}-1"] + [f"{customer_id}-call"] * 2
    found = ledger.recent([customer_id], LATER)
    assert sorted(found.channel.tolist()) == ["BRANCH", "CALL"]
    assert set(found.purpose.tolist()) == {"RELATION"}
    assert (~np.isnat(found.opened_at)).tolist() == [channel == "CALL" for channel in found.channel]


def test_what_is_opened_after_the_instant_is_not_yet_opened(ledger: Ledger) -> None:
    customer_id = decided(ledger)
    opened_at = NOON + timedelta(hours=2)
    rows = [
        ContactRow(f"{customer_id}-1", "sent", NOON, f"{customer_id}.1"),
        ContactRow(f"{customer_id}-2", "opened", opened_at, f"{customer_id}.1"),
    ]
    ledger.contacts(rows, "sms")
    assert np.isnat(ledger.recent([customer_id], opened_at).opened_at[0])
    assert ledger.recent([customer_id], opened_at + timedelta(microseconds=1)).opened_at[0] == np.datetime64(
        opened_at.replace(tzinfo=None), "us"
    )
    assert ledger.recent([customer_id], NOON).at.size == 0  # sent at that instant is not before it


def test_the_day_of_business_is_the_banks_not_the_machines(ledger: Ledger, tmp_path: Path) -> None:
    customer_id = decided(ledger)
    late = datetime(2025, 12, 31, 16, 30, tzinfo=UTC)  # half past midnight in Shanghai
    ledger.contacts([ContactRow(f"{customer_id}-1", "sent", late, f"{customer_id}.1")], "sms")
    (found,) = exported(ledger, tmp_path, customer_id)
    assert found["business_on"].isoformat() == "2026-01-01"
    ledger.contacts([ContactRow(f"{customer_id}-2", "delivered", NOON, f"{customer_id}.1")], "sms")
    (found,) = exported(ledger, tmp_path, customer_id)
    assert (found["business_on"].isoformat(), found["sent_at"]) == ("2025-12-31", NOON)


def test_every_bad_step_is_listed_and_none_is_written(ledger: Ledger) -> None:
    mine, other = decided(ledger), decided(ledger)
    good = ContactRow(f"{mine}-good", "sent", NOON, f"{mine}.1")
    ledger.contacts([ContactRow(f"{mine}-known", "sent", NOON, None, mine, "CALL", "SALES", None, f"{mine}-call")], "x")
    bad = {
        "UNKNOWN_STATUS": replace(good, event_id="1", status="lost"),
        "NO_ZONE": replace(good, event_id="2", at=datetime(2025, 12, 31)),
        "UNKNOWN_PLACEMENT": replace(good, event_id="3", placement_id="nowhere"),
        "INCOMPLETE": ContactRow("4", "sent", NOON, None, mine, "CALL"),
        "UNKNOWN_PURPOSE": ContactRow("5", "sent", NOON, None, mine, "CALL", "SELL"),
        "OTHER_CUSTOMER": replace(good, event_id="6", customer_id=other),
        "OTHER_BODY": ContactRow(f"{mine}-known", "failed", NOON, None, mine, "CALL", "SALES", None, f"{mine}-call"),
    }
    with pytest.raises(BadRows) as refused:
        ledger.contacts([good, *bad.values()], "sms")
    assert [(row.index, row.code) for row in refused.value.rows] == list(enumerate(bad, start=1))
    assert ledger.recent([mine], LATER).channel.tolist() == ["CALL"]
    with pytest.raises(BadRows, match="another customer"):
        ledger.contacts([ContactRow("7", "opened", NOON, None, other, "CALL", "SALES", None, f"{mine}-call")], "sms")
