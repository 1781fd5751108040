"""The night: every customer with every offer, here or on Spark."""
