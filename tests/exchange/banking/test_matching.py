"""Which items a line pays: every awkward case by example, and laws that hold for any lines and items."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.banking import names
from exchange.banking.matching import Allocation, OpenItem, Payer, Proposal, Tolerance, match
from exchange.banking.statement import Line
from tests.exchange.banking.files import DAY

PAYERS = [
    Payer("com_a", ("Ningbo New Plastics Co., Ltd.", "宁波新塑料有限公司"), ("6228 0001",)),
    Payer("com_b", ("Sunrise GmbH",), ("DE89",)),
    Payer("com_c", ("Twin Ltd",)),
    Payer("com_d", ("TWIN LIMITED",)),
]


def item(number: int, amount: int, *, payer: str = "com_a", currency: str = "CNY", days: int = 0) -> OpenItem:
    """An open item called INV-2026/00n, due n days after the first."""
    references = (f"ast_{number:026d}", f"INV-2026/{number:03d}")
    return OpenItem(f"ast_{number:026d}", payer, currency, amount, DAY + timedelta(days=days or number), references)


def line(amount: int, **said: Any) -> Line:  # noqa: ANN401 - any field
    """A line over `amount`."""
    base: dict[str, Any] = {
        "booking_date": DAY,
        "value_date": DAY,
        "currency": "CNY",
        "where": "1",
        "bank_reference": "B",
    }
    return Line(amount_minor=amount, **(base | said))


def only(one: Line, items: list[OpenItem], tolerance: Tolerance = Tolerance()) -> Proposal:  # noqa: B008 - immutable
    """The proposal for a single line."""
    (proposal,) = match([one], items=items, payers=PAYERS, tolerance=tolerance)
    return proposal


def paid(proposal: Proposal) -> list[tuple[int, int]]:
    """Which items, by number, with how much."""
    return [(int(one.item_id[4:]), one.amount_minor) for one in proposal.allocations]


ITEMS = [item(1, 100), item(2, 250), item(3, 400), item(4, 250, payer="com_b")]
BY_ACCOUNT = {"counterparty_account": "62280001"}


ACCOUNT, NAME, REFERENCE = "payer_account", "payer_name", "reference"
STRANGER = {"counterparty_name": "Stranger"}
AWKWARD = [
    (line(100, remittance="payment inv 2026 001, thanks"), [(1, 100)], [REFERENCE]),
    (line(100, references=("inv2026-001",)), [(1, 100)], [REFERENCE]),
    (line(500, remittance="INV-2026/003 and INV-2026/001"), [(3, 400), (1, 100)], [REFERENCE]),
    (line(40, remittance="ＩＮＶ－２０２６／００１"), [(1, 40)], [REFERENCE, "partial"]),
    (line(130, remittance="INV-2026/001"), [(1, 100)], [REFERENCE, "overpaid"]),
    (line(250, remittance="INV-2026/004", **BY_ACCOUNT), [(4, 250)], [REFERENCE, "paid_by_another"]),
    (line(400, **BY_ACCOUNT), [(3, 400)], [ACCOUNT, "amount"]),
    (line(750, **BY_ACCOUNT), [(1, 100), (2, 250), (3, 400)], [ACCOUNT, "all_open"]),
]
DOUBTFUL = [
    (
        line(300, remittance="INV-2026/001 INV-2026/002"),
        [(1, 100), (2, 200)],
        [REFERENCE, "short_of_those_named", "partial"],
    ),
    (line(400, counterparty_name="宁波新塑料"), [(3, 400)], [NAME, "amount"]),
    (line(350, **BY_ACCOUNT), [(1, 100), (2, 250)], [ACCOUNT, "oldest_first"]),
    (line(650, **BY_ACCOUNT), [(2, 250), (3, 400)], [ACCOUNT, "sum_of_items"]),
    (line(120, **BY_ACCOUNT), [(1, 100), (2, 20)], [ACCOUNT, "oldest_first_partly", "partial"]),
    (line(900, **BY_ACCOUNT), [(1, 100), (2, 250), (3, 400)], [ACCOUNT, "oldest_first_partly", "overpaid"]),
    (line(400, **STRANGER), [(3, 400)], ["amount_alone"]),
    (line(250, **STRANGER), [], ["payer_unknown"]),
    (line(100, counterparty_name="Twin Ltd", currency="USD"), [], ["payer_unknown"]),
    (line(100, currency="USD", **BY_ACCOUNT), [], ["payer_owes_nothing"]),
]


@pytest.mark.parametrize("certain", [True, False])
def test_awkward_cases(*, certain: bool) -> None:
    """What is paid, whether somebody has to look, and why."""
    for one, allocations, reasons in AWKWARD if certain else DOUBTFUL:
        proposal = only(one, ITEMS)
        assert (paid(proposal), proposal.certain, list(proposal.reasons)) == (allocations, certain, reasons)
        assert proposal.unapplied_minor == one.amount_minor - sum(amount for _, amount in allocations)


def test_a_little_may_be_missing() -> None:
    """Within both bounds the rest is written off; the smaller bound decides; without a reference somebody looks."""
    tolerance = Tolerance(minor=5, bps=200)
    named = only(line(397, remittance="INV-2026/003"), ITEMS, tolerance)
    assert named.allocations == (Allocation(item(3, 1).item_id, 397, 3),)
    assert (named.certain, named.reasons) == (True, ("reference", "short_within_tolerance"))
    assert only(line(97, remittance="INV-2026/001"), ITEMS, tolerance).reasons == ("reference", "partial")
    near = only(line(398, **BY_ACCOUNT), ITEMS, tolerance)
    assert (near.allocations[0].write_off_minor, near.certain) == (2, False)


def test_one_reference_of_two_debtors() -> None:
    """Two sellers may count alike: the payer decides, or a person."""
    same = [item(1, 100), OpenItem("ast_x", "com_b", "CNY", 100, DAY, ("INV-2026/001",))]
    assert not only(line(100, remittance="INV-2026/001"), same).certain
    known = only(line(100, remittance="INV-2026/001", **BY_ACCOUNT), same)
    assert (paid(known), known.certain) == ([(1, 100)], True)


def test_several_alike_are_a_guess() -> None:
    """Two items of the same amount: the older one is proposed."""
    alike = [item(1, 100), item(2, 100)]
    assert (paid(only(line(100, **BY_ACCOUNT), alike)), only(line(100, **BY_ACCOUNT), alike).certain) == (
        [(1, 100)],
        False,
    )


def test_many_lines_for_one_item() -> None:
    """Two halves pay it; the third has nothing left to pay."""
    halves = [line(50, bank_reference=name, remittance="INV-2026/001") for name in ("1", "2", "3")]
    first, second, third = match(halves, items=[item(1, 100)], payers=PAYERS)
    assert (paid(first), paid(second), paid(third)) == ([(1, 50)], [(1, 50)], [])
    assert third.kind == "unmatched"


def test_duplicates_reversals_and_money_out() -> None:
    """A known line is a duplicate; money that goes back names the line it came with."""
    came = line(100, bank_reference="B1", remittance="INV-2026/001", end_to_end_id="E1")
    gone = line(-100, bank_reference="B2", end_to_end_id="E1", is_reversal=True)
    fee = line(-7, bank_reference="B3")
    found = match([fee, gone, came, came], items=ITEMS, payers=PAYERS, known_references=frozenset({"B0"}))
    assert [(one.kind, one.certain) for one in found] == [
        ("payment", True), ("duplicate", True), ("reversal", True), ("unmatched", False),
    ]  # fmt: skip
    assert found[2].reverses == "B1"
    twice = [came, line(100, bank_reference="B4", end_to_end_id="E1"), gone]
    assert [one.reverses for one in match(twice, items=ITEMS, payers=PAYERS) if one.kind == "reversal"] == [None]
    known = match([came], items=ITEMS, payers=PAYERS, known_references=frozenset({"B1"}))
    assert known[0].kind == "duplicate"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Ningbo New Plastics Co., Ltd.", "NINGBO NEW PLASTICS"),
        ("宁波新塑料股份有限公司", "宁波新塑料"),
        ("Sunrise GmbH & Co. KG", "ＳＵＮＲＩＳＥ"),
        ("Ltd", "LTD."),
    ],
)
def test_names_of_one_company(left: str, right: str) -> None:
    """Legal form, case, width and punctuation tell no companies apart."""
    assert names.company(left) == names.company(right) != ""


numbers = st.integers(1, 6)
many_items = st.lists(
    st.builds(item, numbers, st.integers(1, 60), payer=st.sampled_from(["com_a", "com_b"])),
    max_size=6,
    unique_by=lambda one: one.item_id,
)
many_lines = st.lists(
    st.builds(
        line,
        st.integers(-30, 120),
        bank_reference=st.text("0123456789", min_size=1, max_size=3),
        remittance=numbers.map(lambda number: f"for INV-2026/{number:03d}") | st.just(""),
        counterparty_account=st.sampled_from(["62280001", "DE89", ""]),
        booking_date=st.sampled_from([DAY, date(2026, 3, 4)]),
    ),
    max_size=6,
    unique_by=lambda one: one.bank_reference,
)


@settings(max_examples=400)
@given(
    lines=many_lines,
    items=many_items,
    tolerance=st.builds(Tolerance, st.integers(0, 5), st.integers(0, 2000)),
    data=st.data(),
)
def test_laws(lines: list[Line], items: list[OpenItem], tolerance: Tolerance, data: st.DataObject) -> None:
    """Each line is answered once and spent to the unit, no item is overpaid, and no order changes anything."""
    found = match(lines, items=items, payers=PAYERS, tolerance=tolerance)
    assert sorted(one.line.bank_reference for one in found) == sorted(one.bank_reference for one in lines)
    used: dict[str, int] = {}
    for one in found:
        assert sum(part.amount_minor for part in one.allocations) + one.unapplied_minor == one.line.amount_minor
        for part in one.allocations:
            assert part.amount_minor > 0
            used[part.item_id] = used.get(part.item_id, 0) + part.amount_minor + part.write_off_minor
        forgiven = sum(part.write_off_minor for part in one.allocations)
        assert forgiven <= tolerance.minor
    owed = {one.item_id: one.outstanding_minor for one in items}
    assert all(amount <= owed[name] for name, amount in used.items())
    shuffled = match(
        data.draw(st.permutations(lines)), items=data.draw(st.permutations(items)), payers=PAYERS, tolerance=tolerance
    )
    assert shuffled == found
