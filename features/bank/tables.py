"""Typed contracts of the bank's own tables: grain, key, unit, meaning of null, sensitivity.

Conventions that hold in every table: `_at` is an instant in UTC with microseconds, `_on` a date in the bank's zone,
`_amount` decimal(18,2) in the bank's reporting currency. Every fact carries `business_on` (which day's business it
is) and `known_at` (when the bank knew it); what was known after an as-of instant is invisible to it. A table that a
bank does not have is absent, never invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from features.bank.contract import Table, amount_of, codes_of, id_of
from features.vocabulary import Column, Kind, Outcome, Purpose, Sensitivity

FLAG, INTEGER, NUMBER, AMOUNT = Kind.FLAG, Kind.INTEGER, Kind.NUMBER, Kind.AMOUNT
CODE, DATE, INSTANT = Kind.CODE, Kind.DATE, Kind.INSTANT
C2 = Sensitivity.C2

ASSET_CLASSES = ("DEMAND", "TIME", "LCD", "STRUCT", "WMP", "MMF", "FUND", "INS", "BOND", "GOLD", "TRUST", "CUSTODY_3P")
AUM_CLASSES = ASSET_CLASSES[:-1]  # third-party custody is shown but not counted (R07)
TXN_TYPES = ("SALARY", "IN", "OUT", "CONSUME", "BILL", "BUY", "REDEEM", "INTEREST", "FEE", "REPAY", "OTHER")
EVENT_CHANNELS = ("APP", "WEB", "WECHAT", "BRANCH", "ATM", "CALL", "RM", "PAD", "SMS", "EMAIL", "SOCIAL", "LETTER")
EVENTS = ("LOGIN", "VIEW", "CLICK", "SEARCH", "SHARE", "STEP", "SUBMIT", "DONE", "VISIT", "TRANSFER_OUT_PAGE")


_CUSTOMER = id_of("customer_id", "the customer")
_BUSINESS_ON = Column("business_on", DATE, "day of business in the bank's zone")
_KNOWN_AT = Column("known_at", INSTANT, "when the bank's systems knew the row")
_OF_CUSTOMER = MappingProxyType({"customer_id": "customer"})

customer = Table(
    "customer",
    "one row a customer",
    ("customer_id",),
    (
        _CUSTOMER,
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
        Column("has_marketing_optout", FLAG, "switched personal recommendation off"),
        _KNOWN_AT,
    ),
)
account = Table(
    "account",
    "one row an account",
    ("account_id",),
    (
        id_of("account_id", "the account"),
        _CUSTOMER,
        codes_of("account_class", "account class", ("I", "II", "III"), "not classed"),
        id_of("product_id", "product the account belongs to", "plain account"),
        Column("opened_on", DATE, "opened"),
        Column("closed_on", DATE, "closed", "still open"),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "opened_on",
)
balance = Table(
    "balance",
    "one row a change: customer, account and asset class from a day on, until a day (not included)",
    ("customer_id", "account_id", "asset_class", "from_on"),
    (
        _CUSTOMER,
        id_of("account_id", "the account"),
        codes_of("asset_class", "what the money is in", ASSET_CLASSES),
        Column("from_on", DATE, "first day of the balance"),
        Column("to_on", DATE, "first day on which it no longer holds", "still holds"),
        amount_of("amount", "end-of-day balance", at_least=None),
        amount_of("in_transit_amount", "unconfirmed or clearing money within the balance (R08)"),
        amount_of("loan_proceeds_amount", "loan proceeds within the balance (R08)"),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "from_on",
)
txn = Table(
    "txn",
    "one row a booked transaction",
    ("txn_id",),
    (
        id_of("txn_id", "the transaction"),
        _CUSTOMER,
        Column("occurred_at", INSTANT, "when it happened"),
        _BUSINESS_ON,
        codes_of("txn_type", "kind of transaction", TXN_TYPES),
        amount_of("amount", "amount, positive"),
        codes_of("counterparty", "who stands across", ("OWN", "OTHER_BANK", "MERCHANT", "WALLET"), "not known"),
        codes_of("channel", "channel used", EVENT_CHANNELS, "not known"),
        Column("by_customer", FLAG, "made by the customer; interest and fees are not (R17)"),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "business_on",
)
holding = Table(
    "holding",
    "one row a product held or once held",
    ("holding_id",),
    (
        id_of("holding_id", "the holding"),
        _CUSTOMER,
        id_of("product_id", "the product"),
        Column("opened_on", DATE, "bought or opened"),
        Column("matures_on", DATE, "contract end", "no maturity"),
        Column("closed_on", DATE, "sold, repaid or closed", "still held"),
        amount_of("amount", "amount at opening"),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "opened_on",
)
loan = Table(
    "loan",
    "one row a loan or card line",
    ("loan_id",),
    (
        id_of("loan_id", "the loan"),
        _CUSTOMER,
        id_of("product_id", "the product"),
        Column("opened_on", DATE, "drawn or opened"),
        Column("ends_on", DATE, "contract end", "revolving"),
        Column("closed_on", DATE, "repaid or closed", "still running"),
        amount_of("amount", "amount or limit at opening"),
        Column("overdue_from_on", DATE, "first day overdue", "never overdue"),
        Column("overdue_to_on", DATE, "first day no longer overdue", "still overdue, or never was"),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "opened_on",
)
service_activation = Table(
    "service_activation",
    "one row a service a customer switched on",
    ("customer_id", "service_id"),
    (
        _CUSTOMER,
        id_of("service_id", "the service; a product id where the catalogue has one"),
        Column("activated_on", DATE, "switched on"),
        Column("closed_on", DATE, "switched off", "still on"),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "activated_on",
)
channel_event = Table(
    "channel_event",
    "one row an event in a channel",
    ("event_id",),
    (
        id_of("event_id", "the event"),
        _CUSTOMER,
        Column("occurred_at", INSTANT, "when it happened"),
        _BUSINESS_ON,
        codes_of("channel", "where", EVENT_CHANNELS),
        codes_of("event", "what", EVENTS),
        id_of("service_id", "service or scene used", "none"),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "business_on",
)
risk_assessment = Table(
    "risk_assessment",
    "one row a risk assessment",
    ("customer_id", "assessed_on"),
    (
        _CUSTOMER,
        Column("assessed_on", DATE, "assessed"),
        Column("risk_level", INTEGER, "risk tolerance C1 to C5", sensitivity=C2, at_least=1),
        codes_of("investor_type", "investor type", ("ORDINARY", "QUALIFIED", "PROFESSIONAL")),
        Column("expires_on", DATE, "valid until, not included"),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "assessed_on",
)
consent = Table(
    "consent",
    "one row a change of consent",
    ("consent_id",),
    (
        id_of("consent_id", "the change"),
        _CUSTOMER,
        codes_of("purpose", "what for", ("MARKETING", "PROFILING", "RESEARCH", "SHARING")),
        codes_of("channel", "which channel", EVENT_CHANNELS, "all channels"),
        Column("is_granted", FLAG, "granted or withdrawn"),
        id_of("proof_id", "proof of the customer's will", "none kept"),
        Column("occurred_at", INSTANT, "when the customer said so"),
        _BUSINESS_ON,
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "business_on",
)
do_not_call = Table(
    "do_not_call",
    "one row a do-not-call entry",
    ("customer_id", "channel", "from_on"),
    (
        _CUSTOMER,
        codes_of("channel", "which channel", EVENT_CHANNELS),
        Column("from_on", DATE, "holds from"),
        Column("to_on", DATE, "holds until, not included", "until renewed consent (R40)"),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "from_on",
)
complaint = Table(
    "complaint",
    "one row a complaint",
    ("complaint_id",),
    (
        id_of("complaint_id", "the complaint"),
        _CUSTOMER,
        Column("opened_at", INSTANT, "received"),
        _BUSINESS_ON,
        Column("closed_at", INSTANT, "settled", "still open"),
        id_of("topic", "what about"),
        Column("severity", INTEGER, "1 low to 5 high", at_least=1),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "business_on",
)
preapproval = Table(
    "preapproval",
    "one row a pre-approved credit",
    ("customer_id", "product_id", "from_on"),
    (
        _CUSTOMER,
        id_of("product_id", "the product"),
        Column("from_on", DATE, "valid from"),
        Column("expires_on", DATE, "valid until, not included"),
        amount_of("limit_amount", "approved limit"),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "from_on",
)
customer_fact = Table(
    "customer_fact",
    "one row a fact that a gate may ask for",
    ("customer_id", "fact", "from_on"),
    (
        _CUSTOMER,
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
            ),
        ),
        Column("from_on", DATE, "holds from"),
        Column("to_on", DATE, "holds until, not included", "still holds"),
        amount_of("amount", "amount where the fact has one", "no amount"),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "from_on",
)
contact = Table(
    "contact",
    "one row a contact with a customer, in whatever channel",
    ("contact_id",),
    (
        id_of("contact_id", "the contact"),
        _CUSTOMER,
        id_of("placement_id", "placement it carried", "not from a decision"),
        id_of("campaign_id", "campaign it belongs to", "no campaign"),
        id_of("offer_id", "offer it carried", "no offer"),
        codes_of("channel", "channel", EVENT_CHANNELS),
        codes_of("purpose", "why", tuple(Purpose)),
        Column("sent_at", INSTANT, "sent"),
        _BUSINESS_ON,
        Column("delivered_at", INSTANT, "delivered", "not confirmed"),
        Column("opened_at", INSTANT, "opened or viewed", "not seen to be opened"),
        Column("failed_at", INSTANT, "failed or blocked", "did not fail"),
        Column(
            "propensity", NUMBER, "probability with which chance chose this offer", "not chosen by chance", at_least=0
        ),
        amount_of("cost_amount", "cost of the contact", at_least=0),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "business_on",
)
response = Table(
    "response",
    "one row an answer to a contact",
    ("event_id",),
    (
        id_of("event_id", "the answer"),
        _CUSTOMER,
        id_of("contact_id", "the contact answered", "answer to no known contact"),
        id_of("placement_id", "the placement answered", "not from a decision"),
        id_of("offer_id", "the offer", "no offer"),
        codes_of("outcome", "what came of it", tuple(Outcome)),
        Column("occurred_at", INSTANT, "when"),
        _BUSINESS_ON,
        amount_of("amount", "amount bought or rewarded", "no amount"),
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
    "business_on",
)
assignment = Table(
    "assignment",
    "one row a customer's random assignment in an experiment",
    ("experiment_id", "customer_id"),
    (
        id_of("experiment_id", "the experiment: a campaign, or GLOBAL for the yearly holdout"),
        _CUSTOMER,
        codes_of("arm", "arm", ("HOLDOUT", "CONTROL", "TREAT")),
        id_of("offer_id", "offer under test", "the global holdout has none"),
        Column("propensity", NUMBER, "probability of this arm", at_least=0),
        Column("assigned_at", INSTANT, "assigned"),
        _BUSINESS_ON,
        _KNOWN_AT,
    ),
    _OF_CUSTOMER,
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
        _KNOWN_AT,
    ),
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (
            customer, account, balance, txn, holding, loan, service_activation, channel_event, risk_assessment,
            consent, do_not_call, complaint, preapproval, customer_fact, contact, response, assignment, offer,
        )
    }
)  # fmt: skip
