"""The filters applied in order: which treatments are open, and the one reason of every offer that is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from decisioning.catalogue.catalogue import Catalogue
from decisioning.filters import ORDER
from decisioning.policy import DecisionsPolicy
from decisioning.rules import Bools
from decisioning.situation import Situation
from decisioning.verdicts import PASSES, Codes, Instants, Verdicts

Filter = Callable[[Situation, Catalogue, DecisionsPolicy], Verdicts]
FILTERS: tuple[tuple[str, Filter], ...] = tuple(
    (name, getattr(import_module(f"decisioning.filters.{name}"), name)) for name in ORDER
)
NO_REASON, NOT_IN_CHANNEL, TOOL_ALONE, HELD_OUT, ASLEEP = range(5)
_REASONS = (
    ("", ""),
    ("treatment", "NOT_IN_CHANNEL"),
    ("applicability", "TOOL_ALONE"),
    ("arms", "HOLDOUT"),
    ("arbitration", "SLEEPING_DOG"),
)  # before the filters' own


@dataclass(frozen=True, slots=True)
class Candidates:
    """n customers, m offers, c channels after all filters.

    `reason` (n, m) indexes `reasons`, pairs of filter and code; 0 is a candidate. `closed` is the same per treatment,
    (n, m, c), for offers that no filter rejected as a whole. `until` is when an offer's reason lapses, NaT unknown.
    """

    reasons: tuple[tuple[str, str], ...]
    reason: Codes
    closed: Codes
    until: Instants

    @property
    def passed(self) -> Bools:
        passed: Bools = self.reason == NO_REASON
        return passed

    @property
    def open(self) -> Bools:
        open_: Bools = self.closed == NO_REASON
        return open_


def candidates(situation: Situation, catalogue: Catalogue, policy: DecisionsPolicy) -> Candidates:
    """What all filters leave, in their order: the first that rejects an offer names its one reason."""
    shape = (situation.n, catalogue.m)
    reasons = list(_REASONS)
    reason = np.zeros(shape, dtype=np.int16)
    closed = np.empty((*shape, len(catalogue.channels)), dtype=np.int16)
    np.multiply(~catalogue.has_channel, NOT_IN_CHANNEL, out=closed)
    until = np.full(shape, np.datetime64("NaT", "us"))
    for name, apply in FILTERS:
        verdicts = apply(situation, catalogue, policy)
        shift = len(reasons) - 1
        reasons += [(name, code) for code in verdicts.table[1:]]
        if np.count_nonzero(verdicts.codes):
            fresh = (verdicts.codes > PASSES) & (reason == NO_REASON)
            np.putmask(reason, fresh, verdicts.codes + shift)
            if verdicts.until is not None:
                np.putmask(until, fresh, verdicts.until)
        if verdicts.channels is not None and np.count_nonzero(verdicts.channels):
            _close(closed, reason, verdicts.channels, shift)
    return Candidates(tuple(reasons), reason, closed, until)


def _close(closed: Codes, reason: Codes, channels: Codes, shift: int) -> None:
    """Close single treatments; an offer whose last one closes gets the reason of its first that was still open."""
    was_open = closed == NO_REASON
    np.add(channels, shift, out=closed, where=was_open & (channels > 0))
    ended = (reason == NO_REASON) & ~np.logical_or.reduce(closed == NO_REASON, axis=2)
    if np.count_nonzero(ended):
        first = np.take_along_axis(closed, was_open.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
        reason[ended] = first[ended]
