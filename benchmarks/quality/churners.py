"""Two sets of customers who left, each one snapshot without time: judged by five folds under every seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks.quality.contests import NOT_WORSE, Contest, beside
from benchmarks.quality.learners import Flat, Mask, Vector, chosen, cross_fitted
from benchmarks.table import note
from training.boosting import Parameters

PLAIN_RATE = 0.05
SHIPPED = Parameters()
# a strong signal asks for more trees and smaller leaves, a weak one for fewer; the learnt rows of each fold say which
PANEL = {
    "as shipped": SHIPPED,
    "small trees": replace(SHIPPED, n_rounds=300, n_leaves=7, min_leaf_rows=50),
    "many trees": replace(SHIPPED, n_rounds=600, n_leaves=15, min_leaf_rows=20, l2=1.0),
    "many large trees": replace(SHIPPED, n_rounds=600, min_leaf_rows=20, l2=0.0),
}


_FRESH = 1_000  # seeds from here on fold rows as nobody had looked at when the panel was written


def bankchurners(data: Path, n_seeds: int) -> Contest:
    """Card holders who left, without the two columns of an earlier model."""
    seen = "the panel was widened after folds of these seeds had been judged"
    return _contest("bankchurners", _card_holders(data), range(n_seeds), line=0.994, seen=seen)


def bankchurners_fresh(data: Path, n_seeds: int) -> Contest:
    """The same rows under seeds, so in folds, that no choice was made after."""
    seen = "the rows are those of `bankchurners`; the folds are not"
    return _contest("bankchurners_fresh", _card_holders(data), range(_FRESH, _FRESH + n_seeds), line=0.994, seen=seen)


def _card_holders(data: Path) -> Flat:
    rows = pd.read_csv(data / "bankchurners" / "BankChurners.csv.gz")
    known = [name for name in rows if not name.startswith("Naive_Bayes")]
    features = rows[known].drop(columns=["CLIENTNUM", "Attrition_Flag"])
    return Flat(features, (rows["Attrition_Flag"] == "Attrited Customer").to_numpy(float))


def av_bank_churn(data: Path, n_seeds: int) -> Contest:
    """Account holders whose balance fell away, without the columns of the month in which it began to."""
    rows = pd.read_csv(data / "av_bank_churn" / "churn_prediction.csv.gz")
    known = [name for name in rows if not name.startswith("current_")]
    flat = Flat(rows[known].drop(columns=["customer_id", "churn"]), rows["churn"].to_numpy(float))
    seen = "the panel was widened after folds of the card holders had been judged; of these rows nothing was seen"
    return _contest("av_bank_churn", flat, range(n_seeds), line=0.755, seen=seen)


def _contest(name: str, flat: Flat, seeds: range, *, line: float, seen: str) -> Contest:
    taken: Counter[str] = Counter()
    ours, theirs = [], []
    for seed in seeds:
        note(f"{name}: seed {seed}")
        ours.append(cross_fitted(flat, partial(_ours, flat, seed, taken), seed))
        theirs.append(cross_fitted(flat, partial(flat.plain, seed=seed, learning_rate=PLAIN_RATE), seed))
    said, their_said = [one.said for one in ours], [one.said for one in theirs]
    ranks, their_ranks = [one.ranks for one in ours], [one.ranks for one in theirs]
    figures = [
        beside("AUC", "auc", ranks, their_ranks, line, NOT_WORSE),
        beside("lift, top tenth", "lift_at_10", ranks, their_ranks, None),
        beside("log loss", "log_loss", said, their_said, None),
        beside("ECE", "ece", said, their_said, None),
    ]
    choices = ", ".join(f"{choice} {n}" for choice, n in taken.most_common())
    says = f"five folds a seed, ranked inside each; of the panel inside each fold's learnt rows: {choices}"
    return Contest(name, says, figures, seen)


def _ours(flat: Flat, seed: int, taken: Counter[str], learnt: Mask, asked: Mask) -> Vector:
    choice = chosen(flat, learnt, PANEL, seed)
    taken[choice] += 1
    return flat.own(learnt, asked, replace(PANEL[choice], seed=seed))
