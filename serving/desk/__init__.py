"""The desk: one request becomes decisions that are kept before they are told."""
