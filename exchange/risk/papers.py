"""What statements, credit reports and controllers say of obligors, as `scoring.sides` weighs it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.facts import queries as facts
from exchange.facts.queries import CompanyFacts, Stated
from exchange.risk.limits import Asked
from scoring.engine import KnownSides
from scoring.sides import Said, report_said, statement_said, together

ABOUT = text("""
    SELECT DISTINCT company.number, company.company_id
    FROM company JOIN company_fact USING (company_id)
    WHERE company.number = ANY(:numbers) AND company_fact.kind IN ('statement', 'report', 'control')
""")
"""Those of whom there is any such paper: mostly there is none, and nothing more is read."""


def sides(session: Session, *, asked: Sequence[Asked], as_of: datetime) -> KnownSides | None:
    """What is known of each asset's obligor and its controller at `as_of`; None where nothing is of any of them."""
    numbers = sorted({asset.obligor for asset in asked})
    ids = {row.number: row.company_id for row in session.execute(ABOUT, {"numbers": numbers})}
    if not ids:
        return None
    known = facts.known(session, company_ids=ids.values(), as_of=as_of)
    said = {number: both(known[company_id], as_of=as_of) for number, company_id in ids.items()}
    nothing = (Said(), Said())
    columns = [[*company, *controller] for company, controller in (said.get(one.obligor, nothing) for one in asked)]
    return KnownSides(*np.array(columns, dtype=np.int64).T)


def both(known: CompanyFacts, *, as_of: datetime) -> tuple[Said, Said]:
    """What papers say of a company (its newest statement and report) and of its controller."""
    papers = [report_said(_body(known.report))]
    if known.statements:
        newest = known.statements[-1]
        age_days = (as_of.date() - newest.effective_date).days
        papers.append(statement_said(newest.body["items"], age_days=age_days))
    return together(papers), report_said(_body(known.person_report))


def _body(paper: Stated | None) -> Mapping[str, Any] | None:
    return None if paper is None else paper.body
