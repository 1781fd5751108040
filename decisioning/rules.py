"""All rules of the policy answered at once: the same three-valued logic as `Predicate`, for one customer or many.

A decision asks some hundred rules (gates, exclusions, overlays, channels). Asked one by one they cost more than the
whole decision; here every distinct comparison is made once and the logic above it is reduced level by level. Tests
hold each answer equal to `Predicate.truth`. A column that is absent counts as missing for everybody.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.predicates import AnyOf, Compare, Contains, Flag, IsMissing, Node, Not, OneOf, Predicate

Bools = NDArray[np.bool_]
Indexes = NDArray[np.intp]
Facts = Mapping[str, NDArray[Any]]
Leaf = Compare | OneOf | Contains | Flag | IsMissing
OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ALWAYS, _NEVER, _FIRST_LEAF = 0, 1, 2  # rows of the truth table before the leaves
_FAILS, _HOLDS, _UNKNOWN = 0, 1, 2
_MOST_TOLD = 4096  # values of a column whose answers are remembered


@dataclass(frozen=True, slots=True)
class Answers:
    """What r rules say of n customers: `true` and `false`, both bool (r, n); where neither holds it is unknown."""

    true: Bools
    false: Bools

    @property
    def unknown(self) -> Bools:
        return ~(self.true | self.false)


@dataclass(frozen=True, slots=True)
class Literal:
    """A leaf or its denial."""

    leaf: Leaf
    is_denied: bool


@dataclass(frozen=True, slots=True)
class Group:
    """All or any of its parts, each of which is a literal or a group; denials stand at the leaves alone."""

    is_all: bool
    parts: tuple[Literal | Group, ...]

    def depth(self) -> int:
        return 1 + max(part.depth() if isinstance(part, Group) else 0 for part in self.parts)


@dataclass(frozen=True, slots=True)
class _Reduction:
    """Groups of one depth and kind: rows `parts` of the truth table, cut at `starts`, one result a cut."""

    is_all: bool
    parts: Indexes
    starts: Indexes


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Number comparisons in order of operator: leaf k compares `columns[rows[k]]` with `thresholds[k]`."""

    columns: tuple[str, ...]
    rows: Indexes
    thresholds: NDArray[np.float64]
    runs: tuple[tuple[str, int, int], ...]  # operator, from leaf, to leaf


@dataclass(frozen=True, slots=True)
class _Tests:
    """The leaves over one column that is no number: what they say of a value, and of a missing one."""

    of_value: tuple[Callable[[Any], int], ...]
    of_none: list[int]
    told: dict[Any, list[int]] = field(default_factory=dict, compare=False, repr=False)  # answers given before

    def of(self, value: Any) -> list[int]:
        """What the leaves say of one value; codes, sets and dates come again and again."""
        found = self.told.get(value)
        if found is None:
            if len(self.told) >= _MOST_TOLD:
                self.told.clear()
            found = self.told[value] = self.of_none if value is None else [test(value) for test in self.of_value]
        return found


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules compiled together, in the order given; None among them holds for everybody.

    >>> rules = Rules.of([Predicate.parse("age >= 60 and not is_staff"), None])
    >>> answers = rules.answers({"age": np.array([70.0, 70.0, 30.0]), "is_staff": np.array([0.0, np.nan, np.nan])}, 3)
    >>> answers.true.tolist(), answers.false[0].tolist()
    ([[True, False, False], [True, True, True]], [False, False, True])
    """

    numbers: _Numbers
    others: tuple[tuple[str, _Tests], ...]
    reductions: tuple[_Reduction, ...]
    n_leaves: int
    n_rows: int
    true_rows: Indexes
    false_rows: Indexes

    @classmethod
    def of(cls, rules: Iterable[Predicate | None]) -> Rules:
        """The rules compiled; the i-th answers belong to the i-th rule."""
        holds = [None if rule is None else normal(rule.node, is_denied=False) for rule in rules]
        fails = [None if part is None else _denied(part) for part in holds]
        leaves = list(dict.fromkeys(leaf for part in holds if part is not None for leaf in leaves_of(part)))
        others = _others(leaves)
        ordered = [*_ordered_numbers(leaves), *(leaf for group in others.values() for leaf in group)]
        rows: dict[Literal | Group, int] = {}
        for k, leaf in enumerate(ordered):
            rows[Literal(leaf, is_denied=False)] = _FIRST_LEAF + k
            rows[Literal(leaf, is_denied=True)] = _FIRST_LEAF + len(ordered) + k
        reductions = _reductions([*holds, *fails], rows)
        return cls(
            numbers=_numbers(leaves),
            others=tuple((name, _tests(group)) for name, group in others.items()),
            reductions=reductions,
            n_leaves=len(ordered),
            n_rows=_FIRST_LEAF + len(rows),
            true_rows=np.array([_ALWAYS if part is None else rows[part] for part in holds], dtype=np.intp),
            false_rows=np.array([_NEVER if part is None else rows[part] for part in fails], dtype=np.intp),
        )

    def answers(self, facts: Facts, n: int) -> Answers:
        """Answers of all rules for n customers, from facts of n rows each."""
        table = np.empty((self.n_rows, n), dtype=bool)
        table[_ALWAYS], table[_NEVER] = True, False
        end = _FIRST_LEAF + self.n_leaves
        self._compare_numbers(facts, table, n)
        self._compare_others(facts, table, n)
        row = end + self.n_leaves
        for step in self.reductions:
            reduce = np.logical_and if step.is_all else np.logical_or
            reduce.reduceat(table[step.parts], step.starts, axis=0, out=table[row : row + len(step.starts)])
            row += len(step.starts)
        return Answers(table[self.true_rows], table[self.false_rows])

    def _compare_numbers(self, facts: Facts, table: Bools, n: int) -> None:
        numbers = self.numbers
        if not numbers.columns:
            return
        missing = np.full(n, np.nan)
        values = np.concatenate([facts.get(name, missing) for name in numbers.columns]).reshape(-1, n)[numbers.rows]
        true = table[_FIRST_LEAF : _FIRST_LEAF + len(numbers.rows)]
        for op, start, stop in numbers.runs:
            true[start:stop] = OPERATORS[op](values[start:stop], numbers.thresholds[start:stop])
        known = values == values
        true &= known
        start = _FIRST_LEAF + self.n_leaves
        np.greater(known, true, out=table[start : start + len(numbers.rows)])

    def _compare_others(self, facts: Facts, table: Bools, n: int) -> None:
        if not self.others:
            return
        missing = np.full(n, None, dtype=object)
        told = [_by_value(facts.get(name, missing), tests) for name, tests in self.others]
        if n == 1:  # one conversion instead of one a column, which is most of the time that a single customer takes
            said = np.array([code for rows, _ in told for code in rows[0]], dtype=np.int8).reshape(-1, 1)
        else:
            said = np.concatenate([np.array(rows, dtype=np.int8).T[:, ids] for rows, ids in told])
        start = _FIRST_LEAF + len(self.numbers.rows)
        table[start : start + len(said)] = said == _HOLDS
        table[start + self.n_leaves : start + self.n_leaves + len(said)] = said == _FAILS


def normal(node: Node, *, is_denied: bool) -> Literal | Group:
    """The rule with denials pushed down to the leaves (De Morgan holds in three-valued logic)."""
    if isinstance(node, Not):
        return normal(node.part, is_denied=not is_denied)
    if isinstance(node, OneOf) and isinstance(node.literals[0], float):
        node = AnyOf(tuple(Compare(node.column, "==", literal) for literal in node.literals))
    if isinstance(node, Compare | OneOf | Contains | Flag | IsMissing):
        return Literal(node, is_denied)
    is_any = isinstance(node, AnyOf)
    return Group(is_any is is_denied, tuple(normal(part, is_denied=is_denied) for part in node.parts))


def _denied(part: Literal | Group) -> Literal | Group:
    if isinstance(part, Literal):
        return Literal(part.leaf, not part.is_denied)
    return Group(not part.is_all, tuple(_denied(inner) for inner in part.parts))


def leaves_of(part: Literal | Group) -> Iterator[Leaf]:
    """The comparisons of a rule, from left to right."""
    if isinstance(part, Literal):
        yield part.leaf
    else:
        for inner in part.parts:
            yield from leaves_of(inner)


def is_number(leaf: Leaf) -> bool:
    """Whether a leaf compares a number or a flag with a figure."""
    return isinstance(leaf, Flag) or (isinstance(leaf, Compare) and isinstance(leaf.literal, float))


def op_of(leaf: Leaf) -> str:
    """The operator of a leaf over a number; a flag that stands alone is compared with 1."""
    return leaf.op if isinstance(leaf, Compare) else "=="


def _ordered_numbers(leaves: Sequence[Leaf]) -> list[Leaf]:
    return sorted(filter(is_number, leaves), key=op_of)


def _numbers(leaves: Sequence[Leaf]) -> _Numbers:
    ordered = _ordered_numbers(leaves)
    columns = tuple(dict.fromkeys(leaf.column for leaf in ordered))
    ops = [op_of(leaf) for leaf in ordered]
    literals = [leaf.literal if isinstance(leaf, Compare) else 1.0 for leaf in ordered]
    return _Numbers(
        columns=columns,
        rows=np.array([columns.index(leaf.column) for leaf in ordered], dtype=np.intp),
        thresholds=np.array(literals, dtype=np.float64).reshape(-1, 1),
        runs=tuple((op, ops.index(op), ops.index(op) + ops.count(op)) for op in dict.fromkeys(ops)),
    )


def _others(leaves: Sequence[Leaf]) -> dict[str, list[Leaf]]:
    grouped: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        if not is_number(leaf):
            grouped.setdefault(leaf.column, []).append(leaf)
    return grouped


def _tests(leaves: Sequence[Leaf]) -> _Tests:
    of_none = [_HOLDS if isinstance(leaf, IsMissing) else _UNKNOWN for leaf in leaves]
    return _Tests(tuple(_test(leaf) for leaf in leaves), of_none)


def _reductions(parts: Sequence[Literal | Group | None], rows: dict[Literal | Group, int]) -> tuple[_Reduction, ...]:
    """Groups in order of depth, each a row of the truth table behind its parts' rows; fills `rows`."""
    groups = dict.fromkeys(group for part in parts if isinstance(part, Group) for group in groups_of(part))
    steps = []
    for depth, is_all in sorted({(group.depth(), group.is_all) for group in groups}):
        level = [group for group in groups if group.depth() == depth and group.is_all is is_all]
        sizes = [len(group.parts) for group in level]
        steps.append(
            _Reduction(
                is_all,
                np.array([rows[part] for group in level for part in group.parts], dtype=np.intp),
                np.cumsum([0, *sizes[:-1]], dtype=np.intp),
            )
        )
        for group in level:
            rows[group] = _FIRST_LEAF + len(rows)
    return tuple(steps)


def groups_of(group: Group) -> Iterator[Group]:
    """A group and all that stand in it."""
    yield group
    for part in group.parts:
        if isinstance(part, Group):
            yield from groups_of(part)


def _by_value(values: NDArray[Any], tests: _Tests) -> tuple[list[list[int]], list[int]]:
    """What the leaves say of each distinct value, and which value each customer has: (distinct, leaves) and (n,)."""
    plain = values.tolist()
    if values.dtype.kind == "f":
        plain = [None if value != value else value for value in plain]
    seen: dict[Any, int] = {}
    ids = [seen.setdefault(value, len(seen)) for value in plain]
    return [tests.of(value) for value in seen], ids


def _test(leaf: Leaf) -> Callable[[Any], int]:
    """A leaf over a code, a set or a date that is not missing: 1 where it holds, 0 where not."""
    if isinstance(leaf, Contains):
        needle = f"|{leaf.code}|"
        return lambda value: int(needle in value)
    if isinstance(leaf, OneOf):
        return lambda value: int(value in leaf.literals)
    if isinstance(leaf, Compare):
        compare, literal = OPERATORS[leaf.op], leaf.literal
        return lambda value: int(compare(value, literal))
    return lambda _: 0  # IsMissing of a value that is there
