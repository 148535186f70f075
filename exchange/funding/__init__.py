"""From a pool to a purchase: offers, commitments, and title against money in one posting."""
