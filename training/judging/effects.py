"""What arms that a model never saw say of its effects: whom it ranks first, at what gain, and whom it had better leave.

Symbols: y outcome of n customers (n,); t told; e propensity of being told, known; g membership of a group, 0 to 1. An
effect is the difference of two weighted means, Σ g t y ÷ e ÷ Σ g t ÷ e less the same of the untold. No model enters,
so that nothing here can be believed because a model believes it. Intervals are normal, over customers, from how far
each row pulls the figure; those of rankings are resampled. Both are too narrow below some thirty conversions an arm
and group. Hájek (1971), Comment on "An essay on the logical foundations of survey sampling".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import MissingModel
from training.judging.resampling import Interval

DOG_SHARES = (0.05, 0.1, 0.2)
_Z = 1.959964
_Z_DOGS = 2.393980  # one-sided 5 % over the four groups looked at, by Bonferroni: upper limits hold together

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class HeldArms:
    """Rows of randomised arms that judge, each array (n,); rows of one of `customers` go together."""

    outcomes: Vector
    told: NDArray[np.bool_]
    propensity: Vector
    customers: NDArray[Any]

    @classmethod
    def of(cls, frame: Any) -> HeldArms:
        """The columns outcome, is_treated, propensity and customer_id of a pandas `frame`."""
        return cls(
            frame["outcome"].to_numpy(dtype=np.float64), frame["is_treated"].to_numpy(dtype=np.float64) == 1,
            frame["propensity"].to_numpy(dtype=np.float64), frame["customer_id"].to_numpy(),
        )  # fmt: skip

    @property
    def n(self) -> int:
        return len(self.outcomes)


@dataclass(frozen=True, slots=True)
class Effect:
    """A figure and how far each row pulls it from its mean (n,)."""

    value: float
    pulls: Vector

    def less(self, other: Effect) -> Effect:
        """The difference on the same rows, whose error is far below that of either."""
        return Effect(self.value - other.value, self.pulls - other.pulls)

    def times(self, factor: float) -> Effect:
        return Effect(self.value * factor, self.pulls * factor)

    def interval(self, customers: NDArray[Any], z: float = _Z) -> Interval:
        _, codes = np.unique(customers, return_inverse=True)
        half = z * float(np.sqrt((np.bincount(codes, weights=self.pulls) ** 2).sum()))
        return Interval(self.value, self.value - half, self.value + half)


def effect(held: HeldArms, group: Vector | None = None) -> Effect:
    """The effect in a group, everybody without one; raises MissingModel where an arm of it is empty."""
    g = np.ones(held.n) if group is None else group
    sides = []
    for told, chance in ((held.told, held.propensity), (~held.told, 1 - held.propensity)):
        w = g * told / chance
        mass = float(w.sum())
        if mass == 0:
            raise MissingModel("an arm of the group is empty", value=f"{int((g > 0).sum())} customers",
                               todo="judge on more customers")  # fmt: skip
        mean = float((w * held.outcomes).sum() / mass)
        sides.append(Effect(mean, w * (held.outcomes - mean) / mass))
    return sides[0].less(sides[1])


def row_effects(held: HeldArms) -> Vector:
    """What each row says of the effect, (n,), of which the mean in a group is its effect: (y − ȳ)(t − e) ÷ e(1 − e).

    A single one says nothing. Horvitz & Thompson (1952), JASA 47; ȳ takes noise away and moves no mean.
    """
    e = held.propensity
    off = held.outcomes - np.average(held.outcomes, weights=_weights(held))
    return np.asarray(off * (held.told - e) / (e * (1 - e)))


def slope(held: HeldArms, effects: Vector) -> Effect:
    """How much more effect the arms show where `effects` (n,) say one more: 1 is honest, below 1 too bold.

    Weighted least squares of `row_effects` on `effects`; NaN where these do not vary. Chernozhukov et al. (2018), NBER
    24678.
    """
    w, psi = _weights(held), row_effects(held)
    spread = effects - np.average(effects, weights=w)
    mass = float((w * spread**2).sum())
    if mass <= 1e-12 * w.sum():
        return Effect(float("nan"), np.zeros(held.n))
    off = psi - np.average(psi, weights=w)
    value = float((w * spread * off).sum() / mass)
    return Effect(value, w * spread * (off - value * spread) / mass)


def _weights(held: HeldArms) -> Vector:
    """4 e (1 − e): rows that say less because one arm was rare count less."""
    return np.asarray(4 * held.propensity * (1 - held.propensity))


def top(scores: Vector, share: float) -> Vector:
    """Membership (n,) of the `share` with the highest scores; a level cut by the line belongs in proportion.

    >>> top(np.array([3.0, 1.0, 1.0, 0.0]), 0.5).tolist()
    [1.0, 0.5, 0.5, 0.0]
    """
    _, level, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    before = np.cumsum(counts) - counts
    return np.asarray(np.clip((share * len(scores) - before) / counts, 0, 1)[level])


def in_the_same_channels(held: HeldArms, member: Vector, channels: NDArray[Any]) -> Vector:
    """`member` (n,) with its told weighted so that they were reached by the channels by which all the told were.

    `channels` (n,) is read for the told alone: the untold were reached by none. A channel that no member was reached
    by is left out.
    """
    g = member.copy()
    for channel in set(channels[held.told]):
        by = held.told & (channels == channel)
        reached = float((member * by).sum() / (member * held.told).sum())
        if reached > 0:
            g[by] *= float(by.sum() / held.told.sum()) / reached
    return g


@dataclass(frozen=True, slots=True)
class Targeted:
    """Two plans of equal budget in conversions gained a contact: the `share` ranked first, and as many drawn blindly.

    `points` is their difference, `relative` the ratio less 1: both because points alone hide how small a base was, and
    a ratio alone how small the gain. `relative` is NaN where the untargeted effect cannot be told from none.
    """

    share: float
    n_contacts: float
    targeted: Interval
    untargeted: Interval
    points: Interval
    relative: Interval

    @property
    def is_better(self) -> bool:
        return self.points.low > 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        """The comparison in one sentence, in percentage points and relative."""
        ratio = "no ratio: the untargeted effect cannot be told from none"
        if np.isfinite(self.relative.value):
            ratio = "relative {:+.0%} [{:+.0%}, {:+.0%}]".format(*asdict(self.relative).values())
        points = "{:+.2f} [{:+.2f}, {:+.2f}] points".format(*(100 * end for end in asdict(self.points).values()))
        word = "better than" if self.is_better else "not distinguishable from" if self.points.high > 0 else "worse than"
        return (
            f"{self.n_contacts:,.0f} contacts: targeted {self.targeted.value:.2%} gained a contact, untargeted "
            f"{self.untargeted.value:.2%}; {points}, {ratio}; {word} no targeting"
        )


def targeted(held: HeldArms, scores: Vector, share: float, channels: NDArray[Any] | None = None) -> Targeted:
    """Telling the `share` that `scores` (n,) rank first, against telling as many at random, at equal budget.

    With `channels` (n,), how each of the told was reached, both plans use the same ones: see `in_the_same_channels`.
    """
    member = top(scores, share)
    if channels is not None:
        member = in_the_same_channels(held, member, channels)
    first, everybody = effect(held, member), effect(held)
    spoken = everybody.interval(held.customers)
    ratio = Effect(float("nan"), np.zeros(held.n))
    if spoken.low > 0:
        quotient = first.value / everybody.value
        ratio = Effect(quotient - 1, first.less(everybody.times(quotient)).pulls / everybody.value)
    return Targeted(
        share, share * held.n, first.interval(held.customers), spoken,
        first.less(everybody).interval(held.customers), ratio.interval(held.customers),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """A group ranked last: how many customers, the model's mean effect, and the effect that the arms measured.

    `measured` is one-sided: its upper limit holds for all groups looked at together, at 95 %.
    """

    name: str
    n: float
    said: float
    measured: Interval
    name_zh: str

    @property
    def is_asleep(self) -> bool:
        """Telling them loses conversions: the upper limit lies below 0."""
        return self.measured.high < 0


def sleeping_dogs(held: HeldArms, effects: Vector) -> tuple[Group, ...]:
    """The customers whom `effects` (n,) rank last, and those it puts below 0: does telling them lose conversions?

    Groups with an empty arm are left out. None found means that this model and these arms show none, not that there
    are none.
    """
    groups = {(f"last {share:.0%}", f"最后 {share:.0%}"): top(-effects, share) for share in DOG_SHARES}
    groups["effect below 0", "效果低于 0"] = (effects < 0).astype(np.float64)
    found = []
    for (name, name_zh), member in groups.items():
        if (member[held.told].sum() == 0) or (member[~held.told].sum() == 0):
            continue
        measured = effect(held, member).interval(held.customers, _Z_DOGS)
        found.append(Group(name, float(member.sum()), float(np.average(effects, weights=member)), measured, name_zh))
    return tuple(found)
