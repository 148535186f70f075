"""The planted book brought in over HTTP: what the house says of it against the truth that only the book knows."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from exchange.replay import wire
from exchange.replay.rows import ReplayRow
from exchange.replay.synthetic import make_book
from tests.benchmarks.planted import PRECISION, RECALL, START, quality
from tests.exchange.house import House
from tests.exchange.premises import premises

SIZE = {"receivables": 800, "days": 45, "history": 200, "history_days": 60}
Found = dict[str, set[Any]]


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house in which nothing falls due by itself."""
    with premises(server_url, tmp_path_factory.mktemp("home")) as house:
        house.only()
        yield house


def test_what_is_planted_is_flagged(house: House) -> None:
    """Copies refused or flagged with their original, trades of a cycle, companies of a ring: at the floors promised."""
    book = [row for row in make_book(seed=31, start=START, **SIZE) if row.submitted_date >= START]
    # All of it is brought in on one day, when everything was issued; what copies something, after what it copies.
    house.move(9, days=(max(row.submitted_date for row in book) - house.today).days)
    book.sort(key=lambda row: "of" in row.hidden)
    first = sum("of" not in row.hidden for row in book)
    assets, refused = _brought(house, (book[:first], book[first:]), on=house.today)
    found, planted = _flagged(house, assets, refused), _planted(book)
    for pattern, truth in planted.items():
        assert len(truth) >= 3, pattern
        recall, precision = quality(found[pattern], planted=truth)
        assert recall >= RECALL, pattern
        assert precision >= PRECISION, pattern


def _brought(
    house: House, parts: Sequence[list[ReplayRow]], *, on: date
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Submit the rows, each confirmed; the ref of each asset, and the codes of what was refused at the door."""
    assets: dict[str, str] = {}
    refused: dict[str, list[str]] = {}
    for minute, part in enumerate(parts):
        house.move(9, minute)  # of two that are alike the elder is the one that came at an earlier moment
        batch = [replace(row, confirmed_date=on, submitted_date=on, confirmation_grade="explicit") for row in part]
        answer = house.platform.post("/v1/receivables", {"items": [wire.submission(row) for row in batch]})
        for row, item in zip(batch, answer["items"], strict=True):
            if item["status"] == 201:
                assets[item["asset_id"]] = row.hidden["ref"]
            else:
                refused[row.hidden["ref"]] = [fault["code"] for fault in item["errors"]]
    house.run()
    return assets, refused


def _planted(rows: list[ReplayRow]) -> Found:
    """The truth: copies by ref, the trades of the ring, and who is in it."""
    truth: Found = {"duplicates": set(), "near duplicates": set(), "cycles": set(), "rings": set()}
    for row in rows:
        plant, ref = row.hidden.get("plant", ""), row.hidden["ref"]
        if plant in {"duplicate_exact", "duplicate_renumbered"}:
            truth["duplicates"].add(ref)
        elif plant == "duplicate_near":
            truth["near duplicates"].add((ref, row.hidden["of"]))
        elif plant == "ring":
            truth["cycles"].add(ref)
            truth["rings"] |= {row.seller.value, row.obligor.value}
    return truth


def _flagged(house: House, assets: dict[str, str], refused: dict[str, list[str]]) -> Found:
    """What the house says: refusals at the door, and findings of its screening."""
    items: list[dict[str, Any]] = []
    for kind in ("near_duplicate", "cycle", "self_dealing"):
        after = ""
        while after is not None:
            page = house.operator.get(f"/v1/reviews?kind={kind}&limit=1000" + (after and f"&after={after}"))
            items, after = items + page["items"], page["next"]
    of = {kind: [one for one in items if one["kind"] == kind] for kind in ("near_duplicate", "cycle", "self_dealing")}
    with house.services.database.transaction() as session:
        rows = session.execute(text("SELECT company_id, value FROM company"))
        names = {row.company_id: row.value for row in rows}
    return {
        "duplicates": {ref for ref, codes in refused.items() if "duplicate_receivable" in codes},
        "near duplicates": {
            (assets[one["asset_id"]], assets[one["evidence"]["known"]]) for one in of["near_duplicate"]
        },
        "cycles": {assets[one["asset_id"]] for one in of["cycle"]},
        "rings": {
            names[who] for one in of["self_dealing"] for who in (one["company_id"], one["evidence"]["seller_id"])
        },
    }
