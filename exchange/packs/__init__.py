"""Exit packs: everything somebody needs to verify and re-load the exchange, or its part of it, without us."""
