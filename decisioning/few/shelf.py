"""One catalogue and policy as the loops read them: arrays by kind, and figures that stand alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Bools, Catalogue, Floats
from decisioning.policy import DecisionsPolicy
from decisioning.rules import Rules

Ints = NDArray[np.int64]
DAY_US = 86_400_000_000
# rows of `Shelf.offers`, of `Shelf.amounts` and of `Shelf.channels`
CARE, SERVICE, TOOL, CORE, PRIVATE, REPEATABLE = range(6)
VALUE, RETENTION, REWARD, OWN_MINIMUM, READINESS, LEVER, RISK = range(7)
OUTBOUND, QUIET, CAP, WINDOW_US = range(4)
_OPERATORS = ("==", "!=", "<", "<=", ">", ">=")
_READINESS = ("days", "services", "active_days", "hook_done")
# numbers that the loops read beside those of the rules, in the order of their places
NUMBERS = (
    "n_open_complaints", "is_stale", "days_with_product", "n_services_3m", "active_days_3m", "n_conversions_12m",
    "aum_now", "risk_level", "is_risk_valid", "age", "p_churn",
)  # fmt: skip


class Figures(NamedTuple):
    """Figures of the policy that stand alone; times in microseconds."""

    stranger_days: float
    full_days: float
    full_services: float
    full_active_days: float
    prior_p: float
    weight_listed: float
    weight_secondary: float
    weight_unlisted: float
    moment_factor: float
    lead_factor: float
    exploration_amount: float
    relevance_floor_amount: float
    diversity_top: int
    diversity_max: int
    refusal_us: int
    sales_max: int
    sales_window_us: int
    all_max: int
    all_window_us: int
    n_leaves: int  # of the rules
    n_rows: int  # of their truth table


N_AMOUNTS = Figures._fields.index("diversity_top")  # those before it are amounts, shares and days


class Shelf(NamedTuple):
    """m offers, c channels, r rules; the comments name what a row or a column is. By kind: flags, integers, floats."""

    offers: Bools  # (6, m): CARE …
    has_channel: Bools  # (m, c)
    same_thing: Bools  # (m, m)
    same_group: Bools  # (m, m)
    overlay_offers: Bools  # (overlays, m)
    outcome_us: Ints  # (m,)
    channels: Ints  # (4, c): OUTBOUND …; a CAP of -1 is none
    exclusions: Ints  # (2, exclusions): place of the code in the filter's table, whether care is kept
    compared: Ints  # (2, comparisons of numbers): place of the number, operator
    widths: Ints  # (columns that are no numbers,): comparisons of each
    groups: Ints  # (3, groups): whether all must hold, first and last of their `parts`
    parts: Ints
    verdicts: Ints  # (2, r): rows of the truth table that say that a rule holds, and fails
    amounts: Floats  # (7, m): VALUE …
    channel_cost: Floats  # (c,)
    overlay_factor: Floats
    thresholds: Floats
    readiness: Floats  # (parts, 2): which one, and its weight
    age_caps: Floats  # (caps, 2): from which age, up to which risk
    figures: Figures

    @classmethod
    def of(cls, catalogue: Catalogue, policy: DecisionsPolicy) -> Self:
        """As the loops read it; a number has its place in `numbers_of`."""
        rules, places = catalogue.rules, {name: place for place, name in enumerate(numbers_of(catalogue))}
        flags = ("is_care", "is_service", "is_tool", "is_core", "is_private", "is_repeatable")
        amounts = ("value", "retention", "reward", "own_minimum", "readiness_min", "lever", "risk_level")
        caps = [(-1 if most is None else most, days * DAY_US) for most, days in catalogue.channel_caps]
        codes = codes_of(policy)
        ops = [_OPERATORS.index(op) for op, start, stop in rules.numbers.runs for _ in range(start, stop)]
        steps = [(step.is_all, *ends) for step in rules.reductions for ends in _cuts(step.starts, len(step.parts))]
        shifts = np.repeat(
            np.cumsum([0, *(len(step.parts) for step in rules.reductions)])[:-1],
            [len(step.starts) for step in rules.reductions],
        )
        groups = _ints(steps, 3)
        groups[1:] += shifts
        return cls(
            offers=np.stack([getattr(catalogue, name) for name in flags]),
            amounts=np.stack([getattr(catalogue, name).astype(np.float64) for name in amounts]),
            outcome_us=catalogue.outcome_days * DAY_US,
            has_channel=np.ascontiguousarray(catalogue.has_channel),
            channels=np.vstack([catalogue.is_outbound, catalogue.has_quiet_hours, _ints(caps, 2)]),
            channel_cost=catalogue.channel_cost,
            same_thing=catalogue.same_thing,
            same_group=catalogue.same_group,
            overlay_offers=catalogue.overlay_offers,
            overlay_factor=catalogue.overlay_factor,
            exclusions=_ints([(codes.index(rule.code), rule.keeps_care) for rule in policy.exclusions], 2),
            compared=_ints(
                [(places[rules.numbers.columns[row]], op) for row, op in zip(rules.numbers.rows, ops, strict=True)], 2
            ),
            thresholds=np.ascontiguousarray(rules.numbers.thresholds.ravel()),
            widths=np.array([len(tests.of_none) for _, tests in rules.others], dtype=np.int64),
            groups=groups,
            parts=_joined([step.parts for step in rules.reductions]),
            verdicts=np.stack([rules.true_rows, rules.false_rows]).astype(np.int64),
            readiness=_floats((_READINESS.index(name), weight) for name, weight in policy.readiness.weights.items()),
            age_caps=_floats(sorted(policy.suitability.age_caps.items())),
            figures=_figures(policy, rules),
        )


class Packed(NamedTuple):
    """A shelf as three arrays: each array that a call takes over costs as much as a customer's rules.

    `whole` begins with m, c, and where each part begins and ends in its array, part by part in the order of `Shelf`;
    `flags` and `whole` then hold parts alone, `amounts` the figures first.
    """

    flags: Bools
    whole: Ints
    amounts: Floats


N_PARTS = len(Shelf._fields) - 1
_KINDS = (slice(0, 5), slice(5, 13), slice(13, N_PARTS))  # of `Shelf`
N_HEAD = 2 + 2 * N_PARTS


def packed(shelf: Shelf) -> Packed:
    """The same for the loops, which unpack it."""
    bounds: list[int] = []
    parts: list[list[NDArray[Any]]] = [list(shelf[kind]) for kind in _KINDS]  # type: ignore[arg-type]  # all but the last
    for kind, at in zip(parts, (0, N_HEAD, len(Figures._fields)), strict=True):
        for part in kind:
            bounds += [at, at + part.size]
            at += part.size
    flags, whole, amounts = ([part.ravel() for part in kind] for kind in parts)
    return Packed(
        np.concatenate(flags),
        np.concatenate([np.array([*shelf.has_channel.shape, *bounds], dtype=np.int64), *whole]),
        np.concatenate([np.array(shelf.figures, dtype=np.float64), *amounts]),
    )


def numbers_of(catalogue: Catalogue) -> tuple[str, ...]:
    """The numbers that decisions under a catalogue read, by place."""
    return tuple(dict.fromkeys((*NUMBERS, *catalogue.rules.numbers.columns)))


def codes_of(policy: DecisionsPolicy) -> list[str]:
    """The codes of the policy's exclusions as the filter's table has them."""
    return ["PASSES", *dict.fromkeys(rule.code for rule in policy.exclusions)]


def _figures(policy: DecisionsPolicy, rules: Rules) -> Figures:
    weights, contact, readiness = policy.arbitration, policy.contact, policy.readiness
    names = (
        "prior_p", "weight_listed", "weight_secondary", "weight_unlisted", "moment_factor", "lead_factor",
        "exploration_amount", "relevance_floor_amount",
    )  # fmt: skip
    return Figures(
        stranger_days=float(readiness.stranger_days),
        full_days=float(readiness.full_days),
        full_services=float(readiness.full_services),
        full_active_days=float(readiness.full_active_days),
        **{name: float(getattr(weights, name)) for name in names},
        diversity_top=weights.diversity_top,
        diversity_max=weights.diversity_max,
        refusal_us=contact.refusal_days * DAY_US,
        sales_max=contact.sales_max,
        sales_window_us=contact.sales_window_days * DAY_US,
        all_max=contact.all_max,
        all_window_us=contact.all_window_days * DAY_US,
        n_leaves=rules.n_leaves,
        n_rows=rules.n_rows,
    )


def _cuts(starts: NDArray[Any], end: int) -> list[tuple[int, int]]:
    return list(zip(starts.tolist(), [*starts.tolist()[1:], end], strict=True))


def _ints(rows: Sequence[Sequence[Any]], width: int) -> Ints:
    """Rows of so many columns, column by column."""
    found = np.array(list(chain.from_iterable(rows)), dtype=np.int64).reshape(-1, width)
    return np.ascontiguousarray(found.T)


def _floats(rows: Any) -> Floats:
    return np.array(list(rows), dtype=np.float64).reshape(-1, 2)


def _joined(parts: Sequence[NDArray[Any]]) -> Ints:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts]).astype(np.int64)
