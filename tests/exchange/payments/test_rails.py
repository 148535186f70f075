"""The sandbox: a bank of our own that takes every file and answers by itself; in production there is none."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

from exchange.banking import pain002
from exchange.payments import jobs, rails
from tests.exchange.house import House
from tests.exchange.payments.desk import business_day, end_to_end, fund_account, own_desk, payment, states, withdraw


def play(house: House, job: str) -> None:
    """Do a job of the room on the sandbox rail, and what follows from it."""
    services = replace(house.services, settings=replace(house.services.settings, payment_rail="sandbox"))
    with services.database.transaction() as session:
        getattr(jobs, job)(services, session, {})
    house.run()


def test_the_sandbox_pays_by_itself(server_url: str, tmp_path: Path) -> None:
    """A file at the cut-off, in transit, paid a turn later; an account that ends in 0000 does not exist."""
    with own_desk(server_url, tmp_path, funders=2) as desk:
        fund_account(desk)
        fund_account(desk, funder=1, account="GB36NWBK60161331920000")
        for funder in (0, 1):
            desk.deposit(funder, 100_000)
        business_day(desk)
        good, bad = (withdraw(desk, 500, funder=funder)["payment_id"] for funder in (0, 1))
        desk.move(17, 30)
        assert states(desk, good)[-1] == "scheduled"  # by files, nothing goes by itself
        business_day(desk)
        play(desk, "send")
        assert states(desk, good)[-1] == states(desk, bad)[-1] == "instructed"
        play(desk, "answer")
        assert (states(desk, good)[-1], states(desk, bad)[-1]) == ("in_transit", "failed")
        play(desk, "answer")
        play(desk, "answer")
        assert states(desk, good)[-1] == "paid"
        (file,) = desk.operator.get("/v1/payment-files")["items"]
        assert (file["made_by"], file["payment_count"]) == (None, 2)
        assert payment(desk, bad)["steps"][-1]["reason"].startswith("AC01")
        play(desk, "send")
        assert len(desk.operator.get("/v1/payment-files")["items"]) == 1


def test_its_answers_are_a_banks() -> None:
    """Read as any bank's."""
    ids = ("pay_01h455vb4pex5vsknk084sn02q", "pay_01h455vb4pex5vsknk084sn02r")
    content = rails.report("pmf_01h455vb4pex5vsknk084sn02q", dict(zip(ids, ("ACSC", "RJCT"), strict=True)))
    said = pain002.read(BytesIO(content)).of([end_to_end(one) for one in ids])
    assert [(one.status, one.reason_codes) for one in said.values()] == [("ACSC", ()), ("RJCT", ("AC01",))]
