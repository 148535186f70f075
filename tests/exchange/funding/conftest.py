"""The morning on which everything of this room begins."""

import pytest

from tests.exchange.funding.morning import Morning, open_morning
from tests.exchange.house import House


@pytest.fixture
def morning(house: House) -> Morning:
    """Half past ten: three assets of one million each, offered to the one funder, who may pay for them."""
    return open_morning(house)
