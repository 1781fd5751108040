"""标签 Tags: short words for what is true of a customer, each with a definition, an owner and an expiry in the policy.

Grain: a customer, a month. Uses: every family before it. Nulls: never; a tag whose rule cannot be told is not given.
A tag lives for its days from the month's end on; then it is shown no more, though no newer month is built (`living`).
C3 information never enters (R33). Rules: A08, A09.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from features.bank.tiles import Closing
from features.month import Month, declared
from features.policy import Bank, SegmentsPolicy, Tag
from features.vocabulary import Column, Kind

COLUMNS = (Column("tags", Kind.SET, "tags that hold at the month's end"),)
uses = ("wealth", "activity", "behaviour", "tiers", "lifecycle", "classes", "grades")
carries: tuple[str, ...] = ()
needs: tuple[str, ...] = ()


def family(month: Month, before: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """Tags of every customer at the month's end."""
    people = month.people
    parts = [ibis.ifelse(tag.rule.expr(people).fill_null(False), f"{name}|", "") for name, tag in policy.tags.items()]
    return declared(people.mutate(tags=ibis.literal("|").concat(*parts)), COLUMNS)


def registry(defined: Mapping[str, Tag]) -> list[dict[str, Any]]:
    """The tags as a bank reads them: name, definition, owner, days to live, sensitivity; one row a tag, by its id."""
    return [
        {
            "tag": name, "zh": tag.zh, "en": tag.en, "definition": tag.rule.text, "owner": tag.owner,
            "owner_zh": tag.owner_zh or tag.owner,
            "expires_days": tag.expires_days, "sensitivity": tag.sensitivity,
        }
        for name, tag in sorted(defined.items())
    ]  # fmt: skip


def living(tags: NDArray[Any], age_days: NDArray[np.float64], defined: Mapping[str, Tag]) -> NDArray[Any]:
    """The tag sets of n customers, given `age_days` ago, without tags that have expired or that nobody defines.

    Both of shape (n,); a customer without a set (None) has none.

    >>> from datetime import date
    >>> from features.policy import segments
    >>> defined = segments().view(date(2025, 12, 31)).tags
    >>> defined["near_up"].expires_days, defined["payroll"].expires_days
    (40, 92)
    >>> given = np.array(["|near_up|payroll|"] * 3, dtype=object)
    >>> living(given, np.array([40.0, 41.0, 93.0]), defined).tolist()
    ['|near_up|payroll|', '|payroll|', '|']
    """
    ages = np.nan_to_num(age_days, nan=np.inf).tolist()
    pairs = list(zip(tags.tolist(), ages, strict=True))
    told = {(text, age): text and alive(text, age, defined) for text, age in set(pairs)}
    answer = np.empty(len(tags), dtype=object)
    answer[:] = [told[pair] for pair in pairs]
    return answer


def age_days(as_of: date, now: datetime, bank: Bank) -> float:
    """How old tags given at the month's end `as_of` are at `now`, in days, as `living` counts them."""
    return (now - Closing.of(as_of, bank).as_of_at) / timedelta(days=1)


def alive(text: str, age_days: float, defined: Mapping[str, Tag]) -> str:
    """One tag set, given `age_days` ago, as `living` gives it."""
    names = [name for name in text.split("|") if name in defined and age_days <= defined[name].expires_days]
    return "|".join(["", *names, ""]) if names else "|"
