"""A bank's own models: a LightGBM text in the place of ours, or any model that MLflow loads, asked at night.

A text is judged on our rows and by our gates and is served like ours, online too. Any other model is loaded with
whatever it brings along, which may run code: at night, in a process of its own, never where decisions are answered.
docs/own.md shows both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import UserMistake
from features.own import SCORE, own_views, scores_of, with_own, write_scores
from features.profiles import PROFILE, latest
from features.vocabulary import AS_OF_AT, AVAILABLE_AT, CUSTOMER_ID, Column
from training.boosting import Parameters, Trees
from training.calibration import Calibration
from training.encoding import NUMERIC, Feature, Recipe, arrays_of
from training.fitted import FittedModel
from training.fitting import CrossFitted
from training.gathering import fitted, gather, split_of
from training.ground import FACTS, PROFILE_FACTS, ground_of
from training.models import response, value
from training.models.shares import DEFAULT_SHARE
from training.outcomes import OFFER_FEATURES
from training.registry import CHAMPION
from training.retrain import Retrained, finish
from training.tracking import library

_BATCH = 50_000
_KINDS = {column.name: column.kind for column in PROFILE}
_NO_FACTS = frozenset({CUSTOMER_ID, AS_OF_AT, AVAILABLE_AT})


@dataclass(frozen=True)
class Rows:
    """What a model may learn from: `frame` (n rows; codes as pandas categories), `outcomes` (n,), `customers` (n,)."""

    frame: pd.DataFrame
    outcomes: NDArray[np.float64]
    customers: NDArray[Any]


def rows_of(home: Path, model: str, as_of: date | None = None) -> Rows:
    """The training rows of `model` as they were known at their instants; the test rows are not among them.

    Raises what gathering them raises.
    """
    ground = ground_of(home, as_of)
    examples = gather(ground, model).examples
    split = split_of(ground, examples)
    recipe = _recipe(model, examples.frame[split.train], examples.own)
    arrays = arrays_of(examples.frame[split.train], recipe.features)
    columns = {
        feature.name: pd.Categorical(arrays[feature.name], categories=feature.codes)
        if feature.codes else np.asarray(arrays[feature.name], dtype=np.float64)
        for feature in recipe.features if feature.codes or feature.kind in NUMERIC
    }  # fmt: skip
    customers = examples.frame.loc[split.train, CUSTOMER_ID].to_numpy()
    return Rows(pd.DataFrame(columns), examples.outcomes[split.train], customers)


def adopt(home: Path, model: str, text: str, *, author: str, as_of: date | None = None, seed: int = 0) -> Retrained:
    """The LightGBM model `text` as the next version of `model`, judged and asked every gate, without an alias.

    Its features are ours by name; codes are numbered as `rows_of` gives them. Its p is taken as it is: what the window
    says of its calibration, the gates ask. Beside it stands the plain model. `tiercel promote` makes it champion.
    Raises UserMistake for a feature that nobody has.
    """
    ground = ground_of(home, as_of)
    inventory = ground.models.inventory.model_copy(update={"author": author})
    ground = replace(ground, models=ground.models.model_copy(update={"inventory": inventory}))
    gathered = gather(ground, model)
    examples, split = gathered.examples, split_of(ground, gathered.examples)
    parameters = Parameters(seed=seed)
    rival = fitted(model, gathered, split, parameters, DEFAULT_SHARE)
    recipe = _of_text(text, _recipe(model, examples.frame[split.train], examples.own))
    ours = FittedModel(model, text, recipe, Calibration.identity(), rival.ours.shares)
    trained = CrossFitted(ours, rival.plain, ours.predict(examples.frame[split.train]))
    return finish(ground, gathered, split, trained, parameters, model=model, seed=seed)


def score_at_night(home: Path, model: str, at: datetime) -> tuple[Path, int]:
    """What the champion of the bank's own `model` says of every customer of the newest month: the file, and how many.

    It is handed the profile and the bank's own features, the columns of its signature where it has one; codes are texts
    with None, numbers float64 with NaN. Raises UserMistake where it asks for a column that nobody has, or does not
    answer with one number a customer.
    """
    home = home.resolve()
    loaded = library(home).pyfunc.load_model(f"models:/{model}@{CHAMPION}")
    build, view = latest(home, at), scores_of(model)
    features = [own for own in own_views(home) if not own.name.startswith(SCORE)]
    frame = with_own(home, build, pq.read_table(build.path).to_pandas(), features).set_index(CUSTOMER_ID, drop=False)
    schema = loaded.metadata.get_input_schema()
    asked = schema.input_names() if schema else [name for name in frame.columns if name not in _NO_FACTS]
    lacking = sorted(set(asked) - set(frame.columns))
    if lacking:
        raise UserMistake(f"model {model} asks for a column that nobody has", value=lacking[0], todo="see docs/own.md")
    plain = _plain(frame[asked], {column.name: column for own in features for column in own.columns})
    parts = [_answers(loaded, plain.iloc[start : start + _BATCH], model) for start in range(0, len(plain), _BATCH)]
    scores = pd.Series(np.concatenate(parts) if parts else [], index=frame.index, dtype="float64")
    return write_scores(home, build, view, scores, at), len(scores)


def _recipe(model: str, frame: pd.DataFrame, own: Sequence[Column]) -> Recipe:
    """Every feature that a model of this name may have, with the codes of its training rows."""
    facts: tuple[Column, ...] = (*(FACTS if model == response.NAME else PROFILE_FACTS), *own)
    facts += (value.AHEAD,) if model == value.NAME else ()
    offers = OFFER_FEATURES if model == response.NAME else ()
    return Recipe.learn(facts, offers, arrays_of(frame, [*facts, *offers]))


def _of_text(text: str, known: Recipe) -> Recipe:
    by_name: Mapping[str, Feature] = {feature.name: feature for feature in known.features}
    names = Trees(text).names
    lacking = [name for name in names if name not in by_name]
    if lacking:
        raise UserMistake("the text asks for a feature that nobody has", value=lacking[0], allowed=sorted(by_name))
    return Recipe(tuple(by_name[name] for name in names))


def _plain(frame: pd.DataFrame, own: Mapping[str, Column]) -> pd.DataFrame:
    """Numbers and flags as float64, everything else as texts; decimals and nullable integers come out as numbers."""
    columns = {}
    for name in frame.columns:
        kind = own[name].kind if name in own else _KINDS.get(name)
        values = frame[name]
        columns[name] = values.to_numpy(np.float64, na_value=np.nan) if kind in NUMERIC else values.astype(object)
    return pd.DataFrame(columns, index=frame.index)


def _answers(loaded: Any, rows: pd.DataFrame, model: str) -> NDArray[np.float64]:
    told = np.asarray(loaded.predict(rows), dtype=np.float64).reshape(-1)
    if len(told) != len(rows):
        raise UserMistake(f"model {model} does not answer with one number a customer", value=f"{len(told)} numbers",
                          allowed=f"{len(rows)}")  # fmt: skip
    return told
