"""Funders that play: they deposit, open mandates, and answer the offers that verified callbacks tell of."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from exchange.replay.client import ApiClient, ApiProblem, party_key, public_jwk
from exchange.replay.funders import FunderSpec, MandateSpec, Size, mandate_bodies
from exchange.replay.receiver import Inbox, Receiver


@dataclass(slots=True)
class Player:
    """One funder, its door and its inbox."""

    spec: FunderSpec
    client: ApiClient
    inbox: Inbox
    deposit_reference: str
    specs: dict[str, MandateSpec] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)

    def hear(self) -> list[str]:
        """The offers made since the last time, in the order of the stream."""
        return [event["data"]["offer_id"] for event in self.inbox.take() if event["type"] == "offer.made"]

    def answer(self, offers: Sequence[str]) -> int:
        """Answer each; how many were answered."""
        return sum(self._answer(offer_id) for offer_id in offers)

    def _answer(self, offer_id: str) -> int:
        """Commit to the assets it wants, refuse an offer without any; leave what commits by itself."""
        offer = self.client.get(f"/v1/offers/{offer_id}")
        spec = self.specs[offer["mandate_id"]]
        if spec.auto_commit:
            return 0
        ceiling = spec.pick_max_pd_ppm
        wanted = [asset["asset_id"] for asset in offer["assets"] if ceiling is None or asset["pd_ppm"] <= ceiling]
        try:
            self._send(offer_id, wanted, whole=len(wanted) == len(offer["assets"]))
        except ApiProblem as problem:  # the offer may have lapsed or shrunk since it was made
            self.answers[problem.code] += 1
            return 0
        return 1

    def _send(self, offer_id: str, wanted: list[str], *, whole: bool) -> None:
        """Send the answer under a key of its own: asked twice, it counts once."""
        body: dict[str, Any]
        if not wanted:
            kind, body, told = "refusal", {"reason": "no asset below our own ceiling"}, "refused"
        elif whole:
            kind, body, told = "commitment", {}, "committed"
        else:
            kind, body, told = "commitment", {"asset_ids": wanted}, "committed in part"
        self.client.post(f"/v1/offers/{offer_id}/{kind}", body, key=f"{kind}-{offer_id}")
        self.answers[told] += 1


def enter_player(
    operator: ApiClient, spec: FunderSpec, *, base_url: str, seed: int, receiver: Receiver, path: str
) -> Player:
    """Register a funder, give it its client and its callback endpoint."""
    key = party_key(seed, name=f"funder {spec.name}")
    entered = operator.post("/v1/funders", {"name": spec.name, "public_jwk": public_jwk(key)})
    client = ApiClient(base_url, client_id=entered["client_id"], key=key)
    url, inbox = receiver.open(path)
    endpoint = client.put("/v1/callback-endpoint", {"url": url, "heartbeat_seconds": None})
    inbox.secret, inbox.public_key = endpoint["secret"], endpoint["public_key"]
    return Player(spec, client, inbox, entered["deposit_reference"])


def fund_player(player: Player, *, operator: ApiClient, file_sizes: dict[str, Size], day: date) -> dict[str, int]:
    """Open the player's mandates and deposit their budgets through the bank; the deposits by currency."""
    deposits: Counter[str] = Counter()
    for index, spec in enumerate(player.spec.mandate):
        for body in mandate_bodies(spec, file_sizes=file_sizes):
            opened = player.client.post("/v1/mandates", body, key=f"mandate-{index}-{body['currency']}")
            player.specs[opened["mandate_id"]] = spec
            deposits[body["currency"]] += body["budget_minor"]
    items: list[dict[str, Any]] = [
        {
            "bank_reference": f"DEPOSIT-{player.deposit_reference}-{currency}",
            "value_date": day,
            "amount_minor": amount_minor,
            "currency": currency,
            "payer_name": player.spec.name,
            "reference": player.deposit_reference,
        }
        for currency, amount_minor in sorted(deposits.items())
    ]
    operator.post("/v1/receipts", {"items": items}, key=f"deposit-{player.deposit_reference}")
    return dict(deposits)
