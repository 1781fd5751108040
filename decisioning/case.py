"""The inputs of one customer as plain values: what `Inputs` says in arrays of one row.

A request decides one customer, and an array of one row costs a hundred times what a number does. Numbers and flags are
floats with NaN, codes and sets text or None, dates days since 1970 or NO_DAY.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from decisioning.inputs import Inputs, Terms, day_text
from decisioning.rules_alone import NO_DAY, Plain

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MIDNIGHT = datetime(1970, 1, 1)  # without a zone, as NumPy writes instants
_NAN = float("nan")


class Happened(NamedTuple):
    """One row of `Recent`; `at` is microseconds since 1970."""

    kind: str
    at: int
    offer_id: str | None
    channel: str | None
    purpose: str | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Case:
    """One customer at one moment; scores, shares and prices have one value an offer, as in `Inputs`."""

    customer_id: str
    facts: Mapping[str, Plain]
    recent: Sequence[Happened]
    p: Sequence[float] | None
    p_channel: Sequence[float] | None
    uplift_share: Sequence[float]
    uplift_is_assumed: Sequence[bool]
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
            uplift_share=inputs.uplift_share.tolist(),
            uplift_is_assumed=inputs.uplift_is_assumed.tolist(),
            terms=terms,
            shadow_price=None if inputs.shadow_price is None else inputs.shadow_price.tolist(),
            uplift=None if inputs.uplift is None else inputs.uplift[0].tolist(),
        )

    def to_json(self) -> dict[str, Any]:
        """What `Inputs.from_json` reads back; a number that is missing stays NaN, which the writer makes null."""
        facts = self.facts
        columns = tuple(facts)
        parts = _PARTED.get(columns)
        if parts is None:
            parts = _PARTED[columns] = _parted(facts)
        (numbers, numbers_of), (codes, codes_of), (days, days_of) = parts
        terms = self.terms
        return {
            "channel": terms.channel, "limit": terms.limit, "zone": terms.zone, "consent_basis": terms.consent_basis,
            "release_id": terms.release_id, "epoch": terms.epoch, "prices_version": terms.prices_version,
            "degraded": terms.degraded, "stale": terms.stale, "scored_by": terms.scored_by,
            "customer_ids": [self.customer_id],
            "asked": terms.asked, "moment": terms.moment, "now": terms.now.isoformat(),
            "numbers": dict(zip(numbers, numbers_of(facts), strict=True)),
            "codes": dict(zip(codes, codes_of(facts), strict=True)),
            "dates": dict(zip(days, map(day_text, days_of(facts)), strict=True)),
            "recent": _columns(self.recent),
            "uplift_is_assumed": self.uplift_is_assumed, "uplift_share": self.uplift_share,
            "shadow_price": self.shadow_price,
            "p": None if self.p is None else [self.p],
            "p_channel": None if self.p_channel is None else [self.p_channel],
            "uplift": None if self.uplift is None else [self.uplift],
        }  # fmt: skip


_Columns = tuple[tuple[str, ...], Callable[[Mapping[str, Any]], Sequence[Any]]]
_PARTED: dict[tuple[str, ...], tuple[_Columns, _Columns, _Columns]] = {}


def _parted(facts: Mapping[str, Plain]) -> tuple[_Columns, _Columns, _Columns]:
    """The names of numbers, of codes and of dates, each with what picks their values; the same for a whole release."""
    numbers = tuple(name for name, value in facts.items() if isinstance(value, float))
    days = tuple(name for name, value in facts.items() if isinstance(value, int))
    return _column(numbers), _column(tuple(name for name in facts if name not in {*numbers, *days})), _column(days)


def _column(names: tuple[str, ...]) -> _Columns:
    return names, itemgetter(*names) if len(names) > 1 else lambda facts: [facts[name] for name in names]


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


def _columns(recent: Sequence[Happened]) -> dict[str, Sequence[Any]]:
    """Rows as `Recent.to_json` writes them."""
    values = zip(*recent, strict=True) if recent else [()] * len(Happened._fields)
    columns: dict[str, Sequence[Any]] = dict(zip(Happened._fields, values, strict=True))
    at = [(_MIDNIGHT + at * _MICROSECOND).isoformat(timespec="microseconds") for at in columns["at"]]
    return columns | {"customer": [0] * len(recent), "at": at}
