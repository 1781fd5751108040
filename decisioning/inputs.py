"""Everything a decision stands on, by value: facts, recent contacts and answers, scores, moment, channel.

What is not in here, in the catalogue or in the policy cannot influence a decision; so a stored `Inputs` re-decides to
the bit (replay).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

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

    def each_json(self, n: int) -> list[dict[str, Any]]:
        """What `to_json` gives of the rows of each of n customers alone."""
        found: list[dict[str, Any]] = [{name: [] for name in ("customer", "at", *_CODES)} for _ in range(n)]
        if len(self):
            columns = [getattr(self, name).tolist() for name in _CODES]
            at = np.datetime_as_string(self.at, "us").tolist()
            for customer, *row in zip(self.customer.tolist(), at, *columns, strict=True):
                mine = found[customer]
                mine["customer"].append(0)
                for name, value in zip(("at", *_CODES), row, strict=True):
                    mine[name].append(value)
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "customer": self.customer.tolist(),
            "at": [str(at) for at in self.at],
            **{name: getattr(self, name).tolist() for name in _CODES},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            customer=np.array(data["customer"], dtype=np.int64),
            at=np.array(data["at"], dtype="datetime64[us]"),
            **{name: _objects(data[name]) for name in _CODES},
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

    def to_json(self) -> dict[str, Any]:
        """Plain data that JSON carries exactly: NaN as null, floats by their shortest exact form, dates as ISO."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return plain | {
            "customer_ids": list(self.customer_ids),
            "asked": list(self.asked),
            "moment": list(self.moment),
            "now": self.now.isoformat(),
            "numbers": {k: _listed(v) for k, v in self.facts.items() if v.dtype.kind in "fiub"},
            "codes": {k: v.tolist() for k, v in self.facts.items() if v.dtype == object},
            "dates": {k: _dates(v) for k, v in self.facts.items() if v.dtype.kind == "M"},
            "recent": self.recent.to_json(),
            "uplift_is_assumed": self.uplift_is_assumed.tolist(),
            **{name: _listed(getattr(self, name)) for name in _SCORES},
        }

    def each_json(self) -> list[dict[str, Any]]:
        """The inputs of each customer alone, in order: what his decision is stored with.

        As `to_json`, but for facts, which are values instead of lists of one; `from_json` reads both.
        """
        names = {kind: [name for name, v in self.facts.items() if v.dtype.kind in kind] for kind in ("fiub", "O", "M")}
        numbers = _side_by_side([self.facts[name] for name in names["fiub"]], self.n, np.float64).T.tolist()
        codes = _side_by_side([self.facts[name] for name in names["O"]], self.n, object).T.tolist()
        on = [self.facts[name].astype("datetime64[D]", copy=False) for name in names["M"]]
        days = _side_by_side(on, self.n, "datetime64[D]").view(np.int64).T.tolist()
        shared = {name: getattr(self, name) for name in _PLAIN} | {
            "asked": list(self.asked), "moment": list(self.moment), "now": self.now.isoformat(),
            "uplift_is_assumed": self.uplift_is_assumed.tolist(),
            "uplift_share": _listed(self.uplift_share), "shadow_price": _listed(self.shadow_price),
        }  # fmt: skip
        p, p_channel, uplift = (_rows(given, self.n) for given in (self.p, self.p_channel, self.uplift))
        recent = self.recent.each_json(self.n)
        return [
            shared
            | {
                "customer_ids": [customer_id],
                "numbers": {k: None if v != v else v for k, v in zip(names["fiub"], numbers[i], strict=True)},
                "codes": dict(zip(names["O"], codes[i], strict=True)),
                "dates": dict(zip(names["M"], map(day_text, days[i]), strict=True)),
                "recent": recent[i],
                "p": p[i],
                "p_channel": p_channel[i],
                "uplift": uplift[i],
            }
            for i, customer_id in enumerate(self.customer_ids)
        ]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inputs that `to_json` or `each_json` wrote, equal to the bit."""
        facts: dict[str, NDArray[Any]] = {k: _floats(_several(v)) for k, v in data["numbers"].items()}
        facts |= {k: _objects(_several(v)) for k, v in data["codes"].items()}
        for name, days in data["dates"].items():
            facts[name] = np.array([day or "NaT" for day in _several(days)], dtype="datetime64[D]")
        scores: dict[str, Any] = {
            name: None if data.get(name) is None else _floats(data[name]) for name in _SCORES
        }  # decisions from before the first uplift champion were stored without `uplift`
        return cls(
            customer_ids=tuple(data["customer_ids"]),
            facts=facts,
            recent=Recent.from_json(data["recent"]),
            now=datetime.fromisoformat(data["now"]),
            asked=tuple(data["asked"]),
            moment=tuple(data["moment"]),
            uplift_is_assumed=np.array(data["uplift_is_assumed"], dtype=bool),
            scored_by=data.get("scored_by", CHAMPION),  # as for `uplift`
            **{name: data[name] for name in _PLAIN if name != "scored_by"},
            **scores,
        )


_CODES = ("kind", "offer_id", "channel", "purpose", "outcome")
_SCORES = ("p", "p_channel", "uplift_share", "shadow_price", "uplift")
_PLAIN = (
    "channel", "limit", "zone", "consent_basis", "release_id", "epoch", "prices_version", "degraded", "stale",
    "scored_by",
)  # fmt: skip


def _objects(values: list[Any]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _listed(values: Floats | None) -> list[Any] | None:
    """Nested lists with None for NaN."""
    if values is None:
        return None
    listed: list[Any] = values.tolist()
    if not np.isnan(values).any():
        return listed
    if values.ndim == 1:
        return [None if value != value else value for value in listed]
    return [_listed(row) for row in values]


def _floats(values: list[Any]) -> Floats:
    return np.array(values, dtype=np.float64)


def _dates(values: NDArray[Any]) -> list[str | None]:
    return [None if np.isnat(day) else str(day) for day in values]


def _side_by_side(columns: list[NDArray[Any]], n: int, dtype: Any) -> NDArray[Any]:
    """Columns of n rows as one array (columns, n)."""
    found = np.empty((len(columns), n), dtype=dtype)
    if columns:
        np.concatenate(columns, out=found.reshape(-1), casting="unsafe")
    return found


def _rows(values: Floats | None, n: int) -> list[Any]:
    return [None] * n if values is None else [[row] for row in _listed(values) or ()]


def _several(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


@lru_cache(maxsize=1 << 16)
def day_text(day: int) -> str | None:
    """A day, counted from 1970, as text; None for NaT."""
    return None if day == _NAT else str(np.datetime64(day, "D"))


_NAT = int(np.iinfo(np.int64).min)
