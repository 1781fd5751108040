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
    no rate is 0. Its variance v by the delta method is (r_C ÷ r_T)² · Σ (1 − r) ÷ (n r). The bank's pooled share is the
    mean of `default_share` and of every s, weighted by 1 ÷ spread² and 1 ÷ (v + spread²). Each s is pulled towards it
    by v against the spread between categories, and kept in [0, 1]. It fails where the arms of a category hold offers of
    very different pull, since it is one figure for them all. A category without both arms has the pooled share, which
    is `default_share` where no category has arms, and says that it is assumed.

    >>> rows = [ArmRow("fund", "TREAT", 10_000, 10_000, 0.04), ArmRow("fund", "CONTROL", 10_000, 10_000, 0.02)]
    >>> [(s.category, round(s.share, 2), s.is_assumed) for s in incremental_shares(rows, ["card", "fund"])]
    [('card', 0.4, True), ('fund', 0.49, False)]
    """
    found: dict[str, dict[str, ArmRow]] = {}
    for row in arms:
        found.setdefault(row.category, {})[row.arm] = row
    measured = {name: said for name, pair in found.items() if (said := _measured(pair)) is not None}
    pooled = _pooled(measured.values(), default_share)
    return tuple(
        _of_category(name, found.get(name, {}), measured.get(name), pooled) for name in sorted(set(categories))
    )


def _of_category(
    category: str, arms: Mapping[str, ArmRow], measured: tuple[float, float] | None, pooled: float
) -> IncrementalShare:
    n_treat, n_control = (arms[arm].n if arm in arms else 0 for arm in ("TREAT", "CONTROL"))
    if measured is None:
        return IncrementalShare(category, pooled, n_treat, n_control, is_assumed=True)
    said, variance = measured
    trust = _PRIOR_SPREAD**2 / (_PRIOR_SPREAD**2 + variance)
    share = trust * said + (1 - trust) * pooled
    return IncrementalShare(category, min(max(share, 0.0), 1.0), n_treat, n_control, is_assumed=False)


def _measured(arms: Mapping[str, ArmRow]) -> tuple[float, float] | None:
    """The share that two arms say, and its variance; None without both, or without a conversion of the treated."""
    treat, control = arms.get("TREAT"), arms.get("CONTROL")
    if treat is None or control is None or treat.conversion_share == 0:
        return None
    treated, untreated = _rate(treat), _rate(control)
    ratio = untreated / treated
    return 1 - ratio, ratio**2 * (_relative_variance(treated, treat) + _relative_variance(untreated, control))


def _pooled(measured: Iterable[tuple[float, float]], default_share: float) -> float:
    weights, shares = [1 / _PRIOR_SPREAD**2], [default_share]
    for said, variance in measured:
        weights.append(1 / (variance + _PRIOR_SPREAD**2))
        shares.append(said)
    mean = sum(w * s for w, s in zip(weights, shares, strict=True)) / sum(weights)
    return default_share if len(shares) == 1 else min(max(mean, 0.0), 1.0)


def _rate(arm: ArmRow) -> float:
    return (arm.conversion_share * arm.n_effective + 0.5) / (arm.n_effective + 1)


def _relative_variance(rate: float, arm: ArmRow) -> float:
    return (1 - rate) / (arm.n_effective * rate)
