"""Originators and partners in any order: no share is sold twice, and the rows always say what happened."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from exchange.duplicates import actions
from tests.exchange.duplicates.shared import Partner, add_partner, check_sums, codes, document, invoice
from tests.exchange.house import Client, House
from tests.exchange.receivables.shared import add_platform, shared_house, submit

FACES = st.sampled_from((10, 12))
NUMBERS, PAPERS = st.integers(0, 2), st.none() | st.integers(0, 2)


Parties = tuple[House, list[Client | Partner]]


@pytest.fixture(scope="module")
def parties(
    server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[House, list[Client | Partner]]]:
    """Two originators and two partners."""
    home: Path = tmp_path_factory.mktemp("home")
    with shared_house(server_url, home) as house:
        both = [add_partner(house, f"Partner {number}") for number in range(2)]
        yield house, [house.platform, add_platform(house, "Other"), *both]


class Claims(RuleBasedStateMachine):
    """Claims on three invoices, with papers that may be another's, and a model that is a few dictionaries."""

    house: House
    holders: list[Client | Partner]
    runs = count()

    def __init__(self) -> None:
        super().__init__()
        self.run = next(self.runs)
        self.live: dict[str, tuple[int, int]] = {}  # claim: invoice, amount
        self.claims: dict[str, int] = {}  # holder of each live claim
        self.taken = dict.fromkeys(range(3), 0)
        self.credited = dict.fromkeys(range(3), 0)
        self.face: dict[int, int] = {}
        self.owner: dict[int, int] = {}

    @rule(
        holder=st.integers(0, 3),
        number=NUMBERS,
        paper=PAPERS,
        face=FACES,
        amount=st.integers(1, 12),
    )
    def claim(self, holder: int, number: int, paper: int | None, face: int, amount: int) -> None:
        """Ask for a share."""
        face = max(face, amount)
        papers = [] if paper is None else [document(f"{self.run}/{paper}")]
        item = invoice(f"M-{self.run}-{number}-000", face_minor=amount, invoice_face_minor=face, documents=papers)
        client = self.holders[holder]
        (result,) = client.claim(item) if isinstance(client, Partner) else submit(client, [item])
        assert codes([result]) == [self.expected(number, paper, face, amount)]
        if "errors" not in result:
            claim_id = result.get("claim_id") or result["asset_id"]
            self.live[claim_id] = (number, amount)
            self.claims[claim_id] = holder
            self.taken[number] += amount
            self.face[number] = face
            if paper is not None:
                self.owner[paper] = number

    def expected(self, number: int, paper: int | None, face: int, amount: int) -> str | None:
        """What the model says of a share that is asked for."""
        owner = self.owner.get(paper, number) if paper is not None else number
        if owner != number and self.taken[owner] + self.credited[owner]:
            return "duplicate_receivable"
        used = self.taken[number] + self.credited[number]
        if not used:
            return None
        free = self.face[number] - used
        if not free:
            return "duplicate_receivable"
        if face != self.face[number]:
            return "face_contradicted"
        return "exceeds_invoice_face" if amount > free else None

    @rule(data=st.data(), end=st.sampled_from(["released", "repaid"]))
    def end(self, data: st.DataObject, end: str) -> None:
        """Give a share back, or use it up."""
        if not self.live:
            return
        claim_id = data.draw(st.sampled_from(sorted(self.live)))
        number, amount = self.live.pop(claim_id)
        client = self.holders[self.claims[claim_id]]
        if isinstance(client, Partner):
            client.release(claim_id, "cancelled" if end == "released" else "repaid")
        else:
            stop = actions.release_claims if end == "released" else actions.consume_claims
            with self.house.services.database.transaction() as session:
                stop(session, claim_ids=[claim_id], now=self.house.services.clock.now(session))
        if end == "released":
            self.taken[number] -= amount

    @rule(data=st.data(), amount=st.integers(1, 5))
    def credit(self, data: st.DataObject, amount: int) -> None:
        """Take something off a share for good."""
        if not self.live:
            return
        claim_id = data.draw(st.sampled_from(sorted(self.live)))
        number, before = self.live[claim_id]
        off = min(amount, before)
        with self.house.services.database.transaction() as session:
            actions.reduce_claims(session, reductions={claim_id: amount})
        self.live[claim_id] = (number, before - off)
        self.taken[number] -= off
        self.credited[number] += off

    @invariant()
    def rows_say_what_happened(self) -> None:
        """No invoice is claimed beyond its face."""
        check_sums(self.house)


def test_any_interleaving(parties: Parties) -> None:
    """Claims, releases, repayments and credit notes leave what the model says, within every face."""
    house, holders = parties
    machine = type("Machine", (Claims,), {"house": house, "holders": holders})
    quick = settings(max_examples=15, stateful_step_count=14, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=quick)
