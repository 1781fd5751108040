"""How much of a category's conversions the bank's word brings about, from randomised arms; assumed where none exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

DEFAULT_SHARE = 0.3  # default policy, arbitration: half the retail rule of thumb, to be replaced by what arms say
_PRIOR_SPREAD = 0.15  # standard deviation of the share between categories: the default ± .3 covers nearly all


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One arm of one category: customers, effective customers after weighting, and their conversion share."""

    category: str
    arm: str
    n: int
    n_effective: float
    conversion_share: float


@dataclass(frozen=True, slots=True)
class IncrementalShare:
    """The share of a category's conversions that would not have come without the contact."""

    category: str
    share: float
    n_treat: int
    n_control: int
    is_assumed: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def incremental_shares(
    arms: Iterable[ArmRow], categories: Iterable[str], default_share: float = DEFAULT_SHARE
) -> tuple[IncrementalShare, ...]:
    """One row a category of `categories`, in order of the alphabet.

    s = (r_T − r_C) ÷ r_T with r the conversion share of treated and control, half a conversion added to each so that
    no rate is 0. Its variance by the delta method is (r_C ÷ r_T)² · Σ (1 − r) ÷ (n r). The estimate is pulled towards
    `default_share` in proportion to its variance against the spread between categories, and kept in [0, 1]. It fails
    where the arms of a category hold offers of very different pull, since it is one figure for them all. A category
    without both arms has the default and says that it is assumed.

    >>> rows = [ArmRow("fund", "TREAT", 10_000, 10_000, 0.04), ArmRow("fund", "CONTROL", 10_000, 10_000, 0.02)]
    >>> [(s.category, round(s.share, 2), s.is_assumed) for s in incremental_shares(rows, ["card", "fund"])]
    [('card', 0.3, True), ('fund', 0.48, False)]
    """
    found: dict[str, dict[str, ArmRow]] = {}
    for row in arms:
        found.setdefault(row.category, {})[row.arm] = row
    return tuple(_of_category(category, found.get(category, {}), default_share) for category in sorted(set(categories)))


def _of_category(category: str, arms: Mapping[str, ArmRow], default_share: float) -> IncrementalShare:
    treat, control = arms.get("TREAT"), arms.get("CONTROL")
    n_treat, n_control = treat.n if treat else 0, control.n if control else 0
    if treat is None or control is None or treat.conversion_share == 0:
        return IncrementalShare(category, default_share, n_treat, n_control, is_assumed=True)
    treated, untreated = _rate(treat), _rate(control)
    ratio = untreated / treated
    variance = ratio**2 * (_relative_variance(treated, treat) + _relative_variance(untreated, control))
    trust = _PRIOR_SPREAD**2 / (_PRIOR_SPREAD**2 + variance)
    share = trust * (1 - ratio) + (1 - trust) * default_share
    return IncrementalShare(category, min(max(share, 0.0), 1.0), n_treat, n_control, is_assumed=False)


def _rate(arm: ArmRow) -> float:
    return (arm.conversion_share * arm.n_effective + 0.5) / (arm.n_effective + 1)


def _relative_variance(rate: float, arm: ArmRow) -> float:
    return (1 - rate) / (arm.n_effective * rate)
