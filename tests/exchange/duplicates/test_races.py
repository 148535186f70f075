"""Everybody at once: threads with connections of their own, batches that share invoices in other orders."""

from random import Random
from typing import Any

from exchange.duplicates import actions
from tests.exchange.duplicates.shared import Partner, add_partner, check_sums, document, invoice
from tests.exchange.house import House
from tests.exchange.receivables.shared import add_platform, at_once, submit, twin


def share(number: int, amount: int, paper: int | None = None) -> dict[str, Any]:
    """A part of an invoice of 100."""
    papers = [] if paper is None else [document(f"race paper {paper}")]
    return invoice(f"RACE-{number}-000", face_minor=amount, invoice_face_minor=100, documents=papers)


def test_batches_that_share_invoices(house: House) -> None:
    """Two originators and two partners ask for 40 of each of 60 invoices in orders of their own: two get it."""
    partners = [add_partner(house, f"Racing {number}") for number in range(2)]
    platforms = [twin(house, house.platform), add_platform(house, "Racing")]
    for platform in platforms:
        platform.token = platform.sign_in()

    def step(number: int) -> list[int]:
        order = list(range(60))
        Random(number).shuffle(order)
        items = [share(one, 40, one) for one in order]
        results = partners[number - 2].claim(*items) if number >= 2 else submit(platforms[number], items)
        return [result["status"] for _, result in sorted(zip(order, results, strict=True), key=lambda pair: pair[0])]

    for statuses in zip(*at_once(4, step), strict=True):
        assert sorted(statuses) == [201, 201, 409, 409]
    check_sums(house)


def test_claims_against_releases(house: House) -> None:
    """While two claim and release in bulk, two others claim: sums hold, nobody is stuck, nothing is lost."""
    partners = [add_partner(house, f"Releasing {number}") for number in range(4)]

    def step(number: int) -> int:
        chance, partner, granted = Random(number), partners[number], 0
        for _ in range(6):
            order = chance.sample(range(100, 120), 20)
            results = partner.claim(*(share(one, 60) for one in order))
            mine = [result["claim_id"] for result in results if result["status"] == 201]
            granted += len(mine)
            with house.services.database.transaction() as session:
                now = house.services.clock.now(session)
                chance.shuffle(mine)
                actions.reduce_claims(session, reductions=dict.fromkeys(mine[:3], 1))
            with house.services.database.transaction() as session:
                actions.release_claims(session, claim_ids=mine, now=now)
        return granted

    assert sum(at_once(4, step)) >= 20
    check_sums(house)
    (left,) = partners[0].claim(share(100, 1))
    assert left["status"] == 201


def test_one_document_under_many_numbers(house: House) -> None:
    """Four at once bring one paper under four numbers: one of them has it."""
    partners: list[Partner] = [add_partner(house, f"Paper {number}") for number in range(4)]
    for attempt in range(5):
        paper = 1_000 + attempt

        def step(number: int, paper: int = paper) -> int:
            (result,) = partners[number].claim(share(paper * 10 + number, 100, paper))
            return int(result["status"])

        assert sorted(at_once(4, step)) == [201, 409, 409, 409]
    check_sums(house)


def test_look_alikes_that_come_together_are_all_found(house: House) -> None:
    """Whatever the interleaving, after the work that follows every pair is on record, once."""
    partners = [add_partner(house, f"Alike {number}") for number in range(4)]
    note = [document("race note", "delivery_note")]

    def step(number: int) -> list[str]:
        items = [invoice(f"ALIKE-{number}{place}00", documents=note) for place in range(3)]
        return [partners[number].claim(item)[0]["claim_id"] for item in items]

    claim_ids = [claim_id for mine in at_once(4, step) for claim_id in mine]
    house.run()
    for claim_id in claim_ids:
        items = house.operator.get(f"/v1/clashes?claim_id={claim_id}")["items"]
        sides = [{one["known_id"], one.get("asked_id", "")} - {claim_id} for one in items]
        assert sorted(other for side in sides for other in side) == sorted(set(claim_ids) - {claim_id})
