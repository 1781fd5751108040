"""Why a chosen offer was chosen: the reason codes that hold of it, strongest first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decisioning.arbitration import Components
from decisioning.catalogue.catalogue import Bools, Catalogue, Floats
from decisioning.matrix import NO_OVERLAY, Context
from decisioning.reasons import OVERLAY, Facts, Reason
from decisioning.situation import Situation

_N_AMONG_BEST = 3
_DAYS_OF = {
    "MATURITY": "days_to_maturity", "LOAN_END": "days_to_loan_end", "PAYDAY": "days_since_salary",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Best:
    """What makes an offer one of a customer's best: the third largest p and gain (τ·V) of his candidates, (n,) each."""

    p: Floats
    gain: Floats  # (n, m), of every offer
    least_gain: Floats

    @classmethod
    def of(cls, parts: Components, permitted: Bools) -> Best:
        gain = parts.uplift * parts.value
        return cls(_third(parts.p, permitted), gain, _third(gain, permitted))


def grounds(
    i: int,
    j: int,
    *,
    situation: Situation,
    catalogue: Catalogue,
    context: Context,
    parts: Components,
    best: Best,
) -> tuple[Reason, ...]:
    """The reasons of offer j for customer i: request, service, moment, overlay, cell, likelihood, worth, risk."""
    found = [
        *_occasion(i, j, situation, catalogue, context),
        *_strength(i, j, parts, best),
        Reason("RISK_FITS" if catalogue.risk_level[j] else "NO_RISK"),
    ]
    if situation.is_generic[i]:
        found.append(Reason("GENERIC_ORDER"))
    elif parts.is_prior[i, j]:
        found.append(Reason("NO_MODEL"))
    return tuple(found)


def _occasion(i: int, j: int, situation: Situation, catalogue: Catalogue, context: Context) -> list[Reason]:
    found = []
    if situation.is_asked[j]:
        found.append(Reason("ASKED"))
    if catalogue.is_service[j]:
        found.append(Reason("SERVICE_DUE"))
    if catalogue.cards[j].offer_id in situation.inputs.moment:
        found.append(Reason("MOMENT"))
    if context.overlay[i, j] != NO_OVERLAY:
        found.append(_overlay(i, catalogue.overlay_ids[context.overlay[i, j]], situation))
    if not catalogue.is_service[j] and not situation.is_generic[i]:
        if context.is_listed[i, j]:
            goal = catalogue.goals[situation.classes[i], situation.stages[i]]
            found.append(Reason("CELL_LISTED", zh=(("goal", goal.zh),), en=(("goal", goal.en),)))
        elif context.is_secondary[i, j]:
            found.append(Reason("CELL_SECONDARY"))
    return found


def _overlay(i: int, overlay_id: str, situation: Situation) -> Reason:
    name = _DAYS_OF.get(overlay_id)
    days = situation.inputs.numbers(name)[i] if name else np.nan
    given: Facts = () if np.isnan(days) else (("days", f"{days:.0f}"),)
    return Reason(f"{OVERLAY}{overlay_id}", zh=given, en=given)


def _strength(i: int, j: int, parts: Components, best: Best) -> list[Reason]:
    """Whether the offer is among the customer's likeliest and most worthwhile candidates."""
    found = []
    if not parts.is_prior[i, j] and parts.p[i, j] >= best.p[i]:
        found.append(Reason("HIGH_P"))
    if best.gain[i, j] >= best.least_gain[i]:
        found.append(Reason("HIGH_GAIN"))
    return found


def _third(figures: Floats, permitted: Bools) -> Floats:
    """The third largest figure among each customer's candidates, (n,); at or above it fewer than three are larger."""
    place = max(figures.shape[1] - _N_AMONG_BEST, 0)
    among = np.where(permitted, figures, -np.inf)
    among.partition(place, axis=1)
    return among[:, place]
