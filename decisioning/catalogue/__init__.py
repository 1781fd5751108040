"""What the bank can offer: products, service actions, hooks, offers, channels, as typed and dated policy."""
