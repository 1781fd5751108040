"""How the simulation begins: what old customers hold on the eve of the first month, and what new ones bring."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from simulation.bank_files import NEVER
from simulation.behaviour import Life, Month, Txns
from simulation.chance import Array
from simulation.ledger import DEMAND, Ledger
from simulation.population import Population
from simulation.portfolio import Portfolio, Purchases
from simulation.shelf import SLOT, Need
from simulation.truth import State

# product: need, logit of holding it at a need of zero, smallest AUM that comes with it
_MONEY_PRODUCTS = {
    "P06": (Need.DEPOSIT, 0.2, 5_000), "P07": (Need.DEPOSIT, -0.6, 250_000), "P09": (Need.WEALTH, -0.4, 20_000),
    "P10": (Need.WEALTH, -1.6, 40_000), "P03": (Need.DEPOSIT, -1.2, 1_000), "P11": (Need.FUND, -1.6, 2_000),
    "P12": (Need.FUND, -1.8, 20_000), "P14": (Need.INSURANCE, -1.6, 50_000), "P16": (Need.FUND, -2.4, 20_000),
    "P17": (Need.WEALTH, -0.8, 2_000_000),
}  # fmt: skip
_LOANS = {"P19": -2.4, "P20": -2.6, "P21": -1.0, "P22": -1.3, "P23": -3.4}
_SERVICES = {"P05": 0.1, "P08": 0.3, "P24": -1.1, "P25": -1.7, "P26": -2.4, "P27": -0.9, "P28": -0.9, "P29": -0.4,
             "P30": -1.3}  # fmt: skip
_BARE_SLOTS = (("STRUCT", 0.05, 50_000), ("BOND", 0.04, 50_000), ("CUSTODY_3P", 0.08, 5_000))
_SMALLEST_MINOR = 10_000  # 100 of currency: less is not a first funding


def open_books(people: Population, life: Life, portfolio: Portfolio, ledger: Ledger, first_on: int,
               rng: np.random.Generator) -> None:  # fmt: skip
    """Fills the portfolio and the ledger with what customers hold on the eve of `first_on`."""
    who = np.flatnonzero(life.state <= State.LEAVING)
    aum = people.target_aum[who] * rng.uniform(0.75, 1.25, len(who)) * 100
    weights = _weights(people, who, aum, rng)
    minor = (weights * (aum / weights.sum(axis=1))[:, None]).astype(np.int64)
    ledger.minor[who, DEMAND] = minor[:, 0]
    _place_money(people, portfolio, ledger, who, minor[:, 1:], first_on, rng)
    for name, share, least in _BARE_SLOTS:
        has = (rng.random(len(who)) < share) & (aum > least * 100)
        ledger.minor[who[has], SLOT[name]] = (aum[has] * rng.uniform(0.1, 0.5, int(has.sum()))).astype(np.int64)
    ledger.since[ledger.minor > 0] = first_on
    ledger.since[who, DEMAND] = first_on
    _lend(people, life, portfolio, who, first_on, rng)
    _switch_on(people, life, portfolio, who, first_on, rng)
    carded = who[rng.random(len(who)) < 0.5]
    _take(portfolio, carded, "P04", people.first_product_on[carded], np.zeros(len(carded), np.int64), rng)


def _weights(people: Population, who: Array, aum: Array, rng: np.random.Generator) -> Array:
    """(k, 1 + products) shares before scaling; the first column is demand money."""
    columns = [rng.gamma(1.2, 1.0, len(who)) + 0.05]
    for need, logit, least in _MONEY_PRODUCTS.values():
        has = rng.random(len(who)) < expit(logit + 0.9 * people.latents.need[who, need])
        columns.append(np.where(has & (aum > least * 100), rng.gamma(1.5, 1.2, len(who)), 0))
    return np.stack(columns, axis=1)


def _place_money(people: Population, portfolio: Portfolio, ledger: Ledger, who: Array, minor: Array, first_on: int,
                 rng: np.random.Generator) -> None:  # fmt: skip
    row, column = np.nonzero(minor > 0)
    numbers = np.array([portfolio.shelf.product_number(name) for name in _MONEY_PRODUCTS])
    product, customer, money = numbers[column], who[row], minor[row, column]
    terms = portfolio.shelf.terms[product, rng.integers(0, 3, len(row))]
    age = 1 + (rng.random(len(row)) * (np.where(terms > 0, terms, 900) - 2)).astype(np.int32)
    opened = np.maximum(first_on - age, people.first_product_on[customer])
    portfolio.holdings.add(who=customer, product=product, opened=opened, closed=NEVER, minor=money, rolls=-1,
                           matures=np.where(terms > 0, opened + terms, NEVER), price=1)  # fmt: skip
    portfolio.held[customer, product] = True
    np.add.at(ledger.minor, (customer, portfolio.shelf.slot[product]), money)


def _lend(people: Population, life: Life, portfolio: Portfolio, who: Array, first_on: int, rng: np.random.Generator
          ) -> None:  # fmt: skip
    credit = people.latents.need[who, Need.CREDIT]
    asleep = life.state[who] == State.ASLEEP
    adult = (people.age[who] > 22) & (people.age[who] < 66)
    for name, logit in _LOANS.items():
        allowed = adult & (people.has_licence[who] if name == "P21" else True)
        has = who[allowed & (rng.random(len(who)) < expit(logit + 0.9 * credit - 2.5 * asleep))]
        term = portfolio.shelf.terms[portfolio.shelf.product_number(name), 0]
        age = rng.integers(1, (int(term) or 700) - 1, len(has))
        minor = (rng.uniform(20_000, 400_000 if name == "P20" else 120_000, len(has)) * 100).astype(np.int64)
        opened = np.maximum(first_on - age, people.first_product_on[has])
        _take(portfolio, has, name, opened, minor // 10_000 * 10_000, rng)


def _switch_on(people: Population, life: Life, portfolio: Portfolio, who: Array, first_on: int,
               rng: np.random.Generator) -> None:  # fmt: skip
    asleep = life.state[who] == State.ASLEEP
    allowed_for = {
        "P08": people.has_licence[who], "P27": people.is_paid_here[who], "P28": people.age[who] >= 60,
        "P29": people.document[who] > 0,
    }  # fmt: skip
    for name, logit in _SERVICES.items():
        need = Need.PAYMENT if name == "P05" else Need.SCENE if name in ("P24", "P25", "P26") else Need.TOOL
        p = expit(logit + 0.8 * people.latents.need[who, need] - 1.2 * asleep)
        has = who[(rng.random(len(who)) < p) & allowed_for.get(name, True)]
        opened = np.maximum(first_on - 1 - rng.integers(0, 900, len(has)), people.first_product_on[has])
        _take(portfolio, has, name, opened, np.zeros(len(has), np.int64), rng)


def _take(portfolio: Portfolio, who: Array, name: str, on: Array, minor: Array, rng: np.random.Generator) -> None:
    product = np.full(len(who), portfolio.shelf.product_number(name), np.int16)
    bought = Purchases(who, product, np.asarray(on, np.int32), minor)
    portfolio.take(bought.at(portfolio.possible(bought)), rng)


def arrivals(people: Population, portfolio: Portfolio, month: Month, habit: Array, rng: np.random.Generator
             ) -> tuple[Txns, Purchases]:  # fmt: skip
    """The first money of this month's new customers, and the contracts and cards they open with it.

    Sets their habit of demand money, minor units, in place.
    """
    begins = (people.first_product_on >= month.first_on) & (people.first_product_on <= month.last_on)
    who = np.flatnonzero(begins)
    on = people.first_product_on[who]
    brought = np.maximum(people.target_aum[who] * rng.uniform(0.4, 1.0, len(who)) * 100, _SMALLEST_MINOR)
    brought = brought.astype(np.int64)
    habit[who] = brought // 2
    funding = Txns.of("IN", who, on - month.first_on + 1, brought, across="OTHER_BANK", channel="BRANCH")
    invests = (brought > 1_500_000) & (rng.random(len(who)) < 0.5) & (on < month.last_on)
    carded = rng.random(len(who)) < 0.6
    card, *first = (portfolio.shelf.product_number(name) for name in ("P04", "P01", "P06", "P09"))
    return funding, Purchases(
        np.concatenate([who[invests], who[carded]]),
        np.concatenate([rng.choice(first, int(invests.sum())), np.full(int(carded.sum()), card)]),
        np.concatenate([on[invests] + 1, on[carded]]).astype(np.int32),
        np.concatenate([brought[invests] // 2, np.zeros(int(carded.sum()), np.int64)]),
    )
