"""The root of every refusal the ledger can give."""

from typing import ClassVar


class LedgerError(Exception):
    """A refusal by the ledger; each rule has its own subclass with its own stable code.

    The code is snake_case, never reused and never changed once published: callers and counterparties match
    on it, not on the message.
    """

    code: ClassVar[str] = "ledger_error"


class RecordRefused(LedgerError):
    """Base of what is refused about a record. `field` says where: a part of the JWS, or `disclosures/<number>`."""

    code = "record_refused"

    def __init__(self, message: str, *, field: str = "jws") -> None:
        super().__init__(message)
        self.field = field
