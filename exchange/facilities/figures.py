"""What a facility comes to on a day: value, borrowing base, tests. One pass over its assets, in flat memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import books
from exchange.currencies import commodity
from exchange.facilities import rules
from exchange.facilities.models import Facility
from exchange.facilities.positions import Position, placed, positions, principal_minor, standing, terms
from exchange.facilities.rules import Move
from exchange.facilities.terms import BPS, PPM, Terms
from exchange.facilities.valuation import CALM, CUTS, Book, Held, Stress, Sums
from exchange.pools.queries import open_schedules
from exchange.schedules.daycount import DayCount
from exchange.schedules.schedule import average_due_date
from ledger.books import balances

CHUNK = 5_000

ASSETS = text("""
    SELECT held.asset_id, obligor.number AS obligor, coalesce(obligor.controller_id, obligor.company_id) AS "group",
           seller.number AS seller, receivable.originator_id, coalesce(obligor.sector, '') AS sector,
           receivable.product, decision.grade, receivable.recourse, confirmation.grade AS confirmation,
           price_minor + discount_minor - collected_minor - diluted_minor - written_off_minor AS due_minor,
           greatest(price_minor - greatest(collected_minor + diluted_minor - discount_minor, 0) - written_off_minor, 0)
               AS cost_minor,
           claim.due_date, decision.pd_ppm, decision.lgd_bps, decision.days_late,
           (decision.decided_at AT TIME ZONE :zone)::date AS decided_on, coalesce(heard.report_date, held.bought_on),
           claim.disputed, held.charged_off_on IS NOT NULL, claim.schedule_version
    FROM pool_asset AS held
    JOIN claim ON claim.asset_id = held.asset_id
    JOIN receivable ON receivable.asset_id = claim.root_id
    JOIN company AS obligor ON obligor.company_id = receivable.obligor_id
    JOIN company AS seller ON seller.company_id = receivable.seller_id
    JOIN confirmation ON confirmation.asset_id = claim.root_id
    JOIN decision ON decision.asset_id = claim.root_id
    LEFT JOIN (
        SELECT originator_id, max(report_date) AS report_date FROM servicer_report
        WHERE currency = :currency AND report_date <= :today GROUP BY originator_id
    ) AS heard ON heard.originator_id = receivable.originator_id
    WHERE held.mandate_id = :mandate AND held.released_at IS NULL AND held.bought_on IS NOT NULL
    ORDER BY held.asset_id
""")
WINDOW = text("""
    SELECT coalesce(sum(held.face_minor), 0)::bigint AS face_minor,
           coalesce(sum(note.minor), 0)::bigint AS diluted_minor
    FROM pool_asset AS held
    LEFT JOIN LATERAL (
        SELECT sum(amount_minor) AS minor FROM credit_note
        WHERE credit_note.asset_id = held.asset_id AND issue_date BETWEEN :since AND :today
          AND issue_date >= held.bought_on
    ) AS note ON true
    WHERE held.mandate_id = :mandate AND held.bought_on IS NOT NULL
      AND (released_at IS NULL OR released_at >= cast(:since AS date))
""")
GIVEN_UP = text("""
    SELECT coalesce(sum(amount_minor), 0)::bigint FROM facility_loss
    WHERE facility_id = :id AND business_date BETWEEN :since AND :today
""")
DEBTS = text("""
    SELECT coalesce(sum(amount_minor - paid_minor - released_minor), 0)::bigint FROM debt
    WHERE funder_id = :funder AND currency = :currency AND cause = 'dilution' AND due_date >= :today
""")
LAST = text("""
    SELECT payment_date, (waterfall -> 'unpaid' ->> 'fees')::bigint AS fees_minor FROM distribution
    WHERE facility_id = :id ORDER BY payment_date DESC LIMIT 1
""")


class Money(NamedTuple):
    """What a facility has in the books, and what sellers owe it for dilution that is not overdue."""

    cash_minor: int
    offered_minor: int
    reserve_minor: int
    cover_minor: int
    debts_minor: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that follows from assets, money and tranches together."""

    terms: Terms
    today: date
    state: str
    sums: Sums
    money: Money
    tranches: Sequence[Position]
    fees_minor: int
    face_minor: int
    diluted_minor: int
    given_up_minor: int

    @property
    def cash_minor(self) -> int:
        """Money to buy with or to pay out, in offers too, and what a stress has paid at once."""
        return self.money.cash_minor + self.money.offered_minor + self.sums.prepaid_minor

    @property
    def interest_minor(self) -> int:
        """What the tranches have earned and not been paid."""
        return sum(one.sum("interest_minor") for one in self.tranches)

    @property
    def nav_minor(self) -> int:
        """Net asset value: assets, money and debts, less fees and interest due. A cover is not part of it."""
        has_minor = self.sums.value_minor + self.cash_minor + self.money.reserve_minor + self.money.debts_minor
        return has_minor - self.fees_minor - self.interest_minor

    @property
    def invested_minor(self) -> int:
        """Capital in assets, in offers, and in what sellers owe."""
        return self.sums.cost_minor + self.money.offered_minor + self.money.debts_minor

    @property
    def dilution_ppm(self) -> int:
        """What credit notes took off the face held in the window."""
        return self.diluted_minor * PPM // self.face_minor if self.face_minor else 0

    @property
    def dilution_reserve_minor(self) -> int:
        """What of the assets that count is expected to be diluted, rounded up."""
        share = self.dilution_ppm * self.terms.dilution_bps
        return min(-(-self.sums.counted_minor * share // (PPM * BPS)), self.sums.counted_minor)

    @property
    def base_minor(self) -> int:
        """The borrowing base: the advance rate of what counts, less the dilution to come."""
        return (self.sums.counted_minor - self.dilution_reserve_minor) * self.terms.advance_bps // BPS

    @property
    def covered_minor(self) -> int:
        """What base and cash have to cover: all tranches but the last rank."""
        return sum(one.principal_minor for one in rules.by_rank(placed(self.tranches))[:-1])

    @property
    def headroom_minor(self) -> int:
        """What base and cash are above that; below it, where negative."""
        return self.base_minor + self.cash_minor - self.covered_minor

    @property
    def target_minor(self) -> int:
        """What the reserve has to hold."""
        return self.terms.reserve_target_minor(principal_minor(self.tranches))

    def observed(self) -> dict[str, int]:
        """The number of each test (`terms.TESTS`)."""
        sums = self.sums
        bad_minor, all_minor = sums.charged_off_minor + self.given_up_minor, sums.due_minor + self.given_up_minor
        missing = rules.shortfalls(placed(self.tranches), value_minor=self.nav_minor)
        return {
            "delinquency": _ppm(sums.late_minor, sums.due_minor),
            "default_ratio": _ppm(bad_minor, all_minor),
            "dilution": self.dilution_ppm,
            "reserve": max(self.target_minor - self.money.reserve_minor, 0),
            "borrowing_base": max(-self.headroom_minor, 0),
            "subordination": max(missing.values(), default=0),
            "servicer_silence": sums.silent_days,
            "stale_score": sums.oldest_score_days,
        }

    def shown(self) -> dict[str, Any]:
        """All of it as it is answered and kept."""
        return {
            "as_of": self.today.isoformat(),
            "state": self.state,
            "assets": {"asset_count": self.sums.asset_count, "due_minor": self.sums.due_minor}
            | {"cost_minor": self.sums.cost_minor},
            "money": self.money._asdict(),
            "nav": self._nav(),
            "base": self._base(),
            "tests": self._tests(),
            "tranches": self._waterfall(),
        }

    def _nav(self) -> dict[str, Any]:
        return {
            "assets_minor": self.sums.value_minor,
            "cuts": [{"cause": cause, "amount_minor": self.sums.cuts[cause]} for cause in CUTS],
            "fees_minor": self.fees_minor,
            "interest_minor": self.interest_minor,
            "nav_minor": self.nav_minor,
        }

    def _base(self) -> dict[str, Any]:
        sums = self.sums
        excess = [
            {"limit": place, "by": self.terms.limits[place].by, "of": self.terms.limits[place].of}
            | {"asset_count": one.asset_count, "amount_minor": one.amount_minor}
            for place, one in sorted(sums.excess.items())
        ]
        ineligible = [
            {"rule": code, "asset_count": one.asset_count, "amount_minor": one.amount_minor}
            for code, one in sorted(sums.ineligible.items())
        ]
        return {
            "eligible_minor": sums.eligible_minor,
            "ineligible": ineligible,
            "excess": excess,
            "counted_minor": sums.counted_minor,
            "dilution_reserve_minor": self.dilution_reserve_minor,
            "advance_bps": self.terms.advance_bps,
            "base_minor": self.base_minor,
            "covered_minor": self.covered_minor,
            "headroom_minor": self.headroom_minor,
        }

    def _tests(self) -> list[dict[str, Any]]:
        observed = self.observed()
        on = {(one.test, one.turns) for one in rules.on(self.terms, observed)}
        rows = [(one.test, one.threshold, one.turns) for one in self.terms.triggers]
        rows += [(test, None, None) for test in observed if test not in {one.test for one in self.terms.triggers}]  # type: ignore[misc]  # no trigger: only observed
        return [
            {
                "test": test,
                "observed": observed[test],
                "threshold": threshold,
                "turns": turns,
                "on": (test, turns) in on,
            }
            for test, threshold, turns in rows
        ]

    def _waterfall(self) -> list[dict[str, Any]]:
        """What of the value is each tranche's: principal and interest by rank, and the rest the last one's."""
        left_minor, shown = max(self.nav_minor, 0) + self.interest_minor, []
        missing = rules.shortfalls(placed(self.tranches), value_minor=self.nav_minor)
        ranked = [one for one in self.tranches if one.is_tranche]
        for one in ranked:
            due_minor = one.sum("principal_minor") + one.sum("interest_minor")
            value_minor = left_minor if one is ranked[-1] else min(due_minor, left_minor)
            left_minor -= value_minor
            shown.append({"name": one.name, "value_minor": value_minor, "missing_minor": missing.get(one.name, 0)})
        return shown


def figures(
    session: Session, *, facility: Facility, today: date, zone: str, stress: Stress = CALM, dilution_bps: int = 0
) -> Figures:
    """What a facility comes to today. A stress may dilute by so much of what was observed (`dilution_bps`)."""
    in_force = terms(session, facility_id=facility.facility_id)
    since = today - timedelta(days=in_force.window_days)
    key = {"mandate": facility.mandate_id, "since": since, "today": today}
    window = session.execute(WINDOW, key).one()
    if dilution_bps and window.face_minor:
        share_ppm = window.diluted_minor * PPM * dilution_bps // (window.face_minor * BPS)
        stress = stress._replace(dilution_ppm=min(share_ppm, PPM))
    book = Book(in_force, today, stress)
    for asset in _assets(session, facility=facility, today=today, zone=zone):
        book.add(asset)
    tranches = positions(session, facility_id=facility.facility_id, until=today)
    lost = session.execute(GIVEN_UP, {"id": facility.facility_id, "since": since, "today": today}).scalar_one()
    return Figures(
        in_force,
        today,
        standing(session, facility_id=facility.facility_id).state,
        book.close(),
        money(session, facility=facility, today=today),
        tranches,
        fees_due_minor(session, facility=facility, in_force=in_force, tranches=tranches, until=today),
        window.face_minor,
        window.diluted_minor,
        max(lost, 0),
    )


def money(session: Session, *, facility: Facility, today: date) -> Money:
    """What a facility has in the books."""
    funder_id, unit = facility.funder_id, commodity(facility.currency)
    paths = [books.funder_cash, books.funder_reserved, books.facility_reserve, books.facility_cover]
    wanted = [(path(funder_id), unit) for path in paths]
    found = balances(session.connection(), accounts=wanted)
    debts = session.execute(DEBTS, {"funder": funder_id, "currency": facility.currency, "today": today}).scalar_one()
    return Money._make([*(found.get(one, 0) for one in wanted), debts])


def fees_due_minor(
    session: Session, *, facility: Facility, in_force: Terms, tranches: Sequence[Position], until: date
) -> int:
    """What the exchange earned since the last distribution on the tranches' principal (ACT/360), and what is unpaid."""
    last = session.execute(LAST, {"id": facility.facility_id}).first()
    since = last.payment_date if last else facility.opened_on
    moves = [move for one in tranches if one.is_tranche for move in one.moves]
    return _fees(moves, in_force, since=since, until=until) + (last.fees_minor or 0 if last else 0)


def _fees(moves: Sequence[Move], in_force: Terms, *, since: date, until: date) -> int:
    earned = [
        rules.earned_minor(moves, rate_bps=in_force.fee_bps, convention=DayCount.ACT_360, until=day)
        for day in (since, max(since, until))
    ]
    return earned[1] - earned[0]


def _assets(session: Session, *, facility: Facility, today: date, zone: str) -> Iterator[Held]:
    key = {"mandate": facility.mandate_id, "currency": facility.currency, "today": today, "zone": zone}
    rows = session.execute(ASSETS, key, execution_options={"yield_per": CHUNK})
    for chunk in rows.partitions():
        scheduled = [row.asset_id for row in chunk if row.schedule_version is not None]
        schedules = open_schedules(session, asset_ids=scheduled) if scheduled else {}
        for row in chunk:
            schedule = schedules.get(row.asset_id)
            first = schedule[0].due_date if schedule else row.due_date
            average = average_due_date(schedule) if schedule else row.due_date
            yield Held._make([*row[:12], first, average, *row[12:-1]])


def _ppm(part: int, whole: int) -> int:
    return part * PPM // whole if whole > 0 else 0
