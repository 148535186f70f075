"""What has to hold between claims, pools, offers, limits and books at every moment of rest, each as a query."""

from sqlalchemy import text

from tests.exchange.house import House

LAWS = {
    "limits count exactly what is offered, committed and held": """
        SELECT obligor, currency, used_minor, counted FROM exposure
        LEFT JOIN (
            SELECT company.number AS obligor, claim.currency, sum(outstanding_minor) AS counted
            FROM claim JOIN receivable ON receivable.asset_id = root_id JOIN company ON company_id = obligor_id
            WHERE state IN ('reserved', 'committed', 'assigned') GROUP BY 1, 2
        ) AS claims USING (obligor, currency)
        WHERE used_minor <> coalesce(counted, 0) OR used_minor > limit_minor
    """,
    "an asset is in a pool if and only if it is offered, committed or held": """
        SELECT claim.asset_id, claim.state, claim.pool_id, pool_asset.pool_id AS live_in FROM claim
        FULL JOIN pool_asset ON pool_asset.asset_id = claim.asset_id AND released_at IS NULL
        WHERE (claim.state IN ('reserved', 'committed', 'assigned')) <> (pool_asset.pool_id IS NOT NULL)
           OR (pool_asset.pool_id IS NOT NULL AND pool_asset.pool_id <> claim.pool_id)
           OR (claim.state = 'free' AND claim.pool_id IS NOT NULL)
    """,
    "an offer's assets are where its answer says": """
        SELECT offer_id, outcome, purchased_on, claim.asset_id, claim.state FROM offer
        JOIN claim USING (pool_id)
        WHERE claim.state <> CASE WHEN outcome IS NULL THEN 'reserved'
                                  WHEN purchased_on IS NULL THEN outcome ELSE 'assigned' END
          AND claim.state NOT IN ('closed', 'split')
    """,
    "every pool at rest has its offer, or gave its assets back": """
        SELECT pool_asset.asset_id, pool_id FROM pool_asset
        WHERE released_at IS NULL AND NOT EXISTS (SELECT FROM offer WHERE offer.pool_id = pool_asset.pool_id)
          AND NOT EXISTS (SELECT FROM trade_side WHERE trade_side.pool_id = pool_asset.pool_id AND side = 'bought')
    """,
    "money is held for exactly the offers and bids that are not over": """
        SELECT funder_id, currency, held, balance_minor FROM (
            SELECT funder_id, currency, sum(held_minor) FILTER (WHERE standing) AS held FROM (
                SELECT funder_id, currency, held_minor,
                       outcome IS NULL OR (outcome = 'committed' AND purchased_on IS NULL) AS standing
                FROM offer JOIN pool USING (pool_id, funder_id)
                UNION ALL
                SELECT funder_id, currency, held_minor, bid.outcome IS NULL FROM bid JOIN auction USING (auction_id)
            ) AS one GROUP BY 1, 2
        ) AS offers
        JOIN books_accounts ON path = 'funder/' || funder_id || '/reserved' AND commodity LIKE currency || '/%'
        JOIN books_balances USING (account_id)
        WHERE balance_minor <> coalesce(held, 0)
    """,
    "title is what is still owed on assets bought, and nobody else has any": """
        SELECT asset_id, state, outstanding_minor, path, balance_minor
        FROM claim LEFT JOIN pool USING (pool_id)
        FULL JOIN (
            SELECT path, commodity, balance_minor FROM books_accounts JOIN books_balances USING (account_id)
            WHERE path LIKE 'funder/%/title' AND balance_minor <> 0
        ) AS title ON commodity = asset_id
        WHERE (claim.state = 'assigned' OR path IS NOT NULL)
          AND (claim.state, outstanding_minor::bigint, path)
              IS DISTINCT FROM ('assigned', balance_minor::bigint, 'funder/' || funder_id || '/title')
    """,
    "a funder's money is its deposits and collections less what it bought": """
        SELECT funder_id, currency, sum(amount) FROM (
            SELECT funder_id, currency, amount_minor AS amount FROM receipt WHERE outcome = 'deposited'
            UNION ALL
            SELECT funder_id, currency, collected_minor - CASE WHEN bought_on IS NULL THEN 0 ELSE price_minor END
            FROM pool_asset JOIN pool USING (pool_id)
            UNION ALL
            SELECT split_part(path, '/', 2), split_part(commodity, '/', 1), -balance_minor
            FROM books_accounts JOIN books_balances USING (account_id)
            WHERE path LIKE 'funder/%/cash' OR path LIKE 'funder/%/reserved'
        ) AS parts GROUP BY 1, 2 HAVING sum(amount) <> 0
    """,
    "the claims alive on a receivable are what it was born with, less what was paid and credited": """
        SELECT root.asset_id, root.face_minor, alive.owed, paid.amount, credited.amount
        FROM claim AS root
        JOIN (SELECT root_id, sum(outstanding_minor) AS owed FROM claim GROUP BY 1) AS alive
          ON alive.root_id = root.asset_id
        LEFT JOIN (
            SELECT root_id, sum(applied_minor) AS amount FROM receipt JOIN claim USING (asset_id) GROUP BY 1
        ) AS paid ON paid.root_id = root.asset_id
        LEFT JOIN (
            SELECT root_id, sum(amount_minor) AS amount FROM credit_note JOIN claim USING (asset_id) GROUP BY 1
        ) AS credited ON credited.root_id = root.asset_id
        WHERE root.parent_id IS NULL
          AND root.face_minor - coalesce(paid.amount, 0) - coalesce(credited.amount, 0) <> alive.owed
    """,
    "parts sum to what their asset was when it was split, and every share of a receipt is in its sum": """
        SELECT parent.asset_id, sum(part.face_minor) FROM claim AS part
        JOIN claim AS parent ON parent.asset_id = part.parent_id
        GROUP BY parent.asset_id, parent.state, parent.face_minor
        HAVING parent.state <> 'split' OR sum(part.face_minor) > parent.face_minor
        UNION ALL
        SELECT receipt_id, sum(receipt_share.amount_minor) FROM receipt_share JOIN receipt USING (receipt_id)
        GROUP BY receipt_id, applied_minor HAVING sum(receipt_share.amount_minor) <> applied_minor
    """,
    "what encumbrances hold is what the claim says, and only a claim alive is encumbered": """
        SELECT claim.asset_id, state, encumbered_minor, sum(live_minor) FROM claim
        LEFT JOIN encumbrance ON encumbrance.asset_id = claim.asset_id
        GROUP BY claim.asset_id HAVING encumbered_minor <> coalesce(sum(live_minor), 0)
    """,
    "a free claim is kept for an auction that is not over, and only for such a one": """
        SELECT claim.asset_id, kept_for, outcome FROM claim LEFT JOIN auction ON auction_id = kept_for
        WHERE kept_for IS NOT NULL AND (auction_id IS NULL OR outcome IS NOT NULL)
    """,
    "what funders gained by selling to each other is what their trades say": """
        SELECT path, balance_minor, said FROM (
            SELECT 'funder/' || funder_id || '/trading' AS path, sum(result_minor) AS said FROM trade_side
            WHERE side = 'sold' GROUP BY funder_id
        ) AS trades
        FULL JOIN (
            SELECT path, balance_minor FROM books_accounts JOIN books_balances USING (account_id)
            WHERE path LIKE 'funder/%/trading'
        ) AS results USING (path)
        WHERE coalesce(said, 0) <> coalesce(balance_minor, 0)
    """,
    "no mandate is over its budget or its caps": """
        SELECT mandate.mandate_id, sum(used.price), max(used.by_obligor), max(used.by_seller) FROM (
            SELECT pool_asset.mandate_id, sum(price_minor) AS price,
                   sum(sum(price_minor)) OVER (PARTITION BY pool_asset.mandate_id, obligor_id) AS by_obligor,
                   sum(sum(price_minor)) OVER (PARTITION BY pool_asset.mandate_id, seller_id) AS by_seller
            FROM pool_asset JOIN claim USING (asset_id) JOIN receivable ON receivable.asset_id = root_id
            WHERE released_at IS NULL GROUP BY pool_asset.mandate_id, obligor_id, seller_id
        ) AS used
        JOIN (SELECT DISTINCT ON (mandate_id) * FROM mandate ORDER BY mandate_id, version DESC) AS mandate
            USING (mandate_id)
        GROUP BY mandate.mandate_id, terms
        HAVING sum(used.price) > (terms ->> 'budget_minor')::bigint
            OR max(used.by_obligor) > (terms ->> 'obligor_cap_minor')::bigint
            OR max(used.by_seller) > (terms ->> 'seller_cap_minor')::bigint
    """,
}


def sound(house: House) -> None:
    """Books and log are right, and every law holds; what breaks one is shown."""
    house.check()
    with house.services.database.snapshot() as session:
        broken = {law: rows for law, query in LAWS.items() if (rows := session.execute(text(query)).all())}
    assert not broken, broken


def claims(house: House) -> dict[str, str]:
    """The state of each claim."""
    with house.services.database.snapshot() as session:
        return dict(session.execute(text("SELECT asset_id, state FROM claim")).all())


def money(house: House, funder: int = 0, *, currency: str = "CNY/2") -> tuple[int, int]:
    """A funder's cash, and what of it is reserved."""
    query = text("""
        SELECT split_part(path, '/', 3), balance_minor FROM books_accounts JOIN books_balances USING (account_id)
        WHERE path LIKE 'funder/' || :funder_id || '/%' AND commodity = :currency
    """)
    with house.services.database.snapshot() as session:
        rows = session.execute(query, {"funder_id": house.funder_ids[funder], "currency": currency})
        found = {name: int(balance) for name, balance in rows}
    return found.get("cash", 0), found.get("reserved", 0)
