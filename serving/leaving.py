"""Why a customer was thought to leave when a decision was made: from its stored facts and its release's own model."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from features.vocabulary import Kind
from serving.disclosure import shown_to
from serving.releases import release_of
from serving.scorer import Champions
from serving.security import Actor
from training.fitted import FittedModel
from training.reasons import Cause, reasons_of

_OPEN = frozenset({*(cause for cause in Cause if cause.is_service), Cause.STANDING})  # the others tell what he owns


def leaving(home: Path, release_id: str, inputs: dict[str, Any], actor: Actor) -> dict[str, Any] | None:
    """p and the reasons that raise it, most first, as far as `actor` may see; None without a churn model."""
    model = _model(home, release_id)
    if model is None:
        return None
    told = {**inputs["numbers"], **inputs["codes"]}
    facts = {
        feature.name: np.array([told.get(feature.name)], dtype=object if feature.kind is Kind.CODE else np.float64)
        for feature in model.recipe.features
    }
    p = float(model.score(model.recipe.encode(facts))[0])
    shown = frozenset(Cause) if "mda" in shown_to(actor) else _OPEN
    reasons = [reason.to_json() for reason in reasons_of(model, facts)[0] if reason.code in shown]
    return {"p_churn": p, "reasons": reasons}


@lru_cache(maxsize=4)
def _model(home: Path, release_id: str) -> FittedModel | None:
    return Champions.read(release_of(home, release_id)).churn
