"""Why a chosen offer was chosen: the reason codes that hold of it, strongest first."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import orjson

from decisioning.catalogue.cards import Words
from decisioning.catalogue.catalogue import Bools, Floats
from decisioning.reasons import OVERLAY, Facts, Reason

DAYS_OF = {
    "MATURITY": "days_to_maturity", "LOAN_END": "days_to_loan_end", "PAYDAY": "days_since_salary",
}  # fmt: skip
_N_AMONG_BEST = 3
_N_WHY = 2


class Grounds(tuple[Reason, ...]):
    """The reasons of an offer, strongest first, with their JSON, which most customers share."""

    @cached_property
    def told(self) -> orjson.Fragment:
        """The reasons with their sentences, as they are written."""
        return orjson.Fragment(orjson.dumps([reason.to_json() for reason in self]))

    @cached_property
    def why(self) -> orjson.Fragment:
        """The sentences with which a playbook begins, as they are written."""
        return orjson.Fragment(orjson.dumps([reason.words().to_json() for reason in self[:_N_WHY]]))


class Merits(NamedTuple):
    """What speaks for one offer and one customer; `overlay_days` as `days_told`, None for an overlay that counts none.

    `goal` is that of the customer's own cell where it lists the offer. `is_likely` and `is_worthwhile`: among the best
    of the customer's candidates by response probability and by gain (τ·V); `is_leading`: first in his cell for his
    tier; `generic` the code that says why nothing is personal, None where it is.
    """

    is_asked: bool
    is_service: bool
    is_moment: bool
    overlay: str | None
    overlay_days: str | None
    goal: Words | None
    is_secondary: bool
    is_leading: bool
    is_likely: bool
    is_worthwhile: bool
    has_risk: bool
    generic: str | None
    is_prior: bool


@lru_cache(maxsize=1 << 14)
def grounds(merits: Merits) -> Grounds:
    """The reasons of an offer: request, service, moment, overlay, cell, tier, likelihood, worth, risk.

    Written once: most customers are given the same few.

    >>> rest = (None, None, None, False, False, False, True, False, None, False)
    >>> [reason.code for reason in grounds(Merits(True, False, False, *rest))]
    ['ASKED', 'HIGH_GAIN', 'NO_RISK']
    """
    found = [Reason(code) for code, holds in _occasions(merits) if holds]
    if merits.overlay is not None:
        given: Facts = () if merits.overlay_days is None else (("days", merits.overlay_days),)
        found.append(Reason(f"{OVERLAY}{merits.overlay}", zh=given, en=given))
    if not merits.is_service and merits.generic is None:
        if merits.goal is not None:
            found.append(Reason("CELL_LISTED", zh=(("goal", merits.goal.zh),), en=(("goal", merits.goal.en),)))
        elif merits.is_secondary:
            found.append(Reason("CELL_SECONDARY"))
        if merits.is_leading:
            found.append(Reason("TIER_LEADS"))
    found += [Reason(code) for code, holds in _strengths(merits) if holds]
    if merits.generic is not None:
        found.append(Reason(merits.generic))
    return Grounds(found)


def days_told(days: float) -> str | None:
    """A count of days as a reason tells it; None where it is missing.

    >>> days_told(7.0), days_told(float("nan"))
    ('7', None)
    """
    return f"{days:.0f}" if days == days else None


def third_largest(figures: Floats, permitted: Bools) -> Floats:
    """The third largest figure among each customer's candidates, (n,); at or above it fewer than three are larger."""
    place = max(figures.shape[1] - _N_AMONG_BEST, 0)
    among = np.where(permitted, figures, -np.inf)
    among.partition(place, axis=1)
    return among[:, place]


def _occasions(merits: Merits) -> list[tuple[str, bool]]:
    return [("ASKED", merits.is_asked), ("SERVICE_DUE", merits.is_service), ("MOMENT", merits.is_moment)]


def _strengths(merits: Merits) -> list[tuple[str, bool]]:
    return [
        ("HIGH_P", merits.is_likely and not merits.is_prior),
        ("HIGH_GAIN", merits.is_worthwhile),
        ("RISK_FITS", merits.has_risk),
        ("NO_RISK", not merits.has_risk),
        ("NO_MODEL", merits.is_prior and merits.generic is None),
    ]
