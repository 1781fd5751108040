"""Columns that know too much, found before a model is trained on them; and data in which there is nothing to find.

`guard` returns what is suspect, each with the figure and the limit it passed. Statistics cannot tell a fact that leaks
from one that is merely strong: a suspicion asks a person for the time at which the column is known. Who has that names
the column in `vouched`, and the rules that compare (ALONE, MOVED) leave it be.

    LATE       known after the decision in at least one row
    ANSWER     ranks the outcome nearly without fault, alone
    PURE       picks out a good part of a rare outcome nearly without fault, alone
    ALONE      says more than all other columns together
    MOVED      the change from an older reading to this one says more than all that was known before
    NO_SIGNAL  all columns together say nothing

Ranks are compared within blocks of one time, each judged by what came before it (see `training.judging.blocks`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import UserMistake
from training.judging.blocks import Area, Blocks, Vector
from training.judging.evidence import Evidence

Instants = NDArray[np.datetime64]

ALL = "all columns"
ANSWER_AUC = 0.98  # nobody's decision is foretold like this: what ranks so well was written after it
PURE_PRECISION, PURE_RECALL, RARE = 0.98, 0.1, 0.25  # one honest column reached .03 of a rare outcome at such purity
LEAST_AUC = 0.70  # below it a column may lead where the others are weak, and does little harm
LEAD = 0.02  # bins and trees read the same column this differently; on honest sets no column was ahead at all
TWIN_CORRELATION = 0.7  # two readings of one quantity rank customers alike
MOST_ROWS = 40_000  # an AUC then has an error of about .004, a fifth of LEAD
_MOST_GROUPS = 5
_BLIND = 0.5


class Rule(StrEnum):
    """Why a column is suspect."""

    LATE = "LATE"
    ANSWER = "ANSWER"
    PURE = "PURE"
    ALONE = "ALONE"
    MOVED = "MOVED"
    NO_SIGNAL = "NO_SIGNAL"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One column that passed the `limit` of one rule with `figure`, and the sentence that says so, in both languages.

    NO_SIGNAL is of ALL columns; its figure is the lower end of their AUC and stays below the limit.
    """

    column: str
    rule: Rule
    figure: float
    limit: float
    says: str
    says_zh: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def guard(
    frame: pd.DataFrame,
    outcomes: Vector,
    sent_at: Instants,
    *,
    customers: NDArray[Any] | None = None,
    known_at: Mapping[str, Instants] | None = None,
    vouched: Collection[str] = (),
    seed: int = 0,
) -> tuple[Suspicion, ...]:
    """What is suspect in `frame` (n rows, features alone) as a ground to foretell `outcomes` (n,), 0 or 1.

    `sent_at` (n,) are the decisions' instants, datetime64 in UTC: where they differ, a block of time is judged by what
    came before; where they do not, folds of customers are. `customers` (n,) says whose rows belong together (each its
    own without it), `known_at` the instant from which each value of a column was known, NaT for never. At most
    MOST_ROWS rows, drawn by `seed`, are compared; LATE reads all. Suspicions come in the order of the rules, columns in
    that of the frame. The same rows and seed give the same answer.

    Raises UserMistake for lengths that differ, an outcome that is neither 0 nor 1, or a column in `known_at` or
    `vouched` that the frame lacks.

    Kaufman, Rosset & Perlich (2011), Leakage in Data Mining, KDD.
    """
    known_at = known_at or {}
    _refuse_unlike(frame, outcomes, sent_at, {*known_at, *vouched})
    late = [_late(name, known_at[name], sent_at) for name in frame.columns if name in known_at]
    found = [one for one in late if one is not None]
    whose = np.arange(len(frame)) if customers is None else np.asarray(customers)
    rows = _drawn(len(frame), seed)
    blocks = Blocks.of(sent_at[rows], whose[rows], seed=seed)
    seen = Evidence(frame.iloc[rows], np.asarray(outcomes, dtype=np.float64)[rows], blocks, seed)
    known = {one.column for one in found}
    for rule in (_answers, _pure, _alone, _moved):
        more = list(rule(seen, [name for name in seen.names if name not in known], vouched))
        found += more
        known |= {one.column for one in more}
    return (*found, *_no_signal(seen, [name for name in seen.names if name not in known]))


def _late(name: str, known: Instants, sent_at: Instants) -> Suspicion | None:
    is_late = ~np.isnat(known) & (known > sent_at)
    share = float(is_late.mean())
    if share == 0:
        return None
    said = f"{name} is known after the decision in {int(is_late.sum()):,} of {len(known):,} rows"
    zh = f"{name} 在 {len(known):,} 行中有 {int(is_late.sum()):,} 行到决策之后才知道"
    return Suspicion(name, Rule.LATE, share, 0.0, said, zh)


def _answers(seen: Evidence, names: Sequence[str], _vouched: Collection[str]) -> Iterator[Suspicion]:
    for name in names:
        reached = seen.alone[name].value
        if reached >= ANSWER_AUC:
            said = f"{name} alone ranks the outcome with AUC {reached:.3f}: it is the answer"
            zh = f"{name} 单独就能把结果排到 AUC {reached:.3f}：它就是答案"
            yield Suspicion(name, Rule.ANSWER, reached, ANSWER_AUC, said, zh)


def _pure(seen: Evidence, names: Sequence[str], _vouched: Collection[str]) -> Iterator[Suspicion]:
    """Judged on an outcome that is RARE: of a common one every strong column picks some without fault."""
    if seen.base > RARE:
        return
    for name in names:
        recall = seen.recall_at(PURE_PRECISION, name)
        if recall >= PURE_RECALL:
            said = f"{name} alone picks {recall:.0%} of an outcome of {seen.base:.1%} with hardly a fault"
            zh = f"结果占 {seen.base:.1%}，{name} 单独就挑出其中 {recall:.0%}，几乎不出错"
            yield Suspicion(name, Rule.PURE, recall, PURE_RECALL, said, zh)


def _alone(seen: Evidence, names: Sequence[str], vouched: Collection[str]) -> Iterator[Suspicion]:
    """The strongest column against the rest without its copies, and again without it, until one is no longer ahead."""
    left = list(names)
    for name in sorted(names, key=lambda one: -seen.alone[one].value):
        if not seen.alone[name].value >= LEAST_AUC:
            return
        if name in vouched or name not in left:
            continue
        copies = seen.copies(name)
        rest = [one for one in left if one not in copies]
        lead = seen.alone[name].less(seen.together(rest))
        if not seen.lower(lead) > LEAD:
            return
        for copy in sorted(copies & set(left) - set(vouched), key=names.index):
            mine, others = f"{seen.alone[copy].value:.3f}", f"{seen.together(rest).value:.3f}"
            said = f"{copy} alone ranks with AUC {mine}, all other columns together with {others}"
            zh = f"{copy} 单独的 AUC 为 {mine}，其余各列合起来才 {others}"
            yield Suspicion(copy, Rule.ALONE, lead.value, LEAD, said, zh)
        left = rest


def _moved(seen: Evidence, names: Sequence[str], vouched: Collection[str]) -> Iterator[Suspicion]:
    """Two readings of one quantity whose difference outranks everything that does not share the time of the newer.

    Nothing says which is the newer or what else was read with it. So each word that sets their names apart is tried as
    the mark of a time (`current_` beside `previous_`), and the column alone; the one whose absence leaves least is it.
    """
    asked = [
        (seen.together([name for name in names if name not in group]), change, newer, older, group)
        for change, newer, older, group in _changes(seen, names)[:_MOST_GROUPS]
    ]
    suspect: set[str] = set()
    for rest, change, newer, older, group in sorted(
        asked, key=lambda one: (one[0].value, -len(one[-1]), sorted(one[-1]))
    ):
        if suspect & {newer, older} or not seen.lower(change.less(rest)) > 0:
            continue
        suspect |= group
        for name in (one for one in names if one in group and one not in vouched):
            said = (f"{newer} less {older} alone ranks with AUC {change.value:.3f}, all that does not share its time "
                    f"with {rest.value:.3f}; {name} does")  # fmt: skip
            zh = (f"{newer} 减 {older} 单独的 AUC 为 {change.value:.3f}，与它不同时点的各列合起来才 {rest.value:.3f}；"
                  f"{name} 与它同一时点")  # fmt: skip
            yield Suspicion(name, Rule.MOVED, change.value, rest.value, said, zh)


def _changes(seen: Evidence, names: Sequence[str]) -> list[tuple[Area, str, str, frozenset[str]]]:
    """For each group of columns the strongest change into it: AUC, newer and older column, group; strongest first."""
    best: dict[frozenset[str], tuple[Area, str, str]] = {}
    for first, second in _twins(seen, names):
        change = seen.arrays[first] - seen.arrays[second]
        if abs(seen.raw_auc(change) - _BLIND) < (LEAST_AUC - _BLIND) / 2:
            continue
        reached = seen.area_of(seen.rates(change))
        if not reached.value >= LEAST_AUC:
            continue
        for newer, older in ((first, second), (second, first)):
            for group in _of_one_time(newer, older, names):
                if group not in best or reached.value > best[group][0].value:
                    best[group] = reached, newer, older
    found = [(*change, group) for group, change in best.items()]
    return sorted(found, key=lambda one: (-one[0].value, -len(one[3]), one[1], sorted(one[3])))


def _twins(seen: Evidence, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    numbers = [name for name in seen.numbers if name in names]
    for at, first in enumerate(numbers):
        alike = seen.correlations[first]
        yield from ((first, second) for second in numbers[at + 1 :] if alike[second] >= TWIN_CORRELATION)


def _of_one_time(newer: str, older: str, names: Sequence[str]) -> set[frozenset[str]]:
    """`newer` alone, and those columns that share with it a word that the name of `older` lacks."""
    groups = {frozenset({newer})}
    for word in _words(newer) - _words(older):
        group = frozenset(name for name in names if word in _words(name))
        if len(group) <= len(names) / 2:
            groups.add(group)
    return groups


def _words(name: str) -> set[str]:
    return {word.lower() for word in re.split(r"[^0-9A-Za-z]+", name) if word}


def _no_signal(seen: Evidence, names: Sequence[str]) -> Iterator[Suspicion]:
    reached = seen.together(names)
    least = seen.lower(reached)
    if not least > _BLIND:
        said = f"no signal: all columns together rank with AUC {reached.value:.3f}, which may be chance"
        zh = f"没有信号：各列合起来的 AUC 为 {reached.value:.3f}，可能只是偶然"
        yield Suspicion(ALL, Rule.NO_SIGNAL, least, _BLIND, said, zh)


def _drawn(n_rows: int, seed: int) -> NDArray[np.int64]:
    if n_rows <= MOST_ROWS:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(seed).choice(n_rows, MOST_ROWS, replace=False))


def _refuse_unlike(frame: pd.DataFrame, outcomes: Vector, sent_at: Instants, named: Collection[str]) -> None:
    lengths = {"frame": len(frame), "outcomes": len(outcomes), "sent_at": len(sent_at)}
    if len(set(lengths.values())) > 1 or len(frame) == 0:
        raise UserMistake("the guard needs as many outcomes and instants as rows", value=lengths)
    odd = np.setdiff1d(outcomes, [0, 1])
    if len(odd):
        raise UserMistake("an outcome is neither 0 nor 1", value=float(odd[0]), allowed="0, 1")
    unknown = sorted(set(named) - set(frame.columns))
    if unknown:
        raise UserMistake("no such column to vouch for", value=unknown[0], allowed=frame.columns)
