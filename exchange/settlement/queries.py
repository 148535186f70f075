"""Reads for the matching of bank lines, and the lists of statements and lines."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange.banking import names
from exchange.banking.matching import OpenItem, Payer
from exchange.banking.statement import Line
from exchange.settlement.models import BankLine

ID_LENGTH = 29
"""Of an asset's id or a deposit reference without its underscore."""
MOST_CANDIDATES = 200
"""Earlier lines among which the one that a line takes back is looked for."""


def ids_named(lines: Iterable[Line]) -> dict[str, dict[str, None]]:
    """The assets, deposits and payments of ours that each line names by id, by the line's `where`, in its order."""
    named: dict[str, dict[str, None]] = {}
    for line in lines:
        for one in names.references(line):
            if len(one) == ID_LENGTH and one.startswith(("ast", "dep", "pay")):
                named.setdefault(line.where, {})[f"{one[:3]}_{one[3:]}"] = None
    return named


def depositors(session: Session, references: Iterable[str]) -> set[str]:
    """Which of the references are of funders' deposits."""
    query = text("SELECT deposit_reference FROM funder WHERE deposit_reference = ANY(:references)")
    return set(session.execute(query, {"references": sorted(references)}).scalars())


def payers(session: Session, lines: Iterable[Line]) -> list[Payer]:
    """The companies known by the names or accounts of the lines, if they owe anybody anything here."""
    marks = {("name", names.company(line.counterparty_name)) for line in lines}
    marks |= {("account", names.account(line.counterparty_account)) for line in lines}
    wanted = sorted(mark for mark in marks if mark[1])
    query = text("""
        SELECT kind, said, company_id FROM payer_mark
        JOIN unnest(cast(:kinds AS text[]), cast(:marks AS text[])) AS asked(kind, mark) USING (kind, mark)
        WHERE EXISTS (SELECT FROM receivable WHERE obligor_id = company_id)
        ORDER BY company_id, kind, said
    """)
    found: dict[str, tuple[list[str], list[str]]] = {}
    parameters = {"kinds": [kind for kind, _ in wanted], "marks": [mark for _, mark in wanted]}
    for kind, said, company_id in session.execute(query, parameters):
        found.setdefault(company_id, ([], []))[kind == "account"].append(said)
    return [Payer(company_id, tuple(said), tuple(accounts)) for company_id, (said, accounts) in found.items()]


def open_items(session: Session, *, asset_ids: Iterable[str], payer_ids: Iterable[str]) -> list[OpenItem]:
    """What is owed on the assets named and by the payers: a whole receivable each, or its parts where one is named.

    With what was charged on top.
    """
    query = text("""
        WITH root AS (
            SELECT root_id FROM claim WHERE asset_id = ANY(:ids)
            UNION SELECT asset_id FROM receivable WHERE obligor_id = ANY(:payers)
        )
        SELECT receivable.asset_id AS root_id, obligor_id, invoice_number, receivable.currency, owed.asset_id,
               owed.due_date, owed.outstanding_minor + charged.minor AS owed_minor
        FROM root JOIN receivable ON receivable.asset_id = root.root_id
        CROSS JOIN LATERAL (
            SELECT asset_id, due_date, outstanding_minor FROM claim
            WHERE claim.asset_id = root.root_id AND outstanding_minor > 0
            UNION ALL
            SELECT asset_id, due_date, outstanding_minor FROM claim
            WHERE claim.root_id = root.root_id AND parent_id IS NOT NULL AND outstanding_minor > 0
        ) AS owed
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount_minor - paid_minor), 0)::bigint AS minor FROM charge
            WHERE charge.asset_id = owed.asset_id
        ) AS charged
        ORDER BY 1, owed.asset_id
    """)
    named = sorted(asset_ids)
    trees: dict[str, list[Any]] = {}
    for row in session.execute(query, {"ids": named, "payers": sorted(payer_ids)}):
        trees.setdefault(row.root_id, []).append(row)
    items = []
    for root, rows in trees.items():
        first = rows[0]
        references = (root, first.invoice_number)
        if {row.asset_id for row in rows} & set(named) - {root}:
            items += [
                OpenItem(row.asset_id, row.obligor_id, row.currency, row.owed_minor, row.due_date, of)
                for row in rows
                for of in [(row.asset_id, *references)]
            ]
        else:
            owed_minor = sum(row.owed_minor for row in rows)
            items.append(OpenItem(root, first.obligor_id, first.currency, owed_minor, first.due_date, references))
    return items


def takeable_back(session: Session, lines: Iterable[Line], *, account: str) -> list[BankLine]:
    """Earlier lines of the account whose very amounts the lines pay out again: the newest of each amount."""
    query = text("""
        SELECT DISTINCT earlier.line_id FROM unnest(cast(:amounts AS bigint[])) AS gone(amount_minor)
        CROSS JOIN LATERAL (
            SELECT line_id FROM bank_line
            WHERE account = :account AND bank_line.amount_minor = -gone.amount_minor
              AND state IN ('booked', 'open', 'left', 'refund')
            ORDER BY booking_date DESC, line_id DESC LIMIT :most
        ) AS earlier
    """)
    amounts = sorted({line.amount_minor for line in lines if line.amount_minor < 0})
    parameters = {"amounts": amounts, "account": account, "most": MOST_CANDIDATES}
    ids = list(session.execute(query, parameters).scalars()) if amounts else []
    return list(session.scalars(select(BankLine).where(BankLine.line_id.in_(ids)).order_by(BankLine.line_id)))


STATEMENTS = """
    SELECT statement_id, account, currency, bank_id, sequence, opening_minor, closing_minor, line_count, first_date,
           this.last_date, entered_at, coalesce(became.states, '{}') AS states,
           opening_minor IS NOT NULL AND first_date IS NOT NULL AND before.last_date IS NOT NULL AND NOT EXISTS (
               SELECT FROM bank_statement AS other
               WHERE other.account = this.account AND other.last_date IN (before.last_date, this.first_date)
                 AND other.closing_minor = this.opening_minor AND other.statement_id <> this.statement_id
           ) AS statement_gap
    FROM bank_statement AS this
    LEFT JOIN LATERAL (
        SELECT max(other.last_date) AS last_date FROM bank_statement AS other
        WHERE other.account = this.account AND other.last_date < this.first_date AND other.closing_minor IS NOT NULL
    ) AS before ON true
    LEFT JOIN LATERAL (
        SELECT jsonb_object_agg(state, lines) AS states
        FROM (SELECT state, count(*) AS lines FROM bank_line WHERE statement_id = this.statement_id GROUP BY 1) AS one
    ) AS became ON true
    WHERE statement_id > :after ORDER BY statement_id LIMIT :limit
"""
"""A statement has a gap if none that ends on the last day before it, or on its own first, closes where it opens."""


def statements(session: Session, *, after: str, limit: int) -> list[dict[str, Any]]:
    """Statements as they were entered, how many of their lines became what, and whether one is missing before them."""
    rows = session.execute(text(STATEMENTS), {"after": after, "limit": limit}).mappings()
    return [dict(row) for row in rows]


def bank_lines(session: Session, *, state: str | None, after: str, limit: int) -> list[dict[str, Any]]:
    """Lines of one state, or of all."""
    query = select(BankLine).where(BankLine.line_id > after).order_by(BankLine.line_id).limit(limit)
    if state is not None:
        query = query.where(BankLine.state == state)
    names_of = [name for name in BankLine.__table__.columns.keys() if name != "number"]  # noqa: SIM118 - of columns
    return [{name: getattr(line, name) for name in names_of} for line in session.scalars(query)]
