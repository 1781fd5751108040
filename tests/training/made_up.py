"""Rows whose truth is known: who converts follows a formula, or nothing at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from features.vocabulary import Column, Kind
from training.boosting import Parameters
from training.examples import Examples
from training.gates import Evidence
from training.judging.drift import psi
from training.judging.judgement import CONSTANT, OURS, PLAIN, Judgement, judge
from training.judging.leakage import Rule, Suspicion
from training.judging.slices import slices_of
from training.policy import Inventory, models

FACTS = (
    Column("age", Kind.INTEGER, "age", "not known"),
    Column("tier", Kind.CODE, "tier", "not known"),
    Column("is_staff", Kind.FLAG, "staff", "not known"),
    Column("n_opened_90d", Kind.INTEGER, "contacts opened"),
)
PROFILE = FACTS[:3]
OFFERS = (
    Column("offer_id", Kind.CODE, "the offer"),
    Column("offer_reward_amount", Kind.AMOUNT, "reward"),
    Column("channel", Kind.CODE, "channel"),
)
START = datetime(2025, 1, 1, tzinfo=UTC)
QUICK = Parameters(n_rounds=40, n_leaves=7, min_leaf_rows=20, seed=7)


def chances(frame: pd.DataFrame) -> np.ndarray:
    """The true probability of each row: behaviour says most of it, the reward some, the profile little."""
    reward = frame["offer_reward_amount"].to_numpy(dtype=float)
    logit = -2.2 + 0.7 * frame["n_opened_90d"] + 0.08 * reward + 0.4 * (frame["tier"] == "V3")
    return np.asarray(1 / (1 + np.exp(-logit)))


def examples_of(
    *, n: int = 3000, seed: int = 1, is_noise: bool = False, n_days: int = 100, window: int = 10
) -> Examples:
    """`n` contacts over `n_days` days, four a customer; with `is_noise` the outcome has nothing to do with the row."""
    chance = np.random.default_rng(seed)
    tiers = np.array(["V1", "V2", "V3", None], dtype=object)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{place % (n // 4)}" for place in range(n)],
            "age": np.where(chance.random(n) < 0.1, np.nan, chance.integers(18, 90, n)),
            "tier": tiers[chance.integers(0, 4, n)],
            "is_staff": chance.integers(0, 2, n).astype(float),
            "n_opened_90d": chance.poisson(1.0, n).astype(float),
            "offer_id": np.array(["A", "B", "C"], dtype=object)[chance.integers(0, 3, n)],
            "channel": np.array(["APP", "SMS"], dtype=object)[chance.integers(0, 2, n)],
        }
    )
    frame["offer_reward_amount"] = frame["offer_id"].map({"A": 0.0, "B": 5.0, "C": 10.0})
    days = np.sort(chance.integers(0, n_days, n))
    frame["sent_at"] = pd.Timestamp(START) + pd.to_timedelta(days, "D")
    frame["closes_at"] = frame["sent_at"] + pd.Timedelta(days=window)
    p = np.full(n, 0.3) if is_noise else chances(frame)
    frame["outcome"] = (chance.random(n) < p).astype(float)
    return Examples(frame, {"IMMATURE": 3})


NAMED = Inventory(
    owner="Head of retail", author="Data science", approver="Model risk", pipia_id="PIA-2025-7", review_months=12
)


def judged_as(examples: Examples, ours: np.ndarray, plain: np.ndarray | None = None) -> Judgement:
    """The judgement of made-up scores on all rows; the plain one knows nothing unless it is given."""
    rate = np.full(len(ours), examples.outcomes.mean())
    scores = {OURS: ours, PLAIN: rate if plain is None else plain, CONSTANT: rate}
    return judge(examples.outcomes, scores, examples.frame["customer_id"].to_numpy(), seed=3, n_resamples=100)


@lru_cache(maxsize=1)
def _evidence() -> Evidence:
    examples = examples_of(n=4000)
    truth = chances(examples.frame)
    return Evidence(
        judged_as(examples, truth), None, 0.05, (),
        slices_of(examples.frame.assign(customer_class="MASS"), examples.outcomes, truth, seed=1),
        {"age": psi(truth, truth)}, NAMED, models().view(date(2025, 1, 1)).gates,
    )  # fmt: skip


def suspicion(says: str, says_zh: str = "排出了结果") -> Suspicion:
    return Suspicion("duration", Rule.ANSWER, 0.99, 0.98, says, says_zh)


def evidence_of(**changed: Any) -> Evidence:
    """Evidence of a model that knows the truth and holds every gate, with what a test changes."""
    return replace(_evidence(), **changed)
