"""Balances as intervals: a month's flows are posted once, and what changed becomes rows of bank table `balance`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.bank.tables import ASSET_CLASSES
from simulation.bank_files import NEVER, amounts, codes, dates, ids, instants, known_next_morning
from simulation.behaviour import Month, Txns
from simulation.chance import Array
from simulation.shelf import SLOT

N_SLOTS = len(ASSET_CLASSES)
DEMAND = SLOT["DEMAND"]
_DUST = 100  # minor units below which a position other than demand money is no position
_SIGN = np.array([1, 1, -1, -1, -1, -1, 1, 1, -1, -1, 1], np.int64)  # in the order of TXN_TYPES; OTHER is a loan drawn


@dataclass(frozen=True, slots=True)
class Flows:
    """Changes of balances, arrays of shape (k,): customer, slot, day of the month, minor units.

    `transit` and `proceeds` are changes of the unconfirmed money and the loan proceeds within the balance; over a
    month they sum to zero.
    """

    who: Array
    slot: Array
    day: Array
    delta: Array
    transit: Array
    proceeds: Array

    @classmethod
    def of(cls, who: Array, slot: Array | int, day: Array, delta: Array) -> Flows:
        n = len(who)
        none = np.zeros(n, np.int64)
        return cls(who, np.broadcast_to(np.asarray(slot, np.int64), n), np.asarray(day), delta, none, none)

    @classmethod
    def held_back(cls, who: Array, slot: Array, day: Array, minor: Array, *, days: Array, is_loan: bool) -> Flows:
        """Money that counts as unconfirmed (or as loan proceeds) for some days and no longer after them."""
        none = np.zeros(2 * len(who), np.int64)
        back = np.concatenate([minor, -minor])
        return cls(np.tile(who, 2), np.tile(slot, 2), np.concatenate([day, day + days]), none,
                   none if is_loan else back, back if is_loan else none)  # fmt: skip

    @classmethod
    def demand(cls, txns: Txns) -> Flows:
        """What transactions do to demand money."""
        return cls.of(txns.who, DEMAND, txns.day, signed(txns))


@dataclass(frozen=True, slots=True)
class Intervals:
    """Rows of bank table `balance`; `cell` is customer × slots + slot, `to_on` NEVER where it still holds."""

    cell: Array
    from_on: Array
    to_on: Array
    minor: Array
    transit: Array
    proceeds: Array

    def columns(self, rng: np.random.Generator) -> dict[str, pa.Array]:
        """The bank table `balance`."""
        who = self.cell // N_SLOTS
        return {
            "customer_id": ids("C", who),
            "account_id": ids("A", who * 10, 12),
            "asset_class": codes(ASSET_CLASSES, (self.cell % N_SLOTS).astype(np.int8)),
            "from_on": dates(self.from_on),
            "to_on": dates(self.to_on),
            "amount": amounts(self.minor),
            "in_transit_amount": amounts(self.transit),
            "loan_proceeds_amount": amounts(self.proceeds),
            "known_at": instants(known_next_morning(rng, self.from_on)),
        }


def signed(txns: Txns) -> Array:
    """Minor units by which each transaction moves demand money."""
    return np.asarray(_SIGN[txns.kind] * txns.minor)


def joined(parts: list[Txns]) -> Txns:
    """One set of transactions."""
    return Txns(*(np.concatenate([getattr(part, name) for part in parts]) for name in Txns.__slots__))


def joined_flows(parts: list[Flows]) -> Flows:
    """One set of flows."""
    return Flows(*(np.concatenate([getattr(part, name) for part in parts]) for name in Flows.__slots__))


class Ledger:
    """The open balances of everybody: `minor` and `since` of shape (n, slots), since NEVER where there is none."""

    def __init__(self, n: int) -> None:
        self.minor = np.zeros((n, N_SLOTS), np.int64)
        self.since = np.full((n, N_SLOTS), NEVER, np.int32)

    @property
    def demand(self) -> Array:
        return self.minor[:, DEMAND]

    def aum(self) -> Array:
        """Minor units counted in AUM, shape (n,); third-party custody is not."""
        return np.asarray(self.minor[:, :-1].sum(axis=1))

    def shortfall(self, txns: Txns) -> Array:
        """By how much demand money would fall below zero on some evening of the month, minor units, shape (n,)."""
        short = np.zeros(len(self.minor), np.int64)
        if len(txns.who) == 0:
            return short
        order = np.argsort(txns.who * 32 + txns.day, kind="stable")
        who, day = txns.who[order], txns.day[order]
        running = np.cumsum(signed(txns)[order])
        starts = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
        evening = np.r_[(who[1:] != who[:-1]) | (day[1:] != day[:-1]), True]
        before = np.repeat(np.r_[0, running[starts[1:] - 1]], np.diff(np.r_[starts, len(who)]))
        level = np.where(evening, running - before, np.iinfo(np.int64).max)
        lowest = np.minimum.reduceat(level, starts)
        short[who[starts]] = np.maximum(-(lowest + self.demand[who[starts]]), 0)
        return short

    def remains(self, who: Array, flows: Flows) -> Array:
        """What is left to distinct customers in every slot once the flows are posted, minor units, (k, slots)."""
        place = np.full(len(self.minor), -1)
        place[who] = np.arange(len(who))
        ours = place[flows.who] >= 0
        left = self.minor[who]
        np.add.at(left, (place[flows.who[ours]], flows.slot[ours]), flows.delta[ours])
        return left

    def post(self, month: Month, flows: Flows) -> Intervals:
        """Posts a month's flows and returns the intervals that ended in it.

        Every day on which a balance changed ends the interval before and begins one; balances are those of the
        evening.
        """
        key = (flows.who.astype(np.int64) * N_SLOTS + flows.slot) * 32 + flows.day
        order = np.argsort(key, kind="stable")
        key = key[order]
        sums = np.stack([np.cumsum(x[order]) for x in (flows.delta, flows.transit, flows.proceeds)])
        evening = np.flatnonzero(np.r_[key[1:] != key[:-1], True]) if len(key) else np.zeros(0, np.int64)
        key, sums = key[evening], sums[:, evening]
        changed = np.any(np.diff(sums, axis=1, prepend=0) != 0, axis=0)
        key, sums = key[changed], sums[:, changed]
        return self._turn_over(key // 32, (month.first_on + key % 32 - 1).astype(np.int32), sums)

    def _turn_over(self, cell: Array, on: Array, sums: Array) -> Intervals:
        """`sums` (3, k) run over all rows; the part before each cell's first row is taken off again."""
        is_first = np.r_[True, cell[1:] != cell[:-1]][: len(cell)]
        starts = np.flatnonzero(is_first)
        before = np.concatenate([np.zeros((3, 1), np.int64), sums[:, starts[1:] - 1]], axis=1)[:, : len(starts)]
        levels = sums - np.repeat(before, np.diff(np.r_[starts, len(cell)]), axis=1)
        minor, since = self.minor.reshape(-1), self.since.reshape(-1)
        levels[0] += minor[cell]
        is_nothing = (cell % N_SLOTS != DEMAND) & (levels[0] < _DUST)
        is_last = np.r_[is_first[1:], True][: len(cell)]
        opened = cell[starts]
        old = (since[opened] != NEVER) & (since[opened] < on[starts])  # what began this day never was an evening
        ended = np.flatnonzero(~is_last & ~is_nothing)
        none = np.zeros(int(old.sum()), np.int64)
        rows = Intervals(
            cell=np.r_[opened[old], cell[ended]],
            from_on=np.r_[since[opened[old]], on[ended]],
            to_on=np.r_[on[starts[old]], on[ended + 1]],
            minor=np.r_[minor[opened[old]], levels[0, ended]],
            transit=np.r_[none, levels[1, ended]],
            proceeds=np.r_[none, levels[2, ended]],
        )
        kept = is_last & ~is_nothing
        since[cell[is_last]] = NEVER
        since[cell[kept]] = on[kept]
        minor[cell[is_last]] = np.where(is_nothing, 0, levels[0])[is_last]
        return rows

    def close(self, who: Array) -> None:
        """Ends the accounts of `who`, whose money is gone."""
        self.since[who] = NEVER
        self.minor[who] = 0

    def open_rows(self) -> Intervals:
        """The intervals that still hold."""
        cell = np.flatnonzero(self.since.reshape(-1) != NEVER)
        none = np.zeros(len(cell), np.int64)
        return Intervals(cell, self.since.reshape(-1)[cell], np.full(len(cell), NEVER, np.int32),
                         self.minor.reshape(-1)[cell], none, none)  # fmt: skip
