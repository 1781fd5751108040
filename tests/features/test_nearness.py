"""The day clock of a tier: what each remaining day needs, held against what the month's end then says."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features import profiles, views
from features.bank.engines import open_bank
from features.nearness import NEAR, OF_PROFILE, SO_FAR, near, near_alone
from features.plans import PROFILE
from features.policy import PolicyBook, SegmentsPolicy
from features.today import TODAY
from tests.features.tier_policy import BOOK, changed
from training.encoding import arrays_of

MARCH, APRIL = date(2024, 3, 31), date(2024, 4, 30)


def span(customer: str, amount: float, first: date, last: date | None, asset_class: str = "DEMAND") -> dict[str, Any]:
    return {
        "customer_id": customer, "account_id": f"{customer}{first}", "asset_class": asset_class, "from_on": first,
        "to_on": last, "amount": amount, "known_at": datetime.combine(date(2024, 1, 1), time(), UTC),
    }  # fmt: skip


def seen(home: Path, on: date, book: PolicyBook[SegmentsPolicy] = BOOK) -> pd.DataFrame:
    """NEAR of every customer on the morning of `on`, from the newest month and that day's view."""
    instant = datetime.combine(on, time(4), UTC)
    build = profiles.build(home, book, instant=instant)[-1]
    with open_bank(home) as bank:
        day = pd.read_parquet(views.write_today(bank, build.lineage, instant, book.view(on)))
    frame = day.merge(pd.read_parquet(build.path), on="customer_id")
    columns = [column for column in (*PROFILE, *TODAY) if column.name in (*SO_FAR, *OF_PROFILE)]
    return pd.DataFrame(near(arrays_of(frame, columns), on), index=frame.customer_id)


def figures(**given: Any) -> dict[str, Any]:
    """A V4 customer with 520,000 so far and now, on day 21 of 30, and what is `given` else."""
    usual = {
        "basis_days": 20.0, "rated_to_date": 520_000.0, "net_to_date": 520_000.0, "rated_now": 520_000.0,
        "aum_now": 520_000.0, "tier_state": "NORMAL", "tier_floor": 500_000.0, "next_floor": 1e6, "near_floor": 8e5,
        "is_next_highest": 0.0, "fall_floor": 260_000.0,
    }  # fmt: skip
    both = usual | given
    return {name: np.array([value], dtype=object if name == "tier_state" else float) for name, value in both.items()}


def on_the_21st(**given: Any) -> dict[str, Any]:
    answer = near(figures(**given), date(2025, 9, 21))
    assert set(answer) == {column.name for column in NEAR}
    return {name: values[0] for name, values in answer.items()}


def test_the_published_figure_holds_to_the_digit() -> None:
    """500,000 on day 20 of 30 at an average of 480,000 takes 540,000 on each of the ten days left."""
    so_far = {"rated_to_date": 480_000.0, "rated_now": 480_000.0}
    answer = on_the_21st(**so_far, tier_floor=200_000.0, next_floor=500_000.0, near_floor=400_000.0)
    assert (answer["need_next_amount"], answer["month_days_left"]) == (540_000.0, 10.0)
    assert (answer["is_near_next"], answer["is_near_loss"]) == (1.0, 0.0)
    assert answer["need_keep_amount"] == 0.0


@pytest.mark.parametrize(
    ("given", "near_next", "near_loss"),
    [
        ({}, 0.0, 0.0),
        ({"rated_now": 460_000.0}, 0.0, 0.0),  # (520k x 20 + 460k x 10) / 30 = 500,000: just kept
        ({"rated_now": 459_999.0}, 0.0, 1.0),
        ({"tier_state": "GRACE", "rated_now": 900_000.0}, 0.0, 1.0),
        ({"tier_state": "WATCH"}, 0.0, 1.0),
        ({"rated_now": 1_360_000.0}, 1.0, 0.0),  # (520k x 20 + 1.36m x 10) / 30 = 800,000: near
        ({"rated_now": 1_960_000.0}, 0.0, 0.0),  # reaches 1,000,000 by itself
        ({"near_floor": np.nan, "rated_now": 1_360_000.0}, 0.0, 0.0),  # a tier that is not told
        ({"tier_floor": np.nan, "next_floor": np.nan, "tier_state": None}, np.nan, np.nan),
    ],
)
def test_near_means_where_the_month_ends_if_the_money_stays(
    given: dict[str, Any], near_next: float, near_loss: float
) -> None:
    answer = on_the_21st(**given)
    assert np.array_equal([answer["is_near_next"], answer["is_near_loss"]], [near_next, near_loss], equal_nan=True)


@pytest.mark.parametrize(
    ("given", "fallen"),
    [
        ({}, 0.0),
        ({"aum_now": 260_000.01}, 0.0),
        ({"aum_now": 260_000.0}, 1.0),  # half of 520,000, and more than 10,000
        ({"aum_now": -5.0, "tier_floor": np.nan}, 1.0),
        ({"aum_now": 1.0, "fall_floor": np.nan}, np.nan),  # sleeping, declining already, or too little to lose
        ({"aum_now": np.nan}, np.nan),
    ],
)
def test_a_hard_sign_of_decline_is_told_the_next_morning(given: dict[str, Any], fallen: float) -> None:
    assert np.array_equal(on_the_21st(**given)["has_fallen"], fallen, equal_nan=True)


def test_the_highest_tier_is_measured_by_net_assets() -> None:
    weighed = {"rated_to_date": 4e6, "rated_now": 4e6, "net_to_date": 5.9e6, "aum_now": 5.9e6}
    held = on_the_21st(**weighed, tier_floor=6e6, next_floor=np.nan, near_floor=np.nan)
    assert held["need_keep_amount"] == pytest.approx((6e6 * 30 - 5.9e6 * 20) / 10)
    assert np.isnan(held["need_next_amount"])
    below = on_the_21st(**weighed, tier_floor=3e6, next_floor=6e6, near_floor=4.8e6, is_next_highest=1.0)
    assert below["need_next_amount"] == held["need_keep_amount"]
    assert (below["is_near_next"], below["is_near_loss"], below["need_keep_amount"]) == (1.0, 0.0, 1e6)


def test_one_customer_alone_is_told_what_many_are_told_to_the_bit() -> None:
    chance = random.Random(11)
    floors = [0.0, *map(float, list(BOOK.view(MARCH).tiers.thresholds.values())[1:])]
    for _ in range(2_000):
        tier = chance.randrange(len(floors))
        amounts = {name: chance.choice(floors) * chance.choice([0.9, 1.0, chance.random() * 2]) for name in SO_FAR}
        given = amounts | {
            "basis_days": chance.choice([0.0, 10.0, 61.0]), "tier_state": chance.choice(["NORMAL", "GRACE", None]),
            "tier_floor": floors[tier], "next_floor": floors[tier + 1] if tier < 7 else np.nan,
            "near_floor": 0.8 * floors[tier + 1] if 2 <= tier < 7 else np.nan, "is_next_highest": float(tier == 6),
            "fall_floor": chance.choice([amounts["aum_now"], chance.random() * 1e6, np.nan]),
        }  # fmt: skip
        if chance.random() < 0.1:
            given |= dict.fromkeys(("tier_floor", "next_floor", "near_floor", "is_next_highest"), np.nan)
            given |= dict.fromkeys(SO_FAR[1:], np.nan) | {"tier_state": None}
        on = date(2024, chance.randrange(1, 13), chance.randrange(1, 29))
        many = {name: float(values[0]) for name, values in near(figures(**given), on).items()}
        alone = near_alone(given, on)
        assert {n: struct.pack("d", v) for n, v in alone.items() if v == v} == {
            n: struct.pack("d", v) for n, v in many.items() if v == v
        }, (given, on)


@pytest.mark.parametrize(
    ("book", "asset_class", "day"),
    [
        (BOOK, "DEMAND", 1),
        (BOOK, "DEMAND", 30),
        (changed(basis="quarter"), "DEMAND", 11),
        (changed(asset_weights={"FUND": 0.5}), "FUND", 11),
    ],
)
def test_who_holds_what_is_needed_each_day_left_rises_and_one_fen_less_does_not(
    bank_of: Callable[..., Path], tmp_path: Path, book: PolicyBook[SegmentsPolicy], asset_class: str, day: int
) -> None:
    """The need told in the morning, held until the month's end, is the threshold to the digit."""
    on, after = date(2024, 4, day), APRIL + timedelta(days=1)
    past = [span(name, 180_000, date(2024, 1, 1), on) for name in ("told", "short", "still")]
    people = [{"customer_id": name} for name in ("told", "short", "still")]
    still = span("still", 180_000, on, None)
    before = bank_of(customer=people, balance=[*past, still])
    need = float(seen(before, on, book).loc["still", "need_next_amount"])
    cents = int(np.ceil(need * 100 - 1e-6))
    weight = book.view(on).tiers.asset_weights.get(asset_class, 1.0)
    held = {"told": np.ceil(cents / weight) / 100, "short": np.ceil((cents - 1) / weight) / 100}
    later = [span(name, amount, on, after, asset_class) for name, amount in held.items()]
    home = bank_of(home=tmp_path / "later", customer=people, balance=[*past, *later, still])
    build = profiles.build(home, book, instant=datetime(2024, 5, 2, tzinfo=UTC))[-1]
    tiers = pd.read_parquet(build.path).set_index("customer_id").tier.to_dict()
    assert tiers == {"told": "V3", "short": "V2", "still": "V2"}


def test_a_bank_without_balances_has_neither_tier_nor_need(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=[{"customer_id": "c"}], txn=[{"customer_id": "c", "business_on": date(2024, 3, 5)}])
    answer = seen(home, date(2024, 4, 11)).loc["c"]
    assert answer.drop("month_days_left").isna().all()
    assert answer.month_days_left == 20
