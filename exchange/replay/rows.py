"""The canonical replay row: one receivable as a book tells it, with everything that later happened to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

SCHEMES = frozenset({"uscc", "lei", "platform"})
PRODUCTS = frozenset({"procurement_credit", "receivable_factoring", "working_capital", "equipment_lease"})
GRADES = frozenset({"explicit", "deemed"})
RECOURSES = frozenset({"with", "limited", "without"})
CREDIT_REASONS = frozenset({"return", "short_delivery", "price_adjustment", "set_off"})


@dataclass(frozen=True, slots=True)
class Company:
    """A seller or an obligor; `controller` is the id token of the person who controls it, if known."""

    scheme: str
    value: str
    name: str
    controller: str | None = None
    sector: str | None = None
    region: str | None = None


class CreditNote(NamedTuple):
    """A reduction of the claim that the seller granted on a day."""

    credit_date: date
    amount_minor: int
    reason: str


class PartPayment(NamedTuple):
    """Money that came before (or without) the final settlement."""

    paid_date: date
    amount_minor: int


class Document(NamedTuple):
    """Digest of a paper behind the receivable."""

    kind: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """One receivable and its fate.

    What the exchange may see on a day: the invoice from `submitted_date`, the confirmation from
    `confirmed_date`, each credit note and payment from its own date. On `settled_date` whatever is still owed
    (face less credit notes less part payments) is paid; None means that it never is. `hidden` is the truth
    about planted cases, for judging only.
    """

    row_number: int
    invoice_number: str
    seller: Company
    obligor: Company
    product: str
    currency: str
    face_minor: int
    issue_date: date
    due_date: date
    submitted_date: date
    settled_date: date | None = None
    confirmed_date: date | None = None
    confirmation_grade: str | None = None
    disputed: bool = False
    credit_notes: tuple[CreditNote, ...] = ()
    part_payments: tuple[PartPayment, ...] = ()
    recourse: str = "with"
    documents: tuple[Document, ...] = ()
    hidden: Mapping[str, str] = field(default_factory=dict)


class FieldFault(NamedTuple):
    """One thing wrong with one field of a row; `value` is the text as found, cut to 80 characters."""

    field: str
    code: str
    value: str


@dataclass(frozen=True, slots=True)
class RowRefusal:
    """A row that could not be read, with every fault found in it."""

    row_number: int
    faults: tuple[FieldFault, ...]

    def __iter__(self) -> Iterator[FieldFault]:
        """Iterate over the faults."""
        return iter(self.faults)
