"""Which challenger a release ships and for how many customers it decides, from what the registry holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from features.errors import BadRequest, NotFound, NotReady
from serving import releases
from serving.scorer import NAMES
from serving.shipping import Beside
from training import registry
from training.examination import TRAINING_SCORES
from training.models import churn
from training.registry import ModelVersion

NONE = "none"  # asked for instead of a name: no challenger


def beside_of(
    home: Path, champions: Mapping[str, ModelVersion], names: Sequence[str] | None = None, share: float | None = None
) -> Beside:
    """What a release of `champions` carries beside them; `names` and `share` as `jobs.cut_release` has them.

    A share above 0 is refused for a version whose gates of leakage, assessment or second person are closed: its
    figures are what a trial is for, these are not.
    """
    found = _registered(home, names)
    wanted = _kept_share(home, found) if share is None else share
    barred = {name: one.bars_live for name, one in found.items() if one.bars_live}
    if wanted and barred:
        raise BadRequest(
            "a challenger may decide for nobody while these gates are closed",
            value="; ".join(f"{name} {', '.join(gates)}" for name, gates in barred.items()),
            todo="mend what they name and train again, or leave it in shadow with a share of 0",
        )  # fmt: skip
    return Beside(
        versions={name: one.version for name, one in champions.items()},
        recalibration={
            name: json.loads(one.facts[registry.RECALIBRATION])
            for name, one in champions.items()
            if registry.RECALIBRATION in one.facts
        },
        bands={churn.NAME: _bands(champions[churn.NAME])} if churn.NAME in champions else {},
        challengers={name: one.folder for name, one in found.items()},
        challenging={name: one.version for name, one in found.items()},
        share=wanted,
    )


def _bands(champion: ModelVersion) -> dict[str, float]:
    """From which p on a customer stands in the top tenth, and in the two tenths below, of those learnt from."""
    hundredths = json.loads(champion.facts[TRAINING_SCORES])
    return {"HIGH": hundredths[90], "RAISED": hundredths[70]}


def _registered(home: Path, names: Sequence[str] | None) -> dict[str, ModelVersion]:
    asked = NAMES if names is None else tuple(name for name in names if name != NONE)
    found = {name: one for name in asked if (one := registry.with_alias(home, name, registry.CHALLENGER))}
    lacking = [name for name in asked if name not in found]
    if names is not None and lacking:
        raise NotFound("no challenger is registered", value=", ".join(lacking), allowed=NAMES,
                       todo="`tiercel train` registers one that beats a constant with a gate closed")  # fmt: skip
    return found


def _kept_share(home: Path, found: Mapping[str, ModelVersion]) -> float:
    """The share that the very same challenger has in the release of now, else 0."""
    try:
        now = releases.current(home)
    except NotReady:
        return 0.0
    shipped = (now.manifest.get("challenger") or {"versions": None})["versions"]
    return now.challenger_share if shipped == {name: one.version for name, one in found.items()} else 0.0
