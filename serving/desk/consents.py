"""Consent at the moment of reading: what the day view tells, and what customers said to the ledger (R32, R34, R39).

A withdrawal counts from the next reading on and stays, whatever the bank's tables say, until the ledger hears another
word: those tables come back in by hand, and a bulk import never reopens. A grant counts if it carries a proof and is
of a later day than the last word that the bank's tables tell. In doubt consent is withdrawn.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from features.bank.tables import EVENT_CHANNELS
from features.packing import Plain
from serving.ledger import Word

FACTS = ("consented_channels", "withheld_categories", "has_profiling_optout", "do_not_call")
_TOLD_ON = "consent_said_on"
_EVERY = frozenset(EVENT_CHANNELS)
_ALL, _EVERYWHERE, _NOTHING = "ALL", "|ALL|", "|"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MARKETING = "MARKETING"
_Pair = tuple[str, str]  # a category and a channel


@dataclass(frozen=True, slots=True)
class Hearing:
    """How a bank hears words: the zone of its days, and whether every channel is open by its own word where it keeps no
    table of consents."""

    zone: ZoneInfo
    is_attested: bool = False

    def heard(self, known: Mapping[str, Plain], words: Sequence[Word]) -> dict[str, Plain]:
        """The FACTS of one customer, of whom the rows say `known`, after his words in order of time."""
        told_on, last = known.get(_TOLD_ON), _LastWords()
        for word in words:
            last.hear(word, is_news=isinstance(told_on, int) and self._day(word) > told_on)
        closed = _set(known["do_not_call"]) - last.opened
        return {
            "consented_channels": self._channels(known["consented_channels"], last),
            "withheld_categories": last.categories(known["withheld_categories"]),
            "has_profiling_optout": last.profiling(known["has_profiling_optout"]),
            "do_not_call": _text(closed) if closed or known["do_not_call"] is not None else None,
        }

    def _channels(self, known: Plain, last: _LastWords) -> Plain:
        if known is not None or not self.is_attested:
            return last.channels(known)
        left = last.channels(_EVERYWHERE)
        return None if left == _EVERYWHERE else left

    def _day(self, word: Word) -> int:
        said_on = (_EPOCH + timedelta(microseconds=word.at)).astimezone(self.zone).date()
        return (said_on - date(1970, 1, 1)).days


@dataclass(slots=True)
class _LastWords:
    """The last word of each channel and category; `opened`, `freed`, `is_freed` and `is_profiled` are of grants that
    are news. `whole` are the categories withheld for every channel at once."""

    shut: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()
    withheld: set[_Pair] = field(default_factory=set)
    whole: frozenset[str] = frozenset()
    freed: set[_Pair] = field(default_factory=set)
    is_freed: bool = False
    unprofiled: frozenset[str] = frozenset()
    is_profiled: bool = False

    def hear(self, word: Word, *, is_news: bool) -> None:
        if word.is_granted and not word.is_proven:
            return
        channels = _EVERY if word.channel is None else frozenset({word.channel})
        if word.purpose != _MARKETING:
            self._profile(word, channels, is_news)
        elif word.category is None:
            self._market(word, channels, is_news)
        else:
            self._withhold(word, word.category, channels, is_news)

    def _market(self, word: Word, channels: frozenset[str], is_news: bool) -> None:
        """A word about all categories; of refusals it ends those about as much or less, a withdrawal ends none."""
        if word.channel is not None:
            self.freed = {pair for pair in self.freed if pair[1] != word.channel}
            self.withheld |= {(category, word.channel) for category in self.whole}
        if not word.is_granted:
            self.shut, self.opened = self.shut | channels, self.opened - channels
            return
        self.whole = self.whole if word.channel else frozenset()
        self.shut -= channels
        self.withheld = {(k, channel) for k, channel in self.withheld if k in self.whole or channel not in channels}
        if is_news:
            self.opened |= channels
            self.is_freed = self.is_freed or word.channel is None

    def _withhold(self, word: Word, category: str, channels: frozenset[str], is_news: bool) -> None:
        pairs = {(category, channel) for channel in channels}
        self.withheld = self.withheld - pairs if word.is_granted else self.withheld | pairs
        self.freed = self.freed | pairs if word.is_granted and is_news else self.freed - pairs
        if word.channel is None:
            self.whole = self.whole - {category} if word.is_granted else self.whole | {category}

    def _profile(self, word: Word, channels: frozenset[str], is_news: bool) -> None:
        if word.is_granted and word.category is not None:
            return
        self.unprofiled = self.unprofiled - channels if word.is_granted else self.unprofiled | channels
        self.is_profiled = word.is_granted and is_news and word.channel is None

    def channels(self, known: Plain) -> Plain:
        """The channels that may speak of offers; unknown where nothing was granted and no row tells."""
        if known is None and not self.opened:
            return None
        before = _EVERY if _ALL in _set(known) else _set(known)
        after = (before | self.opened) - self.shut
        return _EVERYWHERE if after >= _EVERY else _text(after)

    def categories(self, known: Plain) -> Plain:
        """The categories withheld, K for every channel and K/SMS for one."""
        before = {pair for code in _set(known) for pair in _pairs(code)}
        after = (set() if self.is_freed else before - self.freed) | self.withheld
        if not after:
            return None if known is None else _NOTHING
        closed: dict[str, set[str]] = {}
        for category, channel in after:
            closed.setdefault(category, set()).add(channel)
        return _text(
            {category for category, channels in closed.items() if channels >= _EVERY}
            | {f"{k}/{channel}" for k, channels in closed.items() if not channels >= _EVERY for channel in channels}
        )

    def profiling(self, known: Plain) -> Plain:
        """Whether he withdrew consent to profiling, 1.0 or 0.0, NaN where nobody knows."""
        if self.unprofiled:
            return 1.0
        return 0.0 if self.is_profiled else known


def after_words(
    customer_ids: Sequence[str],
    facts: Mapping[str, NDArray[Any]],
    said: Mapping[str, Sequence[Word]],
    hearing: Hearing,
) -> dict[str, NDArray[Any]]:
    """The FACTS of n customers after what each said, shape (n,); nothing where nobody said anything."""
    if not said:
        return {}
    found = {name: facts[name].copy() for name in FACTS}
    for place, customer_id in enumerate(customer_ids):
        if customer_id in said:
            known: dict[str, Plain] = {name: facts[name][place] for name in FACTS}
            if _TOLD_ON in facts:  # rows that an earlier version published lack it
                known[_TOLD_ON] = int(facts[_TOLD_ON][place].astype("datetime64[D]").astype(np.int64))
            for name, value in hearing.heard(known, said[customer_id]).items():
                found[name][place] = value
    return found


def _pairs(code: str) -> set[_Pair]:
    category, _, channel = code.partition("/")
    return {(category, name) for name in ([channel] if channel else _EVERY)}


def _set(text: Plain) -> frozenset[str]:
    """The codes of a set written |A|B|; a missing one has none."""
    return frozenset(filter(None, text.split("|"))) if isinstance(text, str) else frozenset()


def _text(codes: Collection[str]) -> str:
    return f"|{'|'.join(sorted(codes))}|" if codes else _NOTHING
