"""Know the customer: bank tables -> one row per customer per month, per day and per moment."""
