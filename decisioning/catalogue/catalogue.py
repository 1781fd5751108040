"""The catalogue as arrays: everything about offers, channels and cells that does not depend on the customer.

Built once a release; a decision only reads it. Offers stand in order of their id; channels from cheapest to dearest,
so that the first permitted channel is the cheapest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.bands import Bands
from decisioning.catalogue.cards import OfferCard, Words
from decisioning.policy import DecisionsPolicy
from decisioning.rules import Rules
from decisioning.treatments import Treatment
from features.errors import BadPolicy
from features.vocabulary import Stage

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NO_BENEFITS: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Catalogue:
    """m ranked offers, c channels, and the cells, as arrays; `cards` are the offers one by one.

    Amounts are in reporting currency. `listed` says for each cell (index: `cells`) which offers it lists, bool
    (cells, m); `is_service` marks service actions, `is_care` all that is not sales. `same_group` and `same_thing` are
    bool (m, m): offers of one subcategory (D10), and offers of one product, of which a list shows one.
    """

    cards: tuple[OfferCard, ...]
    index: Mapping[str, int]
    offers_of: Mapping[str, list[int]]  # offers of each product
    of_category: Mapping[str, Bools]  # (m,), of each category of products
    channels: tuple[str, ...]
    channel_index: Mapping[str, int]
    has_channel: Bools  # (m, c)
    channel_cost: Floats  # (c,)
    modes: tuple[str, ...]  # outbound, in_session or face_to_face
    is_outbound: Bools  # (c,)
    has_quiet_hours: Bools  # (c,)
    channel_caps: tuple[tuple[int | None, int], ...]  # sales contacts a customer, in days
    value: Floats  # (m,)
    retention: Floats
    reward: Floats
    own_minimum: Floats
    risk_level: NDArray[np.int64]
    readiness_min: Floats
    lever: Floats
    outcome_days: NDArray[np.int64]
    is_care: Bools
    is_service: Bools
    is_tool: Bools
    is_core: Bools
    is_private: Bools
    is_repeatable: Bools
    same_group: Bools
    same_thing: Bools
    cells: Mapping[tuple[str, str], int]
    goals: Mapping[tuple[str, str], Words]
    listed: Bools
    bands: Bands
    overlay_ids: tuple[str, ...]
    overlay_offers: Bools  # (overlays, m)
    overlay_factor: Floats  # (overlays,)
    rules: Rules
    default_class: str
    benefits: Mapping[str, tuple[str, ...]]
    information: tuple[OfferCard, ...]
    class_names: frozenset[str]
    # what is said of an offer in a channel: filled by the decisions that need it
    treatments: dict[tuple[int, int], Treatment] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        policy: DecisionsPolicy,
        *,
        default_class: str | None = None,
        benefits: Mapping[str, tuple[str, ...]] = NO_BENEFITS,
    ) -> Catalogue:
        """The catalogue of one policy view.

        `default_class` takes customers whose class is unknown (the last row of the matrix if not given), `benefits`
        lists a tier's benefits. Raises BadPolicy where the default class has no row in the matrix.
        """
        default_class = default_class or list(policy.matrix)[-1]
        if default_class not in policy.matrix:
            raise BadPolicy("default class has no row in the matrix", value=default_class, allowed=policy.matrix)
        every = [OfferCard.of(offer_id, policy) for offer_id in sorted(policy.offers)]
        cards = [card for card in every if card.is_ranked]
        cells = [(name, str(stage)) for name, row in policy.matrix.items() for stage in row]
        listed = _listed(policy, cards, cells)
        return cls(
            cards=tuple(cards),
            index={card.offer_id: j for j, card in enumerate(cards)},
            offers_of=_offers_of(cards),
            of_category=_of_category(cards),
            **_channel_arrays(policy, cards),
            **_offer_arrays(policy, cards),
            same_group=_same([card.subcategory for card in cards]),
            same_thing=_same([card.product_id or card.offer_id for card in cards]),
            cells={cell: k for k, cell in enumerate(cells)},
            goals={(name, stage): _goal(policy, name, stage) for name, stage in cells},
            overlay_ids=tuple(overlay.id for overlay in policy.overlays),
            listed=listed,
            bands=Bands.of(policy, cards, _by_cost(policy), dict(zip(cells, listed, strict=True))),
            overlay_offers=_overlay_offers(policy, cards),
            overlay_factor=np.array([overlay.factor for overlay in policy.overlays], dtype=np.float64),
            rules=Rules.of(
                [
                    *(card.gate for card in cards),
                    *(policy.channels[name].allowed_for for name in _by_cost(policy)),
                    *(exclusion.when for exclusion in policy.exclusions),
                    *(overlay.when for overlay in policy.overlays),
                ]
            ),
            default_class=default_class,
            benefits=benefits,
            information=tuple(card for card in every if not card.is_ranked),
            class_names=frozenset(name for name, _ in cells),
        )

    @property
    def m(self) -> int:
        return len(self.cards)

    @property
    def offer_ids(self) -> tuple[str, ...]:
        return tuple(self.index)

    def treatment(self, offer: int, channel: int) -> Treatment:
        """What is said of an offer in a channel."""
        found = self.treatments.get((offer, channel))
        if found is None:
            found = Treatment.of(self.cards[offer], self.channels[channel], self.modes[channel])
            self.treatments[offer, channel] = found
        return found

    def mask(self, offer_ids: Sequence[str]) -> Bools:
        """Which offers are named, bool (m,); ids that are not ranked are passed over."""
        named = np.zeros(self.m, dtype=bool)
        if offer_ids:
            named[[self.index[offer_id] for offer_id in offer_ids if offer_id in self.index]] = True
        return named

    def rows(self, from_on: date) -> list[dict[str, Any]]:
        """The catalogue as rows of the bank table `offer`, information included, in force from a day on."""
        known_at = datetime.combine(from_on, time(), UTC)
        every = sorted([*self.cards, *self.information], key=lambda card: card.offer_id)
        return [card.row() | {"from_on": from_on, "known_at": known_at} for card in every]


def _offers_of(cards: Sequence[OfferCard]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for j, card in enumerate(cards):
        if card.product_id is not None:
            found.setdefault(card.product_id, []).append(j)
    return found


def _of_category(cards: Sequence[OfferCard]) -> dict[str, Bools]:
    names = dict.fromkeys(card.category for card in cards if card.category is not None)
    return {name: np.array([card.category == name for card in cards], dtype=bool) for name in names}


def _goal(policy: DecisionsPolicy, name: str, stage: str) -> Words:
    cell = policy.matrix[name][Stage(stage)]
    return Words(zh=cell.goal_zh, en=cell.goal)


def _by_cost(policy: DecisionsPolicy) -> list[str]:
    return sorted(policy.channels, key=lambda name: (policy.channels[name].unit_cost_amount, name))


def _channel_arrays(policy: DecisionsPolicy, cards: Sequence[OfferCard]) -> dict[str, Any]:
    names = _by_cost(policy)
    channels = [policy.channels[name] for name in names]
    return {
        "channels": tuple(names),
        "channel_index": {name: k for k, name in enumerate(names)},
        "has_channel": np.array([[name in card.channels for name in names] for card in cards], dtype=bool),
        "channel_cost": np.array([channel.unit_cost_amount for channel in channels], dtype=np.float64),
        "modes": tuple(channel.mode for channel in channels),
        "is_outbound": np.array([channel.mode == "outbound" for channel in channels], dtype=bool),
        "has_quiet_hours": np.array([channel.has_quiet_hours for channel in channels], dtype=bool),
        "channel_caps": tuple((channel.sales_max, channel.sales_window_days) for channel in channels),
    }


def _offer_arrays(policy: DecisionsPolicy, cards: Sequence[OfferCard]) -> dict[str, Any]:
    amounts = ("value", "retention", "reward", "own_minimum", "readiness_min")
    counts = ("risk_level", "outcome_days")
    flags = ("is_care", "is_service", "is_tool", "is_core", "is_private", "is_repeatable")
    figures = policy.arbitration
    levers = [figures.levers.get(card.department, 1.0) for card in cards]
    return {
        **{name: np.array([getattr(card, name) for card in cards], dtype=np.float64) for name in amounts},
        **{name: np.array([getattr(card, name) for card in cards], dtype=np.int64) for name in counts},
        **{name: np.array([getattr(card, name) for card in cards], dtype=bool) for name in flags},
        "lever": np.clip(np.array(levers, dtype=np.float64), figures.lever_min, figures.lever_max),
    }


def _same(names: Sequence[str | None]) -> Bools:
    """Which pairs share a name, bool (m, m); None shares with nobody."""
    return np.array([[a is not None and a == b for b in names] for a in names], dtype=bool).reshape(-1, len(names))


def _listed(policy: DecisionsPolicy, cards: Sequence[OfferCard], cells: Sequence[tuple[str, str]]) -> Bools:
    """Which offers each cell lists: its products and its hook, alone or together; service actions stand everywhere."""
    rows = []
    for name, stage in cells:
        cell = policy.matrix[name][Stage(stage)]
        rows.append(
            [
                card.is_service
                or ((card.product_id is None or card.product_id in cell.products) and card.hook_id in (None, cell.hook))
                for card in cards
            ]
        )
    return np.array(rows, dtype=bool)


def _overlay_offers(policy: DecisionsPolicy, cards: Sequence[OfferCard]) -> Bools:
    rows = [
        [card.offer_id in overlay.offers or card.hook_id == overlay.hook for card in cards]
        for overlay in policy.overlays
    ]
    return np.array(rows, dtype=bool).reshape(-1, len(cards))
