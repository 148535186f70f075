"""Payout accounts: entered by one, approved by another, usable after a while, closed at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.errors import Fault, InvalidRequest, NotFound, Refused
from exchange.ids import new_id
from exchange.parties.models import Company
from exchange.payments import queries, rules
from exchange.payments.actions import close_account
from exchange.payments.models import PayoutAccount
from exchange.payments.rules import AccountAwaited, Creditor
from exchange.payments.schemas import PayoutDecisionItem
from exchange.services import Services


def party_of(session: Session, caller: Caller, *, seller: Mapping[str, str] | None) -> str:
    """Whose money a client speaks of: its own party's, or that of a company which sold through it.

    Refuses a platform that names no seller (`InvalidRequest`), and sellers that are not its own (`NotFound`).
    """
    if caller.role is not Role.PLATFORM:
        return str(caller.party_id)
    if seller is None:
        fault = Fault("missing", "/seller", "say which seller's money it is")
        raise InvalidRequest("Say which seller's money it is.", faults=(fault,))
    namespace = str(caller.party_id) if seller["scheme"] == "platform" else ""
    key = (Company.scheme == seller["scheme"], Company.namespace == namespace, Company.value == seller["value"])
    company_id = session.scalars(select(Company.company_id).where(*key)).first()
    if company_id is None or caller.party_id not in queries.sold_through(session, company_id=company_id):
        raise NotFound("No such company has sold through you.")
    return company_id


def enter_account(
    session: Session,
    *,
    services: Services,
    party_id: str,
    currency: str,
    creditor: Creditor,
    client_id: str,
    now: datetime,
) -> PayoutAccount:
    """Enter where a party's money shall go; it waits for somebody else.

    Refuses what is no account (`InvalidRequest`) and a second one at a time (`AccountAwaited`).
    """
    faults = rules.account_faults(creditor)
    if faults:
        raise InvalidRequest("No money can be sent to this account.", faults=tuple(faults))
    mine = (PayoutAccount.party_id == party_id, PayoutAccount.currency == currency)
    queries.hold_accounts(session, party_id=party_id)
    waiting = select(PayoutAccount.account_id).where(*mine, PayoutAccount.outcome.is_(None))
    if session.scalars(waiting.where(PayoutAccount.closed_at.is_(None))).first() is not None:
        raise AccountAwaited("Approve, decline or close the account that waits first.")
    count = len(session.scalars(select(PayoutAccount.account_id).where(*mine)).all())
    purpose = f"{party_id}/{currency}/{count}"
    account = PayoutAccount(
        account_id=new_id("poa", now=now, entropy=services.entropy, purpose=purpose),
        party_id=party_id,
        currency=currency,
        holder_name=creditor.name,
        account=creditor.account,
        agent=creditor.agent,
        entered_by=client_id,
        entered_at=now,
    )
    session.add(account)
    session.flush()
    return account


def decide_accounts(
    session: Session,
    *,
    services: Services,
    items: Sequence[tuple[int, PayoutDecisionItem]],
    caller: Caller,
    now: datetime,
) -> dict[int, Refused | None]:
    """Approve accounts that others entered, or decline them; by index None, or (status, fault) where that cannot be.

    An approved account can be used after the policy's cooling time. Where a company sold through several platforms,
    none of them decides alone where its money goes: the operator does.
    """
    policy, today = queries.policy(session)[1], services.business_date(now)
    ids = sorted({item.account_id for _, item in items})
    query = select(PayoutAccount).where(PayoutAccount.account_id.in_(ids)).order_by(PayoutAccount.account_id)
    known = {row.account_id: row for row in session.scalars(query.with_for_update())}
    results: dict[int, Refused | None] = {}
    for index, item in items:
        account = known.get(item.account_id)
        results[index] = refused = _refused(session, f"/items/{index}/account_id", item, account, caller)
        if refused is None and account is not None:
            account.outcome, account.reason = item.outcome, item.reason or None
            account.decided_by, account.decided_at = caller.client_id, now
            if item.outcome == "approved":
                account.usable_from = rules.days_later(today, policy.cooling_days, policy=policy)
    session.flush()
    return results


def close(session: Session, *, services: Services, account_id: str, caller: Caller, reason: str, now: datetime) -> int:
    """Close an account: stopping needs one, not two. Gives how many payments that cancelled (`NotFound`)."""
    query = select(PayoutAccount).where(PayoutAccount.account_id == account_id)
    account = session.scalars(query.with_for_update()).first()
    if account is None or not _is_mine(session, account, caller):
        raise NotFound("There is no such account.")
    today = services.business_date(now)
    cancelled = close_account(session, account_id=account_id, by=caller.client_id, reason=reason, today=today, now=now)
    return len(cancelled)


def _refused(
    session: Session, at: str, item: PayoutDecisionItem, account: PayoutAccount | None, caller: Caller
) -> Refused | None:
    if account is None or not _is_mine(session, account, caller):
        return 404, Fault("not_found", at, "no account of yours")
    if account.outcome is not None or account.closed_at is not None:
        return 409, Fault("already_decided", at, "nobody has to decide any more")
    if account.entered_by == caller.client_id:
        return 409, Fault("own_account", at, "somebody else has to approve what you entered")
    if item.outcome == "declined" and not item.reason:
        return 422, Fault("reason_missing", at.replace("account_id", "reason"), "say why")
    shared = account.party_id.startswith("com_") and len(queries.sold_through(session, company_id=account.party_id)) > 1
    if shared and caller.role is Role.PLATFORM:
        return 409, Fault("operator_needed", at, "the company sells through others too: the operator decides")
    return None


def _is_mine(session: Session, account: PayoutAccount, caller: Caller) -> bool:
    """Whether the client speaks for the account's party, or for the exchange."""
    if caller.role is Role.PLATFORM:
        return caller.party_id in queries.sold_through(session, company_id=account.party_id)
    return caller.role is Role.OPERATOR or account.party_id == caller.party_id
