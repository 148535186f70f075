"""Rates of loss and the risk appetite in force, in versions."""

from typing import NamedTuple

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange.risk.models import RiskPolicy
from exchange.risk.rules import Policy, RiskTerms
from scoring.losses import DILUTION, LGD

PPM_PER_BPS = 100
NEWEST = text("SELECT DISTINCT ON (kind) kind, version, rate_ppm FROM loss_rate ORDER BY kind, version DESC")


class Known(NamedTuple):
    """The rates in force and their versions; version 0 is the labelled prior."""

    lgd_bps: int = LGD.rate_ppm // PPM_PER_BPS
    lgd_version: int = 0
    dilution_ppm: int = DILUTION.rate_ppm
    dilution_version: int = 0


def rates(session: Session) -> Known:
    """What is lost of what defaults, and credited of what is invoiced, as learned last."""
    known = Known()
    for kind, version, rate_ppm in session.execute(NEWEST):
        if kind == "lgd":
            lgd_bps = max((2 * rate_ppm + PPM_PER_BPS) // (2 * PPM_PER_BPS), 1)
            known = known._replace(lgd_bps=lgd_bps, lgd_version=version)
        else:
            known = known._replace(dilution_ppm=rate_ppm, dilution_version=version)
    return known


def policy(session: Session) -> Policy:
    """The risk appetite in force."""
    query = select(RiskPolicy.version, RiskPolicy.terms).order_by(RiskPolicy.version.desc()).limit(1)
    row = session.execute(query).first()
    return Policy() if row is None else Policy(row.version, msgspec.convert(row.terms, RiskTerms))
