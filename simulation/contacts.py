"""Contacts as they go out and what customers answer: bank tables `contact` and `response`, and their truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.bank.tables import EVENT_CHANNELS
from features.vocabulary import Kind, Outcome, Purpose
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
    nothing,
    some_ids,
)
from simulation.behaviour import CHANNEL
from simulation.chance import Array
from simulation.population import Latents

OUTCOMES = tuple(Outcome)
PURPOSES = tuple(Purpose)
_NUMBER = {outcome: i for i, outcome in enumerate(OUTCOMES)}
_COSTS_MINOR = {"APP": 2, "SMS": 6, "WECHAT": 3, "CALL": 450, "RM": 3_000}
_OPENS = {"APP": 0.42, "SMS": 0.22, "WECHAT": 0.4, "CALL": 0.6, "RM": 0.85}
_COST = np.array([_COSTS_MINOR.get(c, 0) for c in EVENT_CHANNELS], np.int64)
_OPEN = np.array([_OPENS.get(c, 0.3) for c in EVENT_CHANNELS])
_FAILS = {"APP": 0.02, "SMS": 0.06, "WECHAT": 0.03, "CALL": 0.04, "RM": 0.01}
_FAIL = np.array([_FAILS.get(c, 0.03) for c in EVENT_CHANNELS])
_SILENT_SHARE = 0.02  # of those that neither failed nor were opened: no receipt came back
_MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Plans:
    """Attention of a month, arrays of shape (k,): customer, offer, day, channel; whether the customer is told.

    `propensity` is NaN where chance did not choose the offer; `campaign` indexes the campaigns' names.
    """

    who: Array
    offer: Array
    on: Array
    channel: Array
    campaign: Array
    purpose: Array
    propensity: Array
    is_told: Array


@dataclass(frozen=True, slots=True)
class Played:
    """Plans with their truth and outcome, arrays of shape (k,); `number` is the contact's, -1 where nobody was told."""

    plans: Plans
    number: Array
    state: Array
    p0: Array
    p1: Array
    converts_on: Array
    is_induced: Array


@dataclass(frozen=True, slots=True)
class Answers:
    """Rows of bank table `response`, arrays of shape (k,); `minor` NEVER where there is no amount."""

    who: Array
    contact: Array
    offer: Array
    outcome: Array
    at: Array
    on: Array
    minor: Array


def joined_rows(parts: list[Answers]) -> Answers:
    """One set of answers."""
    return Answers(*(np.concatenate([getattr(part, name) for part in parts]) for name in Answers.__slots__))


def contact_columns(played: Played, offer_ids: list[str], campaigns: tuple[str, ...], rng: np.random.Generator
                    ) -> tuple[dict[str, pa.Array], Array, Array]:  # fmt: skip
    """The bank table `contact` of a month, and when each told plan was sent, and opened or NEVER."""
    rows = np.flatnonzero(played.number >= 0)
    plans = played.plans
    on, channel, n = plans.on[rows], plans.channel[rows], len(rows)
    sent = at_times(on, hours(rng, n, 9, 18))
    induced = played.is_induced[rows]
    failed = (rng.random(n) < _FAIL[channel]) & ~induced
    opened = ((rng.random(n) < _OPEN[channel]) | induced) & ~failed
    delivered_at = np.where(failed, NEVER, sent + rng.integers(1, 5, n) * _MINUTE_US)
    opened_at = np.where(opened, delivered_at + rng.integers(1, 170, n) * _MINUTE_US, NEVER)
    delivered_at[~opened & (rng.random(n) < _SILENT_SHARE)] = NEVER
    propensity = plans.propensity[rows]
    columns = {
        "contact_id": ids("K", played.number[rows], 12),
        "customer_id": ids("C", plans.who[rows]),
        "placement_id": nothing(Kind.CODE, n),
        "campaign_id": codes(campaigns, plans.campaign[rows]),
        "offer_id": codes(offer_ids, plans.offer[rows]),
        "channel": codes(EVENT_CHANNELS, channel),
        "purpose": codes(PURPOSES, plans.purpose[rows]),
        "sent_at": instants(sent),
        "business_on": dates(on),
        "delivered_at": instants(delivered_at),
        "opened_at": instants(opened_at),
        "failed_at": instants(np.where(failed, sent + _MINUTE_US, NEVER)),
        "propensity": pa.array(propensity, mask=np.isnan(propensity)),
        "decision_mark": nothing(Kind.CODE, n),
        "cost_amount": amounts(_COST[channel]),
        "known_at": instants(known_after(rng, sent)),
    }
    return columns, sent, opened_at


def answers(played: Played, sent: Array, opened_at: Array, latents: Latents, rng: np.random.Generator) -> Answers:
    """What the told say within hours: clicks, refusals, doubts, silence; conversions come later."""
    rows = np.flatnonzero(played.number >= 0)
    plans = played.plans
    who, channel, on = plans.who[rows], plans.channel[rows], plans.on[rows]
    converts = played.converts_on[rows] != NEVER
    is_human = np.isin(channel, (CHANNEL["CALL"], CHANNEL["RM"]))
    irritated = np.exp(0.6 * latents.irritation[who])
    opened = opened_at != NEVER
    clicks = opened & ~is_human & (converts | (rng.random(len(rows)) < 0.1))
    u = rng.random(len(rows)) / irritated
    said = np.select(
        [converts, u < 0.001, u < 0.003, u < np.where(is_human, 0.08, 0.018)],
        [-1, _NUMBER[Outcome.COMPLAINED], _NUMBER[Outcome.DNC_REQUESTED], _NUMBER[Outcome.REFUSED]], -1,
    )  # fmt: skip
    v = rng.random(len(rows))
    quiet = is_human & ~converts & (said < 0)
    said = np.where(quiet & ~opened, _NUMBER[Outcome.NO_ANSWER], said)
    said = np.where(quiet & opened & (v < 0.25), _NUMBER[Outcome.CONSIDERING], said)
    spoken = np.flatnonzero((said >= 0) & (opened | is_human))
    clicked = np.flatnonzero(clicks)
    kept = np.concatenate([clicked, spoken])
    evening, wait = at_times(on, hours(rng, len(rows), 18.5, 21.9)), rng.integers(5, 600, len(rows)) * 1_000_000
    at = np.where(opened, opened_at + wait, np.where(is_human, sent + wait, evening))  # who calls notes it at once
    outcome = np.concatenate([np.full(len(clicked), _NUMBER[Outcome.CLICKED]), said[spoken]])
    return Answers(who[kept], played.number[rows][kept], plans.offer[rows][kept], outcome.astype(np.int8), at[kept],
                   on[kept], np.full(len(kept), NEVER, np.int64))  # fmt: skip


def conversions(who: Array, contact: Array, offer: Array, on: Array, minor: Array, rng: np.random.Generator) -> Answers:
    """The answers `converted` of contacts that bore fruit."""
    outcome = np.full(len(who), _NUMBER[Outcome.CONVERTED], np.int8)
    return Answers(who, contact, offer, outcome, at_times(on, hours(rng, len(who), 8, 22)), on,
                   np.where(minor > 0, minor, NEVER))  # fmt: skip


def answer_columns(rows: Answers, offer_ids: list[str], label: int, rng: np.random.Generator) -> dict[str, pa.Array]:
    """The bank table `response` of a month; `label` begins the month's numbers."""
    n = len(rows.who)
    return {
        "event_id": ids("R", label * 10**8 + np.arange(n), 12),
        "customer_id": ids("C", rows.who),
        "contact_id": some_ids("K", rows.contact, 12),
        "placement_id": nothing(Kind.CODE, n),
        "offer_id": codes(offer_ids, rows.offer),
        "outcome": codes(OUTCOMES, rows.outcome),
        "occurred_at": instants(rows.at),
        "business_on": dates(rows.on),
        "amount": amounts(rows.minor),
        "known_at": instants(known_after(rng, rows.at)),
    }


def said(rows: Answers, outcome: Outcome) -> Array:
    """Which rows have the outcome."""
    return np.flatnonzero(rows.outcome == _NUMBER[outcome])


def truth_columns(played: Played, offer_ids: list[str], months: int) -> pa.Table:
    """What judges may read of a month's plans: p0, p1, who was told, who was to convert and when."""
    plans = played.plans
    return pa.table({
        "contact_id": some_ids("K", played.number, 12),
        "customer_id": ids("C", plans.who),
        "offer_id": codes(offer_ids, plans.offer),
        "channel": codes(EVENT_CHANNELS, plans.channel),
        "month": pa.array(np.full(len(plans.who), months, np.int16)),
        "on": dates(plans.on),
        "state": pa.array(played.state),
        "is_told": pa.array(plans.is_told),
        "p0": pa.array(played.p0), "p1": pa.array(played.p1),
        "converts_on": dates(played.converts_on),
    })  # fmt: skip
