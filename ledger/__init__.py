"""The ledger: balanced books of account and the proof that nothing in them was altered."""
