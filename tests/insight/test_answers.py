"""What customers answered, told by who they were when asked: cells, preferences and their intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from insight.answers import NO_NEED, Answers, answers
from insight.cells import cells, nobody, people, tiers
from insight.history import UNKNOWN, History
from insight.policy import Evidence
from insight.preferences import CLASS, TIER, preferences
from insight.proportions import proportion
from tests.insight.histories import SLOW, TIERS, Month, Person, days, histories, history_of

EVIDENCE = Evidence(least_answers=200, answer_months=12, level=0.95, least_people=5)
_ASKED = pa.schema({"customer_id": pa.string(), "business_on": pa.date32(), "need": pa.string(), "is_yes": pa.bool_()})
Contact = tuple[str, date, str | None, bool]


def asked(history: History, contacts: list[Contact]) -> Any:
    rows = [dict(zip(_ASKED.names, contact, strict=True)) for contact in contacts]
    return history.con.create_table("asked", pa.Table.from_pylist(rows, schema=_ASKED), temp=True)


contacts = st.lists(
    st.tuples(
        st.sampled_from("abcdefghz"), st.integers(-20, 170).map(lambda n: days(1)[0] + timedelta(days=n)),
        st.sampled_from(["DEPOSIT", "FUND", None]), st.booleans(),
    ), max_size=40,
)  # fmt: skip


@given(histories, contacts, st.integers(1, 4))
@SLOW
def test_an_answer_belongs_to_who_the_customer_was_at_the_month_end_before(
    months: list[Month], said: list[Contact], window: int
) -> None:
    ends = days(len(months))
    expected: Counter[tuple[Any, ...]] = Counter()
    for who, on, need, is_yes in said:
        before = [place for place, end in enumerate(ends) if end < on]
        if not before or (on.year, on.month) > _after(ends[-1]):
            continue
        place = before[-1]
        if place >= len(months) - window and who in months[place]:
            was = months[place][who]
            expected[was.customer_class, was.stage, was.tier or UNKNOWN, need or NO_NEED, is_yes] += 1
    with history_of(*months) as history:
        found = answers(history, asked(history, said), window)
    told: Counter[tuple[Any, ...]] = Counter()
    for part in found:
        told[part.customer_class, part.stage, part.tier, part.need, True] += part.n_yes
        told[part.customer_class, part.stage, part.tier, part.need, False] += part.n - part.n_yes
    assert +told == expected


def _after(end: date) -> tuple[int, int]:
    following = end + timedelta(days=1)
    return following.year, following.month


@given(st.integers(1, 400), st.data())
def test_the_interval_is_where_the_score_test_stops_to_reject(n: int, data: st.DataObject) -> None:
    """Wilson's edges p solve (share − p)² = z² p (1 − p) / n; SciPy's figures are put into it."""
    n_yes = data.draw(st.integers(0, n))
    found = proportion(n_yes, n, 0.95)
    assert found.share == n_yes / n
    z = stats.norm.ppf(0.975)
    for edge in (found.low, found.high):
        assert edge is not None
        assert (found.share - edge) ** 2 == pytest.approx(z**2 * edge * (1 - edge) / n, abs=1e-9)
    assert 0 <= found.low <= found.share <= found.high <= 1  # type: ignore[operator]  # None was excluded above


def test_nobody_asked_is_no_share_and_not_zero() -> None:
    assert proportion(0, 0, 0.95).to_json() == {"n": 0, "n_yes": 0, "share": None, "low": None, "high": None}


def part(tier: str, need: str, n: int, n_yes: int, *, customer_class: str = "MASS", stage: str = "NEW") -> Answers:
    return Answers(customer_class, stage, tier, need, n, n_yes)


def test_below_200_answers_a_preference_is_that_of_the_class_and_says_so() -> None:
    found = preferences(
        [
            part("V0", "FUND", 150, 15), part("V0", "FUND", 50, 5, stage="GROWTH"), part("V0", "DEPOSIT", 300, 90),
            part("V1", "FUND", 199, 20), part("V1", NO_NEED, 500, 500),
            part("V1", "FUND", 900, 900, customer_class="WEALTH"),
        ], TIERS, EVIDENCE,
    )  # fmt: skip
    told = [(r.customer_class, r.tier, r.need, r.level, r.taken.n, r.taken.n_yes, r.n_own, r.is_thin) for r in found]
    assert told == [
        ("MASS", "V0", "DEPOSIT", TIER, 300, 90, 300, False),
        ("MASS", "V0", "FUND", TIER, 200, 20, 200, False),
        ("MASS", "V1", "DEPOSIT", CLASS, 300, 90, 0, False),
        ("MASS", "V1", "FUND", CLASS, 399, 40, 199, False),
        ("WEALTH", "V1", "FUND", TIER, 900, 900, 900, False),
    ]
    assert str(found[3]) == "MASS V1: FUND 10.0% of 399 in the whole class, for 199 answers of the tier are too few"
    interval = stats.binomtest(40, 399).proportion_ci(0.95, method="wilson")
    assert (found[3].taken.low, found[3].taken.high) == (interval.low, interval.high)


def test_a_class_with_too_few_answers_is_marked_thin() -> None:
    (row,) = preferences([part("V0", "FUND", 10, 1)], TIERS, EVIDENCE)
    assert (row.level, row.is_thin) == (CLASS, True)
    assert str(row).endswith("are too few, and so are those of the class")


@contextmanager
def two_months() -> Iterator[History]:
    old: Month = {"a": Person("NEW", mda=10.0, value=1.0), "b": Person("NEW", mda=20.0), "c": Person("LOST")}
    new: Month = {"a": Person("NEW", mda=15.0, value=2.0), "b": Person("GROWTH", mda=5.0, value=3.0),
                  "w": Person("NEW", mda=None, customer_class="WEALTH")}  # fmt: skip
    with history_of(old, new, with_value=True) as history:
        yield history


def test_a_cell_has_size_money_answers_and_its_way_over_the_months() -> None:
    with two_months() as history:
        found = cells(history, [part("V0", "FUND", 10, 1), part("V1", "DEPOSIT", 10, 3)], 0.95)
    new = found["MASS", "NEW"]
    assert [(p.as_of, p.n_customers, p.aum, p.value) for p in new.trend] == [
        (days(2)[0], 2, 30.0, 1.0), (days(2)[1], 1, 15.0, 2.0),
    ]  # fmt: skip
    assert new.now == new.trend[-1]
    assert (new.answered.n, new.answered.n_yes, new.answered.share) == (20, 4, 0.2)
    assert [p.n_customers for p in found["MASS", "LOST"].trend] == [1, 0]
    assert found["WEALTH", "NEW"].now.aum is None, "nobody there has a balance"
    assert set(found) == {("MASS", "NEW"), ("MASS", "GROWTH"), ("MASS", "LOST"), ("WEALTH", "NEW")}
    assert nobody(days(2), "YOUNG", "LOST").now.n_customers == 0


@given(histories)
@SLOW
def test_the_cells_of_a_month_hold_everybody_once(months: list[Month]) -> None:
    with history_of(*months) as history:
        found = cells(history, [], 0.95)
        rows = history.month(-1)
        listed = {key: [row["customer_id"] for row in people(rows, key, after="", limit=1000)] for key in found}
        by_tier = {key: tiers(rows, key) for key in found}
    assert sum(cell.now.n_customers for cell in found.values()) == len(months[-1])
    for (customer_class, stage), ids in listed.items():
        assert ids == sorted(
            who for who, was in months[-1].items() if (was.customer_class, was.stage) == (customer_class, stage)
        )
        assert sum(by_tier[customer_class, stage].values()) == len(ids)


def test_people_of_a_cell_come_page_by_page_and_from_the_callers_book_alone() -> None:
    month: Month = {f"c{i:02}": Person("NEW") for i in range(25)} | {"x": Person("GROWTH")}
    cell = ("MASS", "NEW")
    with history_of(month) as history:
        pages, after = [], ""
        while page := ids_of(history, cell, after=after, limit=10):
            pages.append(page)
            after = page[-1]
        own = ids_of(in_book(history, {"c03", "c21", "x", "unknown"}), cell)
        none = ids_of(in_book(history, set()), cell)
    assert [len(page) for page in pages] == [10, 10, 5]
    assert [who for page in pages for who in page] == sorted(who for who in month if who != "x")
    assert (own, none) == (["c03", "c21"], [])


def ids_of(history: History, cell: tuple[str, str], *, after: str = "", limit: int = 10) -> list[str]:
    return [row["customer_id"] for row in people(history.month(-1), cell, after=after, limit=limit)]


def in_book(history: History, book: set[str]) -> History:
    return History(history.con, history.months, frozenset(book))
