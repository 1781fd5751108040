"""What is told of a customer whose offers are weighed and drawn: the decision, in values that most customers share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import takewhile
from typing import Any, TypeVar

from decisioning.case import instant
from decisioning.catalogue.catalogue import Catalogue
from decisioning.decision import Decision, LeftOut, Parts, ShadowSlot, Slot
from decisioning.few.drawing_loop import EMPTY
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
    PROPENSITY,
    SCORE,
    WAS_ASKED,
    Codes,
)
from decisioning.few.shelf import Ints
from decisioning.grounds import DAYS_OF, Grounds, Merits, days_told, grounds
from decisioning.marks import ARMS, marks
from decisioning.policy import DecisionsPolicy

REASONS = (  # by `rows.NOT_IN_CHANNEL` and those after it
    ("", ""),
    ("treatment", "NOT_IN_CHANNEL"),
    ("applicability", "TOOL_ALONE"),
    ("arms", "HOLDOUT"),
    ("arbitration", "SLEEPING_DOG"),
)
_SIXTEEN_BITS = (1 << 16) - 1
_MOST_REMEMBERED = 1 << 14

Value = TypeVar("Value")
Drawn = tuple[Sequence[int], Sequence[int], Sequence[Sequence[float]]]  # offers, notes and figures by slot


class Telling:
    """Tells decisions under one catalogue and policy; `reasons` by the numbers that the loops give them."""

    def __init__(self, catalogue: Catalogue, policy: DecisionsPolicy, reasons: Sequence[tuple[str, str]]) -> None:
        self._catalogue, self._policy, self._reasons = catalogue, policy, reasons
        self._left_out: dict[bytes, tuple[LeftOut, ...]] = {}
        self._grounds: dict[Any, Grounds] = {}

    def decision(
        self, one: Known, drawn: Drawn, end: float, left_out: tuple[LeftOut, ...], shadow: Drawn | None
    ) -> Decision:
        """The decision of a customer; `end` is the propensity of NO_ACTION where it ended the list, else NaN."""
        offers = tuple([self._slot(one, rank, *slot) for rank, slot in enumerate(_slots(drawn), 1)])
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
            end_propensity=None if end != end else end,
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
            shadow=() if shadow is None else self._shadow(shadow),
        )

    def _shadow(self, drawn: Drawn) -> tuple[ShadowSlot, ...]:
        """What a holdout would have been offered."""
        cards = self._catalogue.cards
        return tuple([
            ShadowSlot(rank, cards[j].offer_id, figures[SCORE], figures[PROPENSITY])
            for rank, (j, _, figures) in enumerate(_slots(drawn), 1)
        ])  # fmt: skip

    def _slot(self, one: Known, rank: int, j: int, note: int, figures: Sequence[float]) -> Slot:
        case, catalogue = one.case, self._catalogue
        score, p, uplift, value, cost, context, chance = figures
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
        overlay = (note >> OVERLAY_AT & _SIXTEEN_BITS) - 1
        overlay_id = None if overlay < 0 else catalogue.overlay_ids[overlay]
        days = DAYS_OF.get(overlay_id) if overlay_id else None
        overlay_days = days_told(one.case.number(days)) if days else None
        key = (j, note & _SIXTEEN_BITS, overlay, overlay_days, one.generic, one.customer_class, one.stage)
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


def _slots(drawn: Drawn) -> Iterator[tuple[int, int, Sequence[float]]]:
    """The slots that are filled: offer, what is noted of it, its figures."""
    return takewhile(lambda slot: slot[0] != EMPTY, zip(*drawn, strict=True))


def _kept(remembered: dict[Any, Value], key: Any, value: Value) -> Value:
    """`value`, remembered; what was, is forgotten where it is too much."""
    if len(remembered) >= _MOST_REMEMBERED:
        remembered.clear()
    remembered[key] = value
    return value
