"""Numbers that say by themselves what is paid: of one asset, or of whatever one company owes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from exchange.banking import names
from exchange.banking.matching import Payer
from exchange.banking.statement import Line
from exchange.errors import Fault, Refused
from exchange.settlement.models import BankAccount, VirtualAccount
from exchange.settlement.statement_schemas import VirtualAccountItem

SHORTEST = 6
LONGEST = 64


class Named(NamedTuple):
    """A number that a line names: the asset it is of, or the company."""

    number: str
    asset_id: str | None
    company_id: str | None


def enter_virtual_accounts(
    session: Session, *, items: Sequence[tuple[int, VirtualAccountItem]], client_id: str, now: datetime
) -> dict[int, Refused | None]:
    """Give numbers to assets and companies, or close them; by index None, or (status, fault) where that cannot be.

    A number is never given twice: money that comes late would be somebody else's. The same again changes nothing.
    """
    accounts = set(session.scalars(select(BankAccount.account)))
    assets, companies = _known(session, items)
    results: dict[int, Refused | None] = {}
    for index, item in items:
        at, account = f"/items/{index}", names.account(item.account)
        asset_id, company_id = item.asset_id or None, item.company_id or None
        if (asset_id is None) == (company_id is None):
            results[index] = 422, Fault("of_one", at, "name an asset or a company, not both")
        elif account not in accounts:
            results[index] = 404, Fault("not_found", f"{at}/account", "no such collection account", item.account)
        elif (asset_id or company_id) not in assets | companies:
            results[index] = 404, Fault("not_found", at, "no such asset, or no such company", asset_id or company_id)
        else:
            row = VirtualAccount(
                number=names.account(item.number), account=account, asset_id=asset_id, company_id=company_id
            )
            results[index] = _enter(session, at, row, item, client_id=client_id, now=now)
    return results


def virtual_accounts(session: Session, *, after: str, limit: int) -> list[dict[str, Any]]:
    """The numbers that were given, in their order."""
    columns = VirtualAccount.__table__.columns
    query = select(*columns).where(VirtualAccount.number > after).order_by(VirtualAccount.number).limit(limit)
    return [dict(row) for row in session.execute(query).mappings()]


def named_by(session: Session, lines: Iterable[Line], *, account: str) -> dict[str, list[Named]]:
    """The open numbers of a collection account that each line of money coming in names, by the line's `where`."""
    said = {line.where: _said(line) for line in lines if line.amount_minor > 0}
    query = select(VirtualAccount.number, VirtualAccount.asset_id, VirtualAccount.company_id).where(
        VirtualAccount.account == account,
        VirtualAccount.closed_at.is_(None),
        VirtualAccount.number.in_(sorted(set().union(*said.values()))),
    )
    known = {row.number: Named(*row) for row in session.execute(query)} if any(said.values()) else {}
    found = {where: [known[one] for one in numbers if one in known] for where, numbers in said.items()}
    return {where: some for where, some in found.items() if some}


def as_named(line: Line, named: Sequence[Named]) -> Line:
    """The line, naming the assets of its numbers as if the payer had, and the numbers of companies as its own."""
    more = [one.asset_id or one.number for one in named]
    return replace(line, references=(*more, *line.references))


def payers(named: Mapping[str, Sequence[Named]]) -> list[Payer]:
    """Companies known by the numbers that lines name."""
    known = {one.number: one.company_id for some in named.values() for one in some if one.company_id}
    return [Payer(company_id, (), (number,)) for number, company_id in sorted(known.items())]


def _said(line: Line) -> set[str]:
    """What of a line may be such a number: with a digit, neither too short nor too long."""
    words = {names.account(one) for one in (*line.references, line.end_to_end_id, *line.remittance.split())}
    words |= {names.account(one) for one in names.references(line)}
    return {one for one in words if SHORTEST <= len(one) <= LONGEST and any(sign.isdigit() for sign in one)}


def _known(session: Session, items: Sequence[tuple[int, VirtualAccountItem]]) -> tuple[set[str], set[str]]:
    asset_ids = [item.asset_id for _, item in items if item.asset_id]
    company_ids = [item.company_id for _, item in items if item.company_id]
    claims = session.execute(text("SELECT asset_id FROM claim WHERE asset_id = ANY(:ids)"), {"ids": asset_ids})
    owing = text("SELECT company_id FROM company WHERE company_id = ANY(:ids)")
    return set(claims.scalars()), set(session.execute(owing, {"ids": company_ids}).scalars())


def _enter(
    session: Session, at: str, row: VirtualAccount, item: VirtualAccountItem, *, client_id: str, now: datetime
) -> Refused | None:
    values = {"number": row.number, "account": row.account, "asset_id": row.asset_id, "company_id": row.company_id}
    closed_at = now if item.closed else None
    entered = insert(VirtualAccount).values(**values, entered_by=client_id, entered_at=now, closed_at=closed_at)
    session.execute(entered.on_conflict_do_nothing())
    known = session.get_one(VirtualAccount, row.number, with_for_update=True, populate_existing=True)
    if any(getattr(known, name) != value for name, value in values.items()) or (known.closed_at and not item.closed):
        return 409, Fault("number_taken", f"{at}/number", "the number was given before", item.number)
    known.closed_at = known.closed_at or closed_at
    session.flush()
    return None
