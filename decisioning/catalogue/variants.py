"""What differs within a class by tier (同一群体里不同层级), and the cards that a class has of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self

from pydantic import Field, model_validator

from features.policy import Frozen
from features.vocabulary import Stage

if TYPE_CHECKING:
    from decisioning.policy import CellCard


class TierVariant(Frozen):
    """What a class is offered in one band of tiers: channels in order, a benefit, products that stand first."""

    channels: Annotated[tuple[str, ...], Field(min_length=1)]
    benefit: str
    leads: tuple[str, ...] = ()


class ThemedCard(Frozen):
    """A card of the bank dressed for one class (客群主题卡)."""

    product: str
    zh: str
    en: str


class Variants(Frozen):
    """What differs within a class: `bands` are tiers treated alike, each tier in one; rows by class and band."""

    bands: dict[str, tuple[str, ...]]
    classes: dict[str, dict[str, TierVariant]]
    cards: dict[str, tuple[ThemedCard, ...]]

    @model_validator(mode="after")
    def _each_tier_once(self) -> Self:
        tiers = [tier for band in self.bands.values() for tier in band]
        if len(tiers) != len(set(tiers)):
            raise ValueError("a tier stands in one band only")
        for class_id, row in self.classes.items():
            if unknown := row.keys() - self.bands.keys():
                raise ValueError(f"class {class_id} names unknown bands {sorted(unknown)}; allowed: {[*self.bands]}")
        return self

    def band_of(self, tier: str | None) -> str:
        """The band of a tier; a tier that is not known is treated as the lowest."""
        return next((name for name, tiers in self.bands.items() if tier in tiers), next(iter(self.bands)))

    def channels(self) -> Iterator[tuple[str, str]]:
        """Every channel named, with where it stands."""
        for where, row in self._rows():
            yield from ((where, channel) for channel in row.channels)

    def products(self) -> Iterator[tuple[str, str]]:
        """Every product named, with where it stands."""
        for where, row in self._rows():
            yield from ((where, product) for product in row.leads)
        for class_id, cards in self.cards.items():
            yield from ((f"cards of {class_id}", card.product) for card in cards)

    def _rows(self) -> Iterator[tuple[str, TierVariant]]:
        for class_id, bands in self.classes.items():
            yield from ((f"variant {class_id}/{band}", row) for band, row in bands.items())


class Variant(NamedTuple):  # hashed at each decision
    """A cell as one band of tiers sees it: channels in order, the benefit that goes with it, products, hook."""

    band: str
    channels: tuple[str, ...]
    benefit: str
    products: tuple[str, ...]
    hook: str

    def to_json(self) -> dict[str, Any]:
        """What a decision tells of it."""
        return {"band": self.band, "channels": list(self.channels), "benefit": self.benefit,
                "products": list(self.products)}  # fmt: skip


def variant(
    matrix: Mapping[str, Mapping[Stage, CellCard]], variants: Variants, class_id: str, stage: Stage, tier: str | None
) -> Variant:
    """The variant of the cell class × stage for a tier; a tier that is not known is treated as the lowest (B08).

    The cell's products all stay; those that lead for the band stand first.
    """
    cell, band = matrix[class_id][stage], variants.band_of(tier)
    row = variants.classes[class_id][band]
    leading = tuple(product for product in row.leads if product in cell.products)
    rest = tuple(product for product in cell.products if product not in leading)
    return Variant(band, row.channels, row.benefit, leading + rest, cell.hook)
