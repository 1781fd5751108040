"""Random customers, recent rows and moments, with every value that a rule tells apart, and missing ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from features.vocabulary import Purpose, Stage
from tests.decisioning.builders import NOON

SMALL_CLASSES, SMALL_OFFERS = ("SAVER", "ELDER", "EVERYBODY"), ("DEP", "FUND", "LOAN", "TASKS", "DEP-TASKS", "REMEDY")
CATEGORIES = ("存款", "理财", "贷款", "场景", "工具", "支付", "NOT_OURS")
SMALL_CHANNELS = ("APP", "SMS", "CALL", "RM")


def sets(*names: str) -> st.SearchStrategy[str | None]:
    written = st.lists(st.sampled_from(names), unique=True, max_size=2).map(lambda n: "|" + "".join(f"{x}|" for x in n))
    return st.none() | written


def flags() -> st.SearchStrategy[int | None]:
    return st.sampled_from([0, 0, 0, 1, None])


def customers(
    classes: Sequence[str] = SMALL_CLASSES,
    products: Sequence[str] = ("DEP", "FUND", "LOAN", "SCENE", "TOOL"),
    channels: Sequence[str] = SMALL_CHANNELS,
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "age": st.sampled_from([None, 17, 40, 60, 65, 66, 80]),
            "aum_now": st.sampled_from([None, 0, 49_999.99, 50_000, 400_000]),
            "risk_level": st.sampled_from([None, 1, 2, 3, 4, 5]),
            "is_risk_valid": st.sampled_from([None, 0, 1, 1]),
            "days_with_product": st.sampled_from([None, 0, 29, 30, 45, 90, 400]),
            "n_services_3m": st.sampled_from([None, 0, 1, 3, 9]),
            "active_days_3m": st.sampled_from([None, 0, 6, 12, 40]),
            "n_conversions_12m": st.sampled_from([None, 0, 2]),
            "n_open_complaints": st.sampled_from([None, 0, 0, 1]),
            "p_churn": st.sampled_from([None, 0.0, 0.25, 0.7]),
            "days_to_maturity": st.sampled_from([None, 3, 14, 15]),
            "days_to_loan_end": st.sampled_from([None, 30, 61]),
            "overdue_days": st.sampled_from([None, 0, 0, 0, 12]),
            "is_staff": flags(),
            "has_marketing_optout": flags(),
            "has_profiling_optout": flags(),
            "near_up": flags(),
            "customer_class": st.sampled_from([None, "NOT_OURS", *classes]),
            "stage": st.sampled_from([None, *map(str, Stage)]),
            "first_product_on": st.sampled_from([None, "2025-01-01"]),
            "tier": st.sampled_from([None, "V0", "V2", "VVIP", "PLATINUM"]),
            "newcomer_tier": st.sampled_from([None, None, "V2", "VVIP"]),
            "is_stale": flags(),
            "tier_state": st.sampled_from([None, "NORMAL", "GRACE"]),
            "other_classes": sets(*classes),
            "held_products": sets(*products),
            "active_services": sets(*products),
            "customer_facts": sets("IDENTITY_VERIFIED", "LICENCE", "PROPERTY", "NEEDS_TEST", "INCOME_PROOF"),
            "preapproved": sets("P19", "P21"),
            "investor_type": st.sampled_from([None, "ORDINARY", "QUALIFIED"]),
            "consented_channels": sets("ALL", *channels),
            "withheld_categories": sets(
                *CATEGORIES, *(f"{name}/{channel}" for name in CATEGORIES for channel in channels)
            ),
            "do_not_call": st.just("|") | sets(*channels),
            "tags": sets("digital", "digital_silver"),
        }
    )


def moments() -> st.SearchStrategy[datetime]:
    return st.sampled_from([NOON + timedelta(hours=hours) for hours in (0, 8, 10, 15, 20, 21)])


@st.composite
def recent_rows(
    draw: st.DrawFn,
    now: datetime,
    n: int,
    offers: Sequence[str] = SMALL_OFFERS,
    channels: Sequence[str] = SMALL_CHANNELS,
) -> list[dict[str, Any]]:
    """Contacts and answers of n customers in the last fifty days, some of them on the very edge of a window."""
    ages = st.sampled_from([timedelta(days=d) for d in (1, 3, 7, 20, 30, 50)])
    rows = []
    for _ in range(draw(st.integers(0, 14))):
        at = now - draw(ages) + draw(st.sampled_from([timedelta(0), timedelta(microseconds=1)]))
        row = {
            "customer": draw(st.integers(0, n - 1)),
            "at": at.replace(tzinfo=None),
            "offer_id": draw(st.sampled_from([*offers, "GONE"])),
            "channel": draw(st.sampled_from(channels)),
        }
        if draw(st.booleans()):
            row |= {"kind": "contact", "purpose": str(draw(st.sampled_from(Purpose)))}
        else:
            row |= {"kind": "response", "outcome": draw(st.sampled_from(["refused", "converted", "clicked"]))}
        rows.append(row)
    return rows
