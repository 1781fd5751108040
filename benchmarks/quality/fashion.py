"""A fashion shop's log of items shown by two policies (Open Bandit): what one earned, told from the other's log.

The truth is what the judged policy earned in its own log, and it hangs on some dozens of clicks itself. DR and its
shrunk form stand beside IPS on the same rows; a log without support is to be refused.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.quality.contests import Contest, Figure
from benchmarks.table import note
from features.vocabulary import Kind
from training.boosting import Parameters, Trees, grow
from training.encoding import Feature, Recipe
from training.examples import customer_folds
from training.judging import off_policy
from training.judging.off_policy import NO_SUPPORT, Evaluation, Logged, evaluate
from training.judging.resampling import Interval

Vector = NDArray[np.float64]

BTS, RANDOM = "bts", "random"
N_PLACES, N_FOLDS, N_DRAWS = 4, 3, 200
_FEW = Parameters(n_rounds=40, n_leaves=4, min_leaf_rows=300, l2=10.0)
_SEEN = "men: estimators and trees were written by people who had read what others reached there; women: blind"


def open_bandit(data: Path, n_seeds: int) -> Contest:
    """Men both ways; women from `bts` to `random`, whose log does not support it. Seeds fold the trees of q."""
    men = Campaign.read(data / "open_bandit", "men")
    figures = [
        _figure(men, BTS, RANDOM, off_policy.DR_SHRUNK, n_seeds, line=0.30, who="men"),
        _figure(men, RANDOM, BTS, off_policy.DR, n_seeds, line=0.22, who="men"),
    ]
    note("open_bandit: women")
    women = Campaign.read(data / "open_bandit", "women")
    refused = evaluate(women.logged(BTS, RANDOM, seed=0))
    lacks = f"{refused.support.effective_rows:.0f} effective rows, largest weight {refused.support.largest_weight:,.0f}"
    says = (f"the truth has {men.n_clicks(RANDOM)} clicks of men by random, {men.n_clicks(BTS)} by bts, drawn with the "
            f"log; women, bts to random: {lacks}, {refused.n_needed:,} decisions more; peer: IPS")  # fmt: skip
    figures += [_refusal(refused), _figure(women, RANDOM, BTS, off_policy.DR, n_seeds, line=None, who="women")]
    return Contest("open_bandit", says, figures, _SEEN)


@dataclass(frozen=True)
class Campaign:
    """The rows that each policy showed, with click, propensity and who saw it; one of `n_items` in N_PLACES places."""

    rows: dict[str, pd.DataFrame]
    n_items: int

    @classmethod
    def read(cls, folder: Path, who: str) -> Campaign:
        """The campaign of `who`, men or women."""
        rows = {name: pd.read_csv(folder / name / who / f"{who}.csv.gz", index_col=0) for name in (BTS, RANDOM)}
        return cls(rows, int(rows[RANDOM]["item_id"].max()) + 1)

    def n_clicks(self, policy: str) -> int:
        return int(self.rows[policy]["click"].sum())

    def value(self, policy: str) -> float:
        """Clicks a row of the policy's own log."""
        return float(self.rows[policy]["click"].mean())

    def logged(self, by: str, judged: str, *, seed: int) -> Logged:
        """The log of one policy under the other's chances: even for random, its shares by place for bts."""
        rows = self.rows[by]
        item, clicks, n = rows["item_id"].to_numpy(), rows["click"].to_numpy(float), np.arange(len(rows))
        pi = self._chances(judged)[rows["position"]]
        q = self._expected(rows, seed)
        return Logged(clicks, rows["propensity_score"].to_numpy(), pi[n, item], q[n, item], (pi * q).sum(axis=1), n)

    def _chances(self, policy: str) -> Vector:
        if policy == RANDOM:
            return np.full((N_PLACES, self.n_items), 1 / self.n_items)
        rows = self.rows[policy]
        counts = [np.bincount(rows["item_id"][rows["position"] == place], minlength=self.n_items)
                  for place in range(N_PLACES)]  # fmt: skip
        return np.array([count / max(count.sum(), 1) for count in counts])

    def _expected(self, rows: pd.DataFrame, seed: int) -> Vector:
        """q (n, items) by trees that did not see the row: item, place, person, affinity to the item."""
        names = ["item_id", "position", *(f"user_feature_{place}" for place in range(4))]
        told = np.column_stack([pd.factorize(rows[name], sort=True)[0] for name in names]).astype(float)
        liking = rows[[f"user-item_affinity_{item}" for item in range(self.n_items)]].to_numpy()
        recipe = Recipe((*(Feature(name, Kind.CODE) for name in names), Feature("affinity", Kind.NUMBER)))
        n, item, clicks = np.arange(len(rows)), rows["item_id"].to_numpy(), rows["click"].to_numpy(float)
        shown = np.column_stack([told, liking[n, item]])
        folds, q = customer_folds(n, N_FOLDS, seed), np.empty((len(rows), self.n_items))
        few = Parameters(**{**_FEW.to_json(), "seed": seed})
        for fold in range(N_FOLDS):
            inside = folds == fold
            trees = Trees(grow(shown[~inside], clicks[~inside], recipe, few))
            for other in range(self.n_items):
                other_item = np.column_stack([np.full(inside.sum(), other), told[inside, 1:], liking[inside, other]])
                q[inside, other] = trees.score(other_item)
        return q


def _figure(
    campaign: Campaign, by: str, judged: str, name: str, n_seeds: int, *, line: float | None, who: str
) -> Figure:
    """The relative error of one estimator by seed beside that of IPS."""
    logs = []
    for seed in range(n_seeds):
        note(f"open_bandit: {who}, {by} to {judged}, seed {seed}")
        logs.append(campaign.logged(by, judged, seed=seed))
    truth = campaign.value(judged)
    estimates = [evaluate(log).estimates for log in logs]
    ours = [abs(one[name].value - truth) / truth for one in estimates]
    peer = statistics.fmean(abs(one[off_policy.IPS].value - truth) / truth for one in estimates)
    clicks = campaign.rows[judged]["click"].to_numpy(float)
    difference = Interval.of(statistics.fmean(ours) - peer, _gaps(logs, clicks, name))
    what = f"{who}, {by} to {judged}: relative error of {name}"
    return Figure(what, ours, peer, difference, line, is_more_better=False)


def _gaps(logs: Sequence[Logged], clicks: Vector, name: str) -> Vector:
    """How far the estimator errs beyond IPS (N_DRAWS,), log and truth both resampled by rows."""
    chance, estimate = np.random.default_rng(0), getattr(off_policy, name)
    gaps = np.empty(N_DRAWS)
    for draw in range(N_DRAWS):
        drawn = chance.integers(0, logs[0].n, logs[0].n)
        truth = float(clicks[chance.integers(0, len(clicks), len(clicks))].mean())
        some = [Logged(*(values[drawn] for values in vars(log).values())) for log in logs]
        said = [abs(estimate(log).value - truth) - abs(off_policy.ips(log).value - truth) for log in some]
        gaps[draw] = statistics.fmean(said) / truth
    return gaps


def _refusal(women: Evaluation) -> Figure:
    """1 if no figure was printed of women, bts to random."""
    refused = float(women.verdict == NO_SUPPORT and not women.estimates and women.gain is None)
    return Figure("women, bts to random: refused (1 is yes)", [refused], line=1.0)
