"""How much of an invoice is free, who gets it, and what makes one invoice look like another."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from exchange.duplicates.marks import Marks
from exchange.errors import Fault, Refusal

FEE_MINOR = 5_000
"""What a bank or a courier takes: amounts this near are near, however small they are."""
NEAR_PERCENT = 2
MOST_MINOR = 2**62

ASKED_A_DAY = 100_000
"""So many invoices a partner may ask about or claim in a business day: enough to work, too few to go through a seller's
numbers one by one."""


class DuplicateReceivable(Refusal):
    """The whole face of the invoice is claimed, or its document belongs to another invoice."""

    code = "duplicate_receivable"
    title = "This invoice is claimed already"


class FaceContradicted(Refusal):
    """The invoice was stated with another face or currency: the first statement binds while a claim stands on it."""

    code = "face_contradicted"
    title = "This invoice was stated with another face"


class ExceedsInvoiceFace(Refusal):
    """Less of the invoice is free than was asked for."""

    code = "exceeds_invoice_face"
    title = "Less of this invoice is free"


class ClaimEnded(Refusal):
    """The claim was released before."""

    code = "claim_ended"
    title = "This claim has ended"


class TooManyQuestions(Refusal):
    """A partner that asks about more invoices than anybody finances is looking for something else."""

    code = "too_many_questions"
    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Too many invoices for one day"
    definitive = False


MESSAGES = {
    DuplicateReceivable.code: "an invoice with this number or this document is known already",
    FaceContradicted.code: "this invoice was stated with another face or currency",
    ExceedsInvoiceFace.code: "more than is free of this invoice",
}


class Asked(NamedTuple):
    """A claim that somebody asks for, on `amount_minor` of an invoice of `face_minor`. `marks` are as stored.

    `purpose` names it: with the number of claims before it on the invoice it decides the claim's id under a seed.
    """

    holder_id: str
    purpose: str
    marks: Marks
    currency: str
    face_minor: int
    amount_minor: int


@dataclass(slots=True)
class Invoice:
    """An invoice as claims leave it. `credited_minor` of its face is owed to nobody any more; `claims` counts all."""

    invoice_id: int
    currency: str
    face_minor: int
    claimed_minor: int = 0
    credited_minor: int = 0
    claims: int = 0

    @property
    def bound(self) -> bool:
        """Whether its face is a fact: as long as anything was claimed or credited on it."""
        return self.claimed_minor + self.credited_minor > 0

    @property
    def free_minor(self) -> int:
        """What can still be claimed."""
        return self.face_minor - self.claimed_minor - self.credited_minor


class Verdict(NamedTuple):
    """What became of what was asked: the invoice it met, and why it was refused. `ordinal` counts the claims before it.

    `free_minor` is what was free; None for whoever does not know the invoice's face.
    """

    invoice: Invoice
    code: str | None = None
    free_minor: int | None = None
    ordinal: int = 0


def judge(one: Asked, *, invoice: Invoice, owners: dict[bytes, Invoice]) -> Verdict:
    """Claim `one` on its invoice, which is changed by it, and so is who owns its documents; or say why not."""
    for document in one.marks.documents:
        owner = owners.get(document, invoice)
        if owner is not invoice and owner.bound:
            return Verdict(owner, DuplicateReceivable.code, 0)
    if not invoice.bound:
        invoice.currency, invoice.face_minor = one.currency, one.face_minor
    free = invoice.free_minor
    if not free:
        return Verdict(invoice, DuplicateReceivable.code, 0)
    if (invoice.currency, invoice.face_minor) != (one.currency, one.face_minor):
        return Verdict(invoice, FaceContradicted.code)
    if one.amount_minor > free:
        return Verdict(invoice, ExceedsInvoiceFace.code, free)
    ordinal = invoice.claims
    invoice.claimed_minor += one.amount_minor
    invoice.claims += 1
    owners.update(dict.fromkeys(one.marks.documents, invoice))
    return Verdict(invoice, None, free, ordinal)


def refusal_fault(code: str, *, at: str, value: object) -> Fault:
    """Why a claim was refused, as a fault of the item at `at`."""
    return Fault(code, at, MESSAGES[code], value)


def face_faults(face_minor: int, *, amount_minor: int, at: str) -> list[Fault]:
    """What is wrong with the face stated for an invoice: a claim on it cannot be larger."""
    if amount_minor <= face_minor:
        return []
    return [Fault("invoice_face_too_small", at, f"at least the amount claimed, {amount_minor}", face_minor)]


def near_amounts(face_minor: int) -> tuple[int, int]:
    """The least and the largest face that is near this one: within 2 % of the smaller, and a fee."""
    least = (face_minor - FEE_MINOR) * 100 // (100 + NEAR_PERCENT)
    return max(least, 0), face_minor + face_minor * NEAR_PERCENT // 100 + FEE_MINOR


def reach(kind: str, face_minor: int) -> tuple[int, int]:
    """The faces an invoice is held against when the two have a mark of `kind` in common.

    One delivery is one debt whatever its price. An order or a contract is filled by many invoices, a number's stem and
    a day are shared by many: there the amount has to be near.
    """
    return (0, MOST_MINOR) if kind == "delivery_note" else near_amounts(face_minor)


def elder(one_id: str, other_id: str) -> tuple[str, str]:
    """The two claims in the order of their birth, so that a pair is known by one name: an id begins with its time."""
    first, second = sorted((one_id, other_id), key=lambda claim_id: claim_id.partition("_")[2])
    return first, second


def check_asked(count: int) -> None:
    """Refuse (`TooManyQuestions`) a partner that has now asked about `count` invoices in one day."""
    if count > ASKED_A_DAY:
        raise TooManyQuestions(
            f"A partner may ask about {ASKED_A_DAY} invoices a day; go on tomorrow.",
            headers={"Retry-After": "3600"},
            asked=count,
            most=ASKED_A_DAY,
        )
