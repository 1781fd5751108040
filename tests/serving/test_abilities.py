"""What works with the tables there are: filters declare what they read, and the sentence says what waits for what."""

from __future__ import annotations

import ast
from datetime import date
from importlib import import_module
from pathlib import Path

import pytest

from decisioning.filters import ORDER
from decisioning.policy import decisions
from features.facts import FACTS
from features.policy import segments
from serving.abilities import abilities

TODAY = date(2025, 12, 31)
WHO, WHAT = segments().view(TODAY), decisions().view(TODAY)


@pytest.mark.parametrize("name", ORDER)
def test_a_filter_reads_the_facts_that_it_declares(name: str) -> None:
    """Every fact named in a filter's functions is declared, and no other, so that sentence and code agree."""
    module = import_module(f"decisioning.filters.{name}")
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    bodies = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    nodes = [node for body in bodies for node in ast.walk(body)]
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert texts & set(FACTS) == set(module.READS)


def test_customers_and_balances_alone_make_tiers_classes_stages_and_cells() -> None:
    can = abilities(["customer", "balance"], WHO, WHAT)
    works = {state.name for state in can.families if state.works}
    assert works == {"wealth", "tiers", "value", "classes", "lifecycle", "cells", "tags"}
    waits = {state.name: state.waits_for for state in (*can.families, *can.models) if not state.works}
    assert waits == {
        "activity": ("txn", "channel_event"), "behaviour": ("channel_event",), "grades": ("txn", "channel_event"),
        "churn": ("txn",), "response": ("contact", "offer"),
    }  # fmt: skip
    said = "\n".join(can.lines())
    assert said.startswith("with your 2 tables these families, filters and models work: families value (more with")
    assert "these wait for: families activity (txn, channel_event), behaviour (channel_event), grades" in said
    assert "ranked by policy alone" in said
    assert "risk R1 or more" in said


def test_gates_of_the_policy_name_the_tables_that_eligibility_wants() -> None:
    (eligibility,) = [state for state in abilities(["customer"], WHO, WHAT).filters if state.name == "eligibility"]
    assert {"preapproval", "customer_fact", "txn"} <= set(eligibility.richer_with)


def test_with_every_table_nothing_waits() -> None:
    from features.bank.tables import TABLES

    can = abilities(TABLES, WHO, WHAT)
    assert all(state.works and not state.richer_with for state in (*can.families, *can.filters, *can.models))
    assert "these wait for: nothing" in "\n".join(can.lines())
