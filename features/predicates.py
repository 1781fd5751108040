"""One typed predicate language for classes, gates, overlays, steps, stops and audiences.

A predicate is written as text, `age >= 60 and not is_staff`, parsed once into frozen nodes, checked against the
columns it may name, and read in two ways that a property test holds equal: as an Ibis expression over a table and
as a NumPy mask over arrays. Its logic has three values: a comparison with a missing value is *unknown*, and
unknown spreads as in SQL, so that a gate can tell "no" from "we do not know".

    comparison   age >= 60      customer_class == 'SILVER'      next_maturity_on < '2025-12-31'
    membership   tier in ('VIP', 'VVIP')        'P22' in held_products
    missing      employer_id is None            employer_id is not None
    logic        a and b        a or b          not a           has_loan (a flag stands alone)
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from features.errors import BadPredicate
from features.vocabulary import Column, Kind

Arrays = Mapping[str, NDArray[Any]]
Literal = float | str | date

_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_APPLY: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
MOST_CHARACTERS = 10_000  # of a rule
_ORDERED = {Kind.INTEGER, Kind.NUMBER, Kind.AMOUNT, Kind.DATE, Kind.INSTANT}
_TEXT = {Kind.CODE, Kind.SET}


@dataclass(frozen=True, slots=True)
class Truth:
    """Three-valued answer for n rows: `true` where it holds, `known` where it could be told; both bool, shape (n,)."""

    true: NDArray[np.bool_]
    known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Compare:
    """`column op literal`."""

    column: str
    op: str
    literal: Literal

    def expr(self, table: ir.Table) -> Any:
        return _APPLY[self.op](table[self.column], _ibis_literal(self.literal))

    def truth(self, arrays: Arrays) -> Truth:
        values = arrays[self.column]
        known = ~_missing(values)
        literal = np.datetime64(self.literal) if isinstance(self.literal, date) else self.literal
        if values.dtype == object:  # None sorts nowhere, so only rows that are known are compared
            true = np.zeros(len(values), dtype=bool)
            true[known] = _APPLY[self.op](values[known], literal)
            return Truth(true, known)
        return Truth(np.asarray(_APPLY[self.op](values, literal), dtype=bool) & known, known)

    def columns(self) -> Iterator[str]:
        yield self.column


@dataclass(frozen=True, slots=True)
class OneOf:
    """`column in (literal, …)`."""

    column: str
    literals: tuple[Literal, ...]

    def expr(self, table: ir.Table) -> Any:
        return table[self.column].isin([_ibis_literal(x) for x in self.literals])

    def truth(self, arrays: Arrays) -> Truth:
        parts = [Compare(self.column, "==", literal).truth(arrays) for literal in self.literals]
        return Truth(np.logical_or.reduce([p.true for p in parts]), parts[0].known)

    def columns(self) -> Iterator[str]:
        yield self.column


@dataclass(frozen=True, slots=True)
class Contains:
    """`'code' in set_column`, where a set is written |A|B|."""

    column: str
    code: str

    def expr(self, table: ir.Table) -> Any:
        return table[self.column].contains(f"|{self.code}|")

    def truth(self, arrays: Arrays) -> Truth:
        values = arrays[self.column]
        known = ~_missing(values)
        needle = f"|{self.code}|"
        return Truth(np.array([v is not None and needle in v for v in values], dtype=bool), known)

    def columns(self) -> Iterator[str]:
        yield self.column


@dataclass(frozen=True, slots=True)
class IsMissing:
    """`column is None`; always known."""

    column: str

    def expr(self, table: ir.Table) -> Any:
        return table[self.column].isnull()

    def truth(self, arrays: Arrays) -> Truth:
        missing = _missing(arrays[self.column])
        return Truth(missing, np.ones_like(missing))

    def columns(self) -> Iterator[str]:
        yield self.column


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag column that stands alone."""

    column: str

    def expr(self, table: ir.Table) -> Any:
        return table[self.column]

    def truth(self, arrays: Arrays) -> Truth:
        values = arrays[self.column]
        known = ~_missing(values)
        return Truth((values == 1) & known, known)

    def columns(self) -> Iterator[str]:
        yield self.column


@dataclass(frozen=True, slots=True)
class Not:
    """Negation: unknown stays unknown."""

    part: Node

    def expr(self, table: ir.Table) -> Any:
        return ~self.part.expr(table)

    def truth(self, arrays: Arrays) -> Truth:
        inner = self.part.truth(arrays)
        return Truth(inner.known & ~inner.true, inner.known)

    def columns(self) -> Iterator[str]:
        return self.part.columns()


@dataclass(frozen=True, slots=True)
class AllOf:
    """Conjunction: one known no decides it."""

    parts: tuple[Node, ...]

    def expr(self, table: ir.Table) -> Any:
        return ibis.and_(*[part.expr(table) for part in self.parts])

    def truth(self, arrays: Arrays) -> Truth:
        truths = [part.truth(arrays) for part in self.parts]
        false = np.logical_or.reduce([t.known & ~t.true for t in truths])
        true = np.logical_and.reduce([t.true for t in truths])
        return Truth(true, true | false)

    def columns(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.columns()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Disjunction: one known yes decides it."""

    parts: tuple[Node, ...]

    def expr(self, table: ir.Table) -> Any:
        return ibis.or_(*[part.expr(table) for part in self.parts])

    def truth(self, arrays: Arrays) -> Truth:
        truths = [part.truth(arrays) for part in self.parts]
        true = np.logical_or.reduce([t.true for t in truths])
        false = np.logical_and.reduce([t.known & ~t.true for t in truths])
        return Truth(true, true | false)

    def columns(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.columns()


Node = Compare | OneOf | Contains | IsMissing | Flag | Not | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Predicate:
    """A parsed rule: `text` as written, `node` as understood.

    >>> rule = Predicate.parse("age >= 60 and not is_staff")
    >>> ages = {"age": np.array([70.0, 70.0, 30.0, np.nan]), "is_staff": np.array([0.0, np.nan, np.nan, 0.0])}
    >>> rule.mask(ages).tolist(), rule.truth(ages).known.tolist()
    ([True, False, False, False], [True, False, True, False])
    """

    text: str
    node: Node

    @classmethod
    def parse(cls, text: str) -> Predicate:
        """The rule in `text`; raises BadPredicate with the part that is not allowed."""
        if len(text) > MOST_CHARACTERS:
            raise BadPredicate("rule is too long", value=f"{text[:80]}…", allowed=f"up to {MOST_CHARACTERS} characters")
        try:
            return cls(text, _node(ast.parse(text.strip(), mode="eval").body, text))
        except SyntaxError as error:
            raise BadPredicate("rule cannot be read", value=text, todo=str(error.msg)) from error
        except (MemoryError, RecursionError) as error:  # the former is what Python's parser calls its full stack
            raise BadPredicate("rule is nested too deeply", value=f"{text[:80]}…", todo="take it apart") from error

    def columns(self) -> frozenset[str]:
        """Names of all columns the rule reads."""
        return frozenset(self.node.columns())

    def check(self, columns: Mapping[str, Column]) -> None:
        """Raise BadPredicate unless every name is one of `columns` and is compared with its own kind."""
        for name in sorted(self.columns()):
            if name not in columns:
                raise BadPredicate(f"unknown column {name!r} in rule", value=self.text, allowed=sorted(columns))
        for leaf in _leaves(self.node):
            _check_leaf(leaf, columns[leaf.column].kind, self.text)

    def expr(self, table: ir.Table) -> ir.BooleanValue:
        """The rule over `table`, null where it cannot be told."""
        return self.node.expr(table)

    def truth(self, arrays: Arrays) -> Truth:
        """The rule over arrays of equal length: numbers and flags float64 with NaN, codes object with None."""
        return self.node.truth(arrays)

    def mask(self, arrays: Arrays) -> NDArray[np.bool_]:
        """Rows where the rule is known to hold, bool of shape (n,)."""
        return self.node.truth(arrays).true


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype == object:
        return np.array([v is None for v in values], dtype=bool)
    if values.dtype.kind == "M":
        return np.asarray(np.isnat(values))
    return np.asarray(np.isnan(values)) if values.dtype.kind == "f" else np.zeros(len(values), dtype=bool)


def _ibis_literal(value: Literal) -> Any:
    return ibis.literal(value)


def _leaves(node: Node) -> Iterator[Compare | OneOf | Contains | IsMissing | Flag]:
    if isinstance(node, AllOf | AnyOf):
        for part in node.parts:
            yield from _leaves(part)
    elif isinstance(node, Not):
        yield from _leaves(node.part)
    else:
        yield node


def _check_leaf(leaf: Compare | OneOf | Contains | IsMissing | Flag, kind: Kind, text: str) -> None:
    if isinstance(leaf, IsMissing):
        return
    if isinstance(leaf, Flag) or kind is Kind.FLAG:
        wanted, fits = "a flag standing alone", isinstance(leaf, Flag) and kind is Kind.FLAG
    elif isinstance(leaf, Contains):
        wanted, fits = "a set column after 'in'", kind is Kind.SET
    elif isinstance(leaf, OneOf):
        wanted, fits = (
            f"{kind} values",
            kind is not Kind.SET and all(_is_kind(x, kind) for x in leaf.literals),
        )
    else:
        ordered = leaf.op in ("==", "!=") or kind in _ORDERED
        wanted, fits = (
            f"{kind} values, ordered only if numbers or dates",
            _is_kind(leaf.literal, kind) and ordered,
        )
        fits = fits and kind is not Kind.SET
    if not fits:
        raise BadPredicate(f"column {leaf.column!r} is a {kind} and cannot be used so", value=text, allowed=wanted)


def _is_kind(literal: Literal, kind: Kind) -> bool:
    if kind in (Kind.DATE, Kind.INSTANT):
        return isinstance(literal, date)
    return isinstance(literal, str) if kind in _TEXT else isinstance(literal, float)


def _node(tree: ast.expr, text: str) -> Node:
    match tree:
        case ast.BoolOp(op=op, values=values):
            parts = tuple(_node(value, text) for value in values)
            return AllOf(parts) if isinstance(op, ast.And) else AnyOf(parts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Not(_node(operand, text))
        case ast.Name(id=name):
            return Flag(name)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _comparison(left, op, right, text)
    raise BadPredicate(
        "part of a rule is not allowed",
        value=ast.unparse(tree),
        allowed="comparisons, in, is None, and, or, not",
    )


def _comparison(left: ast.expr, op: ast.cmpop, right: ast.expr, text: str) -> Node:
    match left, op, right:
        case ast.Name(id=name), ast.Is() | ast.IsNot(), ast.Constant(value=None):
            return IsMissing(name) if isinstance(op, ast.Is) else Not(IsMissing(name))
        case ast.Name(id=name), ast.In() | ast.NotIn(), ast.Tuple(elts=items) | ast.List(elts=items) if items:
            inside = OneOf(name, tuple(_literal(item, text) for item in items))
            return inside if isinstance(op, ast.In) else Not(inside)
        case ast.Constant(value=str(code)), ast.In() | ast.NotIn(), ast.Name(id=name):
            holds = Contains(name, code)
            return holds if isinstance(op, ast.In) else Not(holds)
        case ast.Name(id=name), _, _ if type(op) in _OPERATORS:
            return Compare(name, _OPERATORS[type(op)], _literal(right, text))
    raise BadPredicate("a comparison is written: column, operator, value", value=text)


def _literal(tree: ast.expr, text: str) -> Literal:
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        inner = _literal(tree.operand, text)
        if isinstance(inner, float):
            return -inner
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int | float) and not isinstance(tree.value, bool):
        return float(tree.value)
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        return _date_or_text(tree.value)
    raise BadPredicate("a value is a number, a text or a date", value=ast.unparse(tree), todo=f"in rule {text!r}")


def _date_or_text(text: str) -> Literal:
    if len(text) == len("2025-12-31") and text[4:5] == text[7:8] == "-":
        try:
            return datetime.strptime(text, "%Y-%m-%d").date()
        except ValueError:
            return text
    return text
