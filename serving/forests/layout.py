"""What the champions look up of a customer, and one champion laid out for the rows of offers that it is asked about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.cards import OfferCard
from features.packing import Plain
from features.vocabulary import Kind
from serving.forests.forest import Forest, pairs
from serving.forests.leaves import Floats
from serving.forests.tree_text import Unlike, is_of_probabilities, trees_of
from training.encoding import Feature, Matrix, Recipe
from training.fitted import FittedModel

Facts = Mapping[str, NDArray[Any]]
_CHANNEL = "channel"
_MISSING = float("nan")


class Columns:
    """A customer's row: each feature once that some champion learnt from, encoded as `Recipe.encode` does.

    A column that the facts lack is missing.
    """

    def __init__(self, models: Iterable[FittedModel]) -> None:
        every = dict.fromkeys(feature for model in models for feature in model.recipe.features if not feature.of_offer)
        numbers = [feature for feature in every if feature.kind is not Kind.CODE]
        codes = [feature for feature in every if feature.kind is Kind.CODE]
        self.place = {feature: place for place, feature in enumerate([*numbers, *codes])}
        self._numbers = [feature.name for feature in numbers]
        self._codes: list[tuple[str, Mapping[Any, float]]] = [
            (feature.name, {code: float(at) for at, code in enumerate(feature.codes)}) for feature in codes
        ]
        self._pick = itemgetter(*self._numbers) if len(numbers) > 1 else None

    def rows(self, facts: Facts, n: int) -> Matrix:
        """n customers, (n, columns)."""
        rows = np.full((n, len(self.place)), _MISSING)
        for place, name in enumerate(self._numbers):
            if name in facts:
                rows[:, place] = facts[name]
        for place, (name, known) in enumerate(self._codes, len(self._numbers)):
            if name in facts:
                rows[:, place] = [known.get(code, _MISSING) for code in facts[name].tolist()]
        return rows

    def row(self, facts: Mapping[str, Plain]) -> Matrix:
        """One customer whose facts are plain values, (1, columns)."""
        codes = [known.get(facts.get(name), _MISSING) for name, known in self._codes]
        return np.array([[*self._values(facts), *codes]])

    def _values(self, facts: Mapping[str, Any]) -> Sequence[float]:
        try:
            return self._pick(facts) if self._pick is not None else [facts[name] for name in self._numbers]
        except KeyError:
            return [facts.get(name, _MISSING) for name in self._numbers]


class Layout:
    """One champion laid out for rows of offers (r, its columns of offers)."""

    def __init__(self, model: FittedModel, columns: Columns, offers: Matrix) -> None:
        self._model, self._offers = model, offers
        features = model.recipe.features
        self._of_customer = {at: columns.place[feature] for at, feature in enumerate(features) if not feature.of_offer}
        self._of_offer = {at: place for place, at in enumerate(_of_offer(features))}
        self._x, self._y = np.array(model.calibration.x), np.array(model.calibration.y)
        self.forest = self._agreeing()  # None: the library is asked, which may be of another mind

    def score(self, rows: Matrix) -> Floats:
        """Probabilities, or effects, (n, r) of customers' rows (n, columns) with every row of offers."""
        scores = self._by_library(rows) if self.forest is None else self.forest.score(rows)
        found: Floats = np.interp(scores, self._x, self._y)
        return found

    def _by_library(self, rows: Matrix) -> Floats:
        matrix = pairs(rows, self._of_customer, self._offers, self._of_offer)
        return self._model.trees.score(matrix).reshape(len(rows), -1)

    def _agreeing(self) -> Forest | None:
        """The model's trees, unless its text cannot be laid out or the library scores probes otherwise."""
        try:
            trees, is_log_odds = trees_of(self._model.text), is_of_probabilities(self._model.text)
            forest = Forest(trees, self._of_customer, self._of_offer, self._offers, is_log_odds=is_log_odds)
        except Unlike:
            return None
        probes = forest.probes(max(self._of_customer.values(), default=-1) + 1)
        return forest if (self._by_library(probes) == forest.score(probes)).all() else None


class Offers:
    """The offers of a catalogue as one model's rows."""

    def __init__(self, model: FittedModel, cards: Sequence[OfferCard]) -> None:
        features = model.recipe.features
        self._recipe = Recipe(tuple(features[place] for place in _of_offer(features)))
        self._arrays, self._m = offer_arrays(cards, self._recipe), len(cards)

    def rows(self, channels: Iterable[str]) -> Matrix:
        """Channel by channel, (k·m, columns)."""
        named = [self._arrays | {_CHANNEL: np.full(self._m, name, dtype=object)} for name in channels]
        shape = self._m, len(self._recipe.features)  # of a model that asks nothing of offers as of any other
        return np.concatenate([np.broadcast_to(self._recipe.encode(arrays), shape) for arrays in named])


def offer_arrays(cards: Sequence[OfferCard], recipe: Recipe) -> dict[str, NDArray[Any]]:
    """The columns of bank table `offer` that a recipe asks for, (m,), without the channel."""
    rows = [card.row() for card in cards]
    arrays: dict[str, NDArray[Any]] = {}
    for feature in recipe.features:
        if feature.name != _CHANNEL:
            kind = object if feature.kind is Kind.CODE else np.float64
            arrays[feature.name] = np.array([row[feature.offer_column] for row in rows], dtype=kind)
    return arrays


def _of_offer(features: Sequence[Feature]) -> list[int]:
    return [place for place, feature in enumerate(features) if feature.of_offer]
