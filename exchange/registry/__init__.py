"""The signed life of every asset: business facts wait to be sealed, then stand in its chain and in the public log."""
