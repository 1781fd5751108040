"""The contract of how a customer is addressed: personal contact data, apart from everything that is computed.

It is joined when a page or an answer is rendered for somebody cleared for it, and when a message is handed over; never
in features, logs, decisions, exports or model tracking. The number itself stays with the bank's telephone exchange:
the token calls it and hides it.
"""

from __future__ import annotations

from features.bank.contract import CUSTOMER, KNOWN_AT, OF_CUSTOMER, Table
from features.vocabulary import Column, Kind, Sensitivity

personal = Table(
    "personal",
    "one row a customer",
    ("customer_id",),
    (
        CUSTOMER,
        Column("full_name", Kind.CODE, "name as the customer is addressed", "not given", Sensitivity.C2),
        Column("phone_token", Kind.CODE, "calls the customer without telling the number", "no phone", Sensitivity.C2),
        KNOWN_AT,
    ),
    OF_CUSTOMER,
    is_apart=True,
)
