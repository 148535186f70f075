"""Propose what sellers are owed, let the rail carry files and answers, confirm lines, look for missing money."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.errors import NotFound
from exchange.payments import alarms, queries
from exchange.payments.actions import pay_party
from exchange.payments.answers import confirm_line, take_answer
from exchange.payments.files import make_file
from exchange.payments.rails import rail_of
from exchange.payments.rules import InsufficientCash, Kind, NoPayoutAccount, NothingToPay
from exchange.services import Services

CHUNK = 200
NEWEST = "pain.001.001.09"

WAITING_LINES = text("""
    SELECT line_id FROM bank_line
    WHERE state = 'open' AND proposal ->> 'kind' IN ('payment_out', 'payment_return') AND value_date <= :today
      AND proposal -> 'reasons' ? 'value_date_in_future'
    ORDER BY line_id
""")


def propose(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Pay the next sellers what they have, if it is enough; more of them are work of their own."""
    now, policy = services.clock.now(session), queries.policy(session)[1]
    if not policy.pay_from:
        return
    today = services.business_date(now)
    after = payload.get("after", "")
    sellers = queries.sellers_to_pay(session, today=today, after=after, limit=CHUNK, policy=policy)
    for party_id, currency, _ in sellers:
        try:
            with session.begin_nested():
                order = (Kind.PRICE, party_id, currency)
                pay_party(session, services=services, order=order, amount_minor=None, by=None, now=now)
        except (InsufficientCash, NoPayoutAccount):
            continue  # spent or closed since, or owed to funders
    if len(sellers) == CHUNK:
        jobs.enqueue(session, job="payments.propose", payload={"after": sellers[-1].place})


def send(services: Services, session: Session, payload: dict[str, Any]) -> None:  # noqa: ARG001 - a handler's form
    """At the cut-off, hand what is due to a rail that carries files by itself."""
    if not rail_of(services.settings).carries:
        return
    now = services.clock.now(session)
    for payer in queries.policy(session)[1].payers:
        try:
            with session.begin_nested():
                make_file(session, services=services, account=payer.account, message=NEWEST, client_id=None, now=now)
        except (NothingToPay, NotFound):
            continue  # nothing is due, or the account was never entered
        jobs.enqueue(session, job="payments.send", payload={})


def answer(services: Services, session: Session, payload: dict[str, Any]) -> None:  # noqa: ARG001 - a handler's form
    """Take what the rail brings back."""
    now = services.clock.now(session)
    for content in rail_of(services.settings).answers(session):
        take_answer(session, content=content, client_id=None, today=services.business_date(now), now=now)


def confirm(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Let a line of a statement say what became of the payment it names."""
    now = services.clock.now(session)
    confirm_line(session, line_id=payload["line_id"], today=services.business_date(now), now=now)


def watch(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Look for money that should have come; let lines whose day has come say what they say."""
    now = services.clock.now(session)
    today = services.business_date(datetime.fromisoformat(payload["fire_at"]))
    for line_id in session.execute(WAITING_LINES, {"today": today}).scalars().all():
        jobs.enqueue(session, job="payments.confirm", payload={"line_id": line_id})
    alarms.watch(session, services=services, today=today, now=now)
