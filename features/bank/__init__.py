"""The bank's own data: contracts, engines, quarantine, sources, tiles."""
