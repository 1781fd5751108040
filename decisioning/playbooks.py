"""What a seller needs beside an offer: approved words, answers to objections, the next step (话术)."""

from __future__ import annotations

from typing import Any, NamedTuple

from decisioning.catalogue.cards import OfferCard, Words
from decisioning.reasons import sentence_of

_NEXT_STEP = {"in_session": "NEXT_IN_SESSION", "outbound": "NEXT_OUTBOUND", "face_to_face": "NEXT_FACE_TO_FACE"}


class Playbook(NamedTuple):
    """How to bring one offer to one customer; objections and next step are codes, `template` the hook's first step."""

    talk_track: Words
    objections: tuple[str, ...]
    next_step: str
    template: str | None

    @classmethod
    def of(cls, card: OfferCard, mode: str) -> Playbook:
        """The playbook of an offer in a channel of this mode."""
        concerns = {"OBJECTION_RISK": card.risk_level > 0, "OBJECTION_COST": card.role == "core"}
        needs_record = card.is_record_required and mode == "face_to_face"
        return cls(
            talk_track=card.copy,
            objections=("OBJECTION_NOT_NOW", *(code for code, applies in concerns.items() if applies)),
            next_step="NEXT_RECORD" if needs_record else _NEXT_STEP[mode],
            template=card.first_template,
        )

    def to_json(self) -> dict[str, Any]:
        """What it says to whomever it is used with; why it is brought to a customer stands with the reasons."""
        return {
            "talk_track": self.talk_track.to_json(),
            "objections": [sentence_of(code).to_json() for code in self.objections],
            "next_step": sentence_of(self.next_step).to_json() | {"template": self.template},
        }
