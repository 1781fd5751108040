"""Other ways to a tier (R14) and a new customer's seven days, to the digit, at the month's end and by the day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features import profiles, views
from features.bank.engines import month_end, open_bank
from features.policy import PolicyBook, SegmentsPolicy
from tests.features.tier_policy import BOOK, changed

LOAN = {"customer_id": "c", "product_id": "P20", "opened_on": date(2024, 1, 5), "ends_on": date(2034, 1, 5),
        "amount": 6_000_000}  # fmt: skip
ANCHOR = {"customer_id": "anchor", "amount": 1}  # with it the bank's history begins on the first of January


def built(home: Path, months: int, book: PolicyBook[SegmentsPolicy] = BOOK) -> pd.DataFrame:
    last = month_end(date(2024, months, 1))
    builds = profiles.build(home, book, instant=datetime(2024, months + 1, 2, tzinfo=UTC), as_of=last)
    rows = pd.concat([pd.read_parquet(build.path) for build in builds])
    return rows[rows.customer_id == "c"].set_index("as_of")


def this_morning(home: Path, on: date, book: PolicyBook[SegmentsPolicy] = BOOK) -> pd.DataFrame:
    with open_bank(home) as bank:
        path = views.write_today(bank, "l1", datetime.combine(on, time(4), UTC), book.view(on))
    return pd.read_parquet(path).set_index("customer_id")


@pytest.mark.parametrize(
    ("loan", "tier", "way"),
    [
        ({}, "VIP", "LOAN"),
        ({"amount": "5999999.99"}, "V2", "AUM"),
        ({"ends_on": None}, "V2", "AUM"),
        ({"closed_on": date(2024, 1, 20)}, "V2", "AUM"),
        ({"overdue_from_on": date(2024, 1, 28)}, "V2", "AUM"),
        ({"overdue_from_on": date(2024, 1, 8), "overdue_to_on": date(2024, 1, 12)}, "VIP", "LOAN"),
    ],
    ids=["six millions", "a fen less", "a card line", "repaid", "overdue", "no longer overdue"],
)
def test_a_loan_of_six_millions_is_the_tier_of_three_millions_kept(
    bank_of: Callable[..., Path], loan: dict[str, Any], tier: str, way: str
) -> None:
    home = bank_of(
        customer=[{"customer_id": "c"}], balance=[{"customer_id": "c", "amount": 60_000}], loan=[LOAN | loan]
    )
    (row,) = built(home, 1).itertuples()
    assert (row.tier, row.qualify_path) == (tier, way)
    assert row.tier_floor == (0 if way == "LOAN" else 50_000), "nothing need lie there while the loan runs"


def test_two_loans_count_together_and_a_repaid_one_begins_a_years_grace(bank_of: Callable[..., Path]) -> None:
    loans = [LOAN | {"amount": 3_500_000}, LOAN | {"amount": 2_500_000, "closed_on": date(2024, 2, 10)}]
    home = bank_of(customer=[{"customer_id": "c"}], balance=[{"customer_id": "c", "amount": 60_000}], loan=loans)
    rows = built(home, 3)
    assert rows.tier.tolist() == ["VIP"] * 3
    assert rows.qualify_path.tolist() == ["LOAN", "KEPT", "KEPT"]
    assert rows.tier_state.tolist() == ["SEEDED", "GRACE", "GRACE"]
    assert rows.best_below.tolist()[1:] == [60_000.0, 60_000.0]


def test_a_bank_without_the_path_is_not_asked(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=[{"customer_id": "c"}], balance=[{"customer_id": "c", "amount": 60_000}], loan=[LOAN])
    assert built(home, 1, changed(loan_path=None)).tier.tolist() == ["V2"]


@pytest.mark.parametrize(("kin", "tier", "way"), [("440000.00", "V4", "FAMILY"), ("439999.99", "V3", "FAMILY"),
                                                  ("139999.99", "V2", "AUM")])  # fmt: skip
def test_a_family_counts_together_where_the_policy_says_so(
    bank_of: Callable[..., Path], tmp_path: Path, kin: str, tier: str, way: str
) -> None:
    """60,000 of his own and what his kin keeps make V4 at 500,000; as shipped he has what is his own."""
    people = [{"customer_id": "c", "family_id": "f"}, {"customer_id": "kin", "family_id": "f"},
              {"customer_id": "other"}, {"customer_id": "stranger"}]  # fmt: skip
    money = [{"customer_id": "c", "amount": 60_000}, {"customer_id": "kin", "amount": kin},
             {"customer_id": "other", "amount": 900_000}, {"customer_id": "stranger", "amount": 900_000}]  # fmt: skip
    home = bank_of(customer=people, balance=money)
    (row,) = built(home, 1, changed(merges_families=True)).itertuples()
    assert (row.tier, row.qualify_path) == (tier, way)
    assert row.family_mda == float(kin)
    assert row.tier_floor == max(BOOK.view(date(2024, 1, 31)).tiers.thresholds[tier] - float(kin), 0)
    assert row.mda == 60_000, "his own money stays his own"
    apart = bank_of(home=tmp_path / "apart", customer=people, balance=money)
    (row,) = built(apart, 1).itertuples()
    assert (row.tier, row.qualify_path, pd.isna(row.family_mda)) == ("V2", "AUM", True)


@pytest.mark.parametrize(("own", "tier"), [("5999999.99", "VIP"), ("6000000.00", "VVIP")])
def test_no_family_lifts_a_member_to_the_highest_tier(bank_of: Callable[..., Path], own: str, tier: str) -> None:
    """The kin's millions make VIP; the highest tier asks for his own, to the fen (decision 0009)."""
    people = [{"customer_id": "c", "family_id": "f"}, {"customer_id": "kin", "family_id": "f"}]
    money = [{"customer_id": "c", "amount": own}, {"customer_id": "kin", "amount": 90_000_000}]
    (row,) = built(bank_of(customer=people, balance=money), 1, changed(merges_families=True)).itertuples()
    assert (row.tier, row.qualify_path) == (tier, "AUM")


def test_a_familys_money_alone_ends_below_the_highest_tier(bank_of: Callable[..., Path]) -> None:
    people = [{"customer_id": "c", "family_id": "f"}, {"customer_id": "kin", "family_id": "f"}]
    money = [{"customer_id": "c", "amount": 60_000}, {"customer_id": "kin", "amount": 90_000_000}]
    (row,) = built(bank_of(customer=people, balance=money), 1, changed(merges_families=True)).itertuples()
    assert (row.tier, row.qualify_path) == ("VIP", "FAMILY")


def newcomer(amount: str, on: date, **more: Any) -> dict[str, Any]:
    return {"customer_id": "c", "amount": amount, "from_on": on} | more


@pytest.mark.parametrize(
    ("came_on", "amount", "february"),
    [
        (date(2024, 2, 23), "500000.00", ("V4", "GRACE", "NEWCOMER")),  # seven days: the 23rd to the 29th
        (date(2024, 2, 23), "499999.99", ("V3", "GRACE", "NEWCOMER")),
        (date(2024, 2, 24), "500000.00", ("V2", "NORMAL", "AUM")),  # six days: 3,000,000 ÷ 29 is all that counts
        (date(2024, 2, 1), "500000.00", ("V4", "NORMAL", "AUM")),
    ],
)
def test_seven_days_held_raise_a_new_customer_and_grace_keeps_him_until_a_whole_month_says_so(
    bank_of: Callable[..., Path], came_on: date, amount: str, february: tuple[str, str, str]
) -> None:
    home = bank_of(
        customer=[{"customer_id": "c", "first_product_on": None}, {"customer_id": "anchor"}],
        balance=[ANCHOR, newcomer(amount, came_on)],
    )
    rows = built(home, 3)
    assert tuple(rows.loc[date(2024, 2, 29), ["tier", "tier_state", "qualify_path"]]) == february
    march = "V4" if amount == "500000.00" else february[0]
    assert tuple(rows.loc[date(2024, 3, 31), ["tier", "tier_state", "qualify_path"]]) == (march, "NORMAL", "AUM")
    assert rows.became_customer_on.iloc[-1] == came_on


def test_who_is_only_told_to_be_new_or_was_here_before_is_measured_by_the_month(bank_of: Callable[..., Path]) -> None:
    """An account opened in January makes a customer of January, whenever the money comes."""
    home = bank_of(
        customer=[{"customer_id": "c", "first_product_on": date(2024, 1, 3)}, {"customer_id": "anchor"}],
        balance=[ANCHOR, newcomer("500000.00", date(2024, 2, 15))],
    )
    assert built(home, 2).tier.tolist() == ["V0", "V3"]  # 15 × 500,000 ÷ 29 = 258,620.69


@pytest.mark.parametrize(
    ("came_on", "on", "amount", "tier"),
    [
        (date(2024, 2, 5), date(2024, 2, 11), "500000.00", None),
        (date(2024, 2, 5), date(2024, 2, 12), "500000.00", "V4"),
        (date(2024, 2, 5), date(2024, 2, 12), "499999.99", "V3"),
        (date(2024, 2, 5), date(2024, 2, 12), "6000000.00", "VVIP"),
        (date(2024, 2, 5), date(2024, 2, 12), "9999.99", "V0"),
        (date(2024, 2, 23), date(2024, 3, 1), "500000.00", None),  # seven days when the month ended, which measured him
        (date(2024, 2, 24), date(2024, 3, 1), "500000.00", None),  # six days when the month ended
        (date(2024, 2, 24), date(2024, 3, 2), "500000.00", "V4"),
    ],
)
def test_by_the_day_seven_days_held_are_measured_by_the_days_since_he_came(
    bank_of: Callable[..., Path], came_on: date, on: date, amount: str, tier: str | None
) -> None:
    home = bank_of(
        customer=[{"customer_id": "c", "first_product_on": None}, {"customer_id": "anchor"}],
        balance=[ANCHOR, newcomer(amount, came_on)],
    )
    morning = this_morning(home, on)
    assert morning.newcomer_tier.get("c") == tier
    assert pd.isna(morning.newcomer_tier["anchor"])


def test_one_truth_about_the_first_day_whatever_the_banks_field_says(bank_of: Callable[..., Path]) -> None:
    """Untold, the first money of a hundred or the first contract make the customer, by the day as by the month."""
    people = {
        "told": ({"first_product_on": date(2024, 1, 9)}, date(2024, 1, 9)),
        "funded": ({"first_product_on": None}, date(2024, 1, 11)),
        "earlier": ({"first_product_on": date(2024, 1, 20)}, date(2024, 1, 11)),
        "pennies": ({"first_product_on": None}, None),
        "sold": ({"first_product_on": None}, date(2024, 1, 7)),
        "lent": ({"first_product_on": None}, date(2024, 1, 8)),
    }
    home = bank_of(
        customer=[{"customer_id": name} | told for name, (told, _) in people.items()],
        balance=[
            {"customer_id": "funded", "from_on": date(2024, 1, 5), "to_on": date(2024, 1, 11), "amount": "99.99"},
            {"customer_id": "funded", "from_on": date(2024, 1, 11), "amount": 100},
            {"customer_id": "earlier", "from_on": date(2024, 1, 11), "to_on": date(2024, 1, 12), "amount": 100},
            {"customer_id": "pennies", "from_on": date(2024, 1, 2), "amount": "99.99"},
        ],
        holding=[{"customer_id": "sold", "product_id": "P06", "opened_on": date(2024, 1, 7),
                  "closed_on": date(2024, 1, 9)}],
        loan=[LOAN | {"customer_id": "lent", "opened_on": date(2024, 1, 8), "closed_on": date(2024, 1, 9)}],
    )  # fmt: skip
    morning = this_morning(home, date(2024, 2, 1)).first_product_on
    (month,) = profiles.build(home, BOOK, instant=datetime(2024, 2, 2, tzinfo=UTC), as_of=date(2024, 1, 31))
    closed = pd.read_parquet(month.path).set_index("customer_id").became_customer_on
    for name, (_, first) in people.items():
        assert (None if pd.isna(morning[name]) else morning[name]) == first, name
        assert (None if pd.isna(closed[name]) else closed[name]) == first, name
