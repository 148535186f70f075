"""One house for this folder; each test tells of companies of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.exchange.facts.bodies import FACTS, TOLD
from tests.exchange.house import House
from tests.exchange.premises import premises

Tell = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that the tests of a module share."""
    with premises(server_url, tmp_path_factory.mktemp("home")) as house:
        house.only()
        yield house


@pytest.fixture
def tell(house: House) -> Tell:
    """Tell facts of a kind as the platform does, each with what makes it differ from the right one; the results."""

    def send(kind: str, *changes: dict[str, Any], client: Any = None) -> list[dict[str, Any]]:  # noqa: ANN401 - a client
        right = FACTS[f"tell_{kind.replace('-', '_')}"]
        items = [{name: value for name, value in (right | one).items() if value is not None} for one in changes]
        results: list[dict[str, Any]] = (client or house.platform).post(f"/v1/facts/{kind}", {"items": items})["items"]
        return results

    return send


@pytest.fixture
def company(request: pytest.FixtureRequest, tell: Tell) -> dict[str, str]:
    """A company of this test, known by its registration, which names no controller."""
    ref = {"scheme": "platform", "value": request.node.name[:60].replace("[", "-").rstrip("]")}
    assert tell("registrations", TOLD | {"company": ref, "person": None})[0]["status"] == 201
    return ref
