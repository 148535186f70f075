"""Standing mandates, the rounds that match free assets to them, and the pools that come out."""
