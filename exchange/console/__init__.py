"""The first page: what the exchange holds, for whoever opens it."""
