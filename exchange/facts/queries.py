"""What is known of companies, as of any moment."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from scoring.statements import FirmYears

NEWEST = "DESC, known_at DESC, fact_id DESC"
STANDING = """
    known_at <= :as_of AND NOT withdrawn
    AND NOT EXISTS (SELECT FROM company_fact AS later WHERE later.corrects = fact.fact_id AND later.known_at <= :as_of)
"""
"""A fact stands from when it is known until one that corrects it is."""

OF_COMPANIES = text(f"""
    SELECT fact.* FROM company_fact AS fact
    WHERE company_id = ANY(:ids) AND kind = ANY(:kinds) AND {STANDING}
    ORDER BY effective_date {NEWEST}
""")  # noqa: S608 - constants of ours
OF_PEOPLE = text(f"""
    SELECT DISTINCT ON (controller_id) fact.* FROM company_fact AS fact
    WHERE controller_id = ANY(:ids) AND kind = 'person_report' AND body <> '{{}}' AND {STANDING}
    ORDER BY controller_id, effective_date {NEWEST}
""")  # noqa: S608 - same
DEALINGS = text(f"""
    SELECT company_id, kind, body ->> 'currency' AS currency, count(*) AS count,
           coalesce(sum(cast(body ->> 'amount_minor' AS bigint)), 0)::bigint AS amount_minor,
           coalesce(sum(cast(body ->> 'quantity_kg' AS bigint)), 0)::bigint AS quantity_kg,
           min(effective_date) AS first, max(effective_date) AS last
    FROM company_fact AS fact
    WHERE company_id = ANY(:ids) AND kind = ANY(:kinds)
      AND effective_date > cast(cast(:as_of AS timestamptz) - interval '365 days' AS date) AND {STANDING}
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")  # noqa: S608 - same
PRICES = text(f"""
    SELECT DISTINCT ON (series) fact.* FROM company_fact AS fact
    WHERE kind = 'price' AND (cast(:series AS text[]) IS NULL OR series = ANY(:series)) AND {STANDING}
    ORDER BY series, effective_date {NEWEST}
""")  # noqa: S608 - same

PAGE = text("""
    SELECT fact_id, kind, company_id, counterparty_id, controller_id, source, effective_date, known_at, body, corrects,
           withdrawn, reason
    FROM company_fact
    WHERE company_id = :id AND fact_id > :after AND (cast(:kind AS text) IS NULL OR kind = :kind)
      AND (cast(:tellers AS text[]) IS NULL OR teller = ANY(:tellers))
    ORDER BY fact_id LIMIT :limit
""")
VISIBLE = text("""
    SELECT FROM company WHERE company_id = :id AND (
        cast(:originator AS text) IS NULL OR namespace = :originator
        OR EXISTS (SELECT FROM company_fact WHERE company_id = :id AND teller = :originator)
        OR EXISTS (SELECT FROM receivable WHERE obligor_id = :id AND originator_id = :originator))
""")

TRADING = ("order", "delivery", "return", "invoice", "payment")
"""What is summed over a year; of the other kinds each fact is read."""
SINGLE = ("statement", "report", "control", "shareholding", "account", "registration")


@dataclass(frozen=True, slots=True)
class Dealings:
    """A kind's facts of the last 365 days in one currency: how many, minor units, kilograms, the first and last day."""

    count: int
    amount_minor: int
    quantity_kg: int
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Stated:
    """A fact as it stands: what its source says of a day, and since when the exchange knows."""

    fact_id: str
    source: str
    effective_date: date
    known_at: datetime
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CompanyFacts:
    """What is known of one company at one moment.

    `statements` are by period end, oldest first, `report` and `person_report` the newest of the company's credit
    bureau and of its controller's. `shares` gives each holder's part of the whole in bps. `dealings` are by kind and
    currency, with the company as the buyer.
    """

    company_id: str
    statements: tuple[Stated, ...] = ()
    report: Stated | None = None
    controller_id: str | None = None
    controlled_since: date | None = None
    person_report: Stated | None = None
    registration: Stated | None = None
    shares: Mapping[str, int] = field(default_factory=dict)
    accounts: tuple[Stated, ...] = ()
    dealings: Mapping[tuple[str, str], Dealings] = field(default_factory=dict)


def known(session: Session, *, company_ids: Collection[str], as_of: datetime) -> dict[str, CompanyFacts]:
    """What is known of each company at the moment `as_of`; of one nobody said anything about, nothing but its id."""
    ids = sorted(set(company_ids))
    told: dict[str, dict[str, list[Row[Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in session.execute(OF_COMPANIES, {"ids": ids, "kinds": list(SINGLE), "as_of": as_of}):
        told[row.company_id][row.kind].append(row)
    controls = {company_id: control(facts["control"]) for company_id, facts in told.items()}
    people = sorted({person for person, _ in controls.values() if person})
    reports = {row.controller_id: stated(row) for row in session.execute(OF_PEOPLE, {"ids": people, "as_of": as_of})}
    dealings: dict[str, dict[tuple[str, str], Dealings]] = defaultdict(dict)
    for row in session.execute(DEALINGS, {"ids": ids, "kinds": list(TRADING), "as_of": as_of}):
        dealings[row.company_id][row.kind, row.currency] = Dealings(*row[3:])
    return {
        company_id: _company(company_id, told[company_id], reports=reports, dealings=dealings[company_id])
        for company_id in ids
    }


def prices(session: Session, *, as_of: datetime, series: Sequence[str] | None = None) -> dict[str, Stated]:
    """The newest price of each series (of all) as known at `as_of`: body `currency` and `price_minor`, per ton."""
    rows = session.execute(PRICES, {"series": None if series is None else list(series), "as_of": as_of})
    return {row.series: stated(row) for row in rows}


def firm_years(facts: Mapping[str, CompanyFacts]) -> tuple[FirmYears, list[str]]:
    """The yearly statements as `scoring.statements` reads them, and the company of each row; outcomes are not known.

    A period that ends by June counts for the year before. Of two statements of a year the later one counts.
    """
    rows = {
        (company_id, one.effective_date.year - (one.effective_date.month <= JUNE)): one.body["items"]
        for company_id, company in sorted(facts.items())
        for one in company.statements
        if one.body["months"] == YEAR_MONTHS
    }
    firms = {company_id: code for code, company_id in enumerate(dict.fromkeys(company_id for company_id, _ in rows))}
    names = sorted({name for items in rows.values() for name in items})
    years = FirmYears(
        firm=np.array([firms[company_id] for company_id, _ in rows], dtype=np.int64),
        year=np.array([year for _, year in rows], dtype=np.int64),
        items={name: np.array([items.get(name, np.nan) for items in rows.values()], dtype=float) for name in names},
        failed_next=np.zeros(len(rows), dtype=np.bool_),
    )
    return years, [company_id for company_id, _ in rows]


JUNE = 6
YEAR_MONTHS = 12


def stated(row: Row[Any]) -> Stated:
    """A row as a fact."""
    return Stated(row.fact_id, row.source, row.effective_date, row.known_at, row.body)


def control(rows: Sequence[Row[Any]]) -> tuple[str | None, date | None]:
    """Who controls a company and since when, by its control facts: of those who did not end, the last to begin."""
    last: dict[str, Row[Any]] = {}
    for row in sorted(rows, key=lambda row: (row.effective_date, row.body["event"] == "began"), reverse=True):
        last.setdefault(row.controller_id, row)
    standing = next((row for row in last.values() if row.body["event"] == "began"), None)
    return (None, None) if standing is None else (standing.controller_id, standing.effective_date)


def _company(
    company_id: str,
    told: Mapping[str, Sequence[Row[Any]]],
    *,
    reports: Mapping[str | None, Stated],
    dealings: Mapping[tuple[str, str], Dealings],
) -> CompanyFacts:
    """One company's facts, each kind newest first."""
    controller_id, since = control(told["control"])
    shares: dict[str, int] = {}
    for row in told["shareholding"]:
        shares.setdefault(row.controller_id or row.counterparty_id, row.body["share_bps"])
    newest = {kind: stated(rows[0]) for kind, rows in told.items() if rows}
    periods: dict[date, Stated] = {}
    for row in told["statement"]:
        periods.setdefault(row.effective_date, stated(row))
    return CompanyFacts(
        company_id=company_id,
        statements=tuple(periods[end] for end in sorted(periods)),
        report=newest.get("report"),
        controller_id=controller_id,
        controlled_since=since,
        person_report=reports.get(controller_id),
        registration=newest.get("registration"),
        shares={holder: bps for holder, bps in shares.items() if bps},
        accounts=tuple(stated(row) for row in told["account"]),
        dealings=dealings,
    )


def is_visible(session: Session, *, company_id: str, originator_id: str | None) -> bool:
    """Whether there is such a company, and an originator (None: anybody) told of it or is paid by it."""
    return session.execute(VISIBLE, {"id": company_id, "originator": originator_id}).first() is not None


def page(
    session: Session, *, company_id: str, kind: str | None, tellers: Sequence[str] | None, after: str, limit: int
) -> list[dict[str, Any]]:
    """Everything told of a company, corrected and withdrawn facts included; of `tellers` only, None for all."""
    asked = {"id": company_id, "kind": kind, "tellers": tellers, "after": after, "limit": limit}
    return [dict(row) for row in session.execute(PAGE, asked).mappings()]
