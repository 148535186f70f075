"""A few weeks of an exchange: everything that a pack has to carry happens at least once."""

from datetime import timedelta
from hashlib import sha256
from typing import Any

from tests.exchange.house import Client, House, mandate, receivable
from tests.exchange.settlement.book import FACE_MINOR, buy, credit, dated, fresh, note, pay, results
from tests.exchange.title.deeds import encumber, split, transfer

HIDDEN_NUMBER = "HIDDEN-INVOICE"
"""An invoice's number that only its holder may know."""

SHARED_NUMBER = "SHARED-INVOICE"
"""The number of an invoice of which two funders hold parts."""
PARTS = (300_000, 700_000)
MIDDLE = "CN44-middle"
"""Who had that invoice after its seller and before the funders."""

PERSON = "110101199003071234"
"""A controller's national id, which nobody may know."""


def live(house: House) -> None:
    """Two funders buy, one refuses what the other then takes; money comes, in part, in full, late, and astray."""
    house.add_funder("Rival")
    partly, paid = buy(
        house, owed("A-1", "CN11") | in_instalments(house), owed("A-2", "CN11"), funder=0, min_tenor_days=40
    )
    house.submit(controlled("C-1"))
    buy(house, owed("B-1", "CN22"), funder=1, days=59, base_rate_bps=599)  # the first funder would take it dearer
    late, credited = buy(house, fresh(), fresh(), funder=0, days=3)
    pay(house, (partly, FACE_MINOR // 3), (paid, FACE_MINOR), ("who knows", 4_711))
    credit(house, note(credited, 50_000, on=house.today, reason="quality"))
    change_hands(house)
    share(house)
    house.submit(receivable("UNCONFIRMED", confirmation=None, issue_date=house.today.isoformat()))
    house.move(22, 30, days=30)
    pay(house, (late, 20_000))


def owed(number: str, customer: str) -> dict[str, Any]:
    """A receivable on a customer by that name, from a seller of its own."""
    parties = {role: {"scheme": "platform", "value": f"{customer}-{role}"} for role in ("seller", "obligor")}
    return fresh(**parties) | {"invoice_number": number}


def in_instalments(house: House) -> dict[str, Any]:
    """Two instalments of what is submitted tomorrow and due 60 days later."""
    first = house.today + timedelta(days=31)
    every = {"unit": "days", "length": 30}
    return {"schedule": {"generate": {"first_due_date": first.isoformat(), "count": 2, "every": every}}}


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


def share(house: House) -> None:
    """Two funders buy parts of a receivable that was handed on; each has it encumbered, filed and acknowledged."""
    house.move(9, days=1)
    wanted = {"min_tenor_days": 37, "max_tenor_days": 37, "auto_commit": True}
    for funder, face_minor in zip(house.funders, PARTS, strict=True):
        terms = wanted | {"min_face_minor": face_minor, "max_face_minor": face_minor}
        funder.post("/v1/mandates", mandate(**terms))
    (root,) = house.submit(owed(SHARED_NUMBER, "CN44") | dated(house, days=37))
    assert transfer(house, root, MIDDLE)["hop"] == 1
    own, other = split(house.platform, root, *PARTS)
    house.move(10, 30)
    house.move(14, 30)
    for name, funder, part in zip(names(house), house.funders, (own, other), strict=True):
        assert encumber(funder, part, 10_000, beneficiary=f"Bank of {name}")["status"] == 201
        keep_papers(house, funder, part, name)
    split(house.funders[0], own, 120_000, 180_000)
    pay(house, (root, 60_000), (other, 40_000))


def names(house: House) -> list[str]:
    """By what a funder's own doings are known in this world."""
    return [f"doings {funder_id[-8:]}" for funder_id in house.funder_ids]


def keep_papers(house: House, funder: Client, asset_id: str, name: str) -> None:
    """A part's notice is acknowledged, its assignment filed."""
    today = house.today.isoformat()
    filed = {"asset_id": asset_id, "number": f"filed {name}", "filed_date": today, "expires_date": "2027-01-01"}
    assert results(funder.post("/v1/filings", {"items": [filed]}))[0]["status"] == 201
    (notice_id,) = (
        one["notice_id"]
        for one in funder.get("/v1/notices?state=open&limit=1000")["items"]
        if funder.get(f"/v1/notices/{one['notice_id']}")["asset_ids"] == [asset_id]
    )
    given = {"acknowledged_date": today, "evidence": evidence(name)}
    house.platform.post(f"/v1/notices/{notice_id}/acknowledgement", given)


def evidence(name: str) -> str:
    """The digest of what an obligor signed."""
    return sha256(name.encode()).hexdigest()
