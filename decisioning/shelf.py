"""The catalogue as sets of offers, and what is left of it as the filters go over it: for one customer at a time.

A set of offers is an integer, offer j at bit j, so that "all core products that were not asked for" is one operation.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from itertools import accumulate, pairwise
from operator import or_
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from decisioning.case import Case
from decisioning.catalogue.bands import Seen
from decisioning.catalogue.catalogue import Catalogue
from decisioning.policy import DecisionsPolicy
from decisioning.rules_alone import Known, RulesAlone, Verdict

Offers = int  # a set of offers
Channels = int  # a set of channels, likewise
NOT_IN_CHANNEL = ("treatment", "NOT_IN_CHANNEL")
_MOST_SETS = 1 << 12


def set_of(mask: NDArray[Any]) -> int:
    """The set that a mask of shape (m,) marks.

    >>> set_of(np.array([True, False, True]))
    5
    """
    return int.from_bytes(np.packbits(np.asarray(mask, dtype=bool), bitorder="little").tobytes(), "little")


@lru_cache(maxsize=1 << 13)
def places(of: int) -> tuple[int, ...]:
    """The members of a set, ascending.

    >>> places(0b1011)
    (0, 1, 3)
    """
    found = []
    while of:
        lowest = of & -of
        found.append(lowest.bit_length() - 1)
        of ^= lowest
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Steps:
    """Offers by a figure of theirs: which lie above a value."""

    figures: list[float]
    above: list[Offers]  # above[k]: all whose figure is the k-th or larger

    @classmethod
    def of(cls, figures: NDArray[Any]) -> Self:
        """From one figure an offer, shape (m,)."""
        distinct = sorted(set(figures.tolist()))
        return cls([float(figure) for figure in distinct], [set_of(figures >= figure) for figure in distinct])

    def over(self, value: float) -> Offers:
        """The offers whose figure is larger than `value`; none if it is NaN."""
        if value != value:
            return 0
        place = bisect_right(self.figures, value)
        return self.above[place] if place < len(self.above) else 0


@dataclass(frozen=True, slots=True)
class Asked:
    """The rules of the policy by what they are asked for, and which offers each decides."""

    rules: RulesAlone
    gates: tuple[tuple[Known, Known, Offers], ...]  # what says that a gate holds, that it fails; and its offers
    channels: tuple[Verdict, ...]
    everywhere: Known  # what says that every channel is for the customer
    exclusions: tuple[Verdict, ...]
    overlays: tuple[Verdict, ...]

    @classmethod
    def of(cls, catalogue: Catalogue, policy: DecisionsPolicy) -> Self:
        parts = (
            [card.gate for card in catalogue.cards],
            [policy.channels[name].allowed_for for name in catalogue.channels],
            [exclusion.when for exclusion in policy.exclusions],
            [overlay.when for overlay in policy.overlays],
        )
        rules = RulesAlone(rule for part in parts for rule in part)
        cuts = [0, *accumulate(len(part) for part in parts)]
        gates, *others = (rules.verdicts[start:stop] for start, stop in pairwise(cuts))
        offers: dict[Verdict, Offers] = {}
        for j, verdict in enumerate(gates):
            offers[verdict] = offers.get(verdict, 0) | 1 << j
        asked = tuple((verdict.yes, verdict.no, mine) for verdict, mine in offers.items() if verdict.no)
        channels, exclusions, overlays = (tuple(part) for part in others)
        everywhere = reduce(or_, (verdict.yes for verdict in channels), 0)
        return cls(rules, asked, channels, everywhere, exclusions, overlays)


@dataclass(frozen=True, slots=True)
class Shelf:
    """One catalogue and policy, laid out as sets; built once, read by every request."""

    catalogue: Catalogue
    policy: DecisionsPolicy
    every: Offers
    care: Offers
    service: Offers
    tools: Offers
    core: Offers
    private: Offers
    repeatable: Offers
    same_thing: tuple[Offers, ...]  # of each offer
    same_group: tuple[Offers, ...]
    of_category: Mapping[str, Offers]
    products: Callable[[str | None], Offers]  # the offers of the products that a set of codes names
    channels_in: Callable[[str | None], Channels]  # the channels that a set of codes names; ALL names every one
    barred_stages: frozenset[str]  # at which no core product is sold
    carried: tuple[Offers, ...]  # by each channel, from cheapest to dearest
    channel_cost: tuple[float, ...]
    lever: tuple[float, ...]  # of each offer
    outbound: Channels
    quiet: Channels
    risk: Steps
    own_minimum: Steps
    readiness: Steps
    listed: Mapping[tuple[str, str], Offers]
    leading: Mapping[tuple[str, str, str], Offers]
    overlay_offers: tuple[Offers, ...]
    asked: Asked

    @classmethod
    def of(cls, catalogue: Catalogue, policy: DecisionsPolicy) -> Self:
        of_product = {name: sum(1 << j for j in offers) for name, offers in catalogue.offers_of.items()}
        return cls(
            catalogue=catalogue,
            policy=policy,
            every=(1 << catalogue.m) - 1,
            care=set_of(catalogue.is_care),
            service=set_of(catalogue.is_service),
            tools=set_of(catalogue.is_tool),
            core=set_of(catalogue.is_core),
            private=set_of(catalogue.is_private),
            repeatable=set_of(catalogue.is_repeatable),
            same_thing=tuple(set_of(row) for row in catalogue.same_thing),
            same_group=tuple(set_of(row) for row in catalogue.same_group),
            of_category={name: set_of(mask) for name, mask in catalogue.of_category.items()},
            products=_remembered(_products, of_product),
            channels_in=_remembered(_channels, catalogue.channels),
            barred_stages=frozenset(str(stage) for stage in policy.arbitration.core_barred_stages),
            carried=tuple(set_of(column) for column in catalogue.has_channel.T),
            channel_cost=tuple(catalogue.channel_cost.tolist()),
            lever=tuple(catalogue.lever.tolist()),
            outbound=set_of(catalogue.is_outbound),
            quiet=set_of(catalogue.has_quiet_hours),
            risk=Steps.of(catalogue.risk_level),
            own_minimum=Steps.of(catalogue.own_minimum),
            readiness=Steps.of(catalogue.readiness_min),
            leading={cell: set_of(seen.leading) for cell, seen in catalogue.bands.cells.items()},
            listed={cell: set_of(catalogue.listed[row]) for cell, row in catalogue.cells.items()},
            overlay_offers=tuple(set_of(row) for row in catalogue.overlay_offers),
            asked=Asked.of(catalogue, policy),
        )

    def named(self, offer_ids: Iterable[str]) -> Offers:
        """The set of these offers; ids that are not ranked are passed over."""
        index = self.catalogue.index
        return sum(1 << index[offer_id] for offer_id in set(offer_ids) if offer_id in index)


def _products(of_product: Mapping[str, Offers], codes: str | None) -> Offers:
    found = 0
    for product in codes.strip("|").split("|") if codes else ():
        found |= of_product.get(product, 0)
    return found


def _channels(names: Sequence[str], codes: str | None) -> Channels:
    if codes is None or codes == "|":
        return 0
    everywhere = "|ALL|" in codes
    return sum(1 << k for k, name in enumerate(names) if everywhere or f"|{name}|" in codes)


def _remembered(told: Callable[..., int], known: Any) -> Callable[[str | None], int]:
    """What a set of codes tells, worked out once: most customers have one of a few sets."""
    return lru_cache(maxsize=_MOST_SETS)(partial(told, known))


class Scene(NamedTuple):  # a tuple, not a dataclass: one is made at each request
    """One customer read against a shelf: what the filters ask, settled once."""

    case: Case
    shelf: Shelf
    now_us: int
    on: str
    year: int
    hour: int
    customer_class: str
    stage: str
    tier: str | None
    seen: Seen | None  # the cell as the tier sees it, None without personal recommendation
    is_class_assumed: bool
    is_stage_assumed: bool
    generic: str | None  # the code that says why nothing here is personal
    asked: Offers
    known: Known

    @property
    def is_generic(self) -> bool:
        """Whether the customer gets the order of any stranger."""
        return self.generic is not None


class Tally:
    """What is left of the offers as the filters go over them, and why each of the others is out."""

    def __init__(self, shelf: Shelf, sales: Offers) -> None:
        self.left = self._every = shelf.every
        self.out: list[tuple[tuple[str, str], Offers]] = []
        self.until: dict[int, int] = {}  # microseconds since 1970 at which an offer's reason lapses
        self._sales = sales
        self._open = list(shelf.carried)  # by channel, the offers for which it is open
        self._closed: list[list[tuple[tuple[str, str], Offers]]] = [[] for _ in shelf.carried]

    def reject(self, which: Offers, reason: tuple[str, str], until: Callable[[int], int] | None = None) -> None:
        """Put those of `which` that are left out, for one reason."""
        fresh = which & self.left
        if fresh:
            self.out.append((reason, fresh))
            self.left ^= fresh
            if until is not None:
                self.until.update((j, until(j)) for j in places(fresh))

    def close(
        self, name: str, both: Sequence[tuple[str, Channels]], sales: Sequence[tuple[str, Channels]] = ()
    ) -> None:
        """Close channels, each for its first code: of every offer, and then of sales."""
        every, mine = self._every, self._sales
        self.shut(
            [((name, code), k, every) for code, channels in both for k in places(channels)]
            + [((name, code), k, mine) for code, channels in sales for k in places(channels)]
        )

    def shut(self, closings: Sequence[tuple[tuple[str, str], int, Offers]]) -> None:
        """Close a channel of some offers, for a reason, one after the other; out go offers that have none left."""
        if not closings:
            return
        before = self._open.copy()
        for reason, k, offers in closings:
            shut = self._open[k] & offers
            if shut:
                self._open[k] ^= shut
                self._closed[k].append((reason, shut))
        self._end(before)

    def _end(self, before: Sequence[Offers]) -> None:
        """Put out what no channel is open for any more, with the reason of the first that `before` still was."""
        ended = self.left
        for offers in self._open:
            ended &= ~offers
        for k, offers in enumerate(before if ended else ()):
            self._reject_closed(ended & offers, k)
            ended &= ~offers
        self.reject(ended, NOT_IN_CHANNEL)

    def _reject_closed(self, which: Offers, channel: int) -> None:
        for reason, shut in self._closed[channel] if which else ():
            self.reject(which & shut, reason)

    def keep_to(self, channel: int) -> None:
        """Put out what one channel does not carry or must not."""
        which = self.left & ~self._open[channel]
        self._reject_closed(which, channel)
        self.reject(which, NOT_IN_CHANNEL)

    def first_open(self, j: int, channels: Sequence[int]) -> int:
        """The first of `channels` that is open for offer j, which is left."""
        return next(k for k in channels if self._open[k] >> j & 1)

    def cheapest(self) -> list[tuple[int, int]]:
        """The offers that are left, each with its cheapest open channel."""
        rest, found = self.left, []
        for k, offers in enumerate(self._open):
            found += [(j, k) for j in places(rest & offers)]
            rest &= ~offers
        return found + [(j, 0) for j in places(rest)]
