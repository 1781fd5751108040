"""Everything a decision stands on, by value: facts, recent contacts and answers, scores, moment, channel.

What is not in here, in the catalogue or in the policy cannot influence a decision; so a stored `Inputs` re-decides to
the bit (replay).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from decisioning.stored import as_stored, is_same, said_of_each, said_once
from features.errors import BadRequest

Floats = NDArray[np.float64]
CHAMPION, CHALLENGER = "champion", "challenger"  # who scored
ConsentBasis = Literal["none", "bank_attests", "opt_in"]
# facts that end personal recommendation, each with the reason code that says so; the first that holds is told
SWITCHES = {"has_profiling_optout": "PROFILING_WITHDRAWN", "has_marketing_optout": "GENERIC_ORDER"}


@dataclass(frozen=True, slots=True)
class Recent:
    """Contacts, answers and complaints of the last half year before the moment: k rows, in any order.

    `customer` is the row of the customer in the inputs, `kind` is contact, response or complaint, `at` a UTC instant
    of microseconds; `purpose` is known for contacts and `outcome` for responses, None elsewhere.
    """

    customer: NDArray[np.int64]
    kind: NDArray[Any]
    at: NDArray[np.datetime64]
    offer_id: NDArray[Any]
    channel: NDArray[Any]
    purpose: NDArray[Any]
    outcome: NDArray[Any]

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]] = ()) -> Self:
        """From one mapping a row, keys as the fields; a missing key is None.

        >>> recent = Recent.of([{"customer": 0, "kind": "contact", "at": datetime(2026, 3, 1), "purpose": "SALES"}])
        >>> len(recent), str(recent.at[0])
        (1, '2026-03-01T00:00:00.000000')
        """
        listed = list(rows)
        codes = {name: _objects([row.get(name) for row in listed]) for name in _CODES}
        return cls(
            customer=np.array([row["customer"] for row in listed], dtype=np.int64),
            at=np.array([row["at"] for row in listed], dtype="datetime64[us]"),
            **codes,
        )

    def each_rows(self, n: int) -> list[list[tuple[Any, ...]]]:
        """The rows of each of n customers as (kind, at, offer_id, channel, purpose, outcome), `at` in microseconds."""
        found: list[list[tuple[Any, ...]]] = [[] for _ in range(n)]
        if len(self):
            at = self.at.astype("datetime64[us]", copy=False).view(np.int64)
            columns = [column.tolist() for column in (self.kind, at, *(getattr(self, name) for name in _CODES[1:]))]
            for customer, *row in zip(self.customer.tolist(), *columns, strict=True):
                found[customer].append(tuple(row))
        return found

    @classmethod
    def of_rows(cls, rows: Iterable[Sequence[Any]]) -> Self:
        """One customer's, from rows as `each_rows` gives them."""
        kind, at, *codes = zip(*rows, strict=True) if (rows := list(rows)) else [()] * (1 + len(_CODES))
        return cls(
            customer=np.zeros(len(at), dtype=np.int64),
            at=np.array(at, dtype="datetime64[us]"),
            kind=_objects(kind),
            **{name: _objects(values) for name, values in zip(_CODES[1:], codes, strict=True)},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all customers of a request or a batch are decided under.

    `channel` is the requested channel, empty for any. `now` is a UTC instant, `zone` the bank's. `asked` are offers the
    customer asked for, `moment` those that a moment of truth of this session speaks for. `scored_by` is CHAMPION or
    CHALLENGER.
    """

    channel: str
    limit: int
    now: datetime
    zone: str
    consent_basis: ConsentBasis
    release_id: str
    epoch: str
    prices_version: str
    asked: tuple[str, ...] = ()
    moment: tuple[str, ...] = ()
    degraded: bool = False
    stale: bool = False
    scored_by: str = CHAMPION

    def __post_init__(self) -> None:
        if self.now.utcoffset() is None:
            raise BadRequest("the moment of a decision has no time zone", value=self.now, todo="give it in UTC")
        if self.limit < 1:
            raise BadRequest("limit of a decision", value=self.limit, allowed="1 or more")

    def terms(self) -> dict[str, Any]:
        """The terms alone, by name."""
        return {name: getattr(self, name) for name in Terms.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs(Terms):
    """n customers at one moment, m offers in the catalogue's order.

    `facts` are arrays of n rows: numbers and flags float64 with NaN, codes and sets object with None, dates
    datetime64[D]. `p` is the response probability at the reference channel, `p_channel` at the requested one, both
    (n, m) or None without a model (NaN: no score for this pair). `uplift_share` is the incremental share of p, (m,),
    and `uplift_is_assumed` says that no arm measured it. `uplift` is the effect τ that arms measured, (n, m) or None,
    NaN for a pair that none did, where the share speaks. `shadow_price` is Σ λ·use per offer, (m,), None for none.
    """

    customer_ids: tuple[str, ...]
    facts: Mapping[str, NDArray[Any]]
    recent: Recent
    p: Floats | None
    p_channel: Floats | None
    uplift_share: Floats
    uplift_is_assumed: NDArray[np.bool_]
    shadow_price: Floats | None = None
    uplift: Floats | None = None

    @property
    def n(self) -> int:
        return len(self.customer_ids)

    def numbers(self, name: str) -> Floats:
        """A fact as float64 (n,), NaN throughout where the bank does not have it."""
        values = self.facts.get(name)
        return np.full(self.n, np.nan) if values is None else values

    def codes(self, name: str) -> NDArray[Any]:
        """A fact as objects (n,), None throughout where the bank does not have it."""
        values = self.facts.get(name)
        return np.full(self.n, None, dtype=object) if values is None else values

    def each_json(self) -> list[dict[str, Any]]:
        """The inputs of each customer alone, in order: what his decision is stored with.

        JSON carries it exactly: floats by their shortest exact form, missing numbers as NaN, which the writer makes
        null, dates as days since 1970. So a fact's own value says its kind. `p_channel` is left out where it is `p`,
        and a share that all offers have is said once.
        """
        names, columns = tuple(self.facts), [_plain(values).tolist() for values in self.facts.values()]
        rows = zip(*columns, strict=True) if columns else [()] * self.n
        shared = {name: getattr(self, name) for name in PLAIN} | {
            "now": self.now.isoformat(),
            "n_offers": len(self.uplift_share),
            "uplift_is_assumed": said_once(self.uplift_is_assumed.tolist()),
            "uplift_share": said_once(self.uplift_share.tolist()),
            "shadow_price": _listed(self.shadow_price),
        }
        p, p_channel, uplift = (_rows(given, self.n) for given in (self.p, self.p_channel, self.uplift))
        recent = self.recent.each_rows(self.n)
        found = [
            {"customer_id": customer_id}
            | shared
            | {"recent": recent[i], "p": p[i], "uplift": uplift[i], "facts": dict(zip(names, row, strict=True))}
            for i, (customer_id, row) in enumerate(zip(self.customer_ids, rows, strict=True))
        ]
        for one, mine, there in zip(found, p, p_channel, strict=True):
            if not is_same(mine, there):
                one["p_channel"] = there
        return found

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inputs that `each_json` wrote of a customer, equal to the bit; a fact that was missing is left out."""
        data = as_stored(data)
        m, shadow_price = data["n_offers"], data["shadow_price"]
        rows = {"p": data["p"], "p_channel": data.get("p_channel", data["p"]), "uplift": data.get("uplift")}
        scores: dict[str, Any] = {name: None if row is None else _floats([row]) for name, row in rows.items()}
        return cls(
            customer_ids=(data["customer_id"],),
            facts={name: _column(value) for name, value in data["facts"].items() if value is not None},
            recent=Recent.of_rows(data["recent"]),
            now=datetime.fromisoformat(data["now"]),
            uplift_is_assumed=np.array(said_of_each(data["uplift_is_assumed"], m), dtype=bool),
            uplift_share=_floats(said_of_each(data["uplift_share"], m)),
            shadow_price=None if shadow_price is None else _floats(shadow_price),
            asked=tuple(data["asked"]),
            moment=tuple(data["moment"]),
            **{name: data[name] for name in PLAIN if name not in ("asked", "moment")},
            **scores,
        )


_CODES = ("kind", "offer_id", "channel", "purpose", "outcome")
PLAIN = (
    "channel", "limit", "zone", "consent_basis", "release_id", "epoch", "prices_version", "degraded", "stale",
    "scored_by", "asked", "moment",
)  # fmt: skip


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """A fact's values as numbers, codes or days since 1970."""
    if values.dtype == object:
        return values
    if values.dtype.kind == "M":
        return values.astype("datetime64[D]", copy=False).view(np.int64)
    return values.astype(np.float64, copy=False)


def _column(value: float | str) -> NDArray[Any]:
    """The column of one row that a stored fact stands for."""
    if isinstance(value, str):
        return _objects([value])
    return np.array([value], dtype=np.float64 if isinstance(value, float) else "datetime64[D]")


def _listed(values: Floats | None) -> list[float] | None:
    listed: list[float] | None = None if values is None else values.tolist()
    return listed


def _rows(values: Floats | None, n: int) -> list[Any]:
    return [None] * n if values is None else values.tolist()


def _floats(values: Any) -> Floats:
    return np.array(values, dtype=np.float64)
