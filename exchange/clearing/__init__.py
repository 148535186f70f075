"""Which receivable goes to which mandate: the best allocation under all limits, with a proof of how good. Pure."""
