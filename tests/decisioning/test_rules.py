"""All rules at once say what each says alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.case import Case
from decisioning.catalogue.catalogue import Catalogue
from decisioning.few.reading import Reading
from decisioning.few.rules_loop import answer
from decisioning.few.shelf import Shelf
from decisioning.rules import Rules
from features.predicates import Predicate
from tests.decisioning.builders import column, inputs, shipped_policy, small_policy

POLICY = small_policy()
CATALOGUE = Catalogue.of(POLICY)
LEAVES = st.sampled_from(
    [
        "age >= 60", "age < 18", "age == 40", "age != 40", "age in (17, 40)", "aum_now <= 0", "is_staff", "near_up",
        "stage == 'NEW'", "stage != 'NEW'", "stage in ('NEW', 'LOST')", "stage not in ('NEW', 'LOST')",
        "'P22' in held_products", "'P22' not in held_products", "held_products is None", "age is None",
        "card_opened_on is not None", "card_opened_on < '2025-06-01'", "card_opened_on in ('2025-01-01', '2025-02-01')",
        "card_opened_on == '2025-06-01'", "never_there > 1", "never_there is None", "'X' in nowhere",
    ]
)  # fmt: skip
RULES = st.recursive(
    LEAVES,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | inner.map(lambda text: f"(not {text})")
    ),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries(
    {
        "age": st.sampled_from([None, 17, 18, 40, 60]),
        "aum_now": st.sampled_from([None, -1.0, 0.0]),
        "is_staff": st.sampled_from([None, 0, 1]),
        "near_up": st.sampled_from([None, 0, 1]),
        "stage": st.sampled_from([None, "NEW", "LOST", "MATURE"]),
        "held_products": st.sampled_from([None, "|", "|P22|", "|P2|P221|"]),
        "card_opened_on": st.sampled_from([None, "2025-01-01", "2025-06-01"]),
    }
)
ABSENT = {"never_there": float("nan"), "nowhere": None}


def arrays(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: column(name, [row[name] for row in rows]) for name in rows[0]}


@given(st.lists(RULES | st.none(), min_size=1, max_size=8), st.lists(ROWS, min_size=1, max_size=5))
def test_rules_asked_together_say_what_each_says_alone(texts: list[str | None], rows: list[dict[str, Any]]) -> None:
    rules = [None if text is None else Predicate.parse(text) for text in texts]
    facts = arrays(rows)
    absent = {name: np.array([value] * len(rows)) for name, value in ABSENT.items()}
    answers = Rules.of(rules).answers(facts, len(rows))
    for i, rule in enumerate(rules):
        if rule is None:
            assert answers.true[i].all()
            assert not answers.false[i].any()
            continue
        alone = rule.truth(facts | absent)
        assert answers.true[i].tolist() == alone.true.tolist()
        assert answers.false[i].tolist() == (alone.known & ~alone.true).tolist()
        assert answers.unknown[i].tolist() == (~alone.known).tolist()


@given(st.lists(RULES | st.none(), min_size=1, max_size=8), ROWS)
def test_rules_asked_of_one_customer_in_a_loop_say_the_same(texts: list[str | None], row: dict[str, Any]) -> None:
    rules = Rules.of([None if text is None else Predicate.parse(text) for text in texts])
    row["stage"] = row["stage"] or "PROSPECT"  # which an unknown one is settled as, before rules are asked
    answers, catalogue = rules.answers(arrays([row]), 1), replace(CATALOGUE, rules=rules)
    case = Case.of(replace(inputs({}, catalogue=CATALOGUE), facts=arrays([row])))
    reading = Reading(catalogue, POLICY)
    _, rows = reading.read([case])
    shelf, truth = Shelf.of(catalogue, POLICY), np.zeros(rules.n_rows, dtype=bool)
    yes, no = np.zeros(len(texts), dtype=bool), np.zeros(len(texts), dtype=bool)
    answer(shelf, rows.numbers[0], rows.asked[0], reading.sayings.rows, truth, yes, no)
    assert yes.tolist() == answers.true[:, 0].tolist()
    assert no.tolist() == answers.false[:, 0].tolist()


@pytest.mark.parametrize("n", [1, 4])
def test_no_rules_and_rules_of_everybody_need_no_facts(n: int) -> None:
    assert Rules.of([]).answers({}, n).true.shape == (0, n)
    assert Rules.of([None]).answers({}, n).true.tolist() == [[True] * n]


def test_a_rule_of_the_shipped_policy_is_asked_once_however_often_it_stands_there() -> None:
    digital = shipped_policy().channels["APP"].allowed_for
    assert digital is not None
    once, thrice = Rules.of([digital]), Rules.of([digital] * 3)
    assert thrice.n_rows == once.n_rows
    assert thrice.true_rows.tolist() == once.true_rows.tolist() * 3
