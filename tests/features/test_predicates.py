"""One rule, one meaning: Ibis on DuckDB, NumPy and a plain reading of three-valued logic give the same answer."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import BadPredicate
from features.predicates import Arrays, Predicate
from features.vocabulary import Column, Kind

KINDS = {
    "age": Kind.INTEGER,
    "mda": Kind.NUMBER,
    "is_staff": Kind.FLAG,
    "has_loan": Kind.FLAG,
    "tier": Kind.CODE,
    "held_products": Kind.SET,
    "matures_on": Kind.DATE,
}
COLUMNS = {name: Column(name, kind, "under test", "not known") for name, kind in KINDS.items()}
ARROW = {
    Kind.INTEGER: pa.int64(), Kind.NUMBER: pa.float64(), Kind.FLAG: pa.bool_(), Kind.CODE: pa.string(),
    Kind.SET: pa.string(), Kind.DATE: pa.date32(),
}  # fmt: skip
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
TIERS = ("V0", "VIP", "50%", "a_b", "金卡", "it's")
SETS = ("|", "|P1|", "|P11|", "|P1|P22|", "|P_2|")
CODES = ("P1", "P11", "P22", "P_2", "P%")
DAYS = tuple(date(2025, 12, day) for day in (1, 15, 31))
Row = dict[str, Any]
Answer = bool | None
CONNECTION = ibis.duckdb.connect()


@dataclass(frozen=True)
class Sentence:
    """A rule as text, and what it says of one row by a plain reading: yes, no, or None for unknown."""

    text: str
    says: Callable[[Row], Answer]


def comparison(name: str, values: Sequence[Any], ops: Sequence[str]) -> st.SearchStrategy[Sentence]:
    def sentence(op: str, value: Any) -> Sentence:
        literal = repr(str(value)) if isinstance(value, str | date) else repr(value)

        def says(row: Row) -> Answer:
            return None if row[name] is None else OPERATORS[op](row[name], value)

        return Sentence(f"{name} {op} {literal}", says)

    return st.builds(sentence, st.sampled_from(ops), st.sampled_from(values))


def membership(name: str, values: Sequence[Any]) -> st.SearchStrategy[Sentence]:
    def sentence(chosen: list[Any], *, denied: bool) -> Sentence:
        listed = ", ".join(repr(value) for value in chosen)
        text = f"{name} {'not in' if denied else 'in'} ({listed},)"
        return Sentence(text, lambda row: None if row[name] is None else (row[name] in chosen) is not denied)

    return st.builds(sentence, st.lists(st.sampled_from(values), min_size=1, max_size=3), denied=st.booleans())


def flag(name: str) -> Sentence:
    return Sentence(name, lambda row: row[name])


def contains(code: str) -> Sentence:
    def says(row: Row) -> Answer:
        held = row["held_products"]
        return None if held is None else code in held.strip("|").split("|")

    return Sentence(f"{code!r} in held_products", says)


def missing(name: str) -> Sentence:
    return Sentence(f"{name} is None", lambda row: row[name] is None)


def denied(part: Sentence) -> Sentence:
    def says(row: Row) -> Answer:
        answer = part.says(row)
        return None if answer is None else not answer

    return Sentence(f"not ({part.text})", says)


def joined(word: str, deciding: bool, parts: list[Sentence]) -> Sentence:
    """`or` is decided by one yes, `and` by one no; otherwise one unknown makes all unknown."""

    def says(row: Row) -> Answer:
        answers = [part.says(row) for part in parts]
        if deciding in answers:
            return deciding
        return None if None in answers else not deciding

    return Sentence(f" {word} ".join(f"({part.text})" for part in parts), says)


NUMBERS = (-3.5, 0, 18, 60, 1e6)
LEAVES = st.one_of(
    comparison("age", NUMBERS, list(OPERATORS)),
    comparison("mda", NUMBERS, list(OPERATORS)),
    comparison("tier", TIERS, ["==", "!="]),
    comparison("matures_on", DAYS, list(OPERATORS)),
    membership("tier", TIERS),
    membership("age", (18, 60)),
    st.sampled_from([flag("is_staff"), flag("has_loan")]),
    st.sampled_from(CODES).map(contains),
    st.sampled_from(list(KINDS)).map(missing),
)
SENTENCES = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        parts.map(denied),
        st.lists(parts, min_size=2, max_size=3).map(lambda some: joined("and", False, some)),
        st.lists(parts, min_size=2, max_size=3).map(lambda some: joined("or", True, some)),
    ),
    max_leaves=8,
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "age": st.none() | st.sampled_from([0, 17, 18, 60, 61]),
            "mda": st.none() | st.sampled_from([-3.5, 0.0, 59.999, 60.0, float("inf")]),
            "is_staff": st.none() | st.booleans(),
            "has_loan": st.none() | st.booleans(),
            "tier": st.none() | st.sampled_from(TIERS),
            "held_products": st.none() | st.sampled_from(SETS),
            "matures_on": st.none() | st.sampled_from(DAYS),
        }
    ),
    min_size=1,
    max_size=6,
)


def arrays_of(rows: list[Row]) -> Arrays:
    arrays = {}
    for name, kind in KINDS.items():
        values = [row[name] for row in rows]
        if kind in (Kind.CODE, Kind.SET):
            arrays[name] = np.array([*values, None], dtype=object)[:-1]
        elif kind is Kind.DATE:
            arrays[name] = np.array(values, dtype="datetime64[D]")
        else:
            arrays[name] = np.array([np.nan if value is None else float(value) for value in values])
    return arrays


def by_duckdb(rule: Predicate, rows: list[Row]) -> list[Answer]:
    columns = {name: pa.array([row[name] for row in rows], ARROW[kind]) for name, kind in KINDS.items()}
    table = ibis.memtable(pa.table({"row_no": pa.array(range(len(rows))), **columns}))
    asked = table.select("row_no", answer=rule.expr(table)).order_by("row_no")
    return CONNECTION.to_pyarrow(asked)["answer"].to_pylist()


def by_numpy(rule: Predicate, rows: list[Row]) -> list[Answer]:
    truth = rule.truth(arrays_of(rows))
    assert not (truth.true & ~truth.known).any()
    return [bool(true) if known else None for true, known in zip(truth.true, truth.known, strict=True)]


@settings(max_examples=150, deadline=None)
@given(sentence=SENTENCES, rows=ROWS)
def test_numpy_reads_a_rule_as_three_valued_logic_does(sentence: Sentence, rows: list[Row]) -> None:
    rule = Predicate.parse(sentence.text)
    rule.check(COLUMNS)
    assert by_numpy(rule, rows) == [sentence.says(row) for row in rows]


@settings(max_examples=60, deadline=None)
@given(sentence=SENTENCES, rows=ROWS)
def test_duckdb_and_numpy_give_the_same_three_valued_answer(sentence: Sentence, rows: list[Row]) -> None:
    rule = Predicate.parse(sentence.text)
    assert by_duckdb(rule, rows) == by_numpy(rule, rows)


def test_a_mask_holds_only_where_the_rule_is_known_to_hold() -> None:
    rows = [dict.fromkeys(KINDS, None) | {"age": age} for age in (70, 30, None)]
    assert Predicate.parse("not (age < 60)").mask(arrays_of(rows)).tolist() == [True, False, False]


def test_a_code_is_found_whole_and_never_as_part_of_another() -> None:
    rows = [dict.fromkeys(KINDS, None) | {"held_products": held} for held in ("|P11|", "|P1|P22|", "|", None)]
    rule = Predicate.parse("'P1' in held_products")
    assert by_numpy(rule, rows) == by_duckdb(rule, rows) == [False, True, False, None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("age >=", "rule cannot be read"),
        ("age + 1 > 60", "a comparison is written: column, operator, value"),
        ("60 < age < 70", "part of a rule is not allowed"),
        ("max(age) > 60", "a comparison is written: column, operator, value"),
        ("__import__('os').system('ls')", "part of a rule is not allowed"),
        ("age > mda", "a value is a number, a text or a date"),
        ("age == True", "a value is a number, a text or a date"),
        ("tier in ()", "a comparison is written: column, operator, value"),
        ("lambda: 1", "part of a rule is not allowed"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_part_that_is_not_allowed(text: str, said: str) -> None:
    with pytest.raises(BadPredicate) as refused:
        Predicate.parse(text)
    assert refused.value.what == said
    assert refused.value.value is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("age > 1 or " * 1_000 + "age > 1", "rule is too long"),
        ("not " * 2_000 + "is_staff", "rule is nested too deeply"),
        ("(" * 150 + "is_staff" + ")" * 150 + "\0", "rule cannot be read"),
    ],
)
def test_a_rule_that_nobody_could_read_is_refused_before_it_costs_anything(text: str, said: str) -> None:
    with pytest.raises(BadPredicate) as refused:
        Predicate.parse(text)
    assert refused.value.what == said
    assert len(str(refused.value)) < 1_000


def test_a_refusal_says_what_a_rule_may_hold() -> None:
    with pytest.raises(BadPredicate, match="allowed: comparisons, in, is None, and, or, not"):
        Predicate.parse("age if is_staff else mda")


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("wealth > 1", ", ".join(sorted(COLUMNS))),
        ("age == 'V0'", "integer values, ordered only if numbers or dates"),
        ("tier > 'V0'", "code values, ordered only if numbers or dates"),
        ("tier", "a flag standing alone"),
        ("is_staff == 1", "a flag standing alone"),
        ("'V0' in tier", "a set column after 'in'"),
        ("held_products == '|P1|'", "set values, ordered only if numbers or dates"),
        ("held_products in ('P1', 'P2')", "set values"),
        ("matures_on > 20251231", "date values, ordered only if numbers or dates"),
        ("age in (18, 'V0')", "integer values"),
    ],
)
def test_a_column_is_compared_with_its_own_kind_or_the_check_says_what_is_allowed(text: str, allowed: str) -> None:
    with pytest.raises(BadPredicate) as refused:
        Predicate.parse(text).check(COLUMNS)
    assert (refused.value.value, refused.value.allowed) == (text, allowed)


def test_a_rule_names_every_column_it_reads_once() -> None:
    rule = Predicate.parse("(age > 1 or tier == 'V0') and not (age < 90 or 'P1' in held_products)")
    assert rule.columns() == {"age", "tier", "held_products"}
