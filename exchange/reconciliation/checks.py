"""The comparisons, each one statement over a window of keys: both places are read at one moment, so work may go on.

A statement gives (subject, holder, unit, expected, found, detail) for what differs; `BANK_BALANCE` and `UNAPPLIED` give
every sum, for people to read. Windows are half open: `after` < key <= `upto`.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, TextClause, text

from exchange import books
from exchange.reconciliation.rules import TRANSIT_DAYS, Found, Kind
from ledger.encoding import parse_base64url
from ledger.errors import LedgerError

LAST_ID, LAST_NUMBER = "~", str(2**63 - 1)
"""Behind every key."""

OFFERED = "('reserved', 'committed', 'assigned')"


class Check(NamedTuple):
    """One comparison. `keys` finds the next window's end (`top`) and size; without it the statement reads all at once.

    `sums`: every row is kept with the run, whether it differs or not.
    """

    kind: Kind
    compare: TextClause
    keys: TextClause | None = None
    numbered: bool = False
    sums: bool = False

    def found(self, rows: Iterable[Row[Any]]) -> list[Found]:
        """What differs among the rows."""
        if self.kind is Kind.RECORD_FACE:
            return _of_records(rows)
        return [Found._make((self.kind.value, *row)) for row in rows if row.expected != row.found]


def _keys(table: str, column: str) -> TextClause:
    page = f"SELECT {column} AS key FROM {table} WHERE {column} > :after ORDER BY {column} LIMIT :size"  # noqa: S608 - ours
    return text(f"SELECT count(*) AS size, max(key) AS top FROM ({page}) AS page")  # noqa: S608 - ours


def _window(table: str) -> str:
    return f"{table}.asset_id > :after AND {table}.asset_id <= :upto"


CLAIM_FACE = f"""
    SELECT claim.asset_id, '', claim.currency,
           CASE WHEN void.asset_id IS NULL THEN claim.face_minor ELSE 0 END AS expected,
           (claim.outstanding_minor + coalesce(gone.minor, 0))::bigint AS found,
           jsonb_build_object('outstanding_minor', claim.outstanding_minor, 'state', claim.state)
    FROM claim
    LEFT JOIN supersession AS void ON void.asset_id = claim.asset_id
    LEFT JOIN (
        SELECT asset_id, sum(minor) AS minor FROM (
            SELECT asset_id, applied_minor AS minor FROM receipt
            WHERE {_window("receipt")} AND reversed_on IS NULL
              AND NOT EXISTS (SELECT FROM receipt_share WHERE receipt_share.receipt_id = receipt.receipt_id)
            UNION ALL
            SELECT receipt_share.asset_id, receipt_share.amount_minor
            FROM receipt_share JOIN receipt USING (receipt_id)
            WHERE {_window("receipt_share")} AND reversed_on IS NULL
            UNION ALL
            SELECT charge.asset_id, -charge_payment.amount_minor
            FROM charge JOIN charge_payment USING (charge_id) JOIN receipt USING (receipt_id)
            WHERE {_window("charge")} AND reversed_on IS NULL
            UNION ALL
            SELECT recovery.asset_id, -recovery.amount_minor FROM recovery JOIN receipt USING (receipt_id)
            WHERE {_window("recovery")} AND reversed_on IS NULL
            UNION ALL
            SELECT asset_id, amount_minor FROM credit_note WHERE {_window("credit_note")}
            UNION ALL
            SELECT asset_id, amount_minor FROM write_off WHERE {_window("write_off")}
            UNION ALL
            SELECT part.parent_id, part.face_minor
            FROM claim AS whole JOIN claim AS part ON part.root_id = whole.root_id AND part.parent_id = whole.asset_id
            WHERE {_window("whole")} AND part.parent_id IS NOT NULL
        ) AS one GROUP BY asset_id
    ) AS gone ON gone.asset_id = claim.asset_id
    WHERE {_window("claim")}
      AND claim.outstanding_minor + coalesce(gone.minor, 0)
          <> CASE WHEN void.asset_id IS NULL THEN claim.face_minor ELSE 0 END
"""  # noqa: S608 - put together from constants

CONFIRMED_FACE = f"""
    SELECT claim.asset_id, '', claim.currency, confirmation.face_minor AS expected, claim.face_minor AS found,
           '{{}}'::jsonb
    FROM claim JOIN confirmation ON confirmation.asset_id = claim.asset_id
    WHERE {_window("claim")} AND confirmation.face_minor <> claim.face_minor
"""  # noqa: S608 - same

RECORD_FACE = f"""
    SELECT claim.asset_id, claim.currency, claim.face_minor, asset_event.jws
    FROM claim JOIN asset_event ON asset_event.asset_id = claim.asset_id AND asset_event.sequence = 1
    WHERE {_window("claim")}
"""  # noqa: S608 - same

TITLE_HOLDING = f"""
    WITH said AS (
        SELECT claim.asset_id, pool.funder_id, claim.outstanding_minor AS minor
        FROM claim JOIN pool ON pool.pool_id = claim.pool_id
        WHERE {_window("claim")} AND claim.state = 'assigned'
    ), held AS (
        SELECT account.commodity AS asset_id, funder.funder_id, balance.balance_minor AS minor
        FROM funder
        JOIN books_accounts AS account ON account.path = 'funder/' || funder.funder_id || '/title'
         AND account.commodity > :after AND account.commodity <= :upto
        JOIN books_balances AS balance USING (account_id)
    )
    SELECT asset_id, funder_id, asset_id, coalesce(said.minor, 0) AS expected, coalesce(held.minor, 0) AS found,
           '{{}}'::jsonb
    FROM said FULL JOIN held USING (asset_id, funder_id)
    WHERE coalesce(said.minor, 0) <> coalesce(held.minor, 0)
"""  # noqa: S608 - same

POOL_MEMBERSHIP = f"""
    WITH said AS (
        SELECT asset_id, pool_id, state FROM claim WHERE {_window("claim")} AND state IN {OFFERED}
    ), live AS (
        SELECT asset_id, pool_id, 1 AS place FROM pool_asset WHERE {_window("pool_asset")} AND released_at IS NULL
    )
    SELECT asset_id, pool_id, 'places', (said.state IS NOT NULL)::int AS expected,
           (live.place IS NOT NULL)::int AS found, jsonb_build_object('state', said.state)
    FROM said FULL JOIN live USING (asset_id, pool_id)
    WHERE said.state IS NULL OR live.place IS NULL
"""  # noqa: S608 - same

LIMIT_USED = f"""
    WITH obligor AS MATERIALIZED (
        SELECT company_id, number FROM company WHERE number > :after AND number <= :upto
    ), owed AS MATERIALIZED (
        SELECT obligor.number, receivable.asset_id FROM obligor
        JOIN receivable ON receivable.obligor_id = obligor.company_id
    ), said AS (
        SELECT number, currency, sum(outstanding_minor)::bigint AS minor FROM (
            SELECT number, currency, outstanding_minor FROM owed JOIN claim USING (asset_id) WHERE state IN {OFFERED}
            UNION ALL
            SELECT number, currency, outstanding_minor FROM owed JOIN claim ON claim.root_id = owed.asset_id
            WHERE parent_id IS NOT NULL AND state IN {OFFERED}
        ) AS one GROUP BY number, currency
    ), used AS (
        SELECT obligor AS number, currency, used_minor AS minor FROM exposure
        WHERE obligor > :after AND obligor <= :upto
    )
    SELECT obligor.company_id, '', currency, coalesce(said.minor, 0) AS expected, coalesce(used.minor, 0) AS found,
           '{{}}'::jsonb
    FROM said FULL JOIN used USING (number, currency) JOIN obligor USING (number)
    WHERE coalesce(said.minor, 0) <> coalesce(used.minor, 0)
"""  # noqa: S608 - same

RECEIPT_POSTING = f"""
    WITH said AS (
        SELECT receipt_id, currency, CASE WHEN reversed_on IS NULL THEN amount_minor ELSE 0 END AS minor
        FROM receipt WHERE receipt_id > :after AND receipt_id <= :upto
    ), booked AS (
        SELECT split_part(transfer.key, '/', 1) AS receipt_id, split_part(account.commodity, '/', 1) AS currency,
               -sum(entry.amount_minor)::bigint AS minor
        FROM books_transfers AS transfer
        JOIN books_entries AS entry USING (transfer_id)
        JOIN books_accounts AS account USING (account_id)
        WHERE transfer.key > greatest(:after, 'rcp_') || '/~' AND transfer.key < least(:upto, 'rcp_~') || '/~'
          AND account.path = '{books.BANK}'
        GROUP BY 1, 2
    )
    SELECT receipt_id, '', currency, coalesce(said.minor, 0) AS expected, coalesce(booked.minor, 0) AS found,
           '{{}}'::jsonb
    FROM said FULL JOIN booked USING (receipt_id, currency)
    WHERE coalesce(said.minor, 0) <> coalesce(booked.minor, 0)
"""  # noqa: S608 - same

UNAPPLIED = f"""
    SELECT currency, '', currency, coalesce(said.minor, 0) AS expected, coalesce(held.minor, 0) AS found, '{{}}'::jsonb
    FROM (
        SELECT currency, sum(amount_minor - applied_minor - refunded_minor)::bigint AS minor FROM receipt
        WHERE reversed_on IS NULL AND outcome <> 'deposited' GROUP BY currency
    ) AS said
    FULL JOIN (
        SELECT split_part(commodity, '/', 1) AS currency, balance_minor AS minor
        FROM books_accounts JOIN books_balances USING (account_id) WHERE path = '{books.UNAPPLIED}'
    ) AS held USING (currency)
    ORDER BY currency
"""  # noqa: S608 - same

RESERVED_CASH = """
    WITH said AS (
        SELECT offer.funder_id, pool.currency, sum(held_minor)::bigint AS minor
        FROM offer JOIN pool USING (pool_id)
        WHERE outcome IS NULL OR (outcome = 'committed' AND purchased_on IS NULL) GROUP BY 1, 2
    ), held AS (
        SELECT funder.funder_id, split_part(commodity, '/', 1) AS currency, balance_minor AS minor
        FROM funder JOIN books_accounts ON path = 'funder/' || funder.funder_id || '/reserved'
        JOIN books_balances USING (account_id)
    )
    SELECT funder_id, '', currency, coalesce(said.minor, 0) AS expected, coalesce(held.minor, 0) AS found, '{}'::jsonb
    FROM said FULL JOIN held USING (funder_id, currency)
    WHERE coalesce(said.minor, 0) <> coalesce(held.minor, 0)
"""

STREAM_LENGTH = """
    SELECT funder_id, '', 'events', coalesce(head.sequence, 0) AS expected, coalesce(told.events, 0) AS found,
           '{}'::jsonb
    FROM funder_stream_head AS head
    FULL JOIN (SELECT funder_id, count(*) AS events FROM funder_event GROUP BY funder_id) AS told USING (funder_id)
    WHERE coalesce(head.sequence, 0) <> coalesce(told.events, 0)
"""

CLOSING = """
    WITH closing AS (
        SELECT DISTINCT ON (account) account, currency, closing_minor, last_date FROM bank_statement
        WHERE closing_minor IS NOT NULL AND last_date IS NOT NULL
        ORDER BY account, last_date DESC, statement_id DESC
    )
"""
"""The last balance that a bank gave of each account, and until when."""

BANK_BALANCE = f"""
    {CLOSING}, stood AS (
        SELECT currency, sum(closing_minor)::bigint AS minor, min(last_date) AS on_date FROM closing
        WHERE currency NOT IN (
            SELECT currency FROM bank_statement WHERE account NOT IN (SELECT account FROM closing)
        ) GROUP BY currency
    ), line AS (
        SELECT line.currency, sum(amount_minor)::bigint AS minor FROM bank_line AS line JOIN closing USING (account)
        WHERE booking_date <= last_date AND (state NOT IN ('new', 'duplicate') OR (state = 'new' AND NOT EXISTS (
            SELECT FROM bank_line AS known
            WHERE known.account = line.account AND known.bank_reference = line.bank_reference
              AND known.booking_date = line.booking_date AND known.amount_minor = line.amount_minor
              AND known.state NOT IN ('new', 'duplicate')
        ))) GROUP BY line.currency
    ), came AS (
        SELECT currency, sum(amount_minor)::bigint AS minor FROM receipt WHERE reversed_on IS NULL GROUP BY currency
    ), went AS (
        SELECT currency, sum(amount_minor)::bigint AS minor FROM payment WHERE state = 'paid' GROUP BY currency
    ), held AS (
        SELECT split_part(commodity, '/', 1) AS currency, -balance_minor AS minor
        FROM books_accounts JOIN books_balances USING (account_id) WHERE path = '{books.BANK}'
    )
    SELECT currency, '', currency, stood.minor + transit.minor AS expected, coalesce(held.minor, 0) AS found,
           jsonb_build_object('closing_minor', stood.minor, 'closing_date', stood.on_date,
                              'in_transit_minor', transit.minor)
    FROM stood LEFT JOIN line USING (currency) LEFT JOIN came USING (currency) LEFT JOIN went USING (currency)
    LEFT JOIN held USING (currency)
    CROSS JOIN LATERAL (
        SELECT coalesce(came.minor, 0) - coalesce(went.minor, 0) - coalesce(line.minor, 0) AS minor
    ) AS transit
    ORDER BY currency
"""  # noqa: S608 - same

LINE_NOT_BOOKED = f"""
    SELECT line_id, account, currency, amount_minor AS expected, 0 AS found,
           jsonb_build_object('booking_date', booking_date, 'bank_reference', bank_reference)
    FROM bank_line
    WHERE state IN ('new', 'open') AND (state = 'new' OR amount_minor < 0)
      AND booking_date <= cast(:today AS date) - {TRANSIT_DAYS}
    ORDER BY line_id
"""  # noqa: S608 - same

RECEIPT_IN_TRANSIT = f"""
    {CLOSING}, stood AS (SELECT currency, min(last_date) AS on_date FROM closing GROUP BY currency)
    SELECT receipt_id, '', currency, 0 AS expected, amount_minor AS found,
           jsonb_build_object('value_date', value_date, 'bank_reference', bank_reference)
    FROM receipt JOIN stood USING (currency)
    WHERE line_id IS NULL AND reversed_on IS NULL AND value_date <= stood.on_date - {TRANSIT_DAYS}
      AND NOT EXISTS (
          SELECT FROM bank_line AS line JOIN closing USING (account)
          WHERE line.bank_reference = receipt.bank_reference AND line.amount_minor = receipt.amount_minor
            AND line.state NOT IN ('new', 'duplicate')
      )
    ORDER BY receipt_id
"""  # noqa: S608 - same

PAYMENT_IN_TRANSIT = f"""
    {CLOSING}, stood AS (SELECT currency, min(last_date) AS on_date FROM closing GROUP BY currency)
    SELECT payment_id, '', currency, 0 AS expected, -amount_minor AS found,
           jsonb_build_object('paid_on', step.effective_date)
    FROM payment JOIN stood USING (currency) JOIN payment_step AS step USING (payment_id)
    WHERE payment.state = 'paid' AND line_id IS NULL AND step.state = 'paid'
      AND step.effective_date <= stood.on_date - {TRANSIT_DAYS}
    ORDER BY payment_id
"""  # noqa: S608 - same

CLAIMS = _keys("claim", "asset_id")
CHECKS: Sequence[Check] = (
    Check(Kind.BANK_BALANCE, text(BANK_BALANCE), sums=True),
    Check(Kind.LINE_NOT_BOOKED, text(LINE_NOT_BOOKED)),
    Check(Kind.RECEIPT_IN_TRANSIT, text(RECEIPT_IN_TRANSIT)),
    Check(Kind.PAYMENT_IN_TRANSIT, text(PAYMENT_IN_TRANSIT)),
    Check(Kind.RECEIPT_POSTING, text(RECEIPT_POSTING), _keys("receipt", "receipt_id")),
    Check(Kind.UNAPPLIED, text(UNAPPLIED), sums=True),
    Check(Kind.RESERVED_CASH, text(RESERVED_CASH)),
    Check(Kind.TITLE_HOLDING, text(TITLE_HOLDING), CLAIMS),
    Check(Kind.POOL_MEMBERSHIP, text(POOL_MEMBERSHIP), CLAIMS),
    Check(Kind.CLAIM_FACE, text(CLAIM_FACE), CLAIMS),
    Check(Kind.CONFIRMED_FACE, text(CONFIRMED_FACE), CLAIMS),
    Check(Kind.RECORD_FACE, text(RECORD_FACE), CLAIMS),
    Check(Kind.LIMIT_USED, text(LIMIT_USED), _keys("company", "number"), numbered=True),
    Check(Kind.STREAM_LENGTH, text(STREAM_LENGTH)),
)
"""In the order in which a run makes them."""


def _of_records(rows: Iterable[Row[Any]]) -> list[Found]:
    """Records whose face is another than the claim's; one that cannot be read says nothing, which is a face of 0."""
    faces = ((row, _face(row.jws)) for row in rows)
    return [
        Found(Kind.RECORD_FACE.value, row.asset_id, "", row.currency, face, row.face_minor, {})
        for row, face in faces
        if face != row.face_minor
    ]


def _face(jws: str) -> int:
    try:
        payload = orjson.loads(parse_base64url(jws.split(".")[1]))
        face = payload["face_minor"]
    except (LedgerError, ValueError, LookupError, TypeError):
        return 0
    return face if type(face) is int else 0
