"""One file a family, one signature: `family(month, before, policy) -> ir.Table` keyed by customer_id."""
