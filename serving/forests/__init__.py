"""Champions' trees as the request path walks them: read from LightGBM's text, laid out, compiled."""
