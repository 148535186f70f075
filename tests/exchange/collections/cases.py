"""What tests of collections need: obligors that are late, cases and tasks as a platform sees them."""

import re
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient

from exchange import jobs
from exchange.auth import Role
from exchange.parties.clients import register_client
from tests.exchange.house import OPENING, Client, House, make_key, public_jwk
from tests.exchange.settlement.book import FACE_MINOR, buy, fresh, rows


def late(house: House, *names: str, days: int = 4) -> dict[str, list[str]]:
    """Two assets of each obligor that funder 0 holds and that tonight, after the close, are `days` past due."""
    items = [fresh(obligor={"scheme": "platform", "value": name}) for name in names for _ in range(2)]
    asset_ids = buy(house, *items, days=5)
    house.move(9, days=5 + days - 1)
    house.move(23, days=1)
    return {name: asset_ids[2 * place : 2 * place + 2] for place, name in enumerate(names)}


def day(house: House) -> None:
    """Live through another day."""
    house.move(23, days=1)


def note(house: House, kind: str, *asset_ids: str, days_past_due: int = 4, back: int = 0) -> None:
    """Do what follows when servicing notes this of assets, `back` days ago."""
    items = [
        {"asset_id": one, "kind": kind, "days_past_due": days_past_due, "outstanding_minor": 1} for one in asset_ids
    ]
    on = house.today - timedelta(days=back)
    with house.services.database.transaction() as session:
        jobs.enqueue(session, job="collections.follow", payload={"business_date": on.isoformat(), "items": items})
    house.run()


def case_of(house: House, asset_id: str) -> dict[str, Any]:
    """The newest case that an asset is or was in, in full."""
    query = "SELECT case_id FROM case_item JOIN collection_case USING (case_id) WHERE asset_id = :id ORDER BY number"
    case_id = rows(house, query, id=asset_id)[-1][0]
    shown: dict[str, Any] = house.platform.get(f"/v1/cases/{case_id}")
    return shown


def task_of(case: dict[str, Any], template: str) -> dict[str, Any]:
    """The task of a case that is made by this template."""
    (found,) = (task for task in case["tasks"] if task["template"] == template)
    return dict(found)


def step(client: Client, task: dict[str, Any], **said: str) -> dict[str, Any]:
    """Take a task a step on."""
    taken: dict[str, Any] = client.post(f"/v1/tasks/{task['task_id']}/steps", said)
    return taken


def told(house: House, funder: int, kind: str) -> list[dict[str, Any]]:
    """What a funder was told of one kind."""
    return [event["data"] for event in house.events(funder) if event["type"] == kind]


def another_client(house: House, name: str, *, originator_id: str | None = None) -> Client:
    """A second client of the platform, or a client of another one."""
    key = make_key(name)
    with house.services.database.transaction() as session:
        client_id = register_client(
            session,
            role=Role.PLATFORM,
            party_id=originator_id or house.originator_id,
            public_jwk=public_jwk(key),
            now=OPENING,
            entropy=house.services.entropy,
        )
    return Client(house.app.test_client(), client_id, key)


def promise(house: House, case: dict[str, Any], *asset_ids: str, amount: int = FACE_MINOR, days: int = 1) -> Any:  # noqa: ANN401 - an answer
    """Enter a promise to pay in some days."""
    due = house.today + timedelta(days=days)
    body = {"asset_ids": list(asset_ids), "currency": "CNY", "amount_minor": amount, "due_date": due.isoformat()}
    return house.platform.post(f"/v1/cases/{case['case_id']}/promises", body)


def refused(house: House, path: str, body: object) -> str:
    """The code of a refusal, of its first fault where it has one."""
    problem = house.platform.refused("POST", path, body)
    return str(problem["errors"][0]["code"] if problem.get("errors") else problem["code"])


ROW = re.compile(r"<tr.*?</tr>", re.DOTALL)


def listed(browser: FlaskClient, query: str) -> list[str]:
    """The rows of the work list."""
    answer = browser.get(f"/collections?{query}", base_url="http://localhost")
    assert answer.status_code == 200, answer.text
    return ROW.findall(answer.text.partition("Owed, by team")[0])[1:]
