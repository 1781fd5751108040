"""临界与保级 Near a threshold: what the money of a day says of the tier at the month's end, and what it would take.

Reckoned from the month's profile (thresholds of the tier held and of the next one) and the day view (what counts so
far, and what lies there now), the same for a training row and for a decision. With S the Σ daily average × days so far,
D the days that the month end will count and L those left, today among them:

    expected = (S + now × L) / D             where the money stays as it is
    need     = max(threshold × D − S, 0) / L  a day, from today to the month's end (R15)

The highest tier is measured by net assets that count once, the others by weighted ones. A hard sign of decline is told
here too: whether AUM has come down to the month's `fall_floor`. The stage itself moves at the month's end.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.vocabulary import Column, Kind, TierState

Floats = NDArray[np.float64]
_NO_TIER = "no tier"
NEAR = (
    Column("month_days_left", Kind.INTEGER, "days left in the month, this one counted"),
    Column("is_near_next", Kind.FLAG, "will be near the next tier at the month's end (临界提升)", _NO_TIER),
    Column("is_near_loss", Kind.FLAG, "tier kept for a while, or about to be below it (保级、临界降级)", _NO_TIER),
    Column("need_next_amount", Kind.NUMBER, "balance needed each day left for the next tier", "highest tier, or none"),
    Column("need_keep_amount", Kind.NUMBER, "balance needed each day left for the tier held", _NO_TIER),
    Column("has_fallen", Kind.FLAG, "so much has left that it is a hard sign of decline", "no AUM to fall from"),
)
SO_FAR = ("basis_days", "rated_to_date", "net_to_date", "rated_now", "aum_now")
OF_PROFILE = ("tier_state", "tier_floor", "next_floor", "near_floor", "is_next_highest", "fall_floor")
_KEPT = (TierState.GRACE.value, TierState.WATCH.value)


def near(view: Mapping[str, NDArray[Any]], on: date | NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The NEAR columns of n customers on the day `on` (one date, or n of them).

    `view` holds the columns SO_FAR and OF_PROFILE, arrays of n. On the 21st of a month of 30 days, at 480,000 so far:

    >>> day = dict.fromkeys(["rated_to_date", "net_to_date", "rated_now", "aum_now"], np.array([480_000.0]))
    >>> day |= {"basis_days": np.array([20.0]), "tier_state": np.array(["NORMAL"], dtype=object)}
    >>> day |= {"tier_floor": np.array([200_000.0]), "next_floor": np.array([500_000.0])}
    >>> day |= {"near_floor": np.array([400_000.0]), "is_next_highest": np.zeros(1)}
    >>> day |= {"fall_floor": np.array([240_000.0])}
    >>> answer = near(day, date(2025, 9, 21))
    >>> answer["need_next_amount"].tolist(), answer["is_near_next"].tolist(), answer["is_near_loss"].tolist()
    ([540000.0], [1.0], [0.0])
    """
    today = np.asarray(on, dtype="datetime64[D]")
    left = ((today.astype("datetime64[M]") + 1).astype("datetime64[D]") - today).astype(np.float64)
    floor, following = view["tier_floor"], view["next_floor"]
    rated, net = (
        _expected(view, left, *names) for names in (("rated_to_date", "rated_now"), ("net_to_date", "aum_now"))
    )
    keep_by = _either(np.isnan(following), net, rated)
    next_by = _either(view["is_next_highest"] == 1, net, rated)
    state, has_tier = view["tier_state"], ~np.isnan(floor)
    kept = (state == _KEPT[0]) | (state == _KEPT[1])
    within = (next_by[0] >= view["near_floor"]) & (next_by[0] < following)
    return {
        "month_days_left": np.broadcast_to(left, floor.shape).copy(),
        "is_near_next": np.where(has_tier, within, np.nan),
        "is_near_loss": np.where(has_tier, kept | (keep_by[0] < floor), np.nan),
        "need_next_amount": _need(following, next_by, left),
        "need_keep_amount": _need(floor, keep_by, left),
        "has_fallen": np.where(np.isnan(view["fall_floor"] + view["aum_now"]), np.nan,
                               view["aum_now"] <= view["fall_floor"]),
    }  # fmt: skip


def near_alone(view: Mapping[str, Any], on: date) -> dict[str, float]:
    """`near` of one customer whose columns are plain values, missing numbers NaN; equal to the bit."""
    left = _days_left(on)
    floor, following, aum_now = view["tier_floor"], view["next_floor"], view["aum_now"]
    found = _NONE_NEAR | {"month_days_left": left, "has_fallen": _fallen(aum_now, view["fall_floor"])}
    if floor != floor:
        return found
    days = view["basis_days"]
    total = days + left
    rated_sum = view["rated_to_date"] * days if days > 0 else 0.0
    net_sum = view["net_to_date"] * days if days > 0 else 0.0
    rated, net = (rated_sum + view["rated_now"] * left) / total, (net_sum + aum_now * left) / total
    keep, keep_sum = (net, net_sum) if following != following else (rated, rated_sum)
    rise, rise_sum = (net, net_sum) if view["is_next_highest"] == 1 else (rated, rated_sum)
    found["is_near_next"] = float(view["near_floor"] <= rise < following)
    found["is_near_loss"] = float(view["tier_state"] in _KEPT or keep < floor)
    found["need_next_amount"] = _needed(following * total - rise_sum) / left
    found["need_keep_amount"] = _needed(floor * total - keep_sum) / left
    return found


@lru_cache(maxsize=8)
def _days_left(on: date) -> float:
    return float(monthrange(on.year, on.month)[1] - on.day + 1)


def _needed(amount: float) -> float:
    return 0.0 if amount < 0 else amount


def _fallen(now: float, floor: float) -> float:
    return _NAN if now != now or floor != floor else float(now <= floor)


_NAN = float("nan")
_NONE_NEAR = {column.name: _NAN for column in NEAR}
_Measure = tuple[Floats, Floats, Floats]  # expected average, Σ so far, days that will count


def _expected(view: Mapping[str, NDArray[Any]], left: Any, to_date: str, now: str) -> _Measure:
    days = view["basis_days"]
    so_far = np.where(days > 0, view[to_date] * days, 0.0)
    return (so_far + view[now] * left) / (days + left), so_far, days + left


def _either(test: NDArray[np.bool_], one: _Measure, other: _Measure) -> _Measure:
    expected, so_far, days = (np.where(test, a, b) for a, b in zip(one, other, strict=True))
    return expected, so_far, days


def _need(threshold: Floats, measure: _Measure, left: Any) -> Floats:
    _, so_far, days = measure
    return np.asarray(np.maximum(threshold * days - so_far, 0.0) / left)
