"""One file a model: `response` (who converts on an offer) and `churn` (whose money or activity goes)."""
