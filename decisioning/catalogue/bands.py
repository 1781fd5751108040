"""What differs in a cell from one band of tiers to the next (B08), laid out once for every decision to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.cards import OfferCard
from decisioning.catalogue.variants import Variant, variant
from features.vocabulary import Stage

if TYPE_CHECKING:
    from decisioning.policy import DecisionsPolicy

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Seen:
    """A cell as a band sees it: `leading` marks the cell's offers that stand first, bool (m,), `channels` all by index,
    the band's own first and the others from cheapest to dearest."""

    variant: Variant
    leading: Bools
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bands:
    """The bands of a policy: which one a tier stands in, and what each sees of each cell (class, stage, band)."""

    band_of: Mapping[str, str]
    lowest: str
    cells: Mapping[tuple[str, str, str], Seen]
    rank: Mapping[str, int]

    @classmethod
    def of(
        cls, policy: DecisionsPolicy, cards: Sequence[OfferCard], channels: Sequence[str],
        listed: Mapping[tuple[str, str], Bools],
    ) -> Self:  # fmt: skip
        """`channels` from cheapest to dearest; `listed` says which offers a cell lists, bool (m,)."""
        bands = policy.variants.bands
        cells = {
            (name, stage, band): _seen(policy, cards, channels, row, (name, stage), tiers[0])
            for (name, stage), row in listed.items()
            for band, tiers in bands.items()
            if band in policy.variants.classes.get(name, {})
        }
        names = [tier for tiers in bands.values() for tier in tiers]
        return cls(
            band_of={tier: band for band, tiers in bands.items() for tier in tiers},
            lowest=next(iter(bands)),
            cells=cells,
            rank={tier: place for place, tier in enumerate(names)},
        )

    def seen(self, customer_class: str, stage: str, tier: str | None) -> Seen | None:
        """What a customer's band sees of his cell; None where the policy tells no variant."""
        return self.cells.get((customer_class, stage, self.band_of.get(tier or "", self.lowest)))

    def higher(self, held: str | None, newcomer: str | None) -> str | None:
        """The higher of the tier held and of that of a new customer, whom the month has not measured yet."""
        if newcomer is None or (held is not None and self.rank.get(newcomer, -1) <= self.rank.get(held, -1)):
            return held
        return newcomer


def _seen(
    policy: DecisionsPolicy, cards: Sequence[OfferCard], channels: Sequence[str], listed: Bools,
    cell: tuple[str, str], tier: str,
) -> Seen:  # fmt: skip
    class_id, stage = cell
    found = variant(policy.matrix, policy.variants, class_id, Stage(stage), tier)
    leads = policy.variants.classes[class_id][found.band].leads
    leading = listed & np.array([card.product_id in leads for card in cards], dtype=bool)
    own = [channels.index(name) for name in found.channels]
    return Seen(found, leading, tuple(dict.fromkeys([*own, *range(len(channels))])))
