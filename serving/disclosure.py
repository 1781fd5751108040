"""What of a customer may be shown to whom: what is on the list of his clearance and network, and nothing else (R33).

`OPEN` is what the bank made of a customer and what it did: labels, stages, use of channels, contacts, consents. Who he
is, what he owns, owes and trades is C2: for cleared roles inside the bank's network alone. C3 never enters the engine.
A fact that is new in the engine is open to nobody until it is put on the list. So it is with reasons, which tell the
fact they rest on ("already has it", "a holding matures"), and with tags, whose policy says how sensitive they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from decisioning.reasons import Reason, what_would_allow
from features.facts import FACTS
from features.policy import SegmentsPolicy
from features.vocabulary import Sensitivity
from serving.security import Actor

OPEN = frozenset(
    {
        "region", "tenure_days", "registered_on", "days_registered", "first_product_on", "days_with_product",
        "acquisition_source", "is_staff", "is_student", "has_marketing_optout",
        "has_profiling_optout",
        "tier", "newcomer_tier", "tier_state", "tier_since_on", "months_below", "grade", "customer_class",
        "class_reason", "is_stale",
        "other_classes", "stage", "stage_entered_on", "stage_reason", "previous_stage", "cell", "tags",
        "app_days_1m", "app_days_3m", "app_days_mtd", "active_days_1m", "active_days_3m", "last_active_on",
        "last_login_on", "days_since_login", "n_channels_3m", "n_services_3m", "active_services",
        "n_contacts_3m", "n_contacts_12m", "n_contacts_7d", "n_contacts_30d", "n_contacts_90d", "n_sales_30d",
        "n_opened_90d", "opened_share_90d", "n_refusals_90d", "n_conversions_90d", "n_conversions_12m",
        "days_since_contact", "days_since_conversion", "n_open_complaints", "consented_channels", "do_not_call",
        "withheld_categories",
        "is_customer", "became_customer_on", "won_back_on", "is_won_back", "reactivated_on", "is_reactivated",
        "n_active_services", "p_churn", "nps", "csat",
    }
)  # fmt: skip
_PERSONAL = frozenset({"full_name", "phone_token"})  # of the table that stands apart
OPEN_REASONS = frozenset(
    {
        "ASKED", "CELL_LISTED", "CELL_SECONDARY", "TIER_LEADS", "SERVICE_DUE", "MOMENT", "CHALLENGER",
        "OVERLAY_COMPLAINT_OR_CHURN",
        "OVERLAY_TOPIC", "HIGH_P", "HIGH_GAIN", "NO_RISK", "NO_MODEL", "GENERIC_ORDER",
        "PROFILING_WITHDRAWN",
        "NOT_IN_CHANNEL", "TOOL_ALONE", "HOLDOUT", "SLEEPING_DOG", "STAFF", "OPEN_COMPLAINT", "DO_NOT_CALL",
        "CATEGORY_WITHHELD",
        "NO_CONSENT", "DATA_MISSING", "CELL_BARRED", "NOT_READY", "REFUSED", "CONVERTED", "SALES_CAP", "MESSAGE_CAP",
        "CHANNEL_CAP", "CHANNEL_NOT_FOR_CUSTOMER", "STALE", "QUIET_HOURS",
    }
)  # fmt: skip
_WITHHELD = "WITHHELD"
CLEARED = OPEN | _PERSONAL | {name for name, fact in FACTS.items() if fact.sensitivity != Sensitivity.C3}


def shown_to(actor: Actor) -> frozenset[str]:
    """Names of the facts that may be shown to `actor` where he is.

    >>> "mda" in shown_to(Actor("rm", clearance=Sensitivity.C2)), "mda" in shown_to(Actor("scientist"))
    (True, False)
    >>> "mda" in shown_to(Actor("rm", clearance=Sensitivity.C2, network="external"))
    False
    """
    return CLEARED if actor.may_see(Sensitivity.C2) else OPEN


def seen_tags(tags: Sequence[str], segments: SegmentsPolicy, actor: Actor) -> list[str]:
    """Tags that `actor` may see; one that the policy no longer defines counts as C2 (A09)."""
    cleared, defined = actor.may_see(Sensitivity.C2), segments.tags
    return [tag for tag in tags if cleared or (tag in defined and defined[tag].sensitivity == Sensitivity.C1)]


def disclosed(record: dict[str, Any], actor: Actor) -> dict[str, Any]:
    """A decision's record as `actor` may read it: of a reason that tells more than he may see, that there is one."""
    if actor.may_see(Sensitivity.C2):
        return record
    shown = record | {"offers": [_slot(slot) for slot in record["offers"]]}
    if "suppressed" in record:
        shown["suppressed"] = [_suppressed(out) for out in record["suppressed"]]
    return shown


def _slot(slot: dict[str, Any]) -> dict[str, Any]:
    reasons = [reason if reason["code"] in OPEN_REASONS else Reason(_WITHHELD).to_json() for reason in slot["reasons"]]
    told = {reason["code"]: reason for reason in reasons}  # one that is withheld is told once
    playbook = slot["playbook"]
    if playbook is not None:
        texts = [reason["text"] for reason in reasons]
        playbook = playbook | {"why": texts[: len(playbook["why"])]}
    return slot | {"reasons": list(told.values()), "playbook": playbook}


def _suppressed(out: dict[str, Any]) -> dict[str, Any]:
    """Neither the filter nor the day may tell what the code would."""
    if out["code"] in OPEN_REASONS:
        return out
    return {"offer_id": out["offer_id"], "filter": None, "code": _WITHHELD, "until": None,
            "what_would_allow_it": what_would_allow(_WITHHELD).to_json()}  # fmt: skip
