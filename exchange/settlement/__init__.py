"""Money from the bank, matched and shared out; credit notes and what they take away."""
