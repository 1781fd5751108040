"""The shipped policy with other figures of the tiers."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

from features.policy import PolicyBook, SegmentsPolicy, segments

BOOK = segments()


def changed(**figures: Any) -> PolicyBook[SegmentsPolicy]:
    """The shipped book with these figures of the tiers in force throughout."""
    sections = copy.deepcopy(dict(BOOK.sections))
    for name, value in figures.items():
        sections["tiers"][name] = {"unit": "under test", "source": "R10", "since": {date(1990, 1, 1): value}}
    return PolicyBook(SegmentsPolicy, sections)


ALL_AT_ONCE = changed(
    basis="quarter",
    asset_weights={"FUND": 0.5, "TIME": 1.2},
    assessment_months=[3, 6, 9, 12],
    loan_path={"tier": "V5", "amount": 6_000_000},
    merges_families=True,
    newcomer_days=10,
    grace={
        "default": {"watch_after_months": 1, "demote_after_months": 2},
        "V4": {"watch_after_months": 2, "demote_after_months": 4},
        "VIP": {"watch_after_months": 3, "demote_after_months": 6},
        "VVIP": {"watch_after_months": 3, "demote_after_months": 6},
    },
)
