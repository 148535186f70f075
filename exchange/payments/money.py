"""Whose the money on the collection account is, day by day; and an asset's two legs: its price out, its payments in."""

from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import books
from exchange.currencies import commodity

OWNED = text("""
    SELECT commodity, path, balance_minor - later.minor AS balance_minor
    FROM books_accounts AS account
    JOIN books_balances USING (account_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount_minor), 0)::bigint AS minor FROM books_entries
        WHERE books_entries.account_id = account.account_id AND effective_date > :day
    ) AS later
    WHERE commodity LIKE '%/_' AND path NOT LIKE ALL (ARRAY['%/recourse', '%/losses', '%/charged_off', 'losses/%'])
      AND balance_minor <> later.minor
    ORDER BY commodity, path
""")
"""Money at the end of a day: what there is now, less what takes effect later. Debts and memos are no money."""
WHOSE = {"funder": "funders_minor", "seller": "sellers_minor", "unapplied": "unapplied_minor"}
OTHERS = "others_minor"

BOUGHT = text("""
    SELECT pool.pool_id, pool.currency, pool.funder_id, pool_asset.price_minor, offer.offer_id, offer.made_at,
           coalesce(offer.outcome, 'open') AS offer_state, offer.purchased_on, pool_asset.bought_on,
           claim.holder_id AS seller_id
    FROM pool_asset
    JOIN pool USING (pool_id)
    JOIN offer USING (pool_id)
    JOIN claim ON claim.asset_id = pool_asset.asset_id
    WHERE pool_asset.asset_id = :id AND (cast(:funder AS text) IS NULL OR pool.funder_id = :funder)
    ORDER BY pool_asset.bought_on NULLS LAST, pool.created_at DESC
""")
PAID_OUT = text("""
    WITH entry AS (
        SELECT entry.version, entry.amount_minor, transfer.key, payment.payment_id, payment.state
        FROM books_accounts AS account
        JOIN books_entries AS entry USING (account_id)
        JOIN books_transfers AS transfer USING (transfer_id)
        LEFT JOIN payment ON transfer.key = payment.payment_id || '/proposed'
        WHERE account.path = :path AND account.commodity = :commodity
          AND transfer.key NOT LIKE 'pay\\_%/back' AND transfer.key NOT LIKE 'pay\\_%/returned'
          AND coalesce(payment.state, '') NOT IN ('failed', 'cancelled', 'returned')
    ), until AS (
        SELECT sum(amount_minor) AS minor FROM entry
        WHERE amount_minor > 0 AND version <= (SELECT version FROM entry WHERE key = :purchase)
    )
    SELECT payment_id, state FROM (
        SELECT entry.*, sum(-amount_minor) OVER (ORDER BY version) AS out_minor FROM entry WHERE amount_minor < 0
    ) AS gone, until
    WHERE out_minor >= until.minor ORDER BY version LIMIT 1
""")
"""What went out of a seller's cash first was first to come in: the entry that takes out the last of a purchase."""
PAID_WITH = text("""
    WITH entry AS (
        SELECT entry.version, entry.amount_minor, transfer.key, payment.payment_id
        FROM books_accounts AS account
        JOIN books_entries AS entry USING (account_id)
        JOIN books_transfers AS transfer USING (transfer_id)
        LEFT JOIN payment ON transfer.key = payment.payment_id || '/proposed'
        WHERE account.path = :path AND account.commodity = :commodity
          AND transfer.key NOT LIKE 'pay\\_%/back' AND transfer.key NOT LIKE 'pay\\_%/returned'
          AND coalesce(payment.state, '') NOT IN ('failed', 'cancelled', 'returned')
    ), came AS (
        SELECT key, amount_minor, sum(amount_minor) OVER (ORDER BY version) AS until FROM entry WHERE amount_minor > 0
    ), gone AS (
        SELECT payment_id, amount_minor, sum(-amount_minor) OVER (ORDER BY version) AS out_minor
        FROM entry WHERE amount_minor < 0
    )
    SELECT offer_id, offer.funder_id, came.amount_minor FROM gone
    JOIN came ON until > out_minor + gone.amount_minor AND until <= out_minor
    JOIN offer ON came.key = offer_id || '/purchase'
    WHERE payment_id = :payment ORDER BY offer_id
""")
"""The purchases of which this payment took out the last, first in first out."""
CAME_IN = text("""
    SELECT receipt_id, value_date, amount_minor, applied_minor, reversed_on FROM (
        SELECT receipt_id, value_date, amount_minor, applied_minor, reversed_on FROM receipt
        WHERE asset_id = :id
        UNION ALL
        SELECT receipt_id, value_date, receipt_share.amount_minor, receipt_share.amount_minor, reversed_on
        FROM receipt_share JOIN receipt USING (receipt_id)
        WHERE receipt_share.asset_id = :id AND receipt.asset_id <> :id
    ) AS came
    ORDER BY value_date, receipt_id
""")
SAID = text("""
    SELECT advice_id, paid_on, amount_minor, expected_by, covered_at FROM payment_advice WHERE asset_id = :id
    ORDER BY paid_on, advice_id
""")


def owners(session: Session, *, day: date) -> list[dict[str, Any]]:
    """For each currency what the bank holds and whose it is at the end of a day (by effective date).

    `apart` says that it adds up and that no owner is below zero: nobody's money stands in for another's.
    """
    found: dict[str, dict[str, Any]] = {}
    for unit, path, balance_minor in session.execute(OWNED, {"day": day}):
        one = found.setdefault(unit, _nobody(unit))
        if path == books.BANK:
            one["bank_minor"] = -balance_minor
            continue
        owner = path.partition("/")[0]
        one[WHOSE.get(owner, OTHERS)] += balance_minor
        one["on_the_way_out_minor"] += balance_minor if path.endswith("/paying") else 0
        one["below_zero"] += [path] if balance_minor < 0 and owner in WHOSE else []
    for one in found.values():
        owned_minor = sum(one[name] for name in (*WHOSE.values(), OTHERS))
        one["apart"] = not one["below_zero"] and one["bank_minor"] == owned_minor
    return list(found.values())


def legs(session: Session, *, asset_id: str, funder_id: str | None) -> dict[str, Any]:
    """Both legs of an asset: its price to the seller as far as it is paid out, and what came from its obligor."""
    bought = session.execute(BOUGHT, {"id": asset_id, "funder": funder_id}).mappings().first()
    received = [_received(row) for row in session.execute(CAME_IN, {"id": asset_id}).mappings()]
    said = [dict(row) for row in session.execute(SAID, {"id": asset_id}).mappings()]
    return {
        "asset_id": asset_id,
        "price": None if bought is None else _price(session, bought, funder_id=funder_id),
        "receipts": received,
        "advices": said,
    }


def paid_with(session: Session, *, payment_id: str, seller_id: str, currency: str) -> list[tuple[str, str, int]]:
    """The purchases (offer, funder, price in minor units) whose price is out at the seller's with this payment."""
    asked = {"path": books.seller_cash(seller_id), "commodity": commodity(currency), "payment": payment_id}
    return [tuple(row) for row in session.execute(PAID_WITH, asked)]


def _nobody(unit: str) -> dict[str, Any]:
    amounts = dict.fromkeys(("bank_minor", *WHOSE.values(), OTHERS, "on_the_way_out_minor"), 0)
    return {"currency": unit.partition("/")[0], **amounts, "below_zero": []}


def _price(session: Session, bought: Any, *, funder_id: str | None) -> dict[str, Any]:  # noqa: ANN401 - a row
    """The first leg: offered, committed, settled (title against money), paid out of the seller's account."""
    state = "settled" if bought["bought_on"] else {"open": "offered"}.get(bought["offer_state"], bought["offer_state"])
    payment: Any = None
    if bought["bought_on"]:
        asked = {"path": books.seller_cash(bought["seller_id"]), "commodity": commodity(bought["currency"])}
        payment = session.execute(PAID_OUT, asked | {"purchase": f"{bought['offer_id']}/purchase"}).first()
    told = payment is not None and payment.payment_id is not None and funder_id is None
    return {
        "state": state,
        "currency": bought["currency"],
        "amount_minor": bought["price_minor"],
        "settled_on": bought["bought_on"],
        "paid_out": None if payment is None else payment.state or "used",
        "payment_id": payment.payment_id if told else None,
    }


def _received(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row
    """The second leg: what of a receipt the asset got."""
    state = "reversed" if row["reversed_on"] else "allocated"
    names = ("receipt_id", "value_date", "amount_minor", "applied_minor")
    return {name: row[name] for name in names} | {"state": state}
