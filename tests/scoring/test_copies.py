"""Planted fraud with known truth is found: copies in three disguises, round trips, rings; honest trade is let be."""

from dataclasses import replace
from datetime import date

import pytest

from exchange.replay.rows import ReplayRow
from exchange.replay.synthetic import make_book
from scoring.copies import Copy, Invoice, copies, plain_number
from scoring.fraud import Edge, cycles, self_dealing, shared_control

EPOCH = date(1970, 1, 1)
RECALL, PRECISION = 0.95, 0.8


@pytest.fixture(scope="module", params=[0, 1])
def book(request: pytest.FixtureRequest) -> list[ReplayRow]:
    """Return each of two synthetic books."""
    return make_book(seed=11 + int(request.param), start=date(2026, 3, 2))


def invoice_of(row: ReplayRow) -> Invoice:
    """Return a row as it can be compared when it is submitted."""
    return Invoice(
        day=(row.submitted_date - EPOCH).days,
        reference=row.hidden["ref"],
        seller=row.seller.value,
        buyer=row.obligor.value,
        number=row.invoice_number,
        face_minor=row.face_minor,
        due_day=(row.due_date - EPOCH).days,
        papers=frozenset(paper.sha256 for paper in row.documents),
    )


def quality(found: set[str], *, planted: set[str]) -> tuple[float, float]:
    """Return recall and precision."""
    hits = len(found & planted)
    return hits / len(planted), hits / max(len(found), 1)


@pytest.mark.parametrize("blind", [False, True], ids=["papers", "no papers"])
def test_planted_copies_are_found(book: list[ReplayRow], *, blind: bool) -> None:
    """Exact, renumbered and near copies, each kind, and each with its original; with papers known and without."""
    told = [invoice_of(row) for row in book]
    found = copies(replace(one, papers=frozenset()) for one in told) if blind else copies(told)
    planted = {row.hidden["ref"]: row.hidden for row in book if row.hidden.get("plant", "").startswith("duplicate")}
    for kind in ("duplicate_exact", "duplicate_renumbered", "duplicate_near"):
        of_kind = {reference for reference, hidden in planted.items() if hidden["plant"] == kind}
        named = {copy.reference for copy in found}
        assert quality(named, planted=of_kind)[0] >= RECALL, kind
    recall, precision = quality({copy.reference for copy in found}, planted={*planted})
    assert recall >= RECALL
    assert precision >= PRECISION
    right = [copy.of == planted[copy.reference]["of"] for copy in found if copy.reference in planted]
    assert sum(right) >= RECALL * len(right)


def test_planted_round_trips_are_found(book: list[ReplayRow]) -> None:
    """The trades of the ring lie on cycles; hardly any other trade does."""
    edges = {
        row.hidden["ref"]: Edge((row.issue_date - EPOCH).days, row.seller.value, row.obligor.value, row.face_minor)
        for row in book
        if not row.hidden.get("plant", "").startswith("duplicate")
    }
    on_cycles = {edge for cycle in cycles(edges.values()) for edge in cycle.edges}
    planted = {row.hidden["ref"] for row in book if row.hidden.get("plant") == "ring"}
    recall, precision = quality({ref for ref, edge in edges.items() if edge in on_cycles}, planted=planted)
    assert recall >= RECALL
    assert precision >= PRECISION


def test_planted_rings_are_found(book: list[ReplayRow]) -> None:
    """Who trades inside one controller's group is the ring, all of it and hardly anybody else."""
    companies = {company for row in book for company in (row.seller, row.obligor)}
    groups = shared_control(
        (company.value, f"controller:{company.controller}") for company in companies if company.controller
    )
    dealing = self_dealing(((row.seller.value, row.obligor.value) for row in book), groups=groups)
    ring = {company.value for row in book if row.hidden.get("plant") == "ring" for company in (row.seller, row.obligor)}
    recall, precision = quality({company for pair in dealing for company in pair}, planted=ring)
    assert recall >= RECALL
    assert precision >= PRECISION


FIRST = Invoice(10, "a", "s", "b", "XS-0042/7", 100_000, 40, frozenset({"note"}))


@pytest.mark.parametrize(
    "number", ["XS-0042/7", "xs00427", "00 XS.0042-7", "\uff38\uff33-\uff10\uff10\uff14\uff12/\uff17"]
)
def test_a_number_is_one_however_typed(number: str) -> None:
    """Case, separators, leading zeros and full width make no other number."""
    assert plain_number(number) == "XS00427"
    again = replace(FIRST, reference="b", day=12, number=number, buyer="other")
    assert copies([again, FIRST]) == [Copy("b", "a", "number")]


def test_what_is_no_copy() -> None:
    """Another seller or buyer, three days, one in a hundred, and other papers behind a standing order."""
    again = replace(FIRST, reference="b", number="77")
    assert copies([FIRST, again]) == [Copy("b", "a", "paper")]
    assert copies([FIRST, replace(again, papers=frozenset())]) == [Copy("b", "a", "likeness")]
    assert copies([FIRST, replace(again, face_minor=99_500, due_day=42)]) == [Copy("b", "a", "paper")]
    for other in (
        replace(again, seller="t"),
        replace(again, buyer="c"),
        replace(again, due_day=43),
        replace(again, face_minor=99_000),
        replace(again, papers=frozenset({"other"})),
    ):
        assert copies([FIRST, other]) == []
