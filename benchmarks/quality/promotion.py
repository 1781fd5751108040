"""A promotion that costs COST and a purchase that earns MARGIN, drawn by lot: whom to tell, and what that comes to.

Told is whose effect pays, by the uplift model that a training of the product takes and as its one scoring function has
it; nothing is left to choose. Beside it stands the learner that ranked best in inner cross-validation, told likewise,
which is what a training took before all learners spoke together. `promotion` judges by the data set's test file;
`promotion_training` by outer folds of the file that teaches, for who wants to settle something; `promotion_fresh` puts
both files together and judges by thirds of them, because a sum on one test file errs by about 149 and had been seen.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.quality.contests import BETTER, N_DRAWS, Contest, Figure
from benchmarks.quality.mailings import plain_s_learner, trained, trial
from benchmarks.table import note
from features.vocabulary import Kind
from training.examples import Split, customer_folds
from training.judging.resampling import Interval, resamples
from training.models import uplift

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

MARGIN, COST = 10.0, 0.15
LINES = {"revenue": 375.0, "response": 0.020}
TEST_ROWS = 41_650  # of the data set's test file: sums of other splits are told for as many
_KINDS = {f"V{place}": Kind.NUMBER for place in range(1, 8)}
_N_PARTS, _OUTER_FOLDS, _OUTER, _FRESH, _SPLITS_A_SEED = 5, 777, 100, 1_000, 3
_TIMELESS = np.datetime64("1970-01-01", "us")


def promotion(data: Path, n_seeds: int) -> Contest:
    """Learnt from the training file, judged by the test file."""
    frame, is_training = _rows(data)
    told = [_judged(frame, Split(is_training, ~is_training, _TIMELESS), seed) for seed in range(n_seeds)]
    seen = "sums of other ways to tell, 348 to 427 and .0199 to .0206, had been seen on this file before this one stood"
    return _contest("promotion", told, np.flatnonzero(~is_training), len(frame), seen, "the test file judges")


def promotion_training(data: Path, n_seeds: int) -> Contest:
    """The training file alone, by five outer folds under every seed: for who wants to settle something."""
    frame, is_training = _rows(data)
    frame = frame[is_training].reset_index(drop=True)
    outer = customer_folds(frame["customer_id"].to_numpy(), _N_PARTS, _OUTER_FOLDS)
    told, rows = [], []
    for seed, part in itertools.product(range(n_seeds), range(_N_PARTS)):
        told.append(_judged(frame, Split(outer != part, outer == part, _TIMELESS), _OUTER + seed))
        rows.append(np.flatnonzero(outer == part))
    return _contest("promotion_training", told, rows, len(frame), "it teaches the others",
                    f"outer folds of the training file judge, sums as of {TEST_ROWS:,} rows")  # fmt: skip


def promotion_fresh(data: Path, n_seeds: int) -> Contest:
    """Both files, a third of the rows held out in each of _SPLITS_A_SEED splits a seed."""
    frame, _ = _rows(data)
    splits = [_FRESH + number for number in range(_SPLITS_A_SEED * n_seeds)]
    told, rows = [], []
    for seed in splits:
        held = customer_folds(frame["customer_id"].to_numpy(), 3, seed) == 0
        told.append(_judged(frame, Split(~held, held, _TIMELESS), seed))
        rows.append(np.flatnonzero(held))
    seen = "what is taken was settled by people who had seen sums on the test file, a third of these rows"
    return _contest("promotion_fresh", told, rows, len(frame), seen,
                    f"{len(splits)} splits, a third of both files judges, sums as of {TEST_ROWS:,} rows")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What telling some of the held-out rows came to: (n,) of each row, and the difference of the arms' purchases."""

    by_row: Vector
    response: float
    n_told: int

    @classmethod
    def of(cls, held: pd.DataFrame, is_told: Mask) -> Told:
        """Revenue of the treated among the told less what the untreated among them bought anyway."""
        bought, treated = held["outcome"].to_numpy(), held["is_treated"].to_numpy() == 1
        by_row = is_told * np.where(treated, MARGIN * bought - COST, -MARGIN * bought)
        sides = [
            float(bought[is_told & side].mean()) if (is_told & side).any() else 0.0 for side in (treated, ~treated)
        ]
        return cls(by_row, sides[0] - sides[1], int(is_told.sum()))

    @property
    def revenue(self) -> float:
        """Net incremental revenue, as of TEST_ROWS rows."""
        return float(self.by_row.mean()) * TEST_ROWS


@dataclass(frozen=True, slots=True)
class Judged:
    """One split: the member of the panel that was taken, and what it, the learner that ranked best alone, and the plain
    learner came to."""

    taken: str
    best: str
    ours: Told
    alone: Told
    plain: Told


def pays(effects: Vector) -> Mask:
    """Whose effect earns more than telling him costs."""
    return effects > COST / MARGIN


def _judged(frame: pd.DataFrame, split: Split, seed: int) -> Judged:
    note(f"promotion: seed {seed}")
    found, held = trained(frame, split, _KINDS, seed), frame[split.test]
    best = max(uplift.LEARNERS, key=lambda name: found.gains[name])
    effects = found.ours.predict(held), found.panel[best].predict(held), plain_s_learner(frame, split, _KINDS, seed)
    return Judged(found.chosen, best, *(Told.of(held, pays(said)) for said in effects))


def _rows(data: Path) -> tuple[pd.DataFrame, Mask]:
    """Both files as one test, and which rows are of the training file."""
    parts = [pd.read_csv(data / "starbucks_promo_rct" / name) for name in ("training.csv", "Test.csv")]
    rows = pd.concat(parts, ignore_index=True)
    frame = trial(rows, rows["Promotion"] == "Yes", rows["purchase"], np.arange(len(rows)))
    return frame, np.arange(len(rows)) < len(parts[0])


def _contest(
    name: str, told: Sequence[Judged], rows: NDArray[np.intp] | Sequence[NDArray[np.intp]], n_rows: int, seen: str,
    how: str,
) -> Contest:  # fmt: skip
    places = [rows] * len(told) if isinstance(rows, np.ndarray) else list(rows)
    taken, best = (", ".join(f"{name} {n}" for name, n in Counter(names).most_common())
                   for names in ((one.taken for one in told), (one.best for one in told)))  # fmt: skip
    ours, alone, plain = ([getattr(one, who) for one in told] for who in ("ours", "alone", "plain"))
    earned, moved = [one.revenue for one in ours], [one.response for one in ours]
    figures = [
        Figure("net incremental revenue", earned, statistics.fmean(one.revenue for one in plain),
               _difference(ours, plain, places, n_rows), LINES["revenue"], against=BETTER),
        Figure("the same, beside the best learner alone", earned, statistics.fmean(one.revenue for one in alone),
               _difference(ours, alone, places, n_rows)),
        Figure("the same, beside telling nobody", earned, 0.0, _difference(ours, None, places, n_rows)),
        Figure("incremental response", moved, statistics.fmean(one.response for one in plain), None,
               LINES["response"]),
        Figure("the same, beside the best learner alone", moved, statistics.fmean(one.response for one in alone)),
    ]  # fmt: skip
    says = (f"{how}; taken on rows that teach: {taken}; best alone there: {best}; "
            f"peer: S-learner; all tell whose effect is above {COST / MARGIN}")  # fmt: skip
    return Contest(name, says, figures, seen)


def _difference(
    ours: Sequence[Told], others: Sequence[Told] | None, places: Sequence[NDArray[np.intp]], n_rows: int
) -> Interval:
    """Mean revenue over the splits, of ours beyond that of others, or of telling nobody.

    Rows are resampled once for all splits, so that a row which is held out twice is no second witness.
    """
    by_row = np.zeros(n_rows)
    for split, place in enumerate(places):
        gap = ours[split].by_row - (0.0 if others is None else others[split].by_row)
        by_row[place] += gap * TEST_ROWS / (len(place) * len(places))
    draws = [float(np.dot(by_row, weights)) for weights in resamples(np.arange(n_rows), N_DRAWS, 0)]
    return Interval.of(float(by_row.sum()), np.array(draws))
