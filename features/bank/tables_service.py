"""Contracts of how the bank serves: what customers say of it, where they get stuck, who serves them, what it earns.

The conventions of `tables.py` hold.
"""

from __future__ import annotations

from types import MappingProxyType

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
from features.vocabulary import Column, Kind, Sensitivity

FLAG, INTEGER, NUMBER = Kind.FLAG, Kind.INTEGER, Kind.NUMBER
CODE, DATE, INSTANT = Kind.CODE, Kind.DATE, Kind.INSTANT
C2 = Sensitivity.C2
_LEVELS = ("LOW", "MID", "HIGH")

survey_response = Table(
    "survey_response",
    "one row an answer to a survey",
    ("answer_id",),
    (
        id_of("answer_id", "the answer"),
        CUSTOMER,
        codes_of("touchpoint", "where the customer was served", ("APP", "BRANCH", "CALL")),
        Column("nps", INTEGER, "likely to recommend the bank, 0 to 10", "not answered", at_least=0),
        Column("csat", INTEGER, "content with this service, 1 to 5", "not answered", at_least=1),
        Column("occurred_at", INSTANT, "when it was answered"),
        BUSINESS_ON,
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "business_on",
)
app_quality = Table(
    "app_quality",
    "one row a customer, device and day on which the app ran there",
    ("customer_id", "device", "business_on"),
    (
        CUSTOMER,
        id_of("device", "kind of device, such as its system or model"),
        BUSINESS_ON,
        Column("n_crashes", INTEGER, "times the app broke off", at_least=0),
        Column("n_failures", INTEGER, "requests that failed", at_least=0),
        Column("latency_ms", INTEGER, "answer time that nine in ten requests kept, in milliseconds", "not measured",
               at_least=0),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "business_on",
)  # fmt: skip
journey_event = Table(
    "journey_event",
    "one row a step that a customer began in a journey",
    ("journey_id", "step_no"),
    (
        id_of("journey_id", "one customer's one way through a journey"),
        CUSTOMER,
        id_of("journey", "which journey"),
        Column("step_no", INTEGER, "place of the step in the journey, from 1", at_least=1),
        id_of("step", "which step"),
        codes_of("channel", "where", EVENT_CHANNELS),
        Column("started_at", INSTANT, "begun"),
        Column("ended_at", INSTANT, "done or failed", "abandoned: it never ended"),
        codes_of("outcome", "how the step ended", ("DONE", "FAILED", "ABANDONED")),
        BUSINESS_ON,
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "business_on",
)
case = Table(
    "case",
    "one row a case that the bank opened to keep a customer",
    ("case_id",),
    (
        id_of("case_id", "the case"),
        CUSTOMER,
        id_of("complaint_id", "the complaint it began with", "not from a complaint"),
        Column("opened_at", INSTANT, "opened"),
        BUSINESS_ON,
        codes_of("remedy", "what was done", ("APOLOGY", "REFUND", "REPAIR", "VISIT"), "nothing was done"),
        Column("propensity", NUMBER, "probability with which chance chose it", "not chosen by chance", at_least=0),
        Column("remedied_at", INSTANT, "when it was done", "nothing was done, or not yet"),
        Column("closed_at", INSTANT, "closed", "still open"),
        codes_of("outcome", "how it ended", ("SAVED", "LOST"), "still open"),
        KNOWN_AT,
    ),
    MappingProxyType({"customer_id": "customer", "complaint_id": "complaint"}),
    "business_on",
)
referral = Table(
    "referral",
    "one row an invitation that a customer shared",
    ("referral_id",),
    (
        id_of("referral_id", "the invitation"),
        id_of("referrer_id", "the customer who shared it"),
        id_of("referee_id", "the customer who registered with it", "nobody registered"),
        codes_of("channel", "where it was shared", EVENT_CHANNELS),
        Column("referrer_device_hash", CODE, "hash of the device it was shared from", sensitivity=C2),
        Column("referee_device_hash", CODE, "hash of the device it was opened on", "never opened", C2),
        Column("shared_at", INSTANT, "shared"),
        Column("opened_at", INSTANT, "first opened", "never opened"),
        BUSINESS_ON,
        KNOWN_AT,
    ),
    MappingProxyType({"referrer_id": "customer", "referee_id": "customer"}),
    "business_on",
)
branch = Table(
    "branch",
    "one row a branch",
    ("branch_id",),
    (
        id_of("branch_id", "the branch"),
        id_of("region", "region code", "not known"),
        codes_of("digital_level", "how digital its work is", _LEVELS, "not rated"),
        codes_of("volume_level", "how much business it does", _LEVELS, "not rated"),
        KNOWN_AT,
    ),
)
rm = Table(
    "rm",
    "one row a relationship manager",
    ("rm_id",),
    (
        id_of("rm_id", "the relationship manager"),
        id_of("branch_id", "the branch he works at", "not at a branch"),
        id_of("leader_id", "his team leader", "no leader"),
        Column("hired_on", DATE, "hired"),
        Column("has_device", FLAG, "has a tablet of the bank", "not known"),
        Column("leader_prefers_paper", FLAG, "his leader asks for paper", "not known"),
        KNOWN_AT,
    ),
    MappingProxyType({"branch_id": "branch"}),
)
rm_usage = Table(
    "rm_usage",
    "one row a relationship manager and working day on which he could use the application",
    ("rm_id", "business_on"),
    (
        id_of("rm_id", "the relationship manager"),
        BUSINESS_ON,
        id_of("app_version", "version in use", "never installed"),
        Column("n_opens", INTEGER, "times opened", at_least=0),
        Column("n_acts", INTEGER, "actions done in it", at_least=0),
        Column("n_features", INTEGER, "different functions used", at_least=0),
        Column("n_digital_submits", INTEGER, "business submitted in it", at_least=0),
        Column("n_paper_submits", INTEGER, "business submitted on paper", at_least=0),
        KNOWN_AT,
    ),
    MappingProxyType({"rm_id": "rm"}),
    "business_on",
)
product_ledger = Table(
    "product_ledger",
    "one row a month, product and branch, as the books have it",
    ("business_on", "product_id", "branch_id"),
    (
        Column("business_on", DATE, "last day of the month in the bank's zone"),
        id_of("product_id", "the product", "income of no product: the unallocated remainder"),
        id_of("branch_id", "the branch", "booked at no branch"),
        amount_of("income_amount", "net income of the month, from daily accruals", at_least=None),
        KNOWN_AT,
    ),
    MappingProxyType({"branch_id": "branch"}),
    "business_on",
)
