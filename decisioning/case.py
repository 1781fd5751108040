"""The inputs of one customer as plain values: what `Inputs` says in arrays of one row.

A request decides one customer, and an array of one row costs a hundred times what a number does. Numbers and flags are
floats with NaN, codes and sets text or None, dates days since 1970 or NO_DAY.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from decisioning.inputs import Inputs, Terms
from decisioning.stored import NO_DAY, is_same, said_once
from features.packing import Plain

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NAN = float("nan")


class Happened(NamedTuple):
    """One row of `Recent`; `at` is microseconds since 1970."""

    kind: str
    at: int
    offer_id: str | None
    channel: str | None
    purpose: str | None
    outcome: str | None


class Case(NamedTuple):
    """One customer at one moment; scores, shares and prices have one value an offer, as in `Inputs`."""

    customer_id: str
    facts: Mapping[str, Plain]
    recent: Sequence[Happened]
    p: Sequence[float] | None
    p_channel: Sequence[float] | None
    uplift_share: tuple[float, ...]
    uplift_is_assumed: tuple[bool, ...]
    terms: Terms
    shadow_price: Sequence[float] | None = None
    uplift: Sequence[float] | None = None

    def number(self, name: str) -> float:
        """A number or flag, NaN where the bank does not have it."""
        value = self.facts.get(name, _NAN)
        return value if isinstance(value, float) else _NAN

    def code(self, name: str) -> str | None:
        """A code or set, None where the bank does not have it."""
        value = self.facts.get(name)
        return value if isinstance(value, str) else None

    def has_day(self, name: str) -> bool:
        """Whether a date is known."""
        value = self.facts.get(name)
        return isinstance(value, int) and value != NO_DAY

    @classmethod
    def of(cls, inputs: Inputs) -> Self:
        """The case of the only customer of `inputs`."""
        (customer_id,) = inputs.customer_ids
        terms = Terms(**inputs.terms())
        recent = inputs.recent
        rows = zip(recent.kind.tolist(), recent.at.astype("datetime64[us]").view(np.int64).tolist(),
                   recent.offer_id.tolist(), recent.channel.tolist(), recent.purpose.tolist(),
                   recent.outcome.tolist(), strict=True)  # fmt: skip
        return cls(
            customer_id=customer_id,
            facts=plain_of(inputs.facts),
            recent=[Happened(*row) for row in rows],
            p=None if inputs.p is None else inputs.p[0].tolist(),
            p_channel=None if inputs.p_channel is None else inputs.p_channel[0].tolist(),
            uplift_share=tuple(inputs.uplift_share.tolist()),
            uplift_is_assumed=tuple(inputs.uplift_is_assumed.tolist()),
            terms=terms,
            shadow_price=None if inputs.shadow_price is None else inputs.shadow_price.tolist(),
            uplift=None if inputs.uplift is None else inputs.uplift[0].tolist(),
        )

    def to_json(self) -> dict[str, Any]:
        """What `Inputs.each_json` gives of this customer."""
        terms = self.terms
        found = {
            "customer_id": self.customer_id,
            "channel": terms.channel, "limit": terms.limit, "zone": terms.zone, "consent_basis": terms.consent_basis,
            "release_id": terms.release_id, "epoch": terms.epoch, "prices_version": terms.prices_version,
            "degraded": terms.degraded, "stale": terms.stale, "scored_by": terms.scored_by,
            "asked": terms.asked, "moment": terms.moment, "now": terms.now.isoformat(),
            "n_offers": len(self.uplift_share),
            "uplift_is_assumed": said_once(self.uplift_is_assumed), "uplift_share": said_once(self.uplift_share),
            "shadow_price": self.shadow_price,
            "recent": [tuple(row) for row in self.recent],
            "p": self.p, "uplift": self.uplift,
            "facts": self.facts,
        }  # fmt: skip
        if not is_same(self.p, self.p_channel):
            found["p_channel"] = self.p_channel
        return found


def plain_of(facts: Mapping[str, NDArray[Any]]) -> dict[str, Plain]:
    """Facts of one row as plain values."""
    return {name: _plain(values) for name, values in facts.items()}


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def instant(microseconds: int) -> datetime:
    """The instant so many microseconds after 1970, in UTC."""
    return _EPOCH + microseconds * _MICROSECOND


def _plain(values: NDArray[Any]) -> Plain:
    if values.dtype.kind == "M":
        return int(values.astype("datetime64[D]").view(np.int64)[0])
    value = values.tolist()[0]
    return value if values.dtype == object else float(value)
