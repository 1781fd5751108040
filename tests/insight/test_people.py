"""Lists of people: who moved, in which order they come, page by page; and which moves are for the better."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import date
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.policy import segments
from insight.flows import STAGES_RISING, last_flows
from insight.history import UNKNOWN, Label
from insight.people import ORDERS, Order, in_cell, listing, who_moved, without
from tests.insight.histories import NAMES, SLOW, STAGES, TIERS, Month, Person, histories, history_of, people

COLUMNS = ("tier", "grade", "stage", "mda", "stage_entered_on", "tags")


def place_of(order: Order) -> Callable[[dict[str, Any]], Any]:
    """The place of a row in an order, what is not known last."""
    return {
        "aum": lambda row: (row["mda"] is None, -(row["mda"] or 0)),
        "tier": lambda row: -(TIERS.index(row["tier"]) if row["tier"] in TIERS else -1),
        "grade": lambda row: row["grade"],
        "since": lambda row: -row["stage_entered_on"].toordinal(),
        "id": lambda row: 0,
    }[order]


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), people, min_size=1, max_size=12), st.integers(1, 5))
@SLOW
def test_pages_of_a_list_in_any_order_hold_everybody_once(month: Month, limit: int) -> None:
    with history_of(month) as history:
        rows = history.month(-1)
        rows = rows.mutate(grade=rows.stage)
        for order in ORDERS:
            found: list[Any] = []
            for start in itertools.count(0, limit):
                page = listing(rows, COLUMNS, TIERS, order=order, start=start, limit=limit)
                assert page.n == len(month)
                if not page.rows:
                    break
                found += page.rows
            assert [row["tags"] for row in found] == [None] * len(month), "a column that the profile has not is null"
            place = place_of(order)
            assert found == sorted(found, key=lambda row: (place(row), row["customer_id"])), order


@given(histories)
@SLOW
def test_who_moved_is_who_stands_elsewhere_than_a_month_before(months: list[Month]) -> None:
    with history_of(*months) as history:
        for label in get_args(Label):
            names = [*NAMES[label], UNKNOWN]
            for before, after in itertools.permutations(names, 2):
                chosen = who_moved(label, before, after)(history)
                told = {row["customer_id"] for row in listing(chosen, (), TIERS, order="id", start=0, limit=99).rows}
                expected = set() if len(months) < 2 else {
                    who for who in {*months[-2], *months[-1]}
                    if who in months[-2] and who in months[-1]
                    and (getattr(months[-2][who], label) or UNKNOWN) == before
                    and (getattr(months[-1][who], label) or UNKNOWN) == after
                }  # fmt: skip
                assert told == expected


def test_a_list_may_leave_people_out() -> None:
    month = {name: Person("NEW") for name in "abc"} | {"d": Person("LOST")}
    with history_of(month) as history:
        rows = in_cell("MASS", "NEW")(history)
        for out, left in ((set(), "abc"), ({"b", "d", "x"}, "ac"), (set("abc"), "")):
            found = listing(without(rows, out), (), TIERS, order="id", start=0, limit=9)
            assert (found.n, "".join(row["customer_id"] for row in found.rows)) == (len(left), left)


def moves_of(label: Label, names: list[str]) -> dict[tuple[str, str], bool | None]:
    """What a flow says of every move between two of `names`, one person each."""
    pairs = list(itertools.permutations(names, 2))
    old, new = ({f"{pair}": Person(**{label: pair[end]}) for pair in pairs} for end in (0, 1))
    with history_of(old, new) as history:
        flow = last_flows(history, NAMES)[label]
    return {pair: flow.is_better(*pair) for pair in pairs}


def test_every_move_between_stages_is_for_the_better_or_the_worse_and_its_return_the_other() -> None:
    """But for the move that grown money alone makes, which is better, as its return is."""
    told = moves_of("stage", STAGES)
    assert sorted(STAGES_RISING) == sorted(STAGES)
    grew = {("MATURE", "GROWTH"), ("GROWTH", "MATURE")}
    assert all(told[pair] for pair in grew)
    assert all(told[a, b] is not told[b, a] and told[a, b] is not None for a, b in told if (a, b) not in grew)
    for before in ("NEW", "GROWTH", "MATURE"):
        assert [told[before, after] for after in ("DECLINE", "DORMANT", "LOST")] == [False] * 3
        assert told["DECLINE", before]
    better = {("PROSPECT", "NEW"), ("NEW", "GROWTH"), ("GROWTH", "MATURE"), ("DORMANT", "GROWTH"), ("LOST", "NEW")}
    worse = {("PROSPECT", "LOST"), ("DECLINE", "DORMANT"), ("DORMANT", "LOST")}
    assert all(told[pair] for pair in better)
    assert not any(told[pair] for pair in worse)
    legal = segments().view(date(2025, 12, 31)).lifecycle.legal_moves
    assert all(told[a, b] is not None for a, ends in legal.items() for b in ends if a != b)


def test_a_higher_tier_is_better_and_one_without_a_place_is_neither() -> None:
    told = moves_of("tier", TIERS)
    assert all(better == (TIERS.index(b) > TIERS.index(a)) for (a, b), better in told.items())
    with history_of(
        {"a": Person(tier=None), "b": Person(tier="V0")}, {"a": Person(tier="V1"), "b": Person()}
    ) as history:
        flow = last_flows(history, NAMES)["tier"]
    assert [flow.is_better(*pair) for pair in ((UNKNOWN, "V1"), ("V0", "V0"), (None, "V1"), ("V1", None))] == [None] * 4


@pytest.mark.parametrize("label", get_args(Label))
def test_what_a_flow_says_of_a_move_stands_in_its_json(label: Label) -> None:
    with history_of({"a": Person("NEW", "V0")}, {"a": Person("GROWTH", "V2")}) as history:
        (move,) = last_flows(history, NAMES)[label].to_json()["moves"]
    assert (move["n"], move["is_better"]) == (1, True)
