"""What is told of a customer whose offers are weighed and drawn: the decision, in values that most customers share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from decisioning.case import instant
from decisioning.catalogue.catalogue import Catalogue
from decisioning.decision import Decision, LeftOut, Parts, ShadowSlot, Slot
from decisioning.few.reading import Known
from decisioning.few.rows import (
    CHANNEL_AT,
    HELD_OUT,
    IS_ASSUMED,
    IS_LEADING,
    IS_LIKELY,
    IS_LISTED,
    IS_MOMENT,
    IS_PRIOR,
    IS_SECONDARY,
    IS_WORTHWHILE,
    OVERLAY_AT,
    WAS_ASKED,
    Codes,
)  # fmt: skip
from decisioning.few.shelf import Ints
from decisioning.grounds import DAYS_OF, Grounds, Merits, days_told, grounds
from decisioning.marks import ARMS, marks
from decisioning.policy import DecisionsPolicy

REASONS = (  # by `rows.NOT_IN_CHANNEL` and those after it
    ("", ""), ("treatment", "NOT_IN_CHANNEL"), ("applicability", "TOOL_ALONE"), ("arms", "HOLDOUT"),
    ("arbitration", "SLEEPING_DOG"),
)  # fmt: skip
_MERITS = (1 << OVERLAY_AT) - 1
_MOST_REMEMBERED = 1 << 14

Value = TypeVar("Value")


class Telling:
    """Tells decisions under one catalogue and policy; `reasons` by the numbers that the loops give them."""

    def __init__(self, catalogue: Catalogue, policy: DecisionsPolicy, reasons: Sequence[tuple[str, str]]) -> None:
        self._catalogue, self._policy, self._reasons = catalogue, policy, reasons
        self._left_out: dict[bytes, tuple[LeftOut, ...]] = {}
        self._grounds: dict[Any, Grounds] = {}

    def decision(
        self, one: Known, offers: tuple[Slot, ...], left_out: tuple[LeftOut, ...], shadow: tuple[ShadowSlot, ...],
        end_propensity: float | None,
    ) -> Decision:  # fmt: skip
        """The decision of a customer for whom these offers were drawn."""
        case, terms = one.case, one.case.terms
        return Decision(
            decided_at=terms.now,
            customer_id=case.customer_id,
            customer_class=one.customer_class,
            stage=one.stage,
            tier=one.tier,
            grade=case.code("grade"),
            benefits=self._catalogue.benefits.get(one.tier or "", ()),
            variant=one.place.variant if one.generic is None else None,
            release_id=terms.release_id,
            prices_version=terms.prices_version,
            arm=ARMS[one.is_held_out],
            offers=offers,
            no_action=None if offers else self._why_nothing(left_out),
            end_propensity=end_propensity,
            marks=marks(
                terms.consent_basis,
                is_class_assumed=one.is_class_assumed,
                is_stage_assumed=one.is_stage_assumed,
                generic=one.generic,
                scored_by=terms.scored_by,
            ),
            degraded=terms.degraded,
            stale=terms.stale,
            fallback=case.p is None,
            left_out=left_out,
            shadow=shadow,
        )

    def slot(self, one: Known, rank: int, drawn: tuple[int, float], figures: Sequence[float], note: int) -> Slot:
        """One offer in the list, from its figures and what is noted of it."""
        j, chance = drawn
        case, catalogue = one.case, self._catalogue
        score, p, uplift, value, cost, context = figures
        card, price = catalogue.cards[j], 0.0 if case.shadow_price is None else case.shadow_price[j]
        lever = float(catalogue.lever[j])
        p_channel = None if case.p_channel is None else case.p_channel[j]
        return Slot(
            rank,
            catalogue.treatment(j, note >> CHANNEL_AT),
            score,
            Parts(p, uplift, note & IS_ASSUMED != 0, value, card.reward, cost, context, lever, price),
            None if p_channel is None or p_channel != p_channel else p_channel,
            chance,
            self._grounds_of(one, j, note),
            case.terms.now + timedelta(days=self._policy.arbitration.offer_expires_days),
        )

    def _grounds_of(self, one: Known, j: int, note: int) -> Grounds:
        """Why an offer was chosen, from what is noted of it."""
        catalogue = self._catalogue
        overlay = (note >> OVERLAY_AT & _MERITS) - 1
        overlay_id = None if overlay < 0 else catalogue.overlay_ids[overlay]
        days = DAYS_OF.get(overlay_id) if overlay_id else None
        overlay_days = days_told(one.case.number(days)) if days else None
        key = (j, note & _MERITS, overlay, overlay_days, one.generic, one.customer_class, one.stage)
        found = self._grounds.get(key)
        if found is None:
            merits = Merits(
                is_asked=note & WAS_ASKED != 0,
                is_service=bool(catalogue.is_service[j]),
                is_moment=note & IS_MOMENT != 0,
                overlay=overlay_id,
                overlay_days=overlay_days,
                goal=catalogue.goals[one.customer_class, one.stage] if note & IS_LISTED else None,
                is_secondary=note & IS_SECONDARY != 0,
                is_leading=note & IS_LEADING != 0,
                is_likely=note & IS_LIKELY != 0,
                is_worthwhile=note & IS_WORTHWHILE != 0,
                has_risk=bool(catalogue.risk_level[j]),
                generic=one.generic,
                is_prior=note & IS_PRIOR != 0,
            )
            found = _kept(self._grounds, key, grounds(merits))
        return found

    def left_out(self, reason: Codes, until: Ints) -> tuple[LeftOut, ...]:
        """The offers that are out by reason and end, in order of each one's first offer."""
        if until.any():
            return self._left(reason.tolist(), until.tolist())
        key = reason.tobytes()
        found = self._left_out.get(key)
        if found is None:
            found = _kept(self._left_out, key, self._left(reason.tolist(), [0] * len(reason)))
        return found

    def _left(self, reasons: Sequence[int], until: Sequence[int]) -> tuple[LeftOut, ...]:
        found: dict[tuple[int, int], list[str]] = {}
        for card, *out in zip(self._catalogue.cards, reasons, until, strict=True):
            if out[0]:
                found.setdefault((out[0], out[1]), []).append(card.offer_id)
        return tuple([
            LeftOut(*self._reasons[reason], instant(end) if end else None, tuple(offer_ids))
            for (reason, end), offer_ids in found.items()
        ])  # fmt: skip

    def _why_nothing(self, left_out: Sequence[LeftOut]) -> str:
        if sum(len(out.offer_ids) for out in left_out) < self._catalogue.m:
            return "BELOW_FLOOR"
        return "HOLDOUT" if any((out.filter, out.code) == REASONS[HELD_OUT] for out in left_out) else "NO_CANDIDATE"


def _kept(remembered: dict[Any, Value], key: Any, value: Value) -> Value:
    """`value`, remembered; what was, is forgotten where it is too much."""
    if len(remembered) >= _MOST_REMEMBERED:
        remembered.clear()
    remembered[key] = value
    return value
