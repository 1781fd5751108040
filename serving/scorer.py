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
from features.packing import Plain
from serving.grove import Grove, Planted, Stand
from serving.layout import Columns, Facts, Floats, Layout, readable
from serving.releases import Release
from training.fitted import FILES, FittedModel

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
            trees = response.trees if response and model is self.champions.response else readable(model.text)
            if trees is None:
                return None
            x, y = (np.array(knots) for knots in (model.calibration.x, model.calibration.y))
            found.append(Planted(trees, model.recipe.features, x, y))
        return Grove(found) if found else None

    @cached_property
    def _leavers(self) -> Columns:
        return Columns(self.champions.churn.recipe.features if self.champions.churn else ())

    @cached_property
    def _layout(self) -> Layout | None:
        model = self.champions.response
        return None if model is None else Layout(model, self.catalogue.cards)


def _row_of(facts: Mapping[str, Plain]) -> Facts:
    """Plain values as arrays of one row."""
    kinds = {name: object if isinstance(value, str | None) else np.float64 for name, value in facts.items()}
    return {name: np.array([value], dtype=kinds[name]) for name, value in facts.items()}


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
