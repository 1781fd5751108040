"""Typed contracts of the bank's own tables: grain, key, unit, meaning of null, sensitivity.

Conventions that hold in every table: `_at` is an instant in UTC with microseconds, `_on` a date in the bank's zone,
`_amount` decimal(18,2) in the bank's reporting currency. Every fact carries `business_on` (which day's business it
is) and `known_at` (when the bank knew it); what was known after an as-of instant is invisible to it. A table that a
bank does not have is absent, never invented.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from features.bank.tables_contact import (
    assignment,
    complaint,
    consent,
    contact,
    customer_fact,
    do_not_call,
    offer,
    preapproval,
    response,
    risk_assessment,
)
from features.bank.tables_personal import personal
from features.bank.tables_service import (
    app_quality,
    branch,
    case,
    journey_event,
    product_ledger,
    referral,
    rm,
    rm_usage,
    survey_response,
)
from features.vocabulary import Column, Kind, Sensitivity

__all__ = ["ASSET_CLASSES", "AUM_CLASSES", "EVENTS", "EVENT_CHANNELS", "TABLES", "TXN_TYPES"]

FLAG, CODE, DATE, INSTANT = Kind.FLAG, Kind.CODE, Kind.DATE, Kind.INSTANT
C2 = Sensitivity.C2

ASSET_CLASSES = ("DEMAND", "TIME", "LCD", "STRUCT", "WMP", "MMF", "FUND", "INS", "BOND", "GOLD", "TRUST", "CUSTODY_3P")
AUM_CLASSES = ASSET_CLASSES[:-1]  # third-party custody is shown but not counted (R07)
TXN_TYPES = ("SALARY", "IN", "OUT", "CONSUME", "BILL", "BUY", "REDEEM", "INTEREST", "FEE", "REPAY", "OTHER")
EVENTS = ("LOGIN", "VIEW", "CLICK", "SEARCH", "SHARE", "STEP", "SUBMIT", "DONE", "VISIT", "TRANSFER_OUT_PAGE")

customer = Table(
    "customer",
    "one row a customer",
    ("customer_id",),
    (
        CUSTOMER,
        Column("birth_on", DATE, "birth date", "not given", C2),
        codes_of("gender", "gender", ("F", "M", "O"), "not given"),
        codes_of("id_doc_type", "identity document", ("MAINLAND", "HK_MO_TW", "FOREIGN"), "not known"),
        Column("occupation", CODE, "occupation code", "not given", C2),
        Column("employer_id", CODE, "employer", "none or not known", C2),
        amount_of("declared_income_amount", "declared yearly income", "not declared"),
        id_of("region", "region code", "not known"),
        id_of("branch_id", "home branch", "no branch"),
        id_of("rm_id", "relationship manager", "no manager"),
        Column("registered_on", DATE, "first registered as a user"),
        Column("first_product_on", DATE, "first funded account or product", "still a user only"),
        Column("closed_on", DATE, "all relations closed", "still open"),
        id_of("acquisition_source", "where the customer came from", "not known"),
        Column("is_staff", FLAG, "employee of the bank"),
        Column("is_restricted", FLAG, "frozen, deceased or blocked for money laundering"),
        Column("is_student", FLAG, "student", "not known"),
        Column("family_id", CODE, "family whose assets a bank may count together (R14)", "none or not known", C2),
        Column("has_marketing_optout", FLAG, "switched personal recommendation off"),
        KNOWN_AT,
    ),
)
account = Table(
    "account",
    "one row an account",
    ("account_id",),
    (
        id_of("account_id", "the account"),
        CUSTOMER,
        codes_of("account_class", "account class", ("I", "II", "III"), "not classed"),
        id_of("product_id", "product the account belongs to", "plain account"),
        Column("opened_on", DATE, "opened"),
        Column("closed_on", DATE, "closed", "still open"),
        Column("is_social_security", FLAG, "social-security or provident account, never called dormant", "not known"),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "opened_on",
)
balance = Table(
    "balance",
    "one row a change: customer, account and asset class from a day on, until a day (not included)",
    ("customer_id", "account_id", "asset_class", "from_on"),
    (
        CUSTOMER,
        id_of("account_id", "the account"),
        codes_of("asset_class", "what the money is in", ASSET_CLASSES),
        Column("from_on", DATE, "first day of the balance"),
        Column("to_on", DATE, "first day on which it no longer holds", "still holds"),
        amount_of("amount", "end-of-day balance", at_least=None),
        amount_of("in_transit_amount", "unconfirmed or clearing money within the balance (R08)"),
        amount_of("loan_proceeds_amount", "loan proceeds within the balance (R08)"),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "from_on",
)
txn = Table(
    "txn",
    "one row a booked transaction",
    ("txn_id",),
    (
        id_of("txn_id", "the transaction"),
        CUSTOMER,
        Column("occurred_at", INSTANT, "when it happened"),
        BUSINESS_ON,
        id_of("account_id", "account it was booked on", "not known"),
        codes_of("txn_type", "kind of transaction", TXN_TYPES),
        amount_of("amount", "amount, positive"),
        codes_of("counterparty", "who stands across", ("OWN", "OTHER_BANK", "MERCHANT", "WALLET"), "not known"),
        codes_of("channel", "channel used", EVENT_CHANNELS, "not known"),
        Column("by_customer", FLAG, "made by the customer; interest and fees are not (R17)"),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "business_on",
)
holding = Table(
    "holding",
    "one row a product held or once held, loans and cards among them",
    ("holding_id",),
    (
        id_of("holding_id", "the holding"),
        CUSTOMER,
        id_of("product_id", "the product"),
        Column("opened_on", DATE, "bought or opened"),
        Column("matures_on", DATE, "contract end", "no maturity"),
        Column("closed_on", DATE, "sold, repaid or closed", "still held"),
        amount_of("amount", "amount at opening"),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "opened_on",
)
loan = Table(
    "loan",
    "one row a loan or card line",
    ("loan_id",),
    (
        id_of("loan_id", "the loan"),
        CUSTOMER,
        id_of("product_id", "the product"),
        Column("opened_on", DATE, "drawn or opened"),
        Column("ends_on", DATE, "contract end", "revolving"),
        Column("closed_on", DATE, "repaid or closed", "still running"),
        amount_of("amount", "amount or limit at opening"),
        Column("overdue_from_on", DATE, "first day overdue", "never overdue"),
        Column("overdue_to_on", DATE, "first day no longer overdue", "still overdue, or never was"),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "opened_on",
)
service_activation = Table(
    "service_activation",
    "one row a service a customer switched on",
    ("customer_id", "service_id"),
    (
        CUSTOMER,
        id_of("service_id", "the service; a product id where the catalogue has one"),
        Column("activated_on", DATE, "switched on"),
        Column("closed_on", DATE, "switched off", "still on"),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "activated_on",
)
channel_event = Table(
    "channel_event",
    "one row an event in a channel",
    ("event_id",),
    (
        id_of("event_id", "the event"),
        CUSTOMER,
        Column("occurred_at", INSTANT, "when it happened"),
        BUSINESS_ON,
        codes_of("channel", "where", EVENT_CHANNELS),
        codes_of("event", "what", EVENTS),
        id_of("service_id", "service or scene used", "none"),
        id_of("page", "page or function", "not told"),
        id_of("product_id", "product looked at or asked for", "none"),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    "business_on",
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (
            customer, account, balance, txn, holding, loan, service_activation, channel_event, risk_assessment,
            consent, do_not_call, complaint, preapproval, customer_fact, contact, response, assignment, offer,
            survey_response, journey_event, case, referral, branch, rm, rm_usage, product_ledger, app_quality, personal,
        )
    }
)  # fmt: skip
