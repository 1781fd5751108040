"""What the ledger heard on consent, beside what the day view will make of the same words once they are a bank table."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.bank.tables import EVENT_CHANNELS
from features.consents import allowed
from features.packing import Plain
from serving.desk.consents import Hearing
from serving.ledger import Word

NOON = datetime(2026, 1, 2, 4, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
BEFORE = (date(2025, 12, 31) - date(1970, 1, 1)).days
SILENT: dict[str, Plain] = {
    "consented_channels": "|", "withheld_categories": "|", "has_profiling_optout": 0.0, "do_not_call": "|",
    "consent_said_on": BEFORE,
}  # fmt: skip


def word(hour: int, purpose: str, channel: str | None, category: str | None, is_granted: bool) -> Word:
    at = NOON + timedelta(hours=hour)
    marketed = category if purpose == "MARKETING" else None
    return Word(int(at.timestamp()) * 1_000_000, purpose, channel, marketed, is_granted, is_proven=True)


def heard(said: list[Word], *, is_attested: bool = False, **known: Plain) -> dict[str, Plain]:
    ordered = sorted(said, key=lambda w: (w.at, not w.is_granted))
    return Hearing(SHANGHAI, is_attested).heard(SILENT | known, ordered)


def pairs(codes: Plain) -> set[tuple[str, str]]:
    """Categories withheld, channel by channel."""
    assert isinstance(codes, str)
    parted = [code.partition("/") for code in codes.strip("|").split("|") if code]
    return {(kind, name) for kind, _, channel in parted for name in ([channel] if channel else EVENT_CHANNELS)}


words = st.lists(
    st.builds(word, st.integers(0, 5), st.sampled_from(["MARKETING", "MARKETING", "PROFILING"]),
              st.sampled_from([None, None, "SMS", "APP"]), st.sampled_from([None, None, "LOAN", "FUND"]),
              st.booleans()),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(deadline=None)
@given(words)
def test_the_moment_says_what_the_next_morning_will(said: list[Word]) -> None:
    rows = [
        {"customer_id": "c", "on": date(2026, 1, 4), "purpose": w.purpose, "channel": w.channel,
         "category": w.category, "is_granted": w.is_granted, "occurred_at": pd.Timestamp(w.at, unit="us", tz="UTC"),
         "_happened": date(2026, 1, 2)} for w in said
    ]  # fmt: skip
    table = ibis.memtable(pd.DataFrame(rows)).cast({"channel": "string", "category": "string"})
    morning, now = allowed(table).execute().iloc[0], heard(said)
    assert now["consented_channels"] == morning.consented_channels
    assert now["has_profiling_optout"] == float(morning.has_profiling_optout)
    assert pairs(now["withheld_categories"]) == pairs(morning.withheld_categories)


def test_an_unproven_grant_opens_nothing() -> None:
    unproven = [word(0, "MARKETING", None, None, True)._replace(is_proven=False)]
    assert heard(unproven) == {name: value for name, value in SILENT.items() if name != "consent_said_on"}


def test_a_grant_ends_the_ledgers_own_withdrawal_though_the_rows_know_both() -> None:
    """Both were exported, came back as a bank table, and the rows say that all is open."""
    said = [word(0, "MARKETING", None, None, False), word(2, "MARKETING", None, None, True)]
    today = (NOON.astimezone(SHANGHAI).date() - date(1970, 1, 1)).days
    assert heard(said, consented_channels="|ALL|", consent_said_on=today)["consented_channels"] == "|ALL|"
    assert heard(said[:1], consented_channels="|ALL|", consent_said_on=today)["consented_channels"] == "|"


def test_rows_that_an_earlier_version_published_take_withdrawals_alone() -> None:
    old = {name: value for name, value in SILENT.items() if name != "consent_said_on"} | {"do_not_call": "|CALL|"}
    hearing = Hearing(SHANGHAI)
    assert hearing.heard(old, [word(0, "MARKETING", None, None, True)])["consented_channels"] == "|"
    shut = hearing.heard(old | {"consented_channels": "|ALL|"}, [word(0, "MARKETING", "SMS", None, False)])
    assert "|SMS|" not in str(shut["consented_channels"])
    assert shut["do_not_call"] == "|CALL|"


@pytest.mark.parametrize(("closed", "granted", "expected"), [
    ("|CALL|SMS|", None, "|"), ("|CALL|SMS|", "SMS", "|CALL|"), (None, None, None), ("|", "SMS", "|"),
])  # fmt: skip
def test_a_proven_grant_ends_earlier_requests_not_to_be_called(
    closed: str | None, granted: str | None, expected: str | None
) -> None:
    assert heard([word(0, "MARKETING", granted, None, True)], do_not_call=closed)["do_not_call"] == expected


def test_where_the_bank_speaks_by_its_own_word_a_withdrawal_closes_what_goes_out() -> None:
    said = [word(0, "MARKETING", None, None, False), word(1, "MARKETING", "SMS", None, True)]
    known: dict[str, Plain] = {"consented_channels": None, "do_not_call": "|RM|"}
    found = heard(said, is_attested=True, **known)
    assert (found["consented_channels"], found["do_not_call"]) == ("|SMS|", "|RM|")
    assert heard(said[1:], is_attested=True, **known)["consented_channels"] is None, "all was open, and is"
    assert heard([word(0, "PROFILING", None, None, False)], is_attested=True, **known)["consented_channels"] is None
