"""Why a customer is thought to leave: now, for his portrait, or when a decision was made, from its stored facts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.stored import facts_told
from features.vocabulary import Kind
from serving.disclosure import shown_to
from serving.releases import Release, release_of
from serving.scorer import Champions
from serving.security import Actor
from training.encoding import Feature
from training.fitted import FittedModel
from training.reasons import Cause, reasons_of

_OPEN = frozenset({*(cause for cause in Cause if cause.is_service), Cause.STANDING})  # the others tell what he owns


def leaving(home: Path, release_id: str, inputs: dict[str, Any], actor: Actor) -> dict[str, Any] | None:
    """What is told of a decision's customer from its stored inputs, as `leaving_now` tells it."""
    release, model = _model(home, release_id)
    facts = {name: np.array([value], dtype=object) for name, value in facts_told(inputs).items()}
    return leaving_now(release, model, facts, actor)


def leaving_now(
    release: Release, model: FittedModel | None, facts: Mapping[str, NDArray[Any]], actor: Actor
) -> dict[str, Any] | None:
    """p of leaving, its band and the reasons that raise it, most first, as far as `actor` may see; None without model.

    `facts` are of one row. A band says where p stands among those that the model said of its training rows: HIGH in the
    top tenth, RAISED in the two tenths below, USUAL; None in a release that knows no bands.
    """
    if model is None:
        return None
    mine = {feature.name: _one(facts.get(feature.name), feature) for feature in model.recipe.features}
    p = float(model.score(model.recipe.encode(mine))[0])
    shown = frozenset(Cause) if "mda" in shown_to(actor) else _OPEN
    reasons = [reason.to_json() for reason in reasons_of(model, mine)[0] if reason.code in shown]
    return {"p_churn": p, "band": _band(p, release.manifest.get("bands", {}).get("churn")), "reasons": reasons}


def _one(values: NDArray[Any] | None, feature: Feature) -> NDArray[Any]:
    """The value of one feature in its own type, missing where the facts lack it."""
    kind = object if feature.kind is Kind.CODE else np.float64
    return np.array([None], dtype=kind) if values is None else values.astype(kind)


def _band(p: float, bands: Mapping[str, float] | None) -> str | None:
    if bands is None:
        return None
    return next((name for name in ("HIGH", "RAISED") if p >= bands[name]), "USUAL")


@lru_cache(maxsize=4)
def _model(home: Path, release_id: str) -> tuple[Release, FittedModel | None]:
    release = release_of(home, release_id)
    return release, Champions.read(release).churn
