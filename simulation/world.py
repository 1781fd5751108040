"""The simulated bank as a whole: month by month, written as bank tables, with its truth beside them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.bank.tables import EVENT_CHANNELS, EVENTS
from features.errors import BadRequest
from features.vocabulary import Outcome
from simulation import money, opening
from simulation.bank_files import NEVER, ids
from simulation.behaviour import Life, Month, Txns, everyday, first_days, visits
from simulation.campaigns import Desk
from simulation.chance import Array, Chance
from simulation.contacts import (
    Answers,
    Played,
    answer_columns,
    answers,
    contact_columns,
    conversions,
    joined_rows,
    said,
    truth_columns,
)
from simulation.eligibility import asks_to_reassess
from simulation.experiments import HookTest, standing_tests
from simulation.journals import event_columns, txn_columns
from simulation.ledger import Flows, Ledger, joined, joined_flows
from simulation.months import calendar_months
from simulation.personal import personal_columns
from simulation.population import account_columns, customer_columns, populate
from simulation.portfolio import Portfolio, Purchases
from simulation.records import Records
from simulation.screens import app_columns, devices, looked_at
from simulation.service import Service
from simulation.shelf import Shelf
from simulation.treatments import Treatments
from simulation.truth import State, calibrated
from simulation.writing import Writer, writer

_DORMANT_DAYS = 180
_TOP_SHARE = 0.025
_FEWEST_CUSTOMERS = 100
_ROUND_MINOR = 10_000  # money that fills a shortfall comes in hundreds

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """What was simulated: rows by table, and the figures by which the plants are judged.

    Shares are 0..1. `dormant_share` is of open customers of half a year: no own transaction and no login in the last
    180 days. `conversion_share` is of the told in ordinary contacts, `incremental_share` is (Σp1 − Σp0) / Σp1 over
    them, `leaving_share` is the share of those awake who begin to leave in a month.
    """

    customers: int
    months: int
    rows: dict[str, int]
    top_aum_share: float
    dormant_share: float
    conversion_share: float
    incremental_share: float
    leaving_share: float

    def to_json(self) -> dict[str, Any]:
        """The summary as plain data."""
        return asdict(self)


def simulate(home: Path, *, customers: int, months: int, seed: int, offers: pa.Table,
             last_month_end: date = date(2025, 12, 31), hooks: tuple[HookTest, ...] | None = None,
             progress: Progress | None = None) -> Summary:  # fmt: skip
    """Writes a bank of `customers` over `months` into home/bank, its truth into home/truth; equal seeds, equal bytes.

    `offers` are rows of bank table `offer`; `hooks` are tested in arms, the standing three where None. Large tables
    have one file a month, a balance interval in the file of the month in which it ended. A date that ends something
    (closed_on, to_on, …) is the bank's knowledge at the end of the simulation: as of an earlier day it is still open.
    A run that ends early leaves nothing. Raises BadRequest for a figure out of bounds, an offer that is not there or a
    home that holds a bank.
    """
    if customers < _FEWEST_CUSTOMERS or months < 1:
        raise BadRequest("too small a bank", value=(customers, months), allowed="100 customers and 1 month or more")
    if (home / "bank").exists():
        raise BadRequest("this home holds a bank already", value=str(home), todo="name an empty folder")
    unfinished = home / ".simulating"
    shutil.rmtree(unfinished, ignore_errors=True)
    calendar = calendar_months(last_month_end, months)
    with writer(unfinished) as writing:
        world = World(writing, customers, calendar, seed, offers, hooks)
        for done, month in enumerate(calendar):
            if progress:
                progress(month.label, done / months)
            world.live(month)
        summary = world.finish()
    shutil.rmtree(home / "truth", ignore_errors=True)
    for part in ("truth", "bank"):
        (unfinished / part).replace(home / part)
    unfinished.rmdir()
    if progress:
        progress("books", 1.0)
    return summary


class World:
    """The state of a running simulation."""

    def __init__(self, writing: Writer, customers: int, months: list[Month], seed: int, offers: pa.Table,
                 hooks: tuple[HookTest, ...] | None) -> None:  # fmt: skip
        self.writing, self.months = writing, months
        self.chance = Chance(seed)
        self.shelf = Shelf(offers)
        tests = standing_tests(self.shelf.offer_ids) if hooks is None else hooks
        first_on = months[0].first_on
        self.people = populate(self.chance, customers, first_on, months[-1].last_on)
        self.life = Life.begin(self.people, self.chance.of("life"), first_on)
        self.portfolio = Portfolio(customers, self.shelf)
        self.ledger = Ledger(customers)
        opening.open_books(self.people, self.life, self.portfolio, self.ledger, first_on, self.chance.of("opening"))
        self.habit = self.ledger.demand.copy()
        self.records = Records(self.people, self.life, first_on, self.chance.of("records"))
        targets = {self.shelf.offer_number(test.offer_id): test.mean_p1 for test in tests}
        jitter = np.exp(self.chance.of("offers").normal(0, 0.25, len(self.shelf.offer_ids)))
        self.truth = calibrated(self.people.latents, self.shelf, self.life.state, targets=targets, jitter=jitter)
        self.desk = Desk(self.people, self.shelf, self.truth, self.records, tests)
        self.treatments = Treatments()
        self.service = Service(self.people, self.portfolio, first_on, self.chance)
        self.device = devices(self.people, self.chance.of("devices"))
        self.told = np.zeros(4)  # ordinary contacts: how many, converted, sum of p0, sum of p1
        self.leaving = np.zeros(2)  # who began to leave, of how many, summed over months
        self.last_seen_on = np.full(customers, NEVER, np.int32)

    def live(self, month: Month) -> None:
        """One month of everybody's life, and its files."""
        m = month.number
        hazard, leaves = self.life.advance(self.people, month, self.chance.of("moves", m))
        played = self.desk.month(self.life, self.portfolio, self.ledger, month, self.chance)
        self._tell_judges(played, month, hazard, leaves)
        columns, sent, opened_at = contact_columns(played, self.shelf.offer_ids, self.desk.campaigns,
                                                   self.chance.of("contacts", m))  # fmt: skip
        self.writing.tables({"contact": columns}, month)
        spoken = answers(played, sent, opened_at, self.people.latents, self.chance.of("answers", m))
        converted = self._money(month)
        self._heed(spoken, m)
        said_rows = answer_columns(joined_rows([spoken, converted]), self.shelf.offer_ids, month.code,
                                   self.chance.of("responses", m))  # fmt: skip
        self.writing.tables({"response": said_rows}, month)
        self._visits(month)
        self.records.month(self.people, self.life, self.ledger, month, self.chance.of("notes", m))
        self.service.settle(self.records, self.life, self.ledger, month)

    def finish(self) -> Summary:
        """Writes what is kept to the end, and sums up."""
        rng, last_on = self.chance.of("books"), self.months[-1].last_on
        self.writing.table("balance", self.ledger.open_rows().columns(rng), file="open")
        self.writing.tables({"customer": customer_columns(self.people, rng, last_on)})
        self.writing.tables({"personal": personal_columns(self.people, self.chance.of("personal"))})
        self.writing.tables({"account": account_columns(self.people, rng, last_on)})
        self.writing.tables(self.portfolio.columns(self.people, rng, last_on))
        self.writing.tables(self.records.columns(rng, last_on))
        self.writing.tables({"assignment": self.desk.arms.columns(self.shelf.offer_ids, rng)})
        offers = self.shelf.rows
        self.writing.tables({"offer": {name: offers[name].combine_chunks() for name in offers.column_names}})
        self.writing.tables(self.service.columns(last_on))
        self.truth.save(self.writing.truth, self.shelf.offer_ids)
        self.service.save(self.writing.truth)
        self.writing.judged("arms", self.desk.arms.truth(self.shelf.offer_ids))
        self.writing.judged("treatments", self.treatments.truth([month.label for month in self.months]))
        return self._summary()

    def _money(self, month: Month) -> Answers:
        """All that moves money in a month; returns the answers of contacts that bore fruit."""
        m, rng = month.number, self.chance.of("money", month.number)
        closing_day = rng.integers(22, month.n_days + 1, self.people.n)
        busy = self.desk.busy_until[:, self.shelf.product_number("P06")]
        txns, flows = money.mature(self.portfolio, self.life, month, rng, busy_until=busy)
        redeemed, sold = money.redeem(self.portfolio, self.life, month, rng, closing_day)
        funding, first_bought = opening.arrivals(self.people, self.portfolio, month, self.habit, rng)
        bought, offer, contact = self.desk.fall_due(self.life, month)
        has_happened = bought.product < 0
        wanted = Purchases(*(np.concatenate([getattr(bought, x)[~has_happened], getattr(first_bought, x)])
                             for x in Purchases.__slots__))  # fmt: skip
        can = self.portfolio.possible(wanted)
        paid, placed, taken = money.buy(self.portfolio, self.ledger, wanted.at(can), month, rng)
        self._assess(taken, rng)
        txns += [*redeemed, *paid, funding, *money.leave(self.ledger, self.life, rng)]
        txns += money.repay(self.portfolio, self.ledger, self.life, month, rng)
        txns += money.bookings(self.ledger, self.people, self.life, month, rng)
        txns += everyday(self.people, self.life, month, self.chance.of("everyday", m), demand=self.ledger.demand,
                         habit=self.habit)  # fmt: skip
        held_out, arms = self.desk.is_held_out, self.desk.arms
        txns += self.treatments.month(self.people, self.life, self.ledger, held_out, arms, month, self.habit,
                                      self.chance.of("treatments", m))  # fmt: skip
        flows += [*sold, *placed, money.revalue(self.portfolio, self.ledger, self.life, month, rng)]
        self._settle(month, joined(txns), flows, closing_day)
        minor = np.where(has_happened, bought.minor, NEVER)
        of_wanted = np.flatnonzero(~has_happened)
        ours = can < len(of_wanted)  # the others are what new customers open of themselves
        minor[of_wanted[can[ours]]] = taken.minor[ours]
        told = (contact >= 0) & (minor != NEVER)
        return conversions(bought.who[told], contact[told], offer[told], bought.on[told], minor[told], rng)

    def _settle(self, month: Month, txns: Txns, flows: list[Flows], closing_day: Array) -> None:
        """Fills shortfalls from other banks, empties the accounts of those who close, posts and writes."""
        short = self.ledger.shortfall(txns)
        who = np.flatnonzero(short)
        brought = short[who] // _ROUND_MINOR * _ROUND_MINOR + _ROUND_MINOR
        top_up = Txns.of("IN", who, first_days(self.people, who, month), brought, across="OTHER_BANK", channel="APP")
        top_up = replace(top_up, by_customer=self.life.state[who] != State.ASLEEP)
        txns = joined([txns, top_up])
        closing = np.flatnonzero(self.life.state == State.CLOSING)
        posted = joined_flows([*flows, Flows.demand(txns)])
        last, emptied = money.close_out(self.ledger, closing, closing_day[closing], posted)
        txns = joined([txns, *last])
        intervals = self.ledger.post(month, joined_flows([posted, *emptied, *map(Flows.demand, last)]))
        self.people.closed_on[closing] = month.first_on + closing_day[closing] - 1
        self.writing.tables({"balance": intervals.columns(self.chance.of("balance", month.number))}, month)
        self.ledger.close(closing)
        self.writing.tables({"txn": txn_columns(txns, month, self.chance.of("txn", month.number))}, month)
        self.writing.tables(self.service.month(self.life, self.ledger, txns, month), month)
        own = txns.by_customer
        np.maximum.at(self.last_seen_on, txns.who[own], month.first_on + txns.day[own].astype(np.int32) - 1)

    def _assess(self, taken: Purchases, rng: np.random.Generator) -> None:
        product = asks_to_reassess(self.shelf)
        some = np.flatnonzero(taken.product == product) if product >= 0 else np.zeros(0, np.int64)
        if len(some):
            some = some[np.unique(taken.who[some], return_index=True)[1]]
            self.records.assess(self.people, taken.who[some], taken.on[some], rng)

    def _heed(self, spoken: Answers, month: int) -> None:
        """Refusals of calls become do-not-call entries, complaints are noted."""
        refused = said(spoken, Outcome.DNC_REQUESTED)
        first = refused[np.unique(spoken.who[refused], return_index=True)[1]]
        self.records.refuse_calls(spoken.who[first], EVENT_CHANNELS.index("CALL"), spoken.on[first] + 1)
        told = said(spoken, Outcome.COMPLAINED)
        self.records.note_complaints(spoken.who[told], spoken.on[told], self.chance.of("complaints", month))

    def _visits(self, month: Month) -> None:
        rng = self.chance.of("visits", month.number)
        seen = visits(self.people, self.life, month, rng, services=self.portfolio.services_on())
        names = [self.shelf.product_ids[i] for i in self.portfolio.service_products]
        looks = self.chance.of("screens", month.number)
        columns = event_columns(seen, month, names, rng, looked_at=looked_at(self.people, seen, looks))
        self.writing.tables({"channel_event": columns}, month)
        self.writing.tables({"app_quality": app_columns(seen, self.device, month, looks)}, month)
        logged_in = seen.event == EVENTS.index("LOGIN")
        np.maximum.at(self.last_seen_on, seen.who[logged_in], month.first_on + seen.day[logged_in] - 1)

    def _tell_judges(self, played: Played, month: Month, hazard: Array, leaves: Array) -> None:
        truth = truth_columns(played, self.shelf.offer_ids, month.number)
        self.writing.judged(f"contacts/{month.label}", truth)
        states = pa.table({
            "customer_id": ids("C", np.arange(self.people.n)), "state": pa.array(self.life.state.copy()),
            "hazard": pa.array(hazard.astype(np.float32)), "leaves": pa.array(leaves),
        })  # fmt: skip
        self.writing.judged(f"states/{month.label}", states)
        usual = (played.plans.campaign == 0) & played.plans.is_told
        self.told += [usual.sum(), (played.converts_on[usual] != NEVER).sum(), played.p0[usual].sum(),
                      played.p1[usual].sum()]  # fmt: skip
        self.leaving += [leaves.sum(), (self.life.state <= State.FADING).sum() + leaves.sum()]

    def _summary(self) -> Summary:
        last_on = self.months[-1].last_on
        is_open = self.people.is_customer(last_on + 1)
        aum = np.sort(self.ledger.aum()[is_open])[::-1]
        is_old = is_open & (self.people.first_product_on <= last_on - _DORMANT_DAYS)
        n, converted, p0, p1 = self.told
        return Summary(
            customers=self.people.n, months=len(self.months), rows=self.writing.rows,
            top_aum_share=float(aum[: int(len(aum) * _TOP_SHARE)].sum() / max(aum.sum(), 1)),
            dormant_share=float((self.last_seen_on[is_old] < last_on - _DORMANT_DAYS).mean()),
            conversion_share=float(converted / max(n, 1)),
            incremental_share=float((p1 - p0) / max(p1, 1e-9)),
            leaving_share=float(self.leaving[0] / max(self.leaving[1], 1)),
        )  # fmt: skip
