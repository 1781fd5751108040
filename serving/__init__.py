"""Serve and listen: the API, the ledger, releases. The only place where the other rooms are wired together."""
