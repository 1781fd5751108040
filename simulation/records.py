"""What customers say and what the bank notes of them: consents, refusals of calls, complaints, risk, credit, facts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.bank.tables import EVENT_CHANNELS, TABLES
from simulation.bank_files import (
    NEVER,
    amounts,
    at_times,
    codes,
    dates,
    hours,
    ids,
    instants,
    known_after,
    known_next_morning,
)
from simulation.behaviour import CHANNEL, MEMORY_MONTHS, Life, Month, lives
from simulation.chance import Array, days_within, pick
from simulation.ledger import Ledger
from simulation.population import Population
from simulation.portfolio import Log
from simulation.truth import State

FACTS = TABLES["customer_fact"].column("fact").allowed
FACT = {name: i for i, name in enumerate(FACTS)}
INVESTORS = ("ORDINARY", "QUALIFIED", "PROFESSIONAL")
TOPICS = ("FEE", "APP", "TRANSFER", "CARD", "BRANCH_SERVICE", "PRODUCT", "CREDIT")
CONTACT_CHANNELS = ("APP", "SMS", "WECHAT", "CALL", "RM")
CHANNEL_COLUMN = np.array([CONTACT_CHANNELS.index(name) if name in CONTACT_CHANNELS else -1 for name in EVENT_CHANNELS])
_YEAR = 365
_INCIDENT_RATE = 0.006
_DNC_DAYS = 180
_CONTRACTED = 3  # one employer in three pays its people through this bank by contract


class Records:
    """The bank's notes. `may_contact` (n, channels) is what consents allow, `risk_level` (n,) the last one assessed."""

    def __init__(self, people: Population, life: Life, first_on: int, rng: np.random.Generator) -> None:
        n = people.n
        self.may_contact = np.zeros((n, len(CONTACT_CHANNELS)), dtype=bool)
        self.risk_level = np.zeros(n, np.int8)
        self.risk_until = np.full(n, NEVER, np.int32)
        self.facts = np.zeros((n, len(FACTS)), dtype=bool)
        self.preapproved_until = np.full(n, NEVER, np.int32)
        self._consents = Log(who=np.int64, channel=np.int8, granted=np.bool_, at=np.int64, on=np.int32)
        self._dnc = Log(who=np.int64, channel=np.int8, on=np.int32, until=np.int32)
        self.complaints = Log(who=np.int64, at=np.int64, on=np.int32, closed=np.int64, topic=np.int8, severity=np.int8)
        self._risks = Log(who=np.int64, on=np.int32, level=np.int8, investor=np.int8, until=np.int32)
        self._credits = Log(who=np.int64, on=np.int32, until=np.int32, minor=np.int64)
        self._noted = Log(who=np.int64, fact=np.int8, on=np.int32, minor=np.int64)
        self._consent_at_registration(people, rng)
        self._first_facts(people, rng)
        known = np.flatnonzero((life.state <= State.ASLEEP) & (rng.random(n) < 0.4))
        self.assess(people, known, first_on - rng.integers(1, 500, len(known)), rng)

    def month(self, people: Population, life: Life, ledger: Ledger, month: Month, rng: np.random.Generator) -> Array:
        """Notes of one month; returns who complained, so that the world can make them leave more often."""
        self._withdraw(people, life, month, rng)
        awake = lives(life)
        valid = self.risk_until[awake] > month.first_on
        rich = ledger.aum()[awake] > 2_000_000
        again = awake[~valid & (rng.random(len(awake)) < np.where(rich, 0.25, 0.05))]
        self.assess(people, again, days_within(rng, month.first_on, month.last_on, len(again)), rng)
        self._preapprove(people, life, month, rng)
        return self._complain(people, life, month, rng)

    def _consent_at_registration(self, people: Population, rng: np.random.Generator) -> None:
        """Seven in ten consent to every channel, others to some, some to none."""
        n, u = people.n, rng.random(people.n)
        at = at_times(people.registered_on, hours(rng, n, 9, 18))
        every = np.flatnonzero(u < 0.7)
        self._consent(every, -1, True, at[every], people.registered_on[every])
        for name in ("APP", "SMS"):
            some = np.flatnonzero((u >= 0.7) & (u < 0.88) & (rng.random(n) < 0.7))
            self._consent(some, CHANNEL[name], True, at[some], people.registered_on[some])
        listed = np.flatnonzero(rng.random(n) < 0.012)
        self.refuse_calls(listed, CHANNEL["CALL"], people.registered_on[listed] + 1)

    def _consent(self, who: Array, channel: int, granted: bool, at: Array, on: Array) -> None:
        self._consents.add(who=who, channel=channel, granted=np.full(len(who), granted), at=at, on=on)
        columns = slice(None) if channel < 0 else CHANNEL_COLUMN[channel]
        self.may_contact[who, columns] = granted

    def _withdraw(self, people: Population, life: Life, month: Month, rng: np.random.Generator) -> None:
        irritated = np.exp(0.5 * people.latents.irritation)
        who = np.flatnonzero((life.state <= State.LEAVING) & (rng.random(people.n) < 0.0015 * irritated))
        on = days_within(rng, month.first_on, month.last_on, len(who))
        at = at_times(on, hours(rng, len(who), 9, 21))
        is_all = rng.random(len(who)) < 0.6
        self._consent(who[is_all], -1, False, at[is_all], on[is_all])
        self._consent(who[~is_all], CHANNEL["SMS"], False, at[~is_all], on[~is_all])

    def refuse_calls(self, who: Array, channel: int, on: Array) -> None:
        """Do-not-call entries from day `on`, some of which end after half a year."""
        fresh = self.may_contact[who, CHANNEL_COLUMN[channel]]
        who, on = who[fresh], np.asarray(on)[fresh]
        self._dnc.add(who=who, channel=channel, on=on, until=np.where(who % 3 == 0, on + _DNC_DAYS, NEVER))
        self.may_contact[who, CHANNEL_COLUMN[channel]] = False

    def assess(self, people: Population, who: Array, on: Array, rng: np.random.Generator) -> None:
        """Risk assessments of distinct customers on days `on`; a day not after the last assessment adds nothing."""
        score = people.latents.risk[who] + 0.4 * rng.standard_normal(len(who))
        level = 1 + np.searchsorted([-1.1, -0.2, 0.7, 1.6], score)
        rich = people.target_aum[who] > 3e6
        investor = np.where(rich & (rng.random(len(who)) < 0.6), 1, 0)
        day = np.maximum(on, people.first_product_on[who])
        fresh = (self.risk_until[who] == NEVER) | (day > self.risk_until[who] - _YEAR)
        who, day, level, investor = who[fresh], day[fresh], level[fresh], investor[fresh]
        self._risks.add(who=who, on=day, level=level, investor=investor, until=day + _YEAR)
        self.risk_level[who], self.risk_until[who] = level, day + _YEAR

    def _first_facts(self, people: Population, rng: np.random.Generator) -> None:
        age, wealth, n = people.age, people.latents.wealth, people.n
        u = rng.random((len(FACTS), n))
        outside = people.first_product_on == NEVER
        has = {
            "IDENTITY_VERIFIED": u[0] < np.where(outside, 0.4, 0.93), "LICENCE": people.has_licence,
            "PROPERTY": (age > 28) & (u[2] < 0.2 + 0.08 * wealth), "NEEDS_TEST": (age > 20) & (u[3] < 0.22),
            "PENSION_MEMBER": (age > 22) & (age < 60) & (u[4] < 0.3),
            "INCOME_PROOF": (age > 20) & (u[5] < np.where(people.is_paid_here, 0.8, 0.3)),
            "DECLARED_WEALTH": u[6] < np.where(outside, 0.06, 0.004),
            "PAYROLL_EMPLOYER": outside & (people.employer >= 0) & (people.employer % _CONTRACTED == 0),
        }  # fmt: skip
        for fact, holders in has.items():
            who = np.flatnonzero(holders)
            self.facts[who, FACT[fact]] = True
            declared = (rng.uniform(3e5, 3e6, len(who)) * 100).astype(np.int64)
            self._noted.add(who=who, fact=FACT[fact], on=people.registered_on[who],
                            minor=declared if fact == "DECLARED_WEALTH" else NEVER)  # fmt: skip

    def _preapprove(self, people: Population, life: Life, month: Month, rng: np.random.Generator) -> None:
        """Credit is pre-approved for half a year to some with income and to some prospects."""
        fits = (people.age >= 22) & (people.age <= 55) & ~people.is_student & (people.registered_on < month.first_on)
        rate = np.array([0.012, 0.012, 0.008, 0.001, 0.004, 0, 0, 0.02])[life.state]
        is_new = people.first_product_on >= month.first_on - 60
        rate = np.where(is_new, np.maximum(rate, 0.06), rate)
        fits &= (self.preapproved_until <= month.first_on) & (people.closed_on == NEVER)
        who = np.flatnonzero(fits & (rng.random(people.n) < rate))
        until = np.full(len(who), month.first_on + 183)
        minor = (np.round(people.income[who] * rng.uniform(0.2, 0.8, len(who)), -3) * 100).astype(np.int64)
        self._credits.add(who=who, on=month.first_on, until=until, minor=minor)
        self.preapproved_until[who] = until

    def _complain(self, people: Population, life: Life, month: Month, rng: np.random.Generator) -> Array:
        awake = lives(life)
        rate = _INCIDENT_RATE * np.exp(0.3 * people.latents.irritation[awake])
        who = awake[rng.random(len(awake)) < rate]
        on = np.maximum(days_within(rng, month.first_on, month.last_on, len(who)), people.first_product_on[who])
        self.note_complaints(who, on, rng)
        life.incident_until[who] = month.number + MEMORY_MONTHS
        return who

    def note_complaints(self, who: Array, on: Array, rng: np.random.Generator) -> None:
        """Complaints of days `on`, settled after days or weeks."""
        at = at_times(on, hours(rng, len(who), 9, 20))
        lasted = (rng.gamma(1.5, 8.0, len(who)) * 86_400e6).astype(np.int64) + 3_600_000_000
        self.complaints.add(who=who, at=at, on=on, closed=at + lasted, topic=pick(rng, (1,) * len(TOPICS), len(who)),
                             severity=1 + pick(rng, (0.3, 0.3, 0.2, 0.13, 0.07), len(who)))  # fmt: skip

    def columns(self, rng: np.random.Generator, last_on: int) -> dict[str, dict[str, pa.Array]]:
        """The bank tables consent, do_not_call, complaint, risk_assessment, preapproval and customer_fact."""
        said, dnc, told, risk = self._consents, self._dnc, self.complaints, self._risks
        credit, noted = self._credits, self._noted
        end = int(at_times(np.array([last_on + 1]), np.zeros(1, np.int64))[0])
        return {
            "consent": {
                "consent_id": ids("S", np.arange(len(said))), "customer_id": ids("C", said["who"]),
                "purpose": codes(("MARKETING",), np.zeros(len(said), np.int8)),
                "channel": codes(EVENT_CHANNELS, said["channel"]), "category": pa.nulls(len(said), pa.string()),
                "is_granted": pa.array(said["granted"]),
                "proof_id": ids("F", np.arange(len(said))), "occurred_at": instants(said["at"]),
                "business_on": dates(said["on"]), "known_at": instants(known_after(rng, said["at"])),
            },
            "do_not_call": {
                "customer_id": ids("C", dnc["who"]), "channel": codes(EVENT_CHANNELS, dnc["channel"]),
                "from_on": dates(dnc["on"]), "to_on": dates(dnc["until"]),
                "known_at": instants(known_next_morning(rng, dnc["on"])),
            },
            "complaint": {
                "complaint_id": ids("Q", np.arange(len(told))), "customer_id": ids("C", told["who"]),
                "opened_at": instants(told["at"]), "business_on": dates(told["on"]),
                "closed_at": instants(np.where(told["closed"] < end, told["closed"], NEVER)),
                "topic": codes(TOPICS, told["topic"]), "severity": pa.array(told["severity"].astype(np.int64)),
                "known_at": instants(known_after(rng, told["at"])),
            },
            "risk_assessment": {
                "customer_id": ids("C", risk["who"]), "assessed_on": dates(risk["on"]),
                "risk_level": pa.array(risk["level"].astype(np.int64)),
                "investor_type": codes(INVESTORS, risk["investor"]), "expires_on": dates(risk["until"]),
                "known_at": instants(known_next_morning(rng, risk["on"])),
            },
            "preapproval": {
                "customer_id": ids("C", credit["who"]), "product_id": codes(("P19",), np.zeros(len(credit), np.int8)),
                "from_on": dates(credit["on"]), "expires_on": dates(credit["until"]),
                "limit_amount": amounts(credit["minor"]), "known_at": instants(known_next_morning(rng, credit["on"])),
            },
            "customer_fact": {
                "customer_id": ids("C", noted["who"]), "fact": codes(FACTS, noted["fact"]),
                "from_on": dates(noted["on"]), "to_on": dates(np.full(len(noted), NEVER)),
                "amount": amounts(noted["minor"]), "known_at": instants(known_next_morning(rng, noted["on"])),
            },
        }  # fmt: skip
