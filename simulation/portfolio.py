"""Holdings, loans and services that customers have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from simulation.bank_files import NEVER, amounts, codes, dates, ids, instants, known_next_morning
from simulation.chance import Array
from simulation.ledger import N_SLOTS
from simulation.population import Population
from simulation.shelf import Form, Shelf

UNDECIDED, NO, ROLLS = -1, 0, 1


class Log:
    """Rows that grow: equally long arrays by name."""

    def __init__(self, **kinds: type) -> None:
        self._kinds = kinds
        self.columns: dict[str, Array] = {name: np.zeros(0, kind) for name, kind in kinds.items()}

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def keep(self, rows: Array) -> None:
        """Forgets all rows but those of the mask."""
        self.columns = {name: column[rows] for name, column in self.columns.items()}

    def add(self, **values: Array | float) -> None:
        """Appends rows; a single value holds for all of them."""
        n = max(np.size(value) for value in values.values() if isinstance(value, np.ndarray))
        for name, kind in self._kinds.items():
            added: Array = np.broadcast_to(np.asarray(values[name], kind), (n,))
            self.columns[name] = np.concatenate([self.columns[name], added])


@dataclass(frozen=True, slots=True)
class Purchases:
    """Products taken in a month, arrays of shape (k,): customer, product, day, minor units (0: the minimum or none)."""

    who: Array
    product: Array
    on: Array
    minor: Array

    def at(self, rows: Array) -> Purchases:
        """Some of them."""
        return Purchases(self.who[rows], self.product[rows], self.on[rows], self.minor[rows])


class Portfolio:
    """Everything held, by everybody. `held` (n, products) tells what is held now."""

    def __init__(self, n: int, shelf: Shelf) -> None:
        self.shelf = shelf
        self.held = np.zeros((n, len(shelf.product_ids)), dtype=bool)
        self.holdings = Log(who=np.int64, product=np.int16, opened=np.int32, matures=np.int32, closed=np.int32,
                            minor=np.int64, rolls=np.int8, price=np.float64)  # fmt: skip
        self.loans = Log(who=np.int64, product=np.int16, opened=np.int32, ends=np.int32, closed=np.int32,
                         minor=np.int64, overdue_from=np.int32, overdue_to=np.int32)  # fmt: skip
        self.services = Log(who=np.int64, product=np.int16, on=np.int32)
        self.price = np.ones(N_SLOTS)
        self.service_products = np.flatnonzero(shelf.form == Form.SERVICE)

    def services_on(self) -> Array:
        """Which services each customer has on, (n, services)."""
        return np.asarray(self.held[:, self.service_products])

    def maturing(self, first_on: int, last_on: int) -> Array:
        """Rows of open holdings that mature between two days, both included."""
        due = self.holdings["matures"]
        return np.flatnonzero((self.holdings["closed"] == NEVER) & (due >= first_on) & (due <= last_on))

    def possible(self, wanted: Purchases) -> Array:
        """Rows of `wanted` that can be had: of what is held once only, not a second time, nor twice in one go."""
        again = self.shelf.is_repeatable[wanted.product]
        pair = wanted.who.astype(np.int64) * self.held.shape[1] + wanted.product
        is_first = np.zeros(len(pair), dtype=bool)
        is_first[np.unique(pair, return_index=True)[1]] = True
        return np.flatnonzero(again | (is_first & ~self.held[wanted.who, wanted.product]))

    def take(self, bought: Purchases, rng: np.random.Generator) -> None:
        """Puts products that are possible into holdings, loans and services, without moving money."""
        form = self.shelf.form[bought.product]
        for which in Form:
            chosen = bought.at(np.flatnonzero(form == which))
            if len(chosen.who):
                self._put(which, chosen, self._ends(chosen, rng))
                self.held[chosen.who, chosen.product] = True

    def _put(self, form: Form, bought: Purchases, ends: Array) -> None:
        if form is Form.HOLDING:
            self._hold(bought, ends)
        elif form is Form.LOAN:
            self._borrow(bought, ends)
        else:
            self.services.add(who=bought.who, product=bought.product, on=bought.on)

    def _ends(self, bought: Purchases, rng: np.random.Generator) -> Array:
        term = self.shelf.terms[bought.product, rng.integers(0, 3, len(bought.who))]
        return np.where(term > 0, bought.on + term, NEVER)

    def _hold(self, bought: Purchases, ends: Array) -> None:
        self.holdings.add(who=bought.who, product=bought.product, opened=bought.on, matures=ends, closed=NEVER,
                          minor=bought.minor, rolls=UNDECIDED,
                          price=self.price[self.shelf.slot[bought.product]])  # fmt: skip

    def worth(self, rows: Array) -> Array:
        """What holdings are worth at the last month-end's prices, minor units."""
        grown = self.price[self.shelf.slot[self.holdings["product"][rows]]] / self.holdings["price"][rows]
        return np.round(self.holdings["minor"][rows] * grown).astype(np.int64)

    def _borrow(self, bought: Purchases, ends: Array) -> None:
        self.loans.add(who=bought.who, product=bought.product, opened=bought.on, ends=ends, closed=NEVER,
                       minor=bought.minor, overdue_from=NEVER, overdue_to=NEVER)  # fmt: skip
        self._hold(bought, np.full(len(ends), NEVER))  # the end is told by the loan, a holding's maturity pays out

    def decide(self, who: Array, rolls: Array, last_on: int) -> None:
        """Settles whether the contracts of `who` that mature until `last_on` roll into a time deposit."""
        answer = np.full(len(self.held), UNDECIDED, np.int8)
        answer[who] = np.where(rolls, ROLLS, NO)
        held = self.holdings
        is_due = (held["closed"] == NEVER) & (held["matures"] != NEVER) & (held["matures"] <= last_on)
        rows = np.flatnonzero(is_due & (held["rolls"] == UNDECIDED))
        self.holdings["rolls"][rows] = answer[self.holdings["who"][rows]]

    def end(self, rows: Array, on: Array) -> None:
        """Closes holdings; what a customer holds is told anew for those products."""
        self.holdings["closed"][rows] = on
        who, product = self.holdings["who"][rows], self.holdings["product"][rows]
        self.held[who, product] = False
        touched = np.zeros(len(self.held), dtype=bool)
        touched[who] = True
        still = np.flatnonzero((self.holdings["closed"] == NEVER) & touched[self.holdings["who"]])
        self.held[self.holdings["who"][still], self.holdings["product"][still]] = True

    def columns(self, people: Population, rng: np.random.Generator, last_on: int) -> dict[str, dict[str, pa.Array]]:
        """The bank tables holding, loan and service_activation."""
        held, lent, used = self.holdings, self.loans, self.services
        names = self.shelf.product_ids
        closed = people.closed_on[used["who"]]
        return {
            "holding": {
                "holding_id": ids("H", np.arange(len(held)), 12), "customer_id": ids("C", held["who"]),
                "product_id": codes(names, held["product"]), "opened_on": dates(held["opened"]),
                "matures_on": dates(held["matures"]), "closed_on": dates(_until(held["closed"], last_on)),
                "amount": amounts(held["minor"]), "known_at": instants(known_next_morning(rng, held["opened"])),
            },
            "loan": {
                "loan_id": ids("L", np.arange(len(lent))), "customer_id": ids("C", lent["who"]),
                "product_id": codes(names, lent["product"]), "opened_on": dates(lent["opened"]),
                "ends_on": dates(lent["ends"]), "closed_on": dates(_until(lent["closed"], last_on)),
                "amount": amounts(lent["minor"]), "overdue_from_on": dates(lent["overdue_from"]),
                "overdue_to_on": dates(_until(lent["overdue_to"], last_on)),
                "known_at": instants(known_next_morning(rng, lent["opened"])),
            },
            "service_activation": {
                "customer_id": ids("C", used["who"]), "service_id": codes(names, used["product"]),
                "activated_on": dates(used["on"]), "closed_on": dates(_until(closed, last_on)),
                "known_at": instants(known_next_morning(rng, used["on"])),
            },
        }  # fmt: skip


def _until(days: Array, last_on: int) -> Array:
    """Days, missing where they lie beyond what the bank can know yet."""
    return np.where(days > last_on, NEVER, days)
