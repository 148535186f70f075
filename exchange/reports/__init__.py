"""Everything seen at once: assets through all their lifecycles, positions, and what the exchange comes to."""
