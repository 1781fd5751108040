"""What follows on a day from a profile and a day view that name dates: days until, days since, what still holds.

Dates stay true until the next row; a number of days would be wrong by the next morning. So rows keep dates, and these
columns are counted at the decision, in arrays or for one customer alone, and the same way for training.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.nearness import NEAR, near, near_alone
from features.vocabulary import Column, Kind

_NONE_YET = "none so far"
STANDING = (
    Column("days_to_maturity", Kind.INTEGER, "days until the next maturity", "none"),
    Column("days_to_loan_end", Kind.INTEGER, "days until the next loan ends", "none"),
    Column("days_since_salary", Kind.INTEGER, "days since the last salary credit", _NONE_YET),
    Column("days_since_txn", Kind.INTEGER, "days since the last own transaction", _NONE_YET),
    Column("days_since_login", Kind.INTEGER, "days since the last login", _NONE_YET),
    Column("overdue_days", Kind.INTEGER, "days overdue, 0 if not"),
    Column("days_with_card", Kind.INTEGER, "days since the first running card was opened", "no card"),
    Column("days_with_product", Kind.INTEGER, "days since the first product", "a user only"),
    Column("days_registered", Kind.INTEGER, "days since registration", "not known"),
    Column("is_risk_valid", Kind.FLAG, "the last risk assessment still holds (R25)", "never assessed"),
    *NEAR,
)
_NAN = float("nan")
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_NAT = int(np.iinfo(np.int64).min)  # how NumPy writes "not a day"
_AHEAD = ("days_to_maturity", "days_to_loan_end")
_DAYS = {
    "days_to_maturity": "next_maturity_on", "days_to_loan_end": "next_loan_end_on",
    "days_since_salary": "last_salary_on", "days_since_txn": "last_txn_on", "days_since_login": "last_login_on",
    "overdue_days": "overdue_from_on", "days_with_card": "card_opened_on", "days_with_product": "first_product_on",
    "days_registered": "registered_on", "is_risk_valid": "risk_expires_on",
}  # fmt: skip


def standing(view: Mapping[str, NDArray[Any]], on: date | NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What follows from n profiles and day views on the day `on` (one date, or n of them): the STANDING columns.

    >>> from features.nearness import OF_PROFILE, SO_FAR
    >>> from features.today import TODAY
    >>> day = {c.name: np.array(["NaT"], dtype="datetime64[D]") for c in TODAY if c.kind is Kind.DATE}
    >>> day |= {name: np.array([np.nan]) for name in (*SO_FAR, *OF_PROFILE)}
    >>> day["next_maturity_on"] = np.array(["2025-12-20"], dtype="datetime64[D]")
    >>> answer = standing(day, date(2025, 12, 6))
    >>> float(answer["days_to_maturity"][0]), float(answer["overdue_days"][0])
    (14.0, 0.0)
    """
    today = np.asarray(on, dtype="datetime64[D]").astype(np.int64)
    dates = np.concatenate([np.asarray(view[name], dtype="datetime64[D]") for name in _DAYS.values()]).view(np.int64)
    dates = dates.reshape(len(_DAYS), -1)
    ago = (today - dates).astype(np.float64)
    ago[dates == _NAT] = np.nan
    found = dict(zip(_DAYS, ago, strict=True))
    expires = found.pop("is_risk_valid")
    for name in _AHEAD:
        np.negative(found[name], out=found[name])
    found["overdue_days"][np.isnan(found["overdue_days"])] = 0.0
    return found | {"is_risk_valid": np.where(np.isnan(expires), np.nan, expires < 0)} | near(view, on)


def standing_alone(view: Mapping[str, Any], on: date) -> dict[str, float]:
    """`standing` of one customer whose dates are days since 1970, NaT the smallest integer; to the bit."""
    today = on.toordinal() - _EPOCH_DAY
    found = {name: _NAN if (at := view[day]) == _NAT else float(today - at) for name, day in _DAYS.items()}
    for name in _AHEAD:
        found[name] = -found[name]
    overdue, expired = found["overdue_days"], found["is_risk_valid"]
    if overdue != overdue:
        found["overdue_days"] = 0.0
    if expired == expired:
        found["is_risk_valid"] = float(expired < 0)
    found.update(near_alone(view, on))
    return found
