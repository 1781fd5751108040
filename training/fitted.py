"""A fitted model as plain files, and the one way in which it turns facts into probabilities.

    model.txt          LightGBM text          recipe.json        how facts become its matrix
    calibration.json   the isotonic map       shares.json        incremental shares (response only, else empty)
    golden.json        rows and the probabilities they gave when the model was made

A damaged model text ends the process that parses it, so files are compared with their SHA-256 before they are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import NotReady
from training.boosting import Trees
from training.calibration import Calibration
from training.encoding import Arrays, Matrix, Recipe, arrays_of

FILES = ("calibration.json", "golden.json", "model.txt", "recipe.json", "shares.json")
N_GOLDEN = 20


class DamagedModel(NotReady):
    """A model file is missing, or is not the one that was registered."""

    slug = "damaged-model"


@dataclass(frozen=True)
class FittedModel:
    """A model that can be scored and written down; `shares` as `models.shares` gives them."""

    name: str
    text: str
    recipe: Recipe
    calibration: Calibration
    shares: tuple[Mapping[str, Any], ...] = ()

    def with_shares(self, shares: Iterable[Mapping[str, Any]]) -> FittedModel:
        """The same model with these incremental shares."""
        return replace(self, shares=tuple(shares))

    def shifted(self, shift: float) -> FittedModel:
        """The same model with `shift` added to its logits (see `training.recalibration`); itself for 0."""
        return replace(self, calibration=self.calibration.shifted(shift)) if shift else self

    @cached_property
    def trees(self) -> Trees:
        return Trees(self.text)

    def score(self, matrix: Matrix) -> NDArray[np.float64]:
        """Calibrated probabilities (n,) of the rows of `matrix` (n, f), laid out as the recipe says."""
        return self.calibration.apply(self.trees.score(matrix))

    def score_pairs(self, facts: Arrays, offers: Arrays) -> NDArray[np.float64]:
        """Calibrated probabilities (n, m) of n customers with m offers; see `Recipe.encode_pairs`."""
        matrix = self.recipe.encode_pairs(facts, offers)
        n_offers = len(next(iter(offers.values())))
        return self.score(matrix).reshape(-1, n_offers)

    def predict(self, frame: Any) -> NDArray[np.float64]:
        """Calibrated probabilities (n,) of a pandas `frame` that holds the recipe's columns."""
        return self.score(self.recipe.encode(arrays_of(frame, self.recipe.features)))

    def write(self, folder: Path, frame: Any) -> None:
        """Write all files into `folder`, with the first rows of `frame` as golden rows."""
        folder.mkdir(parents=True, exist_ok=True)
        golden = frame.head(N_GOLDEN)
        contents = {
            "recipe.json": {"model": self.name, **self.recipe.to_json()},
            "calibration.json": self.calibration.to_json(),
            "shares.json": list(self.shares),
            "golden.json": {"rows": golden_rows(self.recipe, golden), "p": self.predict(golden).tolist()},
        }
        for name, content in contents.items():
            (folder / name).write_text(json.dumps(content, indent=1), "utf-8")
        (folder / "model.txt").write_text(self.text, "utf-8")

    @classmethod
    def read(cls, folder: Path, digests: Mapping[str, str] | None = None) -> FittedModel:
        """The model in `folder`; raises DamagedModel if a file is missing or differs from `digests`."""
        found = digests_of(folder)
        if digests is not None and dict(digests) != found:
            wrong = sorted(name for name in FILES if digests.get(name) != found[name])
            raise DamagedModel(
                "model files are not those that were registered", value=", ".join(wrong) or str(folder),
                todo="train again, or restore the files",
            )  # fmt: skip
        recipe = json.loads((folder / "recipe.json").read_text("utf-8"))
        return cls(
            recipe["model"],
            (folder / "model.txt").read_text("utf-8"),
            Recipe.from_json(recipe),
            Calibration.from_json(json.loads((folder / "calibration.json").read_text("utf-8"))),
            tuple(json.loads((folder / "shares.json").read_text("utf-8"))),
        )

    def largest_golden_difference(self, folder: Path) -> float:
        """Largest |p − golden p| over the golden rows in `folder`; 0 on the machine that made them."""
        golden = json.loads((folder / "golden.json").read_text("utf-8"))
        arrays = {
            feature.name: np.array(
                [row[feature.name] for row in golden["rows"]], dtype=object if feature.codes else np.float64
            )
            for feature in self.recipe.features
        }
        return float(np.abs(self.score(self.recipe.encode(arrays)) - np.array(golden["p"])).max(initial=0))


def golden_rows(recipe: Recipe, frame: Any) -> list[dict[str, float | str | None]]:
    """Rows of `frame` as plain data under the recipe's names; missing is None."""
    arrays = arrays_of(frame, recipe.features)
    return [
        {name: _plain(values[row]) for name, values in arrays.items()}
        for row in range(len(frame))
    ]  # fmt: skip


def digests_of(folder: Path) -> dict[str, str]:
    """SHA-256 of each model file in `folder`; raises DamagedModel if one is missing."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise DamagedModel("model files are missing", value=", ".join(missing), allowed=FILES, todo="train again")
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def _plain(value: Any) -> float | str | None:
    if isinstance(value, str) or value is None:
        return value
    return None if np.isnan(value) else float(value)
