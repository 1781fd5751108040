"""Holdouts: stable, as large as said, renewed each year, and without sales alone."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np

from decisioning.arms import GLOBAL, held_out, unit_hash
from decisioning.catalogue.catalogue import Catalogue
from decisioning.decide import decide
from decisioning.decision import Decision
from tests.decisioning.builders import codes, decided, ids, inputs, small_policy

PEOPLE = [f"C{i}" for i in range(40_000)]
EVERYBODY = small_policy(arbitration={"holdout_share": 1.0})


def test_the_holdout_is_as_large_as_the_policy_says() -> None:
    share = held_out(PEOPLE, 0.02, salt=GLOBAL, year=2026).mean()
    assert abs(share - 0.02) <= 4 * math.sqrt(0.02 * 0.98 / len(PEOPLE))


def test_who_is_held_out_depends_on_nobody_else_and_grows_with_the_share() -> None:
    small, large = (held_out(PEOPLE[:5000], share, salt=GLOBAL, year=2026) for share in (0.02, 0.1))
    assert (held_out(PEOPLE[100:200], 0.02, salt=GLOBAL, year=2026) == small[100:200]).all()
    assert not (small & ~large).any()


def test_years_and_salts_draw_independently() -> None:
    chosen = held_out(PEOPLE, 0.5, salt=GLOBAL, year=2026)
    for other in (held_out(PEOPLE, 0.5, salt=GLOBAL, year=2027), held_out(PEOPLE, 0.5, salt="SPRING", year=2026)):
        assert abs((chosen & other).mean() - 0.25) <= 4 * math.sqrt(0.25 * 0.75 / len(PEOPLE))


def test_places_are_spread_evenly() -> None:
    places = np.array([unit_hash(GLOBAL, 2026, name) for name in PEOPLE])
    counts, _ = np.histogram(places, bins=20, range=(0, 1))
    expected = len(PEOPLE) / 20
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert chi_square < 43.8  # 99.9 % of 19 degrees of freedom


def test_a_place_is_fixed_for_ever() -> None:
    """A change here would move customers between holdout and treatment within a year."""
    assert unit_hash("GLOBAL", 2026, "C1") == 0.09205170349939289


def held(**changes: object) -> Decision:
    return decided({"stage": "DECLINE", "customer_class": "ELDER"}, policy=EVERYBODY, limit=11, channel="RM", **changes)


def test_a_holdout_goes_without_sales_and_keeps_care_and_tools() -> None:
    decision = held(p={"CAREHOOK": 1.0, "TOOL": 1.0, "DEP": 1.0})
    assert decision.arm.holdout
    assert decision.arm.name == "HOLDOUT"
    assert ids(decision) == ["CAREHOOK", "TOOL"]
    out = codes(decision)
    assert {name for name, code in out.items() if code == "HOLDOUT"} == {"DEP", "DEP-TASKS", "FUND", "LOAN", "SCENE"}


def test_what_a_holdout_would_have_been_offered_is_kept_beside() -> None:
    free = decided({"stage": "DECLINE", "customer_class": "ELDER"}, limit=11, channel="RM")
    shadow = held().shadow
    assert [slot.offer_id for slot in shadow] == ids(free)
    assert [slot.score for slot in shadow] == [slot.score for slot in free.offers]
    assert free.shadow == ()


def test_what_a_holdout_asks_for_is_not_withheld() -> None:
    assert "LOAN" in ids(held(asked=("LOAN",)))


def test_a_holdout_with_nothing_but_sales_is_told_so() -> None:
    decision = decided({}, policy=EVERYBODY, channel="RM")
    assert (decision.offers, decision.no_action) == ((), "HOLDOUT")


def test_exempt_tiers_are_never_held_out() -> None:
    assert not decided({"tier": "VVIP"}, policy=EVERYBODY).arm.holdout


def test_the_holdout_changes_with_the_banks_own_year() -> None:
    policy = small_policy(arbitration={"holdout_share": 0.5})
    catalogue = Catalogue.of(policy)
    crowd = [{}] * 200
    # eight hours before the year ends in London it has ended in Shanghai
    eve, new = datetime(2026, 12, 31, 15, tzinfo=UTC), datetime(2026, 12, 31, 16, tzinfo=UTC)
    names = [f"C{i}" for i in range(200)]
    for now, year in ((eve, 2026), (new, 2027)):
        made = decide(inputs(*crowd, catalogue=catalogue, ids=names, now=now), catalogue, policy)
        expected = held_out(names, 0.5, salt=GLOBAL, year=year).tolist()
        assert [decision.arm.holdout for decision in made] == expected
