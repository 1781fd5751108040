"""Contracts of what the bank says to its customers and of what they allow, answer and may be told.

The conventions of `tables.py` hold.
"""

from __future__ import annotations

from features.bank.contract import (
    BUSINESS_ON,
    CUSTOMER,
    EVENT_CHANNELS,
    KNOWN_AT,
    OF_CUSTOMER,
    Table,
    amount_of,
    codes_of,
    id_of,
)
from features.vocabulary import Column, DecisionMark, Kind, Outcome, Purpose, Sensitivity

FLAG, INTEGER, NUMBER = Kind.FLAG, Kind.INTEGER, Kind.NUMBER
DATE, INSTANT = Kind.DATE, Kind.INSTANT
C2 = Sensitivity.C2

risk_assessment = Table(
    "risk_assessment",
    "one row a risk assessment",
    ("customer_id", "assessed_on"),
    (
        CUSTOMER,
        Column("assessed_on", DATE, "assessed"),
        Column("risk_level", INTEGER, "risk tolerance C1 to C5", sensitivity=C2, at_least=1),
        codes_of("investor_type", "investor type", ("ORDINARY", "QUALIFIED", "PROFESSIONAL")),
        Column("expires_on", DATE, "valid until, not included"),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "assessed_on",
)
consent = Table(
    "consent",
    "one row a change of consent",
    ("consent_id",),
    (
        id_of("consent_id", "the change"),
        CUSTOMER,
        codes_of("purpose", "what for", ("MARKETING", "PROFILING", "RESEARCH", "SHARING")),
        codes_of("channel", "which channel", EVENT_CHANNELS, "all channels"),
        id_of("category", "which category of products", "all categories"),
        Column("is_granted", FLAG, "granted or withdrawn"),
        id_of("proof_id", "proof of the customer's will", "none kept"),
        Column("occurred_at", INSTANT, "when the customer said so"),
        BUSINESS_ON,
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "business_on",
)
do_not_call = Table(
    "do_not_call",
    "one row a do-not-call entry",
    ("customer_id", "channel", "from_on"),
    (
        CUSTOMER,
        codes_of("channel", "which channel", EVENT_CHANNELS),
        Column("from_on", DATE, "holds from"),
        Column("to_on", DATE, "holds until, not included", "until renewed consent (R40)"),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "from_on",
)
complaint = Table(
    "complaint",
    "one row a complaint",
    ("complaint_id",),
    (
        id_of("complaint_id", "the complaint"),
        CUSTOMER,
        Column("opened_at", INSTANT, "received"),
        BUSINESS_ON,
        Column("closed_at", INSTANT, "settled", "still open"),
        id_of("topic", "what about"),
        Column("severity", INTEGER, "1 low to 5 high", at_least=1),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "business_on",
)
preapproval = Table(
    "preapproval",
    "one row a pre-approved credit",
    ("customer_id", "product_id", "from_on"),
    (
        CUSTOMER,
        id_of("product_id", "the product"),
        Column("from_on", DATE, "valid from"),
        Column("expires_on", DATE, "valid until, not included"),
        amount_of("limit_amount", "approved limit"),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "from_on",
)
customer_fact = Table(
    "customer_fact",
    "one row a fact that a gate may ask for",
    ("customer_id", "fact", "from_on"),
    (
        CUSTOMER,
        codes_of(
            "fact",
            "which fact",
            (
                "IDENTITY_VERIFIED",
                "LICENCE",
                "PROPERTY",
                "NEEDS_TEST",
                "PENSION_MEMBER",
                "INCOME_PROOF",
                "DECLARED_WEALTH",
                "PAYROLL_EMPLOYER",
            ),
        ),
        Column("from_on", DATE, "holds from"),
        Column("to_on", DATE, "holds until, not included", "still holds"),
        amount_of("amount", "amount where the fact has one", "no amount"),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "from_on",
)
contact = Table(
    "contact",
    "one row a contact with a customer, in whatever channel",
    ("contact_id",),
    (
        id_of("contact_id", "the contact"),
        CUSTOMER,
        id_of("placement_id", "placement it carried", "not from a decision"),
        id_of("campaign_id", "campaign it belongs to", "no campaign"),
        id_of("offer_id", "offer it carried", "no offer"),
        codes_of("channel", "channel", EVENT_CHANNELS),
        codes_of("purpose", "why", tuple(Purpose)),
        Column("sent_at", INSTANT, "sent"),
        BUSINESS_ON,
        Column("delivered_at", INSTANT, "delivered", "not confirmed"),
        Column("opened_at", INSTANT, "opened or viewed", "not seen to be opened"),
        Column("failed_at", INSTANT, "failed or blocked", "did not fail"),
        Column(
            "propensity", NUMBER, "probability with which chance chose this offer", "not chosen by chance", at_least=0
        ),
        codes_of(
            "decision_mark",
            "what forbids to learn from the decision behind it",
            tuple(DecisionMark),
            "nothing does, or there was no decision",
        ),
        amount_of("cost_amount", "cost of the contact", at_least=0),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "business_on",
)
response = Table(
    "response",
    "one row an answer to a contact",
    ("event_id",),
    (
        id_of("event_id", "the answer"),
        CUSTOMER,
        id_of("contact_id", "the contact answered", "answer to no known contact"),
        id_of("placement_id", "the placement answered", "not from a decision"),
        id_of("offer_id", "the offer", "no offer"),
        codes_of("outcome", "what came of it", tuple(Outcome)),
        Column("occurred_at", INSTANT, "when"),
        BUSINESS_ON,
        amount_of("amount", "amount bought or rewarded", "no amount"),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "business_on",
)
assignment = Table(
    "assignment",
    "one row a customer's random assignment in an experiment",
    ("experiment_id", "customer_id"),
    (
        id_of("experiment_id", "the experiment: a campaign, or GLOBAL for the yearly holdout"),
        CUSTOMER,
        codes_of("arm", "arm", ("HOLDOUT", "CONTROL", "TREAT")),
        id_of("offer_id", "offer under test", "a test of price or service, or the holdout: none"),
        Column("propensity", NUMBER, "probability of this arm", at_least=0),
        Column("assigned_at", INSTANT, "assigned"),
        BUSINESS_ON,
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "business_on",
)
offer = Table(
    "offer",
    "one row an offer of the catalogue from a day on; written by a release or an importer",
    ("offer_id", "from_on"),
    (
        id_of("offer_id", "the offer; stable, never reused"),
        Column("from_on", DATE, "in the catalogue from"),
        id_of("product_id", "the product", "a hook or service action alone"),
        id_of("hook_id", "the hook", "no hook"),
        id_of("kind", "financial, platform, user, tool, service, hook or information"),
        id_of("category", "category", "none"),
        id_of("subcategory", "finer category", "none"),
        id_of("role", "hook, core, platform, user, tool, care or information"),
        Column("risk_level", INTEGER, "product risk R0 (none) to R5", at_least=0),
        amount_of("min_amount", "minimum amount or spending asked"),
        amount_of("reward_amount", "reward paid on conversion"),
        Column("outcome_days", INTEGER, "days after contact in which a conversion counts", at_least=1),
        Column("n_channels", INTEGER, "channels it goes out by", at_least=0),
        Column("needs_view", FLAG, "a conversion counts only if the contact was opened before it"),
        Column("is_ranked", FLAG, "takes part in ranking; an information is only a contact"),
        KNOWN_AT,
    ),
)
