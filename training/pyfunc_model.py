"""A logged model as MLflow loads it: artefacts and this one file, without the project's packages.

It repeats, in a few lines, what `training.encoding` and `training.calibration` do; a test holds the two equal. The
frame that `predict` takes has one column a feature: texts for codes, numbers and flags as floats, missing as NaN or
None; a column that is absent counts as missing.
"""

import json
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Probability(PythonModel):  # type: ignore[misc]  # MLflow's classes come without types
    """Calibrated probabilities of a frame."""

    def load_context(self, context: Any) -> None:
        paths = {name: Path(path) for name, path in context.artifacts.items()}
        self.features = json.loads(paths["recipe"].read_text("utf-8"))["features"]
        self.calibration = json.loads(paths["calibration"].read_text("utf-8"))
        self.booster = lightgbm.Booster(model_str=paths["model"].read_text("utf-8"))

    def predict(self, context: Any, model_input: pd.DataFrame) -> np.ndarray:  # noqa: ARG002  # MLflow hands it over
        """p, float64 (n,), in the order of the rows."""
        matrix = np.column_stack([self._encode(feature, model_input) for feature in self.features])
        scores = self.booster.predict(matrix, num_threads=1)
        return np.asarray(np.interp(scores, self.calibration["x"], self.calibration["y"]))

    @staticmethod
    def _encode(feature: dict[str, Any], frame: pd.DataFrame) -> np.ndarray:
        if feature["name"] not in frame:
            return np.full(len(frame), np.nan)
        values = frame[feature["name"]]
        if feature["kind"] != "code":
            return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
        places = {code: place for place, code in enumerate(feature["codes"])}
        return np.array([places.get(value, np.nan) if isinstance(value, str) else np.nan for value in values])


set_model(Probability())
