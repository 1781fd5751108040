"""What the test rows say: every figure of every score, and the paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from training.judging.metrics import N_RESAMPLES, Interval, Judged, Metric, paired_difference, with_intervals

OURS, PLAIN, CONSTANT, RANDOM = "ours", "plain", "constant", "random"


@dataclass(frozen=True)
class Judgement:
    """The scores of one model on its test rows: `figures` score -> metric -> Interval; differences are AUC."""

    judged: Mapping[str, Judged]
    figures: Mapping[str, Mapping[str, Interval]]
    ours_less_plain: Interval
    loss_less_plain: Interval
    loss_less_constant: Interval
    n_customers: int

    measure: ClassVar[str] = "auc"

    @property
    def n_rows(self) -> int:
        return len(self.judged[OURS].outcomes)

    @property
    def n_positive(self) -> int:
        return int(self.judged[OURS].outcomes.sum())

    def flat(self) -> dict[str, float]:
        """Every figure under one name, for a run's metrics; a figure that does not exist is left out."""
        values = {
            f"{score}_{metric}{end}": getattr(interval, part)
            for score, metrics in self.figures.items()
            for metric, interval in metrics.items()
            for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))
        }
        values |= {
            f"ours_less_plain_auc{end}": getattr(self.ours_less_plain, part)
            for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))
        }
        return {name: value for name, value in values.items() if np.isfinite(value)}

    def caption(self) -> str:
        """What came out and on how many rows, for the foot of a table."""
        return (
            f"Ours is {compared(self.ours_less_plain, 'plain model')}. Test: {self.n_rows:,} rows, "
            f"{self.n_positive:,} positive, {self.n_customers:,} customers; intervals 95 %, over customers."
        )

    def caption_zh(self) -> str:
        """The same in Chinese."""
        return (
            f"本模型{compared_zh(self.ours_less_plain, '简单模型')}。检验：{self.n_rows:,} 行，其中"
            f"正例 {self.n_positive:,} 行，{self.n_customers:,} 位客户；95 % 区间按客户重抽样。"
        )


def judge(
    outcomes: NDArray[np.float64],
    scores: Mapping[str, NDArray[np.float64]],
    customers: NDArray[Any],
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> Judgement:
    """The judgement of `scores` ours, plain and constant (each (n,)) on `outcomes` (n,), resampling `customers`.

    Beside them stands a random score, drawn from `seed`.
    """
    drawn = np.random.default_rng(seed).random(len(outcomes))
    judged = {name: Judged(outcomes, values) for name, values in {RANDOM: drawn, **scores}.items()}
    figures = with_intervals(judged, customers, seed=seed, n_resamples=n_resamples)

    def less(rival: str, metric: Metric) -> Interval:
        return paired_difference(
            judged[OURS], judged[rival], customers, seed=seed, n_resamples=n_resamples, metric=metric
        )

    return Judgement(
        judged,
        figures,
        less(PLAIN, Judged.auc),
        less(PLAIN, Judged.log_loss),
        less(CONSTANT, Judged.log_loss),
        len(np.unique(customers)),
    )


def compared(difference: Interval, rival: str, measure: str = "AUC") -> str:
    """A paired difference in words: better, worse, or not distinguishable."""
    if difference.low > 0:
        return f"better than the {rival} by {difference} {measure}"
    if difference.high < 0:
        return f"worse than the {rival} by {difference} {measure}"
    return f"not distinguishable from the {rival}: difference {difference} {measure}"


def compared_zh(difference: Interval, rival: str, measure: str = "AUC") -> str:
    """The same in Chinese; `rival` is named in Chinese.

    >>> compared_zh(Interval(0.01, -0.01, 0.03), "冠军")
    '与冠军没有可区分的差异：相差 0.0100 [-0.0100, 0.0300]（AUC）'
    """
    if difference.low <= 0 <= difference.high:
        return f"与{rival}没有可区分的差异：相差 {difference}（{measure}）"
    return f"{'好' if difference.low > 0 else '差'}于{rival}：相差 {difference}（{measure}）"
