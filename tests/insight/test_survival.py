"""Kaplan and Meier by hand, by a loop, and over lives whose ends are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from features.vocabulary import Stage
from insight.dwell import dwell
from insight.flows import passages
from insight.lives import ALL, BEFORE, lives, quarter
from insight.survival import Spell, curve
from tests.insight.histories import NAMES, SLOW, STAGES, TIERS, Month, Person, days, histories, history_of

# Twenty-one children under 6-MP (Freireich 1963): months in remission, + for those still in it when watching ended.
REMISSION = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
# Deaths over those at risk, worked through by hand: 3/21, 1/17, 1/15, 1/12, 1/11, 1/7, 1/6.
BY_HAND = {6: 18 / 21, 7: 16 / 17, 10: 14 / 15, 13: 11 / 12, 16: 10 / 11, 22: 6 / 7, 23: 5 / 6}


def spells_of(text: str) -> list[Spell]:
    return [Spell(int(word.rstrip("+")), not word.endswith("+"), 1) for word in text.split()]


def by_loop(spells: Sequence[Spell]) -> list[tuple[int, float]]:
    """The share still under way after each month at which anybody's watch ended."""
    share, found = 1.0, []
    for month in sorted({spell.months for spell in spells}):
        at_risk = sum(spell.n for spell in spells if spell.months >= month)
        share *= 1 - sum(spell.n for spell in spells if spell.months == month and spell.is_event) / at_risk
        found.append((month, share))
    return found


def test_the_curve_of_a_known_study_is_the_one_worked_out_by_hand() -> None:
    found = curve("6-MP", spells_of(REMISSION))
    share = 1.0
    for month, kept in BY_HAND.items():
        share *= kept
        assert found.at(month) == pytest.approx(share)
    assert (found.n, found.n_events, found.median) == (21, 9, 23)
    assert found.at(23) == pytest.approx(0.4482, abs=5e-5)
    assert (found.at(0), found.at(36)) == (1.0, None)


def test_its_interval_is_greenwoods_on_the_scale_of_log_minus_log() -> None:
    """At 7 months: S = 18/21 · 16/17, Greenwood's sum 3/(21·18) + 1/(17·16)."""
    found = curve("6-MP", spells_of(REMISSION))
    share = 18 / 21 * 16 / 17
    spread = stats.norm.ppf(0.975) * math.sqrt(3 / (21 * 18) + 1 / (17 * 16)) / abs(math.log(share))
    place = found.months.index(7)
    assert found.low[place] == pytest.approx(share ** math.exp(spread))
    assert found.high[place] == pytest.approx(share ** math.exp(-spread))
    assert found.median_low == 13, "the first month whose lower edge is at most one half"
    assert found.median_high is None, "the upper edge never gets there"


def test_without_censoring_the_curve_is_the_plain_share_that_is_left() -> None:
    found = curve("all seen", [Spell(month, True, 10) for month in (1, 2, 3, 4)])
    assert found.share == pytest.approx((0.75, 0.5, 0.25, 0.0))
    assert found.median == 2
    assert (found.low[-1], found.high[-1]) == (0.0, found.high[-2])


def test_where_nothing_happened_no_median_is_reached_and_nobody_gives_an_empty_curve() -> None:
    calm = curve("calm", [Spell(5, False, 100)])
    assert (calm.median, calm.share, calm.low, calm.high) == (None, (1.0,), (1.0,), (1.0,))
    assert (curve("nobody", []).n, curve("nobody", []).at(0)) == (0, None)


counted = st.lists(st.builds(Spell, st.integers(0, 30), st.booleans(), st.integers(1, 50)), min_size=1, max_size=12)


@given(counted)
def test_the_curve_is_the_product_over_months_whatever_is_censored(spells: list[Spell]) -> None:
    found = curve("drawn", spells)
    assert list(zip(found.months, found.share, strict=True)) == [
        (month, pytest.approx(share, abs=1e-12)) for month, share in by_loop(spells)
    ]
    halves = [month for month, share in by_loop(spells) if share <= 0.5 + 1e-12]
    near = any(abs(share - 0.5) < 1e-9 for _, share in by_loop(spells))
    assert near or found.median == (halves[0] if halves else None)
    edges = zip(found.low, found.share, found.high, strict=True)
    assert all(low <= share + 1e-12 and share <= high + 1e-12 for low, share, high in edges)


def lives_by_loop(months: list[Month]) -> dict[str, dict[str, list[Spell]]]:
    """Spells of staying, of staying awake and of the way to V2 by cohort, person by person."""
    found: dict[str, dict[str, list[Spell]]] = {"retention": {}, "activity": {}, "V2": {}}
    last = len(months) - 1
    for who in sorted({who for month in months for who in month}):
        row = [month[who].stage if who in month else None for month in months]
        inside = [place for place, stage in enumerate(row) if stage not in (None, Stage.PROSPECT, Stage.LOST)]
        if not inside or Stage.LOST in row[: inside[0]]:
            continue
        began = inside[0]
        lost = row.index(Stage.LOST) if Stage.LOST in row else None
        seen = max(place for place, stage in enumerate(row) if stage is not None)
        end = lost if lost is not None else seen + 1 if seen < last else None
        slept = row.index(Stage.DORMANT) if Stage.DORMANT in row else None
        ends = [place for place in (end, slept) if place is not None]
        cohort = BEFORE if began == 0 else quarter(days(len(months))[began])

        def note(what: str, place: int | None, cohort: str = cohort, began: int = began) -> None:
            spell = Spell((last if place is None else place) - began, place is not None, 1)
            found[what].setdefault(cohort, []).append(spell)

        note("retention", end)
        if slept != began:
            note("activity", min(ends) if ends else None)
        if began > 0:
            note("V2", next((place for place in inside if months[place][who].tier in TIERS[2:]), None))
    return found


@given(histories)
@SLOW
def test_lives_by_cohort_are_those_that_a_loop_over_people_finds(months: list[Month]) -> None:
    with history_of(*months) as history:
        told = lives(history, TIERS, 0.95)
    expected = lives_by_loop(months)
    for what, curves in {"retention": told.retention, "activity": told.activity, "V2": told.time_to_tier["V2"]}.items():
        assert [found.name for found in curves] == [
            *sorted(expected[what], key=lambda name: (name != BEFORE, name)),
            ALL,
        ]
        for found in curves[:-1]:
            spells = expected[what][found.name]
            assert (found.n, found.n_events) == (len(spells), sum(spell.is_event for spell in spells))
            assert found.share == pytest.approx([share for _, share in by_loop(spells)])
    begun = [spell for name, spells in expected["retention"].items() if name != BEFORE for spell in spells]
    assert told.retention[-1].n == len(begun)


def test_who_leaves_does_not_reach_the_tier_and_stays_in_the_count() -> None:
    """Four begin in February; one reaches V2 at once, one leaves in March: at the end three of four are not there."""
    start = {"old": Person("GROWTH")}
    months = [start, *[start | {who: Person("NEW", "V2" if who == "a" else "V0") for who in "abcd"} for _ in range(4)]]
    months[2:] = [month | {"b": Person("LOST")} for month in months[2:]]
    with history_of(*months) as history:
        told = lives(history, TIERS, 0.95)
    way = told.time_to_tier["V2"][-1]
    assert (way.n, way.n_events) == (4, 1)
    assert way.at(3) == 0.75
    assert told.retention[-1].at(3) == 0.75


def test_leaving_is_no_censoring_where_somebody_arrives_after_it() -> None:
    """b leaves in March, a reaches V2 in April: of four begun one got there. Censoring b would make it one of three."""
    begun = {who: Person("NEW", "V0") for who in "abcd"}
    months: list[Month] = [{"old": Person()}, begun, begun | {"b": Person("LOST")}]
    months += [begun | {"b": Person("LOST"), "a": Person("NEW", "V2")}]
    with history_of(*months) as history:
        assert lives(history, TIERS, 0.95).time_to_tier["V2"][-1].at(2) == 0.75


def test_time_in_a_stage_leaves_out_stays_that_began_before_anybody_watched() -> None:
    """a is new for two month ends, b for one and still; c was new before."""
    months: list[Month] = [
        {"c": Person("NEW")},
        {"a": Person("NEW"), "c": Person("GROWTH")},
        {"a": Person("NEW"), "c": Person("GROWTH")},
        {"a": Person("GROWTH"), "b": Person("NEW"), "c": Person("GROWTH")},
    ]
    with history_of(*months) as history:
        found = {c.name: c for c in dwell(history, list(passages(history, NAMES)), "stage", STAGES, 0.95)}
    assert (found["NEW"].n, found["NEW"].n_events, found["NEW"].median) == (2, 1, 2)
    assert found["NEW"].share == (1.0, 0.0)
    assert (found["GROWTH"].n, found["GROWTH"].n_events) == (2, 0)


def test_quarters_are_named_by_their_year() -> None:
    assert [quarter(date(2025, month, 28)) for month in (1, 3, 4, 12)] == ["2025Q1", "2025Q1", "2025Q2", "2025Q4"]
