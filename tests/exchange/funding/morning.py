"""An offer on the table."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from exchange.funding import jobs
from tests.exchange.house import Client, House, mandate, receipt
from tests.exchange.pools.shared import invoice

CASH = 10_000_000
PRICE = 990_000
"""One million over 60 days at 6 %."""


@dataclass(frozen=True, slots=True)
class Morning:
    """A house at half past ten, with one offer of some assets to its first funder."""

    house: House
    bank: Client
    offer_id: str
    asset_ids: list[str]

    @property
    def path(self) -> str:
        """Where the offer is."""
        return f"/v1/offers/{self.offer_id}"

    @property
    def state(self) -> str:
        """How the offer stands."""
        return str(self.bank.get(self.path)["state"])

    def commit(self, *asset_ids: str) -> Any:  # noqa: ANN401 - the answer
        """Take the offer, or the assets named."""
        return self.bank.post(f"{self.path}/commitment", {"asset_ids": list(asset_ids)} if asset_ids else {})

    def pay(self, asset_id: str, amount_minor: int = 1_000_000) -> None:
        """The obligor pays before anybody bought."""
        lines = {"items": [receipt(asset_id, amount_minor, value_date=self.house.today)]}
        assert self.house.operator.post("/v1/receipts", lines)["items"][0]["outcome"] == "allocated"

    def job(self, name: str, **payload: str) -> Callable[[], None]:
        """A worker that does a piece of this room's work."""
        return partial(self._work, name, payload)

    def _work(self, name: str, payload: dict[str, Any]) -> None:
        with self.house.services.database.transaction() as session:
            getattr(jobs, name)(self.house.services, session, payload)


def open_morning(house: House, *, assets: int = 3, **changes: object) -> Morning:
    """Deposit, keep a mandate, submit, and run the round."""
    house.deposit(0, CASH)
    bank = house.funders[0]
    bank.post("/v1/mandates", mandate(**changes))
    asset_ids = house.submit(*(invoice(house) for _ in range(assets)))
    house.move(10, 30)
    (offer,) = bank.get("/v1/offers")["items"]
    return Morning(house, bank, offer["offer_id"], asset_ids)
