"""What a customer allows, by the words he said: the newest counts, one about every channel for each of them (R34)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import ibis
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features import views
from features.bank.contract import EVENT_CHANNELS
from features.bank.engines import open_bank
from features.consents import allowed
from tests.features.tier_policy import BOOK

MORNING = date(2024, 3, 1)
NOON = datetime(2024, 2, 1, 12, tzinfo=UTC)
PLACES = (None, None, "SMS", "APP")
KINDS = (None, None, "LOAN", "FUND")


class Word(NamedTuple):
    """What was said at an hour, of a channel and a category of products or of all of them."""

    hour: int
    purpose: str
    channel: str | None
    category: str | None
    granted: bool


def row(word: Word, **more: Any) -> dict[str, Any]:
    at = NOON + timedelta(hours=word.hour)
    return {"customer_id": "c", "purpose": word.purpose, "channel": word.channel, "category": word.category,
            "is_granted": word.granted, "occurred_at": at, "business_on": at.date(), "known_at": at} | more  # fmt: skip


def counting(words: Sequence[Word], purpose: str) -> dict[tuple[str | None, str | None], bool]:
    """What holds of each channel and category spoken of: no later word about as much or more undoes it.

    Who wants to hear of nothing has not said that he wants to hear of loans again.
    """
    found = {}
    mine = [word for word in words if word.purpose == purpose]
    for word in mine:
        is_refusal = not word.granted and word.category is not None
        covering = [
            other
            for other in mine
            if other.channel in (None, word.channel)
            and other.category in (None, word.category)
            and not (is_refusal and other.category is None and not other.granted)
        ]
        wider = [other for other in covering if other[2:4] != word[2:4]]
        later = any(other.hour > word.hour for other in covering)
        undone = word.granted and any(other.hour == word.hour and not other.granted for other in covering)
        swallowed = word.granted and any(other.hour == word.hour for other in wider)
        if not (later or undone or swallowed):
            found[word.channel, word.category] = word.granted
    return found


def named(codes: str) -> set[str]:
    found = set(codes.strip("|").split("|")) - {""}
    return set(EVENT_CHANNELS) if found == {"ALL"} else found


def closed(codes: str) -> set[tuple[str, str]]:
    pairs = [code.partition("/") for code in codes.strip("|").split("|") if code]
    return {(name, kind) for kind, _, channel in pairs for name in ([channel] if channel else EVENT_CHANNELS)}


said_words = st.lists(
    st.builds(Word, st.integers(0, 4), st.sampled_from(["MARKETING", "MARKETING", "PROFILING", "RESEARCH", "SHARING"]),
              st.sampled_from(PLACES), st.sampled_from(KINDS), st.booleans()),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(deadline=None)
@given(said_words)
@example([Word(0, "MARKETING", None, "LOAN", False), Word(1, "MARKETING", None, None, False)])
@example([Word(0, "MARKETING", "SMS", "LOAN", False), Word(1, "MARKETING", None, None, False)])
@example([Word(0, "MARKETING", None, "LOAN", False), Word(1, "MARKETING", None, None, True),
          Word(2, "MARKETING", None, None, False)])  # fmt: skip
def test_the_newest_word_about_a_channel_a_category_or_about_all_counts(said: list[Word]) -> None:
    """The expression against a plain loop over one customer's words, channel by channel and category by category."""
    table = ibis.memtable(pd.DataFrame([row(word, on=MORNING) | {"_happened": NOON.date()} for word in said]))
    rows = allowed(table.cast({"channel": "string", "category": "string"})).execute()
    if not {"MARKETING", "PROFILING"} & {word.purpose for word in said}:
        assert rows.empty
        return
    words = counting(said, "MARKETING")
    opened = {name for name in EVENT_CHANNELS if words.get((name, None), words.get((None, None), False))}
    refused = {
        (name, kind)
        for name in EVENT_CHANNELS
        for kind in ("LOAN", "FUND")
        if not words.get((name, kind), words.get((None, kind), True))
    }
    assert named(rows.consented_channels.item()) == opened
    assert closed(rows.withheld_categories.item()) == refused
    assert bool(rows.has_profiling_optout.item()) is (False in counting(said, "PROFILING").values())


def test_a_morning_knows_what_was_said_by_the_day_before_and_had_reached_the_bank(bank_of: Callable[..., Path]) -> None:
    late = datetime(2024, 3, 2, tzinfo=UTC)
    said = {
        "c": row(Word(0, "PROFILING", None, None, True)),
        "withdrew": row(Word(0, "PROFILING", None, None, False)),
        "today": row(Word(0, "PROFILING", None, None, False), business_on=MORNING),
        "unheard": row(Word(0, "PROFILING", None, None, False), known_at=late),
        "research": row(Word(0, "RESEARCH", None, None, False)),
        "silent": None,
        "no loans": row(Word(0, "MARKETING", None, "LOAN", False)),
        "but-sms": row(Word(1, "MARKETING", "SMS", None, False)),
    }
    words = [word | {"customer_id": who} for who, word in said.items() if word]
    words.append(row(Word(0, "MARKETING", None, None, True)) | {"customer_id": "but-sms"})
    home = bank_of(customer=[{"customer_id": who} for who in said], consent=words)
    with open_bank(home) as bank:
        path = views.write_today(bank, "l1", datetime.combine(MORNING, time(4), UTC), BOOK.view(MORNING))
    morning = pd.read_parquet(path).set_index("customer_id")
    assert {who for who, off in morning.has_profiling_optout.items() if off} == {"withdrew"}
    assert named(morning.consented_channels["but-sms"]) == {*EVENT_CHANNELS} - {"SMS"}, "SMS was withdrawn after all"
    assert morning.consented_channels["silent"] == morning.withheld_categories["silent"] == "|"
    assert morning.withheld_categories["no loans"] == "|LOAN|"
    told = morning.consent_said_on.dropna().astype(str).to_dict()
    assert told == dict.fromkeys(("c", "withdrew", "no loans", "but-sms"), "2024-02-01"), (
        "of what a decision asks alone"
    )


def test_a_channel_that_was_closed_later_is_the_last_word(bank_of: Callable[..., Path]) -> None:
    home = bank_of(
        customer=[{"customer_id": who} for who in ("said first", "closed first", "closed alone")],
        consent=[row(Word(0, "MARKETING", None, None, True)) | {"customer_id": who, "consent_id": who}
                 for who in ("said first", "closed first")],
        do_not_call=[{"customer_id": who, "channel": "SMS", "from_on": day} for who, day in (
            ("said first", date(2024, 2, 5)), ("closed first", date(2024, 1, 5)), ("closed alone", date(2024, 2, 7)))],
    )  # fmt: skip
    with open_bank(home) as bank:
        path = views.write_today(bank, "l1", datetime.combine(MORNING, time(4), UTC), BOOK.view(MORNING))
    told = pd.read_parquet(path).set_index("customer_id").consent_said_on.astype(str).to_dict()
    assert told == {"said first": "2024-02-05", "closed first": "2024-02-01", "closed alone": "2024-02-07"}


def test_a_bank_without_consents_does_not_say_who_withdrew(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=[{"customer_id": "c"}])
    with open_bank(home) as bank:
        path = views.write_today(bank, "l1", datetime.combine(MORNING, time(4), UTC), BOOK.view(MORNING))
    assert pd.read_parquet(path).has_profiling_optout.isna().all()
