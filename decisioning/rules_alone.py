"""All rules of the policy asked of one customer, without arrays: what `Rules` answers, for a request's single customer.

Arrays of one row cost as much as arrays of a hundred. Here the comparisons of a column are one look-up, and what is
known so far is two integers: a bit for everything that holds, and a bit for everything that is known not to. Tests
hold each answer equal to `Rules.answers`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import inf
from typing import Any

from decisioning.rules import OPERATORS, Group, Leaf, Literal, groups_of, is_number, leaves_of, normal, op_of
from features.predicates import Compare, Contains, IsMissing, OneOf, Predicate

Known = tuple[int, int]  # bits of what holds, bits of what is known not to hold
Plain = float | str | int | None  # a number or flag (NaN: missing), a code or set (None), a day since 1970 (NO_DAY)
NO_DAY = -(1 << 63)  # how NumPy writes "not a day"
_NOTHING: Known = (0, 0)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MOST_TOLD = 4096  # values of a column whose answers are remembered


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where the answer to one rule stands: a bit, and whether the rule denies it; bit 0 always holds."""

    bit: int
    is_denied: bool

    def holds(self, known: Known) -> bool:
        return bool(known[self.is_denied] & self.bit)

    def fails(self, known: Known) -> bool:
        return bool(known[not self.is_denied] & self.bit)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The comparisons of one number column: what each cut, and each stretch between cuts, answers."""

    column: str
    cuts: list[float]
    at: list[Known]
    between: list[Known]

    def of(self, value: Any) -> Known:
        if value is None or value != value:
            return _NOTHING
        place = bisect_left(self.cuts, value)
        return self.at[place] if place < len(self.cuts) and self.cuts[place] == value else self.between[place]


@dataclass(frozen=True, slots=True)
class _Others:
    """The comparisons of one column that is no number, and the answers that were given before."""

    column: str
    leaves: tuple[tuple[int, Leaf], ...]
    told: dict[Any, Known]

    def of(self, value: Any) -> Known:
        if value != value or value == NO_DAY:  # a missing number may be asked for too: whether it is missing
            value = None
        found = self.told.get(value)
        if found is None:
            if len(self.told) >= _MOST_TOLD:
                self.told.clear()
            found = self.told[value] = _gathered((bit, _test(leaf, value)) for bit, leaf in self.leaves)
        return found


@dataclass(frozen=True, slots=True)
class _Group:
    """All or any of its parts: bits that are asked as they are, and bits that are asked denied."""

    bit: int
    is_all: bool
    plain: int
    denied: int


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
        bits: dict[Leaf | Group, int] = {leaf: 2 << place for place, leaf in enumerate(leaves)}
        self._columns: list[_Numbers | _Others] = []
        self._columns += _numbers([(bits[leaf], leaf) for leaf in leaves if is_number(leaf)])
        self._columns += _others([(bits[leaf], leaf) for leaf in leaves if not is_number(leaf)])
        self._groups = _groups(parts, bits)
        self.verdicts = [_verdict(part, bits) for part in parts]

    def known(self, facts: Mapping[str, Plain]) -> Known:
        """What is known of everything that the rules ask; a fact that is absent counts as missing."""
        holds, fails = 1, 0
        for column in self._columns:
            yes, no = column.of(facts.get(column.column))
            holds |= yes
            fails |= no
        for group in self._groups:
            plain, denied = group.plain, group.denied
            if group.is_all:
                if holds & plain == plain and fails & denied == denied:
                    holds |= group.bit
                elif fails & plain or holds & denied:
                    fails |= group.bit
            elif holds & plain or fails & denied:
                holds |= group.bit
            elif fails & plain == plain and holds & denied == denied:
                fails |= group.bit
        return holds, fails


def _numbers(leaves: Sequence[tuple[int, Leaf]]) -> tuple[_Numbers, ...]:
    columns: dict[str, list[tuple[int, Leaf]]] = {}
    for bit, leaf in leaves:
        columns.setdefault(leaf.column, []).append((bit, leaf))
    found = []
    for name, mine in columns.items():
        cuts = sorted({_threshold(leaf) for _, leaf in mine})
        inner = [(low + high) / 2 for low, high in pairwise(cuts)]
        stretches = [-inf, *inner, inf]
        at = [_compared(mine, cut) for cut in cuts]
        found.append(_Numbers(name, cuts, at, [_compared(mine, value) for value in stretches]))
    return tuple(found)


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
    holds = fails = 0
    for bit, answer in answers:
        if answer is not None:
            holds |= bit if answer else 0
            fails |= 0 if answer else bit
    return holds, fails


def _groups(parts: Iterable[Literal | Group | None], bits: dict[Leaf | Group, int]) -> tuple[_Group, ...]:
    """The groups in order of depth; gives each a bit."""
    every = dict.fromkeys(group for part in parts if isinstance(part, Group) for group in groups_of(part))
    found = []
    for group in sorted(every, key=Group.depth):
        bits[group] = 2 << len(bits)
        plain = denied = 0
        for part in group.parts:
            if isinstance(part, Group):
                plain |= bits[part]
            elif part.is_denied:
                denied |= bits[part.leaf]
            else:
                plain |= bits[part.leaf]
        found.append(_Group(bits[group], group.is_all, plain, denied))
    return tuple(found)


def _verdict(part: Literal | Group | None, bits: Mapping[Leaf | Group, int]) -> Verdict:
    if part is None:
        return Verdict(1, False)
    return Verdict(bits[part], False) if isinstance(part, Group) else Verdict(bits[part.leaf], part.is_denied)
