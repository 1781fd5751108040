"""Contact data stay apart: no view, model input, export or decision has a column for them, and few files name them."""

from __future__ import annotations

import ast
from pathlib import Path

from features.bank.tables import TABLES
from features.bank.tables_personal import personal
from features.facts import FACTS
from features.plans import PROFILE
from features.recent import RECENT
from features.today import TODAY
from features.vocabulary import CUSTOMER_ID, Sensitivity
from serving.ledger.tables import METADATA
from training.outcomes import OFFER_FEATURES

ROOT = Path(__file__).parents[2]
ROOMS = ("features", "training", "decisioning", "insight", "serving", "simulation")
NAMED = {column.name for column in personal.columns} - {CUSTOMER_ID, "known_at"}
MAY_NAME_THEM = {
    "features/bank/tables_personal.py",  # the contract
    "serving/portrait/personal.py", "serving/disclosure.py",  # joined at rendering, for those on the list
    "simulation/personal.py",  # made up
}  # fmt: skip


def test_the_contract_calls_them_sensitive_and_keeps_them_apart() -> None:
    assert {"full_name", "phone_token"} == NAMED
    assert all(personal.column(name).sensitivity == Sensitivity.C2 for name in NAMED)
    assert personal.is_apart
    assert [table.name for table in TABLES.values() if table.is_apart] == ["personal"]


def test_no_view_and_no_model_has_a_column_for_them() -> None:
    """A name in a feature would be trained on, packed, logged with every decision and exported."""
    views = (*PROFILE, *TODAY, *RECENT, *FACTS.values(), *OFFER_FEATURES)
    assert NAMED.isdisjoint(column.name for column in views)


def test_no_other_bank_table_and_no_ledger_table_has_a_column_for_them() -> None:
    assert NAMED.isdisjoint(c.name for table in TABLES.values() if table is not personal for c in table.columns)
    assert NAMED.isdisjoint(column.name for table in METADATA.tables.values() for column in table.columns)


def test_no_other_file_names_them() -> None:
    naming = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            words = {node.value for node in ast.walk(ast.parse(path.read_text("utf-8")))
                     if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # fmt: skip
            if NAMED & words:
                naming.add(path.relative_to(ROOT).as_posix())
    assert naming == MAY_NAME_THEM
