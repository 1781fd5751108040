"""Two randomised tests, an e-mail in three arms and a promotion: the uplift model beside a plain learner, same rows.

The learner is chosen by inner cross-validation on the rows it learns from, and so is the share that is told of the
promotion. Test rows choose nothing.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.quality.contests import Contest, Figure
from benchmarks.table import note
from features.vocabulary import Column, Kind
from training.boosting import Parameters
from training.encoding import arrays_of
from training.examples import Examples, Split, customer_folds
from training.fitted import FittedModel
from training.judging.resampling import Interval
from training.judging.uplift_curves import Ranking, paired_difference
from training.models import uplift
from training.models.uplift import TrainedUplift

Vector = NDArray[np.float64]

FEW = Parameters(n_rounds=60, n_leaves=7, min_leaf_rows=200)
MARGIN, COST = 10.0, 0.15  # of a purchase, of a promotion
SHARES = tuple(share / 20 for share in range(4, 13))
_NOBODY = "No E-Mail"
_TIMELESS = np.datetime64("1970-01-01", "us")
_N_DRAWS = 1_000


def hillstrom_women(data: Path, n_seeds: int) -> Contest:
    """The women's e-mail against none, by visits."""
    return _mailing(data, "Womens E-Mail", n_seeds, line=0.055)


def hillstrom_men(data: Path, n_seeds: int) -> Contest:
    """The men's e-mail against none, by visits: a weak signal."""
    return _mailing(data, "Mens E-Mail", n_seeds, line=0.018)


def _mailing(data: Path, arm: str, n_seeds: int, *, line: float) -> Contest:
    rows = pd.read_csv(data / "hillstrom" / "hillstrom.csv.gz").drop(columns=["history_segment"])
    rows = rows[rows["segment"].isin([arm, _NOBODY])].reset_index(drop=True)
    flags = dict.fromkeys(("mens", "womens", "newbie"), Kind.FLAG)
    kinds = {"recency": Kind.INTEGER, "history": Kind.NUMBER, "zip_code": Kind.CODE, "channel": Kind.CODE} | flags
    frame = _trial(rows, rows["segment"] == arm, rows["visit"], np.arange(len(rows)))
    taken: Counter[str] = Counter()
    ours, plain = [], []
    for seed in range(n_seeds):
        note(f"{arm}: seed {seed}")
        learnt = customer_folds(frame["customer_id"].to_numpy(), 2, seed) == 0
        split = Split(learnt, ~learnt, _TIMELESS)
        found = _trained(frame, split, kinds, seed)
        taken[found.chosen] += 1
        test = frame[split.test]
        ours.append(_ranking(test, found.ours.predict(test)))
        plain.append(_ranking(test, _plain_s_learner(frame, split, kinds, seed)))
    choices = ", ".join(f"{choice} {n}" for choice, n in taken.most_common())
    says = f"half of the customers judge; chosen by inner cross-validation: {choices}; plain: S-learner, 200 trees"
    return Contest(f"hillstrom, {arm}", says, [
        _beside("normalised Qini", "qini", ours, plain, line),
        _beside("uplift at 30 %", "uplift_at_30", ours, plain, None),
    ])  # fmt: skip


def promotion(data: Path, n_seeds: int) -> Contest:
    """A promotion that costs COST and a purchase that earns MARGIN; whom to tell is fixed on the training file."""
    parts = [pd.read_csv(data / "starbucks_promo_rct" / name) for name in ("training.csv", "Test.csv")]
    rows = pd.concat(parts, ignore_index=True)
    learnt = np.arange(len(rows)) < len(parts[0])
    split = Split(learnt, ~learnt, _TIMELESS)
    frame = _trial(rows, rows["Promotion"] == "Yes", rows["purchase"], np.arange(len(rows)))
    kinds = {f"V{place}": Kind.NUMBER for place in range(1, 8)}
    ours, plain, chosen = [], [], []
    for seed in range(n_seeds):
        note(f"promotion: seed {seed}")
        found = _trained(frame, split, kinds, seed)
        policy = _policy(found, frame[split.train])
        chosen.append(f"{policy.learner} {policy.share:.0%}")
        ours.append(_told(frame[split.test], policy.tells(frame[split.test])))
        plain.append(_told(frame[split.test], _plain_s_learner(frame, split, kinds, seed) > COST / MARGIN))
    says = f"learner and share told, by inner cross-validation on training.csv: {', '.join(chosen)}; plain: S-learner"
    return Contest("promotion", says, [
        _money("net incremental revenue", [one.revenue for one in ours], [one.revenue for one in plain],
               _revenue_interval(ours, plain), 375.0),
        _money("incremental response", [one.response for one in ours], [one.response for one in plain], None, 0.020),
    ])  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Policy:
    """Whom a promotion goes to: those whose score by one learner of the panel is above a threshold."""

    learner: str
    share: float
    model: FittedModel
    threshold: float

    def tells(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        return self.model.predict(frame) >= self.threshold


def _policy(found: TrainedUplift, learnt: pd.DataFrame) -> _Policy:
    """The product's own choice of learner, and the share that earned most among training rows it had not seen."""
    scores = found.panel_unseen[found.chosen]

    def earned(share: float) -> float:
        told = scores >= np.quantile(scores, 1 - share)
        return float(np.mean(told * (MARGIN * found.psi - COST)))

    share = max(SHARES, key=earned)
    return _Policy(found.chosen, share, found.ours, float(np.quantile(found.ours.predict(learnt), 1 - share)))


@dataclass(frozen=True, slots=True)
class _Told:
    """What telling some of the test rows came to, as the test's own arms say: (n,) of each row, and the sums."""

    by_row: Vector
    revenue: float
    response: float


def _told(test: pd.DataFrame, is_told: NDArray[np.bool_]) -> _Told:
    bought, treated = test["outcome"].to_numpy(), test["is_treated"].to_numpy() == 1
    by_row = is_told * np.where(treated, MARGIN * bought - COST, -MARGIN * bought)
    sides = [float(bought[is_told & side].mean()) for side in (treated, ~treated)]
    return _Told(by_row, float(by_row.sum()), sides[0] - sides[1])


def _revenue_interval(ours: Sequence[_Told], plain: Sequence[_Told]) -> Interval:
    """Mean difference over seeds in revenue, rows of the test resampled together."""
    gap = np.mean([mine.by_row - theirs.by_row for mine, theirs in zip(ours, plain, strict=True)], axis=0)
    chance = np.random.default_rng(0)
    draws = [gap[chance.integers(0, len(gap), len(gap))].sum() for _ in range(_N_DRAWS)]
    return Interval.of(float(gap.sum()), np.array(draws))


def _trial(rows: pd.DataFrame, told: pd.Series, outcome: pd.Series, customers: NDArray[np.int64]) -> pd.DataFrame:
    return rows.assign(
        customer_id=customers, is_treated=told.astype("float64"), propensity=0.5, outcome=outcome.astype("float64")
    )


def _trained(frame: pd.DataFrame, split: Split, kinds: dict[str, Kind], seed: int) -> TrainedUplift:
    columns = [Column(name, kind, name, "not given") for name, kind in kinds.items()]
    return uplift.train(
        Examples(frame, {}), split, facts=columns, offers=(), parameters=replace(FEW, seed=seed)
    )  # fmt: skip


def _plain_s_learner(frame: pd.DataFrame, split: Split, kinds: dict[str, Kind], seed: int) -> Vector:
    """Effects (n test rows,) by one LightGBM as it comes, with the treatment as a feature."""
    columns = [Column(name, kind, name, "not given") for name, kind in kinds.items()]
    arrays = arrays_of(frame, columns)
    known = pd.DataFrame({name: pd.Categorical(v) if v.dtype == object else v for name, v in arrays.items()})
    model = lightgbm.LGBMClassifier(n_estimators=200, learning_rate=0.05, random_state=seed, n_jobs=1, verbosity=-1)
    told = known.assign(is_treated=frame["is_treated"].to_numpy())
    model.fit(told[split.train], frame["outcome"][split.train])
    ends = [model.predict_proba(known[split.test].assign(is_treated=end))[:, 1] for end in (1.0, 0.0)]
    return np.asarray(ends[0] - ends[1])


def _ranking(test: pd.DataFrame, scores: Vector) -> Ranking:
    return Ranking(test["outcome"].to_numpy(), test["is_treated"].to_numpy(), scores, test["propensity"].to_numpy())


def _beside(what: str, metric: str, ours: Sequence[Ranking], plain: Sequence[Ranking], line: float | None) -> Figure:
    """A figure by seed, and the mean paired difference; its ends are means too, since seeds share their customers."""
    of = {"qini": Ranking.qini, "uplift_at_30": lambda one: one.uplift_at(0.3)}[metric]
    gaps = [paired_difference(*pair, seed=0, metric=metric) for pair in zip(ours, plain, strict=True)]
    difference = Interval(*(statistics.fmean(getattr(gap, end) for gap in gaps) for end in ("value", "low", "high")))
    return Figure(what, [of(one) for one in ours], statistics.fmean(of(one) for one in plain), difference, line)


def _money(what: str, ours: list[float], plain: list[float], difference: Interval | None, line: float) -> Figure:
    return Figure(what, ours, statistics.fmean(plain), difference, line)
