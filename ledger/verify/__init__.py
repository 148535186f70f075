"""Verification for whoever does not trust the exchange: no service, only files and public keys.

Knows no database, no network and no web: the standard library, `orjson` and `cryptography` are all it needs.
"""

from ledger.verify.chain import BrokenChain, verify_chain
from ledger.verify.record import LeafMismatch, VerifiedRecord, verify_record

__all__ = ["BrokenChain", "LeafMismatch", "VerifiedRecord", "verify_chain", "verify_record"]
