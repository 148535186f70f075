"""The answer to one currency of a round: solved outside any transaction, kept as its certificate."""

import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from exchange.clearing.certificate import certificate_bytes, certify, head_digest
from exchange.clearing.explain import Cost, costs
from exchange.clearing.market import Progress
from exchange.clearing.solve import Answer as ClearingAnswer
from exchange.clearing.solve import clear
from exchange.pools.rules import Candidate, Price
from exchange.rounds.market import Inputs, Stated, market_of
from exchange.rounds.rules import Given
from ledger.canonical import parse_canonical
from ledger.verify import certificate as proof


class Solved(NamedTuple):
    """What is kept of an answer; `eligible` assets fit a mandate. No certificate where nothing could be placed."""

    eligible: int
    certificate: bytes | None = None
    head_digest: str | None = None
    value: int | None = None
    bound: int | None = None
    complete: bool | None = None


class Part(NamedTuple):
    """What a funder gets."""

    funder_id: str
    extract: bytes
    costs: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A solved currency, read back."""

    stated: Stated
    document: dict[str, Any]

    @classmethod
    def of(cls, inputs: Inputs, certificate: bytes) -> "Answer":
        """The answer that a certificate proves."""
        return cls(market_of(inputs), parse_canonical(certificate))

    @property
    def given(self) -> list[Given]:
        """What each mandate is given."""
        stated = self.stated
        return [
            Given(stated.assets[asset], stated.candidates[mandate], amount)
            for asset, mandate, amount in self.document["entries"]
        ]

    def keep_pool_limits(
        self, kept: Sequence[tuple[Given, Price]], *, touched: Collection[str]
    ) -> tuple[list[tuple[Given, Price]], list[tuple[Given, str]]]:
        """What stays when mandates that lost something, and whose pool then breaks a limit over all of it, get nothing.

        Asked of the integers that check certificates.
        """
        own = {asset.asset_id: place for place, asset in enumerate(self.stated.assets)}
        broken = set()
        for place, candidate in enumerate(self.stated.candidates):
            if candidate.mandate_id in touched:
                got = sorted(
                    (own[one.asset.asset_id], one.amount_minor)
                    for one, _ in kept
                    if one.candidate.mandate_id == candidate.mandate_id
                )
                if not self._holds(place, got):
                    broken.add(candidate.mandate_id)
        stay = [pair for pair in kept if pair[0].candidate.mandate_id not in broken]
        return stay, [(one, "pool_limits") for one, _ in kept if one.candidate.mandate_id in broken]

    def parts(self) -> list[Part]:
        """For each funder what proves its own part, and what its own limits cost; nothing of others."""
        own: dict[str, list[int]] = {}
        for place, one in enumerate(self.stated.candidates):
            own.setdefault(one.funder_id, []).append(place)
        shown = proof.extracts(self.document, list(own.values()))
        return [
            Part(funder_id, extract, self.costs(funder_id=funder_id))
            for funder_id, extract in zip(own, shown, strict=True)
        ]

    def costs(self, *, funder_id: str | None) -> list[dict[str, Any]]:
        """What limits cost: all of them, or those of one funder's own."""
        stated = self.stated
        head, prices = self.document["head"], self.document["prices"]
        entries = tuple(tuple(entry) for entry in self.document["entries"])
        answer = ClearingAnswer(
            entries, tuple(tuple(price) for price in prices), int(head["value"]), int(head["bound"]), complete=True
        )
        told = []
        for cost in costs(stated.market, answer):
            holder = self._holder(cost)
            if funder_id is None or (holder is not None and holder.funder_id == funder_id):
                told.append(self._told(cost, holder))
        return told

    def _holder(self, cost: Cost) -> Candidate | None:
        """A mandate of whoever's limit it is; None for a limit over everybody."""
        cap = next((cap for cap in self.stated.market.caps if cap.name == cost.limit), None)
        if cap is None:
            return self.stated.candidates[cost.group]
        place = int(np.flatnonzero(cap.group == cost.group)[0])
        return self.stated.candidates[place] if cap.own else None

    def _told(self, cost: Cost, holder: Candidate | None) -> dict[str, Any]:
        market = self.stated.market
        keys = {cap.name: cap.key for cap in market.caps} | {share.name: share.key for share in market.shares}
        by = keys.get(cost.limit)
        key = None if by is None or cost.key < 0 else self.stated.keys[by][cost.key]
        named = "" if holder is None else f" of mandate {holder.mandate_id}"
        return {
            "limit": cost.limit,
            "mandate_id": None if holder is None or cost.limit == "cash" else holder.mandate_id,
            "key": key,
            "step": cost.step,
            "unit": cost.unit,
            "gain": str(cost.gain),
            "like_placing_minor": cost.like_placing_minor,
            "words": cost.said(f"{cost.limit}{named}" + (f", {by} {key}" if key is not None else "")),
        }

    def _holds(self, mandate: int, got: Sequence[tuple[int, int]]) -> bool:
        try:
            proof.check_part(proof.part_of(self.document["market"], mandate, got, ""))
        except proof.CertificateWrong:
            return False
        return True


def solve(inputs: Inputs, *, secret: bytes, progress: Progress | None = None) -> Solved:
    """Clear a currency for the best of all, and prove it. The seed of lots is the round's."""
    stated = market_of(inputs)
    if not stated.assets:
        return Solved(stated.eligible)
    seed = bytes.fromhex(inputs.seed)
    answer = clear(stated.market, seed=seed, progress=progress)
    document = certify(stated.market, answer, seed=seed, secret=salting(secret))
    return Solved(
        stated.eligible,
        certificate_bytes(document),
        head_digest(document),
        answer.value,
        answer.bound,
        answer.complete,
    )


def salting(secret: bytes) -> bytes:
    """The key under which parts of certificates are salted, from the exchange's own secret."""
    return hmac.digest(secret, b"certificates of rounds", "sha256")
