"""Shapes of requests, and of what answers them, for reading requests and for the OpenAPI document.

Requests are read through these models, so that an unknown field is an error and not ignored. Answers are built as
plain data once and are not parsed again on their way out; the tests hold them to these shapes.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from features.vocabulary import Outcome, Stage

MOST_CUSTOMERS = 500
MOST_EVENTS = 1000
MOST_WORDS = 100
Id = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Body(BaseModel):
    """A request body: frozen, unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Document(BaseModel):
    """An answer, for the OpenAPI document."""


class Context(Body):
    """What the caller knows of the moment: offers that the customer asked for himself, offers that an event of this
    session speaks for."""

    asked: Annotated[tuple[Id, ...], Field(max_length=20)] = ()
    moment: Annotated[tuple[Id, ...], Field(max_length=20)] = ()


class DecisionRequest(Body):
    """One customer or up to 500, a channel, how many offers at most."""

    customer_id: Id | None = None
    customer_ids: Annotated[tuple[Id, ...], Field(min_length=1)] | None = None
    channel: Id
    limit: Annotated[int, Field(ge=1, le=50)] = 3
    context: Context = Context()
    dry_run: bool = False
    explain: Literal["none", "reasons", "full"] = "reasons"

    @model_validator(mode="after")
    def _one_or_many(self) -> Self:
        if (self.customer_id is None) == (self.customer_ids is None):
            raise ValueError("name either customer_id or customer_ids")
        if self.customer_ids is not None and len(set(self.customer_ids)) != len(self.customer_ids):
            raise ValueError("customer_ids names a customer twice")
        return self


class Response(Body):
    """What came of a placement; `event_id` is the sender's own key, sent again it changes nothing."""

    event_id: Id
    placement_id: Id
    outcome: Outcome
    occurred_at: AwareDatetime
    reason_code: Annotated[str, StringConstraints(max_length=64)] | None = None
    next_contact_on: date | None = None
    note: Annotated[str, StringConstraints(max_length=2000)] | None = None
    actor: Annotated[str, StringConstraints(max_length=128)] | None = None


class ConsentChange(Body):
    """A word of the customer on consent; `channel`, `category` null are all of them.

    `consent_id` is the sender's own key, sent again it changes nothing. A grant needs a proof of his will.
    """

    consent_id: Id
    purpose: Literal["MARKETING", "PROFILING", "RESEARCH", "SHARING"]
    is_granted: bool
    occurred_at: AwareDatetime
    channel: Id | None = None
    category: Id | None = None
    proof_id: Id | None = None


class ConsentChanges(Body):
    """What one customer said, all or nothing."""

    consents: Annotated[tuple[ConsentChange, ...], Field(min_length=1, max_length=MOST_WORDS)]


class Problem(Document):
    """RFC 9457: what is wrong, which value, what is allowed, what to do."""

    type: Annotated[str, Field(description="stable relative reference, such as /problems/unknown-customer")]
    title: str
    status: int
    detail: str
    trace_id: str
    allowed: list[str] | None = None
    errors: list[dict[str, str]] | None = None


class Name(Document):
    zh: str
    en: str


class Cell(Document):
    customer_class: str | None
    stage: Stage | None


class Arm(Document):
    name: str
    holdout: bool


class Reason(Document):
    code: str
    text: Name


class Placement(Document):
    """One offer in one slot; a dry run has no placement."""

    placement_id: str | None
    rank: int
    offer_id: str
    product_id: str | None
    hook_id: str | None
    treatment_id: str
    channel: str
    name: Name
    score: float
    components: dict[str, Any]
    p_channel: float | None
    propensity: float | None
    reasons: list[Reason]
    playbook: dict[str, Any] | None
    expires_at: datetime


class Suppressed(Document):
    """An offer that a filter took out, and what would allow it."""

    offer_id: str
    filter: str | None
    code: str
    until: datetime | None = None
    what_would_allow_it: Any | None = None


class Variant(Document):
    """The customer's cell as his band of tiers sees it: channels in order, a benefit, the products that stand first."""

    band: str
    channels: list[str]
    benefit: str
    products: list[str]


class DecisionAnswer(Document):
    """One decision. `decision_id` is null for a dry run: nothing was written that it could name.

    `marks` says what was assumed; `end_propensity` is the probability with which the list ended where it did. A
    decision read back has no `took_ms`.
    """

    decision_id: str | None
    decided_at: datetime
    customer_id: str
    cell: Cell
    tier: str | None
    grade: str | None
    benefits: list[str]
    variant: Variant | None = None
    release_id: str
    prices_version: str
    arm: Arm
    repeat_of: str | None
    offers: list[Placement]
    no_action: bool
    no_action_reason: Reason | None
    end_propensity: float | None
    marks: list[Reason]
    degraded: bool
    stale: bool
    fallback: bool
    suppressed: list[Suppressed] | None = None
    took_ms: float | None = None


class CustomerProblem(Document):
    """Why one customer of many got no decision."""

    customer_id: str
    problem: Problem


class DecisionAnswers(Document):
    """Decisions of several customers, in the order asked; those without one stand under `errors`."""

    decisions: list[DecisionAnswer]
    errors: list[CustomerProblem]


class Receipt(Document):
    """What the ledger made of one response."""

    event_id: str
    placement_id: str
    customer_id: str
    offer_id: str
    outcome: Outcome
    case_id: str | None
    do_not_call: str | None


class Receipts(Document):
    responses: list[Receipt]


class ConsentKept(Document):
    """A word that the ledger keeps, and since when."""

    consent_id: str
    known_at: datetime


class ConsentStanding(Document):
    """What the next decision goes by; null where the bank's rows do not tell, or do not know the customer yet."""

    consented_channels: list[str] | None
    withheld_categories: list[str] | None
    has_profiling_optout: bool | None
    do_not_call: list[str] | None


class ConsentAnswer(Document):
    customer_id: str
    consents: list[ConsentKept]
    standing: ConsentStanding


class Cause(Document):
    """A family of causes that raised the probability of leaving, and by how much in log-odds."""

    code: str
    zh: str
    en: str
    weight: float


class Leaving(Document):
    """How likely the customer was thought to leave, and what raised that most."""

    p_churn: float
    reasons: list[Cause]


class Explanation(Document):
    """Why a decision came out as it did: what was offered and why, what was not and what would allow it.

    `asked_by` is the holder of the key that asked, or his role; null where the decision is older than that note.
    """

    decision_id: str
    customer_id: str
    decided_at: datetime
    asked_by: str | None
    release_id: str
    segments_digest: str
    decisions_digest: str
    no_action: bool
    no_action_reason: Reason | None
    marks: list[Reason]
    offers: list[dict[str, Any]]
    suppressed: list[Suppressed]
    leaving: Leaving | None
    facts: dict[str, Any]


class Replay(Document):
    """Whether deciding again from the stored inputs gives the same, and where it differs."""

    decision_id: str
    release_id: str
    identical: bool
    differences: list[dict[str, Any]]
