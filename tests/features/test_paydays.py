"""What stays of a salary after pay day (R19): each case by hand, at month ends from January on."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features import profiles
from features.policy import PolicyBook, SegmentsPolicy, segments

BOOK = segments()
DAYS = BOOK.view(date(2024, 1, 31)).activity.payday_days
Rows = list[dict[str, Any]]
SHARE = "salary_kept_share_3m"


def on(month: int, day: int) -> date:
    return date(2024, month, day)


def paid(day: date, amount: float, **more: Any) -> dict[str, Any]:
    return {"business_on": day, "txn_type": "SALARY", "amount": amount, "by_customer": False} | more


def left(day: date, amount: float, kind: str = "CONSUME", **more: Any) -> dict[str, Any]:
    return {"business_on": day, "txn_type": kind, "amount": amount} | more


def shares(
    bank_of: Callable[..., Path], people: dict[str, Rows], last: date, book: PolicyBook[SegmentsPolicy] = BOOK
) -> pd.DataFrame:
    """What stays by customer and month, to the month that ends on `last`; None where nothing is known."""
    home = bank_of(
        customer=[{"customer_id": who} for who in ("anchor", *people)],
        channel_event=[{"customer_id": "anchor", "business_on": on(1, 1)}],
        txn=[{"customer_id": who} | row for who, rows in people.items() for row in rows],
    )
    return read(profiles.build(home, book, instant=morning_after(last)))


def read(builds: list[profiles.Build]) -> pd.DataFrame:
    frames = {b.as_of.month: pd.read_parquet(b.path).set_index("customer_id")[SHARE] for b in builds}
    frame = pd.DataFrame(frames).drop(index="anchor").astype(object)
    return frame.where(frame.notna(), None)


def morning_after(as_of: date) -> datetime:
    return datetime.combine(as_of + timedelta(days=2), time(), UTC)


def test_what_left_on_pay_day_and_on_seven_days_after_it_is_gone_and_no_more(bank_of: Callable[..., Path]) -> None:
    assert DAYS == 7
    rows = [paid(on(1, 10), 1000), left(on(1, 9), 90), left(on(1, 10), 300), left(on(1, 17), 200), left(on(1, 18), 400)]
    told = shares(bank_of, {"spends": rows, "rests": rows[:1], "owes more": [*rows, left(on(1, 11), 9_000)]}, on(1, 31))
    assert told[1].to_dict() == {"spends": 0.5, "rests": 1.0, "owes more": 0.0}


def test_who_has_no_salary_has_no_share_of_one(bank_of: Callable[..., Path]) -> None:
    told = shares(bank_of, {"spends": [left(on(1, 10), 50), left(on(1, 12), 70, "IN")], "does nothing": []}, on(1, 31))
    assert told[1].tolist() == [None, None]


def test_a_pay_day_belongs_to_the_month_in_which_its_days_are_over(bank_of: Callable[..., Path]) -> None:
    """Seven days after the 24th January ends; the 25th is told a month later, with what left in February."""
    people = {
        "on the 24th": [paid(on(1, 24), 1000), left(on(1, 31), 100), left(on(2, 1), 500)],
        "on the 25th": [paid(on(1, 25), 1000), left(on(1, 31), 100), left(on(2, 1), 500), left(on(2, 2), 300)],
        "on the last": [paid(on(1, 31), 1000), left(on(2, 7), 250), left(on(2, 8), 300)],
    }
    told = shares(bank_of, people, on(2, 29))
    assert told[1].to_dict() == {"on the 24th": 0.9, "on the 25th": None, "on the last": None}
    assert told[2].to_dict() == {"on the 24th": 0.9, "on the 25th": 0.4, "on the last": 0.75}


def test_of_several_salaries_money_leaves_the_later_one(bank_of: Callable[..., Path]) -> None:
    """5 January: 300 of 1,000; 12 January: 200 and 1,000, of which there are 500. Wages of a week keep their own."""
    weeks = [paid(on(1, day), 100) for day in (2, 9, 16, 23)]
    people = {
        "salary and bonus": [paid(on(1, 5), 1000), left(on(1, 6), 300), paid(on(1, 12), 500), left(on(1, 12), 200),
                             left(on(1, 15), 1000)],
        "two on a day": [paid(on(1, 10), 600), paid(on(1, 10), 400), left(on(1, 11), 250)],
        "by the week": [*weeks, left(on(1, 10), 60), left(on(1, 16), 20), left(on(1, 22), 20)],
    }  # fmt: skip
    told = shares(bank_of, people, on(1, 31))
    assert told[1].to_dict() == {
        "salary and bonus": pytest.approx(700 / 1500), "two on a day": 0.75, "by the week": 0.75
    }  # fmt: skip


def test_a_later_salary_whose_days_run_on_takes_what_left_but_does_not_count_yet(bank_of: Callable[..., Path]) -> None:
    rows = [paid(on(1, 22), 1000), left(on(1, 23), 200), paid(on(1, 28), 1000), left(on(1, 29), 700)]
    told = shares(bank_of, {"c": rows}, on(2, 29))
    assert told.loc["c"].tolist() == [0.8, pytest.approx((800 + 300) / 2000)]


def test_spending_bills_repayments_and_transfers_out_leave_and_nothing_else_does(bank_of: Callable[..., Path]) -> None:
    kinds: dict[str, tuple[float, dict[str, Any]]] = {
        "CONSUME": (0.9, {}), "BILL": (0.9, {}), "REPAY": (0.9, {}), "OUT": (0.9, {"counterparty": "OTHER_BANK"}),
        "BUY": (1.0, {}), "REDEEM": (1.0, {}), "IN": (1.0, {}), "FEE": (1.0, {}), "INTEREST": (1.0, {}),
    }  # fmt: skip
    people = {
        kind: [paid(on(1, 10), 1000), left(on(1, 12), 100, kind, **more)] for kind, (_, more) in kinds.items()
    } | {
        "to his own": [paid(on(1, 10), 1000), left(on(1, 12), 100, "OUT", counterparty="OWN")],
        "to nobody named": [paid(on(1, 10), 1000), left(on(1, 12), 100, "OUT", counterparty=None)],
        "by standing order": [paid(on(1, 10), 1000), left(on(1, 12), 100, "OUT", by_customer=False)],
    }
    told = shares(bank_of, people, on(1, 31))
    expected = {kind: share for kind, (share, _) in kinds.items()}
    expected |= {"to his own": 1.0, "to nobody named": 0.9, "by standing order": 0.9}
    assert told[1].to_dict() == expected


def test_pay_days_count_for_three_months(bank_of: Callable[..., Path]) -> None:
    """10 January is told until March, 28 January from February to April; shares are weighed by amount."""
    people = {
        "early": [paid(on(1, 10), 1000), left(on(1, 11), 500), paid(on(2, 10), 3000)],
        "late": [paid(on(1, 28), 1000), left(on(2, 1), 500)],
        "anybody": [left(on(5, 2), 1)],
    }
    told = shares(bank_of, people, on(5, 31))
    assert told.loc["early"].tolist() == [0.5, 0.875, 0.875, 1.0, None]
    assert told.loc["late"].tolist() == [None, 0.5, 0.5, 0.5, None]


def test_a_bank_sets_the_days(bank_of: Callable[..., Path]) -> None:
    sections = dict(BOOK.sections)
    days = {"unit": "days", "source": "branch council", "since": {date(1990, 1, 1): 0}}
    sections["activity"] = sections["activity"] | {"payday_days": days}
    rows = [paid(on(1, 31), 1000), left(on(1, 31), 100)]
    told = shares(bank_of, {"c": [*rows, left(on(2, 1), 500)]}, on(1, 31), PolicyBook(SegmentsPolicy, sections))
    assert told.loc["c"].tolist() == [0.9]


def test_a_late_row_counts_after_its_arrival_and_a_restating_puts_it_in_its_month(
    bank_of: Callable[..., Path], tmp_path: Path
) -> None:
    known = datetime(2024, 2, 10, tzinfo=UTC)
    rows = [paid(on(1, 10), 1000), left(on(1, 12), 400, known_at=known)]
    people = {"spent": rows, "paid": [paid(on(1, 10), 500, known_at=known)]}
    told = shares(bank_of, people, on(2, 29))
    assert told[1].to_dict() == {"spent": 1.0, "paid": None}
    assert told[2].to_dict() == {"spent": 0.6, "paid": 1.0}
    again = read(profiles.build(tmp_path / "home", BOOK, instant=morning_after(on(2, 29)), restate=on(1, 31)))
    assert again[1].to_dict() == told[2].to_dict() == again[2].to_dict()


def test_the_tag_is_of_a_payroll_customer_of_whose_salary_less_than_the_share_stays(
    bank_of: Callable[..., Path],
) -> None:
    two = [paid(on(1, 5), 1000), paid(on(1, 20), 1000)]
    people = {
        "goes": [*two, left(on(1, 6), 900), left(on(1, 21), 600)],
        "goes less": [*two, left(on(1, 6), 900), left(on(1, 21), 500)],
        "paid once": [paid(on(1, 5), 1000), left(on(1, 6), 900)],
    }
    home = bank_of(
        customer=[{"customer_id": who} for who in people],
        txn=[{"customer_id": who} | row for who, rows in people.items() for row in rows],
    )
    (build,) = profiles.build(home, BOOK, instant=morning_after(on(1, 31)))
    tags = pd.read_parquet(build.path).set_index("customer_id").tags
    assert {who for who, given in tags.items() if "|salary_leaves|" in given} == {"goes"}


def in_a_loop(rows: Rows, as_of: date, known: datetime) -> float | None:
    """The share of one customer, as one would count it from his account's lines."""
    rows = [row for row in rows if row["known_at"] <= known and row["business_on"] <= as_of]
    paydays = sorted({row["business_on"] for row in rows if row["txn_type"] == "SALARY"})
    first = date(as_of.year, as_of.month - 2, 1)
    came = stayed = 0.0
    for i, day in enumerate(paydays):
        if not first <= day + timedelta(days=DAYS) <= as_of:
            continue
        ends = min([day + timedelta(days=DAYS + 1), *paydays[i + 1 : i + 2]])
        salary = sum(r["amount"] for r in rows if r["business_on"] == day and r["txn_type"] == "SALARY")
        gone = sum(r["amount"] for r in rows if day <= r["business_on"] < ends and r["txn_type"] in ("CONSUME", "OUT"))
        came, stayed = came + salary, stayed + max(salary - gone, 0)
    return stayed / came if came else None


def test_the_vectorised_way_equals_a_plain_loop_on_random_accounts_with_late_rows(bank_of: Callable[..., Path]) -> None:
    chance = random.Random(19)
    people: dict[str, Rows] = {f"c{i:02}": [] for i in range(60)}
    for _ in range(2_400):
        day = on(1, 1) + timedelta(days=chance.randrange(182))
        kind = chance.choice(["SALARY", "CONSUME", "CONSUME", "OUT", "IN"])
        known = datetime.combine(day, time(5), UTC) + timedelta(days=chance.choice([0, 0, chance.randrange(60)]))
        row = left(day, chance.randrange(1, 900), kind, known_at=known, counterparty="OTHER_BANK")
        people[chance.choice(list(people))].append(row)
    told = shares(bank_of, people, on(6, 30))
    for month in range(3, 7):
        as_of = date(2024, month + 1, 1) - timedelta(days=1)
        closed = datetime.combine(as_of + timedelta(days=1), time(), UTC)  # eight in the morning in Shanghai
        expected = {who: in_a_loop(rows, as_of, closed) for who, rows in people.items()}
        assert told[month].to_dict() == pytest.approx(expected)
        assert sum(share is not None and 0 < share < 1 for share in expected.values()) > 20
