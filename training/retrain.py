"""One training from end to end: examples, fit, judgement, gates, MLflow, and whether it becomes champion.

`tiercel train` calls `retrain`, and so does `mlflow run mlflow -e retrain`, which runs this file as a program.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console

from features.errors import TiercelError
from features.profiles import silent
from training import registry, tracking
from training.boosting import Parameters
from training.examination import TRAINING_SCORES, evidence_of, quantiles
from training.examples import Examples, Split, instants
from training.fitting import CrossFitted
from training.gates import AnyJudgement, Verdict, examine
from training.gathering import MODELS, Gathered, fitted, gather, split_of
from training.ground import Ground, code_version, ground_of
from training.inventory import row_of
from training.judging import report
from training.models import response
from training.models.shares import DEFAULT_SHARE
from training.tuning import Trial, best_of, tune

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Retrained:
    """What one training came to: the registered version, its alias (None if it earned none) and why."""

    model: str
    version: int
    alias: str | None
    verdict: Verdict
    judgement: AnyJudgement
    sizes: Mapping[str, int]
    excluded: Mapping[str, int]
    run_id: str

    @property
    def is_champion(self) -> bool:
        return self.alias == registry.CHAMPION

    def sentence(self) -> str:
        """What happened, for the person who asked for it."""
        became = f"is {self.alias}" if self.alias else "was kept without an alias"
        return f"{self.model} version {self.version} {became}: {self.verdict.says}"

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model, "version": self.version, "alias": self.alias, "says": self.verdict.says,
            "run_id": self.run_id, "rows": dict(self.sizes), "excluded": dict(self.excluded),
            "gates": [gate.to_json() for gate in self.verdict.gates], "figures": self.judgement.flat(),
        }  # fmt: skip


def retrain(
    home: Path,
    model: str,
    as_of: date | None = None,
    seed: int = 0,
    progress: Progress = silent,
    *,
    default_share: float = DEFAULT_SHARE,
    n_trials: int = 0,
) -> Retrained:
    """Train `model` on what the bank knew at the end of `as_of`, log and register it, and promote it if it may be.

    Without `as_of` the home's own clock decides. A model that passes every gate becomes champion; one that is better
    than a constant and fails another becomes challenger. With `n_trials` hyper-parameters are looked for first, on the
    training rows alone (`training.tuning`). Raises MissingModel if there is too little to learn from,
    MissingBuild without a build, UserMistake for an unknown model.
    """
    done = learn(home, model, as_of, seed, progress, default_share=default_share, n_trials=n_trials)
    alias = registry.admit(home, model, done.version, done.verdict)
    progress("done", 1.0)
    return replace(done, alias=alias)


def learn(
    home: Path,
    model: str,
    as_of: date | None = None,
    seed: int = 0,
    progress: Progress = silent,
    *,
    default_share: float = DEFAULT_SHARE,
    n_trials: int = 0,
    occasion: str = "",
) -> Retrained:
    """The same up to the registered version, which has no alias yet; run and version carry the `occasion`."""
    progress("examples", 0.0)
    ground = ground_of(home, as_of)
    gathered = gather(ground, model)
    examples, split = gathered.examples, split_of(ground, gathered.examples)
    progress("trees", 0.2)
    parameters = Parameters(seed=seed, monotone=ground.models.monotone.get(model, {}))
    trained = fitted(model, gathered, split, parameters, default_share)
    trials = _tuned(examples, split, trained, parameters, n_trials)
    if trials:
        parameters = best_of(trials)
        trained = fitted(model, gathered, split, parameters, default_share)
    return finish(
        ground, gathered, split, trained, parameters, model=model, seed=seed, trials=trials, occasion=occasion,
        progress=progress,
    )  # fmt: skip


def finish(
    ground: Ground,
    gathered: Gathered,
    split: Split,
    trained: CrossFitted,
    parameters: Parameters,
    *,
    model: str,
    seed: int,
    trials: tuple[Trial, ...] = (),
    occasion: str = "",
    progress: Progress = silent,
) -> Retrained:
    """Guards, judgement, gates, the run and the version of a model that is fitted, whoever fitted it."""
    home, examples = ground.home, gathered.examples
    progress("judgement", 0.4)
    evidence = evidence_of(ground, examples, split, trained, seed=seed)
    verdict = examine(evidence)
    progress("MLflow", 0.8)
    facts = _facts(ground, gathered, split, seed=seed) | row_of(ground.models, model, ground.last_on)
    facts |= {registry.OCCASION: occasion} if occasion else {}
    standing = registry.with_alias(ground.home, model, registry.CHAMPION)
    facts |= {registry.BESIDE: standing.version} if standing else {}
    training = tracking.Training(
        trained, parameters.to_json(), facts, examples.frame[split.test], evidence, verdict, trials
    )
    recorded = tracking.record(home, training)
    kept = {TRAINING_SCORES: json.dumps(quantiles(trained.unseen))}
    number = registry.register(home, model, recorded, facts | kept, verdict)
    return Retrained(
        model, number, None, verdict, evidence.judgement, split.sizes(), examples.excluded, recorded.run_id
    )


def _tuned(
    examples: Examples, split: Split, trained: CrossFitted, start: Parameters, n_trials: int
) -> tuple[Trial, ...]:
    if not n_trials:
        return ()
    return tune(examples, split, trained.ours.recipe, start, n_trials=n_trials, seed=start.seed)


def _facts(ground: Ground, gathered: Gathered, split: Split, *, seed: int) -> dict[str, object]:
    examples = gathered.examples
    sent = instants(examples.frame["sent_at"])
    rows = {f"rows.{name}": size for name, size in split.sizes().items()}
    rows |= {f"excluded.{name}": size for name, size in examples.excluded.items()}
    return {
        "lineage": ground.build.lineage,
        "segments_digest": ground.policy.digest,
        "segments_version": ground.policy.version,
        "models_digest": ground.models.digest,
        "horizon": ground.horizon.isoformat(),
        "data_span": f"{sent.min()}/{sent.max()}",
        "test_from": split.test_from,
        "code_version": code_version(),
        "seed": seed,
        **gathered.told,
        **rows,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training from the command line; 0 if a model was registered, 2 for a mistake told in one sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m training.retrain", description="Train one model and register it in the home's MLflow.",
        epilog="example: python -m training.retrain --home .tiercel --model response --as-of 2025-12-31",
    )  # fmt: skip
    parser.add_argument("--home", type=Path, default=Path(".tiercel"))
    parser.add_argument("--model", choices=MODELS, default=response.NAME)
    parser.add_argument("--as-of", default="", help="last day the training sees; the home's own clock if empty")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tune", type=int, default=0, help="trials of hyper-parameters; asks for the extra `tuning`")
    asked = parser.parse_args(arguments)
    console = Console()
    try:
        as_of = date.fromisoformat(asked.as_of) if asked.as_of else None
        done = retrain(
            asked.home, asked.model, as_of, asked.seed, lambda what, _share: console.print(f"… {what}"),
            n_trials=asked.tune,
        )  # fmt: skip
    except (TiercelError, ValueError) as error:
        Console(stderr=True).print(str(error), markup=False)
        return 2
    console.print(report.table(done.judgement, f"{asked.model}, version {done.version}"))
    console.print(report.gates_table(done.verdict.gates))
    console.print(done.sentence(), markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
