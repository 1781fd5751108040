"""Ways of customers through the bank, step by step: bank table `journey_event`, with one step that is much worse.

Every account opened and every loan drawn has its journey; of everyday transactions one in fifty is traced. Beside those
that arrive stand those that do not, as many as the steps' planted shares of failure demand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.bank.tables import EVENT_CHANNELS
from simulation.bank_files import NEVER, at_times, codes, dates, hours, ids, instants, known_after
from simulation.behaviour import CHANNEL, KIND, Life, Month, Txns, lives
from simulation.chance import Array
from simulation.population import Population
from simulation.portfolio import Portfolio
from simulation.truth import State

_OUTCOMES = ("DONE", "FAILED", "ABANDONED")
_TRACED_SHARE = 0.02
_ABANDONED_SHARE = 0.75  # of the steps that do not arrive; the others fail
_SPREAD = 0.5
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a journey: median seconds, and the share of those who begin it and do not get through."""

    name: str
    seconds: int
    lost_share: float


JOURNEYS: dict[str, tuple[Step, ...]] = {
    "ACCOUNT_OPENING": (Step("START", 20, 0.03), Step("PERSONAL_INFO", 170, 0.05), Step("IDENTITY_CHECK", 60, 0.05),
                        Step("CONFIRM", 15, 0.01)),
    "LOAN_DISBURSAL": (Step("APPLY", 120, 0.04), Step("DOCUMENTS", 2_700, 0.32), Step("CREDIT_CHECK", 240, 0.05),
                       Step("SIGN", 90, 0.03), Step("PAYOUT", 60, 0.01)),
    "TRANSFER": (Step("PAYEE", 30, 0.03), Step("AMOUNT", 12, 0.01), Step("CONFIRM", 15, 0.02)),
    "DEPOSIT": (Step("QUEUE", 300, 0.04), Step("COUNT", 120, 0.01)),
    "WITHDRAWAL": (Step("CARD", 10, 0.02), Step("AMOUNT", 20, 0.02), Step("CASH", 15, 0.01)),
}  # fmt: skip
BOTTLENECK = ("LOAN_DISBURSAL", "DOCUMENTS")


@dataclass(frozen=True, slots=True)
class Ways:
    """Ways through one journey, arrays of shape (k,): customer, day, channel, the step lost at or -1."""

    who: Array
    on: Array
    channel: Array
    lost_at: Array


def journey_columns(people: Population, life: Life, portfolio: Portfolio, txns: Txns, month: Month,
                    rng: np.random.Generator) -> dict[str, pa.Array]:  # fmt: skip
    """The bank table `journey_event` of a month."""
    parts, first = [], 0
    for journey, (who, on, channel, pool) in _arrived(people, life, portfolio, txns, month, rng).items():
        ways = _with_the_lost(JOURNEYS[journey], Ways(who, on, channel, np.full(len(who), -1)), pool, rng)
        parts.append(_steps(journey, ways, month.code * 10**8 + first, rng))
        first += len(ways.who)
    return {name: pa.concat_arrays([part[name] for part in parts]) for name in parts[0]}


def _arrived(people: Population, life: Life, portfolio: Portfolio, txns: Txns, month: Month, rng: np.random.Generator
             ) -> dict[str, tuple[Array, Array, Array, Array]]:  # fmt: skip
    """By journey: customer, day and channel of those who arrived, and the customers of whom others tried."""
    begun = np.flatnonzero((people.first_product_on >= month.first_on) & (people.first_product_on <= month.last_on))
    outside = np.flatnonzero((life.state == State.OUTSIDE) & (people.registered_on <= month.first_on))
    lent = portfolio.loans
    drawn = np.flatnonzero((lent["opened"] >= month.first_on) & (lent["opened"] <= month.last_on))
    app, branch = CHANNEL["APP"], CHANNEL["BRANCH"]
    way = np.where(people.latents.digital < -0.5, branch, app)
    found = {
        "ACCOUNT_OPENING": (begun, people.first_product_on[begun], way[begun], outside),
        "LOAN_DISBURSAL": (lent["who"][drawn], lent["opened"][drawn], way[lent["who"][drawn]], lives(life)),
    }  # fmt: skip
    traced = rng.random(len(txns.who), dtype=np.float32) < _TRACED_SHARE
    for journey, kind, channels in (("TRANSFER", "OUT", (app,)), ("DEPOSIT", "IN", (branch,)),
                                    ("WITHDRAWAL", "OUT", (CHANNEL["ATM"],))):  # fmt: skip
        rows = np.flatnonzero(traced & txns.by_customer & (txns.kind == KIND[kind]) & np.isin(txns.channel, channels))
        who = txns.who[rows]
        found[journey] = (who, month.first_on + txns.day[rows].astype(np.int32) - 1, txns.channel[rows], who)
    return found


def _with_the_lost(steps: tuple[Step, ...], arrived: Ways, pool: Array, rng: np.random.Generator) -> Ways:
    """Those who arrived and, on the same days, those of `pool` who did not: k arrivals among attempts that succeed
    with Π(1 − lost_share) leave a negative binomial number of others."""
    k = len(arrived.who)
    if k == 0 or len(pool) == 0:
        return arrived
    lost = np.array([step.lost_share for step in steps])
    reached = np.concatenate([[1.0], np.cumprod(1 - lost)])
    n = int(rng.negative_binomial(k, reached[-1]))
    beside = rng.integers(0, k, n)
    weights = np.cumsum(lost * reached[:-1])
    at = np.searchsorted(weights[:-1] / weights[-1], rng.random(n), side="right")
    who = pool[rng.integers(0, len(pool), n)]
    return Ways(np.r_[arrived.who, who], np.r_[arrived.on, arrived.on[beside]],
                np.r_[arrived.channel, arrived.channel[beside]], np.r_[arrived.lost_at, at])  # fmt: skip


def _steps(journey: str, ways: Ways, first: int, rng: np.random.Generator) -> dict[str, pa.Array]:
    """One row a step begun."""
    steps = JOURNEYS[journey]
    n_steps = np.where(ways.lost_at >= 0, ways.lost_at + 1, len(steps))
    way = np.repeat(np.arange(len(ways.who)), n_steps)
    nth = np.arange(len(way)) - np.repeat(np.cumsum(n_steps) - n_steps, n_steps)
    median = np.array([step.seconds for step in steps])[nth]
    lasted = (median * np.exp(_SPREAD * np.clip(rng.standard_normal(len(way)), -2.5, 2.5)) * _SECOND_US).astype(
        np.int64
    )
    before = np.cumsum(lasted) - lasted
    began = at_times(ways.on, hours(rng, len(ways.who), 8, 19))[way]
    started = began + before - before[np.cumsum(n_steps) - n_steps][way] if len(way) else began
    is_lost = nth == ways.lost_at[way]
    outcome = np.where(is_lost, np.where(rng.random(len(way)) < _ABANDONED_SHARE, 2, 1), 0).astype(np.int8)
    return {
        "journey_id": ids("J", first + way, 12), "customer_id": ids("C", ways.who[way]),
        "journey": pa.array([journey] * len(way), pa.string()), "step_no": pa.array((nth + 1).astype(np.int64)),
        "step": codes([step.name for step in steps], nth.astype(np.int8)).cast(pa.string()),
        "channel": codes(EVENT_CHANNELS, ways.channel[way].astype(np.int8)).cast(pa.string()),
        "started_at": instants(started), "ended_at": instants(np.where(outcome == 2, NEVER, started + lasted)),
        "outcome": codes(_OUTCOMES, outcome).cast(pa.string()), "business_on": dates(ways.on[way]),
        "known_at": instants(known_after(rng, started + lasted)),
    }  # fmt: skip
