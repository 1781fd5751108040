"""What a text (a code, a set, a list of offers, a cell) says of offers and channels, worked out once for all customers.

What a text says is a row of small numbers; it is told by where the row begins, or by NOTHING. All texts of one kind
have rows of one length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Catalogue
from decisioning.catalogue.variants import Variant
from decisioning.policy import DecisionsPolicy
from decisioning.situation import refusals_of
from decisioning.stored import NO_DAY

NOTHING = -1
_MOST = 1 << 21  # numbers in all rows; then they are worked out anew
_SOME_NUMBER = 0.0  # for every number, of which rules ask here only whether it is missing
_FIRST_DAY, _LAST_DAY, _EPOCH_DAY = (day.toordinal() for day in (date.min, date.max, date(1970, 1, 1)))

Row = NDArray[np.int16]


class Place(NamedTuple):
    """What class, stage and tier say of a customer, with the rows of the offers that the cell lists, of those that lead
    for the tier, and of the channels as the tier's band is told by (NOTHING where the policy has no band for him)."""

    listed: int
    leading: int
    channels: int
    is_barred: bool  # the stage, to core products
    is_exempt: bool  # the tier, from holdouts
    variant: Variant | None


class Told(dict[Any, Any]):
    """What the texts of one kind say, by text; a new one is worked out."""

    def __init__(self, of: Callable[[Any], Any]) -> None:
        super().__init__()
        self._of = of

    def __missing__(self, text: Any) -> Any:
        if isinstance(text, float) and text is not _SOME_NUMBER:  # not kept: there are too many
            return self[None if text != text else _SOME_NUMBER]
        found = self[text] = self._of(text)
        return found


class Sayings:
    """The rows under one catalogue and policy; `rows` is replaced as they become more."""

    def __init__(self, catalogue: Catalogue, policy: DecisionsPolicy) -> None:
        self._catalogue, self._policy = catalogue, policy
        self._barred = frozenset(str(stage) for stage in policy.arbitration.core_barred_stages)
        self.rows: Row = np.empty(1 << 12, dtype=np.int16)
        self._end = 0
        self.answers = {name: Told(self._answers(tests)) for name, tests in catalogue.rules.others}
        self.products = Told(lambda codes: self._add(self._products(_codes(codes))))
        self.named = Told(lambda offer_ids: self._add(catalogue.mask(offer_ids)))
        self.flags = Told(self._add)
        self.channels = Told(lambda codes: NOTHING if codes is None else self._add(self._channels(codes)))
        self.withheld = Told(lambda codes: self._add(self._withheld(codes)) if _codes(codes) else NOTHING)
        self.secondary = Told(lambda key: self._add(self._listed(_codes(key[0]), key[1])))
        self.places = Told(self._place)

    def renew(self) -> None:
        """Begin anew where there are too many rows; to be called while none of them is in use."""
        if self._end > _MOST:
            for told in (*self.answers.values(), self.products, self.named, self.flags, self.channels, self.withheld,
                         self.secondary, self.places):  # fmt: skip
                told.clear()
            self._end = 0

    def _add(self, row: Iterable[Any]) -> int:
        values = np.asarray(row, dtype=np.int16).ravel()
        start, self._end = self._end, self._end + len(values)
        if self._end > len(self.rows):
            self.rows = np.concatenate([self.rows, np.empty(self._end, dtype=np.int16)])
        self.rows[start : self._end] = values
        return start

    def _answers(self, tests: Any) -> Callable[[Any], int]:
        """What the rules' comparisons of one column say of a code, a set, a day since 1970, or a number that is not
        missing."""

        def of(value: Any) -> int:
            if value == NO_DAY:
                value = None
            elif isinstance(value, int):
                value = date.fromordinal(min(max(value + _EPOCH_DAY, _FIRST_DAY), _LAST_DAY))
            return self._add(tests.of(value))

        return of

    def _products(self, codes: Iterable[str]) -> NDArray[np.bool_]:
        """The offers of these products."""
        found = np.zeros(self._catalogue.m, dtype=bool)
        for product in codes:
            found[self._catalogue.offers_of.get(product, [])] = True
        return found

    def _channels(self, codes: str) -> list[bool]:
        return [f"|{name}|" in codes or "|ALL|" in codes for name in self._catalogue.channels]

    def _withheld(self, codes: str) -> list[bool]:
        """The offers that are closed in every channel, and then for each offer the channels in which it is."""
        catalogue = self._catalogue
        every, there = np.zeros(catalogue.m, dtype=bool), np.zeros(catalogue.has_channel.shape, dtype=bool)
        for category, channel in refusals_of(codes):
            offers = catalogue.of_category.get(category, np.zeros(catalogue.m, dtype=bool))
            if not channel:
                every |= offers
            elif channel in catalogue.channel_index:
                there[offers, catalogue.channel_index[channel]] = True
        return [*every.tolist(), *there.ravel().tolist()]

    def _listed(self, classes: Iterable[str], stage: str) -> NDArray[np.bool_]:
        """The offers that the cells of these classes list."""
        catalogue = self._catalogue
        cells = [catalogue.cells[name, stage] for name in classes if (name, stage) in catalogue.cells]
        found: NDArray[np.bool_] = np.asarray(catalogue.listed[cells].any(axis=0))
        return found

    def _place(self, key: tuple[str, str, str | None]) -> Place:
        customer_class, stage, tier = key
        seen = self._catalogue.bands.seen(*key)
        return Place(
            listed=self._add(self._listed([customer_class], stage)),
            leading=self._add(np.zeros(self._catalogue.m) if seen is None else seen.leading),
            channels=NOTHING if seen is None else self._add(seen.channels),
            is_barred=stage in self._barred,
            is_exempt=tier in self._policy.arbitration.holdout_exempt_tiers,
            variant=None if seen is None else seen.variant,
        )


def _codes(codes: str | None) -> list[str]:
    return [code for code in (codes or "").split("|") if code]
