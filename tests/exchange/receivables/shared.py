"""One house for a whole module: what its tests enter does not meet, because each has names of its own."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import msgspec

from exchange import embedded
from exchange.services import open_services
from exchange.settings import Settings
from ledger.encoding import parse_base64url
from tests.exchange.house import Client, House, closing, make_key, open_house, public_jwk, receivable

TEMPLATE = "template_exchange"
_names = count(1)


@contextmanager
def shared_house(server_url: str, home: Path, *, funders: int = 1) -> Iterator[House]:
    """A house on a database of its own; at the end its books and its log have to be right."""
    name = f"house_{os.getpid()}_{next(_names)}"
    url = embedded.create_database(server_url, name, template=TEMPLATE)
    settings = Settings(home=home, database_url=url, seed=7, virtual_clock=True)
    with closing(open_services(settings)) as services:
        house = open_house(services, funders=funders)
        yield house
        house.check()
    embedded.drop_database(server_url, name)


def add_platform(house: House, name: str) -> Client:
    """Another originator's program."""
    key = make_key(name)
    entered = house.operator.post("/v1/originators", {"name": name, "public_jwk": public_jwk(key)})
    return Client(house.app.test_client(), entered["client_id"], key)


def twin(house: House, client: Client) -> Client:
    """The same program once more, for use in another thread."""
    return Client(house.app.test_client(), client.client_id, client.key)


def at_once(threads: int, step: Callable[[int], object]) -> list[Any]:
    """What `step` gave in each thread by its number; all begin together. An exception in one is raised here."""
    barrier = Barrier(threads)
    results: dict[int, object] = {}

    def run(number: int) -> None:
        barrier.wait(10)
        try:
            results[number] = step(number)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the test's own thread
            results[number] = error

    running = [Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    for result in results.values():
        if isinstance(result, BaseException):
            raise result
    assert len(results) == threads, "a thread is stuck"
    return [results[number] for number in range(threads)]


def submission(number: str, **changes: object) -> dict[str, Any]:
    """A receivable of a seller of its own, not confirmed yet, so that nothing about it meets other tests."""
    seller = {"scheme": "platform", "value": f"seller of {number}"}
    return receivable(number, **({"seller": seller, "confirmation": None} | changes))


def submit(client: Client, items: Sequence[Mapping[str, object]]) -> list[dict[str, Any]]:
    """The results of one bulk submission."""
    answer = client.post("/v1/receivables", {"items": items})["items"]
    assert [result["index"] for result in answer] == list(range(len(items)))
    return list(answer)


def told(results: Sequence[Mapping[str, Any]]) -> list[tuple[int, list[str]]]:
    """Status and codes of each result."""
    return [(result["status"], [fault["code"] for fault in result.get("errors", [])]) for result in results]


def add_obligor(house: House, value: str, *, name: str | None = None) -> Client:
    """The program of an obligor that the house's platform knows by this number."""
    key = make_key(f"obligor {value}"[:32])
    body = {
        "scheme": "platform",
        "value": value,
        "originator_id": house.originator_id,
        "public_jwk": public_jwk(key),
        **({"name": name} if name else {}),
    }
    return Client(house.app.test_client(), house.operator.post("/v1/obligors", body)["client_id"], key)


def add_colleague(house: House, name: str) -> Client:
    """A second client of the house's platform."""
    key = make_key(name)
    path = f"/v1/originators/{house.originator_id}/clients"
    return Client(house.app.test_client(), house.operator.post(path, {"public_jwk": public_jwk(key)})["client_id"], key)


def owed_by(obligor: str, number: str, **changes: object) -> dict[str, Any]:
    """A receivable that this obligor owes, not confirmed yet."""
    return submission(number, obligor={"scheme": "platform", "value": obligor}, **changes)


def entered(house: House, *items: Mapping[str, object]) -> list[str]:
    """Enter receivables that wait for their answers; their ids."""
    results = submit(house.platform, items)
    assert {result["status"] for result in results} == {201}, results
    return [result["asset_id"] for result in results]


def ask(client: Client, asset_ids: Sequence[str], **wishes: object) -> list[dict[str, Any]]:
    """Ask for links; the results."""
    items = [{"asset_id": asset_id, **wishes} for asset_id in asset_ids]
    return list(client.post("/v1/confirmation-requests", {"items": items})["items"])


def state(house: House, asset_id: str) -> str:
    """The asset's state as the platform sees it."""
    return str(house.platform.get(f"/v1/assets/{asset_id}")["state"])


def birth(house: House, asset_id: str) -> dict[str, Any]:
    """What the first record of an asset says."""
    house.run()
    record = house.platform.get(f"/v1/assets/{asset_id}/records")["items"][0]
    assert record["kind"] == "asset.confirmed"
    said: dict[str, Any] = msgspec.json.decode(parse_base64url(record["jws"].split(".")[1]))
    return said
