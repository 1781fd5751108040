"""All rules of the policy asked of one customer, without arrays: what `Rules` answers, for a request's single customer.

Arrays of one row cost as much as arrays of a hundred. Here the comparisons of a column are one look-up, and what is
known so far is one integer with two bits for everything that is asked: that it holds, and that it is known not to.
Tests hold each answer equal to `Rules.answers`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import inf, nextafter
from typing import Any

from decisioning.rules import OPERATORS, Group, Leaf, Literal, groups_of, is_number, leaves_of, normal, op_of
from features.predicates import Compare, Contains, IsMissing, OneOf, Predicate

Known = int  # of each thing asked the bit that it holds, and the one above it that it is known not to
Plain = float | str | int | None  # a number or flag (NaN: missing), a code or set (None), a day since 1970 (NO_DAY)
NO_DAY = -(1 << 63)  # how NumPy writes "not a day"
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MOST_TOLD = 4096  # values of a column whose answers are remembered


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one rule: the bits of which each says that it holds, and that it fails."""

    yes: int
    no: int

    def holds(self, known: Known) -> bool:
        return known & self.yes != 0

    def fails(self, known: Known) -> bool:
        return known & self.no != 0


@dataclass(frozen=True, slots=True)
class _Others:
    """The comparisons of one column that is no number, and the answers that were given before."""

    column: str
    leaves: tuple[tuple[int, Leaf], ...]
    told: dict[Any, Known]

    def of(self, value: Any) -> Known:
        if value != value:  # a missing number may be asked for too: whether it is missing
            value = None
        found = self.told.get(value)
        if found is None:
            if len(self.told) >= _MOST_TOLD:
                self.told.clear()
            known = None if value == NO_DAY else value
            found = self.told[value] = _gathered((bit, _test(leaf, known)) for bit, leaf in self.leaves)
        return found


@dataclass(frozen=True, slots=True)
class _Group:
    """All or any of its parts: bits of which each says that a part holds, or that it fails."""

    bit: int
    is_all: bool
    yes: int
    no: int


class RulesAlone:
    """Rules compiled together; `verdicts` has one for each rule given, in order; None among them holds for everybody.

    >>> rules = RulesAlone([Predicate.parse("age >= 60 and not is_staff"), None])
    >>> known = rules.known({"age": 70.0, "is_staff": float("nan")})
    >>> [(v.holds(known), v.fails(known)) for v in rules.verdicts]
    [(False, False), (True, False)]
    """

    def __init__(self, rules: Iterable[Predicate | None]) -> None:
        parts = [None if rule is None else normal(rule.node, is_denied=False) for rule in rules]
        leaves = list(dict.fromkeys(leaf for part in parts if part is not None for leaf in leaves_of(part)))
        bits: dict[Leaf | Group, int] = {leaf: 4 << 2 * place for place, leaf in enumerate(leaves)}
        self._numbers = _numbers([(bits[leaf], leaf) for leaf in leaves if is_number(leaf)])
        others = _others([(bits[leaf], leaf) for leaf in leaves if not is_number(leaf)])
        self._others = [(column.column, column.told, column.of) for column in others]
        self._groups = [(group.bit, group.is_all, group.yes, group.no) for group in _groups(parts, bits)]
        self.verdicts = [_verdict(part, bits) for part in parts]

    def known(self, facts: Mapping[str, Any]) -> Known:
        """What is known of everything that the rules ask; a fact that is absent counts as missing."""
        known, get = 1, facts.get
        for column, cuts, answers in self._numbers:
            value = get(column)
            if value is not None and value == value:
                known |= answers[bisect_right(cuts, value)]
        for column, told, of in self._others:
            value = get(column)
            found = told.get(value)
            known |= of(value) if found is None else found
        for bit, is_all, yes, no in self._groups:
            if is_all:
                if known & yes == yes:
                    known |= bit
                elif known & no:
                    known |= bit << 1
            elif known & yes:
                known |= bit
            elif known & no == no:
                known |= bit << 1
        return known


def _numbers(leaves: Sequence[tuple[int, Leaf]]) -> list[tuple[str, list[float], list[Known]]]:
    """Each column with its cuts, each followed by the number right above it, and what a value below the first cut, at
    it, between it and the second … answers."""
    columns: dict[str, list[tuple[int, Leaf]]] = {}
    for bit, leaf in leaves:
        columns.setdefault(leaf.column, []).append((bit, leaf))
    found = []
    for name, mine in columns.items():
        cuts = sorted({_threshold(leaf) for _, leaf in mine})
        between = [-inf, *((low + high) / 2 for low, high in pairwise(cuts)), inf]
        values = [value for pair in zip(between, [*cuts, inf], strict=True) for value in pair][:-1]
        edges = [edge for cut in cuts for edge in (cut, nextafter(cut, inf))]
        found.append((name, edges, [_compared(mine, value) for value in values]))
    return found


def _compared(leaves: Sequence[tuple[int, Leaf]], value: float) -> Known:
    return _gathered((bit, bool(OPERATORS[op_of(leaf)](value, _threshold(leaf)))) for bit, leaf in leaves)


def _threshold(leaf: Leaf) -> float:
    return leaf.literal if isinstance(leaf, Compare) and isinstance(leaf.literal, float) else 1.0


def _others(leaves: Sequence[tuple[int, Leaf]]) -> tuple[_Others, ...]:
    columns: dict[str, list[tuple[int, Leaf]]] = {}
    for bit, leaf in leaves:
        columns.setdefault(leaf.column, []).append((bit, leaf))
    return tuple(_Others(name, tuple(mine), {}) for name, mine in columns.items())


def _test(leaf: Leaf, value: Any) -> bool | None:
    """What a leaf says of a code, a set or a day; None where it cannot tell."""
    if isinstance(leaf, IsMissing):
        return value is None
    if value is None:
        return None
    if isinstance(leaf, Contains):
        return f"|{leaf.code}|" in value
    if isinstance(leaf, OneOf):
        return value in [_plain(literal) for literal in leaf.literals]
    if isinstance(leaf, Compare):
        return bool(OPERATORS[leaf.op](value, _plain(leaf.literal)))
    raise TypeError(f"a rule asks {leaf} of a column that is no number")


def _plain(literal: Any) -> Any:
    return literal.toordinal() - _EPOCH_DAY if isinstance(literal, date) else literal


def _gathered(answers: Iterable[tuple[int, bool | None]]) -> Known:
    known = 0
    for bit, answer in answers:
        if answer is not None:
            known |= bit if answer else bit << 1
    return known


def _groups(parts: Iterable[Literal | Group | None], bits: dict[Leaf | Group, int]) -> list[_Group]:
    """The groups in order of depth; gives each its bits."""
    every = dict.fromkeys(group for part in parts if isinstance(part, Group) for group in groups_of(part))
    found = []
    for group in sorted(every, key=Group.depth):
        bits[group] = 4 << 2 * len(bits)
        yes = no = 0
        for verdict in (_verdict(part, bits) for part in group.parts):
            yes |= verdict.yes
            no |= verdict.no
        found.append(_Group(bits[group], group.is_all, yes, no))
    return found


def _verdict(part: Literal | Group | None, bits: Mapping[Leaf | Group, int]) -> Verdict:
    if part is None:
        return Verdict(1, 0)
    if isinstance(part, Group):
        return Verdict(bits[part], bits[part] << 1)
    bit = bits[part.leaf]
    return Verdict(bit << 1, bit) if part.is_denied else Verdict(bit, bit << 1)
