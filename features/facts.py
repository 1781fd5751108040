"""All columns that may be known of a customer at a decision, by name: what gates, overlays and exclusions may ask."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from features.profiles import PROFILE
from features.recent import RECENT
from features.today import STANDING, TODAY
from features.vocabulary import Column, Kind

SCORES = (
    Column("p_churn", Kind.NUMBER, "probability of leaving, from the churn model", "no churn model"),
    Column("value_exp", Kind.NUMBER, "value expected in the next twelve months, from scores", "no model tells it yet"),
)
FACTS: Mapping[str, Column] = MappingProxyType(
    {column.name: column for column in (*PROFILE, *TODAY, *STANDING, *RECENT, *SCORES)}
)

__all__ = ["FACTS", "PROFILE", "RECENT", "SCORES", "STANDING", "TODAY"]
