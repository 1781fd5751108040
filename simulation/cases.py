"""Cases that follow complaints: bank table `case`, with a remedy drawn by chance and its planted effect on leaving."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulation.bank_files import (
    DAY_US,
    HOUR_US,
    NEVER,
    codes,
    dates,
    ids,
    in_office,
    instants,
    known_after,
    some_ids,
)
from simulation.behaviour import Life, Month
from simulation.chance import pick_by
from simulation.ledger import Ledger
from simulation.portfolio import Log
from simulation.records import Records

REMEDIES = ("APOLOGY", "REFUND", "REPAIR", "VISIT")
# what each takes off the logit of leaving while the incident weighs; the last is that of doing nothing
EFFECTS = np.array([0.1, 0.5, 1.0, 1.3, 0.0], np.float32)
_PROPENSITIES = np.array([[0.25, 0.2, 0.2, 0.1, 0.25], [0.1, 0.2, 0.25, 0.25, 0.2]])  # of mild and grave complaints
_GRAVE = 4
_OPEN_MONTHS = 3
_KEPT_SHARE = 0.5
_SMALLEST_LOSS_MINOR = 100_000
SAVED, LOST = 0, 1


class Cases:
    """Every complaint opens a case; three months later the bank says whether the money stayed."""

    def __init__(self) -> None:
        self.rows = Log(who=np.int64, complaint=np.int64, month=np.int16, at=np.int64, remedy=np.int8,
                        propensity=np.float64, remedied=np.int64, aum=np.int64, closed=np.int64,
                        outcome=np.int8)  # fmt: skip

    def month(self, records: Records, life: Life, ledger: Ledger, month: Month, rng: np.random.Generator) -> None:
        """Opens a case for each complaint that has none, and closes those of three months ago."""
        aum = ledger.aum()
        self._close(aum, month, rng)
        told = records.complaints
        fresh = np.arange(len(self.rows), len(told))
        grave = (told["severity"][fresh] >= _GRAVE).astype(np.int8)
        drawn = pick_by(rng, _PROPENSITIES, grave)
        who, at = told["who"][fresh], told["at"][fresh] + rng.integers(1, 5, len(fresh)) * HOUR_US
        life.eased[who] = EFFECTS[drawn]
        nothing = drawn == len(REMEDIES)
        remedied = np.where(nothing, NEVER, _by_day(at + rng.integers(4, 72, len(fresh)) * HOUR_US, at))
        self.rows.add(who=who, complaint=fresh, month=month.number, at=at,
                      remedy=np.where(nothing, -1, drawn), propensity=_PROPENSITIES[grave, drawn], remedied=remedied,
                      aum=aum[who], closed=NEVER, outcome=-1)  # fmt: skip

    def _close(self, aum: np.ndarray, month: Month, rng: np.random.Generator) -> None:
        old = np.flatnonzero((self.rows["month"] <= month.number - _OPEN_MONTHS) & (self.rows["closed"] == NEVER))
        before, now = self.rows["aum"][old], aum[self.rows["who"][old]]
        lost = (now <= _KEPT_SHARE * before) & (before - now >= _SMALLEST_LOSS_MINOR)
        self.rows["outcome"][old] = np.where(lost, LOST, SAVED)
        end = (month.last_on + 1) * DAY_US - 16 * HOUR_US  # in the morning of the month's last day
        self.rows["closed"][old] = end + rng.integers(0, 9, len(old)) * HOUR_US

    def columns(self, rng: np.random.Generator, end: int) -> dict[str, pa.Array]:
        """The bank table `case`; what would be done after the instant `end` is not known yet."""
        rows = self.rows
        done = rows["remedied"] < end
        return {
            "case_id": ids("Y", np.arange(len(rows))),
            "customer_id": ids("C", rows["who"]),
            "complaint_id": some_ids("Q", rows["complaint"]),
            "opened_at": instants(rows["at"]),
            "business_on": dates(_local_day(rows["at"])),
            "remedy": codes(REMEDIES, np.where(done, rows["remedy"], -1).astype(np.int8)),
            "propensity": pa.array(rows["propensity"]),
            "remedied_at": instants(np.where(done, rows["remedied"], NEVER)),
            "closed_at": instants(rows["closed"]),
            "outcome": codes(("SAVED", "LOST"), rows["outcome"]),
            "known_at": instants(known_after(rng, rows["at"])),
        }


def truth_columns() -> pa.Table:
    """The planted effects, for judges: what each remedy takes off the logit of leaving."""
    return pa.table({"remedy": pa.array([*REMEDIES, None]), "logit_effect": pa.array(EFFECTS)})


def _by_day(at: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Instants drawn into office hours of their local day, of the next one where that is not after `after`."""
    day = _local_day(at).astype(np.int64) * DAY_US - 8 * HOUR_US
    found = day + in_office(at - day)
    return np.asarray(np.where(found > after, found, found + DAY_US))


def _local_day(at: np.ndarray) -> np.ndarray:
    return np.asarray((at + 8 * HOUR_US) // DAY_US, np.int32)
