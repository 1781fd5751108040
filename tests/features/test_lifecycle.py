"""Lifecycle beside the stage: paydays that are no decline, marked returns, the one day of becoming a customer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features import profiles
from features.bank.engines import month_end
from features.bank.quarantine import receive
from features.policy import segments
from features.vocabulary import Stage
from tests.features.conftest import tables_of

BOOK = segments()
LONG_AGO = date(2020, 1, 1)
MONTHS = 12
Rows = list[dict[str, Any]]


def ends(n: int = MONTHS) -> list[date]:
    return [month_end(date(2024, month, 1)) for month in range(1, n + 1)]


def txn(
    who: str, day: date, kind: str, amount: float, *, own: bool = True, across: str = "OTHER_BANK"
) -> dict[str, Any]:
    return {"customer_id": who, "business_on": day, "txn_type": kind, "amount": amount, "by_customer": own,
            "counterparty": across}  # fmt: skip


def levels(who: str, spans: list[tuple[date, float]]) -> Rows:
    """Balances of one account, each from its day until the next one's."""
    stops = [day for day, _ in spans[1:]] + [None]
    return [
        {"customer_id": who, "account_id": who, "from_on": day, "to_on": stop, "amount": amount}
        for (day, amount), stop in zip(spans, stops, strict=True)
    ]


def payday(who: str, pays: Callable[[date], date], moves: Callable[[date], date]) -> tuple[Rows, Rows]:
    """A salary of 20,000 that comes on one day of each month and goes on another, 19,800 of it in one transfer."""
    txns, spans = [], [(date(2023, 12, 1), 400.0)]
    for end in ends():
        came, went = pays(end), moves(end)
        txns += [txn(who, came, "SALARY", 20_000, own=False), txn(who, went, "OUT", 19_800 + end.month * 100)]
        spans += [(came, 20_400.0), (went, 400.0)]
    return txns, levels(who, sorted(spans))


def lived() -> dict[str, Rows]:
    """The customers of these tests, each a year long."""
    txns, balances = [], []
    for who, pays, moves in (
        ("payday", lambda end: end.replace(day=5), lambda end: end.replace(day=28)),
        ("paid at the end", lambda end: end, lambda end: end.replace(day=2)),
    ):
        mine, money = payday(who, pays, moves)
        txns, balances = txns + mine, balances + money
    balances += levels("saver", [(date(2023, 12, 1), 80_000.0), (date(2024, 6, 10), 20_000.0)])
    txns += [txn("saver", end.replace(day=3), "CONSUME", 50, across="MERCHANT") for end in ends()]
    txns += [txn("saver", date(2024, 6, 10), "OUT", 60_000)]
    balances += levels("interest alone", [(date(2023, 12, 1), 5_000.0)])
    txns += [txn("interest alone", date(2024, 1, 3), "CONSUME", 50, across="MERCHANT")]
    for end in ends():
        txns += [txn("interest alone", end.replace(day=20), kind, 5, own=False) for kind in ("INTEREST", "FEE")]
    balances += levels("woken", [(date(2023, 12, 1), 5_000.0)])
    txns += [txn("woken", date(2024, month, day), "IN", 50) for month in (1, 9, 10, 11) for day in (3, 5)]
    balances += levels("won back", [(date(2023, 12, 1), 90_000.0), (date(2024, 4, 1), 1_000.0)])
    txns += [txn("won back", date(2024, month, 3), "CONSUME", 50) for month in (1, 2, 3, 9, 10)]
    txns += [txn("won back", date(2024, 9, 4), "IN", 5_000)]
    return {"txn": txns, "balance": balances}


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The year of these customers, by customer and month end."""
    rows, home = lived(), tmp_path_factory.mktemp("year")
    people = sorted({row["customer_id"] for row in rows["balance"]})
    customer = [{"customer_id": who, "registered_on": LONG_AGO, "first_product_on": LONG_AGO} for who in people]
    receive(home, tables_of(customer=customer, **rows))
    return built(home, MONTHS)


def built(home: Path, months: int) -> pd.DataFrame:
    instant = datetime.combine(ends(months)[-1] + timedelta(days=2), time(), UTC)
    frames = [pd.read_parquet(build.path) for build in profiles.build(home, BOOK, instant=instant)]
    frame = pd.concat(frames)
    return frame[frame.as_of >= date(2024, 1, 31)].set_index(["customer_id", "as_of"]).sort_index()


def test_a_salary_that_comes_and_goes_by_the_months_end_is_no_decline(year: pd.DataFrame) -> None:
    for who in ("payday", "paid at the end"):
        stages = year.loc[who].stage.tolist()
        assert "DECLINE" not in stages, (who, stages)
    out = year.loc["payday"]
    assert (out.largest_out_1m >= 0.5 * 400).all()
    assert (out.largest_out_1m > 10_000).all()  # without the payday every one of them would be a hard sign


def test_savings_that_leave_at_once_are_a_decline(year: pd.DataFrame) -> None:
    june = year.loc[("saver", date(2024, 6, 30))]
    assert (june.stage, june.stage_reason) == ("DECLINE", "money left")
    assert june.stage_entered_on == date(2024, 6, 30)
    later = year.loc["saver"].iloc[6:]
    assert later.stage.tolist()[:5] == ["DECLINE"] * 5
    assert later.stage_reason.tolist()[:5] == ["money left"] * 5, "why he declined, told for as long as he does"
    assert year.loc[("saver", date(2024, 5, 31))].stage == "GROWTH"


def test_soft_signs_are_named_and_a_morning_knows_below_what_money_has_left(year: pd.DataFrame) -> None:
    may, june = year.loc[("saver", date(2024, 5, 31))], year.loc[("saver", date(2024, 6, 30))]
    assert (may.decline_signs, may.fall_floor) == ("|", 40_000)  # half of 80,000 in each of three months
    assert june.mda == (9 * 80_000 + 21 * 20_000) / 30
    assert june.decline_signs == "|AUM|"
    assert pd.isna(june.fall_floor), "he declines already"
    assert year.loc["payday"].fall_floor.isna().all(), "all of a salary may leave"
    assert year.loc["interest alone"].fall_floor.isna().all(), "5,000 are too little to lose 10,000"


def test_a_prospect_is_stale_after_half_a_year_of_silence_until_he_shows_himself(bank_of: Callable[..., Path]) -> None:
    users = {"silent": [date(2024, 1, 5)], "looks in": [date(2024, 1, 5), date(2024, 7, 10)],
             "to the day": [date(2024, 1, 2)], "a day short": [date(2024, 1, 3)]}  # fmt: skip
    home = bank_of(
        customer=[
            {"customer_id": who, "registered_on": date(2024, 1, 2), "first_product_on": None}
            for who in (*users, "buyer")
        ],
        channel_event=[{"customer_id": who, "business_on": day} for who, days in users.items() for day in days],
        balance=[{"customer_id": "buyer", "amount": 100, "from_on": date(2024, 1, 5)}],
    )
    frame = built(home, 8)
    stale = {who: frame.loc[who].is_stale.tolist() for who in (*users, "buyer")}
    assert [(end - date(2024, 1, 5)).days for end in ends(8)[5:7]] == [177, 208]
    assert (ends(6)[5] - date(2024, 1, 2)).days == 180
    late = [False] * 6 + [True] * 2
    assert stale == {"silent": late, "looks in": [False] * 8, "buyer": [False] * 8,
                     "to the day": [False] * 5 + [True] * 3, "a day short": late}  # fmt: skip


def test_interest_and_fees_are_no_activity(year: pd.DataFrame) -> None:
    rows = year.loc["interest alone"]
    assert set(rows.last_active_on) == {date(2024, 1, 3)}
    assert rows.stage.tolist()[6:8] == ["DORMANT", "DORMANT"]  # 180 days after the third of January
    assert rows.stage_reason.tolist()[6:8] == ["silent", "silent"]
    assert (rows.n_txn_1m.tolist()[1:]) == [0] * (MONTHS - 1)


def test_a_customer_won_back_is_marked_for_the_policys_days(year: pd.DataFrame) -> None:
    rows = year.loc["won back"].iloc[6:]
    assert rows.stage.tolist() == ["DECLINE", "LOST", "NEW", "NEW", "NEW", "GROWTH"]
    assert rows.stage_reason.iloc[2] == "winback"
    september = date(2024, 9, 30)
    assert rows.won_back_on.tolist() == [None, None, *[september] * 4]
    days = [(end - september).days for end in ends()[8:]]
    assert days == [0, 31, 61, 92]
    assert rows.is_won_back.tolist() == [False, False, True, True, True, False]
    assert ["|won_back|" in tags for tags in rows.tags] == rows.is_won_back.tolist()


def test_one_who_woke_is_nurtured_for_the_policys_days(year: pd.DataFrame) -> None:
    rows = year.loc["woken"].iloc[6:]
    assert rows.stage.tolist()[:3] == ["DORMANT", "DORMANT", "GROWTH"]
    assert rows.stage_reason.iloc[2] == "reactivated"
    assert rows.reactivated_on.tolist() == [None, None, *[date(2024, 9, 30)] * 4]
    assert rows.is_reactivated.tolist() == [False, False, True, True, False, False]  # 31 days, 61, 92


def test_a_customer_becomes_one_once_whatever_the_books_say_later(bank_of: Callable[..., Path]) -> None:
    def books(first_product_on: date | None) -> dict[str, Rows]:
        person = {"customer_id": "c", "registered_on": date(2024, 1, 5), "first_product_on": first_product_on}
        return {"customer": [person], "channel_event": [{"customer_id": "c", "business_on": date(2024, 1, 5)}]}

    home = bank_of(**books(date(2024, 3, 10)))
    frame = built(home, 3)
    assert frame.is_customer.tolist() == [False, False, True]
    assert frame.became_customer_on.tolist() == [None, None, date(2024, 3, 10)]
    assert frame.stage.tolist() == ["PROSPECT", "PROSPECT", "NEW"]
    for later in (date(2024, 4, 20), None):  # closed and opened again, or the field emptied
        bank_of(home=home, **books(later))
        assert built(home, 4 if later else 5).became_customer_on.tolist()[3:] == [date(2024, 3, 10)] * (
            1 if later else 2
        )
    bank_of(home=home, **books(date(2024, 2, 20)))  # mended to an earlier day
    assert built(home, 6).became_customer_on.iloc[-1] == date(2024, 2, 20)


def test_silence_counts_from_the_first_product_on(tmp_path: Path) -> None:
    """Silent since January and a customer since 1 June: new for 90 days, and asleep 180 days after that day."""
    receive(tmp_path, tables_of(
        customer=[{"customer_id": "c", "first_product_on": None}, {"customer_id": "anchor"}],
        channel_event=[{"customer_id": "c", "business_on": date(2024, 1, 5)}],
        balance=[*levels("c", [(date(2024, 6, 1), 5_000.0)]), *levels("anchor", [(date(2024, 1, 1), 1.0)])],
    ))  # fmt: skip
    found = built(tmp_path, 11).loc["c"]
    assert found.stage.tolist() == ["PROSPECT"] * 5 + ["NEW"] * 2 + ["GROWTH"] * 3 + ["DORMANT"]
    assert found.stage_reason.tolist()[-1] == "silent"


def test_a_move_that_the_policy_does_not_list_is_not_made_and_bars_no_later_one(bank_of: Callable[..., Path]) -> None:
    """Told in August of a product of January, he is NEW then; from NEW nobody falls asleep, from GROWTH he does."""

    def books(first: date | None) -> dict[str, Any]:
        return {
            "customer": [{"customer_id": "c", "first_product_on": first}, {"customer_id": "anchor"}],
            "channel_event": [{"customer_id": who, "business_on": date(2024, 1, 5)} for who in ("c", "anchor")],
        }

    home = bank_of(**books(None))
    assert built(home, 7).loc["c"].stage.tolist() == ["PROSPECT"] * 7
    bank_of(home=home, **books(date(2024, 1, 10)))
    assert built(home, 10).loc["c"].stage.tolist()[7:] == ["NEW", "GROWTH", "DORMANT"]
    assert Stage.DORMANT not in BOOK.view(date(2024, 1, 31)).lifecycle.legal_moves[Stage.NEW]
