"""Names and telephone tokens are joined when something is shown to cleared eyes, and stand nowhere else.

A canary that nobody is called goes through every flow; afterwards it is looked for in all that a run leaves behind.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.bank.engines import arrow_schema, open_bank
from features.bank.tables import TABLES
from features.bank.tables_personal import personal
from serving.portrait.personal import masked_name
from tests.serving.conftest import Bank
from tests.serving.test_rights_api import change_key

NAME, TOKEN = "夜莺柒柒", "T-canary-771"
PORTRAIT = "/v1/customers/C-USUAL"


def write_personal(home: Path, *, known_at: datetime = datetime(2025, 1, 1, tzinfo=UTC)) -> None:
    rows = [{"customer_id": "C-USUAL", "full_name": NAME, "phone_token": TOKEN, "known_at": known_at}]
    path = home / "bank" / "personal" / "all.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(personal)), path)


def refresh(bank: Bank) -> None:
    bank.client.app.state.keys.refresh()  # type: ignore[attr-defined]  # the client types its app as plain ASGI


def test_a_cleared_role_inside_reads_name_and_token(own_bank: Bank) -> None:
    write_personal(own_bank.home)
    who = own_bank.ask("GET", PORTRAIT, role="rm").json()["who"]
    assert (who["full_name"], who["phone_token"]) == (NAME, TOKEN)
    assert {"full_name", "masked_name"}.isdisjoint(own_bank.ask("GET", "/v1/customers/C-YOUNG").json()["who"])


def test_outside_the_banks_network_the_family_name_alone_is_read(own_bank: Bank) -> None:
    write_personal(own_bank.home)
    change_key(own_bank.home, "rm", network="external")
    refresh(own_bank)
    answer = own_bank.ask("GET", PORTRAIT, role="rm")
    assert answer.json()["who"]["masked_name"] == masked_name(NAME) == "夜**"
    assert NAME not in answer.text
    assert TOKEN not in answer.text


def test_a_role_without_clearance_reads_nothing_of_it(own_bank: Bank) -> None:
    write_personal(own_bank.home)
    who = own_bank.ask("GET", PORTRAIT, role="scientist").json()["who"]
    assert {"full_name", "masked_name", "phone_token"}.isdisjoint(who)


def test_a_name_that_was_not_known_yet_is_not_shown(own_bank: Bank) -> None:
    write_personal(own_bank.home, known_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert "full_name" not in own_bank.ask("GET", PORTRAIT).json()["who"]


def test_a_bank_opened_for_computing_does_not_contain_it(tmp_path: Path) -> None:
    write_personal(tmp_path)
    customers = {c.name: pa.nulls(1, arrow_schema(TABLES["customer"]).field(c.name).type)
                 for c in TABLES["customer"].columns} | {"customer_id": pa.array(["C-USUAL"])}  # fmt: skip
    (tmp_path / "bank" / "customer").mkdir()
    pq.write_table(pa.table(customers), tmp_path / "bank" / "customer" / "all.parquet")
    with open_bank(tmp_path) as bank:
        assert set(bank.tables) == {"customer"}


def test_the_canary_is_found_nowhere_but_in_its_table_and_on_the_page(
    own_bank: Bank, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    write_personal(own_bank.home)
    with caplog.at_level(logging.DEBUG):
        shown = walk(own_bank)
        own_bank.desk.ledger.export(own_bank.home / "exported")
    assert shown == {PORTRAIT, "/console/customers/C-USUAL"}
    assert [record.getMessage() for record in caplog.records if NAME in str(vars(record))] == []
    told = capfd.readouterr()
    assert NAME not in told.out + told.err
    found = {path.relative_to(own_bank.home).parts[:2] for path in own_bank.home.rglob("*") if holds_canary(path)}
    assert found == {("bank", "personal")}


def walk(bank: Bank) -> set[str]:
    """Every flow about the customer, errors too; the paths whose answers tell the canary."""
    decision = bank.decide(explain="full")
    body = [{"event_id": "E1", "placement_id": decision["offers"][0]["placement_id"], "outcome": "complained",
             "occurred_at": decision["decided_at"], "note": "too often"}]  # fmt: skip
    answers = [
        bank.ask("GET", PORTRAIT),
        bank.ask("GET", "/console/customers/C-USUAL", headers={"Accept": "text/html"}),
        bank.ask("GET", f"/v1/decisions/{decision['decision_id']}"),
        bank.ask("GET", f"/v1/decisions/{decision['decision_id']}/explanation"),
        bank.ask("POST", f"/v1/decisions/{decision['decision_id']}/replay", role="auditor"),
        bank.ask("POST", "/v1/responses", json=body),
        bank.ask("POST", "/v1/responses", json=[body[0] | {"outcome": "nonsense"}]),
        bank.ask("DELETE", f"{PORTRAIT}/tags/near_up"),
        bank.ask("DELETE", f"{PORTRAIT}/tags/none"),
        bank.ask("GET", f"/v1/customers/{NAME[:2]}"),
        bank.ask("POST", "/v1/decisions", json={"customer_ids": ["C-USUAL", "C-YOUNG"], "channel": "RM"}),
        bank.ask("GET", "/v1/health/data"),
        bank.ask("GET", "/openapi.json"),
    ]
    assert [answer.status_code for answer in answers] == [
        200,
        200,
        200,
        200,
        200,
        200,
        422,
        200,
        404,
        404,
        200,
        200,
        200,
    ]
    return {answer.request.url.path for answer in answers if NAME in answer.text or TOKEN in answer.text}


def holds_canary(path: Path) -> bool:
    """Whether a file holds the name or the token, as it lies or, for a table, once it is read."""
    if not path.is_file():
        return False
    if path.suffix == ".parquet":
        told = str(pq.read_table(path).to_pylist())
        return NAME in told or TOKEN in told
    raw = path.read_bytes()
    return NAME.encode() in raw or TOKEN.encode() in raw or NAME.encode("unicode_escape") in raw
