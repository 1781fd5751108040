"""What a release carries beside its champions: their versions, how they are recalibrated, and perhaps a challenger.

    "versions":      {"response": 3, …}                    registered versions of the champions
    "recalibration": {"response": {"shift": -0.12, …}, …}  added to every logit (training.recalibration)
    "bands":         {"churn": {"HIGH": .31, "RAISED": .12}}    from which p a customer stands in a band
    "challenger":    {"models": ["response"], "versions": {"response": 4}, "share": 0.02} or null

A challenger takes the place of the champions it names for `share` of the customers, by a stable hash; with share 0 it
is in shadow and decides nothing. Its files lie under `challengers/`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.errors import BadRequest

CHAMPIONS, CHALLENGERS = "models", "challengers"  # folders of a release
MOST_SHARE = 0.05  # of the customers: what a challenger may decide for


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside the champions; without anything a release has champions alone."""

    versions: Mapping[str, int] = field(default_factory=dict)
    recalibration: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    bands: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    challengers: Mapping[str, Path] = field(default_factory=dict)
    challenging: Mapping[str, int] = field(default_factory=dict)
    share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= MOST_SHARE:
            raise BadRequest("share of a challenger", value=self.share, allowed=f"0 (shadow) to {MOST_SHARE:g}")
        if self.share and not self.challengers:
            raise BadRequest("a share without a challenger", value=self.share, todo="train one, or leave the share out")

    def facts(self) -> dict[str, Any]:
        """What the manifest says."""
        challenger = {"models": sorted(self.challengers), "versions": dict(self.challenging), "share": self.share}
        return {
            "versions": dict(self.versions),
            "recalibration": {name: dict(one) for name, one in self.recalibration.items()},
            "bands": {name: dict(one) for name, one in self.bands.items()},
            "challenger": challenger if self.challengers else None,
        }


def copy_models(draft: Path, champions: Mapping[str, Path], beside: Beside) -> None:
    """Copy every model's files into `draft`."""
    for folder, models in ((CHAMPIONS, champions), (CHALLENGERS, beside.challengers)):
        for name, files in sorted(models.items()):
            shutil.copytree(files, draft / folder / name)


def model_folders(manifest: Mapping[str, Any]) -> list[str]:
    """The folders of all models that a manifest names, champions first, under the release's."""
    challenger = manifest.get("challenger") or {"models": []}
    return [
        *(f"{CHAMPIONS}/{name}" for name in manifest["champions"]),
        *(f"{CHALLENGERS}/{name}" for name in challenger["models"]),
    ]


def untried(manifest: Mapping[str, Any], kept: Iterable[Mapping[str, Any]]) -> list[str]:
    """The folders whose very files no earlier manifest holds, loaded by the same LightGBM."""
    known = {_identity(earlier, folder) for earlier in kept for folder in model_folders(earlier)}
    return [folder for folder in model_folders(manifest) if _identity(manifest, folder) not in known]


def _identity(manifest: Mapping[str, Any], folder: str) -> tuple[Any, ...]:
    prefix = f"{folder}/"
    files = {path.removeprefix(prefix): sha for path, sha in manifest["files"].items() if path.startswith(prefix)}
    return manifest["lightgbm_version"], tuple(sorted(files.items()))
