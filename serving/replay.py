"""Deciding again from stored inputs: always to the bit, or the places where it differs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from decisioning.catalogue.catalogue import Catalogue
from decisioning.decide import decide
from decisioning.inputs import Inputs
from decisioning.policy import DecisionsPolicy
from serving.desk.ground import catalogue_of
from serving.desk.records import decided_part, plain
from serving.ledger import DecisionRow
from serving.releases import release_of

_MOST_DIFFERENCES = 50


@dataclass(frozen=True, slots=True)
class Replayed:
    """What deciding again gave: `differences` names each place with what is stored and what came out."""

    decision_id: str
    release_id: str
    differences: tuple[dict[str, Any], ...]

    @property
    def is_identical(self) -> bool:
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        return {
            "decision_id": self.decision_id,
            "release_id": self.release_id,
            "identical": self.is_identical,
            "differences": list(self.differences),
        }


def replay(home: Path, row: DecisionRow) -> Replayed:
    """Decide `row` again under the policy of its release, in force on its day; raises NotFound without the release."""
    inputs = Inputs.from_json(json.loads(row.inputs))
    day = row.decided_at.astimezone(ZoneInfo(inputs.zone)).date()
    policy, catalogue = _rules(home, row.release_id, day)
    again = plain(decide(inputs, catalogue, policy)[0]) | {"decisions_digest": policy.digest}
    stored = decided_part(json.loads(row.answer)) | {"decisions_digest": row.decisions_digest}
    found = differences(stored, again)
    return Replayed(row.decision_id, row.release_id, tuple(found[:_MOST_DIFFERENCES]))


def differences(stored: Any, again: Any, path: str = "") -> list[dict[str, Any]]:
    """The places where two JSON values differ; floats must be equal to the bit.

    >>> differences({"a": [1, 2.0]}, {"a": [1, 2.5]})
    [{'path': 'a[1]', 'stored': 2.0, 'replayed': 2.5}]
    """
    if isinstance(stored, dict) and isinstance(again, dict):
        names = [*stored, *(name for name in again if name not in stored)]
        parts = [(f"{path}.{name}".lstrip("."), stored.get(name), again.get(name)) for name in names]
    elif isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        parts = [(f"{path}[{i}]", left, right) for i, (left, right) in enumerate(zip(stored, again, strict=True))]
    else:
        same = type(stored) is type(again) and stored == again
        return [] if same else [{"path": path, "stored": stored, "replayed": again}]
    return [found for where, left, right in parts for found in differences(left, right, where)]


@lru_cache(maxsize=16)
def _rules(home: Path, release_id: str, day: date) -> tuple[DecisionsPolicy, Catalogue]:
    release = release_of(home, release_id)
    policy = release.decisions().view(day)
    return policy, catalogue_of(policy, release.segments().view(release.as_of))
