"""Reads of payments, accounts and policy."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange import books
from exchange.auth import Caller, Role
from exchange.currencies import commodity
from exchange.payments.models import PaymentPolicy, PayoutAccount
from exchange.payments.rules import Policy, alarm_state, masked
from exchange.settlement import chains
from ledger.books import balances

PAYMENTS = """
    SELECT payment_id, kind, party_id, currency, amount_minor, account_id, receipt_id, creditor_name, creditor_account,
           creditor_agent, needs_second, proposed_by, proposed_on, state, execution_date, file_id, line_id,
           return_line_id
    FROM payment
"""
ACCOUNTS = """
    SELECT account_id, party_id, currency, holder_name, account, agent, entered_by, entered_at, outcome, reason,
           decided_by, decided_at, usable_from, closed_at, closed_reason
    FROM payout_account
"""
FILES = """
    SELECT file_id, message_id, account, currency, message, payment_count, sum_minor, sha256, made_by, made_at,
           (SELECT jsonb_object_agg(state, payments) FROM (
               SELECT state, count(*) AS payments FROM payment WHERE payment.file_id = payment_file.file_id GROUP BY 1
           ) AS one) AS states
    FROM payment_file
"""
SELLERS = """
    party_id IN (SELECT seller_id FROM receivable WHERE originator_id = :party)
"""
"""What a platform may see: the money of the companies that sold through it."""


ALARM_STATES = {
    "cleared": "cleared_at IS NOT NULL",
    "raised": "cleared_at IS NULL AND acknowledged_at IS NULL",
    "acknowledged": "cleared_at IS NULL AND acknowledged_at IS NOT NULL",
}


def policy(session: Session) -> tuple[int, Policy]:
    """The last version of the policy and its terms; version 0, which lets nothing leave, before the first."""
    query = select(PaymentPolicy.version, PaymentPolicy.terms).order_by(PaymentPolicy.version.desc()).limit(1)
    row = session.execute(query).first()
    return (row.version, msgspec.convert(row.terms, Policy)) if row else (0, Policy())


def account_in_force(session: Session, *, party_id: str, currency: str, today: date) -> PayoutAccount | None:
    """Where a party's money goes today; nobody closes it until the transaction ends."""
    query = select(PayoutAccount).where(
        PayoutAccount.party_id == party_id,
        PayoutAccount.currency == currency,
        PayoutAccount.outcome == "approved",
        PayoutAccount.closed_at.is_(None),
        PayoutAccount.usable_from <= today,
    )
    newest = query.order_by(PayoutAccount.usable_from.desc(), PayoutAccount.account_id.desc()).limit(1)
    return session.scalars(newest.with_for_update(read=True)).first()


def hold_accounts(session: Session, *, party_id: str) -> None:
    """Let nobody else enter accounts of the party until the transaction ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"payout {party_id}"})


def free_minor(session: Session, *, party_id: str, currency: str) -> int:
    """What a party has, less what it owes as a seller and is called for as one who handed claims on."""
    money = commodity(currency)
    if party_id.startswith("fnd_"):
        cash = (books.funder_cash(party_id), money)
        return balances(session.connection(), accounts=[cash]).get(cash, 0)
    cash, debts = (books.seller_cash(party_id), money), (books.seller_recourse(party_id), money)
    known = balances(session.connection(), accounts=[cash, debts])
    called_minor = chains.called_minor(session, company_id=party_id, currency=currency)
    return known.get(cash, 0) + min(known.get(debts, 0), 0) - called_minor


def proposed_so_far(
    session: Session, *, party_id: str | None, receipt_id: str | None, currency: str, today: date
) -> tuple[int, int]:
    """How many payments of this money there were, and the sum of those of today that no second person has seen."""
    query = text("""
        SELECT count(*), coalesce(sum(amount_minor) FILTER (
                   WHERE proposed_on = :today AND NOT needs_second AND state <> 'cancelled'), 0)
        FROM payment WHERE currency = :currency AND party_id = :party
        UNION ALL
        SELECT count(*), coalesce(sum(amount_minor) FILTER (
                   WHERE proposed_on = :today AND NOT needs_second AND state <> 'cancelled'), 0)
        FROM payment WHERE currency = :currency AND receipt_id = :receipt
    """)
    asked = {"party": party_id, "receipt": receipt_id, "currency": currency, "today": today}
    of_party, of_receipt = session.execute(query, asked).all()
    return int(of_party[0] + of_receipt[0]), int(of_party[1] + of_receipt[1])


def step_counts(session: Session, *, payment_ids: Sequence[str]) -> dict[str, int]:
    """How many steps each payment has taken."""
    query = text("SELECT payment_id, count(*) FROM payment_step WHERE payment_id = ANY(:ids) GROUP BY 1")
    counts: dict[str, int] = defaultdict(int)
    counts.update({row[0]: row[1] for row in session.execute(query, {"ids": sorted(set(payment_ids))})})
    return counts


def payments(
    session: Session, *, caller: Caller, state: str | None, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """The payments a caller may see, oldest first."""
    query = text(f"""
        {PAYMENTS} WHERE {_visible(caller)} AND (cast(:state AS text) IS NULL OR state = :state)
        AND (cast(:after AS text) IS NULL OR payment_id > :after) ORDER BY payment_id LIMIT :limit
    """)
    asked = {"party": caller.party_id, "state": state, "after": after, "limit": limit}
    return [_payment(dict(row)) for row in session.execute(query, asked).mappings()]


def payment(session: Session, *, caller: Caller, payment_id: str) -> dict[str, Any] | None:
    """One payment with its steps, if the caller may see it."""
    query = text(f"{PAYMENTS} WHERE payment_id = :id AND {_visible(caller)}")
    row = session.execute(query, {"id": payment_id, "party": caller.party_id}).mappings().first()
    return None if row is None else _payment(dict(row)) | {"steps": _steps(session, payment_id)}


def accounts(session: Session, *, caller: Caller, after: str | None, limit: int) -> list[dict[str, Any]]:
    """The payout accounts a caller may see with their history, numbers by their last four characters."""
    query = text(f"""
        {ACCOUNTS} WHERE {_visible(caller)} AND (cast(:after AS text) IS NULL OR account_id > :after)
        ORDER BY account_id LIMIT :limit
    """)
    rows = session.execute(query, {"party": caller.party_id, "after": after, "limit": limit}).mappings()
    return [dict(row) | {"account": masked(row["account"])} for row in rows]


def files(session: Session, *, after: str | None, limit: int) -> list[dict[str, Any]]:
    """Files of instructions, oldest first, and where their payments are."""
    query = text(f"""
        {FILES} WHERE cast(:after AS text) IS NULL OR file_id > :after ORDER BY file_id LIMIT :limit
    """)
    return [dict(row) for row in session.execute(query, {"after": after, "limit": limit}).mappings()]


def sold_through(session: Session, *, company_id: str) -> set[str]:
    """The originators through which a company has sold."""
    query = text("SELECT DISTINCT originator_id FROM receivable WHERE seller_id = :id")
    return set(session.execute(query, {"id": company_id}).scalars())


def sellers_to_pay(session: Session, *, today: date, after: str, limit: int, policy: Policy) -> list[Any]:
    """Companies (id, currency) with an account in force and at least the policy's cash, in order."""
    query = text("""
        SELECT DISTINCT party_id, currency, party_id || '/' || currency AS place
        FROM payout_account
        JOIN unnest(cast(:currencies AS text[]), cast(:commodities AS text[]), cast(:least AS bigint[]))
             AS asked(currency, commodity, least_minor) USING (currency)
        JOIN books_accounts ON path = 'seller/' || party_id || '/cash' AND books_accounts.commodity = asked.commodity
        JOIN books_balances ON books_balances.account_id = books_accounts.account_id
        WHERE outcome = 'approved' AND closed_at IS NULL AND usable_from <= :today AND balance_minor > 0
          AND balance_minor >= least_minor AND party_id || '/' || currency > :after
        ORDER BY place LIMIT :limit
    """)
    asked = {
        "currencies": [one.currency for one in policy.pay_from],
        "commodities": [commodity(one.currency) for one in policy.pay_from],
        "least": [one.amount_minor for one in policy.pay_from],
        "today": today,
        "after": after,
        "limit": limit,
    }
    return list(session.execute(query, asked).all())


def advice_count(session: Session, *, asset_id: str) -> int:
    """How many advices of an asset there were; nobody adds one until the transaction ends."""
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
    session.execute(lock, {"name": f"advice {asset_id}"})
    query = text("SELECT count(*) FROM payment_advice WHERE asset_id = :id")
    return int(session.execute(query, {"id": asset_id}).scalar_one())


def alarms(
    session: Session, *, caller: Caller, state: str | None, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """The alarms a caller may see, oldest first: a platform those about what it services."""
    mine = "originator_id = :party" if caller.role is Role.PLATFORM else "cast(:party AS text) IS NULL"
    wanted = ALARM_STATES[state] if state else "true"
    query = text(f"""
        SELECT alarm_id, kind, originator_id, advice_id, asset_id, raised_on, numbers, acknowledged_by,
               acknowledged_at, acknowledged_reason, cleared_at
        FROM money_alarm WHERE {mine} AND {wanted} AND (cast(:after AS text) IS NULL OR alarm_id > :after)
        ORDER BY alarm_id LIMIT :limit
    """)  # noqa: S608 - constants of ours
    rows = session.execute(query, {"party": caller.party_id, "after": after, "limit": limit}).mappings()
    return [dict(row) | {"state": alarm_state(row)} for row in rows]


def sees_money(session: Session, *, caller: Caller, asset_id: str) -> bool:
    """Whether a caller may see an asset's money: its originator, its holder, the exchange."""
    mine = "cast(:party AS text) IS NULL"
    if caller.role is Role.PLATFORM:
        mine = "receivable.originator_id = :party"
    elif caller.role is Role.FUNDER:
        mine = "pool.funder_id = :party AND claim.state IN ('assigned', 'closed')"
    query = text(f"""
        SELECT EXISTS (
            SELECT FROM claim JOIN receivable ON receivable.asset_id = claim.root_id
            LEFT JOIN pool ON pool.pool_id = claim.pool_id WHERE claim.asset_id = :id AND {mine})
    """)  # noqa: S608 - constants of ours
    return bool(session.execute(query, {"id": asset_id, "party": caller.party_id}).scalar_one())


def _visible(caller: Caller) -> str:
    """The condition that keeps others' payments out of sight."""
    if caller.role in {Role.FUNDER, Role.OBLIGOR}:
        return "party_id = :party"
    return SELLERS if caller.role is Role.PLATFORM else "cast(:party AS text) IS NULL"


def _payment(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"creditor_account": masked(row["creditor_account"])}


def _steps(session: Session, payment_id: str) -> list[dict[str, Any]]:
    query = text("""
        SELECT state, taken_by, reason, effective_date, recorded_at FROM payment_step WHERE payment_id = :id
        ORDER BY number
    """)
    return [dict(row) for row in session.execute(query, {"id": payment_id}).mappings()]
