"""Money on its way out: to sellers and funders, with a second pair of eyes and the bank's answers."""
