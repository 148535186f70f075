"""What tests of money need: an exchange of their own, assets bought, lines paid, credit notes sent, books read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from exchange import books, embedded
from exchange.currencies import commodity
from exchange.services import open_services
from exchange.settings import Settings
from ledger.books.tables import accounts, balances
from tests.conftest import TEMPLATE
from tests.exchange.house import House, closing, mandate, open_house, receipt, receivable

FACE_MINOR = 1_000_000
PRICE_MINOR = 891_000
DISCOUNT_MINOR = 9_000
HOLDBACK_MINOR = 100_000
"""What `buy` makes of a face of 1,000,000: 90 % advanced, less 6 % a year for 60 of 360 days."""

_numbers = count(1)
_databases = count(1)


@contextmanager
def own_house(server_url: str, home: Path, *, funders: int = 1) -> Iterator[House]:
    """An exchange on a database of its own, for a whole module of tests."""
    name = f"money_{os.getpid()}_{next(_databases)}"
    url = embedded.create_database(server_url, name, template=TEMPLATE)
    with closing(open_services(Settings(home=home, database_url=url, seed=7, virtual_clock=True))) as services:
        yield open_house(services, funders=funders)
    embedded.drop_database(server_url, name)


def fresh(**changes: object) -> dict[str, Any]:
    """A submission of today, due in 60 days, of a seller and an obligor that nothing else has."""
    number = next(_numbers)
    parties = {role: {"scheme": "platform", "value": f"{role}-{number}"} for role in ("seller", "obligor")}
    return receivable(f"FRESH-{number}", **(parties | changes))


def dated(house: House, *, days: int = 60) -> dict[str, Any]:
    """The dates of a submission that is issued and confirmed today and due `days` later."""
    today = house.today
    confirmation = {"grade": "explicit", "confirmed_date": today.isoformat()}
    due = date.fromordinal(today.toordinal() + days)
    return {"issue_date": today.isoformat(), "due_date": due.isoformat(), "confirmation": confirmation}


def buy(house: House, *items: dict[str, Any], funder: int = 0, days: int = 60, **terms: object) -> list[str]:
    """Submit the items tomorrow, due `days` later, and let a funder buy them the same day."""
    house.move(9, days=1)
    house.deposit(funder, 10**9)
    # That tenor and no other: free assets of other tests stay free.
    wanted: dict[str, object] = {"min_tenor_days": days, "max_tenor_days": days, "advance_bps": 9_000}
    wanted["auto_commit"] = True
    house.funders[funder].post("/v1/mandates", mandate(**(wanted | terms)))
    asset_ids = house.submit(*(item | dated(house, days=days) for item in items))
    house.move(10, 30)
    house.move(14, 30)
    assert {asset(house, one)["claim"] for one in asset_ids} == {"assigned"}
    return asset_ids


def asset(house: House, asset_id: str) -> dict[str, Any]:
    """An asset as the operator sees it."""
    shown: dict[str, Any] = house.operator.get(f"/v1/assets/{asset_id}")
    return shown


def pay(house: House, *lines: tuple[str, int], currency: str = "CNY") -> list[dict[str, Any]]:
    """Enter bank lines of today, each a reference and an amount; what became of them."""
    items = [receipt(reference, amount, value_date=house.today, currency=currency) for reference, amount in lines]
    return results(house.operator.post("/v1/receipts", {"items": items}))


def note(asset_id: str, amount_minor: int, *, on: date, **changes: object) -> dict[str, Any]:
    """A credit note with a number of its own."""
    number = f"CN-{next(_numbers)}"
    item = {"asset_id": asset_id, "number": number, "amount_minor": amount_minor, "reason": "return"}
    return item | {"issue_date": on.isoformat()} | changes


def credit(house: House, *notes: dict[str, Any]) -> list[dict[str, Any]]:
    """Send credit notes; what became of them."""
    return results(house.platform.post("/v1/credit-notes", {"items": list(notes)}))


def results(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of a bulk request."""
    items: list[dict[str, Any]] = answer["items"]
    assert [item["index"] for item in items] == list(range(len(items)))
    return items


def seller_of(house: House, asset_id: str) -> str:
    """The seller's company id."""
    query = text("SELECT seller_id FROM receivable WHERE asset_id = :id")
    with house.services.database.transaction() as session:
        return str(session.execute(query, {"id": asset_id}).scalar_one())


def rows(house: House, statement: str, **parameters: object) -> list[Any]:
    """What a query finds."""
    with house.services.database.transaction() as session:
        return list(session.execute(text(statement), parameters).all())


def balance(house: House, path: str, unit: str = "CNY/2") -> int:
    """A balance, 0 for an account that is not open yet."""
    return all_balances(house).get((path, unit), 0)


def all_balances(house: House) -> dict[tuple[str, str], int]:
    """Every balance of the books by path and commodity."""
    query = select(accounts.c.path, accounts.c.commodity, balances.c.balance_minor).join(
        balances, balances.c.account_id == accounts.c.account_id
    )
    with house.services.database.transaction() as session:
        return {(path, unit): amount for path, unit, amount in session.execute(query)}


def check_conserved(house: House, *, currency: str = "CNY") -> None:
    """All money is somebody's: cash, reserved and unapplied money sum to what the bank holds, debts to nothing."""
    house.check()
    money = {path: amount for (path, unit), amount in all_balances(house).items() if unit == commodity(currency)}
    debts = sum(amount for path, amount in money.items() if path.endswith("/recourse"))
    held = {path: amount for path, amount in money.items() if path.endswith(("/cash", "/reserved", "/paying", "/fees"))}
    assert min(held.values(), default=0) >= 0
    assert money.get(books.UNAPPLIED, 0) >= 0
    assert sum(held.values()) + money.get(books.UNAPPLIED, 0) + money.get(books.BANK, 0) == 0
    assert debts == 0
    assert sum(money.values()) == 0
