"""What is suspicious of assets just scored: who is behind both sides, where goods go round, what repeats."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.facts import queries as facts
from exchange.reviews import actions, rules
from exchange.reviews.rules import Finding
from exchange.risk.facts import day_number
from exchange.services import Services
from scoring import fraud
from scoring.fraud import Cycle, Edge

YEAR_DAYS = 365
STANDING = facts.STANDING

ASSETS = text("""
    SELECT asset_id, seller_id, obligor_id, seller.number AS seller, obligor.number AS obligor
    FROM receivable
    JOIN confirmation USING (asset_id)
    JOIN company AS seller ON seller.company_id = seller_id
    JOIN company AS obligor ON obligor.company_id = obligor_id
    WHERE asset_id = ANY(:ids) AND confirmation.face_minor IS NOT NULL ORDER BY asset_id
""")
HANDLES = text(f"""
    SELECT company_id, 'controller:' || controller_id AS handle FROM company
    WHERE company_id = ANY(:ids) AND controller_id IS NOT NULL
    UNION
    SELECT company_id, 'controller:' || controller_id FROM company_fact AS fact
    WHERE company_id = ANY(:ids) AND kind IN ('control', 'registration') AND controller_id IS NOT NULL AND {STANDING}
      AND body ->> 'event' IS DISTINCT FROM 'ended'
      AND NOT EXISTS (SELECT FROM company_fact AS ended
                      WHERE ended.company_id = fact.company_id AND ended.controller_id = fact.controller_id
                        AND ended.kind = 'control' AND ended.body ->> 'event' = 'ended'
                        AND ended.effective_date > fact.effective_date)
    UNION
    SELECT company_id, 'account:' || (body ->> 'account') FROM company_fact AS fact
    WHERE company_id = ANY(:ids) AND kind = 'account' AND body ->> 'state' = 'open' AND {STANDING}
    UNION
    SELECT company_id, 'address:' || lower(regexp_replace(body ->> 'address', '[[:space:][:punct:]]', '', 'g'))
    FROM company_fact AS fact
    WHERE company_id = ANY(:ids) AND kind = 'registration' AND body ->> 'address' IS NOT NULL AND {STANDING}
""")  # noqa: S608 - constants of ours
CONTRA = text("""
    SELECT pair.seller, pair.obligor, count(*) AS trades, sum(face_minor)::bigint AS face_minor
    FROM unnest(cast(:sellers AS bigint[]), cast(:obligors AS bigint[])) AS pair(seller, obligor)
    JOIN trade ON trade.obligor = pair.seller AND trade.seller = pair.obligor AND issue_day > :since
    GROUP BY 1, 2
""")
CLASHES = text("""
    SELECT asset_id, known_id, asked_id, kinds, obligor_id FROM clash
    JOIN receivable ON asset_id = asked_id
    WHERE asked_id = ANY(:ids) ORDER BY clash_id
""")
SOLD_ON = text("""
    SELECT trade_id, seller, obligor, face_minor, issue_day FROM trade
    WHERE seller = ANY(:sellers) AND issue_day > :since ORDER BY trade_id
""")


def screen(session: Session, *, services: Services, asset_ids: Sequence[str], today: date, now: datetime) -> None:
    """Screen assets that were scored; what nothing is held against goes on to the market."""
    assets = session.execute(ASSETS, {"ids": list(asset_ids)}).all()
    _, policy = actions.policy_in_force(session)
    findings = [*_behind(session, assets, now=now), *_contra(session, assets, today=today)]
    findings += _round_trips(session, assets, today=today)
    findings += clashes(session, asset_ids=asset_ids)
    actions.note(session, services=services, policy=policy, findings=findings, today=today, now=now)
    held = actions.blocked(session, asset_ids=asset_ids)
    free = [asset_id for asset_id in asset_ids if asset_id not in held]
    if free:
        jobs.enqueue(session, job=actions.LIST_JOB, payload={"asset_ids": free})


def clashes(session: Session, *, asset_ids: Sequence[str]) -> list[Finding]:
    """Assets whose invoice looks like another's."""
    return [
        Finding(
            "near_duplicate",
            f"{row.known_id}/{row.asked_id}",
            row.obligor_id,
            {"known": row.known_id, "how": list(row.kinds)},
            row.asset_id,
        )
        for row in session.execute(CLASHES, {"ids": list(asset_ids)})
    ]


def _behind(session: Session, assets: Sequence[Any], *, now: datetime) -> list[Finding]:
    """Sides that are one, companies that may not trade, controllers on whom sources differ."""
    ids = sorted({party for asset in assets for party in (asset.seller_id, asset.obligor_id)})
    links = session.execute(HANDLES, {"ids": ids, "as_of": now}).all()
    handles: dict[str, set[str]] = defaultdict(set)
    for company_id, handle in links:
        handles[company_id].add(handle)
    groups = fraud.shared_control((row.company_id, row.handle) for row in links)
    asked = {"ids": ids, "kinds": ["registration"], "as_of": now}
    papers = {row.company_id: row for row in reversed(session.execute(facts.OF_COMPANIES, asked).all())}
    findings = []
    for asset in assets:
        seller_id, obligor_id, asset_id = asset.seller_id, asset.obligor_id, asset.asset_id
        if fraud.self_dealing([(seller_id, obligor_id)], groups=groups):
            shared = sorted({one.partition(":")[0] for one in handles[seller_id] & handles[obligor_id]})
            evidence = {"seller_id": seller_id, "shared": shared, "group": groups[seller_id]}
            findings.append(Finding("self_dealing", asset_id, obligor_id, evidence, asset_id))
        for party in (seller_id, obligor_id):
            paper = papers.get(party)
            if paper is not None and paper.body["status"] != "active":
                evidence = {"company_id": party, "status": paper.body["status"], "fact_id": paper.fact_id}
                findings.append(Finding("not_active", f"{asset_id}/{party}", obligor_id, evidence, asset_id))
            people = sorted(one for one in handles[party] if one.startswith("controller:"))
            if len(people) > 1:
                evidence = {"controllers": [one.partition(":")[2] for one in people]}
                findings.append(Finding("controller_mismatch", "/".join((party, *people)), party, evidence))
    return findings


def _contra(session: Session, assets: Sequence[Any], *, today: date) -> list[Finding]:
    """Obligors that sell to their own seller: they may set off instead of paying."""
    ids = {(asset.seller, asset.obligor): (asset.seller_id, asset.obligor_id) for asset in assets}
    parameters = {
        "sellers": [seller for seller, _ in ids],
        "obligors": [obligor for _, obligor in ids],
        "since": day_number(today) - rules.YEAR_DAYS,
    }
    findings = []
    for row in session.execute(CONTRA, parameters):
        seller_id, obligor_id = ids[row.seller, row.obligor]
        evidence = {"seller_id": seller_id, "trades": row.trades, "face_minor": row.face_minor}
        findings.append(Finding("contra_account", f"{seller_id}/{obligor_id}", obligor_id, evidence))
    return findings


def _round_trips(session: Session, assets: Sequence[Any], *, today: date) -> list[Finding]:
    """Assets on a way of goods that leads back to where it began, keeping its value."""
    since = day_number(today) - fraud.CYCLE_WINDOW_DAYS
    trades = _sold_on(session, {asset.obligor for asset in assets}, since=since)
    if not trades:
        return []
    behind: dict[Edge, list[str]] = defaultdict(list)
    for row in trades:
        behind[Edge(row.issue_day, f"{row.seller:012}", f"{row.obligor:012}", row.face_minor)].append(row.trade_id)
    found: dict[str, Cycle] = {}
    for cycle in fraud.cycles(behind):
        for trade_id in (trade_id for edge in cycle.edges for trade_id in behind[edge]):
            found.setdefault(trade_id, cycle)
    suspects = session.execute(ASSETS, {"ids": sorted(found)}).all() if found else []
    return [
        Finding("cycle", asset.asset_id, asset.obligor_id, _path(found[asset.asset_id], behind), asset.asset_id)
        for asset in suspects
    ]


def _sold_on(session: Session, buyers: Collection[int], *, since: int) -> list[Any]:
    """What the buyers sold on, and theirs in turn, as far as a round trip goes; mostly nothing."""
    trades: list[Any] = []
    seen: set[int] = set()
    frontier = set(buyers)
    for _ in range(fraud.CYCLE_TRADES_MAX):
        rows = session.execute(SOLD_ON, {"sellers": sorted(frontier), "since": since}).all()
        trades += rows
        seen |= frontier
        frontier = {row.obligor for row in rows} - seen
        if not frontier:
            break
    return trades


def _path(cycle: Cycle, behind: dict[Edge, list[str]]) -> dict[str, Any]:
    return {
        "trades": [behind[edge][0] for edge in cycle.edges],
        "days": [edge.day for edge in cycle.edges],
        "values_minor": [edge.value_minor for edge in cycle.edges],
    }
