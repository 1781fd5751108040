"""Habits before an offer, told by hand; what happens from its instant on changes none of them."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from benchmarks.quality.offer_habits import Events, habits
from features.bank.sources.starbucks import HOUR_ZERO

NAN = float("nan")
OFFERS = pd.DataFrame(
    {"kind": ["BOGO", "INFORMATION"], "ask": [10.0, 0.0], "lasts": [120.0, 72.0], "by_web": [1.0, 0.0],
     "by_mobile": [1.0, 1.0], "by_social": [0.0, 1.0]}, index=["spend", "news"],
)  # fmt: skip


def events(contacts: list[tuple[str, float, float, float]], purchases: list[tuple[float, float]]) -> Events:
    """One member's contacts (offer, sent, seen, done) and purchases (hour, amount)."""
    offers, at, seen, done = zip(*contacts, strict=True)
    sent = pd.DataFrame({
        "contact_id": [f"k{place}" for place in range(len(at))], "customer_id": "m", "offer_id": offers, "at": at,
        "seen": seen, "done": done,
    }).join(OFFERS, on="offer_id")  # fmt: skip
    hour, amount = zip(*purchases, strict=True)
    return Events(sent, pd.DataFrame({"customer_id": "m", "at": hour, "amount": amount}), OFFERS)


def asked(hour: float) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": ["m"], "offer_id": ["spend"], "sent_at": [HOUR_ZERO + timedelta(hours=hour)]})


PAST = [("spend", 0.0, 6.0, 30.0), ("news", 168.0, NAN, NAN), ("spend", 336.0, 340.0, NAN)]
BOUGHT = [(30.0, 12.0), (300.0, 4.0)]


def test_views_completions_and_purchases_before_the_offer_are_counted_by_hand() -> None:
    found = habits(asked(408), events(PAST, BOUGHT)).iloc[0]
    assert (found["n_received"], found["is_seen_share"], found["is_done_share"]) == (3, pytest.approx(2 / 3), 1 / 3)
    assert (found["is_seen_BOGO"], found["is_aware_BOGO"], found["is_seen_INFORMATION"]) == (1, 0.5, 0)
    assert (found["is_seen_with_web"], found["is_seen_without_web"]) == (1, 0)
    assert (found["n_same"], found["is_done_same"], found["delay_mean"]) == (2, 0.5, 5)
    assert (found["n_running"], found["n_running_seen"], found["running_ask"]) == (1, 1, 10)  # of hour 336, until 456
    assert (found["n_ever"], found["spent_ever"], found["spent_168h"], found["hours_since"]) == (2, 16, 4, 108)
    assert (found["enough_share"], found["ticket_max"]) == (0.5, 12)
    assert found["usual_over_ask"] == pytest.approx(16 / 17 * 5 / 10)


def test_what_happens_from_the_instant_of_the_offer_on_changes_nothing() -> None:
    before = habits(asked(408), events(PAST, BOUGHT))
    later = [*PAST[:1], ("news", 168.0, 408.0, NAN), ("spend", 336.0, 340.0, 408.0), ("spend", 408.0, 409.0, 410.0)]
    after = habits(asked(408), events(later, [*BOUGHT, (408.0, 50.0), (500.0, 9.0)]))
    pd.testing.assert_frame_equal(before, after)


def test_a_member_without_a_past_has_counts_of_nothing_and_no_shares() -> None:
    found = habits(asked(0), events(PAST, BOUGHT)).iloc[0]
    assert np.isnan(found[["n_received", "is_seen_share", "ticket_mean", "hours_since"]].to_numpy(float)).all()
    assert (found[["n_ever", "spent_336h", "n_running"]] == 0).all()
    assert (found["by_web"], found["ask_a_day"]) == (1, 2)


def test_an_offer_was_viewed_if_its_first_view_lies_within_its_window() -> None:
    known = events(PAST, BOUGHT)
    assert known.seen_by(pd.Series(["k0", "k1", "k2"]), np.array([120.0, 240.0, 339.0])).tolist() == [1, 0, 0]
