"""Importers of public data sets, each into a bank home with its own policy and catalogue."""
