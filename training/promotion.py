"""A registered version examined again on its own window, and made champion if every gate lets it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from features.errors import BadRequest
from features.profiles import silent
from training import registry, tracking
from training.examination import TRAINING_SCORES, evidence_of
from training.fitting import CrossFitted
from training.gates import Gate, Verdict, examine
from training.gathering import gather, split_of
from training.ground import ground_of
from training.inventory import NOBODY
from training.registry import ModelVersion


class GateClosed(BadRequest):
    """A gate keeps a version from becoming champion; `verdict` holds every gate as it was answered."""

    slug = "gate-closed"

    def __init__(self, model: str, version: int, verdict: Verdict) -> None:
        self.verdict = verdict
        todo = f"{len(verdict.failed)} of {len(verdict.gates)} gates are closed; mend what they name, or train again"
        super().__init__(f"{model} version {version} may not be champion", value=verdict.says, todo=todo)


@dataclass(frozen=True)
class Promoted:
    """The champion that stands now and the gates it passed."""

    version: ModelVersion
    verdict: Verdict

    @property
    def gates(self) -> tuple[Gate, ...]:
        return self.verdict.gates

    def to_json(self) -> dict[str, Any]:
        gates = [gate.to_json() for gate in self.gates]
        return {"model": self.version.model, "version": self.version.version, "gates": gates}


def promote(home: Path, model: str, version: int, approver: str | None = None, progress: Any = silent) -> Promoted:
    """Make `version` the champion of `model` if all gates let it, on the window it was judged on.

    The rows of that window are gathered again, since no registry keeps customers' rows; the champion of now and the
    plain rival of then are scored on them. `approver` stands in for the inventory's. Raises NotFound, GateClosed with
    every gate that is closed.
    """
    verdict = reexamine(home, model, version, approver, progress)
    if not verdict.passes:
        raise GateClosed(model, version, verdict)
    if approver:
        registry.note(home, model, version, "approver", approver)
    return Promoted(registry.crown(home, model, version), verdict)


def reexamine(home: Path, model: str, version: int, approver: str | None = None, progress: Any = silent) -> Verdict:
    """Every gate for `version`, asked now."""
    found = registry.version_of(home, model, version)
    progress("window", 0.1)
    ground = ground_of(home, horizon=datetime.fromisoformat(found.facts["horizon"]))
    if approver:
        named = ground.models.inventory.model_copy(update={"approver": approver, **_author(found)})
        ground = replace(ground, models=ground.models.model_copy(update={"inventory": named}))
    examples = gather(ground, model).examples
    split = split_of(ground, examples, datetime.fromisoformat(found.facts["test_from"]).replace(tzinfo=UTC))
    progress("gates", 0.6)
    evidence = evidence_of(ground, examples, split, _as_trained(home, found), seed=int(found.facts["seed"]))
    return examine(evidence)


def _author(found: ModelVersion) -> dict[str, str]:
    """Who made the version, as its tags say: whoever writes the inventory anew has not made it."""
    author = found.facts.get("author", NOBODY)
    return {} if author == NOBODY else {"author": author}


def _as_trained(home: Path, found: ModelVersion) -> CrossFitted:
    """The version and its plain rival, with what the registry kept of its training scores."""
    scores = np.array(json.loads(found.facts[TRAINING_SCORES]))
    return CrossFitted(found.read(), tracking.plain_of(home, found.run_id), scores)
