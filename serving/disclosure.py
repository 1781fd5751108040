"""What of a customer may be shown to whom: what is on the list of his clearance and network, and nothing else (R33).

`OPEN` is what the bank made of a customer and what it did: labels, stages, use of channels, contacts, consents. Who he
is, what he owns, owes and trades is C2: for cleared roles inside the bank's network alone. C3 never enters the engine.
A fact that is new in the engine is open to nobody until it is put on the list.
"""

from __future__ import annotations

from features.facts import FACTS
from features.vocabulary import Sensitivity
from serving.security import Actor

OPEN = frozenset(
    {
        "region", "tenure_days", "registered_on", "days_registered", "first_product_on", "days_with_product",
        "acquisition_source", "is_staff", "is_student", "has_marketing_optout",
        "tier", "tier_state", "tier_since_on", "months_below", "grade", "customer_class", "class_reason",
        "other_classes", "stage", "stage_entered_on", "stage_reason", "previous_stage", "cell", "tags",
        "app_days_1m", "app_days_3m", "app_days_mtd", "active_days_1m", "active_days_3m", "last_active_on",
        "last_login_on", "days_since_login", "n_channels_3m", "n_services_3m", "active_services",
        "n_contacts_3m", "n_contacts_12m", "n_contacts_7d", "n_contacts_30d", "n_contacts_90d", "n_sales_30d",
        "n_opened_90d", "opened_share_90d", "n_refusals_90d", "n_conversions_90d", "n_conversions_12m",
        "days_since_contact", "days_since_conversion", "n_open_complaints", "consented_channels", "do_not_call",
        "is_customer", "became_customer_on", "won_back_on", "is_won_back", "reactivated_on", "is_reactivated",
        "n_active_services", "p_churn", "nps", "csat",
    }
)  # fmt: skip
_PERSONAL = frozenset({"full_name", "phone_token"})  # of the table that stands apart
CLEARED = OPEN | _PERSONAL | {name for name, fact in FACTS.items() if fact.sensitivity != Sensitivity.C3}


def shown_to(actor: Actor) -> frozenset[str]:
    """Names of the facts that may be shown to `actor` where he is.

    >>> "mda" in shown_to(Actor("rm", clearance=Sensitivity.C2)), "mda" in shown_to(Actor("scientist"))
    (True, False)
    >>> "mda" in shown_to(Actor("rm", clearance=Sensitivity.C2, network="external"))
    False
    """
    return CLEARED if actor.may_see(Sensitivity.C2) else OPEN
