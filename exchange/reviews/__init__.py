"""Looking again: what is suspicious of a new asset, what changes about an obligor, and what people say to it."""
