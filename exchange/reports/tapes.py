"""What a funder downloads: the loan tape, positions and statements, each a query over the books as of any day.

Two days count: that of which the books speak (`as_of`, by effective date), and the moment at which they were known
(`known_at`, by recording time). The books are never changed, so the same two give the same file for ever.
"""

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import books
from exchange.currencies import MINOR_DIGITS

ROWS_AT_ONCE = 4_096
"""So many rows are in memory at a time, and in a row group of a Parquet file."""

HELD = """
    SELECT account.commodity AS asset_id, sum(entry.amount_minor)::bigint AS held_minor,
           min(entry.effective_date) FILTER (WHERE entry.amount_minor > 0) AS held_since
    FROM books_accounts AS account JOIN books_entries AS entry USING (account_id)
    WHERE account.path = :title AND entry.effective_date <= :as_of AND entry.recorded_at <= :known_at
    GROUP BY account.commodity HAVING sum(entry.amount_minor) > 0
"""
BOUGHT = """
    LEFT JOIN LATERAL (
        SELECT pool_id, pool_asset.mandate_id, price_minor, pool_asset.face_minor
        FROM pool_asset JOIN pool USING (pool_id)
        WHERE pool_asset.asset_id = held.asset_id AND pool.funder_id = :funder_id AND bought_on <= :as_of
        ORDER BY bought_on DESC, pool_id DESC LIMIT 1
    ) AS bought ON true
"""
TAPE = f"""
    SELECT cast(:identifier AS text) AS identifier, held.asset_id, receivable.obligor_id, cast(:as_of AS date) AS as_of,
           held.held_since, claim.due_date, claim.currency, claim.face_minor, held.held_minor,
           round(bought.price_minor * 100.0 / nullif(bought.face_minor, 0), 6) AS price_percent,
           CASE WHEN claim.due_date < :as_of THEN held.held_minor ELSE 0 END AS arrears_minor,
           greatest(cast(:as_of AS date) - claim.due_date, 0) AS arrears_days,
           CASE WHEN went.business_date IS NOT NULL THEN 'Y' ELSE 'N' END AS impaired,
           CASE WHEN went.business_date IS NOT NULL THEN 'DFLT' WHEN claim.due_date < :as_of THEN 'ARRE' ELSE 'PERF' END
               AS status,
           CASE WHEN went.business_date IS NOT NULL THEN 'PDXX' END AS default_reason,
           coalesce(went.outstanding_minor, 0) AS default_minor, went.business_date AS defaulted_on,
           coalesce(back.funder_minor, 0) AS recovered_minor
    FROM ({HELD}) AS held
    JOIN claim ON claim.asset_id = held.asset_id
    JOIN receivable ON receivable.asset_id = claim.root_id
    {BOUGHT}
    LEFT JOIN LATERAL (
        SELECT business_date, outstanding_minor FROM servicing_fact AS fact
        WHERE fact.asset_id = held.asset_id AND kind = 'default' AND business_date <= :as_of
          AND recorded_at <= :known_at
          AND NOT EXISTS (SELECT FROM servicing_withdrawal AS gone
                          WHERE gone.asset_id = fact.asset_id AND gone.business_date = fact.business_date
                            AND gone.kind = fact.kind AND gone.revision = fact.revision
                            AND gone.withdrawn_on <= :as_of AND gone.recorded_at <= :known_at)
        ORDER BY business_date LIMIT 1
    ) AS went ON true
    LEFT JOIN LATERAL (
        SELECT sum(funder_minor)::bigint AS funder_minor FROM recovery JOIN receipt USING (receipt_id)
        WHERE recovery.asset_id = held.asset_id AND value_date <= :as_of
    ) AS back ON true
    ORDER BY held.asset_id COLLATE "C"
"""  # noqa: S608 - constants of ours
POSITIONS = f"""
    SELECT cast(:as_of AS date) AS as_of, claim.currency, bought.pool_id, bought.mandate_id,
           count(*)::bigint AS asset_count, sum(claim.face_minor)::bigint AS face_minor,
           sum(held.held_minor)::bigint AS outstanding_minor, sum(bought.price_minor)::bigint AS price_minor
    FROM ({HELD}) AS held JOIN claim ON claim.asset_id = held.asset_id {BOUGHT}
    GROUP BY claim.currency, bought.pool_id, bought.mandate_id ORDER BY claim.currency, bought.pool_id
"""  # noqa: S608 - same
STATEMENT = """
    WITH account AS (
        SELECT account_id, path, commodity FROM books_accounts
        WHERE starts_with(path, :purse) AND commodity = ANY(:units)
    ), entry AS (
        SELECT account_id, amount_minor, transfer_id, leg, entry.effective_date, entry.recorded_at, memo
        FROM account JOIN books_entries AS entry USING (account_id) JOIN books_transfers USING (transfer_id)
        WHERE entry.effective_date <= :to_date AND entry.recorded_at <= :known_at
    ), ends AS (
        SELECT account_id, coalesce(sum(amount_minor) FILTER (WHERE effective_date < :from_date), 0)::bigint AS opening,
               coalesce(sum(amount_minor), 0)::bigint AS closing
        FROM account LEFT JOIN entry USING (account_id) GROUP BY account_id
    ), line AS (
        SELECT account_id, 0 AS part, 'opening' AS kind, cast(:from_date AS date) AS effective_date,
               NULL::timestamptz AS recorded_at, NULL::bigint AS transfer_id, NULL AS memo, 0::bigint AS amount_minor,
               opening AS balance_minor, 0 AS leg FROM ends
        UNION ALL
        SELECT account_id, 1, 'movement', effective_date, entry.recorded_at, transfer_id, memo, amount_minor,
               (opening + sum(amount_minor) OVER (PARTITION BY account_id ORDER BY effective_date, transfer_id, leg))
                   ::bigint, leg
        FROM entry JOIN ends USING (account_id) WHERE effective_date >= :from_date
        UNION ALL
        SELECT account_id, 2, 'closing', :to_date, NULL, NULL, NULL, 0, closing, 0 FROM ends
    )
    SELECT split_part(path, '/', 3) AS account, split_part(commodity, '/', 1) AS currency, kind, line.effective_date,
           line.recorded_at, transfer_id AS transfer, memo, amount_minor, balance_minor
    FROM line JOIN account USING (account_id)
    ORDER BY currency, account, part, effective_date, transfer_id, leg
"""


class Asked(NamedTuple):
    """Whose file, as of which day, as known at which moment; a statement begins at `from_date`."""

    funder_id: str
    as_of: date
    known_at: datetime
    from_date: date = date.min
    identifier: str | None = None


class Report(NamedTuple):
    """A kind of file: its query, and its columns with what they hold: text, date, moment or integer."""

    query: str
    columns: Mapping[str, str]


@cache
def fields() -> dict[str, dict[str, str]]:
    """The fields of the annex by code, in its order."""
    found: dict[str, dict[str, str]] = tomllib.loads((Path(__file__).parent / "annex.toml").read_text())["fields"]
    return found


REPORTS = {
    "loan-tape": Report(TAPE, dict.fromkeys(fields(), "text")),
    "positions": Report(
        POSITIONS,
        {"as_of": "date", "currency": "text", "pool_id": "text", "mandate_id": "text", "asset_count": "integer"}
        | dict.fromkeys(("face_minor", "outstanding_minor", "price_minor"), "integer"),
    ),
    "statement": Report(
        STATEMENT,
        {"account": "text", "currency": "text", "kind": "text", "effective_date": "date", "recorded_at": "moment"}
        | {"transfer": "integer", "memo": "text", "amount_minor": "integer", "balance_minor": "integer"},
    ),
}


def batches(session: Session, *, name: str, asked: Asked) -> Iterator[list[list[Any]]]:
    """The rows of a report, so many at a time, read through a cursor of the server's: memory stays flat."""
    parameters = {
        "funder_id": asked.funder_id,
        "title": books.funder_title(asked.funder_id),
        "purse": f"funder/{asked.funder_id}/",
        "units": [f"{currency}/{digits}" for currency, digits in MINOR_DIGITS.items()],
        "as_of": asked.as_of,
        "to_date": asked.as_of,
        "from_date": asked.from_date,
        "known_at": asked.known_at,
        "identifier": asked.identifier or asked.funder_id.partition("_")[2],
    }
    rows = session.execute(text(REPORTS[name].query), parameters, execution_options={"yield_per": ROWS_AT_ONCE})
    for part in rows.partitions(ROWS_AT_ONCE):
        yield [_on_tape(row._asdict()) if name == "loan-tape" else list(row) for row in part]


def _on_tape(row: Mapping[str, Any]) -> list[str]:
    """A receivable as the annex writes it."""
    return [
        one["value"] if "value" in one else _written(row[one["column"]], one, currency=row["currency"])
        for one in fields().values()
    ]


def _written(value: Any, field: Mapping[str, str], *, currency: str) -> str:  # noqa: ANN401 - a column's
    if value is None:
        return field["missing"]
    if field["format"] == "MONETARY":
        return str(Decimal(value).scaleb(-MINOR_DIGITS[currency]))
    return str(value)
