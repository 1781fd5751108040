"""One file a model: `response`, `uplift`, `churn`, `next_step` (what he does next), `value` (what stays of him),
`purchases` (how often he buys)."""
