"""How customers live from month to month: states and their moves, everyday transactions, visits to channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.bank.tables import EVENT_CHANNELS, EVENTS, TXN_TYPES
from simulation.bank_files import NEVER
from simulation.chance import Array, days_within, pick, pick_by
from simulation.population import Population
from simulation.truth import State, leaving_hazard

KIND = {name: i for i, name in enumerate(TXN_TYPES)}
CHANNEL = {name: i for i, name in enumerate(EVENT_CHANNELS)}
EVENT = {name: i for i, name in enumerate(EVENTS)}
COUNTERPARTY = {"OWN": 0, "OTHER_BANK": 1, "MERCHANT": 2, "WALLET": 3}
MEMORY_MONTHS = 3  # how long an incident, money that left or a moved salary weighs
_LEAVING_MONTHS = 3
# monthly moves among BUSY, ACTIVE, FADING, ASLEEP: of calm customers, of engaged ones
_MOVES = np.array([
    [[.86, .12, .02, 0], [.02, .94, .04, 0], [0, .18, .755, .065], [0, .005, 0, .995]],
    [[.93, .06, .01, 0], [.05, .93, .02, 0], [0, .28, .69, .03], [0, .008, 0, .992]],
])  # fmt: skip
_AFTER_LEAVING = (0.42, 0.4, 0.18)  # closes, falls asleep, stays with one foot
# transactions a month by state BUSY, ACTIVE, FADING, ASLEEP, LEAVING
_RATES = {
    "CONSUME": (5.5, 2.0, 0.6, 0, 0.4),
    "BILL": (1.4, 0.7, 0.3, 0, 0.2),
    "IN": (0.7, 0.4, 0.15, 0, 0.05),
    "OUT": (0.8, 0.4, 0.4, 0, 0.9),
}
_VISITS = (8.0, 3.2, 0.9, 0, 0.8)
_PAID_ASLEEP_SHARE = 0.2  # salaries that come and go by standing order while their owner sleeps (R19)
_SPEND_BACK = 0.15  # share of money above its habit that is spent in a month


@dataclass(frozen=True, slots=True)
class Month:
    """One month of the simulation; days since 1970."""

    number: int
    label: str
    first_on: int
    n_days: int

    @property
    def last_on(self) -> int:
        return self.first_on + self.n_days - 1

    @property
    def code(self) -> int:
        """Year and month as four digits, which begin the ids of the month's rows."""
        return int(self.label[2:4] + self.label[5:])


@dataclass(frozen=True, slots=True)
class Txns:
    """Transactions of a month, arrays of shape (k,); `day` is the day of the month, 1 the first; money minor units."""

    who: Array
    kind: Array
    day: Array
    minor: Array
    counterparty: Array
    channel: Array
    by_customer: Array

    @classmethod
    def of(cls, kind: str, who: Array, day: Array, minor: Array, *, across: str = "", channel: str = "",
           by_customer: bool = True) -> Txns:  # fmt: skip
        """Transactions of one kind; without amount there is none."""
        some = minor > 0
        n = int(some.sum())
        return cls(
            who[some], np.full(n, KIND[kind], np.int8), np.asarray(day[some], np.int8), minor[some].astype(np.int64),
            np.full(n, COUNTERPARTY.get(across, -1), np.int8), np.full(n, CHANNEL.get(channel, -1), np.int8),
            np.full(n, by_customer),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Visits:
    """Channel events of a month, arrays of shape (k,)."""

    who: Array
    day: Array
    channel: Array
    event: Array
    service: Array


@dataclass(slots=True)
class Life:
    """Where every customer is in life, arrays of shape (n,): state, month of leaving, until when the past weighs.

    `is_declining` marks those who began to fade or to leave this month, `eased` is what the remedy of the last incident
    takes off the logit of leaving while the incident weighs.
    """

    state: Array
    leaving_month: Array
    is_engaged: Array
    incident_until: Array
    money_left_until: Array
    moved_until: Array
    cared_until: Array
    is_paid_here: Array
    is_declining: Array
    eased: Array

    @classmethod
    def begin(cls, people: Population, rng: np.random.Generator, first_on: int) -> Life:
        """States before the first month; about two in five customers are asleep."""
        n, mine = people.n, people.latents
        is_engaged = mine.digital + rng.standard_normal(n) > 0
        asleep = 1 / (1 + np.exp(0.12 + 0.45 * mine.wealth + 0.55 * mine.digital))
        state = pick_by(rng, np.array([[0.15, 0.75, 0.1], [0.42, 0.53, 0.05]]), is_engaged.astype(np.int8))
        young = people.first_product_on > first_on - 100
        state = np.where((rng.random(n) < asleep) & ~young, State.ASLEEP, state)
        state = np.where(people.is_customer(first_on), state, State.OUTSIDE)
        state = np.where((people.closed_on != NEVER) & (people.closed_on < first_on), State.GONE, state)
        none = np.full(n, -1, np.int16)
        is_paid = people.is_paid_here & ((state != State.ASLEEP) | (rng.random(n) < _PAID_ASLEEP_SHARE))
        return cls(state.astype(np.int8), np.zeros(n, np.int8), is_engaged, none, none.copy(), none.copy(),
                   none.copy(), is_paid, np.zeros(n, dtype=bool), np.zeros(n, np.float32))  # fmt: skip

    def advance(self, people: Population, month: Month, rng: np.random.Generator) -> tuple[Array, Array]:
        """Moves everybody one month on; returns the hazard of leaving and who began to leave, both (n,)."""
        m, state = month.number, self.state
        hazard = leaving_hazard(
            people.latents.loyalty, state, incident=self.incident_until >= m, money_left=self.money_left_until >= m,
            moved=self.moved_until >= m, cared=self.cared_until >= m, eased=self.eased,
        )  # fmt: skip
        leaves = rng.random(people.n, dtype=np.float32) < hazard
        moved = pick_by(rng, _MOVES.reshape(-1, 4), np.where(self.is_engaged, 4, 0) + np.minimum(state, 3))
        self.state = np.where(state <= State.ASLEEP, moved, state).astype(np.int8)
        self._end_of_leaving(state, rng)
        self.state[leaves] = State.LEAVING
        self.leaving_month[leaves] = 1
        self.is_declining = leaves | ((self.state == State.FADING) & (state < State.FADING))
        self.state[state == State.CLOSING] = State.GONE
        begins = (people.first_product_on >= month.first_on) & (people.first_product_on <= month.last_on)
        self.state[begins] = np.where(self.is_engaged[begins], State.BUSY, State.ACTIVE)
        self._salaries(people, m, rng)
        return hazard, leaves

    def _end_of_leaving(self, before: Array, rng: np.random.Generator) -> None:
        leaving = np.flatnonzero(before == State.LEAVING)
        self.leaving_month[leaving] += 1
        done = leaving[self.leaving_month[leaving] > _LEAVING_MONTHS]
        after = np.array([State.CLOSING, State.ASLEEP, State.FADING], np.int8)
        self.state[done] = after[pick(rng, _AFTER_LEAVING, len(done))]
        self.leaving_month[done] = 0

    def _salaries(self, people: Population, month: int, rng: np.random.Generator) -> None:
        """Some salaries move to another bank, more of those who fade, sleep or leave."""
        rate = np.array([0.003, 0.004, 0.03, 0.06, 0.3, 1, 1, 0])[self.state]
        moves = self.is_paid_here & (rng.random(people.n, dtype=np.float32) < rate)
        self.is_paid_here &= ~moves
        self.moved_until[moves] = month + MEMORY_MONTHS


def lives(life: Life) -> Array:
    """Numbers of the customers who do things themselves this month."""
    return np.flatnonzero((life.state <= State.LEAVING) & (life.state != State.ASLEEP))


def first_days(people: Population, who: Array, month: Month) -> Array:
    """The first day of this month on which each of `who` was a customer, 1 for all but the new ones."""
    return np.asarray(np.maximum(people.first_product_on[who] - month.first_on + 1, 1), dtype=np.int32)


def everyday(people: Population, life: Life, month: Month, rng: np.random.Generator, *, demand: Array,
             habit: Array) -> list[Txns]:  # fmt: skip
    """Salaries, purchases, bills and transfers of a month; `demand` and `habit` (n,) are minor units on demand.

    What is spent follows what comes in, and draws the balance back to its habit.
    """
    who = lives(life)
    first = first_days(people, who, month)
    salary, paid = _salaries_paid(people, life, month, rng, who, first)
    monthly = people.income[who] / 12 * 100
    n_in = rng.poisson(np.array(_RATES["IN"])[life.state[who]]).astype(np.int64)
    other_income = np.where(life.is_paid_here[who], 0.1, 0.55) * monthly
    is_leaving = life.state[who] == State.LEAVING
    inflow = paid + n_in * other_income
    excess = _SPEND_BACK * (demand[who] - habit[who])
    budget = np.clip(inflow + np.where(is_leaving, 0, excess), 0, inflow + 0.8 * np.maximum(demand[who], 0))
    txns = [*_swept(people, life, month, rng), salary, _spread("IN", who, n_in, first, month, rng, n_in * other_income)]
    counts = [rng.poisson(np.array(_RATES[kind])[life.state[who]]).astype(np.int64) for kind in _SHARES]
    total = sum(w * n for w, n in zip(_SHARES.values(), counts, strict=True))
    for (kind, weight), n in zip(_SHARES.items(), counts, strict=True):
        share = np.divide(weight * n, total, out=np.zeros(len(who)), where=np.asarray(total) > 0)
        txns.append(_spread(kind, who, n, first, month, rng, budget * share))
    return txns


_SHARES = {"CONSUME": 1.0, "BILL": 0.8, "OUT": 3.0}  # size of one beside the others
_ACROSS = {"CONSUME": (0, 0, 0.45, 0.55), "BILL": (0, 0, 0.8, 0.2), "OUT": (0.1, 0.7, 0, 0.2), "IN": (0.1, 0.7, 0, 0.2)}
_WAYS = {"CONSUME": ("APP", "WECHAT", "WEB"), "BILL": ("APP", "WECHAT", "BRANCH"), "OUT": ("APP", "BRANCH", "ATM"),
         "IN": ("APP", "WEB", "BRANCH")}  # fmt: skip


def _salaries_paid(people: Population, life: Life, month: Month, rng: np.random.Generator, who: Array,
                   first: Array) -> tuple[Txns, Array]:  # fmt: skip
    """The salaries, and what each of `who` was paid in minor units."""
    day = np.minimum(people.pay_day[who], month.n_days)
    gets = life.is_paid_here[who] & (day >= first)
    paid = np.where(gets, people.income[who] / 12 * 100 * rng.uniform(0.93, 1.07, len(who)), 0).astype(np.int64)
    return Txns.of("SALARY", who, day, paid, across="OTHER_BANK", by_customer=False), paid


def _swept(people: Population, life: Life, month: Month, rng: np.random.Generator) -> list[Txns]:
    """Salaries of sleepers, which a standing order carries on to another bank the same day."""
    who = np.flatnonzero((life.state == State.ASLEEP) & life.is_paid_here)
    salary, paid = _salaries_paid(people, life, month, rng, who, np.ones(len(who)))
    on = np.minimum(people.pay_day[who], month.n_days)
    return [salary, Txns.of("OUT", who, on, paid // 100 * 97, across="OTHER_BANK", by_customer=False)]


def _spread(kind: str, who: Array, counts: Array, first: Array, month: Month, rng: np.random.Generator,
            sums: Array) -> Txns:  # fmt: skip
    """counts[i] transactions of who[i] on days from first[i] on, of uneven size, together about sums[i]."""
    row = np.repeat(np.arange(len(who)), counts)
    size = rng.standard_exponential(len(row), dtype=np.float32) + 0.05
    total = np.bincount(row, weights=size, minlength=len(who))
    minor = np.maximum((size * (sums / np.maximum(total, 1e-9))[row]).astype(np.int64), 100)
    ways = np.array([CHANNEL[way] for way in _WAYS[kind]], np.int8)
    k = len(row)
    return Txns(
        who[row], np.full(k, KIND[kind], np.int8), days_within(rng, first[row], month.n_days, k).astype(np.int8), minor,
        pick(rng, _ACROSS[kind], k), ways[pick(rng, (0.6, 0.25, 0.15), k)], np.ones(k, dtype=bool),
    )  # fmt: skip


_DIGITAL_WAYS = (("APP", 0.72), ("WECHAT", 0.13), ("WEB", 0.05), ("BRANCH", 0.03), ("ATM", 0.05), ("CALL", 0.02))
_HUMAN_WAYS = (("APP", 0.36), ("WECHAT", 0.08), ("WEB", 0.03), ("BRANCH", 0.25), ("ATM", 0.2), ("CALL", 0.08))
_WAY_CHANNELS = np.array([CHANNEL[name] for name, _ in _DIGITAL_WAYS], np.int8)
_AFTER_LOGIN = ("LOGIN", "VIEW", "CLICK", "SEARCH", "SHARE", "STEP", "SUBMIT", "DONE", "TRANSFER_OUT_PAGE")
_AFTER_WEIGHTS = np.array([
    [.56, .22, .07, .04, .01, .04, .02, .035, .005],
    [.5, .16, .03, .02, 0, .03, .01, .02, .23],
])  # fmt: skip


def visits(people: Population, life: Life, month: Month, rng: np.random.Generator, *, services: Array) -> Visits:
    """Channel events of a month; `services` (n, s) says which services each customer has on.

    Leavers look at the transfer page long before the money is gone.
    """
    who = lives(life)
    digital = people.latents.digital[who]
    rate = np.array(_VISITS)[life.state[who]] * np.clip(1 + 0.35 * digital, 0.25, 2.2)
    row = np.repeat(np.arange(len(who)), rng.poisson(rate))
    k, customer = len(row), who[row]
    is_digital = (digital > -0.3).astype(np.int8)[row]
    table = np.array([[w for _, w in _HUMAN_WAYS], [w for _, w in _DIGITAL_WAYS]])
    channel = _WAY_CHANNELS[pick_by(rng, table, is_digital)]
    is_leaving = life.state[customer] == State.LEAVING
    on_screen = np.array([EVENT[name] for name in _AFTER_LOGIN], np.int8)
    event = on_screen[pick_by(rng, _AFTER_WEIGHTS, is_leaving.astype(np.int8))]
    event = np.where(np.isin(channel, (CHANNEL["BRANCH"], CHANNEL["ATM"], CHANNEL["CALL"])), EVENT["VISIT"], event)
    first = first_days(people, who, month)
    return Visits(customer, days_within(rng, first[row], month.n_days, k), channel, event.astype(np.int8),
                  _service_used(services, customer, event, rng))  # fmt: skip


def _service_used(services: Array, who: Array, event: Array, rng: np.random.Generator) -> Array:
    """The number of the service that an event belongs to, or -1; only services that are on, found in three tries."""
    used = np.full(len(who), -1, np.int16)
    if services.shape[1] == 0:
        return used
    for _ in range(3):
        tried = rng.integers(0, services.shape[1], len(who), dtype=np.int16)
        used = np.where((used < 0) & services[who, tried], tried, used)
    return np.asarray(np.where((event == EVENT["LOGIN"]) | (event == EVENT["TRANSFER_OUT_PAGE"]), -1, used))
