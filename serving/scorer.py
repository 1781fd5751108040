"""Champions in memory: every customer with every offer in one batch, on one thread.

No pandas and no MLflow: facts come as arrays, a model is its text, its recipe and its knots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.cards import OfferCard
from decisioning.catalogue.catalogue import Catalogue
from decisioning.policy import DecisionsPolicy
from features.packing import Plain
from serving.forests.layout import Columns, Facts, Layout, Layouts, Offers
from serving.forests.leaves import Floats
from serving.releases import Release
from serving.shipping import CHALLENGERS, CHAMPIONS
from training.encoding import Matrix
from training.fitted import FILES, FittedModel

NAMES = ("response", "churn", "uplift")  # the models that a decision asks
TOLD = ("next_step", "value")  # those that the portrait alone is told by
_NAN = float("nan")


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


class ScoresOfOne(NamedTuple):
    """The same of one customer, (m,), None without a champion; his probability of leaving, NaN without one; the
    effects that arms measured, (m,), NaN for an offer that none did, None without a champion; and the shares that
    speak without an effect, with whether they are assumed."""

    p: list[float] | None
    p_channel: list[float] | None
    p_churn: float
    uplift: list[float] | None
    uplift_share: tuple[float, ...]
    uplift_is_assumed: tuple[bool, ...]


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
        if self._responding is None:
            return None
        layout, lists = self._responding
        which, m = self._list_of(channel, lists), self.catalogue.m
        asked = np.full(n, which, dtype=np.int32)
        p = layout.score(self._columns.rows(facts, n), asked, 2 * m if which else m)
        return Scores(p[:, :m], p[:, -m:])

    def churn(self, facts: Facts, n: int) -> Floats:
        """Probability of leaving, (n,), NaN throughout without a champion."""
        return self._churned(self._columns.rows(facts, n))

    def effects(self, facts: Facts, n: int) -> Floats | None:
        """What telling adds to p of n customers, (n, m), for the offers that arms tested, NaN for the others; None
        without a champion."""
        return None if self._tested is None else self._effects(self._columns.rows(facts, n))

    def score_each(self, facts: Sequence[Mapping[str, Plain]], channels: Sequence[str]) -> list[ScoresOfOne]:
        """What `score`, `churn` and `effects` give of each of a few customers, whose facts are plain values."""
        m, lists = self.catalogue.m, {} if self._responding is None else self._responding[1]
        asked = [self._list_of(channel, lists) for channel in channels]
        return [self._of_one(told, m) for told in self._together.score(self._columns.each(facts, asked)).tolist()]

    def open(self) -> None:
        """Lay out every model, before somebody waits for it."""
        self.score_each([{}], [""])

    def _of_one(self, told: list[float], m: int) -> ScoresOfOne:
        """What the champions say of one customer, taken apart."""
        at, p, p_channel = (0, None, None) if self._responding is None else (2 * m, told[:m], told[m : 2 * m])
        p_churn = _NAN if self._leaving is None else told[at]
        uplift = None
        if self._tested is not None:
            uplift = [_NAN] * m
            for place, effect in zip(self._tested[0], told[-len(self._tested[0]) :], strict=True):
                uplift[place] = effect
        return ScoresOfOne(p, p_channel, p_churn, uplift, *self._shares)

    @cached_property
    def _together(self) -> Layouts:
        """The champions, response before churn before uplift, for one call."""
        response = None if self._responding is None else self._responding[0]
        uplift = None if self._tested is None else self._tested[1]
        return Layouts([layout for layout in (response, self._leaving, uplift) if layout is not None])

    @cached_property
    def _shares(self) -> tuple[tuple[float, ...], tuple[bool, ...]]:
        return tuple(self.uplift_share.tolist()), tuple(self.uplift_is_assumed.tolist())

    def _list_of(self, channel: str, lists: Mapping[str, int]) -> int:
        return lists.get(channel or self.reference_channel, len(lists))

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
    def _responding(self) -> tuple[Layout, dict[str, int]] | None:
        """The response champion, laid out at the reference channel and then at each channel beside it, and the number
        of each channel's list, the reference channel's first; one more list is of a channel that nobody knows."""
        model = self.champions.response
        if model is None:
            return None
        offers, first = Offers(model, self.catalogue.cards), self.reference_channel
        names = [*dict.fromkeys((first, *self.catalogue.channels)), ""]
        layout = Layout(model, self._columns, [offers.rows((first, name)) for name in names])
        return layout, {name: place for place, name in enumerate(names[:-1])}

    @cached_property
    def _leaving(self) -> Layout | None:
        model = self.champions.churn
        return None if model is None else Layout(model, self._columns, [np.empty((1, 0))])

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
        return places, Layout(model, self._columns, [offers.rows(("",))])


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
