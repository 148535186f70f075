"""Reads for following cases: what servicing noted, live cases under their lock, what is in them."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from exchange.collections.letters import Account, Line
from exchange.collections.models import CollectionPolicy
from exchange.collections.policies import HOUSE, Policy
from exchange.servicing import clocks as servicing
from exchange.servicing.rules import Clock, standing

Rows = Sequence[Row[Any]]
Key = tuple[str, str]
"""An originator and an obligor."""


class Live(NamedTuple):
    """A case that is not closed, under its lock."""

    case_id: str
    originator_id: str
    obligor_id: str
    policy_version: int
    strategy: str
    stage: str
    state: str
    opened_on: date
    stepped_on: date

    @property
    def key(self) -> Key:
        """Whose case it is."""
        return self.originator_id, self.obligor_id


def policy(session: Session, *, originator_id: str, version: int | None = None) -> tuple[int, Policy]:
    """A version of an originator's policy, the last one where none is named; version 0 is that of the house."""
    query = select(CollectionPolicy.version, CollectionPolicy.terms).where(
        CollectionPolicy.originator_id == originator_id
    )
    if version is not None:
        query = query.where(CollectionPolicy.version == version)
    row = session.execute(query.order_by(CollectionPolicy.version.desc()).limit(1)).first()
    return (0, HOUSE) if row is None else (row.version, msgspec.convert(row.terms, Policy))


def noted(session: Session, *, asset_ids: Collection[str], day: date) -> Rows:
    """What servicing's assets are now: whose, how much, and whether a later day than `day` found them cured."""
    query = text("""
        SELECT claim.asset_id, receivable.originator_id, receivable.obligor_id, receivable.product, decision.grade,
               claim.currency, claim.outstanding_minor, claim.state,
               CASE WHEN claim.state = 'assigned' THEN pool.funder_id END AS funder_id,
               EXISTS (SELECT FROM servicing_fact AS fact WHERE fact.asset_id = claim.asset_id
                       AND fact.business_date > :day AND fact.kind = 'cured'
                       AND NOT EXISTS (SELECT FROM servicing_withdrawal AS gone
                                       WHERE (gone.asset_id, gone.business_date, gone.kind, gone.revision)
                                           = (fact.asset_id, fact.business_date, fact.kind, fact.revision))
               ) AS cured_later
        FROM claim
        JOIN receivable ON receivable.asset_id = claim.root_id
        LEFT JOIN decision ON decision.asset_id = claim.root_id
        LEFT JOIN pool ON pool.pool_id = claim.pool_id
        WHERE claim.asset_id = ANY(:ids)
        ORDER BY claim.asset_id
    """)
    return session.execute(query, {"ids": list(asset_ids), "day": day}).all()


def last_numbers(session: Session, *, keys: Iterable[Key]) -> dict[Key, tuple[int, bool]]:
    """How many cases there were of each key, and whether the last one is live."""
    query = text("""
        SELECT originator_id, obligor_id, max(number), bool_or(closed_on IS NULL)
        FROM collection_case JOIN unnest(cast(:originators AS text[]), cast(:obligors AS text[]))
            AS wanted(originator_id, obligor_id) USING (originator_id, obligor_id)
        GROUP BY 1, 2
    """)
    return {(row[0], row[1]): (row[2], row[3]) for row in session.execute(query, _split(keys))}


def lock_live(session: Session, *, keys: Iterable[Key] | None = None, case_ids: Sequence[str] = ()) -> list[Live]:
    """The live cases of these keys, or of these ids, locked by (originator, obligor)."""
    query = f"SELECT {', '.join(Live._fields)} FROM collection_case"  # noqa: S608 - names of ours
    wanted = (
        "JOIN unnest(cast(:originators AS text[]), cast(:obligors AS text[])) AS wanted(originator_id, obligor_id) "
        "USING (originator_id, obligor_id) WHERE closed_on IS NULL"
        if keys is not None
        else "WHERE case_id = ANY(:ids) AND closed_on IS NULL"
    )
    order = "ORDER BY originator_id, obligor_id FOR UPDATE OF collection_case"
    parameters = _split(keys) if keys is not None else {"ids": list(case_ids)}
    return [Live(*row) for row in session.execute(text(f"{query} {wanted} {order}"), parameters)]


def live_cases(session: Session, *, before: date) -> list[str]:
    """The live cases that were not judged for a day yet, by (originator, obligor)."""
    query = text("""
        SELECT case_id FROM collection_case WHERE closed_on IS NULL AND stepped_on < :before
        ORDER BY originator_id, obligor_id
    """)
    return list(session.execute(query, {"before": before}).scalars())


def last_day(session: Session) -> date | None:
    """The last business date up to which cases are followed."""
    day: date | None = session.execute(text("SELECT max(business_date) FROM collection_day")).scalar_one()
    return day


def items(session: Session, *, case_ids: Sequence[str]) -> Rows:
    """Everything that is or was in the cases, with its claim as it stands."""
    query = text("""
        SELECT item.*, claim.outstanding_minor, claim.state, claim.due_date, claim.root_id,
               CASE WHEN claim.state IN ('assigned', 'closed') THEN pool.funder_id END AS holder_id,
               EXISTS (SELECT FROM write_off WHERE write_off.asset_id = item.asset_id AND cause <> 'small_difference')
                   AS written_off
        FROM case_item AS item
        JOIN claim ON claim.asset_id = item.asset_id
        LEFT JOIN pool ON pool.pool_id = claim.pool_id
        WHERE item.case_id = ANY(:ids)
        ORDER BY item.case_id, item.asset_id
    """)
    return session.execute(query, {"ids": list(case_ids)}).all()


def parts(session: Session, *, asset_ids: Sequence[str]) -> Rows:
    """The parts that stand for assets that were split, to the last: (asset it was, part, what is owed, holder)."""
    query = text("""
        WITH RECURSIVE below AS (
            SELECT claim.asset_id AS origin_id, claim.asset_id, claim.root_id FROM claim WHERE asset_id = ANY(:ids)
            UNION ALL
            SELECT below.origin_id, part.asset_id, part.root_id
            FROM below JOIN claim AS part ON part.root_id = below.root_id AND part.parent_id = below.asset_id
        )
        SELECT below.origin_id, claim.asset_id, claim.outstanding_minor,
               CASE WHEN claim.state = 'assigned' THEN pool.funder_id END AS funder_id
        FROM below
        JOIN claim ON claim.asset_id = below.asset_id
        LEFT JOIN pool ON pool.pool_id = claim.pool_id
        WHERE claim.outstanding_minor > 0
        ORDER BY claim.asset_id
    """)
    return session.execute(query, {"ids": list(asset_ids)}).all()


def stages(session: Session, *, case_ids: Sequence[str]) -> dict[str, set[str]]:
    """The stages that each case has reached."""
    found: dict[str, set[str]] = {}
    query = text("SELECT case_id, stage FROM case_stage WHERE case_id = ANY(:ids)")
    for row in session.execute(query, {"ids": list(case_ids)}):
        found.setdefault(row.case_id, set()).add(row.stage)
    return found


def clocks(session: Session, *, asset_ids: Sequence[str], time_zone: str) -> dict[str, Clock]:
    """By what servicing counts the days of each asset."""
    rows = servicing.claims(session, asset_ids=asset_ids, time_zone=time_zone)
    return servicing.clocks(session, rows=rows, in_force=servicing.policies(session))


def promises(session: Session, *, case_ids: Sequence[str]) -> Rows:
    """The promises of the cases with their assets, and what was received on those: (value date, amount) each."""
    query = text("""
        SELECT promise.*, promised.asset_ids, coalesce(paid.value_dates, '{}') AS value_dates,
               coalesce(paid.amounts, '{}') AS amounts
        FROM payment_promise AS promise
        CROSS JOIN LATERAL (
            SELECT array_agg(asset_id ORDER BY asset_id) AS asset_ids FROM promised_asset
            WHERE promised_asset.promise_id = promise.promise_id
        ) AS promised
        LEFT JOIN LATERAL (
            SELECT array_agg(value_date ORDER BY value_date, receipt_id) AS value_dates,
                   array_agg(minor ORDER BY value_date, receipt_id) AS amounts
            FROM (
                SELECT value_date, receipt_id, applied_minor AS minor FROM receipt
                WHERE asset_id = ANY(promised.asset_ids) AND reversed_on IS NULL
                  AND NOT EXISTS (SELECT FROM receipt_share WHERE receipt_share.receipt_id = receipt.receipt_id)
                UNION ALL
                SELECT value_date, receipt_id, receipt_share.amount_minor FROM receipt_share
                JOIN receipt USING (receipt_id)
                WHERE receipt_share.asset_id = ANY(promised.asset_ids) AND reversed_on IS NULL
            ) AS received
        ) AS paid ON true
        WHERE case_id = ANY(:ids)
        ORDER BY case_id, promise_id
    """)
    return session.execute(query, {"ids": list(case_ids)}).all()


def lines(session: Session, *, case_ids: Sequence[str], day: date, time_zone: str) -> dict[str, list[Line]]:
    """What can be asked for in a letter of each case: past due, in no dispute, and not promised for a day to come."""
    query = text("""
        SELECT item.case_id, item.asset_id, receivable.invoice_number, claim.currency,
               claim.outstanding_minor, coalesce(charged.left_minor, 0) AS interest_minor
        FROM case_item AS item
        JOIN claim ON claim.asset_id = item.asset_id
        JOIN receivable ON receivable.asset_id = claim.root_id
        LEFT JOIN LATERAL (
            SELECT sum(amount_minor - paid_minor)::bigint AS left_minor FROM charge
            WHERE charge.asset_id = item.asset_id
        ) AS charged ON true
        WHERE item.case_id = ANY(:ids) AND item.left_on IS NULL AND item.added_on <= :day
          AND claim.outstanding_minor > 0 AND NOT claim.disputed
          AND NOT EXISTS (
              SELECT FROM promised_asset JOIN payment_promise USING (promise_id)
              WHERE promised_asset.asset_id = item.asset_id AND payment_promise.state = 'open'
          )
        ORDER BY item.case_id, item.late_since, item.asset_id
    """)
    rows = session.execute(query, {"ids": list(case_ids), "day": day}).all()
    counted = clocks(session, asset_ids=[row.asset_id for row in rows], time_zone=time_zone) if rows else {}
    found: dict[str, list[Line]] = {}
    for row in rows:
        clock = counted[row.asset_id]
        late = [one for one in clock.open_instalments(day) if one.due_date < day]
        if late:
            line = Line(
                asset_id=row.asset_id,
                invoice_number=row.invoice_number,
                due_date=late[0].due_date,
                days_past_due=standing(clock, day).days_past_due,
                currency=row.currency,
                outstanding_minor=min(sum(one.amount_minor for one in late), row.outstanding_minor),
                interest_minor=row.interest_minor,
            )
            found.setdefault(row.case_id, []).append(line)
    return found


def addresses(session: Session, *, case_ids: Sequence[str]) -> dict[str, Row[Any]]:
    """From whom and to whom the cases' letters are, and in which language where it is not the policy's."""
    query = text("""
        SELECT case_id, originator.name AS creditor, correspondence.language,
               CASE WHEN company.name IS NULL THEN '' ELSE company.name || ' ' END
               || '(' || company.scheme || ':' || company.value || ')' AS obligor
        FROM collection_case
        JOIN originator USING (originator_id)
        JOIN company ON company.company_id = obligor_id
        LEFT JOIN correspondence USING (originator_id, company_id)
        WHERE case_id = ANY(:ids)
    """)
    return {row.case_id: row for row in session.execute(query, {"ids": list(case_ids)})}


def accounts(session: Session, *, case_ids: Sequence[str]) -> dict[str, list[Account]]:
    """Where the obligor of each case pays: to numbers of its own where it has them, else to the collection account."""
    query = text("""
        SELECT case_id, bank_account.currency, coalesce(own.number, bank_account.account) AS account
        FROM collection_case
        CROSS JOIN bank_account
        LEFT JOIN virtual_account AS own
            ON own.company_id = obligor_id AND own.account = bank_account.account AND own.closed_at IS NULL
        WHERE case_id = ANY(:ids)
        ORDER BY case_id, 2, 3
    """)
    found: dict[str, list[Account]] = {}
    for row in session.execute(query, {"ids": list(case_ids)}):
        found.setdefault(row.case_id, []).append(Account(row.currency, row.account))
    return found


def _split(keys: Iterable[Key]) -> dict[str, list[str]]:
    pairs = sorted(set(keys))
    return {"originators": [one for one, _ in pairs], "obligors": [other for _, other in pairs]}
