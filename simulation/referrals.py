"""Invitations of customers by customers: bank table `referral`, with chains, and with self- and ring-referrals.

Who came by referral has one invitation that bore fruit; those that nobody took stand beside them. A self-referral was
opened on the referrer's own device; a ring is three who invited each other in a circle from two devices.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.bank.tables import EVENT_CHANNELS
from simulation.bank_files import HOUR_US, NEVER, at_times, codes, dates, hours, ids, instants, known_after, some_ids
from simulation.behaviour import CHANNEL, Life, Month, lives
from simulation.chance import Array, days_within, pick
from simulation.population import SOURCES, Population
from simulation.portfolio import Log

KINDS = ("GENUINE", "SELF", "RING")
GENUINE, SELF, RING = range(3)
SELF_SHARE = 0.07
RING_SHARE = 0.09
_IDLE_RATE = 0.006  # invitations of one awake in a month that nobody takes
_OPENED_SHARE = 0.35  # of those
_CHAIN_SHARE = 0.35  # of referrers who were referred themselves
_WAYS = ("WECHAT", "APP", "SOCIAL")
_PRIME = 999_999_999_989


class Referrals:
    """Every invitation, and who was referred so far."""

    def __init__(self) -> None:
        self.rows = Log(referrer=np.int64, referee=np.int64, kind=np.int8, on=np.int32, from_device=np.int64,
                        on_device=np.int64, is_opened=np.bool_)  # fmt: skip

    def month(self, people: Population, life: Life, month: Month, rng: np.random.Generator) -> None:
        """The invitations of a month, those first that somebody registered with."""
        came = (people.source == SOURCES.index("REFERRAL")) & (people.registered_on >= month.first_on)
        referee = rng.permutation(np.flatnonzero(came & (people.registered_on <= month.last_on)))
        awake = lives(life)
        awake = awake[people.first_product_on[awake] < month.first_on]
        if len(awake) == 0:
            return
        kind = np.where(rng.random(len(referee)) < SELF_SHARE, SELF, GENUINE)
        in_rings = 3 * min(int(rng.poisson(RING_SHARE * len(referee) / 3)), len(referee) // 3)
        kind[:in_rings] = RING
        ring = referee[:in_rings].reshape(-1, 3)
        referee[:in_rings] = np.take_along_axis(ring, np.argsort(people.registered_on[ring], axis=1), axis=1).ravel()
        referrer = self._referrers(len(referee), awake, rng)
        nth, head = np.arange(in_rings) % 3, np.arange(in_rings) // 3 * 3
        referrer[:in_rings] = referee[head + (nth + 2) % 3]
        mine, theirs = device(referrer), device(referee)
        theirs[kind == SELF] = mine[kind == SELF]
        theirs[:in_rings] = device(referee[head + nth % 2])  # the first of a ring lends its device to the third
        mine[:in_rings] = device(referee[head + (nth + 2) % 3 % 2])
        registered = people.registered_on
        on = np.where(kind == RING, np.maximum(registered[referee] - 1, registered[referrer]), registered[referee] - 1)
        self._add(referrer, referee, kind, on, mine, theirs, opened=np.ones(len(referee), dtype=bool))
        self._idle(awake, month, rng)

    def _idle(self, awake: Array, month: Month, rng: np.random.Generator) -> None:
        """Invitations that nobody registered with, some of them opened on a stranger's device."""
        idle = awake[rng.random(len(awake)) < _IDLE_RATE]
        opened = rng.random(len(idle)) < _OPENED_SHARE
        other = rng.integers(0, 10**9, len(idle))
        none = np.full(len(idle), -1)
        on = days_within(rng, month.first_on, month.last_on, len(idle))
        strange = device(other + 10**9)
        self._add(idle, none, none, on, device(idle), np.where(opened, strange, -1), opened=opened)

    def _referrers(self, n: int, awake: Array, rng: np.random.Generator) -> Array:
        """n customers who invite: some were invited themselves, so that chains grow."""
        known = self.rows["referee"]
        known = known[(known >= 0) & np.isin(known, awake)]
        drawn = awake[rng.integers(0, len(awake), n)]
        if len(known) == 0:
            return drawn
        chained = rng.random(n) < _CHAIN_SHARE
        return np.where(chained, known[rng.integers(0, len(known), n)], drawn)

    def _add(self, referrer: Array, referee: Array, kind: Array, on: Array, mine: Array, theirs: Array, *, opened: Array
             ) -> None:  # fmt: skip
        self.rows.add(referrer=referrer, referee=referee, kind=kind, on=on, from_device=mine, on_device=theirs,
                      is_opened=opened)  # fmt: skip

    def columns(self, rng: np.random.Generator) -> dict[str, pa.Array]:
        """The bank table `referral`; who registered did so a day after the invitation."""
        rows = self.rows
        n = len(rows)
        at = at_times(rows["on"], hours(rng, n, 9, 21.5))
        opened = at + rng.integers(1, 120, n) * (HOUR_US // 60)
        return {
            **self._names(),
            "channel": codes(
                EVENT_CHANNELS, np.array([CHANNEL[way] for way in _WAYS], np.int8)[pick(rng, (6, 3, 1), n)]
            ),
            "referrer_device_hash": ids("D", rows["from_device"], 12),
            "referee_device_hash": some_ids("D", rows["on_device"], 12),
            "shared_at": instants(at),
            "opened_at": instants(np.where(rows["is_opened"], opened, NEVER)),
            "business_on": dates(rows["on"]),
            "known_at": instants(known_after(rng, at)),
        }

    def _names(self) -> dict[str, pa.Array]:
        rows = self.rows
        return {
            "referral_id": ids("I", np.arange(len(rows))),
            "referrer_id": ids("C", rows["referrer"]),
            "referee_id": some_ids("C", rows["referee"]),
        }

    def truth(self) -> pa.Table:
        """Which invitations that somebody took are genuine, for judges."""
        table = pa.table({**self._names(), "kind": codes(KINDS, self.rows["kind"])})
        return table.filter(pa.array(self.rows["kind"] >= 0))


def device(who: Array) -> Array:
    """The device of each customer: a number of twelve digits, different for each."""
    return np.asarray((np.asarray(who, np.int64) * 48_271 + 11) % _PRIME)
