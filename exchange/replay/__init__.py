"""Replay: a real or synthetic book, read from a file and lived through the exchange day by day."""
