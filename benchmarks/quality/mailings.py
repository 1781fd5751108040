"""An e-mail test in three arms, drawn by lot: the uplift model beside scikit-uplift's learners on the same rows.

What is taken of the panel is settled by inner cross-validation on the rows it learns from. Test rows choose nothing of
ours; of the peers they choose the best.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.quality.contests import NOT_WORSE, Against, Contest, Figure
from benchmarks.quality.uplift_peers import effects, table
from benchmarks.table import note
from features.vocabulary import Column, Kind
from training.boosting import Parameters
from training.examples import Examples, Split, customer_folds
from training.judging.resampling import Interval
from training.judging.uplift_curves import Ranking, paired_difference
from training.models import uplift
from training.models.uplift import TrainedUplift

Vector = NDArray[np.float64]

FEW = Parameters(n_rounds=60, n_leaves=7, min_leaf_rows=200)
_NOBODY = "No E-Mail"
_TIMELESS = np.datetime64("1970-01-01", "us")


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
    frame = trial(rows, rows["segment"] == arm, rows["visit"], np.arange(len(rows)))
    taken: Counter[str] = Counter()
    ours: list[Ranking] = []
    theirs: dict[str, list[Ranking]] = {}
    for seed in range(n_seeds):
        note(f"{arm}: seed {seed}")
        learnt = customer_folds(frame["customer_id"].to_numpy(), 2, seed) == 0
        split = Split(learnt, ~learnt, _TIMELESS)
        found = trained(frame, split, kinds, seed)
        taken[found.chosen] += 1
        test = frame[split.test]
        ours.append(_ranking(test, found.ours.predict(test)))
        for name, scores in effects(frame, split, kinds, seed).items():
            theirs.setdefault(name, []).append(_ranking(test, scores))
    choices = ", ".join(f"{choice} {n}" for choice, n in taken.most_common())
    best = max(theirs, key=lambda name: statistics.fmean(one.qini() for one in theirs[name]))
    says = (f"half of the customers judge; taken by inner cross-validation: {choices}; "
            f"peer: of {len(theirs)} on scikit-uplift the best here, {best}")  # fmt: skip
    seen = "how many leaves an effect has was settled on halves of these rows, which judge under other seeds"
    return Contest(f"hillstrom, {arm}", says, [
        _beside("normalised Qini", "qini", ours, theirs[best], line, NOT_WORSE),
        _beside("uplift at 30 %", "uplift_at_30", ours, theirs[best], None),
    ], seen)  # fmt: skip


def trial(rows: pd.DataFrame, told: pd.Series, outcome: pd.Series, customers: NDArray[np.int64]) -> pd.DataFrame:
    """`rows` as a test at even odds: who was told, what came of it."""
    return rows.assign(
        customer_id=customers, is_treated=told.astype("float64"), propensity=0.5, outcome=outcome.astype("float64")
    )


def trained(frame: pd.DataFrame, split: Split, kinds: dict[str, Kind], seed: int) -> TrainedUplift:
    """The product's uplift model of the training rows."""
    columns = [Column(name, kind, name, "not given") for name, kind in kinds.items()]
    return uplift.train(
        Examples(frame, {}), split, facts=columns, offers=(), parameters=replace(FEW, seed=seed),
    )  # fmt: skip


def plain_s_learner(frame: pd.DataFrame, split: Split, kinds: dict[str, Kind], seed: int) -> Vector:
    """Effects (n test rows,) by one LightGBM as it comes, with the treatment as a feature."""
    known = table(frame, kinds)
    model = lightgbm.LGBMClassifier(n_estimators=200, learning_rate=0.05, random_state=seed, n_jobs=1, verbosity=-1)
    told = known.assign(is_treated=frame["is_treated"].to_numpy())
    model.fit(told[split.train], frame["outcome"][split.train])
    ends = [model.predict_proba(known[split.test].assign(is_treated=end))[:, 1] for end in (1.0, 0.0)]
    return np.asarray(ends[0] - ends[1])


def _ranking(test: pd.DataFrame, scores: Vector) -> Ranking:
    return Ranking(test["outcome"].to_numpy(), test["is_treated"].to_numpy(), scores, test["propensity"].to_numpy())


def _beside(
    what: str, metric: str, ours: Sequence[Ranking], plain: Sequence[Ranking], line: float | None,
    against: Against | None = None,
) -> Figure:  # fmt: skip
    """A figure by seed, and the mean paired difference; its ends are means too, since seeds share their customers."""
    of = {"qini": Ranking.qini, "uplift_at_30": lambda one: one.uplift_at(0.3)}[metric]
    gaps = [paired_difference(*pair, seed=0, metric=metric) for pair in zip(ours, plain, strict=True)]
    difference = Interval(*(statistics.fmean(getattr(gap, end) for gap in gaps) for end in ("value", "low", "high")))
    return Figure(
        what, [of(one) for one in ours], statistics.fmean(of(one) for one in plain), difference, line, against=against
    )
