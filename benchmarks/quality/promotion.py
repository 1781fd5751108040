"""A promotion that costs COST and a purchase that earns MARGIN, drawn by lot: whom to tell, and what that comes to.

Told is whose effect pays, as the product's one scoring function has it; nothing is left to choose. Beside it stands a
choice that comes from the rows that teach: the uplift model scores them unseen, a rule fixes learner and share on four
fifths of these scores and is paid for the last, and the best paid of RULES is taken. A third way chooses nobody: told
is whom the mean effect of all learners pays; it was settled by `promotion_training`, outer folds of the file that
teaches. `promotion` judges by the data set's test file; `promotion_fresh` puts both files together and judges by thirds
of them that were drawn by seeds nobody had looked at, because a sum on one test file errs by about 149 and had been
seen before the rules were written.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.quality.contests import BETTER, N_DRAWS, Contest, Figure
from benchmarks.quality.mailings import plain_s_learner, trained, trial
from benchmarks.table import note
from features.vocabulary import Kind
from training.examples import Split, customer_folds
from training.fitted import FittedModel
from training.judging.resampling import Interval, resamples
from training.models.uplift import TrainedUplift

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

MARGIN, COST = 10.0, 0.15
SHARES = tuple(share / 20 for share in range(4, 13))
LINES = {"revenue": 375.0, "response": 0.020}
TEST_ROWS = 41_650  # of the data set's test file: sums of other splits are told for as many
_KINDS = {f"V{place}": Kind.NUMBER for place in range(1, 8)}
_N_PARTS, _OUTER_FOLDS, _OUTER, _FRESH, _SPLITS_A_SEED = 5, 777, 100, 1_000, 3
_N_REPEATS = 3  # draws of inner folds: by one, nine seeds of the training file chose six ways; by three, two
_TAKEN = "taken of the rules"
_TIMELESS = np.datetime64("1970-01-01", "us")


def promotion(data: Path, n_seeds: int) -> Contest:
    """Learnt from the training file, judged by the test file."""
    frame, is_training = _rows(data)
    told = [_judged(frame, Split(is_training, ~is_training, _TIMELESS), seed) for seed in range(n_seeds)]
    seen = ("sums on this file had been seen before any of the rules stood as it does: of both at once 361 and .0199, "
            "of the learner first 427 and .0205")  # fmt: skip
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
    seen = "the rules were written by people who had seen sums on the test file, a third of these rows"
    return _contest("promotion_fresh", told, rows, len(frame), seen,
                    f"{len(splits)} splits, a third of both files judges, sums as of {TEST_ROWS:,} rows")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unseen:
    """Places and effects (n,) of each learner on training rows that it had not seen, and their pseudo-outcomes ψ.

    A place is the share of rows of the same fold with a lower score: scores of several fits are on scales of their own.
    """

    places: Mapping[str, Vector]
    effects: Mapping[str, Vector]
    psi: Vector
    customers: NDArray[np.int64]

    @classmethod
    def of(cls, found: TrainedUplift) -> Unseen:
        """What a training kept of them; an effect is its score on the line that the model in use has."""
        effects = {name: np.empty(len(found.psi)) for name in found.panel_unseen}
        places = {name: np.empty(len(found.psi)) for name in found.panel_unseen}
        for name, fold in itertools.product(places, np.unique(found.folds)):
            inside = found.folds == fold
            scores, kept = found.panel_unseen[name][inside], found.shrinkage[name]
            effects[name][inside] = kept.average + kept.slope * (scores - scores.mean())
            places[name][inside] = (rankdata(scores) - 0.5) / inside.sum()
        return cls(places, effects, found.psi, found.customers)

    def at(self, rows: Mask) -> Unseen:
        """These rows alone."""
        return Unseen({name: place[rows] for name, place in self.places.items()},
                      {name: effect[rows] for name, effect in self.effects.items()}, self.psi[rows],
                      self.customers[rows])  # fmt: skip

    def gains(self, learner: str) -> float:
        """By how much more than chance the learner puts large effects first."""
        return float(np.mean(self.psi * (self.places[learner] - 0.5)))

    def tells(self, choice: Choice) -> Mask:
        """Whom a choice tells."""
        if choice.share is None:
            return np.asarray(self.effects[choice.learner] > COST / MARGIN)
        return np.asarray(self.places[choice.learner] >= 1 - choice.share)

    def earned(self, choice: Choice) -> float:
        """Revenue a row if a choice had been followed, as ψ says."""
        return float(np.mean(self.tells(choice) * (MARGIN * self.psi - COST)))


@dataclass(frozen=True, slots=True)
class Choice:
    """By whose score, and for which share of all; None: for everybody whose effect earns more than it costs."""

    learner: str
    share: float | None


def ranked_then_effect(known: Unseen) -> Choice:
    """The learner that ranks best; told is whose effect pays."""
    return Choice(max(known.places, key=known.gains), None)


def ranked_then_share(known: Unseen) -> Choice:
    """The learner that ranks best, then the share that earned most by it."""
    learner = max(known.places, key=known.gains)
    return max((Choice(learner, share) for share in SHARES), key=known.earned)


def share_of_any(known: Unseen) -> Choice:
    """Learner and share that earned most together."""
    return max((Choice(learner, share) for learner in known.places for share in SHARES), key=known.earned)


def paid_by_all(said: Sequence[Vector]) -> Mask:
    """Whom the mean of all learners' effects, (n,) each, pays."""
    return np.asarray(np.mean(said, axis=0) > COST / MARGIN)


TOGETHER = "mean effect of all learners that pays"
Rule = Callable[[Unseen], Choice]
OWN_SCORE = "effect that pays"  # what the product's one scoring function does: margin × effect − cost above 0
RULES: Mapping[str, Rule] = {
    OWN_SCORE: ranked_then_effect, "learner, then share": ranked_then_share, "both at once": share_of_any,
}  # fmt: skip


def best_rule(known: Unseen, seed: int) -> str:
    """The name in RULES that earned most on fifths of the rows whose other four it had chosen by."""
    parts = customer_folds(known.customers, _N_PARTS, seed)

    def paid(rule: Rule) -> float:
        return sum(known.at(parts == part).earned(rule(known.at(parts != part))) for part in range(_N_PARTS))

    return max(RULES, key=lambda name: paid(RULES[name]))


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
    """One split: the rule taken and its choice, and what each rule, the one taken and the plain learner came to."""

    rule: str
    choice: Choice
    by_rule: Mapping[str, Told]
    plain: Told

    @property
    def ours(self) -> Told:
        return self.by_rule[self.rule]


def _judged(frame: pd.DataFrame, split: Split, seed: int) -> Judged:
    note(f"promotion: seed {seed}")
    found = trained(frame, split, _KINDS, seed, n_repeats=_N_REPEATS)
    known, learnt, held = Unseen.of(found), frame[split.train], frame[split.test]
    chosen = {name: rule(known) for name, rule in RULES.items()}
    by_rule = {name: Told.of(held, _tells(found.panel[one.learner], one, learnt, held)) for name, one in chosen.items()}
    by_rule[TOGETHER] = Told.of(held, paid_by_all([model.predict(held) for model in found.panel.values()]))
    taken = best_rule(known, seed)
    plain = plain_s_learner(frame, split, _KINDS, seed) > COST / MARGIN
    return Judged(taken, chosen[taken], by_rule, Told.of(held, plain))


def _tells(model: FittedModel, choice: Choice, learnt: pd.DataFrame, held: pd.DataFrame) -> Mask:
    if choice.share is None:
        return np.asarray(model.predict(held) > COST / MARGIN)
    return np.asarray(model.predict(held) >= np.quantile(model.predict(learnt), 1 - choice.share))


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
    rules = ", ".join(f"{rule} {n}" for rule, n in Counter(one.rule for one in told).most_common())
    choices = ", ".join(f"{one.choice.learner} {'' if one.choice.share is None else f'{one.choice.share:.0%}'}".strip()
                        for one in told)  # fmt: skip
    plain = [one.plain for one in told]
    ways = {way: [one.by_rule[way] for one in told] for way in (OWN_SCORE, TOGETHER)}
    ways |= {_TAKEN: [one.ours for one in told]}
    ways |= {rule: [one.by_rule[rule] for one in told] for rule in RULES if rule != OWN_SCORE}
    figures = []
    for way, ours in ways.items():
        is_judged = way in (OWN_SCORE, TOGETHER, _TAKEN)
        beyond = _difference(ours, None, places, n_rows)
        figures += [
            Figure(f"net incremental revenue, {way}", [one.revenue for one in ours],
                   statistics.fmean(one.revenue for one in plain), _difference(ours, plain, places, n_rows),
                   LINES["revenue"] if is_judged else None, against=BETTER if is_judged else None),
            Figure(f"the same beside telling nobody, {way}", [one.revenue for one in ours], 0.0, beyond),
            Figure(f"incremental response, {way}", [one.response for one in ours],
                   statistics.fmean(one.response for one in plain), None, LINES["response"] if is_judged else None),
        ]  # fmt: skip
    says = f"{how}; rule taken on rows that teach: {rules} ({choices}); peer: S-learner, told above {COST / MARGIN}"
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
