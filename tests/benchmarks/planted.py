"""Planted fraud: of the synthetic books of several seeds, the recall and the precision of each pattern's worst book.

Floors are what is promised: recall 95 %, precision 80 %. Copies are looked for with the papers behind an invoice and
without. `figures` of one book is also what the tests of fraud hold against the same floors.
"""

from dataclasses import replace
from datetime import date
from typing import Any

from exchange.replay.rows import ReplayRow
from exchange.replay.synthetic import make_book
from scoring.copies import Invoice, copies
from scoring.fraud import Edge, cycles, self_dealing, shared_control
from tests.benchmarks.report import Result

EPOCH = date(1970, 1, 1)
START = date(2026, 3, 2)
SEEDS = range(21, 27)
RECALL, PRECISION = 0.95, 0.8


def measure() -> list[Result]:
    """The worst recall and the worst precision of each pattern over the seeds."""
    books = [figures(make_book(seed=seed, start=START)) for seed in SEEDS]
    results = []
    for pattern in books[0]:
        for at, (what, floor) in enumerate((("recall", RECALL), ("precision", PRECISION))):
            worst = min(book[pattern][at] for book in books)
            results.append(Result(f"{pattern} {what}", worst * 100, "%", floor * 100, worst / floor, 1.0))
    return results


def figures(book: list[ReplayRow]) -> dict[str, tuple[float, float]]:
    """Recall and precision of each pattern in one book; a copy is found only with its original."""
    copied = [row.hidden for row in book if row.hidden.get("plant", "").startswith("duplicate")]
    invoices = [invoice_of(row) for row in book]
    found = {}
    for name, told, sought in (
        ("duplicates", invoices, ({"number"}, {"duplicate_exact", "duplicate_renumbered"})),
        ("near duplicates", invoices, ({"paper", "likeness"}, {"duplicate_near"})),
        ("copies, no papers", [replace(one, papers=frozenset()) for one in invoices], None),
    ):
        caught, hidden = copies(told), copied
        if sought:
            caught = [copy for copy in caught if copy.how in sought[0]]
            hidden = [one for one in copied if one["plant"] in sought[1]]
        found[name] = quality(
            {(copy.reference, copy.of) for copy in caught}, planted={(one["ref"], one["of"]) for one in hidden}
        )
    return found | {"cycles": _cycles(book), "rings": _rings(book)}


def invoice_of(row: ReplayRow) -> Invoice:
    """A row as it can be compared when it is submitted."""
    return Invoice(
        day=(row.submitted_date - EPOCH).days,
        reference=row.hidden["ref"],
        seller=row.seller.value,
        buyer=row.obligor.value,
        number=row.invoice_number,
        face_minor=row.face_minor,
        issue_day=(row.issue_date - EPOCH).days,
        due_day=(row.due_date - EPOCH).days,
        papers=frozenset(paper.sha256 for paper in row.documents),
    )


def quality(found: set[Any], *, planted: set[Any]) -> tuple[float, float]:
    """Recall and precision."""
    hits = len(found & planted)
    return hits / len(planted), hits / max(len(found), 1)


def _cycles(book: list[ReplayRow]) -> tuple[float, float]:
    """The trades of the ring lie on cycles, and hardly any other trade does."""
    edges = {
        row.hidden["ref"]: Edge((row.issue_date - EPOCH).days, row.seller.value, row.obligor.value, row.face_minor)
        for row in book
        if not row.hidden.get("plant", "").startswith("duplicate")
    }
    on_cycles = {edge for cycle in cycles(edges.values()) for edge in cycle.edges}
    planted = {row.hidden["ref"] for row in book if row.hidden.get("plant") == "ring"}
    return quality({ref for ref, edge in edges.items() if edge in on_cycles}, planted=planted)


def _rings(book: list[ReplayRow]) -> tuple[float, float]:
    """Who trades inside one controller's group is the ring, all of it and hardly anybody else."""
    companies = {company for row in book for company in (row.seller, row.obligor)}
    groups = shared_control(
        (company.value, f"controller:{company.controller}") for company in companies if company.controller
    )
    dealing = self_dealing(((row.seller.value, row.obligor.value) for row in book), groups=groups)
    ring = {company.value for row in book if row.hidden.get("plant") == "ring" for company in (row.seller, row.obligor)}
    return quality({company for pair in dealing for company in pair}, planted=ring)
