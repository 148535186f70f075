"""The exchange's chart of accounts: which path in the books holds whose money or title.

Money is in commodities like `CNY/2`; title is in units of each asset, in minor units of face. `bank/collection` runs
negative by what the collection account at the bank holds, `assets/issued` by the face still alive, and
`facilities/notes` by the principal of each tranche.
"""

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.currencies import commodity
from ledger.books import Account, Leg, open_accounts

BANK = "bank/collection"
ISSUED = "assets/issued"
NOTES = "facilities/notes"
UNAPPLIED = "unapplied"
FEES = "exchange/fees"
CHARGED_OFF = "losses/charged_off"
WRITTEN_OFF = "losses/written_off"
"""What all funders together do not count as good any more, and have given up: negative. No money is in these."""
TRADED = "results/trading"
"""What all funders together gained by selling to each other, below 0. No money is in it either."""


def funder_cash(funder_id: str) -> str:
    """A funder's money, free to buy with."""
    return f"funder/{funder_id}/cash"


def funder_reserved(funder_id: str) -> str:
    """A funder's money behind its open offers."""
    return f"funder/{funder_id}/reserved"


def funder_title(funder_id: str) -> str:
    """A funder's title to assets."""
    return f"funder/{funder_id}/title"


def funder_trading(funder_id: str) -> str:
    """What a funder gained (lost, below 0) by selling to other funders: the other side of `TRADED`."""
    return f"funder/{funder_id}/trading"


def seller_cash(company_id: str) -> str:
    """What is owed to a seller, or a later holder: purchase prices, holdbacks, collections of its own assets."""
    return f"seller/{company_id}/cash"


def seller_recourse(company_id: str) -> str:
    """What a seller owes to funders and holders for dilution of assets it sold (negative), or is owed as a holder."""
    return f"seller/{company_id}/recourse"


def funder_recourse(funder_id: str) -> str:
    """What sellers owe to a funder: the other side of `seller_recourse`, not money yet."""
    return f"funder/{funder_id}/recourse"


def funder_charged_off(funder_id: str) -> str:
    """What a funder still expects of assets that do not count as good: the other side of `CHARGED_OFF`."""
    return f"funder/{funder_id}/charged_off"


def funder_losses(funder_id: str) -> str:
    """What a funder gave up and has not recovered: the other side of `WRITTEN_OFF`."""
    return f"funder/{funder_id}/losses"


def facility_reserve(funder_id: str) -> str:
    """What a facility set aside for interest and fees: beyond the reach of purchases."""
    return f"funder/{funder_id}/reserve"


def facility_cover(funder_id: str) -> str:
    """Money of the covers of a facility, which bears losses."""
    return f"funder/{funder_id}/cover"


def funder_notes(funder_id: str) -> str:
    """A funder's principal in tranches: the tranche is the commodity."""
    return f"funder/{funder_id}/notes"


def funder_notes_lost(funder_id: str) -> str:
    """What of a funder's principal in tranches was lost and has not come back."""
    return f"funder/{funder_id}/notes_lost"


def open_notes(session: Session, *, tranche_id: str, funder_ids: Iterable[str]) -> None:
    """Open the accounts between which the notes of a tranche move."""
    accounts = [Account(NOTES, tranche_id, True)]  # noqa: FBT003 - a named tuple's field
    for funder_id in funder_ids:
        accounts += [Account(funder_notes(funder_id), tranche_id), Account(funder_notes_lost(funder_id), tranche_id)]
    open_accounts(session.connection(), accounts=accounts)


def hold_cash(session: Session, *, purses: Iterable[tuple[str, str]]) -> None:
    """Until the transaction ends, nobody else spends by what these (path, currency) have: who counts it, spends it."""
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
    for path, currency in sorted(set(purses)):
        session.execute(lock, {"name": f"cash {path} {currency}"})


def open_for(session: Session, *, legs: Iterable[Leg]) -> None:
    """Open the money accounts of these legs that are not open yet."""
    wanted = {(leg.path, leg.commodity) for leg in legs if "/" in leg.commodity}
    accounts = [Account(path, unit, _may_overdraw(path)) for path, unit in sorted(wanted)]
    open_accounts(session.connection(), accounts=accounts)


def _may_overdraw(path: str) -> bool:
    """What stands against the money of others runs negative, and what a seller owes."""
    owing = path.startswith("seller/") and path.endswith("/recourse")
    return owing or path in {BANK, CHARGED_OFF, WRITTEN_OFF, TRADED} or path.endswith("/trading")


def paying(path: str) -> str:
    """Money that left `path` for a payment and is not out of the bank yet: still its owner's, and beyond its reach."""
    return f"{path.removesuffix('/cash')}/paying"


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
