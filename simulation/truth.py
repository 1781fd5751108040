"""The truth of the simulated bank: who converts, what a contact adds, who leaves. For judges alone.

    logit p0 = a(offer) + 1.15 · need(customer, offer's need) + mood(state)                      without a contact
    logit p1 = logit p0 + lift(need) + tastes(customer, offer, channel) − irritation − .12 · recent contacts

p0 and p1 are probabilities of taking the offer's product within its outcome window. A contact that irritates lowers
them: p1 < p0 are the sleeping dogs. Nothing here is read by `features`; what the bank sees is only correlated.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit

from features.bank.tables import EVENT_CHANNELS
from simulation.bank_files import ids, write_parquet
from simulation.chance import Array
from simulation.population import Latents
from simulation.shelf import Need, Shelf


class State(IntEnum):
    """What a customer is up to in a month; the bank sees only what it does to logins and money."""

    BUSY = 0
    ACTIVE = 1
    FADING = 2
    ASLEEP = 3
    LEAVING = 4
    CLOSING = 5
    GONE = 6
    OUTSIDE = 7  # prospects, and customers who have not begun


NEED_SLOPE = 1.15
FATIGUE = 0.12
_HOOK_LIFT = 0.4  # a hook comes at the right moment
_MOOD = np.array([0.4, 0.0, -0.6, -2.2, -1.2, -9.0, -9.0, -1.5], np.float32)
_DIGITAL_CHANNEL = np.array([c in ("APP", "WEB", "WECHAT", "SMS", "EMAIL") for c in EVENT_CHANNELS])
# by need: mean p1 of the contacted, and what a contact adds to the logit
_TARGETS = {
    Need.DEPOSIT: (0.060, 0.60), Need.WEALTH: (0.055, 0.65), Need.FUND: (0.045, 0.60), Need.INSURANCE: (0.035, 0.50),
    Need.CREDIT: (0.040, 0.35), Need.PAYMENT: (0.080, 0.70), Need.SCENE: (0.075, 0.80), Need.TOOL: (0.060, 0.80),
    Need.CARE: (0.120, 0.60),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Offers:
    """The offers' part of the truth, arrays of shape (m,)."""

    intercept: Array
    lift: Array
    need: Array
    cash_slope: Array
    price_slope: Array


@dataclass(frozen=True, slots=True)
class Moment:
    """k pairs of customer and offer: numbers of customer, offer and channel, the state, contacts of three months."""

    who: Array
    offer: Array
    channel: Array
    state: Array
    recent: Array


@dataclass(frozen=True, slots=True)
class Truth:
    """The response function over the latents of all customers."""

    latents: Latents
    offers: Offers

    def probabilities(self, at: Moment) -> tuple[Array, Array]:
        """p0 (no contact) and p1 (contact), each of shape (k,)."""
        base = self.logit_without(at.who, at.offer, at.state)
        return expit(base), expit(base + self._added(at))

    def logit_without(self, who: Array, offer: Array | int, state: Array) -> Array:
        """logit p0, shape (k,)."""
        need = self.latents.need[who, self.offers.need[offer]]
        return np.asarray(self.offers.intercept[offer] + NEED_SLOPE * need + _MOOD[state])

    def _added(self, at: Moment) -> Array:
        mine, offers = self.latents, self.offers
        is_digital = _DIGITAL_CHANNEL[at.channel]
        tastes = (
            np.where(is_digital, 0.35, -0.1) * mine.digital[at.who]
            + offers.cash_slope[at.offer] * mine.cash[at.who]
            + offers.price_slope[at.offer] * mine.price[at.who]
        )
        irritated = np.maximum(mine.irritation[at.who] - 0.9, 0) * np.where(is_digital, 0.9, 1.3)
        return np.asarray(offers.lift[at.offer] + tastes - irritated - FATIGUE * np.minimum(at.recent, 6))

    def save(self, folder: Path, offer_ids: list[str]) -> None:
        """latents.parquet and offers.parquet; `read` gives the same truth back."""
        columns = {f.name: pa.array(getattr(self.latents, f.name)) for f in fields(Latents) if f.name != "need"}
        columns |= {f"need_{need.name.lower()}": pa.array(self.latents.need[:, need]) for need in Need}
        n = len(self.latents.wealth)
        write_parquet(folder / "latents.parquet", pa.table({"customer_id": ids("C", np.arange(n)), **columns}))
        rows = {f.name: pa.array(getattr(self.offers, f.name)) for f in fields(Offers)}
        write_parquet(folder / "offers.parquet", pa.table({"offer_id": pa.array(offer_ids), **rows}))

    @classmethod
    def read(cls, folder: Path) -> tuple[Truth, list[str], list[str]]:
        """The truth of a finished simulation, with customer ids and offer ids in the order of its numbers."""
        people = pq.read_table(folder / "latents.parquet")
        offers = pq.read_table(folder / "offers.parquet")
        need = np.stack([people[f"need_{which.name.lower()}"].to_numpy() for which in Need], axis=1)
        mine = {f.name: people[f.name].to_numpy() for f in fields(Latents) if f.name != "need"}
        theirs = {f.name: offers[f.name].to_numpy() for f in fields(Offers)}
        truth = cls(Latents(**mine, need=need), Offers(**theirs))
        return truth, people["customer_id"].to_pylist(), offers["offer_id"].to_pylist()


def calibrated(latents: Latents, shelf: Shelf, state: Array, *, targets: dict[int, float], jitter: Array) -> Truth:
    """The truth whose mean p1 in the app is, offer by offer, its need's target × jitter, or what `targets` says.

    The mean is taken over those awake at the start; jitter has shape (m,).
    """
    wanted = np.array([_TARGETS[Need(need)][0] for need in shelf.need]) * jitter
    for offer, target in targets.items():
        wanted[offer] = target
    is_priced = np.isin(shelf.need, (Need.DEPOSIT, Need.CREDIT))
    offers = Offers(
        intercept=np.zeros(len(wanted)),
        lift=np.array([_TARGETS[Need(need)][1] for need in shelf.need])
        + _HOOK_LIFT * np.isin(np.arange(len(wanted)), list(targets)),
        need=shelf.need,
        cash_slope=np.where(shelf.has_reward, 0.5, 0.15),
        price_slope=np.where(is_priced, 0.35, 0.0),
    )
    awake = np.flatnonzero(state <= State.FADING)[:20_000]
    draft = Truth(latents, offers)
    for offer in range(len(wanted)):
        at = Moment(awake, np.full(len(awake), offer), np.zeros(len(awake), np.int8), state[awake],
                    np.ones(len(awake), np.int8))  # fmt: skip
        logit = draft.logit_without(at.who, at.offer, at.state) + draft._added(at)
        offers.intercept[offer] = _solved(logit, wanted[offer])
    return draft


def _solved(logit: Array, target: float) -> float:
    """The shift a with mean expit(a + logit) = target, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(logit + middle).mean() < target else (low, middle)
    return (low + high) / 2


def leaving_hazard(loyalty: Array, state: Array, *, incident: Array, money_left: Array, moved: Array, cared: Array,
                   eased: Array) -> Array:  # fmt: skip
    """Probability of beginning to leave this month.

    Four flags tell of the months before; `eased` is what the remedy of the incident takes off the logit.
    """
    logit = (
        -5.1 - 0.45 * loyalty + 1.5 * (state == State.FADING)
        + (1.5 - eased) * incident + 1.1 * money_left + 1.0 * moved - 0.9 * cared
    )  # fmt: skip
    return np.asarray(np.where(state <= State.FADING, expit(logit), 0))
