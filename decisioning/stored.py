"""How the inputs of a decision are written down: what is said once, and what rows of before say in another layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

_EPOCH, _FIRST = datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1).toordinal()
NO_DAY = -(1 << 63)  # how NumPy writes "not a day"
_ROW = ("kind", "at", "offer_id", "channel", "purpose", "outcome")


def said_once(values: Sequence[Any]) -> Any:
    """The one value that all offers have, or the values; 0 is not said once, since 0.0 and -0.0 are equal.

    >>> said_once((0.3, 0.3)), said_once((0.3, 0.4)), said_once(())
    (0.3, (0.3, 0.4), ())
    """
    return values[0] if values and values[0] != 0 and values.count(values[0]) == len(values) else values


def said_of_each(said: Any, m: int) -> list[Any]:
    """What `said_once` was given, of m offers.

    >>> said_of_each(0.3, 2), said_of_each([0.3, 0.4], 2)
    ([0.3, 0.3], [0.3, 0.4])
    """
    return said if isinstance(said, list) else [said] * m


def is_same(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    """Whether both are written alike: missing numbers count as equal.

    >>> nan = float("nan")
    >>> is_same([0.1, nan], [0.1, float("nan")]), is_same([0.1, nan], [0.1, 0.2]), is_same(None, [0.1])
    (True, False, False)
    """
    if one is None or other is None:
        return one is other
    return one == other or all(a == b or (a != a and b != b) for a, b in zip(one, other, strict=True))


def facts_told(data: Mapping[str, Any]) -> dict[str, float | str]:
    """The facts that stored inputs knew, by name: numbers, codes, and dates as ISO text.

    >>> facts_told({"facts": {"age": 40.0, "tier": None, "last_txn_on": 20_000}})
    {'age': 40.0, 'last_txn_on': '2024-10-04'}
    """
    facts: Mapping[str, Any] = as_stored(data)["facts"]
    told = {name: _day_text(value) if isinstance(value, int) else value for name, value in facts.items()}
    return {name: value for name, value in told.items() if value is not None}


def as_stored(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Stored inputs in the layout of today.

    Rows of before have numbers, codes and dates (as ISO text) apart, values or lists of one; what happened column by
    column; scores in lists of one row; and each offer's share.
    """
    if "facts" in data:
        return data
    recent = zip(*(data["recent"][name] for name in _ROW), strict=True)
    uplift = data.get("uplift")  # decisions from before the first uplift champion were stored without it
    return {
        **data,
        "customer_id": data["customer_ids"][0],
        "n_offers": len(data["uplift_share"]),
        "scored_by": data.get("scored_by", "champion"),  # as for `uplift`
        "recent": [(kind, _micros(at), *rest) for kind, at, *rest in recent],
        "facts": {
            **{name: _only(value) for name, value in data["numbers"].items()},
            **{name: _only(value) for name, value in data["codes"].items()},
            **{name: _day(_only(value)) for name, value in data["dates"].items()},
        },
        "p": _only(data["p"]),
        "p_channel": _only(data["p_channel"]),
        "uplift": _only(uplift),
    }


def _only(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def _day(text: str | None) -> int | None:
    return None if text is None else date.fromisoformat(text).toordinal() - _FIRST


def _day_text(day: int) -> str | None:
    return None if day == NO_DAY else date.fromordinal(day + _FIRST).isoformat()


def _micros(text: str) -> int:
    since = datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
