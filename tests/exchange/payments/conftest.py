"""One exchange for a whole module of tests, with a policy and an account to pay from."""

from collections.abc import Iterator

import pytest

from tests.exchange.house import House
from tests.exchange.payments.desk import check_payments, own_desk
from tests.exchange.reconciliation.lived import own_breaks
from tests.exchange.settlement.bank import check_lines
from tests.exchange.settlement.book import check_conserved


@pytest.fixture(scope="module")
def desk(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running exchange that the tests of a module share."""
    with own_desk(server_url, tmp_path_factory.mktemp("desk"), funders=2) as house:
        yield house
        assert own_breaks(house) == []


@pytest.fixture(autouse=True)
def checked(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test books, lines and payments agree, and nobody's money stands in for another's."""
    yield
    if "desk" not in request.fixturenames:
        return
    house: House = request.getfixturevalue("desk")
    check_conserved(house)
    check_lines(house)
    check_payments(house)
    assert all(one["apart"] for one in house.operator.get("/v1/money")["items"])
