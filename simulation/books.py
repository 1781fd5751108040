"""What the bank earns, as its books have it: bank table `product_ledger`, from daily accruals on a path of its own.

Each day's income of a product in a branch is rounded to minor units and added up. Products earn what the bank's
treasury sets (basis points a year on the amount, an amount a year, or a share of the first premium); money on demand
belongs to no product, so what it earns is the unallocated remainder.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulation.bank_files import NEVER, amounts, codes, dates, instants, known_next_morning, some_ids
from simulation.behaviour import Month
from simulation.chance import Array
from simulation.ledger import Ledger
from simulation.population import Population, branches_of
from simulation.portfolio import Portfolio

BALANCE_BP = {
    "P01": 40, "P02": 5, "P03": 20, "P06": 90, "P07": 50, "P09": 35, "P10": 60, "P11": 80, "P12": 110, "P15": 30,
    "P16": 100, "P17": 120, "P18": 50, "P19": 350, "P20": 110, "P21": 250, "P23": 700,
}  # fmt: skip
YEARLY_AMOUNT = {"P04": 5.0, "P05": 8.0, "P08": 60.0, "P22": 180.0, "P24": -4.0, "P25": -4.0, "P26": -2.0, "P29": 30.0,
                 "P30": -3.0, "P31": -10.0}  # fmt: skip
PREMIUM_PCT = {"P13": 25, "P14": 6}
DEMAND_BP = 8
_YEAR_DAYS = 365
_DAYS = 33  # a month's days, counted from 1, and the day after


class Books:
    """Accrues a month at a time."""

    def __init__(self, people: Population, portfolio: Portfolio) -> None:
        self.names = portfolio.shelf.product_ids
        self.n_branches = branches_of(people.n)
        self.place = np.where(people.branch >= 0, people.branch, self.n_branches)  # the last column: at no branch
        rates = [
            np.array([table.get(name, 0.0) for name in self.names])
            for table in (BALANCE_BP, YEARLY_AMOUNT, PREMIUM_PCT)
        ]
        self.daily_share = rates[0] / 10_000 / _YEAR_DAYS
        self.daily_minor = rates[1] * 100 / _YEAR_DAYS
        self.first_share = rates[2] / 100

    def month(self, people: Population, portfolio: Portfolio, ledger: Ledger, month: Month, rng: np.random.Generator
              ) -> dict[str, pa.Array]:  # fmt: skip
        """The bank table `product_ledger` of a month that is over."""
        held, used = portfolio.holdings, portfolio.services
        income = self._accrued(held["who"], held["product"], held["opened"], held["closed"], held["minor"], month)
        plain = np.zeros(len(used), np.int64)
        income += self._accrued(used["who"], used["product"], used["on"], people.closed_on[used["who"]], plain, month)
        income += self._premiums(held["who"], held["product"], held["opened"], held["minor"], month)
        product, branch = np.nonzero(income)
        money = np.bincount(self.place, ledger.demand, self.n_branches + 1)
        rest = np.rint(money * DEMAND_BP / 10_000 / _YEAR_DAYS).astype(np.int64) * month.n_days
        product, branch = np.r_[product, np.full(len(rest), -1)], np.r_[branch, np.arange(len(rest))]
        on = np.full(len(product), month.last_on)
        return {
            "business_on": dates(on),
            "product_id": codes(self.names, product.astype(np.int16)),
            "branch_id": some_ids("B", np.where(branch < self.n_branches, branch, -1), 4),
            "income_amount": amounts(np.r_[income[product[: -len(rest)], branch[: -len(rest)]], rest]),
            "known_at": instants(known_next_morning(rng, on)),
        }

    def _accrued(self, who: Array, product: Array, opened: Array, closed: Array, minor: Array, month: Month) -> Array:
        """Income of what is held from day `opened` on, until the day `closed`; minor units, (products, branches)."""
        start = np.maximum(opened - month.first_on, 0)
        stop = np.where(closed == NEVER, month.n_days, np.minimum(closed - month.first_on, month.n_days))
        rows = np.flatnonzero(stop > start)
        cell = product[rows].astype(np.int64) * (self.n_branches + 1) + self.place[who[rows]]
        shape = (len(self.names), self.n_branches + 1, _DAYS)
        n = shape[0] * shape[1] * shape[2]
        levels = []
        for weight in (minor[rows].astype(np.float64), np.ones(len(rows))):
            change = np.bincount(cell * _DAYS + start[rows], weight, n) - np.bincount(
                cell * _DAYS + stop[rows], weight, n
            )
            levels.append(np.cumsum(change.reshape(shape), axis=2)[:, :, : month.n_days])
        daily = levels[0] * self.daily_share[:, None, None] + levels[1] * self.daily_minor[:, None, None]
        return np.asarray(np.rint(daily).sum(axis=2), np.int64)

    def _premiums(self, who: Array, product: Array, opened: Array, minor: Array, month: Month) -> Array:
        """Income on the day a premium is paid; minor units, (products, branches)."""
        new = (opened >= month.first_on) & (opened <= month.last_on) & (self.first_share[product] > 0)
        rows = np.flatnonzero(new)
        income = np.zeros((len(self.names), self.n_branches + 1), np.int64)
        earned = np.rint(minor[rows] * self.first_share[product[rows]]).astype(np.int64)
        np.add.at(income, (product[rows], self.place[who[rows]]), earned)
        return income
