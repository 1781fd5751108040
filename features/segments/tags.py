"""标签 Tags: short words for what is true of a customer, each with a definition, an owner and an expiry in the policy.

Grain: a customer, a month. Uses: every family before it. Nulls: never; a tag whose rule cannot be told is not given.
C3 information never enters (R33). Rules: A08, A09.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.month import Month, declared
from features.policy import SegmentsPolicy
from features.vocabulary import Column, Kind

COLUMNS = (Column("tags", Kind.SET, "tags that hold at the month's end"),)
uses = ("wealth", "activity", "tiers", "lifecycle", "classes", "grades")
carries: tuple[str, ...] = ()
needs: tuple[str, ...] = ()


def family(month: Month, before: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """Tags of every customer at the month's end."""
    people = month.people
    parts = [ibis.ifelse(tag.rule.expr(people).fill_null(False), f"{name}|", "") for name, tag in policy.tags.items()]
    return declared(people.mutate(tags=ibis.literal("|").concat(*parts)), COLUMNS)
