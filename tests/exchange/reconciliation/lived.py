"""A small exchange with something of everything that is reconciled."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from exchange.reconciliation.rules import Kind
from tests.exchange.house import House, mandate, receipt, receivable
from tests.exchange.owner import as_owner
from tests.exchange.premises import premises
from tests.exchange.settlement.bank import camt, open_account, paid, send

OPENING_MINOR = 60_000_000


@contextmanager
def lived(server_url: str, home: Path) -> Iterator[House]:
    """Bought, paid in part, credited, split, paid off, offered; the bank's statement of all of it."""
    with premises(server_url, home) as house:
        open_account(house)
        bank(house, paid(OPENING_MINOR, house.deposit_references[0]))
        house.funders[0].post("/v1/mandates", mandate(auto_commit=True))
        items = [
            receivable(
                f"INV-{n}", face_minor=1_000_000 + n, obligor={"scheme": "platform", "value": f"obligor-{n % 3}"}
            )
            for n in range(6)
        ]
        assets = house.submit(*items)
        house.move(10)
        house.move(14, 1)
        bank(house, paid(300_000, assets[0]), paid(1_000_105, assets[5]), opening_minor=OPENING_MINOR)
        house.operator.post("/v1/receipts", {"items": [receipt(assets[1], 400_000, value_date=house.today)]})
        note = {"asset_id": assets[2], "number": "CN-1", "amount_minor": 5_000, "reason": "return"}
        house.platform.post("/v1/credit-notes", {"items": [note | {"issue_date": f"{house.today}"}]})
        parts = {"asset_id": assets[3], "amounts_minor": [600_000, 400_003]}
        house.funders[0].post("/v1/splits", {"items": [parts]})
        house.run()
        house.funders[0].post("/v1/mandates", mandate(auto_commit=False))
        house.submit(*(receivable(f"NEW-{n}", face_minor=2_000_000 + n) for n in range(2)))
        house.move(11, days=1)
        yield house


def bank(house: House, *entries: Any, opening_minor: int = 0) -> None:  # noqa: ANN401 - entries of the bank's
    """Enter a statement of today and match it."""
    response = send(house, camt(*entries, on=house.today, opening_minor=opening_minor))
    assert response.status_code == 201, response.text
    house.run()


def reconcile(house: House) -> dict[str, Any]:
    """Compare everything now; the finished run."""
    run_id = house.operator.post("/v1/reconciliations", {})["run_id"]
    house.run()
    shown: dict[str, Any] = house.operator.get(f"/v1/reconciliations/{run_id}")
    assert shown["finished_at"] is not None
    return shown


def own_breaks(house: House) -> list[dict[str, Any]]:
    """What the exchange's own rows say differently of one thing; what the bank's statements do not say is no matter."""
    reconcile(house)
    bank = {Kind.BANK_BALANCE, Kind.LINE_NOT_BOOKED, Kind.RECEIPT_IN_TRANSIT, Kind.PAYMENT_IN_TRANSIT}
    return [one for one in live(house) if one["kind"] not in bank]


def live(house: House, **asked: str) -> list[dict[str, Any]]:
    """The breaks that are not resolved."""
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    found = house.operator.get(f"/v1/breaks?limit=1000&{query}")["items"]
    return [one for one in found if one["state"] != "resolved"]


def tamper(house: House, *statements: str) -> None:
    """Change rows behind everybody's back: no trigger, no constraint of another table, minds."""
    with as_owner(house.services.database) as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            assert session.connection().exec_driver_sql(statement).rowcount, statement
