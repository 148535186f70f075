"""Another platform's program, which blinds its invoices as the contract says, and what the tables have to add up to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import text

from exchange.duplicates.marks import Paper, marks_of
from tests.exchange.house import Client, House, make_key, public_jwk, receivable

USCC = "91310000132219821A"
SELLER = {"scheme": "uscc", "value": USCC}
OBLIGOR = {"scheme": "lei", "value": "529900T8BM49AURSDO55"}

WRONG = text("""
    SELECT invoice_id FROM invoice LEFT JOIN (
        SELECT invoice_id, sum(amount_minor) FILTER (WHERE state <> 'released') AS taken, count(*) AS made
        FROM invoice_claim GROUP BY invoice_id
    ) AS claim USING (invoice_id)
    WHERE claimed_minor <> coalesce(taken, 0) OR claims <> coalesce(made, 0) OR claimed_minor > face_minor
""")
"""Invoices whose row does not say what its claims say, or that were sold for more than there is."""


@dataclass(slots=True)
class Partner:
    """A platform that shows us marks and amounts, never an invoice."""

    client: Client
    partner_id: str
    group_key: bytes

    def blind(self, item: dict[str, Any], **changes: object) -> dict[str, Any]:
        """An invoice, described like a submission, as this partner sends it."""
        item = item | changes
        paper = Paper(
            self._company(item["seller"]),
            self._company(item["obligor"]),
            item["invoice_number"],
            item["currency"],
            date.fromisoformat(item["issue_date"]),
            date.fromisoformat(item["due_date"]),
            tuple((document["kind"], document["sha256"]) for document in item.get("documents", ())),
        )
        marks = marks_of(paper, group_key=self.group_key)
        return {
            "invoice": marks.invoice.hex(),
            "currency": item["currency"],
            "invoice_face_minor": item.get("invoice_face_minor", item["face_minor"]),
            "amount_minor": item["face_minor"],
            "documents": [mark.hex() for mark in marks.documents],
            "similar": [{"kind": kind, "mark": mark.hex()} for kind, mark in marks.similar],
        }

    def claim(self, *items: dict[str, Any]) -> list[dict[str, Any]]:
        """Results of one bulk claim."""
        return list(self.client.post("/v1/invoice-claims", {"items": [self.blind(item) for item in items]})["items"])

    def check(self, *items: dict[str, Any]) -> list[dict[str, Any]]:
        """Results of one bulk question."""
        return list(self.client.post("/v1/duplicate-checks", {"items": [self.blind(item) for item in items]})["items"])

    def release(self, claim_id: str, reason: str = "cancelled") -> None:
        """End a claim."""
        self.client.post(f"/v1/invoice-claims/{claim_id}/release", {"reason": reason})

    def _company(self, company: dict[str, str]) -> tuple[str, str, str]:
        namespace = self.partner_id if company["scheme"] == "platform" else ""
        return company["scheme"], namespace, company["value"]


def add_partner(house: House, name: str) -> Partner:
    """Enter another platform; it fetches the group's key itself."""
    key = make_key(name)
    entered = house.operator.post("/v1/partners", {"name": name, "public_jwk": public_jwk(key)})
    client = Client(house.app.test_client(), entered["client_id"], key)
    shown = client.get("/v1/duplicates/key")
    assert shown["namespace"] == entered["partner_id"]
    return Partner(client, entered["partner_id"], bytes.fromhex(shown["key"]))


def invoice(number: str, **changes: object) -> dict[str, Any]:
    """An invoice of a seller that every platform knows by the same number; not confirmed."""
    return receivable(number, **({"seller": SELLER, "obligor": OBLIGOR, "confirmation": None} | changes))


def document(content: str, kind: str = "invoice") -> dict[str, str]:
    """A document by its digest."""
    return {"kind": kind, "sha256": content.encode().hex().rjust(64, "0")}


def check_sums(house: House) -> None:
    """Every invoice's row says what its claims say, and none is claimed beyond its face."""
    with house.services.database.transaction() as session:
        assert session.execute(WRONG).all() == []


def codes(results: Sequence[dict[str, Any]]) -> list[str | None]:
    """The code of each refusal, None where there is none."""
    return [result["errors"][0]["code"] if "errors" in result else None for result in results]
