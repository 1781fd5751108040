"""Idle is less than one in twenty acted on in thirty days: exactly so, with what else may be the case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import UserMistake
from training.judging.idleness import Followed, Use, idle

AS_OF = datetime(2025, 6, 30, tzinfo=UTC)
UNTIL = np.datetime64("2025-06-30", "us")
NEVER = np.datetime64("NaT")


def followed(*, n: int, n_acted: int, first_days_ago: float = 30, as_of: datetime = AS_OF) -> Followed:
    """`n` pieces of advice in even steps from so many days ago until now, the first `n_acted` of them acted on."""
    ago = np.linspace(first_days_ago * 86_400, 1, n).astype("int64")
    advised = UNTIL - ago.astype("timedelta64[s]")
    acted = np.where(np.arange(n) < n_acted, advised, NEVER)
    return idle(advised, {"opened": advised, "acted": acted, "converted": np.full(n, NEVER)}, as_of)


@given(st.integers(1, 400), st.integers(0, 400))
def test_a_model_is_idle_below_one_in_twenty_and_not_at_it(n: int, n_acted: int) -> None:
    found = followed(n=n, n_acted=min(n_acted, n))
    assert found.use is (Use.IDLE if 20 * min(n_acted, n) < n else Use.IN_USE)
    assert found.low <= found.share <= found.high


def test_steps_are_counted_from_opened_to_converted() -> None:
    day = UNTIL - np.arange(1, 31) * np.timedelta64(1, "D")
    place = np.arange(30)
    reached = {step: np.where(place < n, day, NEVER) for step, n in (("opened", 20), ("acted", 6), ("converted", 2))}
    found = idle(day, reached, AS_OF)
    assert (found.n_advised, found.n_opened, found.n_acted, found.n_converted) == (30, 20, 6, 2)
    assert found.share == 0.2
    assert str(found).startswith("IN_USE: 30 advised, 20 opened, 6 acted on, 2 converted; 20.0% [")


def test_advice_and_deeds_outside_the_thirty_days_do_not_count() -> None:
    advised = UNTIL + np.array([-40, -30, -10, 0]) * np.timedelta64(1, "D")
    late = {"opened": advised, "acted": advised + np.timedelta64(11, "D"), "converted": np.full(4, NEVER)}
    found = idle(advised, late, AS_OF)
    assert (found.n_advised, found.n_acted) == (2, 1)  # what was done a day after `as_of` is not known yet
    assert found.use is Use.IN_USE


def test_a_model_that_was_not_asked_is_told_apart_from_one_that_was_not_followed() -> None:
    long_ago = np.array([UNTIL - np.timedelta64(90, "D")])
    found = idle(long_ago, dict.fromkeys(("opened", "acted", "converted"), long_ago), AS_OF)
    assert (found.use, found.n_advised) == (Use.UNASKED, 0)
    assert np.isnan(found.share)
    assert str(found) == "UNASKED: 0 advised, 0 opened, 0 acted on, 0 converted"


def test_a_model_of_less_than_thirty_days_is_not_called_idle_yet() -> None:
    assert followed(n=200, n_acted=0, first_days_ago=20).use is Use.TOO_YOUNG
    assert followed(n=200, n_acted=0, first_days_ago=45).is_idle


def test_the_instant_may_carry_any_zone() -> None:
    there = AS_OF.astimezone(timezone(timedelta(hours=8)))
    assert followed(n=100, n_acted=4, as_of=there) == followed(n=100, n_acted=4)


def test_every_step_is_needed_for_every_piece_of_advice() -> None:
    with pytest.raises(UserMistake, match="'acted'"):
        idle(np.array([UNTIL]), {"opened": np.array([UNTIL])}, AS_OF)
