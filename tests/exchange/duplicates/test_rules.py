"""Who gets how much of an invoice, and which amounts are near."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exchange.duplicates import rules
from exchange.duplicates.marks import Marks
from exchange.duplicates.rules import Asked, Invoice, TooManyQuestions

AMOUNTS = st.integers(1, 12)
ASKED = st.builds(
    lambda number, papers, face, amount: Asked(
        "org", "", Marks(number, tuple(papers)), "CNY", max(face, amount), amount
    ),
    st.sampled_from([b"N1", b"N2"]),
    st.sets(st.sampled_from([b"d1", b"d2"])).map(sorted),
    st.sampled_from([10, 12]),
    AMOUNTS,
)


@given(st.lists(ASKED, max_size=12))
def test_shares_never_exceed_the_face(asked: list[Asked]) -> None:
    """Whatever comes in whatever order: shares fit, documents belong to one number, a refusal changes nothing."""
    invoices = {mark: Invoice(place, "", 0) for place, mark in enumerate((b"N1", b"N2"), start=1)}
    owners: dict[bytes, Invoice] = {}
    granted: list[Asked] = []
    for one in asked:
        invoice = invoices[one.marks.invoice]
        before = (invoice.claimed_minor, invoice.claims, dict(owners))
        verdict = rules.judge(one, invoice=invoice, owners=owners)
        if verdict.code:
            assert before == (invoice.claimed_minor, invoice.claims, owners)
            taken = [other for other in granted if other.marks.invoice == one.marks.invoice]
            stolen = any(
                set(other.marks.documents) & set(one.marks.documents)
                for other in granted
                if other.marks.invoice != one.marks.invoice
            )
            free = taken[0].face_minor - sum(other.amount_minor for other in taken) if taken else one.face_minor
            assert stolen or not free or free < one.amount_minor or taken[0].face_minor != one.face_minor
        else:
            granted.append(one)
        assert invoice.claimed_minor <= max(invoice.face_minor, 0)
    for mark, invoice in invoices.items():
        shares = [one for one in granted if one.marks.invoice == mark]
        assert (invoice.claimed_minor, invoice.claims) == (sum(one.amount_minor for one in shares), len(shares))
        assert len({one.face_minor for one in shares}) <= 1


@given(st.integers(1, 10**15), st.integers(1, 10**15))
@example(10**6, 1_025_000)
@example(10**6, 1_025_001)
@example(100, 5_102)
def test_near_is_two_percent_and_a_fee(one: int, other: int) -> None:
    """From either side the same, to a minor unit."""
    low, high = sorted((one, other))
    near = high <= low + low * 2 // 100 + 5_000
    least, most = rules.near_amounts(one)
    distance = min(abs(other - least), abs(other - most))
    assert (least <= other <= most) == near or distance <= 1


def test_what_is_near_depends_on_what_they_share() -> None:
    """One delivery is one debt at any price."""
    assert rules.reach("delivery_note", 5) == (0, rules.MOST_MINOR)
    assert {rules.reach(kind, 500_000) for kind in ("terms", "number", "order", "contract")} == {(485_294, 515_000)}


def test_the_elder_is_known_by_its_birth() -> None:
    """Whatever kind of claim they are, and whoever is named first."""
    old, young = "icl_01h455vb4pex5vsknk084sn02q", "ast_01h455vb4pex5vsknk084sn03q"
    assert rules.elder(old, young) == rules.elder(young, old) == (old, young)


def test_too_many_questions() -> None:
    """The last one that is answered, and the first that is not."""
    rules.check_asked(rules.ASKED_A_DAY)
    with pytest.raises(TooManyQuestions) as refused:
        rules.check_asked(rules.ASKED_A_DAY + 1)
    assert refused.value.numbers == {"asked": rules.ASKED_A_DAY + 1, "most": rules.ASKED_A_DAY}


def test_faces_that_are_too_small() -> None:
    """An invoice is as large as any claim on it."""
    assert rules.face_faults(10, amount_minor=10, at="/x") == []
    (fault,) = rules.face_faults(9, amount_minor=10, at="/x")
    assert (fault.code, fault.pointer, fault.value) == ("invoice_face_too_small", "/x", 9)


@pytest.mark.parametrize("refusal", [rules.DuplicateReceivable, rules.FaceContradicted, rules.ExceedsInvoiceFace])
def test_refusals_are_explained(refusal: type[rules.DuplicateReceivable]) -> None:
    """Each code has its words."""
    fault = rules.refusal_fault(refusal.code, at="/items/3", value="N-1")
    assert (fault.code, fault.pointer, fault.value) == (refusal.code, "/items/3", "N-1")
    assert fault.message
