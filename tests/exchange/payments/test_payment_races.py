"""Many hands on the same money out, and hands that die half way: nothing is paid twice, nothing is lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from exchange import books, worker
from exchange.payments.rails import report
from tests.exchange.house import Client, House
from tests.exchange.payments.desk import (
    answer,
    business_day,
    end_to_end,
    fund_account,
    make_file,
    post_answer,
    states,
    withdraw,
)
from tests.exchange.settlement.bank import ACCOUNT, camt, paid, send
from tests.exchange.settlement.book import balance, rows
from tests.exchange.settlement.test_races import another, at_once


@pytest.fixture(scope="module")
def account(desk: House) -> str:
    """The funder's account, usable."""
    return fund_account(desk)


def caller(house: House, client: Client, path: str, body: object) -> Callable[[], Any]:
    """A call from another process; its status and body."""
    own = another(house, client)

    def call() -> Any:  # noqa: ANN401 - whatever it answers
        response = own.call("POST", path, body=body)
        return response.status_code, response.get_json(force=True)

    return call


def cash(house: House) -> int:
    """The funder's cash."""
    return balance(house, books.funder_cash(house.funder_ids[0]))


def test_two_withdrawals_of_all_there_is(desk: House, account: str) -> None:
    """Six hands ask for the same money: one gets it."""
    del account
    desk.deposit(0, 10_000)
    all_of_it = cash(desk)
    body = {"currency": "CNY", "part_minor": all_of_it}
    answers = at_once(*(caller(desk, desk.funders[0], "/v1/withdrawals", body) for _ in range(6)))
    assert sorted(status for status, _ in answers) == [201] + [409] * 5
    assert {body["code"] for status, body in answers if status == 409} == {"insufficient_cash"}
    assert cash(desk) == 0
    business_day(desk)
    (made,) = [body for status, body in answers if status == 201]
    answer(desk, make_file(desk)["file_id"], **{made["payment_id"]: "ACSC"})


def test_many_files_at_once(desk: House, account: str) -> None:
    """Each payment is in one file, whoever asked first; the others find nothing left."""
    del account
    desk.deposit(0, 10_000)
    business_day(desk)
    made = {withdraw(desk, 100)["payment_id"] for _ in range(5)}
    calls = [caller(desk, desk.operator, "/v1/payment-files", {"account": ACCOUNT}) for _ in range(4)]
    answers = at_once(*calls)
    assert sorted(status for status, _ in answers) == [201, 409, 409, 409]
    in_files = rows(desk, "SELECT payment_id, file_id FROM payment WHERE state = 'instructed'")
    assert {row.payment_id for row in in_files} >= made
    (file_id,) = {row.file_id for row in in_files if row.payment_id in made}
    answer(desk, file_id, **dict.fromkeys(made, "CANC"))


def test_an_approval_meets_a_cancellation(desk: House, account: str) -> None:
    """Whichever comes first, the payment ends in one state, and its money in one place."""
    del account
    desk.deposit(0, 20_000_000)
    for _ in range(4):
        one = withdraw(desk, 2_000_000)["payment_id"]
        approval = {"items": [{"payment_id": one, "outcome": "approved"}]}
        at_once(
            caller(desk, desk.operator, "/v1/payments/approvals", approval),
            caller(desk, desk.funders[0], f"/v1/payments/{one}/cancellation", {"reason": "no"}),
        )
        assert states(desk, one)[-1] == "cancelled"


def test_a_statement_meets_the_banks_answer(desk: House, account: str) -> None:
    """Both say that it is paid, at the same moment: it is paid once."""
    del account
    for _ in range(3):
        business_day(desk)
        one = withdraw(desk, 700)["payment_id"]
        file_id = make_file(desk)["file_id"]
        line = paid(-700, "x", end_to_end=end_to_end(one))
        assert send(desk, camt(line, on=desk.today)).status_code == 201
        paid_minor = balance(desk, books.BANK)
        at_once(desk.run, lambda: post_answer(desk, report(file_id, {one: "ACSC"})))  # noqa: B023 - called here
        desk.run()
        assert states(desk, one)[-1] == "paid"
        assert balance(desk, books.BANK) == paid_minor + 700


DYING = """
import os, signal, sys
from pathlib import Path
import exchange.migrations.tables
from exchange.payments import files
from exchange.services import open_services
from exchange.settings import Settings

def die(*args, **more):
    os.kill(os.getpid(), signal.SIGKILL)

url, home, account, at = sys.argv[1:]
services = open_services(Settings(home=Path(home), database_url=url, seed=7, virtual_clock=True))
if at == "before the steps":
    files.move_many = die
with services.database.transaction() as session:
    now = services.clock.now(session)
    message = "pain.001.001.09"
    files.make_file(session, services=services, account=account, message=message, client_id=None, now=now)
if at == "after the commit":
    die()
"""


@pytest.mark.parametrize("at", ["before the steps", "after the commit"])
def test_a_hand_that_dies_while_it_makes_a_file(desk: House, account: str, at: str) -> None:
    """Killed between the posting and the file: the payments are in one file, or in none and wait for the next."""
    del account
    desk.deposit(0, 10_000)
    business_day(desk)
    made = [withdraw(desk, 150)["payment_id"] for _ in range(3)]
    settings = desk.services.settings
    command = [sys.executable, "-c", DYING, str(desk.services.database.url), str(settings.home), ACCOUNT, at]
    died = subprocess.run(command, check=False, env=os.environ | {"PYTHONPATH": "."}, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    files = rows(desk, "SELECT DISTINCT file_id FROM payment WHERE payment_id = ANY(:ids)", ids=made)
    if at == "after the commit":
        assert desk.operator.refused("POST", "/v1/payment-files", {"account": ACCOUNT})["code"] == "nothing_to_pay"
    else:
        assert files == [(None,)]
        make_file(desk)
    ((file_id,),) = rows(desk, "SELECT DISTINCT file_id FROM payment WHERE payment_id = ANY(:ids)", ids=made)
    content = desk.operator.call("GET", f"/v1/payment-files/{file_id}").data.decode()
    assert [content.count(f">{end_to_end(one)}<") for one in made] == [1, 1, 1]
    answer(desk, file_id, **dict.fromkeys(made, "ACSC"))


def test_every_job_is_known() -> None:
    """What the room puts on the list of work somebody does."""
    assert {"payments.propose", "payments.send", "payments.answer", "payments.confirm", "payments.watch"} <= set(
        worker.HANDLERS
    )
