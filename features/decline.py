"""衰退信号 Signs of decline: each a weak word that a customer is on his way out, by itself no reason to think so (R21).

They are told in every stage, by name. A count that has changed is a sign only where it changed further than chance
takes counts of its size: of two counts a and b over as many days the difference has the variance a + b (Poisson); over
d and e days, a·e − b·d has (a + b)·d·e.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import ibis
import ibis.expr.types as ir

from features.policy import Lifecycle

SIGNS = ("AUM", "TXN", "APP", "LOGINS", "OUTFLOW", "MATURED", "SALARY", "DISCONTENT")
_ONE_HABIT = ("APP", "LOGINS")  # two views of it, which together are one sign


def weak_signs(people: ir.Table, figures: Lifecycle) -> dict[str, Any]:
    """The soft signs of decline that hold, by name, and whether they are as many as the policy asks for."""
    p = people
    reference = ibis.coalesce(p.held_reference_mda, p.mda_prior_3m)
    due = p.matured_minor / 100
    signs = {
        "AUM": (reference > 0) & (p.mda <= figures.decline_soft_share * reference),
        "TXN": _fewer(p.n_txn_3m, p.n_txn_prior_3m, figures.decline_soft_share, figures),
        "APP": _fewer(p.app_days_3m, p.app_days_prior_3m, figures.decline_app_share, figures),
        "LOGINS": _less_a_week(p, figures),
        "OUTFLOW": _more_a_week(p, figures),
        "MATURED": (due >= figures.decline_matured_amount)
        & (p.mda_prior_3m - p.aum_end >= figures.decline_matured_share * due),
        "SALARY": (p.n_salary_3m > 0) & (p.n_salary_1m == 0),
        "DISCONTENT": p.has_old_complaint.fill_null(False) | p.is_detractor.fill_null(False),
    }
    found = {name: signs[name].fill_null(False) for name in SIGNS}
    listed = ibis.literal("|").concat(*[ibis.ifelse(sign, f"{name}|", "") for name, sign in found.items()])
    habit = reduce(lambda one, other: one | other, [found[name] for name in _ONE_HABIT])
    counted = [habit, *(sign for name, sign in found.items() if name not in _ONE_HABIT)]
    n = reduce(add, [sign.cast("int64") for sign in counted])
    return {"decline_signs": listed, "is_weakening": n >= figures.decline_soft_signs}


def _fewer(now: Any, before: Any, share: float, figures: Lifecycle) -> Any:
    """Counts at most that share of what they were, and further down than chance alone takes counts of their size."""
    drop, both = (before - now).cast("float64"), (before + now).cast("float64")
    by_chance = drop * drop < figures.decline_chance**2 * both
    return (before > 0) & (now <= share * before) & ~by_chance


def _less_a_week(people: ir.Table, figures: Lifecycle) -> Any:
    """Logins a week of the month at most the policy's share of those of the three months before."""
    p = people
    now, before, is_more_than_chance = _paced(p, p.n_logins_1m, p.n_logins_before_3m, figures)
    return (p.n_logins_before_3m > 0) & (now <= figures.decline_login_share * before) & is_more_than_chance


def _more_a_week(people: ir.Table, figures: Lifecycle) -> Any:
    """Transfers out a week of the month at least the policy's times those of the three months before.

    Who was no customer in all of these months, or lies before the bank's history, has nothing to be compared with.
    """
    p = people
    now, before, is_more_than_chance = _paced(p, p.n_out_1m, p.n_out_before_3m, figures)
    was_here = (p.history_months > 3) & (p.customer_days + 1 >= _days(p, range(4)))
    return was_here & (p.n_out_before_3m > 0) & (now >= figures.decline_outflow_times * before) & is_more_than_chance


def _paced(people: ir.Table, now: Any, before: Any, figures: Lifecycle) -> tuple[Any, Any, Any]:
    """A month's count and that of the three months before as if of as many days, and whether chance is not enough."""
    month, quarter = _days(people, range(1)), _days(people, range(1, 4))
    even, earlier = now * quarter, before * month
    spread = figures.decline_chance**2 * (now + before) * month * quarter
    return even, earlier, (even - earlier) * (even - earlier) >= spread


def _days(people: ir.Table, months: range) -> Any:
    return reduce(add, [people[f"days_{k}"].cast("float64") for k in months])  # stored in a byte, that overflows
