"""Holdouts and arms by stable hash: who is left without sales offers, so that what the engine adds can be measured."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from decisioning.catalogue.catalogue import Bools, Catalogue
from decisioning.policy import DecisionsPolicy
from decisioning.situation import Situation

GLOBAL = "GLOBAL"  # salt of the yearly holdout of the whole bank
HOLDOUT, TREAT = "HOLDOUT", "TREAT"
_SPAN = 2.0**64


def unit_hash(salt: str, year: int, customer_id: str) -> float:
    """A customer's place in [0, 1) under a salt and a year: the same on every machine, independent between salts.

    >>> 0 <= unit_hash("GLOBAL", 2026, "C1") < 1, unit_hash("GLOBAL", 2026, "C1") == unit_hash("GLOBAL", 2027, "C1")
    (True, False)
    """
    digest = hashlib.blake2b(f"{salt}|{year}|{customer_id}".encode(), digest_size=8, person=b"tiercel-arm").digest()
    return int.from_bytes(digest, "big") / _SPAN


def held_out(customer_ids: Sequence[str], share: float, *, salt: str, year: int) -> Bools:
    """Who belongs to the holdout of this salt and year, bool (n,)."""
    return np.array([unit_hash(salt, year, name) < share for name in customer_ids], dtype=bool)


def holdout(situation: Situation, policy: DecisionsPolicy) -> Bools:
    """Who belongs to the bank's holdout of the year, bool (n,); exempt tiers never do (R47)."""
    figures = policy.arbitration
    chosen = held_out(situation.inputs.customer_ids, figures.holdout_share, salt=GLOBAL, year=situation.on.year)
    chosen &= np.array([tier not in figures.holdout_exempt_tiers for tier in situation.tiers], dtype=bool)
    return chosen


def without_sales(is_held_out: Bools, situation: Situation, catalogue: Catalogue) -> Bools:
    """Which offers a holdout goes without, bool (n, m): sales; care, tools and what was asked for stay."""
    sales = ~(catalogue.is_care | catalogue.is_tool | situation.is_asked)
    without: Bools = is_held_out[:, None] & sales
    return without
