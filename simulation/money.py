"""What moves money besides daily life: buying, maturing, redeeming, repaying, interest, and money that leaves."""

from __future__ import annotations

import numpy as np

from simulation.bank_files import NEVER
from simulation.behaviour import MEMORY_MONTHS, Life, Month, Txns, lives
from simulation.chance import Array, days_within
from simulation.ledger import DEMAND, Flows, Ledger
from simulation.population import Population
from simulation.portfolio import ROLLS, Portfolio, Purchases
from simulation.shelf import NO_SLOT, SLOT, Form
from simulation.truth import State

_RATE_A_YEAR = 0.02
_TRANSIT_SLOTS = (SLOT["FUND"], SLOT["WMP"], SLOT["MMF"])
_INTEREST_MONTHS = ("03", "06", "09", "12")
_LIMITS = (20_000, 200_000)


def buy(portfolio: Portfolio, ledger: Ledger, wanted: Purchases, month: Month, rng: np.random.Generator
        ) -> tuple[list[Txns], list[Flows], Purchases]:  # fmt: skip
    """Takes products that are possible and moves the money: transactions, flows, the purchases with their amounts."""
    shelf = portfolio.shelf
    slot, form = shelf.slot[wanted.product], shelf.form[wanted.product]
    has_slot = slot != NO_SLOT
    spare = ledger.demand[wanted.who]
    chosen = np.maximum(wanted.minor, (spare * rng.uniform(0.15, 0.5, len(spare)) * has_slot).astype(np.int64))
    is_loan = form == Form.LOAN
    limit = (rng.uniform(*_LIMITS, len(spare)) * 100).astype(np.int64)
    minor = np.where(is_loan, np.maximum(limit, wanted.minor), np.where(has_slot, np.maximum(chosen, 10_000), 0))
    minor = minor // 100 * 100
    bought = Purchases(wanted.who, wanted.product, wanted.on, minor)
    portfolio.take(bought, rng)
    day = bought.on - month.first_on + 1
    pays = np.flatnonzero(has_slot)
    txns = [Txns.of("BUY", bought.who[pays], day[pays], minor[pays], across="OWN", channel="APP")]
    flows = [Flows.of(bought.who[pays], slot[pays], day[pays], minor[pays])]
    waits = pays[np.isin(slot[pays], _TRANSIT_SLOTS) & (day[pays] <= month.n_days - 2)]
    flows.append(Flows.held_back(bought.who[waits], slot[waits], day[waits], minor[waits],
                                 days=np.full(len(waits), 2), is_loan=False))  # fmt: skip
    drawn = np.flatnonzero(is_loan & (wanted.product != shelf.product_number("P22")) & (day <= month.n_days - 8))
    spent = rng.integers(2, 8, len(drawn))
    txns += [
        Txns.of("OTHER", bought.who[drawn], day[drawn], minor[drawn], across="OWN"),
        Txns.of("OUT", bought.who[drawn], day[drawn] + spent, minor[drawn], across="MERCHANT", channel="APP"),
    ]
    flows.append(Flows.held_back(bought.who[drawn], np.full(len(drawn), DEMAND), day[drawn], minor[drawn],
                                 days=spent, is_loan=True))  # fmt: skip
    return txns, flows, bought


def mature(portfolio: Portfolio, life: Life, month: Month, rng: np.random.Generator, *, busy_until: Array
           ) -> tuple[list[Txns], list[Flows]]:  # fmt: skip
    """Contracts that end: rolled into a time deposit, renewed, parked on demand, or carried to another bank.

    Until the day `busy_until` (n,) the truth alone decides who takes a time deposit, so none is renewed by habit.
    """
    held, shelf = portfolio.holdings, portfolio.shelf
    rows = portfolio.maturing(month.first_on, month.last_on)
    rows = rows[life.state[held["who"][rows]] < State.CLOSING]
    who, product, minor, on = (held[name][rows] for name in ("who", "product", "minor", "matures"))
    slot, state = shelf.slot[product], life.state[who]
    deposit = shelf.product_number("P06")
    rolls = held["rolls"][rows] == ROLLS
    u = rng.random(len(rows))
    stays = np.array([0.55, 0.45, 0.2, 0.75, 0.0, 0.0, 0.0, 0.0])[state]  # by state; sleepers renew by standing order
    renews = ~rolls & (u < stays) & ((product != deposit) | (busy_until[who] < on))
    leaves = ~rolls & ~renews & (u > np.array([0.85, 0.8, 0.6, 0.999, 0.1, 1, 1, 1])[state])
    portfolio.end(rows, on)
    into = np.where(rolls, deposit, product)
    again = np.flatnonzero(rolls | renews)
    portfolio.take(Purchases(who[again], into[again], on[again], minor[again]), rng)
    day = on - month.first_on + 1
    yields = (minor * _RATE_A_YEAR * (on - held["opened"][rows]) / 365).astype(np.int64)
    out_day = np.minimum(day + rng.integers(0, 4, len(rows)), month.n_days)
    txns = [
        Txns.of("REDEEM", who, day, minor + yields, across="OWN", by_customer=False),
        Txns.of("BUY", who[again], day[again], minor[again], across="OWN", by_customer=False),
        Txns.of("OUT", who[leaves], out_day[leaves], minor[leaves], across="OTHER_BANK", channel="APP"),
    ]
    has_slot = slot != NO_SLOT
    flows = [
        Flows.of(who[has_slot], slot[has_slot], day[has_slot], -minor[has_slot]),
        Flows.of(who[again], shelf.slot[into[again]], day[again], minor[again]),
    ]
    life.money_left_until[who[leaves]] = month.number + MEMORY_MONTHS
    return txns, flows


def redeem(portfolio: Portfolio, life: Life, month: Month, rng: np.random.Generator, closing_day: Array
           ) -> tuple[list[Txns], list[Flows]]:  # fmt: skip
    """Early ends: a few of anybody's open-ended holdings, many of a leaver's, all of one who closes."""
    held, slot = portfolio.holdings, portfolio.shelf.slot
    state = life.state[held["who"]]
    is_open = (held["closed"] == NEVER) & (slot[held["product"]] != NO_SLOT)
    is_open &= (held["rolls"] != ROLLS) | (state == State.CLOSING)
    rate = np.array([0.012, 0.012, 0.02, 0, 0.5, 1, 0, 0])[state]
    rate = np.where((state <= State.FADING) & (held["matures"] != NEVER), 0.001, rate)
    rows = np.flatnonzero(is_open & (rng.random(len(held), dtype=np.float32) < rate))
    who, product, minor = held["who"][rows], held["product"][rows], portfolio.worth(rows)
    closes = life.state[who] == State.CLOSING
    due = np.where(held["matures"][rows] == NEVER, month.n_days, held["matures"][rows] - month.first_on + 1)
    day = np.where(closes, np.minimum(closing_day[who], due), days_within(rng, 2, 24, len(rows)))
    keeps = month.first_on + day - 1 > held["opened"][rows]
    rows, who, product, minor, day, closes = (x[keeps] for x in (rows, who, product, minor, day, closes))
    portfolio.end(rows, month.first_on + day - 1)
    leaving = life.state[who] == State.LEAVING
    txns = [
        Txns.of("REDEEM", who, day, minor, across="OWN", channel="APP"),
        Txns.of("OUT", who[leaving], day[leaving] + 1, minor[leaving], across="OTHER_BANK", channel="APP"),
    ]
    return txns, [Flows.of(who, slot[product], day, -minor)]


def repay(portfolio: Portfolio, ledger: Ledger, life: Life, month: Month, rng: np.random.Generator) -> list[Txns]:
    """Loan instalments by standing order on the 18th; who cannot pay falls overdue, and catches up or does not."""
    lent = portfolio.loans
    on = month.first_on + 17
    lent["closed"][(lent["closed"] == NEVER) & (lent["ends"] != NEVER) & (lent["ends"] <= on)] = on
    settles = (lent["closed"] == NEVER) & (lent["ends"] != NEVER) & (rng.random(len(lent)) < 0.006)
    gone = (lent["closed"] == NEVER) & (life.state[lent["who"]] >= State.CLOSING)
    lent["closed"][settles | gone] = on
    ended = np.flatnonzero(lent["closed"] == on)
    portfolio.held[lent["who"][ended], lent["product"][ended]] = False
    _end_with_loan(portfolio, ended, on)
    rows = np.flatnonzero((lent["closed"] == NEVER) & (lent["ends"] != NEVER) & (lent["opened"] < month.first_on))
    who = lent["who"][rows]
    due = (lent["minor"][rows] / np.maximum((lent["ends"] - lent["opened"])[rows] / 30, 1)).astype(np.int64)
    is_late = (rng.random(len(rows)) < 0.006) | ((ledger.demand[who] < due) & (life.state[who] == State.ASLEEP))
    was_late = (lent["overdue_from"][rows] != NEVER) & (lent["overdue_to"][rows] == NEVER)
    cured = was_late & ~is_late & (rng.random(len(rows)) < 0.6)
    lent["overdue_to"][rows[cured]] = on
    falls = is_late & (lent["overdue_from"][rows] == NEVER)
    lent["overdue_from"][rows[falls]] = on
    pays = ~is_late & (~was_late | cured)
    return [Txns.of("REPAY", who[pays], np.full(int(pays.sum()), 18), due[pays], across="OWN", by_customer=False)]


def _end_with_loan(portfolio: Portfolio, ended: Array, on: int) -> None:
    """The holding rows of loans that ended today end with them."""
    lent, held = portfolio.loans, portfolio.holdings
    width = portfolio.held.shape[1]
    pair = held["who"] * width + held["product"]
    rows = np.flatnonzero((held["closed"] == NEVER) & np.isin(pair, (lent["who"] * width + lent["product"])[ended]))
    held["closed"][rows] = on


def bookings(ledger: Ledger, people: Population, life: Life, month: Month, rng: np.random.Generator) -> list[Txns]:
    """What the bank books itself: quarterly interest on the 21st, a yearly fee, both not made by the customer."""
    interest = np.zeros(0, np.int64)
    txns: list[Txns] = []
    who = np.flatnonzero(people.is_customer(month.first_on) & (life.state != State.GONE) & (ledger.demand > 10_000))
    if month.label[-2:] in _INTEREST_MONTHS:
        interest = (ledger.demand[who] * 0.0005).astype(np.int64)
        txns.append(Txns.of("INTEREST", who, np.full(len(who), 21), interest, across="OWN", by_customer=False))
    charged = who[rng.random(len(who)) < 0.02]
    fee = np.full(len(charged), 1_000)
    txns.append(Txns.of("FEE", charged, np.full(len(charged), 12), fee, across="OWN", by_customer=False))
    return txns


def leave(ledger: Ledger, life: Life, rng: np.random.Generator) -> list[Txns]:
    """Demand money that goes with its owner: a third in the first month of leaving, more in the next two.

    Now and then somebody who stays buys a home or a car.
    """
    leaving = np.flatnonzero(life.state == State.LEAVING)
    share = np.array([0, 0.5, 0.6, 0.6])[life.leaving_month[leaving]] * rng.uniform(0.85, 1.15, len(leaving))
    minor = (ledger.demand[leaving] * share).astype(np.int64)
    day = days_within(rng, 6, 26, len(leaving))
    buyers = lives(life)
    buyers = buyers[(rng.random(len(buyers)) < 0.002) & (life.state[buyers] != State.LEAVING)]
    price = (ledger.demand[buyers] * 0.6).astype(np.int64)
    return [
        Txns.of("OUT", leaving, day, minor, across="OTHER_BANK", channel="APP"),
        Txns.of("OUT", buyers, days_within(rng, 2, 28, len(buyers)), price, across="MERCHANT", channel="BRANCH"),
    ]


def close_out(ledger: Ledger, who: Array, day: Array, flows: Flows) -> tuple[list[Txns], list[Flows]]:
    """Empties the accounts of `who` on their closing days, after the flows: all is sold and carried off.

    Third-party custody is moved to another bank without touching demand money.
    """
    left = ledger.remains(who, flows)
    row, slot = np.nonzero(left * (np.arange(left.shape[1]) != DEMAND) > 0)
    minor, sold = left[row, slot], slot != SLOT["CUSTODY_3P"]
    money = left[:, DEMAND] + np.bincount(row[sold], minor[sold], len(who)).astype(np.int64)
    return [
        Txns.of("REDEEM", who[row[sold]], day[row[sold]], minor[sold], across="OWN", channel="BRANCH"),
        Txns.of("OUT", who, day, money, across="OTHER_BANK", channel="BRANCH"),
    ], [Flows.of(who[row], slot, day[row], -minor)]


def revalue(portfolio: Portfolio, ledger: Ledger, life: Life, month: Month, rng: np.random.Generator) -> Flows:
    """Month-end prices of funds, gold and third-party custody, as flows on what was there when the month began."""
    slots = np.array([SLOT["FUND"], SLOT["GOLD"], SLOT["CUSTODY_3P"]])
    change = rng.normal([0.004, 0.006, 0.003], [0.025, 0.03, 0.05])
    portfolio.price[slots] *= 1 + change
    who, column = np.nonzero((ledger.minor[:, slots] > 0) & (life.state != State.CLOSING)[:, None])
    delta = (ledger.minor[who, slots[column]] * change[column]).astype(np.int64)
    return Flows.of(who, slots[column], np.full(len(who), month.n_days), delta)
