"""What a decision says of its offers, of those it left out and of what it assumed: for one customer as for many."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from decisioning.arms import HOLDOUT, TREAT
from decisioning.catalogue.catalogue import Catalogue
from decisioning.decision import Arm, Parts, Slot, Suppressed
from decisioning.inputs import CHALLENGER, CHAMPION
from decisioning.playbooks import Playbook
from decisioning.reasons import Reason

ARMS = {True: Arm(HOLDOUT, holdout=True), False: Arm(TREAT, holdout=False)}
_OF_CONSENT = {"none": "CONSENT_NOT_KEPT", "bank_attests": "CONSENT_ATTESTED"}


def slot_of(
    rank: int,
    offer: int,
    channel: int,
    *,
    catalogue: Catalogue,
    score: float,
    parts: Parts,
    p_channel: float | None,
    propensity: float,
    reasons: tuple[Reason, ...],
    expires_at: datetime,
) -> Slot:
    """The slot of an offer in a channel, with everything that the catalogue says of the two."""
    card = catalogue.cards[offer]
    return Slot(
        rank=rank,
        offer_id=card.offer_id,
        product_id=card.product_id,
        hook_id=card.hook_id,
        treatment_id=catalogue.treatment_id(offer, channel),
        channel=catalogue.channels[channel],
        name=card.name,
        score=score,
        components=parts,
        p_channel=p_channel,
        propensity=propensity,
        reasons=reasons,
        playbook=Playbook.of(card, catalogue.modes[channel]),
        expires_at=expires_at,
    )


def left_out(catalogue: Catalogue, name: str, code: str) -> tuple[Suppressed, ...]:
    """Every offer as it stands where it is out for this filter and code, without an end; made once a catalogue."""
    found = catalogue.left_out.get((name, code))
    if found is None:
        found = tuple(Suppressed(card.offer_id, name, code, None) for card in catalogue.cards)
        catalogue.left_out[name, code] = found
    return found


@lru_cache
def marks(
    consent_basis: str,
    *,
    is_class_assumed: bool,
    is_stage_assumed: bool,
    generic: str | None,
    scored_by: str = CHAMPION,
) -> tuple[str, ...]:
    """Codes of what was assumed, and of who scored where it was not the champions."""
    assumed = [
        "CLASS_ASSUMED" if is_class_assumed else None,
        "STAGE_ASSUMED" if is_stage_assumed else None,
        generic,
        _OF_CONSENT.get(consent_basis),
        "CHALLENGER" if scored_by == CHALLENGER else None,
    ]
    return tuple(code for code in assumed if code is not None)
