"""What a customer allows, by the words he said: the newest counts, one about every channel for each of them (R34)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from features import views
from features.bank.contract import EVENT_CHANNELS
from features.bank.engines import open_bank
from features.consents import allowed
from tests.features.tier_policy import BOOK

MORNING = date(2024, 3, 1)
NOON = datetime(2024, 2, 1, 12, tzinfo=UTC)
Word = tuple[int, str, str | None, bool]  # hour, purpose, channel, granted


def row(word: Word, **more: Any) -> dict[str, Any]:
    hour, purpose, channel, is_granted = word
    at = NOON + timedelta(hours=hour)
    return {"customer_id": "c", "purpose": purpose, "channel": channel, "is_granted": is_granted, "occurred_at": at,
            "business_on": at.date(), "known_at": at} | more  # fmt: skip


def by_loop(words: Sequence[Word]) -> tuple[set[str], bool]:
    """Channels that may speak of offers and whether profiling was withdrawn, one question after the other."""

    def newest(purpose: str, channel: str) -> bool:
        mine = [
            (hour, not granted)
            for hour, about, where, granted in words
            if about == purpose and where in (None, channel)
        ]
        return bool(mine) and not max(mine)[1]

    spoken = [channel for channel in EVENT_CHANNELS if newest("MARKETING", channel)]
    asked = {where for _, about, where, _ in words if about == "PROFILING"}
    places = EVENT_CHANNELS if None in asked else tuple(where for where in asked if where)
    return set(spoken), any(not newest("PROFILING", channel) for channel in places)


def named(codes: str) -> set[str]:
    found = set(codes.strip("|").split("|")) - {""}
    return set(EVENT_CHANNELS) if found == {"ALL"} else found


words = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["MARKETING", "PROFILING", "RESEARCH", "SHARING"]),
              st.sampled_from([None, None, "SMS", "APP"]), st.booleans()),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(deadline=None)
@given(words)
def test_the_newest_word_about_a_channel_or_about_all_counts(said: list[Word]) -> None:
    """The expression against a plain loop over one customer's words, channel by channel."""
    table = ibis.memtable(pd.DataFrame([row(word, on=MORNING) for word in said])).cast({"channel": "string"})
    rows = allowed(table).execute()
    opened, is_withdrawn = by_loop(said)
    if not {"MARKETING", "PROFILING"} & {about for _, about, _, _ in said}:
        assert rows.empty
        return
    assert named(rows.consented_channels.item()) == opened
    assert bool(rows.has_profiling_optout.item()) is is_withdrawn


def test_a_morning_knows_what_was_said_by_the_day_before_and_had_reached_the_bank(bank_of: Callable[..., Path]) -> None:
    late = datetime(2024, 3, 2, tzinfo=UTC)
    said = {
        "c": row((0, "PROFILING", None, True)),
        "withdrew": row((0, "PROFILING", None, False)),
        "today": row((0, "PROFILING", None, False), business_on=MORNING),
        "unheard": row((0, "PROFILING", None, False), known_at=late),
        "research": row((0, "RESEARCH", None, False)),
        "silent": None,
        "but-sms": row((1, "MARKETING", "SMS", False)),
    }
    words = [word | {"customer_id": who} for who, word in said.items() if word]
    words.append(row((0, "MARKETING", None, True)) | {"customer_id": "but-sms"})
    home = bank_of(customer=[{"customer_id": who} for who in said], consent=words)
    with open_bank(home) as bank:
        path = views.write_today(bank, "l1", datetime.combine(MORNING, time(4), UTC), BOOK.view(MORNING))
    morning = pd.read_parquet(path).set_index("customer_id")
    assert {who for who, off in morning.has_profiling_optout.items() if off} == {"withdrew"}
    assert named(morning.consented_channels["but-sms"]) == {*EVENT_CHANNELS} - {"SMS"}, "SMS was withdrawn after all"
    assert morning.consented_channels["silent"] == "|"


def test_a_bank_without_consents_does_not_say_who_withdrew(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=[{"customer_id": "c"}])
    with open_bank(home) as bank:
        path = views.write_today(bank, "l1", datetime.combine(MORNING, time(4), UTC), BOOK.view(MORNING))
    assert pd.read_parquet(path).has_profiling_optout.isna().all()
