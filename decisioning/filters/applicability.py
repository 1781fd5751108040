"""What would be pointless today: already held, refused a short while ago, or just taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Catalogue
from decisioning.policy import DecisionsPolicy
from decisioning.rules import Bools
from decisioning.situation import Situation
from decisioning.verdicts import Bench, Instants, Verdicts
from features.vocabulary import Outcome

TABLE = ("PASSES", "HELD", "REFUSED", "CONVERTED")
READS: tuple[str, ...] = ("held_products", "active_services")  # facts, beside those that the policy names
_EMPTY = "|"
_DAY_US = 86_400_000_000
_REFUSALS = (Outcome.REFUSED, Outcome.DNC_REQUESTED)


def applicability(situation: Situation, catalogue: Catalogue, policy: DecisionsPolicy) -> Verdicts:
    """Rejects what is held (unless repeatable), refused within the policy's days, or converted within its own window.

    A refusal counts for every offer of the same product, for a hook or service action alone for itself. What the
    customer asks for again is not held against an earlier refusal.
    """
    bench = Bench(TABLE, (situation.n, catalogue.m))
    until: Instants = np.full(bench.codes.shape, np.datetime64("NaT", "us"))
    bench.reject(_held(situation, catalogue) & ~catalogue.is_repeatable, "HELD")
    if len(situation.inputs.recent):
        day = np.timedelta64(1, "D")
        lapses = {
            "REFUSED": _latest(situation, catalogue, _REFUSALS) + policy.contact.refusal_days * day,
            "CONVERTED": _latest(situation, catalogue, (Outcome.CONVERTED,)) + catalogue.outcome_days * day,
        }
        for code, at in lapses.items():
            unasked = ~situation.is_asked if code == "REFUSED" else np.True_
            fresh = bench.reject((at > situation.now) & unasked, code)
            if np.count_nonzero(fresh):
                until[fresh] = at[fresh]
    return Verdicts(TABLE, bench.codes, until=until)


def _held(situation: Situation, catalogue: Catalogue) -> Bools:
    """Which offers' products each customer holds or uses, bool (n, m)."""
    held = np.zeros((situation.n, catalogue.m), dtype=bool)
    for name in ("held_products", "active_services"):
        held |= _named(situation.inputs.codes(name), catalogue)
    return held


def _named(sets: NDArray[Any], catalogue: Catalogue) -> Bools:
    """Which offers' products each set names, bool (n, m)."""
    seen: dict[Any, int] = {}
    ids = [seen.setdefault(codes, len(seen)) for codes in sets.tolist()]
    rows = np.zeros((len(seen), catalogue.m), dtype=bool)
    for codes, row in seen.items():
        if codes is not None and codes != _EMPTY:
            for product in codes.strip("|").split("|"):
                rows[row, catalogue.offers_of.get(product, [])] = True
    return rows[ids]


def _latest(situation: Situation, catalogue: Catalogue, outcomes: Sequence[Outcome]) -> Instants:
    """When each customer last answered so to each offer or another of its product, (n, m), NaT for never."""
    recent = situation.inputs.recent
    latest = np.full((situation.n, catalogue.m), np.iinfo(np.int64).min)  # NaT as an integer: the smallest
    for k in (k for k, outcome in enumerate(recent.outcome.tolist()) if outcome in outcomes):
        j = catalogue.index.get(recent.offer_id[k])
        if j is not None:
            row = latest[recent.customer[k]]
            np.maximum(row, recent.at[k].astype(np.int64), out=row, where=catalogue.same_thing[j])
    return latest.astype("datetime64[us]")
