"""Randomised treatments of price and of service: the first brings money that goes again, the second money that stays.

Every third month some of those awake are drawn into one of two tests, half of them treated. A better price brings
money within two weeks, and a quarter more than it brought leaves in the third month after. Better service brings
nothing at once, then a little each month for half a year, and keeps its customers from leaving. What a customer's AUM
was at the start is the unit of both.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulation.bank_files import codes, ids
from simulation.behaviour import Life, Month, Txns
from simulation.chance import Array, days_within
from simulation.experiments import CONTROL, TREAT, Arms
from simulation.ledger import Ledger
from simulation.population import Population
from simulation.portfolio import Log
from simulation.truth import State

PRICE, SERVICE = range(2)
TESTS = ("PRICE", "SERVICE")
PRICE_SHARE = 0.3  # of AUM brought, times what price is to the customer
PRICE_LEAVES = 1.25  # of what was brought
SERVICE_SHARE = 0.06  # of AUM a month
SERVICE_MONTHS = 6
_DRAWN_SHARE = 0.12
_WAVE_MONTHS, _FIRST_WAVE = 3, 1
_SMALLEST_MINOR = 100_000
_LEAVES_AFTER_MONTHS = 3
_PRICE_SLOPE = 0.3


class Treatments:
    """Who is in which test since which month, and what it moves."""

    def __init__(self) -> None:
        self.rows = Log(who=np.int64, test=np.int8, month=np.int16, is_treated=np.bool_, aum=np.int64, brought=np.int64,
                        day=np.int8)  # fmt: skip

    def month(self, people: Population, life: Life, ledger: Ledger, held_out: Array, arms: Arms, month: Month,
              habit: Array, rng: np.random.Generator) -> list[Txns]:  # fmt: skip
        """Draws a wave where one is due; returns what the treatments move this month.

        The habit of demand money (n,) follows what comes and goes, so that nothing of it is spent back.
        """
        if month.number % _WAVE_MONTHS == _FIRST_WAVE:
            self._draw(people, life, ledger, held_out, arms, month, rng)
        rows, since = self.rows, month.number - self.rows["month"]
        alive = rows["is_treated"] & (life.state[rows["who"]] <= State.FADING)
        is_price, is_service = rows["test"] == PRICE, rows["test"] == SERVICE
        comes = np.flatnonzero(alive & is_price & (since == 0))
        goes = np.flatnonzero(alive & is_price & (since == _LEAVES_AFTER_MONTHS))
        grows = np.flatnonzero(alive & is_service & (since >= 1) & (since <= SERVICE_MONTHS))
        out = (rows["brought"][goes] * PRICE_LEAVES).astype(np.int64)
        out = np.minimum(out, np.maximum(ledger.demand[rows["who"][goes]] * 0.95, 0).astype(np.int64))
        added = (rows["aum"][grows] * SERVICE_SHARE).astype(np.int64)
        habit[rows["who"][comes]] += rows["brought"][comes]
        habit[rows["who"][goes]] = np.maximum(habit[rows["who"][goes]] - out, 0)
        habit[rows["who"][grows]] += added
        return [
            Txns.of(
                "IN", rows["who"][comes], rows["day"][comes], rows["brought"][comes], across="OTHER_BANK", channel="APP"
            ),
            Txns.of(
                "OUT", rows["who"][goes], days_within(rng, 3, 20, len(goes)), out, across="OTHER_BANK", channel="APP"
            ),
            Txns.of(
                "IN", rows["who"][grows], days_within(rng, 3, 26, len(grows)), added, across="OTHER_BANK", channel="APP"
            ),
        ]

    def _draw(self, people: Population, life: Life, ledger: Ledger, held_out: Array, arms: Arms, month: Month,
              rng: np.random.Generator) -> None:  # fmt: skip
        aum = ledger.aum()
        fits = (life.state <= State.FADING) & (aum >= _SMALLEST_MINOR) & ~held_out & ~people.is_staff
        fits &= people.first_product_on < month.first_on
        fits[self.rows["who"]] = False
        u = rng.random(people.n)
        for test, name in enumerate(TESTS):
            who = np.flatnonzero(fits & (u >= test * _DRAWN_SHARE) & (u < (test + 1) * _DRAWN_SHARE))
            treated = rng.random(len(who)) < 0.5
            taste = np.exp(_PRICE_SLOPE * people.latents.price[who])
            brought = (
                (PRICE_SHARE * taste * aum[who]).astype(np.int64) if test == PRICE else np.zeros(len(who), np.int64)
            )
            day = days_within(rng, 3, 14, len(who))
            on = np.full(len(who), month.first_on)
            arms.assign(
                f"{name}-{month.label}", who, on, offer=-1, arm=np.where(treated, TREAT, CONTROL), propensity=0.5
            )
            self.rows.add(
                who=who, test=test, month=month.number, is_treated=treated, aum=aum[who], brought=brought, day=day
            )
            if test == SERVICE:
                life.cared_until[who[treated]] = month.number + SERVICE_MONTHS

    def truth(self, labels: list[str]) -> pa.Table:
        """What each treatment would move of AUM by 30 and by 180 days, as shares of it, for judges.

        It tells of both arms alike what treatment does to one who stays.
        """
        rows = self.rows
        price = rows["brought"] / np.maximum(rows["aum"], 1)
        is_price = rows["test"] == PRICE
        return pa.table({
            "experiment_id": codes([f"{test}-{label}" for test in TESTS for label in labels],
                                   (rows["test"] * len(labels) + rows["month"]).astype(np.int16)),
            "customer_id": ids("C", rows["who"]), "is_treated": pa.array(rows["is_treated"]),
            "effect_30_share": pa.array(np.where(is_price, price, 0.0)),
            "effect_180_share": pa.array(np.where(is_price, price * (1 - PRICE_LEAVES), SERVICE_SHARE * 5)),
        })  # fmt: skip
