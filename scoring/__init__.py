"""Numbers from facts: features, scores, grades, limits and prices. Knows no database and no HTTP."""
