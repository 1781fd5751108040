"""The response model laid out for a catalogue: the customer's side of its matrix, the offers', and its trees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.cards import OfferCard
from features.vocabulary import Kind
from serving.forest import Forest
from serving.tree_text import Tree, Unlike, trees_of
from training.encoding import Feature, Matrix, Recipe
from training.fitted import FittedModel

Floats = NDArray[np.float64]
Facts = Mapping[str, NDArray[Any]]
_CHANNEL = "channel"


class Columns:
    """The customer's side of a recipe, encoded as `Recipe.encode` does, all numbers in one step.

    A column that the rows lack is missing for everybody.
    """

    def __init__(self, features: Iterable[Feature]) -> None:
        chosen = [(place, feature) for place, feature in enumerate(features) if not feature.of_offer]
        codes = [(place, feature) for place, feature in chosen if feature.kind is Kind.CODE]
        self._numbers = [feature.name for _, feature in chosen if feature.kind is not Kind.CODE]
        self._codes = [(feature.name, {code: at for at, code in enumerate(feature.codes)}) for _, feature in codes]
        self.places = [place for place, feature in chosen if feature.kind is not Kind.CODE]
        self.places += [place for place, _ in codes]

    def side_by_side(self, facts: Facts, n: int) -> Matrix:
        """Numbers, then codes, of n customers: (columns, n), rows in the order of `places`."""
        missing = np.full(n, np.nan)
        columns = np.empty((len(self.places), n))
        end = len(self._numbers)
        if end:
            np.concatenate([facts.get(name, missing) for name in self._numbers], out=columns[:end].reshape(-1))
        for at, (name, known) in enumerate(self._codes, end):
            given = facts.get(name)
            columns[at] = missing if given is None else [known.get(code, np.nan) for code in given.tolist()]
        return columns

    def matrix(self, facts: Facts, n: int) -> Matrix:
        """The same as rows of the recipe's own matrix, (n, columns), for a recipe without an offer's side."""
        rows = np.empty((n, len(self.places)))
        rows[:, self.places] = self.side_by_side(facts, n).T
        return rows


class Layout:
    """The response model, laid out once a channel for all offers; what it looks up of a customer is encoded alone."""

    def __init__(self, model: FittedModel, cards: Sequence[OfferCard]) -> None:
        self._model = model
        features = model.recipe.features
        self._customers = Columns(features)
        self._of_offer = [place for place, feature in enumerate(features) if feature.of_offer]
        self._offer = Recipe(tuple(features[place] for place in self._of_offer))
        self._offers = offer_arrays(cards, self._offer)
        self._n_offers = len(cards)
        self.trees = readable(model.text)
        self._by_channels: dict[tuple[str, ...], tuple[Matrix, Forest | None]] = {}

    def score(self, facts: Facts, n: int, channels: tuple[str, ...]) -> Floats:
        """Probabilities customer by customer, then channel by channel, then offer by offer, (n, k·m)."""
        right, forest = self._laid_out(channels)
        left = self._customers.side_by_side(facts, n)
        scores = forest.score(left) if forest is not None else self._by_library(left, right)
        return self._model.calibration.apply(scores)

    def plainly(self, facts: Facts, channels: tuple[str, ...]) -> Floats:
        """What the library gives of one customer, (k·m,)."""
        scores = self._by_library(self._customers.side_by_side(facts, 1), self.offers(channels))
        found: Floats = self._model.calibration.apply(scores)[0]
        return found

    def _by_library(self, left: Matrix, right: Matrix) -> Floats:
        """What the library gives, which a model that cannot be laid out is asked through."""
        n = left.shape[1]
        matrix = np.empty((n, len(right), len(left) + right.shape[1]))
        matrix[:, :, self._customers.places] = left.T[:, np.newaxis, :]
        matrix[:, :, self._of_offer] = right
        return self._model.trees.score(matrix.reshape(n * len(right), -1)).reshape(n, -1)

    def offers(self, channels: tuple[str, ...]) -> Matrix:
        """The offers' side, channel by channel, (k·m, columns)."""
        m = self._n_offers
        return np.concatenate(
            [self._offer.encode(self._offers | {_CHANNEL: np.full(m, name, dtype=object)}) for name in channels]
        )

    def _laid_out(self, channels: tuple[str, ...]) -> tuple[Matrix, Forest | None]:
        found = self._by_channels.get(channels)
        if found is None:
            right, forest = self.offers(channels), None
            if self.trees is not None:
                forest = Forest.of(self.trees, self._model.trees, self._customers.places, self._of_offer, right)
            found = right, forest
            self._by_channels[channels] = found
        return found


def readable(text: str) -> list[Tree] | None:
    try:
        return trees_of(text)
    except Unlike:
        return None


def offer_arrays(cards: Sequence[OfferCard], recipe: Recipe) -> dict[str, NDArray[Any]]:
    """The columns of bank table `offer` that a recipe asks for, (m,), without the channel."""
    rows = [card.row() for card in cards]
    arrays: dict[str, NDArray[Any]] = {}
    for feature in recipe.features:
        if feature.name != _CHANNEL:
            kind = object if feature.kind is Kind.CODE else np.float64
            arrays[feature.name] = np.array([row[feature.offer_column] for row in rows], dtype=kind)
    return arrays
