"""A few weeks of an exchange: everything that a pack has to carry happens at least once."""

from typing import Any

from tests.exchange.house import House, mandate, receivable
from tests.exchange.settlement.book import FACE_MINOR, buy, credit, dated, fresh, note, pay

HIDDEN_NUMBER = "HIDDEN-INVOICE"
"""An invoice's number that only its holder may know."""


PERSON = "110101199003071234"
"""A controller's national id, which nobody may know."""


def live(house: House) -> None:
    """Two funders buy, one refuses what the other then takes; money comes, in part, in full, late, and astray."""
    house.add_funder("Rival")
    partly, paid = buy(house, *(owed(number, "CN11") for number in ("A-1", "A-2")), funder=0)
    house.submit(controlled("C-1"))
    buy(house, owed("B-1", "CN22"), funder=1, days=59)
    late, credited = buy(house, fresh(), fresh(), funder=0, days=3)
    pay(house, (partly, FACE_MINOR // 3), (paid, FACE_MINOR), ("who knows", 4_711))
    credit(house, note(credited, 50_000, on=house.today, reason="quality"))
    change_hands(house)
    house.submit(receivable("UNCONFIRMED", confirmation=None, issue_date=house.today.isoformat()))
    house.move(22, 30, days=30)
    pay(house, (late, 20_000))


def owed(number: str, customer: str) -> dict[str, Any]:
    """A receivable on a customer by that name, from a seller of its own."""
    parties = {role: {"scheme": "platform", "value": f"{customer}-{role}"} for role in ("seller", "obligor")}
    return fresh(**parties) | {"invoice_number": number}


def controlled(number: str) -> dict[str, Any]:
    """A receivable of a seller whose controller is known."""
    seller = {"scheme": "platform", "value": "controlled", "controller": {"national_id": PERSON}}
    return fresh(seller=seller) | {"invoice_number": number}


def change_hands(house: House) -> None:
    """An asset that the first funder was offered and refused, and the second then bought."""
    house.move(9, days=1)
    first, second = house.funders
    first.post("/v1/mandates", mandate(min_tenor_days=44, max_tenor_days=44))
    house.submit(owed(HIDDEN_NUMBER, "CN33") | dated(house, days=44))
    house.move(10, 30)
    offers = first.get("/v1/offers?state=open")["items"]
    assert len(offers) == 1
    first.post(f"/v1/offers/{offers[0]['offer_id']}/refusal", {"reason": "too dear"})
    second.post("/v1/mandates", mandate(min_tenor_days=43, max_tenor_days=43, auto_commit=True, rank=1))
    house.move(14, 30, days=1)
