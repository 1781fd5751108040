"""Every registered version as plain data: who answers for it, how it was judged, what its gates said.

`python -m training.versions HOME` prints it, so that a server can ask without loading MLflow into itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training import registry, tracking
from training.examination import TRAINING_SCORES
from training.judging.judgement import CONSTANT, OURS, PLAIN, RANDOM
from training.registry import ModelVersion

_FOR_MACHINES = frozenset({TRAINING_SCORES, "suspicions"})  # versions of before kept their suspicions as a tag
METRICS = ("auc", "log_loss", "brier", "ece", "slope", "lift_at_10", "recall_at_10", "qini", "uplift_at_10",
           "uplift_at_20", "uplift_at_30")  # fmt: skip
_FIRST = (RANDOM, CONSTANT, PLAIN)  # the simplest rivals first, ours last
_LOW, _HIGH, _LESS = "_low", "_high", "ours_less_"
Plain = dict[str, Any]


def told(home: Path) -> list[Plain]:
    """The versions of every model, by name and then newest first; empty in a home that has never trained.

    Each holds `model`, `version`, `run_id`, `aliases`, `says`, `facts` (its tags), `digests` (SHA-256 by file),
    `report` (the path of its HTML report, None without one), `figures` by score and metric and `less` by rival and
    metric as {value, low, high}, and what its run kept: `gates`, `slices`, `suspicions`, empty where it kept nothing; a
    suspicion of before has no Chinese.
    """
    home = home.resolve()
    return [_told(home, found) for model in registry.names(home) for found in registry.versions(home, model)]


def intervals(figures: Mapping[str, float]) -> tuple[dict[str, Plain], dict[str, Plain]]:
    """The figures of a run that have both ends: of each score by metric, and ours less each rival by metric.

    >>> intervals({"ours_auc": 0.7, "ours_auc_low": 0.6, "ours_auc_high": 0.8, "score_psi": 0.1})
    ({'ours': {'auc': {'value': 0.7, 'low': 0.6, 'high': 0.8}}}, {})
    """
    found: dict[str, Plain] = {}
    less: dict[str, Plain] = {}
    for name, value in figures.items():
        if name + _LOW not in figures or name + _HIGH not in figures:
            continue
        into, rest = (less, name.removeprefix(_LESS)) if name.startswith(_LESS) else (found, name)
        metric = next((one for one in METRICS if rest.endswith(f"_{one}")), None)
        if metric is not None:
            ends = {"value": value, "low": figures[name + _LOW], "high": figures[name + _HIGH]}
            into.setdefault(rest.removesuffix(f"_{metric}"), {})[metric] = ends
    rank = [*_FIRST, *sorted(set(found) - {*_FIRST, OURS}), OURS]
    return {score: found[score] for score in rank if score in found}, less


def _told(home: Path, found: ModelVersion) -> Plain:
    examination = tracking.kept_of(home, found.run_id, tracking.EXAMINATION)
    report = tracking.kept_of(home, found.run_id, tracking.REPORT)
    figures, less = intervals(tracking.figures_of(home, found.run_id))
    asked = json.loads(examination.read_text("utf-8")) if examination else {}
    return {
        "model": found.model, "version": found.version, "run_id": found.run_id, "aliases": list(found.aliases),
        "says": found.facts.get("says", ""), "says_zh": found.facts.get("says_zh", ""),
        "digests": dict(found.digests), "report": str(report) if report else None,
        "facts": {name: value for name, value in sorted(found.facts.items()) if name not in _FOR_MACHINES},
        "figures": figures, "less": less, "gates": asked.get("gates", []), "slices": asked.get("slices", []),
        "suspicions": [one if isinstance(one, dict) else {"says": one} for one in asked.get("suspicions", [])],
    }  # fmt: skip


def main() -> None:
    """Print what is told of the home that the first argument names, as JSON."""
    sys.stdout.write(json.dumps(told(Path(sys.argv[1])), default=str))


if __name__ == "__main__":
    main()
