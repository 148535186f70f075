"""A funder's own journal: its accounts, the transfers that touch them, and one account for all others.

What others gave or took in a transfer is summed by commodity, so that each transfer still balances and says nothing of
them. Accounts and transfers are numbered anew: the exchange's own numbers would tell how much goes on elsewhere.
"""

COUNTERPARTY = "counterparty"
"""The path of the account that stands for all others."""

PREPARE = (
    """
    CREATE TEMP TABLE own_account ON COMMIT DROP AS
    SELECT account_id, row_number() OVER (ORDER BY account_id) AS number, path, commodity, may_overdraw
    FROM books_accounts WHERE starts_with(path, 'funder/' || %(funder)s || '/')
    """,
    "ALTER TABLE own_account ADD PRIMARY KEY (account_id)",
    """
    CREATE TEMP TABLE own_transfer ON COMMIT DROP AS
    SELECT transfer_id, row_number() OVER (ORDER BY transfer_id) AS number FROM (
        SELECT DISTINCT transfer_id FROM own_account JOIN books_entries USING (account_id)
    ) AS touched
    """,
    "ALTER TABLE own_transfer ADD PRIMARY KEY (transfer_id)",
    """
    CREATE TEMP TABLE other_account ON COMMIT DROP AS
    SELECT commodity, row_number() OVER (ORDER BY commodity COLLATE "C") + (SELECT count(*) FROM own_account) AS number
    FROM (
        SELECT DISTINCT account.commodity FROM own_transfer
        JOIN books_entries USING (transfer_id)
        JOIN books_accounts AS account USING (account_id)
        WHERE account_id NOT IN (SELECT account_id FROM own_account)
    ) AS other
    """,
    """
    CREATE TEMP TABLE own_leg ON COMMIT DROP AS
    SELECT own_transfer.number AS transfer_id,
           row_number() OVER (PARTITION BY transfer_id ORDER BY leg, account_number) AS leg,
           account_number AS account_id, version, amount_minor, balance_after_minor, recorded_at, effective_date
    FROM (
        SELECT transfer_id, entry.leg, own.number AS account_number, entry.version, amount_minor, balance_after_minor
        FROM own_account AS own JOIN books_entries AS entry USING (account_id)
        UNION ALL
        SELECT transfer_id, NULL, number, row_number() OVER w, amount_minor, (sum(amount_minor) OVER w)::bigint
        FROM (
            SELECT transfer_id, other.number, recorded_at, sum(amount_minor)::bigint AS amount_minor
            FROM own_transfer
            JOIN books_entries USING (transfer_id)
            JOIN books_accounts AS account USING (account_id)
            JOIN other_account AS other USING (commodity)
            WHERE account_id NOT IN (SELECT account_id FROM own_account)
            GROUP BY transfer_id, other.number, recorded_at
            HAVING sum(amount_minor) <> 0
        ) AS summed
        WINDOW w AS (PARTITION BY number ORDER BY recorded_at, transfer_id)
    ) AS leg
    JOIN own_transfer USING (transfer_id)
    JOIN books_transfers USING (transfer_id)
    """,
    "ALTER TABLE own_leg ADD PRIMARY KEY (transfer_id, leg)",
    "CREATE INDEX ON own_leg (account_id, version)",
)
"""Run in the snapshot, in this order, before the files are read; they go with it."""

FILES = {
    "books_accounts": f"""
        SELECT account.account_id, may_overdraw, path, commodity, coalesce(version, 0) AS version,
               coalesce(balance_after_minor, 0) AS balance_minor, recorded_at AS last_recorded_at
        FROM (
            SELECT number AS account_id, path, commodity, may_overdraw FROM own_account
            UNION ALL SELECT number, '{COUNTERPARTY}', commodity, true FROM other_account
        ) AS account
        LEFT JOIN LATERAL (
            SELECT version, balance_after_minor, recorded_at FROM own_leg
            WHERE own_leg.account_id = account.account_id ORDER BY version DESC LIMIT 1
        ) AS last ON true
    """,  # noqa: S608 - names of ours
    "books_transfers": f"""
        SELECT own.number AS transfer_id, recorded_at, effective_date, hold, expires_at, key,
               books_fingerprint(hold, expires_at, key, effective_date, lines, memo) AS fingerprint, memo, refusal
        FROM own_transfer AS own
        JOIN books_transfers USING (transfer_id)
        JOIN LATERAL (
            SELECT string_agg(books_leg_line(coalesce(mine.path, '{COUNTERPARTY}'),
                                             coalesce(mine.commodity, other.commodity), amount_minor),
                              '' ORDER BY leg) AS lines
            FROM own_leg
            LEFT JOIN own_account AS mine ON mine.number = own_leg.account_id
            LEFT JOIN other_account AS other ON other.number = own_leg.account_id
            WHERE own_leg.transfer_id = own.number
        ) AS legs ON true
    """,  # noqa: S608 - names of ours
    "books_entries": """
        SELECT account_id, version, transfer_id, amount_minor, balance_after_minor, recorded_at, effective_date, leg
        FROM own_leg
    """,
    "books_resolutions": """
        SELECT held.number AS hold_id, own.number AS transfer_id, outcome
        FROM books_resolutions AS resolution
        JOIN own_transfer AS held ON held.transfer_id = resolution.hold_id
        JOIN own_transfer AS own ON own.transfer_id = resolution.transfer_id
    """,
    "books_reversals": """
        SELECT undone.number AS reversed_id, own.number AS transfer_id
        FROM books_reversals AS reversal
        JOIN own_transfer AS undone ON undone.transfer_id = reversal.reversed_id
        JOIN own_transfer AS own ON own.transfer_id = reversal.transfer_id
    """,
}
"""For each table of the books, the rows in a funder's pack."""
