"""Champions in memory: every customer with every offer in one batch, on one thread.

No pandas and no MLflow: facts come as arrays, a model is its text, its recipe and its knots.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.cards import OfferCard
from decisioning.catalogue.catalogue import Catalogue
from decisioning.policy import DecisionsPolicy
from features.packing import Plain
from features.vocabulary import Kind
from serving.forest import Forest
from serving.grove import Grove, Planted, Stand
from serving.releases import Release
from serving.tree_text import Tree, Unlike, trees_of
from training.encoding import Feature, Matrix, Recipe
from training.fitted import FILES, FittedModel

Floats = NDArray[np.float64]
Facts = Mapping[str, NDArray[Any]]
_CHANNEL = "channel"
_N_PROBES = 8


@dataclass(frozen=True, slots=True)
class Champions:
    """The models of a release; None where it has none."""

    response: FittedModel | None
    churn: FittedModel | None

    @classmethod
    def read(cls, release: Release) -> Champions:
        """The champions, once their files are those of the manifest; raises DamagedModel."""
        return cls(_read(release, "response"), _read(release, "churn"))


@dataclass(frozen=True, slots=True)
class Scores:
    """Response probabilities, (n, m): `p` at the reference channel, `p_channel` at the requested one."""

    p: Floats
    p_channel: Floats


@dataclass(frozen=True, slots=True)
class ScoresOfOne:
    """The same of one customer, (m,), None without a champion; and his probability of leaving, NaN without one."""

    p: list[float] | None
    p_channel: list[float] | None
    p_churn: float


@dataclass(frozen=True)
class Scorer:
    """The champions, laid out for the m offers of one catalogue.

    `uplift_share` is the incremental share of p by offer, (m,); `uplift_is_assumed` says that no model measured it.
    """

    champions: Champions
    catalogue: Catalogue
    reference_channel: str
    uplift_share: Floats
    uplift_is_assumed: NDArray[np.bool_]

    @classmethod
    def of(cls, champions: Champions, catalogue: Catalogue, policy: DecisionsPolicy) -> Scorer:
        shares = champions.response.shares if champions.response else ()
        share, is_assumed = uplift_of(shares, catalogue.cards, policy.arbitration.incremental_share)
        return cls(champions, catalogue, policy.arbitration.reference_channel, share, is_assumed)

    def score(self, facts: Facts, n: int, channel: str) -> Scores | None:
        """Response probabilities of n customers with every offer; None without a champion."""
        layout = self._layout
        if layout is None:
            return None
        channels = self._channels(channel)
        p = layout.score(facts, n, channels).reshape(n, len(channels), self.catalogue.m)
        return Scores(p[:, 0], p[:, -1])

    def churn(self, facts: Facts, n: int) -> Floats:
        """Probability of leaving, (n,), NaN throughout without a champion."""
        model = self.champions.churn
        return np.full(n, np.nan) if model is None else model.score(self._leavers.matrix(facts, n))

    def score_one(self, facts: Mapping[str, Plain], channel: str) -> ScoresOfOne:
        """What `score` and `churn` give of one customer, whose facts are plain values; to the bit."""
        channels = self._channels(channel)
        if channels not in self._stands:
            self._stands[channels] = self._agreeing(channels)
        stand = self._stands[channels]
        if stand is None:
            return self._score_row(facts, channel)
        return self._answered(stand.score(facts))

    def lay_out(self, channel: str) -> None:
        """Do now what the first request of a channel would wait for."""
        channels = self._channels(channel)
        self._stands[channels] = self._agreeing(channels)

    def _answered(self, found: list[list[float]]) -> ScoresOfOne:
        """The scores of a grove's models: of response and of churn, as far as there are champions."""
        p_churn = found.pop()[0] if self.champions.churn else np.nan
        m = self.catalogue.m
        return ScoresOfOne(found[0][:m], found[0][-m:], p_churn) if found else ScoresOfOne(None, None, p_churn)

    def _score_row(self, facts: Mapping[str, Plain], channel: str) -> ScoresOfOne:
        """The same by way of arrays."""
        row = _row_of(facts)
        scores, p_churn = self.score(row, 1, channel), float(self.churn(row, 1)[0])
        if scores is None:
            return ScoresOfOne(None, None, p_churn)
        return ScoresOfOne(scores.p[0].tolist(), scores.p_channel[0].tolist(), p_churn)

    def _agreeing(self, channels: tuple[str, ...]) -> Stand | None:
        """The champions asked in one pass; None where there are none, or where the library scores probes otherwise."""
        grove, response = self._grove, self._layout
        if grove is None:
            return None
        rows = [np.empty((1, 0))] * len(grove.models)
        if response is not None:
            rows[0] = response.offers(channels)
        stand = Stand(grove, rows)
        for probe in grove.probes(_N_PROBES):
            row = _row_of(probe)
            told = [] if response is None else [response.plainly(row, channels).tolist()]
            told += [self.churn(row, 1).tolist()] if self.champions.churn else []
            if stand.score(probe) != told:
                return None
        return stand

    def _channels(self, channel: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.reference_channel, channel or self.reference_channel)))

    @cached_property
    def _stands(self) -> dict[tuple[str, ...], Stand | None]:
        return {}

    @cached_property
    def _grove(self) -> Grove | None:
        """Response and churn, as far as there are champions; None where the text of one cannot be laid out."""
        found = []
        for model in filter(None, (self.champions.response, self.champions.churn)):
            response = self._layout
            trees = response.trees if response and model is self.champions.response else _readable(model.text)
            if trees is None:
                return None
            x, y = (np.array(knots) for knots in (model.calibration.x, model.calibration.y))
            found.append(Planted(trees, model.recipe.features, x, y))
        return Grove(found) if found else None

    @cached_property
    def _leavers(self) -> _Columns:
        return _Columns(self.champions.churn.recipe.features if self.champions.churn else ())

    @cached_property
    def _layout(self) -> _Layout | None:
        model = self.champions.response
        return None if model is None else _Layout(model, self.catalogue.cards)


class _Columns:
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


class _Layout:
    """The response model, laid out once a channel for all offers; what it looks up of a customer is encoded alone."""

    def __init__(self, model: FittedModel, cards: Sequence[OfferCard]) -> None:
        self._model = model
        features = model.recipe.features
        self._customers = _Columns(features)
        self._of_offer = [place for place, feature in enumerate(features) if feature.of_offer]
        self._offer = Recipe(tuple(features[place] for place in self._of_offer))
        self._offers = offer_arrays(cards, self._offer)
        self._n_offers = len(cards)
        self.trees = _readable(model.text)
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


def _row_of(facts: Mapping[str, Plain]) -> Facts:
    """Plain values as arrays of one row."""
    kinds = {name: object if isinstance(value, str | None) else np.float64 for name, value in facts.items()}
    return {name: np.array([value], dtype=kinds[name]) for name, value in facts.items()}


def _readable(text: str) -> list[Tree] | None:
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


def uplift_of(
    shares: Sequence[Mapping[str, Any]], cards: Sequence[OfferCard], assumed_share: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Incremental share of p, by offer, (m,): what arms say of its category, else the policy's; and that it is assumed.

    A share of a whole category is an assumption about each of its offers and customers, so all are marked until an
    uplift model speaks for them one by one.
    """
    measured = {share["category"]: float(share["share"]) for share in shares if not share["is_assumed"]}
    found = [measured.get(card.category or "") for card in cards]
    share = np.array([assumed_share if value is None else value for value in found], dtype=np.float64)
    return share, np.ones(len(found), dtype=bool)


def _read(release: Release, name: str) -> FittedModel | None:
    folder = release.model_folder(name)
    if folder is None:
        return None
    kept = release.manifest["files"]
    return FittedModel.read(folder, {file: kept.get(f"models/{name}/{file}") for file in FILES})
