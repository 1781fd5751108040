"""Branches, relationship managers and how they use their application: bank tables `branch`, `rm` and `rm_usage`.

    ln(acts a day) = 1.5 + .7 · device − .45 · leader's paper + .15 · digital + .1 · volume + .35 · digital × volume
                     + own

digital and volume are −1, 0, 1 for LOW, MID, HIGH: a digital branch with much business uses most, and a digital branch
with little business less than a paper branch with little. A device is the largest single cause.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from features.bank.tables import TABLES
from simulation.bank_files import at_times, codes, dates, hours, ids, instants, known_next_morning
from simulation.behaviour import Month
from simulation.chance import Chance
from simulation.population import MANAGERS_A_BRANCH, REGIONS, branches_of

LEVELS = TABLES["branch"].column("digital_level").allowed
DEVICE_EFFECT, PAPER_EFFECT = 0.7, -0.45
DIGITAL_EFFECT, VOLUME_EFFECT, INTERACTION_EFFECT = 0.15, 0.1, 0.35
_ACTS_LOG = 1.5
_OWN_SPREAD = 0.2
_PEAK_EFFECT = 0.3  # in the last five days of a month
_PEAK_DAYS = 5
_RELEASE_DAYS = 91
_FEATURES = 12
_MANAGERS_A_LEADER = 8


class Frontline:
    """Branches (b,) with levels −1, 0, 1; managers (r,) with what moves them."""

    def __init__(self, n_customers: int, first_on: int, chance: Chance) -> None:
        rng = chance.of("frontline")
        n_branches = branches_of(n_customers)
        n = n_branches * MANAGERS_A_BRANCH
        self.first_on = first_on
        level = rng.permutation(n_branches) % len(LEVELS) ** 2  # every pair of levels as often as the others
        self.digital, self.volume = level % len(LEVELS) - 1, level // len(LEVELS) - 1
        self.branch = np.arange(n) // MANAGERS_A_BRANCH
        self.leader = np.arange(n) // _MANAGERS_A_LEADER
        self.prefers_paper = (rng.random(self.leader[-1] + 1) < 0.4)[self.leader]
        self.has_device = rng.random(n) < 0.5
        self.hired_on = first_on - rng.integers(30, 7_000, n)
        self.own = rng.normal(0, _OWN_SPREAD, n)
        self.patience_days = rng.exponential(np.where(self.has_device, 12, 45))  # before a new version is installed

    def usage(self, month: Month, rng: np.random.Generator) -> dict[str, pa.Array]:
        """The bank table `rm_usage` of a month: Mondays to Fridays."""
        days = np.array([on for on in range(month.first_on, month.last_on + 1) if _weekday(on) < 5], np.int32)
        who, on = np.tile(np.arange(len(self.own)), len(days)), np.repeat(days, len(self.own))
        digital, volume = self.digital[self.branch], self.volume[self.branch]
        log = (
            _ACTS_LOG + DEVICE_EFFECT * self.has_device + PAPER_EFFECT * self.prefers_paper + DIGITAL_EFFECT * digital
            + VOLUME_EFFECT * volume + INTERACTION_EFFECT * digital * volume + self.own
        )  # fmt: skip
        peak = _PEAK_EFFECT * (on > month.last_on - _PEAK_DAYS)
        acts = rng.poisson(np.exp(log[who] + peak))
        business = rng.poisson(np.exp(0.5 + 0.4 * volume)[who])
        share = 1 / (1 + np.exp(-(0.2 + 1.1 * self.has_device - 0.9 * self.prefers_paper + 0.5 * digital)))
        digital_ones = rng.binomial(business, share[who])
        release = (on - self.first_on - self.patience_days[who]) // _RELEASE_DAYS
        return {
            "rm_id": ids("M", who, 8),
            "business_on": dates(on),
            "app_version": codes([f"7.{i}" for i in range(100)], np.clip(release + 1, 0, 99).astype(np.int8)),
            "n_opens": pa.array(np.minimum(acts, 1 + acts // 4).astype(np.int64)),
            "n_acts": pa.array(acts.astype(np.int64)),
            "n_features": pa.array(rng.binomial(np.minimum(acts, _FEATURES), 0.6).astype(np.int64)),
            "n_digital_submits": pa.array(digital_ones.astype(np.int64)),
            "n_paper_submits": pa.array((business - digital_ones).astype(np.int64)),
            "known_at": instants(known_next_morning(rng, on)),
        }

    def columns(self, rng: np.random.Generator) -> dict[str, dict[str, pa.Array]]:
        """The bank tables branch and rm."""
        n, branches = len(self.own), np.arange(len(self.digital))
        opened = np.full(len(branches), self.first_on - 8_000)
        return {
            "branch": {
                "branch_id": ids("B", branches, 4),
                "region": codes(REGIONS, (branches % len(REGIONS)).astype(np.int8)),
                "digital_level": codes(LEVELS, (self.digital + 1).astype(np.int8)),
                "volume_level": codes(LEVELS, (self.volume + 1).astype(np.int8)),
                "known_at": instants(at_times(opened, hours(rng, len(branches), 8, 9))),
            },
            "rm": {
                "rm_id": ids("M", np.arange(n), 8), "branch_id": ids("B", self.branch, 4),
                "leader_id": ids("G", self.leader, 4), "hired_on": dates(self.hired_on),
                "has_device": pa.array(self.has_device), "leader_prefers_paper": pa.array(self.prefers_paper),
                "known_at": instants(known_next_morning(rng, self.hired_on)),
            },
        }  # fmt: skip

    def truth(self) -> pa.Table:
        """What each manager brings of his own to the logarithm of his acts, for judges."""
        return pa.table({"rm_id": ids("M", np.arange(len(self.own)), 8), "own": pa.array(self.own)})


def _weekday(on: int) -> int:
    return (date(1970, 1, 1) + timedelta(days=on)).weekday()
