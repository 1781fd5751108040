"""矩阵 Cells: class × lifecycle stage, the square of the plan that a customer stands on (行是分类,列是生命周期).

Grain: a customer, a month. Uses: classes, lifecycle. Nulls: never. Rule: B07.
"""

from __future__ import annotations

import ibis.expr.types as ir

from features.month import Month, declared
from features.policy import SegmentsPolicy
from features.vocabulary import Column, Kind

COLUMNS = (Column("cell", Kind.CODE, "class/stage, such as MASS/GROWTH"),)
uses = ("classes", "lifecycle")
carries: tuple[str, ...] = ()
needs: tuple[str, ...] = ()


def family(month: Month, before: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """Cell of every customer after this month's closing."""
    people = month.people
    return declared(people.mutate(cell=people.customer_class + "/" + people.stage), COLUMNS)
