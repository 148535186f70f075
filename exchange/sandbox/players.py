"""The others in a sandbox, played: its operator, its platform with its obligors, its bank, over the sandbox's own API.

What they send has a key of its own, so that a day that was cut short is lived again without doing anything twice.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.test import Client

from exchange import jobs
from exchange.auth import Role
from exchange.parties.clients import add_key, register_client
from exchange.registry import keys
from exchange.replay import wire
from exchange.replay.client import ApiClient, ApiProblem, party_key, public_jwk
from exchange.replay.rows import ReplayRow
from exchange.sandbox.rules import CURRENCIES, Deed, past_of
from exchange.services import Services

DEPOSIT_MINOR = 100_000_000_00
ACCOUNTS = dict(zip(CURRENCIES, ("6222000011112222", "DE89370400440532013000", "021000021000123456"), strict=True))
NO_ACCOUNT = "62220000111120000"
BANK = "BKCHCNBJ"
PAYMENT_POLICY: dict[str, Any] = {
    "approve_above": [{"currency": currency, "amount_minor": 10**15} for currency in CURRENCIES],
    "pay_from": [],
    "payers": [{"account": number, "name": "Sandbox exchange", "agent": BANK} for number in ACCOUNTS.values()],
    "cut_off": "16:00",
    "cooling_days": 0,
    "calendar": "CN",
    "most_payments": 1_000,
    "advice_days": 3,
}
_FIRST_REFUSED = 400

Make = Callable[[Services], Flask]
"""Makes the application on given services."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the application answered."""

    status: int
    data: bytes


class Door:
    """The sandbox's API without a network: for clients that are played in this process, whose tokens stay in it."""

    def __init__(self, services: Services, make: Make) -> None:
        inside = replace(services.settings, bound_tokens=False, signed_commitments=False)
        self._client = Client(make(replace(services, settings=inside)))

    def request(self, method: str, url: str, *, body: bytes | None, headers: dict[str, str]) -> Reply:
        """Send a request."""
        answer = self._client.open(url, method=method, data=body, headers=headers)
        return Reply(answer.status_code, answer.get_data())

    def close(self) -> None:
        """Nothing is kept."""


@dataclass(slots=True)
class Players:
    """Whoever is played. `deeds` and `refused` count what was done since they were last taken."""

    operator: ApiClient
    platform: ApiClient
    hand: ApiClient
    reference: str
    deeds: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def do(self, deed: Deed, *, number: int, row: ReplayRow | None, asset_id: str | None, today: date) -> None:
        """Do one deed of scenario `number`; what the sandbox refuses is counted, and life goes on."""
        key = f"{number}-{deed.place}-{deed.day}-{deed.kind}"
        try:
            if row is None:
                DOINGS[deed.kind](self, deed, key, today)
            elif asset_id is not None:
                ABOUT[deed.kind](self, deed, key, today, row, asset_id)
            self.deeds[deed.kind] += 1
        except ApiProblem as problem:
            self.refused[problem.code] += 1

    def submit(self, rows: Sequence[ReplayRow], *, number: int, grade: str, today: date) -> list[str | None]:
        """Tell how the obligors paid before, then submit what they owe now; the assets' ids."""
        past = [wire.past_trade(one, known_on=today) for row in rows for one in past_of(row, grade=grade)]
        for place, batch in enumerate(wire.batches(past)):
            self.send(self.platform, "/v1/trade-history", list(batch), key=f"{number}-past-{place}")
        results = self.send(self.platform, "/v1/receivables", [wire.submission(row) for row in rows], key=f"{number}")
        return [result.get("asset_id") for result in results]

    def send(self, client: ApiClient, path: str, items: list[dict[str, Any]], *, key: str) -> list[dict[str, Any]]:
        """Send items; what of them is refused is counted by its code."""
        results: list[dict[str, Any]] = client.post(path, {"items": items}, key=key)["items"]
        for result in results:
            if result["status"] >= _FIRST_REFUSED:
                self.refused.update(error["code"] for error in result["errors"])
        return results

    def deposit(self, amount_minor: int, currency: str, *, key: str, today: date) -> None:
        """Money of the funder comes in."""
        line = {"bank_reference": f"DEPOSIT-{key}", "value_date": today, "amount_minor": amount_minor}
        line |= {"currency": currency, "reference": self.reference, "payer_name": "Your bank"}
        self.send(self.operator, "/v1/receipts", [line], key=key)

    def seen(self, asset_id: str | None) -> dict[str, Any]:
        """An asset as it is told of: what it is and how it was graded; nulls for one that was refused."""
        shown = self.operator.get(f"/v1/assets/{asset_id}") if asset_id else {}
        return {"asset_id": asset_id} | {
            name: shown.get(name) for name in ("grade", "pd_ppm", "face_minor", "due_date")
        }

    def approve(self) -> None:
        """The second person, where the funder is the first: payout accounts that wait are approved."""
        waiting = [one for one in self.operator.get("/v1/payout-accounts?limit=200")["items"] if not one["outcome"]]
        for one in waiting:
            item = {"account_id": one["account_id"], "outcome": "approved"}
            self.send(self.operator, "/v1/payout-accounts/decisions", [item], key=f"approve-{one['account_id']}")


def _deposited(players: Players, deed: Deed, key: str, today: date) -> None:
    players.deposit(deed.amount_minor, deed.word, key=key, today=today)


def _failed(players: Players, deed: Deed, key: str, today: date) -> None:  # noqa: ARG001 - one form for all
    """In the funder's name: a payout account that the bank does not know, and money to it."""
    body = {"holder_name": "No such account", "account": NO_ACCOUNT, "agent": BANK, "currency": deed.word}
    players.hand.post("/v1/payout-accounts", body, key=f"{key}-account")
    players.approve()
    players.hand.post("/v1/withdrawals", {"currency": deed.word, "part_minor": deed.amount_minor}, key=key)


def _paid(players: Players, deed: Deed, key: str, today: date, row: ReplayRow, asset_id: str) -> None:
    line = wire.receipt(row, deed.day, amount_minor=deed.amount_minor, reference=asset_id, day=today)
    players.send(players.operator, "/v1/receipts", [line], key=key)


def _credited(players: Players, deed: Deed, key: str, today: date, row: ReplayRow, asset_id: str) -> None:
    note = {"asset_id": asset_id, "number": f"CN-{row.row_number}", "amount_minor": deed.amount_minor}
    note |= {"reason": deed.word, "issue_date": today}
    players.send(players.platform, "/v1/credit-notes", [note], key=key)


def _disputed(players: Players, deed: Deed, key: str, _today: date, row: ReplayRow, asset_id: str) -> None:
    body = {"amount_minor": deed.amount_minor, "reason": deed.word, "statement": f"{row.obligor.name} objects."}
    players.platform.post(f"/v1/assets/{asset_id}/disputes", body, key=key)


def _resolved(players: Players, deed: Deed, key: str, _today: date, row: ReplayRow, asset_id: str) -> None:
    body = {"outcome": deed.word, "finding": "Looked into."}
    body |= {"note_number": f"CN-{row.row_number}"} if deed.word == "upheld" else {}
    players.platform.post(f"/v1/assets/{asset_id}/disputes/1/resolution", body, key=key)


def _recovered(players: Players, deed: Deed, key: str, today: date, row: ReplayRow, asset_id: str) -> None:
    line = wire.receipt(row, deed.day, amount_minor=deed.amount_minor, reference=asset_id, day=today)
    del line["reference"]
    players.operator.post(f"/v1/assets/{asset_id}/recoveries", line, key=key)


def _copied(players: Players, deed: Deed, key: str, _today: date, row: ReplayRow, _asset_id: str) -> None:  # noqa: ARG001 - one form for all
    """The same invoice once more, its number written otherwise."""
    again = replace(row, invoice_number=row.invoice_number.lower().replace("-", "/"))
    players.send(players.platform, "/v1/receivables", [wire.submission(again)], key=key)


DOINGS: Mapping[str, Callable[[Players, Deed, str, date], None]] = {"deposit": _deposited, "failed_payment": _failed}
ABOUT: Mapping[str, Callable[[Players, Deed, str, date, ReplayRow, str], None]] = {
    "pay": _paid,
    "credit": _credited,
    "dispute": _disputed,
    "resolve": _resolved,
    "recover": _recovered,
    "copy": _copied,
}


def enter(session: Session, *, services: Services, moment: datetime) -> str:
    """The first in a sandbox: its clock, its keys, its operator, whose id this gives."""
    jobs.set_virtual_time(session, moment=moment)
    keys.found(session, services=services, now=moment)
    return _client(session, services=services, role=Role.OPERATOR, party_id=None, name="operator", now=moment)


def settle_in(
    services: Services,
    door: Door,
    *,
    operator_id: str,
    funder: str,
    jwks: Sequence[Mapping[str, Any]],
    now: datetime,
) -> dict[str, str]:
    """Everything that has to be there before the first day: who is who, accounts, policies, the funder's money."""
    key, seed = party_key, services.settings.seed or 0
    operator = _api(services, door, operator_id, name="operator")
    platform = operator.post(
        "/v1/originators", {"name": "Sandbox platform", "public_jwk": public_jwk(key(seed, name="platform"))}
    )
    entered = operator.post("/v1/funders", {"name": funder, "public_jwk": dict(jwks[0])})
    with services.database.transaction() as session:
        for jwk in jwks[1:]:
            add_key(session, client_id=entered["client_id"], public_jwk=jwk, now=now)
        funder_id = entered["funder_id"]
        hand = _client(session, services=services, role=Role.FUNDER, party_id=funder_id, name="hand", now=now)
    for currency, number in ACCOUNTS.items():
        operator.put("/v1/bank-accounts", {"account": number, "currency": currency})
    operator.put("/v1/payment-policy", PAYMENT_POLICY)
    operator.put("/v1/risk-policy", {"automatic": False})  # a grade is what the past says, on any day
    played = {"operator": operator_id, "platform": platform["client_id"], "hand": hand}
    played |= {"client": entered["client_id"], "funder": funder_id, "reference": entered["deposit_reference"]}
    today = services.business_date(now)
    players_of(services, door, played).deposit(DEPOSIT_MINOR, CURRENCIES[0], key="first", today=today)
    return played


def players_of(services: Services, door: Door, played: Mapping[str, str]) -> Players:
    """The played parties, by their clients' ids."""
    operator, platform, hand = (
        _api(services, door, played[name], name=name) for name in ("operator", "platform", "hand")
    )
    return Players(operator, platform, hand, played["reference"])


def _api(services: Services, door: Door, client_id: str, *, name: str) -> ApiClient:
    key = party_key(services.settings.seed or 0, name=name)
    return ApiClient(services.settings.issuer, client_id=client_id, key=key, pool=door)


def _client(session: Session, *, services: Services, role: Role, party_id: str | None, name: str, now: datetime) -> str:
    jwk = public_jwk(party_key(services.settings.seed or 0, name=name))
    entropy = services.entropy
    return register_client(session, role=role, party_id=party_id, public_jwk=jwk, now=now, entropy=entropy)
