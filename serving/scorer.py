"""Champions in memory: every customer with every offer in one batch, on one thread.

No pandas and no MLflow: facts come as arrays, a model is its text, its recipe and its knots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.cards import OfferCard
from decisioning.catalogue.catalogue import Catalogue
from decisioning.policy import DecisionsPolicy
from features.packing import Plain
from serving.forests.layout import Columns, Facts, Layout, Offers
from serving.forests.leaves import Floats
from serving.releases import Release
from serving.shipping import CHALLENGERS, CHAMPIONS
from training.encoding import Matrix
from training.fitted import FILES, FittedModel

NAMES = ("response", "churn", "uplift")  # the models that a decision asks
TOLD = ("next_step", "value")  # those that the portrait alone is told by


@dataclass(frozen=True, slots=True)
class Champions:
    """The models of a release; None where it has none."""

    response: FittedModel | None
    churn: FittedModel | None
    uplift: FittedModel | None = None
    next_step: FittedModel | None = None
    value: FittedModel | None = None

    @classmethod
    def read(cls, release: Release) -> Champions:
        """The champions as they are recalibrated, once their files are those of the manifest; raises DamagedModel."""
        return cls(**{name: _read(release, name) for name in (*NAMES, *TOLD)})

    def challenged(self, release: Release) -> Champions | None:
        """The same with the challenger in the places it takes; None where the release carries none."""
        if not release.challengers:
            return None
        return replace(self, **{name: _read(release, name, of=CHALLENGERS) for name in release.challengers})

    def models(self) -> tuple[FittedModel, ...]:
        """Those by which a decision is scored."""
        return tuple(model for model in (self.response, self.churn, self.uplift) if model is not None)


@dataclass(frozen=True, slots=True)
class Scores:
    """Response probabilities, (n, m): `p` at the reference channel, `p_channel` at the requested one."""

    p: Floats
    p_channel: Floats


@dataclass(frozen=True, slots=True)
class ScoresOfOne:
    """The same of one customer, (m,), None without a champion; his probability of leaving, NaN without one; and the
    effects that arms measured, (m,), NaN for an offer that none did, None without a champion."""

    p: list[float] | None
    p_channel: list[float] | None
    p_churn: float
    uplift: list[float] | None


@dataclass(frozen=True)
class Scorer:
    """The champions, laid out for the m offers of one catalogue.

    `uplift_share` is the incremental share of p by offer, (m,), which speaks where no effect of the customer was
    measured; `uplift_is_assumed` says of each that it is an assumption about him.
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
        layout, m = self.lay_out(channel), self.catalogue.m
        if layout is None:
            return None
        p = layout.score(self._columns.rows(facts, n))
        return Scores(p[:, :m], p[:, -m:])

    def churn(self, facts: Facts, n: int) -> Floats:
        """Probability of leaving, (n,), NaN throughout without a champion."""
        return self._churned(self._columns.rows(facts, n))

    def effects(self, facts: Facts, n: int) -> Floats | None:
        """What telling adds to p of n customers, (n, m), for the offers that arms tested, NaN for the others; None
        without a champion."""
        return None if self._tested is None else self._effects(self._columns.rows(facts, n))

    def score_one(self, facts: Mapping[str, Plain], channel: str) -> ScoresOfOne:
        """What `score` and `churn` give of one customer, whose facts are plain values."""
        row, layout, m = self._columns.row(facts), self.lay_out(channel), self.catalogue.m
        p_churn = self._churned(row).item()
        effects = None if self._tested is None else self._effects(row)[0].tolist()
        if layout is None:
            return ScoresOfOne(None, None, p_churn, effects)
        p = layout.score(row)[0].tolist()
        return ScoresOfOne(p[:m], p[-m:], p_churn, effects)

    @cached_property
    def shares_of_one(self) -> tuple[tuple[float, ...], tuple[bool, ...]]:
        """The shares and that they are assumed, as a decision of one customer reads them."""
        return tuple(self.uplift_share.tolist()), tuple(self.uplift_is_assumed.tolist())

    def lay_out(self, channel: str) -> Layout | None:
        """The response model for a channel, laid out now or before: a release opens with every channel laid out."""
        channels = tuple(dict.fromkeys((self.reference_channel, channel or self.reference_channel)))
        if self._offers is not None and channels not in self._by_channels:
            model, offers = self._offers
            self._by_channels[channels] = Layout(model, self._columns, offers.rows(channels))
        return self._by_channels.get(channels)

    def _churned(self, rows: Matrix) -> Floats:
        return np.full(len(rows), np.nan) if self._leaving is None else self._leaving.score(rows)[:, 0]

    def _effects(self, rows: Matrix) -> Floats:
        found = np.full((len(rows), self.catalogue.m), np.nan)
        if self._tested is not None:
            places, layout = self._tested
            found[:, places] = layout.score(rows)
        return found

    @cached_property
    def _columns(self) -> Columns:
        return Columns(self.champions.models())

    @cached_property
    def _by_channels(self) -> dict[tuple[str, ...], Layout]:
        return {}

    @cached_property
    def _offers(self) -> tuple[FittedModel, Offers] | None:
        model = self.champions.response
        return None if model is None else (model, Offers(model, self.catalogue.cards))

    @cached_property
    def _leaving(self) -> Layout | None:
        model = self.champions.churn
        return None if model is None else Layout(model, self._columns, np.empty((1, 0)))

    @cached_property
    def _tested(self) -> tuple[list[int], Layout] | None:
        """The offers that the uplift champion learnt from arms, and the champion laid out for them."""
        model = self.champions.uplift
        if model is None:
            return None
        tested = {share["offer_id"] for share in model.shares if share["is_measured"]}
        places = [place for place, card in enumerate(self.catalogue.cards) if card.offer_id in tested]
        if not places:
            return None
        offers = Offers(model, [self.catalogue.cards[place] for place in places])
        return places, Layout(model, self._columns, offers.rows(("",)))


def uplift_of(
    shares: Sequence[Mapping[str, Any]], cards: Sequence[OfferCard], assumed_share: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Incremental share of p, by offer, (m,): what arms say of its category, pooled over all where it has none itself,
    the policy's where no category has arms; and that it is assumed.

    A share of a whole category is an assumption about each of its offers and customers, so all are marked; where the
    uplift champion speaks of an offer and customer, its word stands instead.
    """
    is_measured = any(not share["is_assumed"] for share in shares)
    known = {share["category"]: float(share["share"]) for share in shares} if is_measured else {}
    found = [known.get(card.category or "") for card in cards]
    share = np.array([assumed_share if value is None else value for value in found], dtype=np.float64)
    return share, np.ones(len(found), dtype=bool)


def _read(release: Release, name: str, *, of: str = CHAMPIONS) -> FittedModel | None:
    folder = release.model_folder(name, of=of)
    if folder is None:
        return None
    kept = release.manifest["files"]
    model = FittedModel.read(folder, {file: kept.get(f"{of}/{name}/{file}") for file in FILES})
    return model.shifted(release.shift(name)) if of == CHAMPIONS else model
