"""All columns that may be known of a customer at a decision, by name: what gates, overlays and exclusions may ask."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from features.profiles import PROFILE
from features.recent import RECENT
from features.standing import STANDING
from features.today import TODAY
from features.vocabulary import Column, Kind

SCORES = (
    Column("p_churn", Kind.NUMBER, "probability of leaving, from the churn model", "no churn model"),
    Column("p_next", Kind.NUMBER, "probability of looking at a product in the next month", "no such model, or away"),
    Column("value_exp", Kind.NUMBER, "value expected in the next twelve months, from scores", "no such model, or away"),
)
FACTS: Mapping[str, Column] = MappingProxyType(
    {column.name: column for column in (*PROFILE, *TODAY, *STANDING, *RECENT, *SCORES)}
)
# the portrait is told these; a decision does not stand on them, so that no rule may ask for them
OF_PORTRAIT = frozenset({"p_next", "value_exp"})
AT_DECISION: Mapping[str, Column] = MappingProxyType({name: c for name, c in FACTS.items() if name not in OF_PORTRAIT})

__all__ = ["AT_DECISION", "FACTS", "OF_PORTRAIT", "PROFILE", "RECENT", "SCORES", "STANDING", "TODAY"]
