"""What tests of payments need: a policy, accounts that two people entered, money to pay out, a bank that answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from exchange.payments.files import bank_id
from exchange.payments.rails import report
from tests.exchange.house import Client, House, check_contract, make_key, public_jwk
from tests.exchange.settlement.bank import ACCOUNT, open_account
from tests.exchange.settlement.book import own_house, results, rows

POLICY: dict[str, Any] = {
    "approve_above": [{"currency": "CNY", "amount_minor": 1_000_000}],
    "pay_from": [{"currency": "CNY", "amount_minor": 10_000}],
    "payers": [{"account": ACCOUNT, "name": "The exchange", "agent": "BKCHCNBJ"}],
    "cut_off": "16:00",
    "cooling_days": 1,
    "calendar": "CN",
    "most_payments": 1_000,
    "advice_days": 3,
}
IBAN = "DE89370400440532013000"
_numbers = count(1)


@contextmanager
def own_desk(server_url: str, home: Path, *, funders: int = 1) -> Iterator[House]:
    """An exchange of its own, with a collection account and a policy."""
    with own_house(server_url, home, funders=funders) as house:
        open_account(house)
        put_policy(house)
        yield house


def put_policy(house: House, **changes: object) -> None:
    """Put a policy in force."""
    terms = {name: value for name, value in (POLICY | changes).items() if value is not None}
    house.operator.put("/v1/payment-policy", terms)


def second(house: House) -> Client:
    """Another client of the platform."""
    key = make_key(f"second {next(_numbers)}")
    path = f"/v1/originators/{house.originator_id}/clients"
    entered = house.operator.post(path, {"public_jwk": public_jwk(key)})
    return Client(house.app.test_client(), entered["client_id"], key)


def fund_account(house: House, *, funder: int = 0, account: str = IBAN) -> str:
    """An account of a funder that the operator approved, and that can be used; its id."""
    body = {"holder_name": "A fund", "account": account, "currency": "CNY"}
    account_id = str(house.funders[funder].post("/v1/payout-accounts", body)["account_id"])
    approve_account(house, account_id)
    house.move(9, days=4)  # whatever the weekday, a business day has passed
    return account_id


def approve_account(house: House, account_id: str) -> None:
    """The operator is the second person."""
    item = {"account_id": account_id, "outcome": "approved"}
    (result,) = results(house.operator.post("/v1/payout-accounts/decisions", {"items": [item]}))
    assert result["status"] == 201, result


def seller_account(house: House, seller: dict[str, str], *, account: str = "6228000111122223333") -> str:
    """An account of a seller that can be used; its id."""
    body = {"holder_name": "A seller", "account": account, "agent": "BKCHCNBJ", "currency": "CNY", "seller": seller}
    account_id = str(house.platform.post("/v1/payout-accounts", body)["account_id"])
    approve_account(house, account_id)
    house.move(9, days=4)
    return account_id


def withdraw(house: House, part_minor: int | None = None, *, funder: int = 0) -> dict[str, Any]:
    """A funder asks for money."""
    body: dict[str, Any] = {"currency": "CNY"} | ({"part_minor": part_minor} if part_minor else {})
    return dict(house.funders[funder].post("/v1/withdrawals", body))


def decide(client: Client, payment_id: str, outcome: str = "approved") -> dict[str, Any]:
    """What becomes of a decision about a payment."""
    item = {"payment_id": payment_id, "outcome": outcome}
    (result,) = results(client.post("/v1/payments/approvals", {"items": [item]}))
    return result


def business_day(house: House, hour: int = 9) -> None:
    """Go on to the next Monday to Friday, outside of the long holidays of the tests' months."""
    house.move(hour, days=1)
    while house.today.weekday() > 4:
        house.move(hour, days=1)


def make_file(house: House) -> dict[str, Any]:
    """Instruct the bank."""
    return dict(house.operator.post("/v1/payment-files", {"account": ACCOUNT}))


def answer(house: House, file_id: str, **statuses: str) -> Any:  # noqa: ANN401 - a response
    """The bank answers a file, payment by payment."""
    return post_answer(house, report(file_id, statuses))


def post_answer(house: House, content: bytes, *, key: str = "") -> Any:  # noqa: ANN401 - a response
    """Enter a bank's answer."""
    client = house.operator
    client.token = client.token or client.sign_in()
    headers = {"Authorization": f"Bearer {client.token}", "Idempotency-Key": key or f"answer-{next(_numbers)}"}
    path = "/v1/payment-answers"
    response = client.web.post(path, data=content, content_type="application/xml", headers=headers)
    check_contract("POST", path, response)
    return response


def payment(house: House, payment_id: str) -> dict[str, Any]:
    """A payment with its steps, as the operator sees it."""
    return dict(house.operator.get(f"/v1/payments/{payment_id}"))


def states(house: House, payment_id: str) -> list[str]:
    """The states a payment has been in."""
    return [step["state"] for step in payment(house, payment_id)["steps"]]


def end_to_end(payment_id: str) -> str:
    """What the bank calls it."""
    return bank_id(payment_id)


def check_payments(house: House) -> None:
    """The books hold what is on its way out, no more; each payment is where its last step says; its number is right."""
    wrong = rows(
        house,
        """
        WITH way AS (
            SELECT coalesce(party_id, 'unapplied') AS party, currency, sum(amount_minor) AS minor FROM payment
            WHERE state IN ('proposed', 'approved', 'scheduled', 'instructed', 'in_transit') GROUP BY 1, 2
        ), held AS (
            SELECT CASE WHEN path = 'unapplied/paying' THEN 'unapplied' ELSE split_part(path, '/', 2) END AS party,
                   split_part(commodity, '/', 1) AS currency, balance_minor AS minor
            FROM books_accounts JOIN books_balances USING (account_id)
            WHERE path LIKE '%/paying' AND balance_minor <> 0
        )
        SELECT * FROM way FULL JOIN held USING (party, currency) WHERE way.minor IS DISTINCT FROM held.minor
        """,
    )
    assert wrong == []
    astray = rows(
        house,
        """
        SELECT payment_id, payment.state, last.state, last.number, last.steps FROM payment LEFT JOIN LATERAL (
            SELECT state, number, (SELECT count(*) FROM payment_step AS one
                                   WHERE one.payment_id = payment.payment_id) AS steps
            FROM payment_step WHERE payment_step.payment_id = payment.payment_id ORDER BY number DESC LIMIT 1
        ) AS last ON true
        WHERE payment.state IS DISTINCT FROM last.state OR last.number <> last.steps
        """,
    )
    assert astray == []
