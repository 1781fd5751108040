"""Signs of decline by the week: more money sent out, fewer logins (R21), each with figures worked out by hand.

June has 30 days, the three months before it 92. Times a in June and b before are as far apart as two standard
deviations of chance where (92 a − 30 b)² ≥ 4 (a + b) · 92 · 30.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from features import profiles
from features.bank.quarantine import receive
from features.policy import segments
from tests.features.conftest import tables_of

JUNE = date(2024, 6, 30)
CAME = {"from the first of march": date(2024, 3, 1), "from the second": date(2024, 3, 2)}
SENT_OUT = {  # times in each month from January on
    "six after six": (0, 0, 2, 2, 2, 6),  # 6 · 92 = 552 ≥ 3 · 6 · 30 = 540, and (552 − 180)² = 138,384 ≥ 132,480
    "five after six": (0, 0, 2, 2, 2, 5),  # 460 < 540
    "three after one": (0, 0, 0, 0, 1, 3),  # (276 − 30)² = 60,516 ≥ 44,160
    "two after one": (0, 0, 0, 0, 1, 2),  # more than three times as often, but (184 − 30)² = 23,716 < 33,120
    "nine after none": (9, 0, 0, 0, 0, 9),
    "from the first of march": (0, 0, 2, 2, 2, 9),
    "from the second": (0, 0, 2, 2, 2, 9),
    "to himself": (0, 0, 2, 2, 2, 9),
    "both": (0, 0, 2, 2, 2, 9),
}
LOGGED_IN = {
    "fifteen after ninety-two": (31, 29, 31, 30, 31, 15),  # 15 · 92 = 92 · 30 / 2, and (1380 − 2760)² ≥ 4 · 107 · 2760
    "sixteen after ninety-two": (31, 29, 31, 30, 31, 16),
    "one after six": (2, 2, 2, 2, 2, 1),  # a third, but (92 − 180)² = 7,744 < 4 · 7 · 2760 = 77,280
    "less and less": (31, 29, 31, 20, 20, 5),  # 45 app days of 91, and 5 logins after 71
    "every day": (31, 29, 31, 30, 31, 30),  # 182 app days, which once overflowed a byte
    "both": (31, 29, 31, 30, 31, 15),
}
SIGNS = {
    "six after six": "|OUTFLOW|", "three after one": "|OUTFLOW|", "from the first of march": "|OUTFLOW|",
    "fifteen after ninety-two": "|LOGINS|", "less and less": "|APP|LOGINS|", "both": "|LOGINS|OUTFLOW|",
}  # fmt: skip


def days(times: tuple[int, ...]) -> list[date]:
    return [date(2024, month, 1 + k) for month, n in enumerate(times, 1) for k in range(n)]


@pytest.fixture(scope="module")
def june(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The profile of each of these customers at the end of June, all of whom keep 5,000 all the while."""
    home = tmp_path_factory.mktemp("half a year")
    people = sorted({*SENT_OUT, *LOGGED_IN})
    out = {"txn_type": "OUT", "amount": 10, "by_customer": True}
    sent = [
        (who, day, "OWN" if who == "to himself" else "OTHER_BANK") for who, n in SENT_OUT.items() for day in days(n)
    ]
    receive(home, tables_of(
        customer=[{"customer_id": who, "first_product_on": None} for who in [*people, "anchor", "penniless"]],
        balance=[{"customer_id": who, "account_id": who, "amount": 0 if who == "penniless" else 5_000,
                  "from_on": CAME.get(who, date(2024, 1, 1))} for who in [*people, "anchor", "penniless"]],
        txn=[out | {"customer_id": who, "business_on": day, "counterparty": across} for who, day, across in sent],
        channel_event=[{"customer_id": who, "business_on": day} for who, n in LOGGED_IN.items() for day in days(n)],
    ))  # fmt: skip
    builds = profiles.build(home, segments(), instant=datetime(2024, 7, 2, tzinfo=UTC) + timedelta(hours=12))
    (last,) = [build for build in builds if build.as_of == JUNE]
    return {row["customer_id"]: row for row in pd.read_parquet(last.path).to_dict("records")}


@pytest.mark.parametrize("who", sorted({*SENT_OUT, *LOGGED_IN}))
def test_a_change_by_the_week_is_a_sign_at_the_policys_share_and_beyond_chance(
    june: Mapping[str, Any], who: str
) -> None:
    assert june[who]["decline_signs"] == SIGNS.get(who, "|")


def test_the_counts_stand_beside_the_sign(june: Mapping[str, Any]) -> None:
    row = june["both"]
    assert (row["n_out_1m"], row["n_out_before_3m"]) == (9, 6)
    assert (row["n_logins_1m"], row["n_logins_before_3m"]) == (15, 92)
    assert june["to himself"]["n_out_1m"] == 0, "what he sends to himself stays his"


def test_who_has_nothing_has_lost_nothing(june: Mapping[str, Any]) -> None:
    assert (june["penniless"]["mda"], june["penniless"]["mda_prior_3m"]) == (0, 0)
    assert june["penniless"]["decline_signs"] == "|"


def test_two_habits_are_two_signs_and_two_views_of_one_habit_are_one(june: Mapping[str, Any]) -> None:
    assert (june["both"]["stage"], june["both"]["stage_reason"]) == ("DECLINE", "several weak signs")
    assert june["less and less"]["stage"] == "GROWTH"
