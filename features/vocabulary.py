"""The words that must not blur: ids, kinds of column, and the enums whose members the engine's logic names.

Labels of tier, class, channel, product and hook are ids checked against the policy, not enums: a bank changes them
in YAML alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

CustomerId = NewType("CustomerId", str)
OfferId = NewType("OfferId", str)
ProductId = NewType("ProductId", str)
HookId = NewType("HookId", str)
TreatmentId = NewType("TreatmentId", str)
PlacementId = NewType("PlacementId", str)
DecisionId = NewType("DecisionId", str)
ReleaseId = NewType("ReleaseId", str)
ChannelId = NewType("ChannelId", str)
TierId = NewType("TierId", str)
ClassId = NewType("ClassId", str)


class Stage(StrEnum):
    """Where a customer stands in the life of the relation (生命周期)."""

    PROSPECT = "PROSPECT"
    NEW = "NEW"
    GROWTH = "GROWTH"
    MATURE = "MATURE"
    DECLINE = "DECLINE"
    DORMANT = "DORMANT"
    LOST = "LOST"


class TierState(StrEnum):
    """Whether a tier is held in its own right (NORMAL) or kept for a while (保级 GRACE, 关注 WATCH)."""

    SEEDED = "SEEDED"
    NORMAL = "NORMAL"
    GRACE = "GRACE"
    WATCH = "WATCH"


class DecisionMark(StrEnum):
    """Why a contact that a decision led to says nothing of what offers do: nobody learns from it."""

    DEGRADED = "DEGRADED"
    DRY_RUN = "DRY_RUN"
    REPLAYED = "REPLAYED"
    HOLDOUT = "HOLDOUT"


class Outcome(StrEnum):
    """What a customer or a seller says came of a placement."""

    PRESENTED = "presented"
    CLICKED = "clicked"
    NO_ANSWER = "no_answer"
    WRONG_NUMBER = "wrong_number"
    CONSIDERING = "considering"
    APPOINTMENT = "appointment"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DNC_REQUESTED = "dnc_requested"
    COMPLAINED = "complained"
    ADVICE_WRONG = "advice_wrong"
    SNOOZED = "snoozed"
    CONVERTED = "converted"
    SHARED = "shared"


LEFT_LYING = frozenset({Outcome.PRESENTED, Outcome.SNOOZED, Outcome.ADVICE_WRONG})  # answers that follow no advice


class QualifyPath(StrEnum):
    """By which way this month's figures lead to the tier held (R14); KEPT: by none, it is held from before."""

    AUM = "AUM"
    FAMILY = "FAMILY"
    LOAN = "LOAN"
    NEWCOMER = "NEWCOMER"
    KEPT = "KEPT"


class Purpose(StrEnum):
    """Why the bank speaks to a customer; sales caps count SALES alone."""

    SALES = "SALES"
    SERVICE = "SERVICE"
    RELATION = "RELATION"
    SURVEY = "SURVEY"
    LEGAL = "LEGAL"


class Sensitivity(StrEnum):
    """Sensitivity of financial information (JR/T 0171-2020, rule R33); C3 never enters the engine."""

    C1 = "C1"
    C2 = "C2"
    C3 = "C3"


class Kind(StrEnum):
    """What a column holds; it decides the stored type, the operators a predicate may use and the packed form."""

    FLAG = "flag"
    INTEGER = "integer"
    NUMBER = "number"
    AMOUNT = "amount"
    CODE = "code"
    SET = "set"  # codes written |A|B|, the empty set |
    DATE = "date"
    INSTANT = "instant"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a bank table, a family or a view.

    `null` says what a missing value means; None means that the column is never null. `allowed` closes a code list,
    `at_least` bounds a number.
    """

    name: str
    kind: Kind
    meaning: str
    null: str | None = None
    sensitivity: Sensitivity = Sensitivity.C1
    allowed: tuple[str, ...] = ()
    at_least: float | None = None

    @property
    def is_nullable(self) -> bool:
        return self.null is not None


KEPT_DAYS = 180  # contacts, answers and complaints count at a decision for half a year
CUSTOMER_ID = "customer_id"
AS_OF_AT = "as_of_at"
AVAILABLE_AT = "available_at"
