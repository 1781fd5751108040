"""The bank's own history comes in, what the ledger learned goes out, both in the form of the bank's tables."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.bank.tables import TABLES
from features.vocabulary import Kind
from serving.ledger import ConsentRow, ContactRow, DecisionRow, Ledger, PlacementRow, ResponseRow
from tests.serving.ledgers import NOON, LedgerUrl, opened

TYPES = {
    Kind.FLAG: pa.bool_(), Kind.INTEGER: pa.int64(), Kind.NUMBER: pa.float64(), Kind.AMOUNT: pa.decimal128(18, 2),
    Kind.CODE: pa.string(), Kind.DATE: pa.date32(), Kind.INSTANT: pa.timestamp("us", tz="UTC"),
}  # fmt: skip
Rows = Sequence[dict[str, Any]]


@pytest.fixture
def ledger(ledger_url: LedgerUrl, tmp_path: Path) -> Iterator[Ledger]:
    with opened(ledger_url(tmp_path), tmp_path) as ledger:
        yield ledger


def bank(name: str, rows: Rows) -> pa.Table:
    """Bank table `name` with its full contract; columns that a row leaves out are missing."""
    columns = TABLES[name].columns
    arrays = [pa.array([row.get(column.name) for row in rows], TYPES[column.kind]) for column in columns]
    return pa.table(arrays, names=[column.name for column in columns])


def sent(i: int, customer_id: str, at: datetime, **given: Any) -> dict[str, Any]:
    values = {"contact_id": f"K{i}", "customer_id": customer_id, "channel": "SMS", "purpose": "SALES", "sent_at": at,
              "business_on": at.date(), "cost_amount": Decimal("0.05"), "known_at": at}  # fmt: skip
    return values | given


def told(i: int, customer_id: str, at: datetime, **given: Any) -> dict[str, Any]:
    values = {"event_id": f"E{i}", "customer_id": customer_id, "outcome": "refused", "occurred_at": at,
              "business_on": at.date(), "known_at": at}  # fmt: skip
    return values | given


def complained(i: int, customer_id: str, at: datetime, **given: Any) -> dict[str, Any]:
    values = {"complaint_id": f"X{i}", "customer_id": customer_id, "opened_at": at, "business_on": at.date(),
              "topic": "FEES", "severity": 3, "known_at": at}  # fmt: skip
    return values | given


def around_every_limit(chance: random.Random) -> tuple[Rows, Rows, Rows]:
    """Contacts, responses, complaints at random about 180 days, the instant itself; known, opened, settled late."""
    edges = [timedelta(0), timedelta(microseconds=-1), timedelta(days=-180), timedelta(days=-180, microseconds=-1)]

    def moment() -> datetime:
        return NOON + (chance.choice(edges) if chance.random() < 0.5 else timedelta(days=chance.uniform(-400, 10)))

    def perhaps(otherwise: datetime | None) -> datetime | None:
        return moment() if chance.random() < 0.5 else otherwise

    contacts, responses, complaints = [], [], []
    for i in range(400):
        who, at = f"C{chance.randrange(40)}", moment()
        later = {"opened_at": perhaps(None), "failed_at": perhaps(None), "known_at": perhaps(at)}
        contacts.append(sent(i, who, at, offer_id=f"O{i}", **later))
        responses.append(told(i, who, at, offer_id=f"O{i}", known_at=perhaps(at)))
        complaints.append(complained(i, who, at, closed_at=perhaps(None), known_at=perhaps(at)))
    return contacts, responses, complaints


def counts(row: dict[str, Any], at: datetime) -> bool:
    return at < NOON and row["known_at"] <= NOON


def before(at: datetime | None) -> datetime | None:
    return at if at is not None and at < NOON else None


def loop(history: tuple[Rows, Rows, Rows], customer_ids: Sequence[str]) -> list[tuple[Any, ...]]:
    """What `recent` promises, one row after another."""
    contacts, responses, complaints = history
    since = NOON - timedelta(days=180)
    position = {customer_id: i for i, customer_id in enumerate(customer_ids)}
    found: list[tuple[Any, ...]] = []
    for row in contacts:
        if row["customer_id"] in position and counts(row, row["sent_at"]) and row["sent_at"] >= since:
            found.append((position[row["customer_id"]], "contact", row["sent_at"], row["offer_id"], "SMS", "SALES",
                          None, before(row["opened_at"]), before(row["failed_at"])))  # fmt: skip
    for row in responses:
        if row["customer_id"] in position and counts(row, row["occurred_at"]) and row["occurred_at"] >= since:
            found.append((position[row["customer_id"]], "response", row["occurred_at"], row["offer_id"], None, None,
                          "refused", None, None))  # fmt: skip
    for row in complaints:
        is_open = before(row["closed_at"]) is None
        if row["customer_id"] in position and counts(row, row["opened_at"]) and is_open:
            found.append((position[row["customer_id"]], "complaint", row["opened_at"], *[None] * 6))
    return sorted(found, key=repr)


def of_ledger(ledger: Ledger, customer_ids: Sequence[str]) -> list[tuple[Any, ...]]:
    rows = ledger.recent(customer_ids, NOON)
    assert (np.diff(rows.customer) >= 0).all()

    def aware(values: Any) -> list[datetime | None]:
        return [None if at is None else at.replace(tzinfo=UTC) for at in values.tolist()]

    listed = zip(rows.customer.tolist(), rows.kind, aware(rows.at), rows.offer_id, rows.channel, rows.purpose,
                 rows.outcome, aware(rows.opened_at), aware(rows.failed_at), strict=True)  # fmt: skip
    return sorted(listed, key=repr)


def test_recent_equals_a_plain_loop_over_the_banks_rows(ledger: Ledger) -> None:
    history = around_every_limit(random.Random(7))
    contacts, responses, complaints = history
    ledger.seed_history(bank("contact", contacts), bank("response", responses), bank("complaint", complaints))
    everyone = [f"C{i}" for i in range(40)]
    assert len(loop(history, everyone)) > 300
    for asked in (everyone, everyone[::-3], [], *[[customer_id] for customer_id in (*everyone, "nobody")]):
        assert of_ledger(ledger, asked) == loop(history, asked)


def test_taking_history_in_again_changes_nothing_but_what_the_bank_learned_since(ledger: Ledger) -> None:
    at = NOON - timedelta(days=3)
    contacts = bank("contact", [sent(1, "C1", at), sent(2, "C2", at)])
    responses, complaints = bank("response", [told(1, "C1", at)]), bank("complaint", [complained(1, "C1", at)])
    for _ in range(2):
        ledger.seed_history(contacts, responses, complaints)
        assert ledger.recent(["C1"], NOON).kind.tolist() == ["contact", "response", "complaint"]
    opened_at = at + timedelta(hours=1)
    ledger.seed_history(
        bank("contact", [sent(1, "C1", at, opened_at=opened_at, offer_id="a later word that does not count")]),
        complaints=bank("complaint", [complained(1, "C1", at, closed_at=at + timedelta(days=1))]),
    )
    found = ledger.recent(["C1"], NOON)
    assert found.kind.tolist() == ["contact", "response"]
    assert found.opened_at[0] == np.datetime64(opened_at.replace(tzinfo=None), "us")
    assert found.offer_id[0] is None


def test_a_row_that_the_bank_gives_twice_counts_once_with_what_it_learned_last(ledger: Ledger) -> None:
    at = NOON - timedelta(days=3)
    opened_late = sent(1, "C1", at, opened_at=at + timedelta(hours=1))
    ledger.seed_history(bank("contact", [sent(1, "C1", at), sent(2, "C1", at), opened_late]))
    found = ledger.recent(["C1"], NOON)
    assert found.at.size == 2
    assert int(np.isnat(found.opened_at).sum()) == 1


def test_the_banks_copy_does_not_overwrite_what_the_ledger_has_of_its_own(ledger: Ledger) -> None:
    at = NOON - timedelta(days=3)
    ledger.contacts([ContactRow("e1", "sent", at, None, "C1", "SMS", "SALES", None, "K1")], "sms")
    ledger.seed_history(bank("contact", [sent(1, "C1", at + timedelta(hours=5), opened_at=NOON - timedelta(days=1))]))
    found = ledger.recent(["C1"], NOON)
    assert found.at.tolist() == [at.replace(tzinfo=None)]
    assert np.isnat(found.opened_at[0])


def test_a_response_to_a_contact_of_the_bank_is_the_ledgers_from_then_on(ledger: Ledger, tmp_path: Path) -> None:
    at = NOON - timedelta(days=3)
    ledger.seed_history(bank("contact", [sent(1, "C1", at), sent(2, "C1", at)]))
    assert ledger.export(tmp_path / "out")["contact"] == 0
    ledger.contacts([ContactRow("e1", "opened", NOON, None, "C1", "SMS", "SALES", None, "K1")], "sms")
    assert ledger.export(tmp_path / "out")["contact"] == 1
    (row,) = pq.read_table(tmp_path / "out" / "contact" / "ledger.parquet").to_pylist()
    assert (row["contact_id"], row["sent_at"], row["opened_at"]) == ("K1", at, NOON)


def wrote_something(ledger: Ledger) -> None:
    slots = tuple(
        PlacementRow(f"P{rank}", rank, "P01", "T", "SMS", 0.5, NOON + timedelta(days=7), "SALES", Decimal("0.05"))
        for rank in (1, 2)
    )
    names = ("R1", "none", "s", "d", "treated", '{"a":1}', "{}")
    ledger.record([DecisionRow("D1", "C1", NOON, "SMS", *names, slots)]).result()
    ledger.contacts([ContactRow("e1", "sent", NOON, "P1")], "sms")
    ledger.responses(
        [
            ResponseRow("e2", "P1", "converted", NOON + timedelta(seconds=1), amount=Decimal("1234.56")),
            ResponseRow("e3", "P2", "complained", NOON + timedelta(seconds=2), note="too often"),
            ResponseRow("e4", "P2", "dnc_requested", NOON + timedelta(seconds=3)),
        ],
        "rm7",
    )
    ledger.contacts([ContactRow("e5", "sent", NOON + timedelta(seconds=9), "P2")], "sms")
    ledger.consents([ConsentRow("c1", "C1", "MARKETING", True, NOON, None, "proof")], "rm7")
    ledger.delete_tag("C1", "hot_money", "rm")


def test_the_export_has_the_contract_of_the_banks_tables(ledger: Ledger, tmp_path: Path) -> None:
    wrote_something(ledger)
    counts = ledger.export(tmp_path / "out")
    assert counts == {"contact": 2, "response": 3, "complaint": 1, "do_not_call": 1, "consent": 1, "decision": 1,
                      "placement": 2, "tag_deletion": 1}  # fmt: skip
    for name in ("contact", "response", "complaint", "do_not_call", "consent"):
        table = pq.read_table(tmp_path / "out" / name / "ledger.parquet")
        assert table.schema.names == [column.name for column in TABLES[name].columns]
        for column in TABLES[name].columns:
            field = table.schema.field(column.name)
            assert field.type == TYPES[column.kind], (name, column.name)
            assert column.is_nullable or table[column.name].null_count == 0, (name, column.name)
    responses = {row["event_id"]: row for row in pq.read_table(tmp_path / "out/response/ledger.parquet").to_pylist()}
    assert responses["e2"] == {
        "event_id": "e2", "customer_id": "C1", "contact_id": "P1", "placement_id": "P1", "offer_id": "P01",
        "outcome": "converted", "occurred_at": NOON + timedelta(seconds=1), "business_on": date(2025, 12, 31),
        "amount": Decimal("1234.56"), "known_at": NOON,
    }  # fmt: skip
    assert responses["e3"]["contact_id"] == "P2"  # contacted after it answered, and still the same contact
    decisions = pq.read_table(tmp_path / "out/decision/ledger.parquet").to_pylist()
    assert [(row["seq"], row["decided_at"], row["answer"]) for row in decisions] == [(1, NOON, '{"a":1}')]
    placements = pq.read_table(tmp_path / "out/placement/ledger.parquet").to_pylist()
    assert [(row["placement_id"], row["propensity"], row["cost_amount"]) for row in placements] == [
        ("P1", 0.5, Decimal("0.05")), ("P2", 0.5, Decimal("0.05"))
    ]  # fmt: skip
    assert pq.read_table(tmp_path / "out/tag_deletion/ledger.parquet").to_pylist() == [
        {"customer_id": "C1", "tag": "hot_money", "deleted_at": NOON, "actor": "rm"}
    ]


def test_what_was_exported_comes_back_as_history_that_is_known_already(ledger: Ledger, tmp_path: Path) -> None:
    wrote_something(ledger)
    before = ledger.recent(["C1"], NOON + timedelta(days=1))
    ledger.export(tmp_path / "out")
    read = {name: pq.read_table(tmp_path / "out" / name / "ledger.parquet") for name in TABLES if name in
            ("contact", "response", "complaint")}  # fmt: skip
    ledger.seed_history(read["contact"], read["response"], read["complaint"])
    after = ledger.recent(["C1"], NOON + timedelta(days=1))
    assert before.at.size == after.at.size == 6
    assert before.kind.tolist() == after.kind.tolist()


def test_a_reader_of_the_export_never_sees_half_a_file(ledger: Ledger, tmp_path: Path) -> None:
    wrote_something(ledger)
    path = tmp_path / "out" / "contact" / "ledger.parquet"
    ledger.export(tmp_path / "out")
    is_over = threading.Event()

    def write() -> None:
        for _ in range(30):
            ledger.export(tmp_path / "out")
        is_over.set()

    writer = threading.Thread(target=write)
    writer.start()
    n_reads = 0
    while not is_over.is_set():
        assert pq.read_table(path).num_rows == 2
        n_reads += 1
    writer.join()
    assert n_reads > 10
    assert [p.name for p in (tmp_path / "out" / "contact").iterdir()] == ["ledger.parquet"]
