"""Champions in memory: every customer with every offer in one batch, on one thread.

No pandas and no MLflow: facts come as arrays, a model is its text, its recipe and its knots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.cards import OfferCard
from decisioning.catalogue.catalogue import Catalogue
from decisioning.policy import DecisionsPolicy
from features.vocabulary import Kind
from serving.releases import Release
from training.encoding import Matrix, Recipe
from training.fitted import FILES, FittedModel

Floats = NDArray[np.float64]
Facts = Mapping[str, NDArray[Any]]
_CHANNEL = "channel"


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
        channels = tuple(dict.fromkeys((self.reference_channel, channel or self.reference_channel)))
        matrix = layout.matrix(facts, n, channels)
        p = layout.model.score(matrix).reshape(n, len(channels), self.catalogue.m)
        return Scores(p[:, 0], p[:, -1])

    def churn(self, facts: Facts, n: int) -> Floats:
        """Probability of leaving, (n,), NaN throughout without a champion."""
        model = self.champions.churn
        return np.full(n, np.nan) if model is None else model.score(model.recipe.encode(_whole(facts, n, model.recipe)))

    @cached_property
    def _layout(self) -> _Layout | None:
        model = self.champions.response
        return None if model is None else _Layout(model, self.catalogue.cards)


class _Layout:
    """The response model's matrix, of which the offers' side is encoded once a channel and kept."""

    def __init__(self, model: FittedModel, cards: Sequence[OfferCard]) -> None:
        self.model = model
        features = model.recipe.features
        self._of_customer = [place for place, feature in enumerate(features) if not feature.of_offer]
        self._of_offer = [place for place, feature in enumerate(features) if feature.of_offer]
        self._customer = Recipe(tuple(features[place] for place in self._of_customer))
        self._offer = Recipe(tuple(features[place] for place in self._of_offer))
        self._offers = offer_arrays(cards, self._offer)
        self._n_offers = len(cards)
        self._by_channels: dict[tuple[str, ...], Matrix] = {}

    def matrix(self, facts: Facts, n: int, channels: tuple[str, ...]) -> Matrix:
        """Rows customer by customer, then channel by channel, then offer by offer: (n·k·m, f)."""
        right = self._right(channels)
        matrix = np.empty((n, len(right), len(self.model.recipe.features)))
        matrix[:, :, self._of_customer] = self._customer.encode(_whole(facts, n, self._customer))[:, np.newaxis, :]
        matrix[:, :, self._of_offer] = right
        return matrix.reshape(n * len(right), -1)

    def _right(self, channels: tuple[str, ...]) -> Matrix:
        found = self._by_channels.get(channels)
        if found is None:
            m = self._n_offers
            found = np.concatenate(
                [self._offer.encode(self._offers | {_CHANNEL: np.full(m, name, dtype=object)}) for name in channels]
            )
            self._by_channels[channels] = found
        return found


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


def _whole(facts: Facts, n: int, recipe: Recipe) -> Facts:
    """`facts` with every column that a recipe asks for; one that the rows lack is missing for everybody."""
    lacking = [feature for feature in recipe.features if feature.name not in facts]
    if not lacking:
        return facts
    return {**facts} | {
        feature.name: np.full(n, None, dtype=object) if feature.kind is Kind.CODE else np.full(n, np.nan)
        for feature in lacking
    }


def _read(release: Release, name: str) -> FittedModel | None:
    folder = release.model_folder(name)
    if folder is None:
        return None
    kept = release.manifest["files"]
    return FittedModel.read(folder, {file: kept.get(f"models/{name}/{file}") for file in FILES})
