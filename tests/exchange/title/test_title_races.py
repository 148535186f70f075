"""Two hands on one title at the same moment: either order is right, and nothing is done twice or by halves."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.exchange.house import Client, House, mandate, receipt
from tests.exchange.pools.contention import at_once
from tests.exchange.pools.shared import invoice, twin
from tests.exchange.pools.soundness import claims, sound
from tests.exchange.rounds.steps import clear_round
from tests.exchange.settlement.book import FACE_MINOR, buy, fresh, note, results, rows
from tests.exchange.title.deeds import company, split

CLAIMS = "SELECT FROM claim FOR UPDATE"


def sender(house: House, client: Client, path: str, *items: dict[str, Any]) -> Callable[[], list[dict[str, Any]]]:
    """A party's program with some items."""
    own = twin(house, client)
    return lambda: results(own.post(path, {"items": list(items)}))


def halves(asset_id: str) -> dict[str, Any]:
    """A split of a whole asset in two."""
    return {"asset_id": asset_id, "amounts_minor": [FACE_MINOR // 2, FACE_MINOR - FACE_MINOR // 2]}


def test_two_splits_at_once(shared: House) -> None:
    """One of them is done."""
    (root,) = shared.submit(fresh())
    calls = [sender(shared, shared.platform, "/v1/splits", halves(root)) for _ in range(3)]
    statuses = sorted(answer[0]["status"] for answer in at_once(shared.services, CLAIMS, *calls))
    assert statuses == [201, 409, 409]
    assert rows(shared, "SELECT count(*) FROM claim WHERE parent_id = :id", id=root) == [(2,)]
    sound(shared)


def test_a_split_meets_a_round(shared: House) -> None:
    """What is offered is not split, and what is split is offered in parts."""
    shared.move(9, days=1)
    shared.deposit(0, 10**9)
    shared.funders[0].post("/v1/mandates", mandate(name="race", min_tenor_days=33, max_tenor_days=33))
    (root,) = shared.submit(invoice(shared, days=33))

    def clear() -> None:
        with shared.services.database.transaction() as session:
            clear_round(shared.services, session, {"fire_at": f"{shared.today}T01:30:00+00:00"})

    _, (result,) = at_once(shared.services, CLAIMS, clear, sender(shared, shared.platform, "/v1/splits", halves(root)))
    shared.run()
    assert claims(shared)[root] == ("split" if result["status"] == 201 else "reserved")
    sound(shared)
    shared.move(14, 30)
    sound(shared)


def test_an_encumbrance_meets_a_split_and_a_payment(shared: House) -> None:
    """Whichever comes first, no more is encumbered than is owed, and what is encumbered is in one part."""
    roots = shared.submit(*(fresh() for _ in range(3)))
    for root in roots:
        right = {"asset_id": root, "kind": "lien", "beneficiary": "B", "ground": "g", "amount_minor": FACE_MINOR // 2}
        line = receipt(root, FACE_MINOR // 2, value_date=shared.today)
        at_once(
            shared.services,
            CLAIMS,
            sender(shared, shared.platform, "/v1/encumbrances", right),
            sender(shared, shared.platform, "/v1/splits", halves(root)),
            sender(shared, shared.operator, "/v1/receipts", line),
        )
        sound(shared)


def test_a_transfer_meets_a_purchase(shared: House) -> None:
    """A free asset is handed on or offered; its price goes to who holds it then."""
    shared.move(9, days=1)
    shared.deposit(0, 10**9)
    terms = mandate(name="race2", min_tenor_days=34, max_tenor_days=34, auto_commit=True)
    shared.funders[0].post("/v1/mandates", terms)
    (root,) = shared.submit(invoice(shared, days=34, seller=company("seller-race")))
    item = {"asset_id": root, "holder": company("racer"), "effective_date": shared.today.isoformat()}

    def clear() -> None:
        with shared.services.database.transaction() as session:
            clear_round(shared.services, session, {"fire_at": f"{shared.today}T01:30:00+00:00"})

    _, answer = at_once(shared.services, CLAIMS, clear, sender(shared, shared.platform, "/v1/transfers", item))
    shared.move(10, 30)  # what moved while the first round waited for it is in the next one
    shared.move(14, 30)
    paid = """
        SELECT balance_minor > 0 FROM books_accounts JOIN books_balances USING (account_id)
        JOIN company ON path = 'seller/' || company_id || '/cash' WHERE value = :name
    """
    name = "racer" if answer[0]["status"] == 201 else "seller-race"
    assert rows(shared, paid, name=name) == [(True,)]
    sound(shared)


@pytest.mark.parametrize("named", ["root", "part"])
def test_payments_and_notes_meet_splits_of_parts(shared: House, named: str) -> None:
    """A payment that waits for a split finds the parts that came of it: nothing is lost, nothing applied twice."""
    roots = buy(shared, *(fresh() for _ in range(2)))
    bank = shared.funders[0]
    for root in roots:
        first, second = split(bank, root, FACE_MINOR // 2, FACE_MINOR // 2)
        target = root if named == "root" else first
        calls = [
            sender(shared, bank, "/v1/splits", {"asset_id": first, "amounts_minor": [1, FACE_MINOR // 2 - 1]}),
            sender(shared, shared.operator, "/v1/receipts", receipt(target, 777, value_date=shared.today)),
            sender(shared, shared.platform, "/v1/credit-notes", note(target, 333, on=shared.today)),
            sender(shared, bank, "/v1/splits", {"asset_id": second, "amounts_minor": [FACE_MINOR // 2 - 1, 1]}),
        ]
        answers = at_once(shared.services, CLAIMS, *map(partial, calls))
        assert [answer[0]["status"] for answer in (answers[1], answers[2])] == [201, 201]
        assert answers[1][0]["applied_minor"] == 777
        owed = rows(shared, "SELECT sum(outstanding_minor)::bigint FROM claim WHERE root_id = :id", id=root)
        assert owed == [(FACE_MINOR - 777 - 333,)]
        sound(shared)
