"""The exchange's chart of accounts: which path in the books holds whose money or title.

Money is in commodities like `CNY/2`; title is in units of each asset, in minor units of face. `bank/collection` runs
negative by what the collection account at the bank holds, `assets/issued` by the face still alive.
"""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from exchange.currencies import commodity
from ledger.books import Account, open_accounts

BANK = "bank/collection"
ISSUED = "assets/issued"
UNAPPLIED = "unapplied"


def funder_cash(funder_id: str) -> str:
    """A funder's money, free to buy with."""
    return f"funder/{funder_id}/cash"


def funder_reserved(funder_id: str) -> str:
    """A funder's money behind its open offers."""
    return f"funder/{funder_id}/reserved"


def funder_title(funder_id: str) -> str:
    """A funder's title to assets."""
    return f"funder/{funder_id}/title"


def seller_cash(company_id: str) -> str:
    """What is owed to a seller, or a later holder: purchase prices, holdbacks, collections of its own assets."""
    return f"seller/{company_id}/cash"


def seller_recourse(company_id: str) -> str:
    """What a seller owes to funders and holders for dilution of assets it sold (negative), or is owed as a holder."""
    return f"seller/{company_id}/recourse"


def funder_recourse(funder_id: str) -> str:
    """What sellers owe to a funder: the other side of `seller_recourse`, not money yet."""
    return f"funder/{funder_id}/recourse"


def open_money(session: Session, *, currency: str, paths: Iterable[str], may_overdraw: Iterable[str] = ()) -> None:
    """Open money accounts that are not open yet."""
    name = commodity(currency)
    accounts = [Account(path, name, False) for path in paths]  # noqa: FBT003 - a named tuple's field
    accounts += [Account(path, name, True) for path in may_overdraw]  # noqa: FBT003 - a named tuple's field
    open_accounts(session.connection(), accounts=accounts)


def open_titles(session: Session, *, asset_ids: Iterable[str], holder: str) -> None:
    """Open the accounts between which the title of assets moves when it is issued to `holder` and paid off again."""
    accounts = []
    for asset_id in asset_ids:
        accounts += [Account(ISSUED, asset_id, True), Account(holder, asset_id, False)]  # noqa: FBT003 - named tuple's field
    open_accounts(session.connection(), accounts=accounts)
