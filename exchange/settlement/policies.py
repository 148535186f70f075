"""The terms under which collections are shared and losses taken: data, in versions, for an originator and a product."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from exchange.banking.matching import Tolerance
from exchange.errors import Fault, NotFound, Refusal
from exchange.settlement.models import SettlementPolicy
from exchange.settlement.rules import DUES, WATERFALL
from exchange.waterfalls.orders import ALL, Order, OrderRefused, read

PPM = 1_000_000
MOST_STEPS = 20


class PolicyRefused(Refusal):
    """The terms contradict themselves; the fault says where."""

    code = "policy_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "These terms cannot be"


class GivenUp(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """From so many days after the due date on, so much of what was owed on the claim is given up."""

    days_late: int
    share_ppm: int


class Terms(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What holds for an asset. `order` shares collections; a payment short by no more than the tolerance closes it.

    `penalty_bps` a year is charged on what is owed from `penalty_grace_days` after the due date on. `write_offs` are by
    schedule; by hand more, above `second_person_minor` with a second person. A holder with limited recourse answers
    for `limited_recourse_ppm` of what its funder lacks at default, within `recourse_days`.
    """

    order: Order = WATERFALL
    penalty_bps: int = 0
    penalty_grace_days: int = 3
    tolerance_minor: int = 0
    tolerance_bps: int = 0
    write_offs: tuple[GivenUp, ...] = ()
    second_person_minor: int = 10_000_000
    limited_recourse_ppm: int = 200_000
    recourse_days: int = 10

    @property
    def tolerance(self) -> Tolerance:
        """What may be missing from a payment."""
        return Tolerance(self.tolerance_minor, self.tolerance_bps)

    def given_up_ppm(self, *, days_late: int) -> int:
        """What the schedule has given up of a claim that late."""
        return max((step.share_ppm for step in self.write_offs if step.days_late <= days_late), default=0)


class Policies(NamedTuple):
    """The terms in force: the narrowest that is set counts."""

    known: Mapping[tuple[str | None, str | None], Terms]

    def of(self, originator_id: str, product: str) -> Terms:
        """What holds for an originator's product."""
        for key in ((originator_id, product), (originator_id, None), (None, product), (None, None)):
            if key in self.known:
                return self.known[key]
        return DEFAULT


DEFAULT = Terms()


def read_terms(data: Mapping[str, Any]) -> Terms:
    """Terms from a request's body (`PolicyRefused`, with everything that is wrong with an order of payment)."""
    known = dict(data)
    order = WATERFALL
    if "order" in known:
        try:
            order = read(known.pop("order"), dues=DUES, payees=DUES)
        except OrderRefused as refused:
            raise _refusal(refused.code, f"/order{refused.pointer}", str(refused)) from None
        _check_order(order)
    terms: Terms = msgspec.convert(known, Terms)
    _check_schedule(terms)
    return msgspec.structs.replace(terms, order=order)


def put_policy(
    session: Session,
    *,
    originator_id: str | None,
    product: str | None,
    terms: Terms,
    client_id: str,
    now: datetime,
) -> int:
    """Set terms from now on; the number of their version (`NotFound`: no such originator)."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('settlement.policy'))"))
    known = text("SELECT FROM originator WHERE originator_id = :id")
    if originator_id is not None and session.execute(known, {"id": originator_id}).first() is None:
        raise NotFound("There is no such originator.")
    version = (session.execute(select(func.max(SettlementPolicy.version))).scalar_one() or 0) + 1
    values = {"version": version, "originator_id": originator_id, "product": product, "set_by": client_id}
    session.execute(insert(SettlementPolicy).values(terms=msgspec.to_builtins(terms), set_at=now, **values))
    return version


def in_force(session: Session) -> Policies:
    """All terms in force."""
    query = text("""
        SELECT DISTINCT ON (originator_id, product) originator_id, product, terms FROM settlement_policy
        ORDER BY originator_id, product, version DESC
    """)
    rows = session.execute(query)
    return Policies({(row.originator_id, row.product): msgspec.convert(row.terms, Terms) for row in rows})


def versions(session: Session, *, after: int, limit: int) -> list[dict[str, Any]]:
    """Every version of all terms, oldest first."""
    query = (
        select(SettlementPolicy).where(SettlementPolicy.version > after).order_by(SettlementPolicy.version).limit(limit)
    )
    return [
        {
            "version": row.version,
            "originator_id": row.originator_id,
            "product": row.product,
            "terms": row.terms,
            "set_by": row.set_by,
            "set_at": row.set_at,
        }
        for row in session.scalars(query)
    ]


def _check_order(order: Order) -> None:
    """Whatever is owed has its place, nothing goes where nothing is owed, and the funder stands before the holdback."""
    place = {leg.due: number for number, step in enumerate(order.steps) for leg in step.legs}
    missing = [due for due in DUES if due not in place]
    if missing:
        raise _refusal("due_missing", "/order/steps", f"there is no place for {', '.join(missing)}")
    if ALL in place:
        raise _refusal("unknown_due", "/order/steps", "nobody takes more than is owed: what is left stays unapplied")
    if any(leg.to != leg.due for step in order.steps for leg in step.legs):
        raise _refusal(
            "unknown_payee", "/order/steps", "who gets what is owed is not up to the order: leave payees out"
        )
    if place["holdback"] <= max(place["discount"], place["principal"]):
        raise _refusal("holdback_before_funder", "/order/steps", "the holdback is paid after discount and principal")


def _check_schedule(terms: Terms) -> None:
    """Later means more."""
    for number, (one, another) in enumerate(zip(terms.write_offs, terms.write_offs[1:], strict=False), start=1):
        if another.days_late <= one.days_late or another.share_ppm <= one.share_ppm:
            message = "each step is later than the one before, and gives up more"
            raise _refusal("schedule_not_rising", f"/write_offs/{number}", message)


def _refusal(code: str, pointer: str, message: str) -> PolicyRefused:
    return PolicyRefused(f"{message[:1].upper()}{message[1:]}.", faults=(Fault(code, pointer, message),))
