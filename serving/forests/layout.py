"""What the champions look up of a customer, and one champion laid out for the offers that it is asked about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.cards import OfferCard
from features.packing import Plain
from features.vocabulary import Kind
from serving.forests.forest import Forest, pairs
from serving.forests.leaves import Floats, all_scores, mapped, packed
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
        self._known = [(name, known.get) for name, known in self._codes]
        self._pick = itemgetter(*self._numbers) if len(numbers) > 1 else None
        self._struct = Struct(f"{len(every) + 1}d")

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

    def each(self, facts: Sequence[Mapping[str, Plain]], asked: Sequence[int]) -> Matrix:
        """The same of n customers whose facts are plain values, one mapping each, and the list that each asks for."""
        pack = self._struct.pack
        each = [
            pack(*self._numbers_of(one), *self._codes_of(one), which) for one, which in zip(facts, asked, strict=True)
        ]
        rows = np.frombuffer(bytearray().join(each))  # writable: for any other kind the kernel is compiled anew
        return rows.reshape(len(facts), -1)

    def _numbers_of(self, facts: Mapping[str, Any]) -> Sequence[float]:
        try:
            return self._pick(facts) if self._pick is not None else [facts[name] for name in self._numbers]
        except KeyError:
            return [facts.get(name, _MISSING) for name in self._numbers]

    def _codes_of(self, facts: Mapping[str, Any]) -> list[float]:
        told = facts.get
        return [known(told(name), _MISSING) for name, known in self._known]


class Layout:
    """One champion laid out for lists of offers (r, its columns of offers) each."""

    def __init__(self, model: FittedModel, columns: Columns, offers: Sequence[Matrix]) -> None:
        self._model, self._offers = model, offers
        features = model.recipe.features
        self._of_customer = {at: columns.place[feature] for at, feature in enumerate(features) if not feature.of_offer}
        self._of_offer = {at: place for place, at in enumerate(_of_offer(features))}
        self._knots = model.calibration.x, model.calibration.y
        self.n_lists, self.n_offers = len(offers), len(offers[0])
        self.forest = self._agreeing()  # None: the library is asked, which may be of another mind

    def score(self, rows: Matrix, asked: NDArray[np.int32] | None = None, n_told: int | None = None) -> Floats:
        """Probabilities, or effects, (n, n_told) of customers' rows (n, columns) with the first offers of the list that
        each asks for, (n,); with all of the first list if not given."""
        asked = np.zeros(len(rows), dtype=np.int32) if asked is None else asked
        n_told = self.n_offers if n_told is None else n_told
        if self.forest is not None:
            return self.forest.score(rows, asked, n_told)
        return mapped(self._by_library(rows, asked, n_told), *map(np.array, self._knots))

    def _by_library(self, rows: Matrix, asked: NDArray[np.int32], n_told: int) -> Floats:
        found = np.empty((len(rows), n_told))
        for which in set(asked.tolist()):
            matrix = pairs(rows[asked == which], self._of_customer, self._offers[which][:n_told], self._of_offer)
            found[asked == which] = self._model.trees.score(matrix).reshape(-1, n_told)
        return found

    def _agreeing(self) -> Forest | None:
        """The model's trees, unless its text cannot be laid out or the library scores probes otherwise."""
        try:
            trees, is_log_odds = trees_of(self._model.text), is_of_probabilities(self._model.text)
            forest = Forest(trees, self._of_customer, self._of_offer, self._offers, is_log_odds=is_log_odds)
        except Unlike:
            return None
        probes = forest.probes(max(self._of_customer.values(), default=-1) + 1)
        rows = np.tile(probes, (len(self._offers), 1))
        asked = np.repeat(np.arange(len(self._offers), dtype=np.int32), len(probes))
        wanted = rows, asked, self.n_offers
        is_equal = (self._by_library(*wanted) == forest.score(*wanted)).all()
        return forest.through(*self._knots) if is_equal else None


class Layouts:
    """Several champions over the same columns, asked in one call: most of what a customer alone costs is the call."""

    def __init__(self, layouts: Sequence[Layout]) -> None:
        self._layouts = layouts
        self._ends = np.cumsum([layout.n_offers for layout in layouts], dtype=np.int32)
        forests = [layout.forest.laid for layout in layouts if layout.forest is not None]
        self._packed = packed(forests) if forests and len(forests) == len(layouts) else None

    def score(self, rows: Matrix) -> Floats:
        """What each says of all offers of a list, champion beside champion, (n, offers), of customers' rows whose last
        column is the list that each asks for; of its only list, where a champion has one."""
        if self._packed is not None:
            return all_scores(rows, self._ends, *self._packed)
        asked = rows[:, -1].astype(np.int32)
        each = [layout.score(rows, asked if layout.n_lists > 1 else None) for layout in self._layouts]
        return np.hstack([np.empty((len(rows), 0)), *each])


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
