"""Who the simulated customers are: what the bank knows of them, and the latents that it does not.

The latents drive everything that follows. What the bank sees (age, money, logins, products) is correlated with them
and never equal to them; they are saved for judges alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.vocabulary import Kind
from simulation.bank_files import (
    NEVER,
    amounts,
    at_times,
    codes,
    dates,
    hours,
    ids,
    instants,
    known_next_morning,
    nothing,
    some_ids,
)
from simulation.chance import Array, Chance, days_within, normal_scores, pick, standardised
from simulation.shelf import Need

YEAR_DAYS = 365.25
JOINER_SHARE_A_MONTH = 0.007
PROSPECT_SHARE = 0.05
FORMER_SHARE = 0.006
EMPLOYEES_A_FIRM = 40
CUSTOMERS_A_BRANCH = 500
FEWEST_BRANCHES = 12
MANAGERS_A_BRANCH = 4
MEDIAN_AUM = 2_000  # with this spread the richest 2.5 % own about 80 % (R06)
AUM_SPREAD = 3.0
LARGEST_AUM = 3e7

DOCUMENTS = ("MAINLAND", "HK_MO_TW", "FOREIGN")
REGIONS = ("E", "S", "W", "N")
OCCUPATIONS = ("CLERK", "WORKER", "TEACHER", "MEDIC", "ENGINEER", "CIVIL", "TRADER", "FARMER", "STUDENT", "RETIRED")
SOURCES = ("BRANCH", "APP", "PAYROLL", "REFERRAL", "PARTNER", "MERCHANT")
PAY_DAYS = (5, 8, 10, 15, 20, 25)
# loading of each need on what the bank can see some of; the rest of its variance is nobody's knowledge
_LOADINGS: dict[Need, dict[str, float]] = {
    Need.DEPOSIT: {"age": 0.55, "wealth": 0.35, "risk": -0.2},
    Need.WEALTH: {"wealth": 0.6, "risk": 0.35},
    Need.FUND: {"risk": 0.5, "digital": 0.35, "wealth": 0.25},
    Need.INSURANCE: {"middle": 0.55, "wealth": 0.35},
    Need.CREDIT: {"age": -0.55, "wealth": -0.35, "digital": 0.2},
    Need.PAYMENT: {"digital": 0.6, "age": -0.3},
    Need.SCENE: {"digital": 0.55, "woman": 0.35},
    Need.TOOL: {"digital": 0.5, "wealth": -0.3, "age": 0.2},
    Need.CARE: {"age": 0.45, "irritation": 0.3},
}


@dataclass(frozen=True, slots=True)
class Latents:
    """What drives a customer, standard normal, shape (n,) float32; `need` is (n, needs)."""

    wealth: Array
    digital: Array
    price: Array
    cash: Array
    irritation: Array
    loyalty: Array
    risk: Array
    need: Array


@dataclass(slots=True)
class Population:
    """What the bank knows of its customers, arrays of shape (n,); `closed_on` is filled while the years pass.

    `branch`, `employer` and `manager` are -1 where there is none.
    """

    n: int
    latents: Latents
    age: Array
    birth_on: Array
    is_woman: Array
    document: Array
    occupation: Array
    employer: Array
    pay_day: Array
    is_paid_here: Array
    income: Array
    region: Array
    branch: Array
    manager: Array
    registered_on: Array
    first_product_on: Array
    closed_on: Array
    source: Array
    is_staff: Array
    is_restricted: Array
    is_student: Array
    has_optout: Array
    has_licence: Array
    target_aum: Array

    def is_customer(self, first_on: int) -> Array:
        """Who holds something at the start of a day."""
        begun = (self.first_product_on != NEVER) & (self.first_product_on < first_on)
        return np.asarray(begun & ((self.closed_on == NEVER) | (self.closed_on >= first_on)))


def populate(chance: Chance, n: int, first_on: int, last_on: int) -> Population:
    """n customers as they will be known at the end of a window that runs from day `first_on` to `last_on`."""
    rng = chance.of("people")
    wealth = normal_scores(chance.of("wealth"), n)
    age = _ages(rng, wealth)
    is_woman = rng.random(n) < 0.5
    latents = _latents(chance.of("latents"), wealth, age, is_woman)
    registered_on, first_product_on, closed_on = _careers(chance.of("careers"), n, first_on, last_on)
    employer, pay_day, is_paid_here = _employment(chance.of("employment"), age, latents)
    branch = _skewed(rng, n, branches_of(n))
    is_led = rng.random(n) < np.where(wealth > 0.8, 0.9, 0.25)
    return Population(
        n=n, latents=latents, age=age, is_woman=is_woman,
        birth_on=last_on - (age * YEAR_DAYS).astype(np.int32) - rng.integers(0, 364, n).astype(np.int32),
        document=pick(rng, (0.985, 0.009, 0.006), n),
        occupation=_occupations(rng, age),
        employer=employer, pay_day=pay_day, is_paid_here=is_paid_here,
        income=np.exp(11.2 + 0.35 * wealth + 0.45 * rng.standard_normal(n)).astype(np.float32),
        region=(branch % len(REGIONS)).astype(np.int8),
        branch=np.where(chance.of("branches").random(n) < 0.97, branch, -1),
        manager=np.where(is_led, branch * MANAGERS_A_BRANCH + rng.integers(0, MANAGERS_A_BRANCH, n), -1),
        registered_on=registered_on, first_product_on=first_product_on, closed_on=closed_on,
        source=pick(rng, (0.34, 0.26, 0.16, 0.1, 0.08, 0.06), n),
        is_staff=rng.random(n) < 0.008, is_restricted=rng.random(n) < 0.004,
        is_student=(age < 25) & (rng.random(n) < 0.35), has_optout=rng.random(n) < 0.02,
        has_licence=(age > 22) & (rng.random(n) < 0.055),
        target_aum=np.minimum(MEDIAN_AUM * np.exp(AUM_SPREAD * wealth), LARGEST_AUM),
    )  # fmt: skip


def branches_of(n: int) -> int:
    """How many branches a bank of n customers has."""
    return max(FEWEST_BRANCHES, n // CUSTOMERS_A_BRANCH)


def _ages(rng: np.random.Generator, wealth: Array) -> Array:
    """Years of age at the end of the window, 16 to 90."""
    drawn = 16 + 74 * rng.beta(2.1, 2.9, len(wealth)) + 3 * wealth
    return np.asarray(np.clip(drawn, 16, 90), dtype=np.int32)


def _latents(rng: np.random.Generator, wealth: Array, age: Array, is_woman: Array) -> Latents:
    n = len(wealth)

    def noise() -> Array:
        return rng.standard_normal(n, dtype=np.float32)

    age_score = standardised(age.astype(np.float32))
    digital = standardised(-0.55 * age_score + 0.15 * wealth + 0.8 * noise())
    risk = standardised(-0.35 * age_score + 0.3 * wealth + 0.85 * noise())
    irritation = noise()
    seen = {
        "age": age_score, "wealth": wealth, "digital": digital, "risk": risk, "irritation": irritation,
        "woman": standardised(is_woman.astype(np.float32)),
        "middle": standardised(-np.abs(age_score)),
    }  # fmt: skip
    need = np.empty((n, len(Need)), np.float32)
    for which, loadings in _LOADINGS.items():
        explained = sum(w * seen[name] for name, w in loadings.items())
        need[:, which] = standardised(explained + 0.7 * noise())
    return Latents(
        wealth, digital, price=standardised(-0.3 * wealth + noise()), cash=standardised(-0.4 * wealth + noise()),
        irritation=irritation, loyalty=standardised(0.3 * age_score + noise()), risk=risk, need=need,
    )  # fmt: skip


def _careers(rng: np.random.Generator, n: int, first_on: int, last_on: int) -> tuple[Array, Array, Array]:
    """Days of registration, first product and closing: old customers, joiners, prospects and former customers."""
    n_months = (last_on - first_on + 1) / 30.4
    joiners = min(JOINER_SHARE_A_MONTH * n_months, 0.3)
    role = pick(rng, (1 - joiners - PROSPECT_SHARE - FORMER_SHARE, joiners, PROSPECT_SHARE, FORMER_SHARE), n)
    first_product = first_on - 1 - np.minimum(rng.exponential(1_600, n), 9_000).astype(np.int32)
    joined = days_within(rng, first_on, last_on, n)
    first_product = np.where(role == 1, joined, first_product)
    waited = np.where(rng.random(n) < 0.6, 0, rng.geometric(1 / 25, n))
    registered = np.where(role == 2, days_within(rng, first_on - 200, last_on, n), first_product - waited)
    closed = np.where(role == 3, first_on - rng.integers(1, 200, n), NEVER)
    long_ago = first_on - 400 - rng.integers(0, 2_000, n)
    first_product = np.where(role == 3, long_ago, np.where(role == 2, NEVER, first_product))
    registered = np.where(role == 3, long_ago - waited, registered)
    return registered.astype(np.int32), first_product.astype(np.int32), closed.astype(np.int32)


def _employment(rng: np.random.Generator, age: Array, latents: Latents) -> tuple[Array, Array, Array]:
    """Employer number or -1, the employer's pay day, and whether the salary comes to this bank."""
    n = len(age)
    firms = max(8, n // EMPLOYEES_A_FIRM)
    has_employer = (age >= 22) & (age < 60) & (rng.random(n) < 0.5)
    employer = np.where(has_employer, _skewed(rng, n, firms), -1)
    pay_day = rng.choice(np.array(PAY_DAYS), firms)[employer]
    chance_here = 1 / (1 + np.exp(-(0.3 + 0.5 * latents.loyalty)))
    return employer, pay_day, has_employer & (rng.random(n) < chance_here)


def _skewed(rng: np.random.Generator, n: int, k: int) -> Array:
    """n numbers below k, small ones more often."""
    return np.asarray(rng.random(n) ** 1.6 * k, dtype=np.int32)


def _occupations(rng: np.random.Generator, age: Array) -> Array:
    drawn = rng.integers(0, 8, len(age))
    drawn = np.where(age >= 62, OCCUPATIONS.index("RETIRED"), np.where(age < 22, OCCUPATIONS.index("STUDENT"), drawn))
    return np.asarray(np.where(rng.random(len(age)) < 0.1, -1, drawn), dtype=np.int8)


def customer_columns(people: Population, rng: np.random.Generator, last_on: int) -> dict[str, pa.Array]:
    """The bank table `customer` as it is known on day `last_on`: who is to begin later is a prospect still."""
    n = people.n
    declared = np.where(rng.random(n) < 0.7, (people.income * 100).astype(np.int64), NEVER)
    unknown = rng.random((3, n)) < 0.02
    return {
        "customer_id": ids("C", np.arange(n)),
        "birth_on": dates(np.where(unknown[0], NEVER, people.birth_on)),
        "gender": codes(("F", "M"), np.where(unknown[1], -1, ~people.is_woman).astype(np.int8)),
        "id_doc_type": codes(DOCUMENTS, people.document),
        "occupation": codes(OCCUPATIONS, people.occupation),
        "employer_id": some_ids("E", people.employer, 4 if people.n < 400_000 else 8),
        "declared_income_amount": amounts(declared),
        "region": codes(REGIONS, people.region),
        "branch_id": some_ids("B", people.branch, 4),
        "rm_id": some_ids("M", people.manager, 8),
        "registered_on": dates(people.registered_on),
        "first_product_on": dates(_begun(people, last_on)),
        "closed_on": dates(people.closed_on),
        "acquisition_source": codes(SOURCES, np.where(unknown[2], -1, people.source).astype(np.int8)),
        "is_staff": pa.array(people.is_staff),
        "is_restricted": pa.array(people.is_restricted),
        "is_student": pa.array(people.is_student),
        "family_id": pa.nulls(n, pa.string()),
        "has_marketing_optout": pa.array(people.has_optout),
        "known_at": instants(at_times(people.registered_on, hours(rng, n, 8, 22))),
    }


def _begun(people: Population, last_on: int) -> Array:
    return np.where(people.first_product_on > last_on, NEVER, people.first_product_on)


def account_columns(people: Population, rng: np.random.Generator, last_on: int) -> dict[str, pa.Array]:
    """The bank table `account`: a main account a customer, a second one for some, an empty one for some prospects."""
    begun = _begun(people, last_on)
    holders = np.flatnonzero(begun != NEVER)
    second = holders[rng.random(len(holders)) < 0.2]
    prospects = np.flatnonzero(begun == NEVER)
    empty = prospects[rng.random(len(prospects)) < 0.2]
    who = np.concatenate([holders, second, empty])
    opened = np.concatenate([people.first_product_on[holders], people.first_product_on[second],
                             people.registered_on[empty]])  # fmt: skip
    kind = np.concatenate([np.zeros(len(holders), np.int8), np.ones(len(second), np.int8),
                           np.full(len(empty), 2, np.int8)])  # fmt: skip
    return {
        "account_id": ids("A", who.astype(np.int64) * 10 + kind, 12),
        "customer_id": ids("C", who),
        "account_class": codes(("I", "II", "III"), kind),
        "product_id": nothing(Kind.CODE, len(who)),
        "opened_on": dates(opened),
        "closed_on": dates(people.closed_on[who]),
        "is_social_security": pa.array((kind == 1) & (who % 4 == 0)),
        "known_at": instants(known_next_morning(rng, opened)),
    }
