"""Decisions that were kept in the layout of before: told as they were, explained, and replayed to the bit."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from decisioning.case import Case, instant
from decisioning.catalogue.catalogue import Catalogue
from decisioning.decide import decide
from decisioning.few.deciding import Few
from decisioning.inputs import Inputs
from decisioning.stored import facts_told, said_of_each
from serving.desk.records import decided_part, kept_of, left_out_of, plain, public_of, written
from serving.replay import differences
from tests.decisioning.builders import small_policy
from tests.serving.conftest import Bank

ROWS: list[dict[str, str]] = json.loads(Path(__file__).with_name("decisions_before.json").read_text())
POLICY = small_policy(arbitration={"exploration_amount": 3.0, "holdout_share": 0.3})
CATALOGUE = Catalogue.of(POLICY, benefits={"V2": ("POINTS", "贵宾厅")})


def record_of(row: dict[str, str]) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(row["answer"])
    return record


def test_the_rows_are_of_every_kind() -> None:
    records = [record_of(row) for row in ROWS]
    assert {len(record["offers"]) for record in records} >= {0, 3, 4}
    assert {record["no_action_reason"] and record["no_action_reason"]["code"] for record in records} == {
        None, "NO_CANDIDATE", "HOLDOUT",
    }  # fmt: skip
    assert any(until for record in records for _, _, _, until in record["suppressed"])
    assert any(record["shadow"] for record in records)
    stored = [json.loads(row["inputs"]) for row in ROWS]
    assert any(one["recent"]["kind"] for one in stored)
    assert any(one["uplift"] for one in stored)
    assert any(one["p"] is None for one in stored)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_before_is_decided_again_to_the_bit(row: dict[str, str]) -> None:
    inputs = Inputs.from_json(json.loads(row["inputs"]))
    for decision in (*decide(inputs, CATALOGUE, POLICY), *Few(CATALOGUE, POLICY).decide([Case.of(inputs)])):
        assert differences(decided_part(record_of(row)), plain(decision)) == []


def test_a_row_from_before_effects_and_challengers_says_the_same_without_them() -> None:
    stored = json.loads(ROWS[0]["inputs"])
    assert (stored.pop("uplift"), stored.pop("scored_by")) == (None, "champion")
    decision = decide(Inputs.from_json(stored), CATALOGUE, POLICY)[0]
    assert differences(decided_part(record_of(ROWS[0])), plain(decision)) == []


@pytest.mark.parametrize("row", ROWS)
def test_what_is_told_is_to_the_byte_what_it_was(row: dict[str, str]) -> None:
    record = record_of(row)
    decision = decide(Inputs.from_json(json.loads(row["inputs"])), CATALOGUE, POLICY)[0]
    kept = kept_of(decision, record["decision_id"], record["repeat_of"])
    assert row["answer"].startswith(kept.written.decode().removesuffix("}") + ',"suppressed":')
    assert public_of(kept.stored_text()) == public_of(row["answer"]) == kept.public


@pytest.mark.parametrize("row", ROWS)
def test_both_layouts_say_the_same_of_the_offers_left_out(row: dict[str, str]) -> None:
    decision = decide(Inputs.from_json(json.loads(row["inputs"])), CATALOGUE, POLICY)[0]
    record = json.loads(kept_of(decision, None, None).stored_text())
    assert left_out_of(record) == left_out_of(record_of(row)) == record_of(row)["suppressed"]
    assert [[out.offer_id, out.filter, out.code] for out in decision.suppressed] == [
        entry[:3] for entry in left_out_of(record)
    ]


def laid_out_as_before(record: dict[str, Any], stored: dict[str, Any]) -> tuple[str, str]:
    """Answer and inputs of a decision as rows of before have them; a test holds it to real ones."""
    facts = stored["facts"]
    days = {name for name, value in facts.items() if isinstance(value, int)}
    numbers = {name: value for name, value in facts.items() if name not in days and not isinstance(value, str)}
    each = {name: said_of_each(stored[name], stored["n_offers"]) for name in ("uplift_is_assumed", "uplift_share")}
    rows = [[kind, instant(at).isoformat()[:-6], *rest] for kind, at, *rest in stored["recent"]]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    scores = {name: stored.get(name, stored["p"]) for name in ("p", "p_channel", "uplift")}
    names = ("kind", "at", "offer_id", "channel", "purpose", "outcome")
    inputs = {name: value for name, value in stored.items() if name not in ("customer_id", "facts", "n_offers")} | {
        "customer_ids": [stored["customer_id"]],
        "numbers": numbers,
        "codes": {name: value for name, value in facts.items() if isinstance(value, str)},
        "dates": {name: facts_told(stored).get(name) for name in facts if name in days},
        "recent": dict(zip(names, columns, strict=True)) | {"customer": [0] * len(rows)},
        **each,
        **{name: None if row is None else [row] for name, row in scores.items()},
    }
    return written(record | {"suppressed": left_out_of(record)}), written(inputs)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_laid_out_as_rows_of_before_are(row: dict[str, str]) -> None:
    before = Inputs.from_json(json.loads(row["inputs"]))
    answer, inputs = laid_out_as_before(record_of(row), json.loads(written(before.each_json()[0])))
    assert json.loads(answer) == record_of(row)
    then, now = json.loads(row["inputs"]), json.loads(inputs)
    known = {kind: {k: v for k, v in then[kind].items() if v is not None} for kind in ("numbers", "codes", "dates")}
    assert {k: v for k, v in now.items() if k != "recent"} == {k: v for k, v in (then | known).items() if k != "recent"}
    assert [written(one) for one in Inputs.from_json(now).each_json()] == [written(one) for one in before.each_json()]


def test_a_row_of_before_is_shown_explained_and_replayed_as_its_like_of_today(own_bank: Bank) -> None:
    path = f"/v1/decisions/{own_bank.decide('C-WEALTHY', limit=5)['decision_id']}"

    def told() -> list[Any]:
        said = [own_bank.ask("GET", path), own_bank.ask("GET", f"{path}/explanation", role="compliance")]
        return [answer.json() for answer in (*said, own_bank.ask("POST", f"{path}/replay", role="auditor"))]

    today = told()
    with sqlite3.connect(own_bank.home / "ledger.db") as db:
        record, stored = (json.loads(text) for text in db.execute("SELECT answer, inputs FROM decision").fetchone())
        assert record["offers"], "a decision without offers would say little"
        db.execute("UPDATE decision SET answer = ?, inputs = ?", laid_out_as_before(record, stored))
    assert told() == today
    assert today[-1]["identical"]
