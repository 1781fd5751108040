"""Hyper-parameters looked for within bounds, by seed: the least log loss on the last part of the training window.

The test rows are never asked. Training rows are split once more by time, purged like the outer split; each trial grows
trees on the earlier part and is judged on the later one, uncalibrated. The first trial is what stands in the code, so
that nothing worse than that can be chosen by its own measure. It fails to help where the last part is not like the
time to come; whether it did is what the gates say afterwards.

Asks for the extra `tuning` (Optuna). Bergstra et al. (2011), Algorithms for Hyper-Parameter Optimization, NeurIPS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from features.errors import UserMistake
from training.boosting import Parameters, Trees, grow
from training.encoding import Recipe, arrays_of
from training.examples import Examples, Split, instants, split_by_time
from training.judging.metrics import Judged

# name of a parameter -> the least and the most that is tried; all but the share on a logarithmic scale
BOUNDS: dict[str, tuple[float, float]] = {
    "n_rounds": (40, 400), "learning_rate": (0.02, 0.2), "n_leaves": (7, 63), "min_leaf_rows": (20, 400),
    "l2": (0.1, 50.0), "feature_share": (0.4, 1.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of hyper-parameters and its log loss on the later part of the training rows."""

    parameters: Parameters
    log_loss: float


def tune(
    examples: Examples, split: Split, recipe: Recipe, start: Parameters, *, n_trials: int, seed: int
) -> tuple[Trial, ...]:
    """The trials in the order in which they were made, `start` first; the same rows and seed give the same trials.

    Raises UserMistake without the extra, MissingModel where the training rows cannot be split once more.
    """
    optuna = _optuna()
    rows, outcomes = examples.frame[split.train], examples.outcomes[split.train]
    inner = split_by_time(instants(rows["sent_at"]), instants(rows["closes_at"]))
    matrix = recipe.encode(arrays_of(rows, recipe.features))
    found: list[Trial] = []

    def loss(trial: Any) -> float:
        suggested: dict[str, Any] = {name: _suggested(trial, name) for name in BOUNDS}
        chosen = replace(start, **suggested)
        text = grow(matrix[inner.train], outcomes[inner.train], recipe, chosen)
        scores = Trees(text, chosen.n_threads).score(matrix[inner.test])
        found.append(Trial(chosen, Judged(outcomes[inner.test], scores).log_loss()))
        return found[-1].log_loss

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({name: getattr(start, name) for name in BOUNDS})
    study.optimize(loss, n_trials=n_trials)
    return tuple(found)


def best_of(trials: tuple[Trial, ...]) -> Parameters:
    """The parameters of the least log loss; of equals the first."""
    return trials[int(np.argmin([trial.log_loss for trial in trials]))].parameters


def _suggested(trial: Any, name: str) -> float | int:
    least, most = BOUNDS[name]
    if isinstance(getattr(Parameters(), name), int):
        return int(trial.suggest_int(name, int(least), int(most), log=True))
    return float(trial.suggest_float(name, least, most, log=name != "feature_share"))


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise UserMistake(
            "tuning asks for Optuna, which is not installed", todo="install the extra: pip install 'tiercel[tuning]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
