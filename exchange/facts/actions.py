"""Learn facts: keep what is new, tell apart what is known, refuse what contradicts."""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec
import orjson
from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.errors import Fault, Refused
from exchange.facts import queries, rules
from exchange.facts.kinds import KINDS
from exchange.facts.rules import ControlEvent
from exchange.ids import new_id
from exchange.parties.actions import CompanyFacts, CompanyKey, know_companies, know_controllers, known_companies
from exchange.parties.queries import is_originator
from exchange.services import Services

LEARNT_JOB = "reviews.look"
"""Who is next: what is known anew may change what is thought of a company."""

PARTIES = frozenset({"source", "effective_date", "corrects", "company", "counterparty", "person", "series", "account"})
"""Members that are columns of their own, or must not be kept as they were told."""

ENTER = text("""
    INSERT INTO company_fact (fact_id, kind, company_id, counterparty_id, controller_id, series, source, teller,
                              effective_date, place, body, corrects, withdrawn, reason, told_by, known_at)
    SELECT fact_id, :kind, company_id, counterparty_id, controller_id, series, source, :teller, effective_date,
           decode(place, 'hex'), cast(body AS jsonb), corrects, false, NULL, :told_by, :now
    FROM unnest(cast(:fact_ids AS text[]), cast(:companies AS text[]), cast(:counterparties AS text[]),
                cast(:people AS text[]), cast(:series AS text[]), cast(:sources AS text[]), cast(:days AS date[]),
                cast(:places AS text[]), cast(:bodies AS text[]), cast(:corrects AS text[]))
         AS told(fact_id, company_id, counterparty_id, controller_id, series, source, effective_date, place, body,
                 corrects)
    ON CONFLICT DO NOTHING
    RETURNING fact_id
""")
WITHDRAW = text("""
    INSERT INTO company_fact (fact_id, kind, company_id, counterparty_id, controller_id, series, source, teller,
                              effective_date, place, body, corrects, withdrawn, reason, told_by, known_at)
    SELECT new, kind, company_id, counterparty_id, controller_id, series, source, teller, effective_date, place,
           '{}', fact_id, true, withdrawal.reason, :told_by, :now
    FROM unnest(cast(:new AS text[]), cast(:old AS text[]), cast(:reasons AS text[])) AS withdrawal(new, old, reason)
    JOIN company_fact ON fact_id = old
    ON CONFLICT DO NOTHING
    RETURNING corrects
""")
LAST = """
    WITH RECURSIVE chain AS (
        SELECT fact_id AS asked, fact.* FROM company_fact AS fact WHERE {first}
        UNION ALL
        SELECT chain.asked, later.* FROM chain JOIN company_fact AS later ON later.corrects = chain.fact_id
    )
    SELECT chain.* FROM chain
    WHERE NOT EXISTS (SELECT FROM company_fact AS later WHERE later.corrects = chain.fact_id)
"""
AT_PLACES = text(LAST.format(first="place = ANY(:places) AND corrects IS NULL"))
AFTER = text(LAST.format(first="fact_id = ANY(:ids) AND teller = :teller"))
LOCK = text("SELECT FROM company WHERE company_id = ANY(:ids) ORDER BY company_id FOR NO KEY UPDATE")
BEFORE = text(f"""
    SELECT fact.* FROM company_fact AS fact
    WHERE company_id = ANY(:ids) AND kind = :kind AND teller = :teller AND {queries.STANDING}
    ORDER BY effective_date, known_at, fact_id
""")  # noqa: S608 - constants of ours


class Teller(NamedTuple):
    """Who tells: `party` is the originator, empty for the exchange itself; `today` is the business date of `now`."""

    party: str
    client_id: str
    now: datetime
    today: date


class Told(NamedTuple):
    """What became of one fact, with a status like HTTP's: its id, new or of the same known before; or its faults."""

    status: int
    fact_id: str | None = None
    faults: tuple[Fault, ...] = ()


class _Draft(NamedTuple):
    """A fact on its way in; `number` is its index."""

    number: int
    item: Any
    place: str
    body: dict[str, Any]
    company_id: str | None
    counterparty_id: str | None
    controller_id: str | None
    series: str | None

    @property
    def corrects(self) -> str | None:
        return self.item.corrects or None

    @property
    def at(self) -> str:
        return f"/items/{self.number}"

    def says(self, row: Any) -> bool:  # noqa: ANN401 - a row
        """Whether a fact there is says just this."""
        return not row.withdrawn and row.body == self.body and row.effective_date == self.item.effective_date


def tell(
    session: Session, *, services: Services, teller: Teller, kind: str, items: Sequence[tuple[int, Struct]]
) -> dict[int, Told]:
    """Keep the facts that are right and new; what became of each by its index.

    The same fact told again is known already. Another value for the same thing, of the same source and day,
    contradicts: it is refused unless it names, in `corrects`, the fact there is. Concurrent batches meet on the place.
    """
    outcomes: dict[int, Told] = {}
    sound = []
    for index, item in items:
        at = f"/items/{index}"
        faults = rules.fact_faults(item, today=teller.today, by_platform=bool(teller.party), at=at)
        if faults:
            outcomes[index] = Told(422, faults=tuple(faults))
        else:
            sound.append((index, item))
    drafts, unknown = _drafts(session, sound, services=services, teller=teller, kind=kind)
    outcomes |= unknown
    if kind in {"control", "shareholding"}:
        session.execute(LOCK, {"ids": sorted({str(draft.company_id) for draft in drafts})})
    fresh = _judge(session, drafts, teller=teller, outcomes=outcomes)
    if kind in {"control", "shareholding"}:
        fresh = _fitting(session, fresh, teller=teller, kind=kind, outcomes=outcomes)
    entered = _enter(session, fresh, services=services, teller=teller, kind=kind)
    outcomes |= {draft.number: Told(201, entered[draft.number]) for draft in fresh if draft.number in entered}
    late = [draft for draft in fresh if draft.number not in entered]
    if _judge(session, late, teller=teller, outcomes=outcomes):
        raise RuntimeError("a fact is neither kept nor known")
    _pass_on(session, {draft.company_id for draft in fresh if draft.number in entered})
    return outcomes


def withdraw(
    session: Session, *, services: Services, teller: Teller, items: Sequence[tuple[int, Any]]
) -> dict[int, Refused | None]:
    """Withdraw facts of the teller's own that are not so; of each whether it was refused."""
    ids = [item.fact_id for _, item in items]
    known = {row.asked: row for row in session.execute(AFTER, {"ids": ids, "teller": teller.party})}
    wanted: dict[str, tuple[str, str]] = {}
    refused: dict[int, Refused | None] = {}
    for index, item in items:
        at = f"/items/{index}/fact_id"
        refused[index] = _chain_fault(item.fact_id, known.get(item.fact_id), at=at)
        if refused[index] is None and (item.fact_id in wanted or known[item.fact_id].withdrawn):
            refused[index] = 409, Fault("withdrawn_already", at, "it is withdrawn already", item.fact_id)
        if refused[index] is None:
            purpose = f"withdrawn/{item.fact_id}"
            new = new_id("fct", now=teller.now, entropy=services.entropy, purpose=purpose)
            wanted[item.fact_id] = new, item.reason
    parameters = {
        "new": [new for new, _ in wanted.values()],
        "old": list(wanted),
        "reasons": [reason for _, reason in wanted.values()],
        "told_by": teller.client_id,
        "now": teller.now,
    }
    done = set(session.execute(WITHDRAW, parameters).scalars()) if wanted else set()
    for index, item in items:
        if refused[index] is None and item.fact_id not in done:  # another was quicker
            refused[index] = 409, Fault("not_the_last_fact", f"/items/{index}/fact_id", "it was corrected just now")
    _pass_on(session, {known[fact_id].company_id for fact_id in done})
    return refused


def _drafts(
    session: Session, items: Sequence[tuple[int, Any]], *, services: Services, teller: Teller, kind: str
) -> tuple[list[_Draft], dict[int, Told]]:
    """The facts with the ids of whom they are about; and those about companies that the exchange does not know."""
    companies = _company_ids(session, items, services=services, teller=teller, kind=kind)
    national_ids = {person.national_id for _, item in items if (person := getattr(item, "person", None))}
    people = know_controllers(session, national_ids, keyring=services.keyring, now=teller.now, entropy=services.entropy)
    drafts, unknown = [], {}
    for index, item in items:
        parties: dict[str, str | None] = {}
        for name in ("company", "counterparty"):
            ref = getattr(item, name, None)
            parties[name] = companies.get(_key(ref, teller)) if ref else None
            if ref and parties[name] is None:
                message = "the exchange does not know this company: tell its registration first"
                fault = Fault("unknown_company", f"/items/{index}/{name}", message, ref.value)
                unknown[index] = Told(422, faults=(fault,))
        if index not in unknown:
            person = getattr(item, "person", None)
            person_id = people[person.national_id] if person else None
            drafts.append(_draft(index, item, parties, person_id, kind=kind, teller=teller, services=services))
    return drafts, unknown


def _draft(
    index: int,
    item: Any,  # noqa: ANN401 - any kind of fact
    parties: Mapping[str, str | None],
    person_id: str | None,
    *,
    kind: str,
    teller: Teller,
    services: Services,
) -> _Draft:
    body = {name: value for name, value in msgspec.to_builtins(item).items() if name not in PARTIES}
    if account := getattr(item, "account", None):
        mark = hmac.digest(services.keyring.fingerprint_key, b"account\0" + account.encode(), "sha256")
        body |= {"account": mark.hex(), "ending": account[-4:]}
    series = getattr(item, "series", None)
    key = KINDS[kind].key
    day = None if "number" in key else item.effective_date.isoformat()
    about = [kind, *parties.values(), person_id, series, item.source, teller.party, day, *(body[name] for name in key)]
    place = hashlib.sha256(orjson.dumps(about)).hexdigest()
    return _Draft(index, item, place, body, parties["company"], parties["counterparty"], person_id, series)


def _key(ref: Any, teller: Teller) -> CompanyKey:  # noqa: ANN401 - a `CompanyRef`
    namespace = (ref.originator_id or teller.party) if ref.scheme == "platform" else ""
    return CompanyKey(ref.scheme, namespace, ref.value)


def _company_ids(
    session: Session, items: Sequence[tuple[int, Any]], *, services: Services, teller: Teller, kind: str
) -> dict[CompanyKey, str]:
    """The ids of the companies that the facts name. A registration makes its company known."""
    refs = [ref for _, item in items for name in ("company", "counterparty") if (ref := getattr(item, name, None))]
    if kind != "registration":
        return known_companies(session, {_key(ref, teller) for ref in refs})
    told: dict[CompanyKey, CompanyFacts] = {}
    for _, item in items:
        person = item.person.national_id if item.person else None
        facts = CompanyFacts(item.name, item.sector or None, item.region or None, person)
        told.setdefault(_key(item.company, teller), facts)
    owners = {key.namespace for key in told} - {"", teller.party}
    real = {owner for owner in owners if is_originator(session, originator_id=owner)} | {"", teller.party}
    told = {key: facts for key, facts in told.items() if key.namespace in real}
    return know_companies(session, companies=told, keyring=services.keyring, now=teller.now, entropy=services.entropy)


def _judge(session: Session, drafts: Sequence[_Draft], *, teller: Teller, outcomes: dict[int, Told]) -> list[_Draft]:
    """Those that are new, or correct the last fact of their place; of the others the outcome is noted.

    Of two in one batch the first counts.
    """
    if not drafts:
        return []
    places = [bytes.fromhex(draft.place) for draft in drafts if not draft.corrects]
    last = {bytes(row.place).hex(): row for row in session.execute(AT_PLACES, {"places": places})} if places else {}
    named = [draft.corrects for draft in drafts if draft.corrects]
    parameters = {"ids": named, "teller": teller.party}
    chains = {row.asked: row for row in session.execute(AFTER, parameters)} if named else {}
    fresh: dict[str, _Draft] = {}
    for draft in drafts:
        earlier = fresh.setdefault(draft.place, draft)
        row = chains.get(draft.corrects) if draft.corrects else last.get(draft.place)
        if draft.corrects:
            refused = _chain_fault(draft.corrects, row, at=f"{draft.at}/corrects")
            if refused is None and row is not None and bytes(row.place).hex() != draft.place:
                message = "a correction is of the same thing, source and day; withdraw this one and tell another"
                refused = 409, Fault("other_fact", f"{draft.at}/corrects", message, draft.corrects)
        elif row is not None and not draft.says(row):
            refused = 409, _contradiction(draft, row.fact_id)
        else:
            refused = None
        if refused is None and earlier is not draft:
            refused = 409, _contradiction(draft, f"/items/{earlier.number}")
        if refused is not None:
            outcomes[draft.number] = Told(refused[0], faults=(refused[1],))
        elif row is not None and not draft.corrects:
            outcomes[draft.number] = Told(200, row.fact_id)
    return [draft for draft in drafts if draft.number not in outcomes]


def _fitting(
    session: Session, drafts: Sequence[_Draft], *, teller: Teller, kind: str, outcomes: dict[int, Told]
) -> list[_Draft]:
    """Those that fit to what the same source said before, and to each other in their order; of others why not."""
    ids = sorted({str(draft.company_id) for draft in drafts})
    parameters = {"ids": ids, "kind": kind, "teller": teller.party, "as_of": teller.now}
    events: dict[tuple[str, str], list[ControlEvent]] = defaultdict(list)
    held: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in session.execute(BEFORE, parameters):
        place = row.company_id, row.source
        if kind == "control":
            events[place].append(ControlEvent(row.effective_date, row.body["event"], row.controller_id, row.fact_id))
        else:
            held[place][row.controller_id or row.counterparty_id] = row.body["share_bps"]
    fitting = []
    for draft in drafts:
        place = str(draft.company_id), draft.item.source
        holder = str(draft.controller_id or draft.counterparty_id)
        if kind == "control":
            told = ControlEvent(draft.item.effective_date, draft.item.event, holder)
            fault = rules.control_fault(events[place], told, at=draft.at)
            events[place] += [] if fault else [told]
        else:
            share_bps = draft.item.share_bps
            fault = rules.share_fault(held[place], holder=holder, share_bps=share_bps, at=draft.at)
            held[place] |= {} if fault else {holder: share_bps}
        if fault is None:
            fitting.append(draft)
        else:
            outcomes[draft.number] = Told(409, faults=(fault,))
    return fitting


def _enter(
    session: Session, drafts: Sequence[_Draft], *, services: Services, teller: Teller, kind: str
) -> dict[int, str]:
    """Keep the facts; the ids of those that nobody else kept meanwhile, by index."""
    if not drafts:
        return {}
    ids = {
        draft.number: new_id(
            "fct", now=teller.now, entropy=services.entropy, purpose=f"{draft.place}/{draft.corrects or ''}"
        )
        for draft in drafts
    }
    parameters = {
        "kind": kind,
        "teller": teller.party,
        "told_by": teller.client_id,
        "now": teller.now,
        "fact_ids": list(ids.values()),
        "companies": [draft.company_id for draft in drafts],
        "counterparties": [draft.counterparty_id for draft in drafts],
        "people": [draft.controller_id for draft in drafts],
        "series": [draft.series for draft in drafts],
        "sources": [draft.item.source for draft in drafts],
        "days": [draft.item.effective_date for draft in drafts],
        "places": [draft.place for draft in drafts],
        "bodies": [orjson.dumps(draft.body).decode() for draft in drafts],
        "corrects": [draft.corrects for draft in drafts],
    }
    kept = set(session.execute(ENTER, parameters).scalars())
    return {index: fact_id for index, fact_id in ids.items() if fact_id in kept}


def _pass_on(session: Session, company_ids: Iterable[str | None]) -> None:
    ids = sorted({company_id for company_id in company_ids if company_id})
    if ids:
        jobs.enqueue(session, job=LEARNT_JOB, payload={"company_ids": ids})


def _chain_fault(fact_id: str, last: Any, *, at: str) -> Refused | None:  # noqa: ANN401 - a row
    """Why a fact cannot be corrected: not the teller's own, or corrected before by the `last` of its chain."""
    if last is None:
        return 404, Fault("unknown_fact", at, "you told no such fact", fact_id)
    if last.fact_id != fact_id:
        return 409, Fault("not_the_last_fact", at, f"it was corrected by {last.fact_id}: name that one", fact_id)
    return None


def _contradiction(draft: _Draft, other: str) -> Fault:
    """Two facts of one place: the one told, by its pointer, and the `other` there is."""
    message = f"{other} says something else of the same thing, source and day: correct it by naming it in `corrects`"
    return Fault("contradictory_fact", draft.at, message, other)
