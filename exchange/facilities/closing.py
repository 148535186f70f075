"""The day of a facility: losses borne, rules applied, figures kept, triggers judged, payment dates run."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from exchange import books
from exchange.currencies import commodity
from exchange.facilities import distributions, positions, rules
from exchange.facilities.actions import apply_rules, note, set_purchases
from exchange.facilities.capital import Step, move
from exchange.facilities.figures import Figures, figures, money
from exchange.facilities.models import Facility, FacilityDay, FacilityLoss
from exchange.facilities.positions import At, Position, Standing
from exchange.facilities.terms import BUYING, NOBODY
from exchange.services import Services
from exchange.shares import apportion
from exchange.waterfalls.layers import Taken
from ledger.books import Leg, Transfer, post

LOST = text("""
    WITH touched AS (
        SELECT asset_id FROM pool_asset WHERE mandate_id = :mandate AND written_off_minor > 0
        UNION SELECT asset_id FROM facility_loss WHERE facility_id = :id
    )
    SELECT asset_id, price_minor, discount_minor, collected_minor + diluted_minor AS returned_minor, written_off_minor
    FROM pool_asset JOIN touched USING (asset_id) WHERE mandate_id = :mandate ORDER BY asset_id, pool_id
""")
BORNE = text("""
    SELECT asset_id, number, amount_minor, parts FROM facility_loss WHERE facility_id = :id ORDER BY asset_id, number
""")
HOLDS = text("""
    SELECT EXISTS (SELECT FROM pool_asset WHERE mandate_id = :mandate AND released_at IS NULL)
""")


def close_day(session: Session, *, services: Services, facility_id: str, at: At) -> None:
    """Bring a facility to the end of a day. Done twice, or after days without, it comes to the same."""
    facility = positions.lock(session, facility_id=facility_id)
    absorb(session, facility=facility, at=at)
    apply_rules(session, facility=facility, at=at)
    found = _figures(session, services, facility, at)
    before = positions.standing(session, facility_id=facility_id)
    if before.state != "closed":
        judge(session, services=services, facility=facility, found=found, before=before, at=at)
    kept = {"facility_id": facility_id, "business_date": at.today, "recorded_at": at.now}
    state = positions.standing(session, facility_id=facility_id).state
    row = upsert(FacilityDay).values(figures=found.shown() | {"state": state}, **kept)
    session.execute(row.on_conflict_do_nothing())
    for day in distributions.due_dates(session, facility=facility, figures=found):
        distributions.run(session, facility=facility, figures=found, day=day, at=at)
        found = _figures(session, services, facility, at)


def judge(
    session: Session, *, services: Services, facility: Facility, found: Figures, before: Standing, at: At
) -> None:
    """Raise and clear triggers, turn state and health, and let the mandate buy or not."""
    observed = found.observed()
    on = {(one.test, one.turns): one for one in rules.on(found.terms, observed)}
    for (test, turns), one in on.items():
        if (test, turns) not in before.triggers:
            numbers = {"observed": observed[test], "threshold": one.threshold}
            note(session, facility, axis="trigger", value="raised", test=test, reason=turns, numbers=numbers, at=at)
    for test, turns in sorted(before.triggers - on.keys()):
        numbers = {"observed": observed[test]}
        note(session, facility, axis="trigger", value="cleared", test=test, reason=turns, numbers=numbers, at=at)
    state, reason = rules.state_of(found.terms, state=before.state, on=on.values(), today=at.today)
    if state != before.state:
        turn(session, facility=facility, to=state, reason=reason, at=at)
    causes = ", ".join(sorted({test for test, _ in on}))
    if (not on, causes or "all well") != (before.healthy, before.reason) and (on or not before.healthy):
        health = "unhealthy" if on else "healthy"
        note(session, facility, axis="health", value=health, reason=causes or "all well", at=at)
    buys = state in BUYING and not on
    set_purchases(session, services=services, facility=facility, terms=found.terms, buys=buys, now=at.now)


def turn(session: Session, *, facility: Facility, to: str, reason: str, at: At) -> None:
    """Turn the state; once it buys no more, wishes for money back give way to paying back in order."""
    note(session, facility, axis="state", value=to, reason=reason, at=at)
    if to not in BUYING:
        distributions.holdings_end(session, facility=facility, at=at)


def set_state(session: Session, *, services: Services, facility_id: str, to: str, reason: str, at: At) -> None:
    """Turn a facility by hand. Closing pays out all that is left, the reserve and the covers with it; the rest is lost.

    Refuses `StateRefused` and `NotPaidBackYet`.
    """
    facility = positions.lock(session, facility_id=facility_id)
    absorb(session, facility=facility, at=at)
    before = positions.standing(session, facility_id=facility_id)
    rules.check_move(before.state, to)
    if to == "closed":
        held = session.execute(HOLDS, {"mandate": facility.mandate_id}).scalar_one()
        if held or money(session, facility=facility, today=at.today).offered_minor:
            raise rules.NotPaidBackYet("Collect, sell or give up what it holds first.")
    turn(session, facility=facility, to=to, reason=reason, at=at)
    found = _figures(session, services, facility, at)
    buys = to in BUYING and before.healthy
    set_purchases(session, services=services, facility=facility, terms=found.terms, buys=buys, now=at.now)
    if to == "closed":
        distributions.run(session, facility=facility, figures=found, day=at.today, at=at)
        _give_up_rest(session, facility, at)


def _give_up_rest(session: Session, facility: Facility, at: At) -> None:
    """What a closed facility could not pay back is lost to its holders."""
    tranches = positions.positions(session, facility_id=facility.facility_id, until=at.today)
    steps = [step for one in tranches for step in _steps(one, one.sum("principal_minor"))]
    if steps:
        key = f"{facility.facility_id}/closed"
        moved = Transfer(key, at.today, "not paid back", _legs(facility, steps, 0))
        post(session.connection(), transfers=[moved], now=at.now)
        move(session, steps=steps, transfer=key, at=at)


def absorb(session: Session, *, facility: Facility, at: At) -> None:
    """Let layers bear what was lost since, and give back what was recovered, asset by asset.

    Each asset's capital that is lost now is compared with what was borne of it: so nothing is borne twice, and a
    recovery brings back what was there before. Money of covers follows.
    """
    key = {"id": facility.facility_id, "mandate": facility.mandate_id}
    lost: Counter[str] = Counter()
    for found in session.execute(LOST, key).mappings():
        amounts = {name: found[name] for name in found if name != "asset_id"}
        lost[found["asset_id"]] += rules.capital_lost_minor(**amounts)
    borne: dict[str, list[Any]] = defaultdict(list)
    for row in session.execute(BORNE, key):
        borne[row.asset_id].append(row)
    changed = [(one, lost[one] - sum(row.amount_minor for row in borne[one])) for one in sorted(lost.keys() | borne)]
    changed = [(asset_id, change_minor) for asset_id, change_minor in changed if change_minor]
    if changed:
        books.hold_cash(session, purses=[(books.funder_cash(facility.funder_id), facility.currency)])
    for asset_id, change_minor in changed:
        _bear(session, facility, asset_id, change_minor, borne[asset_id], at)


def _bear(session: Session, facility: Facility, asset_id: str, change_minor: int, borne: Sequence[Any], at: At) -> None:
    """One asset's loss over the layers, or its recovery back over them."""
    terms = positions.terms(session, facility_id=facility.facility_id)
    tranches = {
        one.name: one
        for one in positions.positions(session, facility_id=facility.facility_id, until=facility.opened_on)
    }
    if change_minor > 0:
        parts = rules.bear([tranches[name].layer for name in terms.losses], change_minor)
    else:
        history = [[Taken(*part) for part in row.parts] for row in borne]
        parts = [Taken(one.name, -one.amount_minor) for one in rules.give_back(history, -change_minor)]
    cover_minor = sum(one.amount_minor for one in parts if one.name != NOBODY and not tranches[one.name].is_tranche)
    if -cover_minor > money(session, facility=facility, today=at.today).cash_minor:
        return  # it was spent on assets today: the cover gets it back once there is money again
    steps = [step for one in parts if one.name != NOBODY for step in _steps(tranches[one.name], one.amount_minor)]
    number = len(borne) + 1
    key = f"{facility.facility_id}/loss/{asset_id}/{number}"
    legs = _legs(facility, steps, cover_minor)
    if legs:
        memo = "loss borne" if change_minor > 0 else "recovery given back"
        post(session.connection(), transfers=[Transfer(key, at.today, memo, legs)], now=at.now)
    move(session, steps=steps, transfer=key, at=at)
    row = {"facility_id": facility.facility_id, "asset_id": asset_id, "number": number, "amount_minor": change_minor}
    row |= {"parts": [list(one) for one in parts], "business_date": at.today, "recorded_at": at.now}
    session.execute(insert(FacilityLoss).values(**row))


def _steps(tranche: Position, amount_minor: int) -> Iterator[Step]:
    """A tranche's part of a loss over its holders by principal; of a recovery by what each lost."""
    if not amount_minor:
        return
    kind, name = ("lost", "principal_minor") if amount_minor > 0 else ("restored", "lost_minor")
    weights = [getattr(owner, name) for owner in tranche.owners]
    for owner, share in zip(tranche.owners, apportion(abs(amount_minor), weights), strict=True):
        if share:
            yield Step(tranche.tranche_id, owner.funder_id, kind, share)


def _legs(facility: Facility, steps: Sequence[Step], cover_minor: int) -> tuple[Leg, ...]:
    unit = commodity(facility.currency)
    legs = []
    if cover_minor:
        legs.append(Leg(books.facility_cover(facility.funder_id), unit, -cover_minor))
        legs.append(Leg(books.funder_cash(facility.funder_id), unit, cover_minor))
    for one in steps:
        amount_minor = one.amount_minor if one.kind == "lost" else -one.amount_minor
        legs.append(Leg(books.funder_notes(one.funder_id), one.tranche_id, -amount_minor))
        legs.append(Leg(books.funder_notes_lost(one.funder_id), one.tranche_id, amount_minor))
    return tuple(legs)


def _figures(session: Session, services: Services, facility: Facility, at: At) -> Figures:
    return figures(session, facility=facility, today=at.today, zone=services.settings.time_zone)
