"""What a catalogue says of an offer in a channel: made once, with the JSON that every decision has of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from orjson import Fragment

from decisioning.catalogue.cards import OfferCard, Words
from decisioning.playbooks import Playbook


@dataclass(frozen=True, slots=True)
class Treatment:
    """An offer in a channel of a catalogue.

    `named` and `said` are what a slot and its playbook tell of it, by name, with texts as they are written.
    """

    treatment_id: str
    offer_id: str
    product_id: str | None
    hook_id: str | None
    channel: str
    name: Words
    playbook: Playbook
    is_care: bool
    named: Mapping[str, Any] = field(compare=False)
    said: Mapping[str, Any] = field(compare=False)

    @classmethod
    def of(cls, card: OfferCard, channel: str, mode: str) -> Self:
        """The treatment of an offer in a channel of this mode; its id is offer, channel and version of the copy.

        >>> from datetime import date
        >>> from decisioning.policy import decisions
        >>> Treatment.of(OfferCard.of("P01", decisions().view(date(2026, 1, 1))), "APP", "in_session").treatment_id
        'P01:APP:1'
        """
        playbook = Playbook.of(card, mode)
        ids: dict[str, Any] = {
            "offer_id": card.offer_id, "product_id": card.product_id, "hook_id": card.hook_id,
            "treatment_id": f"{card.offer_id}:{channel}:{card.version}", "channel": channel,
        }  # fmt: skip
        return cls(
            **ids,
            name=card.name,
            playbook=playbook,
            is_care=card.is_care,
            named=ids | {"name": Fragment(orjson.dumps(card.name.to_json()))},
            said={name: Fragment(orjson.dumps(words)) for name, words in playbook.to_json().items()},
        )
