"""The product's models beside the truth of a simulated bank: what it planted is the most that could have been told.

Three models of each bank, from its tables on: response and churn as a training makes them, uplift on cash campaigns
drawn by lot. Every seed simulates a bank of its own. Files of `truth/` are read here and nowhere in a training.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from benchmarks.quality.contests import Contest, Figure
from benchmarks.quality.learners import Vector
from benchmarks.table import note
from features import profiles
from features.bank.engines import open_bank
from features.policy import segments
from serving import jobs
from simulation import HookTest, simulate
from simulation.truth import State
from training.arms import arm_examples
from training.boosting import Parameters
from training.examples import Split, instants, split_by_time
from training.gathering import fitted, gather
from training.ground import FACTS, Ground, ground_of
from training.judging.metrics import Judged, paired_difference
from training.judging.resampling import Interval
from training.judging.uplift_curves import Ranking
from training.judging.uplift_curves import paired_difference as paired_ranking
from training.models import uplift
from training.models.shares import DEFAULT_SHARE

CUSTOMERS, MONTHS = 6_000, 15
LAST_ON, AFTER = date(2025, 12, 31), datetime(2026, 1, 20, tzinfo=UTC)  # rows come up to nine days late
_OFFERS = {"FIRST_PRODUCT": ("H01-P04", "H01-P05", "H01-P24", "H01-P25", "H01-P27", "H01-P30"),
           "DECLINE": ("H01-P05", "H01-P24")}  # fmt: skip
_HOOKS = tuple(
    HookTest(f"{trigger[:3]}{place}", offer, trigger, mean_p1=0.3)
    for trigger, offers in _OFFERS.items() for place, offer in enumerate(offers)
)  # fmt: skip
_FEW = Parameters(n_rounds=60, n_leaves=7, min_leaf_rows=50)


def simulated_bank(_: Path, n_seeds: int) -> Contest:
    """Response, churn and uplift on rows after those that taught them, each beside what was planted."""
    banks = []
    for seed in range(n_seeds):
        note(f"simulated_bank: bank {seed}")
        with tempfile.TemporaryDirectory(prefix="tiercel-known-") as folder:
            banks.append(Told.of(Path(folder) / "home", seed))
    response, churn, effects = ([getattr(bank, name) for bank in banks] for name in ("response", "churn", "effects"))
    says = (f"{n_seeds} banks of {CUSTOMERS:,} customers and {MONTHS} months; later rows judge; peer: the planted "
            f"probability itself, where it says so")  # fmt: skip
    seen = "one bank was run smaller before the sizes, and what counts as leaving, were settled"
    return Contest("simulated_bank", says, [*_response(response), *_churn(churn), *_effects(effects)], seen)


@dataclass(frozen=True)
class Said:
    """What a model said of n rows, `ours`, beside a `plain` one and the planted `truth`; `who` are the customers."""

    outcomes: Vector
    ours: Vector
    plain: Vector
    truth: Vector
    who: np.ndarray

    def auc(self, name: str) -> float:
        """AUC of ours, plain or truth."""
        return Judged(self.outcomes, getattr(self, name)).auc()


@dataclass(frozen=True)
class Effects:
    """Held-out arms as ranked by our effect, by response and by the planted effect, with both effects (n,)."""

    ours: Ranking
    response: Ranking
    truth: Ranking


@dataclass(frozen=True)
class Told:
    """What the three models of one bank said."""

    response: Said
    churn: Said
    effects: Effects

    @classmethod
    def of(cls, home: Path, seed: int) -> Told:
        """A bank simulated, built and learnt from."""
        home.mkdir()
        shutil.copytree(jobs.POLICY_OF_SIMULATION, home / "policy")
        offers = jobs.offer_rows(jobs.decisions_book(home), date(LAST_ON.year - 3, 1, 1))
        simulate(home, customers=CUSTOMERS, months=MONTHS, seed=seed + 1, offers=offers, hooks=_HOOKS)
        profiles.build(home, segments(), instant=AFTER, as_of=LAST_ON)
        ground = ground_of(home, LAST_ON)
        return cls(_of_contacts(ground, seed), _of_leaving(ground, seed), _of_arms(ground, seed))


def _of_contacts(ground: Ground, seed: int) -> Said:
    test, ours, plain = _fitted(ground, "response", seed)
    planted = pd.read_parquet(ground.home / "truth" / "contacts").dropna(subset=["contact_id"])
    p = planted.set_index("contact_id")["p1"].reindex(test["contact_id"]).to_numpy()
    known = ~np.isnan(p)
    outcomes, who = test["outcome"].to_numpy(float), test["customer_id"].to_numpy()
    return Said(outcomes[known], ours[known], plain[known], p[known], who[known])


def _of_leaving(ground: Ground, seed: int) -> Said:
    """The bank's own label; planted: 1 for who sleeps or leaves already at the end of the month, else next hazard."""
    test, ours, plain = _fitted(ground, "churn", seed)
    months = pd.to_datetime(test["sent_at"]).dt.tz_localize(None).dt.to_period("M")
    states = {}
    for path in sorted((ground.home / "truth" / "states").glob("*.parquet")):
        states[pd.Period(path.stem, "M")] = pd.read_parquet(path).set_index("customer_id")
    truth = pd.Series(np.nan, index=test.index)
    for month in months.unique():
        mine = (months == month).to_numpy()
        who = test.loc[mine, "customer_id"]
        state, hazard = states[month]["state"].reindex(who), states[month + 1]["hazard"].reindex(who)
        truth[mine] = np.where(state > State.FADING, 1.0, hazard)
    known = truth.notna().to_numpy()
    outcomes, who = test["outcome"].to_numpy(float), test["customer_id"].to_numpy()
    return Said(outcomes[known], ours[known], plain[known], truth.to_numpy()[known], who[known])


def _of_arms(ground: Ground, seed: int) -> Effects:
    with open_bank(ground.home) as bank:
        examples = arm_examples(bank, ground.build.lineage, ground.horizon, ground.policy)
    rows = examples.frame
    split = split_by_time(instants(rows["sent_at"]), instants(rows["closes_at"]), test_share=0.5)
    parameters = Parameters(**{**_FEW.to_json(), "seed": seed})
    found = uplift.train(examples, split, facts=FACTS, parameters=parameters)
    held = rows[split.test]
    planted = pd.read_parquet(ground.home / "truth" / "arms.parquet").set_index(["experiment_id", "customer_id"])
    planted = planted.reindex(pd.MultiIndex.from_frame(held[["experiment_id", "customer_id"]]))
    effect = (planted["p1"] - planted["p0"]).to_numpy()
    scores = (found.ours.predict(held), found.panel[uplift.RESPONSE].predict(held), effect)
    return Effects(*(_ranking(held, score) for score in scores))


def _fitted(ground: Ground, model: str, seed: int) -> tuple[pd.DataFrame, Vector, Vector]:
    """The model and its plain rival as a training fits them, and what they say of the test rows."""
    gathered = gather(ground, model)
    rows = gathered.examples.frame
    split: Split = split_by_time(instants(rows["sent_at"]), instants(rows["closes_at"]))
    trained = fitted(model, gathered, split, Parameters(seed=seed), DEFAULT_SHARE)
    test = rows[split.test]
    return test, trained.ours.predict(test), trained.plain.predict(test)


def _ranking(held: pd.DataFrame, scores: Vector) -> Ranking:
    return Ranking(held["outcome"].to_numpy(), held["is_treated"].to_numpy(), scores, held["propensity"].to_numpy())


def _response(said: Sequence[Said]) -> list[Figure]:
    slopes = [Judged(one.outcomes, one.ours).slope_value() for one in said]
    loss = {name: [Judged(one.outcomes, getattr(one, name)).log_loss() for one in said] for name in ("ours", "truth")}
    return [
        *_aucs("response", said, "planted p, the ceiling"),
        Figure("response: rank correlation of p with the planted p", [_correlated(one) for one in said],
               statistics.fmean(float(spearmanr(one.plain, one.truth).statistic) for one in said)),
        Figure("response: mean distance of p from the planted p", [_distance(one.ours, one.truth) for one in said],
               statistics.fmean(_distance(one.plain, one.truth) for one in said), is_more_better=False),
        Figure("response: calibration slope", slopes),
        Figure("response: log loss (peer: planted)", loss["ours"], statistics.fmean(loss["truth"]),
               is_more_better=False),
    ]  # fmt: skip


def _churn(said: Sequence[Said]) -> list[Figure]:
    return [
        *_aucs("churn", said, "planted state and hazard"),
        Figure("churn: rank correlation of p with planted state and hazard", [_correlated(one) for one in said],
               statistics.fmean(float(spearmanr(one.plain, one.truth).statistic) for one in said)),
    ]  # fmt: skip


def _effects(said: Sequence[Effects]) -> list[Figure]:
    gaps = [paired_ranking(one.ours, one.response, seed=0, metric="qini") for one in said]
    return [
        Figure("uplift: Qini (peer: ranked by response)", [one.ours.qini() for one in said],
               statistics.fmean(one.response.qini() for one in said), _mean(gaps)),
        Figure("uplift: Qini (peer: ranked by the planted effect)", [one.ours.qini() for one in said],
               statistics.fmean(one.truth.qini() for one in said)),
        Figure("uplift: rank correlation of effect with the planted one (peer: of response)",
               [float(spearmanr(one.ours.scores, one.truth.scores).statistic) for one in said],
               statistics.fmean(float(spearmanr(one.response.scores, one.truth.scores).statistic) for one in said)),
        Figure("uplift: mean distance of effect from the planted one (peer: the average for all)",
               [_distance(one.ours.scores, one.truth.scores) for one in said],
               statistics.fmean(_distance(_average(one.truth.scores), one.truth.scores) for one in said),
               is_more_better=False),
    ]  # fmt: skip


def _aucs(model: str, said: Sequence[Said], truth: str) -> list[Figure]:
    """AUC beside the plain model, and beside what was planted."""
    gaps = [paired_difference(Judged(one.outcomes, one.ours), Judged(one.outcomes, one.plain), one.who, seed=0)
            for one in said]  # fmt: skip
    ours = [one.auc("ours") for one in said]
    return [
        Figure(f"{model}: AUC (peer: plain)", ours, statistics.fmean(one.auc("plain") for one in said), _mean(gaps)),
        Figure(f"{model}: AUC (peer: {truth})", ours, statistics.fmean(one.auc("truth") for one in said)),
    ]


def _mean(gaps: Sequence[Interval]) -> Interval:
    """The mean interval of several banks; wider than theirs together, since each is of one bank."""
    return Interval(*(statistics.fmean(getattr(gap, end) for gap in gaps) for end in ("value", "low", "high")))


def _correlated(said: Said) -> float:
    return float(spearmanr(said.ours, said.truth).statistic)


def _distance(one: Vector, other: Vector) -> float:
    return float(np.abs(one - other).mean())


def _average(effects: Vector) -> Vector:
    return np.full(len(effects), effects.mean())
