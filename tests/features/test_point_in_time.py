"""Nothing that happened or became known after an instant reaches a profile, a day view or a moment view of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features import profiles, views
from features.bank.engines import open_bank
from features.policy import segments

BOOK = segments()
CUSTOMERS = ("a", "b")
INSTANT = datetime(2024, 3, 5, 4, tzinfo=UTC)
Rows = dict[str, list[dict[str, Any]]]


def at(day: date, hour: int = 4) -> datetime:
    return datetime.combine(day, time(hour), UTC)


def past() -> Rows:
    """Two customers over two months, something in every fact table."""
    chance = random.Random(3)
    days = [date(2024, 1, 1) + timedelta(days=chance.randrange(60)) for _ in range(24)]
    rows: Rows = {
        name: [] for name in ("txn", "channel_event", "contact", "response", "complaint", "balance", "holding")
    }
    for i, day in enumerate(days):
        who = CUSTOMERS[i % 2]
        rows["txn"].append({"customer_id": who, "business_on": day, "amount": 100 + i, "occurred_at": at(day)})
        rows["channel_event"].append({"customer_id": who, "business_on": day, "occurred_at": at(day)})
        rows["contact"].append({"customer_id": who, "business_on": day, "sent_at": at(day), "opened_at": at(day, 6)})
        rows["response"].append(
            {
                "customer_id": who,
                "business_on": day,
                "occurred_at": at(day, 8),
                "outcome": "converted",
                "offer_id": "P1",
            }
        )
    for who in CUSTOMERS:
        rows["balance"].append({"customer_id": who, "amount": 60_000, "from_on": date(2024, 1, 1)})
        rows["holding"].append({"customer_id": who, "product_id": "P06", "opened_on": date(2024, 1, 9), "amount": 5})
        rows["complaint"].append(
            {"customer_id": who, "business_on": date(2024, 1, 9), "opened_at": at(date(2024, 1, 9))}
        )
    return rows


def future(rows: Rows, days: list[int], late: list[bool]) -> Rows:
    """`rows` with more of each table: happened after the instant, or happened before and known after it."""
    more = {name: list(given) for name, given in rows.items()}
    for ahead, is_late in zip(days, late, strict=True):
        known = INSTANT + timedelta(days=ahead)
        day = date(2024, 2, 10) if is_late else known.date()
        happened = at(day) if is_late else known
        who = CUSTOMERS[ahead % 2]
        base = {"customer_id": who, "known_at": known}
        more["txn"].append(base | {"business_on": day, "occurred_at": happened, "amount": 9_999})
        more["channel_event"].append(base | {"business_on": day, "occurred_at": happened})
        more["contact"].append(base | {"business_on": day, "sent_at": happened})
        more["response"].append(
            base | {"business_on": day, "occurred_at": happened, "outcome": "refused", "offer_id": "P1"}
        )
        more["complaint"].append(base | {"business_on": day, "opened_at": happened})
        more["balance"].append(base | {"account_id": f"late{len(more['balance'])}", "from_on": day, "amount": 900_000})
        more["holding"].append(base | {"product_id": "P10", "opened_on": day, "amount": 7})
    return more


def seen(home: Path) -> list[pd.DataFrame]:
    """Everything that features know at the instant: each month's profile, the day views, the moments."""
    builds = profiles.build(home, BOOK, instant=INSTANT)
    frames = [pd.read_parquet(build.path) for build in builds]
    spine = pd.DataFrame(
        {
            "customer_id": [*CUSTOMERS, *CUSTOMERS],
            "event_timestamp": pd.to_datetime([at(date(2024, 2, 20), 9)] * 2 + [INSTANT] * 2, utc=True),
        }
    )
    with open_bank(home) as bank:
        policy = BOOK.view(INSTANT.date())
        for path in views.write_spine(bank, builds[-1].lineage, spine, policy, name="test"):
            frames.append(pd.read_parquet(path).sort_values(["customer_id", "as_of_at"], ignore_index=True))
        frames.append(pd.read_parquet(views.write_today(bank, builds[-1].lineage, INSTANT, policy)))
    return frames


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=6))
def test_rows_of_the_future_change_nothing(
    bank_of: Callable[..., Path], tmp_path_factory: Any, rows: list[tuple[int, bool]]
) -> None:
    customer = [{"customer_id": who} for who in CUSTOMERS]
    known = past()
    before = seen(bank_of(home=tmp_path_factory.mktemp("before"), customer=customer, **known))
    told = future(known, [ahead for ahead, _ in rows], [is_late for _, is_late in rows])
    after = seen(bank_of(home=tmp_path_factory.mktemp("after"), customer=customer, **told))
    assert len(before) == len(after) == 5
    for old, new in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(old, new)


def test_a_late_row_counts_from_the_build_after_its_arrival(bank_of: Callable[..., Path]) -> None:
    """A January transaction that arrives in mid February is not in January's profile, and is in February's window."""
    late = {
        "customer_id": "a", "business_on": date(2024, 1, 20), "occurred_at": at(date(2024, 1, 20)),
        "known_at": at(date(2024, 2, 15)), "amount": 50,
    }  # fmt: skip
    first = {"customer_id": "a", "business_on": date(2024, 1, 5), "occurred_at": at(date(2024, 1, 5)), "amount": 50}
    home = bank_of(customer=[{"customer_id": "a"}], txn=[first, late])
    january, february = (pd.read_parquet(b.path) for b in profiles.build(home, BOOK, instant=INSTANT))
    assert january.n_txn_3m.tolist() == [1]
    assert february.n_txn_3m.tolist() == [2]
    assert february.n_txn_1m.tolist() == [0]


def test_a_second_build_changes_no_byte(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=[{"customer_id": who} for who in CUSTOMERS], **past())
    first = profiles.build(home, BOOK, instant=INSTANT)
    bytes_before = [build.path.read_bytes() for build in first]
    second = profiles.build(home, BOOK, instant=INSTANT)
    assert second == first
    assert [build.path.read_bytes() for build in second] == bytes_before
