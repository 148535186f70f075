"""The checker: recomputes everything in the books from the entries and names each row that disagrees."""

from typing import NamedTuple

from sqlalchemy import Connection

# Each statement gives (kind, where, expected, found) from one snapshot, so posting may go on meanwhile.
UNBALANCED = """
    SELECT 'unbalanced', concat('transfer ', t.key, ' (id ', s.transfer_id, ') in ', s.commodity),
           '0', s.sum_minor::text
    FROM (
        SELECT e.transfer_id, a.commodity, sum(e.amount_minor) AS sum_minor
        FROM books_entries e JOIN books_accounts a USING (account_id)
        GROUP BY e.transfer_id, a.commodity HAVING sum(e.amount_minor) <> 0
    ) s
    LEFT JOIN books_transfers t USING (transfer_id)
"""

CHAIN = """
    SELECT b.kind, concat('account ', a.path, ' ', a.commodity, ' version ', c.version), b.expected, b.found
    FROM (
        SELECT e.account_id, e.version, e.balance_after_minor AS after, e.recorded_at,
               coalesce(lag(e.version) OVER w, 0) + 1 AS next_version,
               coalesce(lag(e.balance_after_minor) OVER w, 0)::numeric + e.amount_minor AS sum_minor,
               coalesce(lag(e.recorded_at) OVER w, '-infinity') AS earlier
        FROM books_entries e WINDOW w AS (PARTITION BY e.account_id ORDER BY e.version)
    ) c
    JOIN books_accounts a USING (account_id)
    CROSS JOIN LATERAL (VALUES
        ('version_gap', c.version = c.next_version, c.next_version::text, c.version::text),
        ('running_balance', c.after = c.sum_minor, c.sum_minor::text, c.after::text),
        ('time_order', c.recorded_at >= c.earlier, 'from ' || c.earlier, c.recorded_at::text),
        ('overdraft', c.after >= 0 OR a.may_overdraw, 'not below 0', c.after::text)
    ) AS b (kind, holds, expected, found)
    WHERE (c.version <> c.next_version OR c.after <> c.sum_minor OR c.recorded_at < c.earlier OR c.after < 0)
      AND NOT b.holds
"""

BALANCE_ROW = """
    SELECT 'balance_row', concat('account ', a.path, ' ', a.commodity),
           concat_ws(' ', 'version', coalesce(e.version, 0), 'balance', coalesce(e.balance_after_minor, 0),
                     'at', e.recorded_at, 'may overdraw', a.may_overdraw),
           CASE WHEN b.account_id IS NULL THEN 'no row' ELSE
               concat_ws(' ', 'version', b.version, 'balance', b.balance_minor,
                         'at', b.last_recorded_at, 'may overdraw', b.may_overdraw) END
    FROM books_accounts a
    LEFT JOIN books_balances b USING (account_id)
    LEFT JOIN (SELECT DISTINCT ON (account_id) * FROM books_entries ORDER BY account_id, version DESC) e
        USING (account_id)
    WHERE (b.version, b.balance_minor, b.last_recorded_at, b.may_overdraw) IS DISTINCT FROM
          (coalesce(e.version, 0), coalesce(e.balance_after_minor, 0), e.recorded_at, a.may_overdraw)
"""

HEADER = """
    SELECT 'legs', concat('transfer ', t.key, ' (id ', t.transfer_id, ')'),
           CASE WHEN t.refusal IS NULL THEN 'at least 2' ELSE '0, as it was refused' END,
           coalesce(l.legs, 0)::text
    FROM books_transfers t
    LEFT JOIN (SELECT transfer_id, count(*) AS legs FROM books_entries GROUP BY transfer_id) l
        USING (transfer_id)
    WHERE (t.refusal IS NULL) = (l.legs IS NULL)
"""

LEG_OF_HEADER = """
    SELECT 'leg',
           concat('account ', coalesce(a.path || ' ' || a.commodity, e.account_id::text),
                  ' version ', e.version),
           concat_ws(' ', 'transfer', t.transfer_id, 'xid', t.xid, t.recorded_at, t.effective_date),
           concat_ws(' ', 'transfer', e.transfer_id, 'xid', e.xid, e.recorded_at, e.effective_date)
    FROM books_entries e
    LEFT JOIN books_transfers t USING (transfer_id)
    LEFT JOIN books_accounts a USING (account_id)
    WHERE a.account_id IS NULL
       OR (e.xid, e.recorded_at, e.effective_date) IS DISTINCT FROM
          (t.xid, t.recorded_at, t.effective_date)
"""

FINGERPRINT = """
    SELECT 'fingerprint', concat('transfer ', t.key, ' (id ', t.transfer_id, ')'),
           encode(t.fingerprint, 'hex'), encode(t.print, 'hex')
    FROM (
        SELECT h.transfer_id, h.key, h.fingerprint,
               books_fingerprint(h.hold, h.expires_at, h.key, h.effective_date, l.lines, h.memo) AS print
        FROM books_transfers h
        JOIN (
            SELECT e.transfer_id,
                   string_agg(books_leg_line(a.path, a.commodity, e.amount_minor), '' ORDER BY e.leg) AS lines
            FROM books_entries e JOIN books_accounts a USING (account_id)
            GROUP BY e.transfer_id
        ) l USING (transfer_id)
    ) t
    WHERE t.print <> t.fingerprint
"""

RESOLVED_ONCE = """
    SELECT 'resolutions', concat('hold ', t.key, ' (id ', r.hold_id, ')'),
           CASE WHEN t.hold AND t.refusal IS NULL THEN 'at most 1' ELSE '0, as it is not a hold' END,
           r.resolutions::text
    FROM (SELECT hold_id, count(*) AS resolutions FROM books_resolutions GROUP BY hold_id) r
    LEFT JOIN books_transfers t ON t.transfer_id = r.hold_id
    WHERE r.resolutions > 1 OR (t.hold AND t.refusal IS NULL) IS NOT TRUE
"""

# What a transfer takes from a reservation account, against the holds it ends there.
RESOLVED_WHOLE = """
    SELECT 'resolution_amount',
           concat('transfer ', t.key, ' (id ', r.transfer_id, ') from ', a.path, ' ', a.commodity),
           r.held_minor::text, coalesce(taken.amount_minor, 0)::text
    FROM (
        SELECT s.transfer_id, e.account_id, sum(e.amount_minor) AS held_minor
        FROM books_resolutions s JOIN books_entries e ON e.transfer_id = s.hold_id AND e.amount_minor > 0
        GROUP BY s.transfer_id, e.account_id
    ) r
    JOIN books_accounts a USING (account_id)
    LEFT JOIN books_transfers t USING (transfer_id)
    LEFT JOIN (
        SELECT e.transfer_id, e.account_id, -sum(e.amount_minor) AS amount_minor
        FROM books_entries e WHERE e.transfer_id IN (SELECT s.transfer_id FROM books_resolutions s)
        GROUP BY e.transfer_id, e.account_id
    ) taken USING (transfer_id, account_id)
    WHERE r.held_minor <> coalesce(taken.amount_minor, 0)
"""

# A reservation account has its open holds and nothing else.
RESERVED = """
    SELECT 'reserved', concat('account ', a.path, ' ', a.commodity), h.open_minor::text, b.balance_minor::text
    FROM (
        SELECT e.account_id, coalesce(sum(e.amount_minor) FILTER (WHERE r.hold_id IS NULL), 0) AS open_minor
        FROM books_transfers t
        JOIN books_entries e ON e.transfer_id = t.transfer_id AND e.amount_minor > 0
        LEFT JOIN (SELECT DISTINCT hold_id FROM books_resolutions) r ON r.hold_id = t.transfer_id
        WHERE t.hold
        GROUP BY e.account_id
    ) h
    JOIN books_accounts a USING (account_id)
    JOIN books_balances b USING (account_id)
    WHERE h.open_minor <> b.balance_minor
"""

# A reversal undoes a plain transfer, leg by leg.
REVERSED = """
    SELECT 'reversal', concat('transfer ', t.key, ' (id ', r.transfer_id, ')'),
           concat('the opposite of transfer ', o.key, ' (id ', r.reversed_id, ')'),
           CASE WHEN d.accounts > 0 THEN concat(d.accounts, ' accounts differ')
                ELSE concat('one of a ', coalesce(books_kind(o.transfer_id, o.hold), 'missing transfer')) END
    FROM books_reversals r
    LEFT JOIN books_transfers t USING (transfer_id)
    LEFT JOIN books_transfers o ON o.transfer_id = r.reversed_id
    CROSS JOIN LATERAL (
        SELECT count(*) AS accounts
        FROM (
            SELECT FROM books_entries e WHERE e.transfer_id IN (r.transfer_id, r.reversed_id)
            GROUP BY e.account_id HAVING sum(e.amount_minor) <> 0
        ) s
    ) d
    WHERE d.accounts > 0 OR books_kind(o.transfer_id, o.hold) IS DISTINCT FROM 'transfer'
"""

CHECKS = (
    UNBALANCED,
    CHAIN,
    BALANCE_ROW,
    HEADER,
    LEG_OF_HEADER,
    FINGERPRINT,
    RESOLVED_ONCE,
    RESOLVED_WHOLE,
    RESERVED,
    REVERSED,
)
FIRST_1000 = "ORDER BY 2, 1 LIMIT 1000"


class Break(NamedTuple):
    """A place where the books contradict themselves; `where` names the account, transfer or hold."""

    kind: str
    where: str
    expected: str
    found: str


def check(connection: Connection) -> list[Break]:
    """Recompute the books from their entries; empty means sound. Each check reports its first 1,000 breaks.

    Checked: zero sum of each transfer in each commodity; per account a gapless chain of versions, running
    balances and times, and no forbidden overdraft; balance rows; headers without legs, legs without header;
    legs of another transaction, day or time than their header; fingerprints; holds and their resolutions;
    reversals.
    """
    return [Break(*row) for rows in CHECKS for row in connection.exec_driver_sql(rows + FIRST_1000)]
