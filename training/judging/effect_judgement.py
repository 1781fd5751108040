"""What held-out arms say of effect scores: every figure, the rivals, telling everybody, and who is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from training.judging.effects import Effect, Group, HeldArms, Vector, effect, sleeping_dogs, slope
from training.judging.judgement import OURS, PLAIN, RANDOM, compared_zh
from training.judging.resampling import N_RESAMPLES, Interval
from training.judging.uplift_curves import Ranking, paired_difference, with_intervals


@dataclass(frozen=True)
class EffectJudgement:
    """What held-out arms say of effect scores: `figures` score -> metric of `uplift_curves` -> Interval.

    `less` holds ours − rival in Qini, on the same resamples. `less_everybody` is telling those with an effect above 0
    less telling everybody, the best single plan, in conversions a row. Ours has a calibration slope too. `effects` are
    what ours says of each row (n,), `rankings` the scores on the rows of `held`.
    """

    held: HeldArms
    effects: Vector
    rankings: Mapping[str, Ranking]
    average: Interval
    figures: Mapping[str, Mapping[str, Interval]]
    less: Mapping[str, Interval]
    less_everybody: Interval
    dogs: tuple[Group, ...]

    measure: ClassVar[str] = "qini"

    @property
    def n_rows(self) -> int:
        return self.held.n

    def flat(self) -> dict[str, float]:
        """Every figure under one name, for a run's metrics; a figure that does not exist is left out."""
        told = {f"{score}_{metric}": one for score, metrics in self.figures.items() for metric, one in metrics.items()}
        told |= {f"ours_less_{rival}_qini": one for rival, one in self.less.items()}
        told |= {"average_effect": self.average, "ours_less_everybody": self.less_everybody}
        values = {
            f"{name}{end}": getattr(one, part)
            for name, one in told.items()
            for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))
        }
        return {name: value for name, value in values.items() if np.isfinite(value)}

    def caption(self) -> str:
        """What came out and on how many rows, for the foot of a table."""
        sizes = f"{int(self.held.told.sum()):,} told, {int((~self.held.told).sum()):,} not"
        return f"{'; '.join(self.sentences())}. Test: {self.n_rows:,} rows, {sizes}; intervals 95 %, over customers."

    def caption_zh(self) -> str:
        """The same in Chinese."""
        sizes = f"告知 {int(self.held.told.sum()):,} 行，未告知 {int((~self.held.told).sum()):,} 行"
        return f"{'；'.join(self.sentences_zh())}。检验：{self.n_rows:,} 行，{sizes}；95 % 区间按客户计算。"

    def sentences(self) -> list[str]:
        """What came out, for people: against each rival, against telling everybody, and who is left alone."""
        named = {PLAIN: "ranking by response"}
        words = [f"{said_of(one)} {named.get(rival, rival)}: {one} Qini" for rival, one in self.less.items()]
        words.append(f"{said_of(self.less_everybody)} telling everybody: {self.less_everybody} conversions a row")
        asleep = [f"{group.name} ({group.n:,.0f}: {group.measured})" for group in self.dogs if group.is_asleep]
        return [*words, "left alone: " + ("; ".join(asleep) or "no group whom telling is shown to lose")]

    def sentences_zh(self) -> list[str]:
        """The same in Chinese."""
        named = {PLAIN: "按响应排序", RANDOM: "随机"}
        words = [compared_zh(one, named.get(rival, rival), "Qini") for rival, one in self.less.items()]
        words.append(compared_zh(self.less_everybody, "全部告知", "每行转化数"))
        asleep = [f"{group.name_zh}（{group.n:,.0f} 位：{group.measured}）" for group in self.dogs if group.is_asleep]
        return [*words, "不打扰：" + ("；".join(asleep) or "没有被证明越告知越差的群体")]


def judge_effects(
    held: HeldArms, scores: Mapping[str, Vector], *, seed: int, n_resamples: int = N_RESAMPLES
) -> EffectJudgement:
    """The judgement of `scores`, of which `ours` are effects and the others may be any ranking (each (n,)).

    Beside them stands a random one, drawn from `seed`.
    """
    drawn = np.random.default_rng(seed).random(held.n)
    rankings = {
        name: Ranking(held.outcomes, held.told, values, held.propensity)
        for name, values in {RANDOM: drawn, **scores}.items()
    }
    figures = with_intervals(rankings, held.customers, seed=seed, n_resamples=n_resamples)
    figures[OURS] = {**figures[OURS], "slope": slope(held, scores[OURS]).interval(held.customers)}
    less = {
        name: paired_difference(rankings[OURS], one, held.customers, seed=seed, n_resamples=n_resamples)
        for name, one in rankings.items()
        if name != OURS
    }
    average, everybody = effect(held).interval(held.customers), _less_everybody(held, scores[OURS])
    return EffectJudgement(
        held, scores[OURS], rankings, average, figures, less, everybody.interval(held.customers),
        sleeping_dogs(held, scores[OURS]),
    )  # fmt: skip


def said_of(difference: Interval) -> str:
    """A paired difference in words."""
    if difference.low > 0:
        return "better than"
    return "worse than" if difference.high < 0 else "not distinguishable from"


def _less_everybody(held: HeldArms, effects: Vector) -> Effect:
    spared = (effects < 0).astype(np.float64)
    if not (spared[held.told].any() and spared[~held.told].any()):
        return Effect(0.0, np.zeros(held.n))
    return effect(held, spared).times(-float(spared.mean()))
