"""Randomised tests: which hooks are tested on whom, and who was assigned to which arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from features.vocabulary import Purpose
from simulation.bank_files import NEVER, at_times, codes, dates, hours, ids, instants, known_after
from simulation.chance import Array
from simulation.portfolio import Log

ARMS = ("HOLDOUT", "CONTROL", "TREAT")
HOLDOUT, CONTROL, TREAT = range(3)


Event = Literal["FIRST_PRODUCT", "MATURITY", "DECLINE"]


@dataclass(frozen=True, slots=True)
class HookTest:
    """A hook whose offer is tested in arms: every customer at its moment is drawn into TREAT with `treat_share`.

    `mean_p1` is the planted mean probability of conversion of the treated.
    """

    hook_id: str
    offer_id: str
    moment: Event
    purpose: Purpose = Purpose.SALES
    treat_share: float = 0.5
    mean_p1: float = 0.2


_STANDING: tuple[tuple[str, tuple[str, ...], Event, Purpose, float], ...] = (
    ("H01", ("H01-P05", "H01", "P05"), "FIRST_PRODUCT", Purpose.SALES, 0.2),
    ("H06", ("H06-P06", "H06", "P06"), "MATURITY", Purpose.SALES, 0.45),
    ("H09", ("H09-S03", "H09", "S03", "S07"), "DECLINE", Purpose.SERVICE, 0.25),
)  # fmt: skip


def standing_tests(offer_ids: Sequence[str]) -> tuple[HookTest, ...]:
    """The three tests that are run when nothing else is asked for, on the nearest offer that is on the shelf.

    >>> [test.offer_id for test in standing_tests(["H01-P05", "P05", "P06"])]
    ['H01-P05', 'P06']
    """
    found = []
    for hook_id, wanted, moment, purpose, mean_p1 in _STANDING:
        offer_id = next((name for name in wanted if name in offer_ids), None)
        if offer_id is not None:
            found.append(HookTest(hook_id, offer_id, moment, purpose, mean_p1=mean_p1))
    return tuple(found)


class Arms:
    """Every assignment of every experiment, with what the truth says of it."""

    def __init__(self) -> None:
        self.experiments: list[str] = []
        self.rows = Log(experiment=np.int16, who=np.int64, offer=np.int16, arm=np.int8, propensity=np.float64,
                        on=np.int32, p0=np.float64, p1=np.float64, converts_on=np.int32)  # fmt: skip

    def assign(self, experiment: str, who: Array, on: Array, *, offer: int, arm: Array | int,
               propensity: Array | float, p0: Array | float = np.nan, p1: Array | float = np.nan,
               converts_on: Array | int = NEVER) -> None:  # fmt: skip
        """Assigns customers to arms; p0, p1 and the day of conversion are for judges."""
        self.experiments.append(experiment)
        self.rows.add(experiment=len(self.experiments) - 1, who=who, offer=offer, arm=arm, propensity=propensity,
                      on=on, p0=p0, p1=p1, converts_on=converts_on)  # fmt: skip

    def columns(self, offer_ids: list[str], rng: np.random.Generator) -> dict[str, pa.Array]:
        """The bank table `assignment`."""
        rows = self.rows
        at = at_times(rows["on"], hours(rng, len(rows), 6, 8))
        return self._names(offer_ids) | {
            "propensity": pa.array(rows["propensity"]),
            "assigned_at": instants(at),
            "business_on": dates(rows["on"]),
            "known_at": instants(known_after(rng, at)),
        }

    def truth(self, offer_ids: list[str]) -> pa.Table:
        """What judges may read of the arms of hook tests."""
        rows = self.rows
        told = {name: pa.array(rows[name]) for name in ("p0", "p1")}
        table = pa.table({**self._names(offer_ids), **told, "converts_on": dates(rows["converts_on"])})
        return table.filter(pa.array(rows["offer"] >= 0))

    def _names(self, offer_ids: list[str]) -> dict[str, pa.Array]:
        rows = self.rows
        return {
            "experiment_id": codes(self.experiments, rows["experiment"]),
            "customer_id": ids("C", rows["who"]),
            "arm": codes(ARMS, rows["arm"]),
            "offer_id": codes(offer_ids, rows["offer"]),
        }
