"""The pictures of a report: calibration and gain of probabilities; Qini curve and calibration of effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.gates import AnyJudgement
from training.judging.effect_judgement import EffectJudgement
from training.judging.effects import Effect, effect, top
from training.judging.judgement import OURS, PLAIN, Judgement

_N_GROUPS = 5
_N_BANDS = 200  # resamples of a picture's band


def draw(judgement: AnyJudgement, folder: Path) -> list[Path]:
    """Write the pictures of `judgement` into `folder`, PNG; their paths."""
    import matplotlib  # a picture library on the path of every import would cost a second

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    paths = []
    for name, onto in _drawings(judgement).items():
        figure, path = Figure(figsize=(5, 5)), folder / f"{name}.png"
        onto(figure.add_subplot())
        figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
        paths.append(path)
    return paths


def _drawings(judgement: AnyJudgement) -> Mapping[str, Callable[[Any], None]]:
    if isinstance(judgement, EffectJudgement):
        return {"calibration": lambda axes: _effects(axes, judgement), "qini": lambda axes: _qini(axes, judgement)}
    return {"calibration": lambda axes: _calibration(axes, judgement), "gain": lambda axes: _gain(axes, judgement)}


def _calibration(axes: Any, judgement: Judgement) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for score in (PLAIN, OURS):
        mean_p, mean_y, _ = judgement.judged[score].reliability()
        axes.plot(mean_p, mean_y, marker="o", label=score)
    top_p = max(float(judgement.judged[score].reliability()[axis].max()) for score in (PLAIN, OURS) for axis in (0, 1))
    axes.set(xlim=(0, top_p * 1.1), ylim=(0, top_p * 1.1), xlabel="mean predicted p", ylabel="observed share")
    axes.legend()


def _gain(axes: Any, judgement: Judgement) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for score in (PLAIN, OURS):
        axes.plot(*judgement.judged[score].gains(), label=score)
    axes.set(xlabel="share of customers, highest p first", ylabel="share of positives found")
    axes.legend()


def _qini(axes: Any, judgement: EffectJudgement) -> None:
    for score in (PLAIN, OURS):
        curve = judgement.rankings[score].curve(judgement.held.customers, seed=0, n_resamples=_N_BANDS)
        axes.plot(curve.shares, curve.gained, label=score)
        axes.fill_between(curve.shares, curve.low, curve.high, alpha=0.15)
    axes.plot([0, 1], [0, judgement.average.value], color="grey", linewidth=0.8)
    axes.set(xlabel="share of customers told, largest effect first", ylabel="conversions gained a row")
    axes.legend()


def _effects(axes: Any, judgement: EffectJudgement) -> None:
    groups = list(fifths(judgement))
    said = [one for one, _ in groups]
    measured = [one.interval(judgement.held.customers) for _, one in groups]
    errors = np.array([[one.value - one.low, one.high - one.value] for one in measured]).T
    axes.axline((0, 0), slope=1, color="grey", linewidth=0.8)
    axes.errorbar(said, [one.value for one in measured], yerr=errors, marker="o", label=OURS)
    axes.set(xlabel="mean effect said, by fifth", ylabel="effect measured, 95 %")
    axes.legend()


def fifths(judgement: EffectJudgement) -> Iterator[tuple[float, Effect]]:
    """The mean effect that ours says of each fifth, least first, and what the arms measured; empty arms left out."""
    held, within = judgement.held, np.zeros(judgement.held.n)
    for place in range(1, _N_GROUPS + 1):
        upto = top(-judgement.effects, place / _N_GROUPS)
        member, within = upto - within, upto
        if member[held.told].any() and member[~held.told].any():
            yield float(np.average(judgement.effects, weights=member)), effect(held, member)
