"""Behaviour: events counted as the month's own policy says, against a plain loop; the app's figures; refusals."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features import profiles
from features.bank.engines import month_end
from features.errors import BadPolicy
from features.inputs import states
from features.policy import PolicyBook, SegmentsPolicy, segments
from features.segments import behaviour

BOOK = segments()
FIRST, MONTHS = date(2024, 1, 1), 5
VIEWS = {
    "deposit": {"P01", "P06", "P07"}, "wealth": {"P02", "P03", "P09", "P10", "P11", "P12", "P16", "P17", "P18"},
    "insurance": {"P13", "P14"}, "loan": {"P19", "P20", "P21", "P23"}, "card": {"P04", "P05", "P22"},
}  # fmt: skip
Rows = list[dict[str, Any]]


def at(day: date) -> datetime:
    return datetime.combine(day, time(4), UTC)


def event(day: date, what: str, who: str = "c", **more: Any) -> dict[str, Any]:
    return {"customer_id": who, "business_on": day, "occurred_at": at(day), "event": what} | more


def built(home: Path, months: int, book: PolicyBook[SegmentsPolicy] = BOOK) -> pd.DataFrame:
    """That many months from January 2024 on, by customer and month end."""
    instant = at(month_end(date(2024, months, 1)) + timedelta(days=2))
    frames = [pd.read_parquet(build.path) for build in profiles.build(home, book, instant=instant)]
    return pd.concat(frames).set_index(["customer_id", "as_of"]).sort_index()


def in_a_loop(rows: Rows, who: str, end: date) -> dict[str, Any]:
    """The event columns of one customer at a month's end, counted one event after the other."""
    first = date(end.year, end.month - 2, 1) if end.month > 2 else FIRST
    mine = [row for row in rows if row["customer_id"] == who and row["business_on"] <= end]
    recent = [row for row in mine if row["business_on"] >= first]
    shown = [row for row in recent if row["event"] in ("VIEW", "CLICK")]

    def is_way_out(row: dict[str, Any]) -> bool:
        return row["event"] == "TRANSFER_OUT_PAGE" or row["page"] == "TRANSFER_OUT"

    begun = {row["business_on"] for row in recent if row["event"] == "STEP"}
    done = {row["business_on"] for row in recent if row["event"] in ("SUBMIT", "DONE")}
    every = set().union(*VIEWS.values())
    return {
        "n_transfer_out_views_1m": sum(is_way_out(r) and r["business_on"] >= end.replace(day=1) for r in recent),
        "n_transfer_out_views_3m": sum(map(is_way_out, recent)),
        **{f"n_{kind}_views_3m": sum(row["product_id"] in of for row in shown) for kind, of in VIEWS.items()},
        "drop_off_days_3m": len(begun - done),
        "last_transfer_out_view_on": max((r["business_on"] for r in mine if is_way_out(r)), default=None),
        "last_product_view_on": max(
            (r["business_on"] for r in mine if r["event"] in ("VIEW", "CLICK") and r["product_id"] in every),
            default=None,
        ),
    }


def test_the_vectorised_way_equals_a_plain_loop_on_random_events(bank_of: Callable[..., Path]) -> None:
    chance = random.Random(11)
    last_on = month_end(date(2024, MONTHS, 1))
    days = [FIRST + timedelta(days=i) for i in range((last_on - FIRST).days + 1)]
    what = ["LOGIN", "VIEW", "CLICK", "SEARCH", "STEP", "STEP", "SUBMIT", "DONE", "TRANSFER_OUT_PAGE"]
    rows = [
        event(chance.choice(days), chance.choice(what), f"c{chance.randrange(12)}",
              page=chance.choice([None, None, "PRODUCT", "TRANSFER_OUT"]),
              product_id=chance.choice([None, *(f"P{i:02}" for i in range(1, 32))]))
        for _ in range(900)
    ]  # fmt: skip
    rows.append(event(FIRST, "TRANSFER_OUT_PAGE", "long ago"))
    people = sorted({row["customer_id"] for row in rows})
    frame = built(bank_of(customer=[{"customer_id": who} for who in people], channel_event=rows), MONTHS)
    told = 0
    for (who, end), row in frame.iterrows():
        expected = in_a_loop(rows, who, end)
        found = {name: None if pd.isna(row[name]) else row[name] for name in expected}
        assert found == expected, (who, end)
        told += sum(value for name, value in expected.items() if name.startswith("n_"))
    assert len(frame) == 13 * MONTHS
    assert told > 1_000
    assert frame.loc[("long ago", last_on)].last_transfer_out_view_on == FIRST


def test_a_month_counts_events_by_the_policy_of_its_own_day(bank_of: Callable[..., Path]) -> None:
    """From February on only a visit to the page counts as a look at the way out; January keeps what it counted."""
    sections = copy.deepcopy(dict(BOOK.sections))
    sections["activity"]["events"]["transfer_out"]["since"][date(2024, 2, 1)] = "page == 'TRANSFER_OUT'"
    book = PolicyBook(SegmentsPolicy, sections)
    both = [(date(2024, month, 9), what) for month in (1, 2) for what in ("TRANSFER_OUT_PAGE", "CLICK")]
    rows = [event(day, what, page="TRANSFER_OUT" if what == "CLICK" else None) for day, what in both]
    frame = built(bank_of(customer=[{"customer_id": "c"}], channel_event=rows), 2, book)
    assert frame.n_transfer_out_views_1m.tolist() == [2, 1]
    assert frame.n_transfer_out_views_3m.tolist() == [2, 3]


def test_app_figures_are_means_over_measured_days_and_the_worst_of_three_months(bank_of: Callable[..., Path]) -> None:
    def ran(day: date, device: str, crashes: int, failures: int, latency: int | None) -> dict[str, Any]:
        return {"customer_id": "c", "device": device, "business_on": day, "n_crashes": crashes,
                "n_failures": failures, "latency_ms": latency}  # fmt: skip

    rows = [
        ran(date(2024, 1, 3), "IOS", 2, 1, 900), ran(date(2024, 1, 4), "IOS", 0, 0, None),
        ran(date(2024, 2, 3), "ANDROID", 0, 4, 300), ran(date(2024, 2, 20), "HARMONY", 1, 0, 600),
    ]  # fmt: skip
    home = bank_of(customer=[{"customer_id": "c"}, {"customer_id": "never"}], app_quality=rows)
    frame = built(home, 4)
    c = frame.loc["c"]
    assert c.n_app_crashes_3m.tolist() == [2, 3, 3, 1]
    assert c.n_app_failures_3m.tolist() == [1, 5, 5, 4]
    assert c.app_latency_ms_3m.tolist() == [900.0, 600.0, 600.0, 450.0]
    assert c.app_latency_worst_ms_3m.tolist() == [900, 900, 900, 600]
    assert c.app_device.tolist() == ["IOS", "HARMONY", "HARMONY", "HARMONY"]
    never = frame.loc["never"].iloc[-1]
    assert never.n_app_crashes_3m == 0
    assert never[["app_latency_ms_3m", "app_device"]].isna().all()


def test_a_bank_without_the_tables_gets_nulls_and_is_told(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=[{"customer_id": "c"}], balance=[{"customer_id": "c", "amount": 5}])
    frame = built(home, 1)
    assert frame[[column.name for column in behaviour.COLUMNS]].isna().all().all()
    policy = BOOK.view(date(2024, 1, 31))
    without = {state.name: state for state in states({"balance"}, policy)}
    assert without["behaviour"].waits_for == ("channel_event",)
    assert "app_quality" in without["behaviour"].richer_with
    assert {"service_activation"} <= set(without["activity"].richer_with)
    assert without["lifecycle"].richer_with == ("account",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"begun": "mda > 5"}, "unknown column 'mda'"),
        ({"begun": "event > 5"}, "is a code and cannot be used so"),
        ({"swiped": "event == 'CLICK'"}, r"activity\.events\.swiped"),
        (None, "events lack"),
    ],
)
def test_a_rule_over_events_that_does_not_hold_together_is_refused(change: dict[str, str] | None, said: str) -> None:
    sections = copy.deepcopy(dict(BOOK.sections))
    if change is None:
        sections["activity"]["events"].pop("done")
    else:
        sections["activity"]["events"].update(change)
    with pytest.raises(BadPolicy, match=said):
        PolicyBook(SegmentsPolicy, sections).view(date(2024, 1, 31))


def test_complaints_failed_steps_and_waits_count_for_three_months(
    bank_of: Callable[..., Path],
) -> None:
    def noon(day: date, seconds: float = 0) -> datetime:
        return datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(seconds=seconds)

    def complained(day: date, severity: int) -> dict[str, Any]:
        return {"complaint_id": str(day), "customer_id": "c", "opened_at": noon(day), "business_on": day,
                "closed_at": None, "topic": "APP", "severity": severity}  # fmt: skip

    def step(day: date, no: int, outcome: str, seconds: float | None) -> dict[str, Any]:
        return {"journey_id": f"j{day}", "customer_id": "c", "journey": "TRANSFER", "step_no": no, "step": "PAYEE",
                "channel": "APP", "started_at": noon(day), "outcome": outcome, "business_on": day,
                "ended_at": None if seconds is None else noon(day, seconds)}  # fmt: skip

    home = bank_of(
        customer=[{"customer_id": "c"}, {"customer_id": "content"}],
        complaint=[complained(date(2024, 1, 9), 4), complained(date(2024, 2, 9), 2)],
        journey_event=[step(date(2024, 1, 9), 1, "DONE", 40.0), step(date(2024, 1, 9), 2, "FAILED", 300.0),
                       step(date(2024, 2, 9), 1, "ABANDONED", None), step(date(2024, 3, 9), 1, "DONE", 20.0)],
    )  # fmt: skip
    frame = built(home, 5)
    c = frame.loc["c"]
    assert c.n_complaints_3m.tolist() == [1, 2, 2, 1, 0]
    assert c.worst_complaint_3m.fillna(0).tolist() == [4, 4, 4, 2, 0]
    assert c.n_failed_steps_3m.tolist() == [1, 1, 1, 0, 0]
    assert c.n_given_up_steps_3m.tolist() == [0, 1, 1, 1, 0]
    assert c.longest_step_s_3m.fillna(0).tolist() == [300, 300, 300, 20, 20]
    content = frame.loc["content"].iloc[-1]
    assert content[["n_complaints_3m", "n_failed_steps_3m", "n_given_up_steps_3m"]].tolist() == [0, 0, 0]
    assert content[["worst_complaint_3m", "longest_step_s_3m"]].isna().all()
