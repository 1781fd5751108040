"""Your own table, judged as ours are: who answers, or whom telling moves, by the product's own training code.

    from training.judging.own_data import judge_arms
    told = judge_arms(frame, customer="id", treatment="mail", told="women's", untold="none", outcome="visit",
                      propensity={"women's": 1 / 3, "none": 1 / 3}, leave_out=["spend"])
    print(told)
    told.write(Path("report.html"))

A frame is a pandas one, a row a customer and occasion. Every column that is not named is a feature: leave out what was
known only afterwards; the leak guard names what looks like it. Rows with an instant are split by time; without one by
customers, and the report says so.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.errors import UserMistake
from features.vocabulary import Column, Kind
from training.boosting import Parameters
from training.examples import Examples, Split, customer_folds, instants, split_by_time
from training.fitted import FittedModel
from training.fitting import constant, fit
from training.judging.effect_judgement import judge_effects
from training.judging.effects import HeldArms
from training.judging.judgement import CONSTANT, OURS, PLAIN, compared, judge
from training.judging.leakage import Rule, guard
from training.judging.resampling import Interval
from training.models import uplift

FIGURES = Parameters(n_rounds=80, n_leaves=7, min_leaf_rows=100)
_MOST_CODES = 1_000  # a text with more values is a name or a number of something, not a kind
_N_FOLDS, _N_TEST_FOLDS = 10, 3
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse}td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}"""


@dataclass(frozen=True)
class Told:
    """What a table came to: sentences, `figures` (score -> metric -> Interval) on test rows, facts, and the model."""

    title: str
    sentences: tuple[str, ...]
    figures: Mapping[str, Mapping[str, Interval]]
    facts: Mapping[str, object]
    model: FittedModel

    def __str__(self) -> str:
        rows = [f"  {metric:<12} {'  '.join(cells)}" for metric, cells in self._rows()]
        head = f"  {'':<12} {'  '.join(f'{score:<26}' for score in self.figures)}"
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        return "\n".join([self.title, *self.sentences, head, *rows, facts])

    def to_json(self) -> dict[str, Any]:
        figures = {score: {metric: asdict(one) for metric, one in held.items()} for score, held in self.figures.items()}
        return {
            "title": self.title, "sentences": list(self.sentences), "figures": figures, "facts": dict(self.facts)
        }  # fmt: skip

    def write(self, path: Path) -> None:
        """The report as one HTML file that needs nothing beside it."""
        head = "".join(f"<th>{html.escape(score)}</th>" for score in ("", *self.figures))
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in (metric, *cells)) + "</tr>"
            for metric, cells in self._rows()
        )
        said = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in self.sentences)
        facts = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(value))}</td></tr>"
            for name, value in self.facts.items()
        )
        title = html.escape(self.title)
        path.write_text(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
            f"<h1>{title}</h1>{said}<table><tr>{head}</tr>{body}</table><h2>How it came about</h2>"
            f"<table>{facts}</table></html>", "utf-8",
        )  # fmt: skip

    def _rows(self) -> list[tuple[str, list[str]]]:
        metrics = dict.fromkeys(metric for held in self.figures.values() for metric in held)
        return [
            (metric, [f"{_cell(held.get(metric)):<26}" for held in self.figures.values()]) for metric in metrics
        ]  # fmt: skip


def judge_arms(
    frame: pd.DataFrame,
    *,
    customer: str,
    treatment: str,
    outcome: str,
    propensity: str | Mapping[Any, float],
    told: Any = 1,
    untold: Any = 0,
    at: str | None = None,
    leave_out: Collection[str] = (),
    seed: int = 0,
) -> Told:
    """Whom telling moves: the uplift model of a randomised test, on rows that it has not seen, beside its rivals.

    `treatment` holds `told` and `untold`; rows of other arms are left out and counted. `propensity` is the known
    probability of the arm that a row got: a column where there are two arms, or a figure by arm. `outcome` is 0 or 1.
    Raises UserMistake for a column that is not there or holds something else, MissingModel for too few rows.
    """
    _refuse_absent(frame, [customer, treatment, outcome, *([at] if at else [])])
    rows = frame[frame[treatment].isin([told, untold])].reset_index(drop=True)
    columns = features_of(rows, {customer, treatment, outcome, at, *leave_out, *_named(propensity)})
    is_told = (rows[treatment] == told).astype("float64")
    known = rows[[column.name for column in columns]].assign(
        customer_id=rows[customer].astype(str), outcome=_outcomes(rows, outcome), is_treated=is_told,
        propensity=_chance_of_telling(rows, propensity, is_told, told, untold),
    )  # fmt: skip
    examples, split, how = _examples(known, rows, at, seed)
    parameters = Parameters(**{**asdict(FIGURES), "seed": seed})
    found = uplift.train(examples, split, facts=columns, offers=(), parameters=parameters)
    test = examples.frame[split.test]
    rivals = {name: model for name, model in found.panel.items() if name != found.chosen}
    scores = {name: model.predict(test) for name, model in {OURS: found.ours, **rivals}.items()}
    held = HeldArms.of(test)
    judged = judge_effects(held, scores, seed=seed)
    facts = _facts(examples, split, how) | {
        "left out, other arms": len(frame) - len(rows), "chosen on training rows": found.chosen,
        **{name: f"{figure:.5f}" for name, figure in found.figures().items()},
    }  # fmt: skip
    average = f"telling gains {judged.average} a row on average"
    said = (average, *judged.sentences(), *_suspicions(examples, columns, "outcome", seed))
    if known["propensity"].round(9).nunique() == 1:
        said += _suspicions(examples, columns, "is_treated", seed)  # lots drawn evenly show in no column
    return Told(f"{told} against {untold}: effect on {outcome}", said, judged.figures, facts, found.ours)


def judge_outcomes(
    frame: pd.DataFrame,
    *,
    customer: str,
    outcome: str,
    at: str | None = None,
    leave_out: Collection[str] = (),
    seed: int = 0,
) -> Told:
    """Who answers: a model of `outcome` (0 or 1) on rows that it has not seen, where nobody was drawn to be told.

    Beside it stand a constant, chance, and the same learner on the one column that told it most. Such a table says who
    answers and nothing of whom telling moves.
    """
    _refuse_absent(frame, [customer, outcome, *([at] if at else [])])
    columns = features_of(frame, {customer, outcome, at, *leave_out})
    known = frame[[column.name for column in columns]].assign(
        customer_id=frame[customer].astype(str), outcome=_outcomes(frame, outcome)
    )
    examples, split, how = _examples(known, frame, at, seed)
    parameters = Parameters(**{**asdict(FIGURES), "seed": seed})
    ours = fit(outcome, examples, split, columns, parameters=parameters)
    first = ours.recipe.names[int(ours.trees.gains().argmax())]
    plain = fit(outcome, examples, split, [c for c in columns if c.name == first], parameters=parameters)
    test = examples.frame[split.test]
    scores = {
        CONSTANT: constant(examples.outcomes, split), PLAIN: plain.predict(test), OURS: ours.predict(test),
    }  # fmt: skip
    judged = judge(examples.outcomes[split.test], scores, test["customer_id"].to_numpy(), seed=seed)
    facts = _facts(examples, split, how) | {"plain": f"trees on {first} alone"}
    said = (f"ours is {compared(judged.ours_less_plain, f'model of {first} alone')}",)
    return Told(
        f"who has {outcome}", (*said, *_suspicions(examples, columns, "outcome", seed)), judged.figures, facts, ours
    )  # fmt: skip


def _suspicions(examples: Examples, columns: Collection[Column], of: str, seed: int) -> tuple[str, ...]:
    """What the leak guard says of the features as a ground to foretell the outcome, or who was told."""
    frame = examples.frame
    sent = instants(frame["sent_at"]) if "sent_at" in frame else np.zeros(len(frame), dtype="datetime64[us]")
    found = guard(
        frame[[column.name for column in columns]], frame[of].to_numpy(dtype=np.float64), sent,
        customers=frame["customer_id"].to_numpy(), seed=seed,
    )  # fmt: skip
    if of == "is_treated":
        return tuple(f"who was told shows in a column: {one.says}" for one in found if one.rule is not Rule.NO_SIGNAL)
    return tuple(f"suspect: {one.says}" for one in found)


def features_of(frame: pd.DataFrame, taken: Collection[str | None]) -> tuple[Column, ...]:
    """Every column of `frame` but those `taken` that a model can learn from: numbers, flags, texts of few values."""
    found = [Column(str(name), kind, str(name), "not given") for name in frame.columns
             if name not in taken and (kind := _kind(frame[name])) is not None]  # fmt: skip
    if not found:
        raise UserMistake("no column is left to learn from", value=list(map(str, frame.columns)),
                          todo="add what was known of the customer before")  # fmt: skip
    return tuple(found)


def _kind(values: pd.Series[Any]) -> Kind | None:
    if pd.api.types.is_bool_dtype(values):
        return Kind.FLAG
    if pd.api.types.is_numeric_dtype(values):
        return Kind.NUMBER
    if pd.api.types.is_datetime64_any_dtype(values):
        return None
    return Kind.CODE if values.nunique() <= min(_MOST_CODES, len(values) / 2) else None


def _examples(known: pd.DataFrame, rows: pd.DataFrame, at: str | None, seed: int) -> tuple[Examples, Split, str]:
    """The rows as examples, which of them judge, and how they were parted."""
    if at is not None:
        known = known.assign(sent_at=pd.to_datetime(rows[at], utc=True))
        sent = instants(known["sent_at"])
        split = split_by_time(sent, sent, test_share=_N_TEST_FOLDS / _N_FOLDS)
        return Examples(known, {}), split, f"by time, test from {split.test_from}"
    folds = customer_folds(known["customer_id"].to_numpy(), _N_FOLDS, seed)
    test = folds < _N_TEST_FOLDS
    split = Split(~test, test, np.datetime64("NaT", "us"))
    return Examples(known, {}), split, "by customers: without instants nothing is said of how it holds over time"


def _chance_of_telling(
    rows: pd.DataFrame, propensity: str | Mapping[Any, float], is_told: pd.Series[Any], told: Any, untold: Any
) -> pd.Series[Any]:
    """The probability of being told, given that the row is in one of the two arms."""
    if isinstance(propensity, str):
        _refuse_absent(rows, [propensity])
        own = rows[propensity].astype("float64")
        return own.where(is_told == 1, 1 - own)
    lacks = [arm for arm in (told, untold) if arm not in propensity]
    if lacks:
        raise UserMistake("an arm has no propensity", value=lacks, allowed=list(propensity))
    share = float(propensity[told]) / (float(propensity[told]) + float(propensity[untold]))
    return pd.Series(share, index=rows.index)


def _outcomes(rows: pd.DataFrame, name: str) -> pd.Series[Any]:
    values = pd.to_numeric(rows[name], errors="coerce").astype("float64")
    if not values.isin([0.0, 1.0]).all():
        wrong = rows.loc[~values.isin([0.0, 1.0]), name].iloc[0]
        raise UserMistake(f"outcome {name!r} holds something else", value=wrong, allowed="0 and 1")
    return values


def _named(propensity: str | Mapping[Any, float]) -> set[str]:
    return {propensity} if isinstance(propensity, str) else set()


def _refuse_absent(frame: pd.DataFrame, names: Collection[str]) -> None:
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise UserMistake("the table has no such column", value=absent, allowed=list(map(str, frame.columns)))


def _facts(examples: Examples, split: Split, how: str) -> dict[str, object]:
    return {**split.sizes(), "positive": examples.n_positive, "split": how}


def _cell(interval: Interval | None) -> str:
    return "–" if interval is None or interval.value != interval.value else str(interval)
