"""What tests of facilities do, over HTTP; books, log, notes and money are recomputed after every step."""

from itertools import count
from typing import Any

from exchange import books
from tests.exchange.house import House, mandate, receivable
from tests.exchange.settlement.book import all_balances, asset, dated, rows

ROOMS = ("pools", "funding", "facilities", "losses")
"""What falls due by itself."""
SENIOR, MEZZANINE, JUNIOR = range(3)
_numbers, _tenors = count(1), count(60)


def facility_rules(house: House, **changes: object) -> dict[str, Any]:
    """Rules that buy what has a tenor that no other facility buys; `changes` make them otherwise."""
    tenor = next(_tenors)
    purchases = mandate(min_tenor_days=tenor, max_tenor_days=tenor, advance_bps=9_000)
    purchases = {name: value for name, value in purchases.items() if name not in {"name", "auto_commit"}}
    first = house.today.replace(day=1).isoformat()
    rules = {"purchases": purchases, "payments": {"first_date": first}, "advance_bps": 9_000}
    return rules | changes


def tranches(**changes: dict[str, object]) -> list[dict[str, Any]]:
    """A senior tranche, a mezzanine one, and a junior one that has no rate; `changes` by name."""
    made = [
        {"name": "senior", "rank": 1, "size_minor": 7_000_000, "rate_bps": 360, "min_subordination_bps": 2_000},
        {"name": "mezzanine", "rank": 2, "size_minor": 2_000_000, "rate_bps": 720, "min_subordination_bps": 1_000},
        {"name": "junior", "rank": 3, "size_minor": 2_000_000, "rate_bps": 0},
    ]
    return [{"kind": "tranche", "day_count": "ACT/360"} | one | changes.get(str(one["name"]), {}) for one in made]


def open_facility(
    house: House, *, pay: tuple[int, int, int] = (6_000_000, 2_000_000, 2_000_000), **changes: object
) -> str:
    """A facility whose tranches one funder each has paid in."""
    more = changes.pop("tranches", None) or tranches()
    body = {"name": f"Facility {next(_numbers)}", "tranches": more, "rules": facility_rules(house, **changes)}
    facility_id: str = house.operator.post("/v1/facilities", body)["facility_id"]
    for name, funder, amount in (
        ("junior", JUNIOR, pay[2]),
        ("mezzanine", MEZZANINE, pay[1]),
        ("senior", SENIOR, pay[0]),
    ):
        pay_in(house, facility_id, name, {funder: amount})
    check(house)
    return facility_id


def pay_in(house: House, facility_id: str, name: str, amounts: dict[int, int]) -> None:
    """Commit, call and pay in."""
    path = f"/v1/facilities/{facility_id}"
    for funder, amount in amounts.items():
        body = {"tranche": name, "funder_id": house.funder_ids[funder], "amount_minor": amount}
        house.operator.post(f"{path}/commitments", body)
    body = {"tranche": name, "amount_minor": sum(amounts.values()), "due_date": house.today.isoformat()}
    call_id = house.operator.post(f"{path}/capital-calls", body)["call_id"]
    for funder in amounts:
        house.funders[funder].post(f"/v1/capital-calls/{call_id}/payment", {})


def buys(house: House, facility_id: str, count_of: int = 1, **changes: object) -> list[str]:
    """Assets of a million each that the facility buys tomorrow."""
    house.move(9, days=1)
    days = shown(house, facility_id)["rules"]["purchases"]["min_tenor_days"]
    items = []
    for _ in range(count_of):
        number = next(_numbers)
        parties = {role: {"scheme": "platform", "value": f"{role}-f{number}"} for role in ("seller", "obligor")}
        items.append(receivable(f"FAC-{number}", **(parties | changes)) | dated(house, days=days))
    asset_ids = house.submit(*items)
    house.move(10, 30)
    house.move(14, 30)
    query = """
        SELECT asset_id FROM pool_asset JOIN facility USING (mandate_id)
        WHERE facility_id = :id AND bought_on IS NOT NULL
    """
    held = {row.asset_id for row in rows(house, query, id=facility_id)}
    assert set(asset_ids) <= held, [asset(house, one) for one in asset_ids]
    check(house)
    return asset_ids


def shown(house: House, facility_id: str, part: str = "", **query: object) -> Any:  # noqa: ANN401 - any answer
    """A part of a facility as the operator sees it."""
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return house.operator.get(f"/v1/facilities/{facility_id}{part}" + (f"?{asked}" if asked else ""))


def tranche(house: House, facility_id: str, name: str) -> dict[str, Any]:
    """A tranche as the operator sees it."""
    return next(one for one in shown(house, facility_id)["tranches"] if one["name"] == name)


def cash(house: House, funder: int) -> int:
    """A funder's money."""
    return all_balances(house).get((books.funder_cash(house.funder_ids[funder]), "CNY/2"), 0)


def purse(house: House, facility_id: str, path: Any = books.funder_cash) -> int:  # noqa: ANN401 - a function
    """Money of a facility."""
    return all_balances(house).get((path(shown(house, facility_id)["funder_id"]), "CNY/2"), 0)


def check(house: House) -> None:
    """Books and log; all money is somebody's; holdings are their movements, and their notes in the books."""
    house.check()
    found = all_balances(house)
    money = {path: amount for (path, unit), amount in found.items() if unit == "CNY/2"}
    memo = ("/recourse", "/losses", "/charged_off", "losses/charged_off", "losses/written_off")
    own = {path: amount for path, amount in money.items() if path != books.BANK and not path.endswith(memo)}
    assert min(own.values(), default=0) >= 0
    assert sum(own.values()) + money.get(books.BANK, 0) == 0
    query = """
        SELECT tranche_id, funder_id, principal_minor, lost_minor, interest_paid_minor,
               coalesce(sum(CASE kind WHEN 'paid_in' THEN amount_minor WHEN 'restored' THEN amount_minor
                                      WHEN 'repaid' THEN -amount_minor WHEN 'lost' THEN -amount_minor END), 0)::bigint,
               coalesce(sum(CASE kind WHEN 'lost' THEN amount_minor WHEN 'restored' THEN -amount_minor END), 0)::bigint,
               coalesce(sum(amount_minor) FILTER (WHERE kind = 'interest'), 0)::bigint
        FROM tranche_holding LEFT JOIN tranche_movement USING (tranche_id, funder_id) GROUP BY tranche_id, funder_id
    """
    for tranche_id, funder_id, principal, lost, interest, *moved in rows(house, query):
        assert [principal, lost, interest] == moved
        assert found.get((books.funder_notes(funder_id), tranche_id), 0) == principal
        assert found.get((books.funder_notes_lost(funder_id), tranche_id), 0) == lost
    covers = """
        SELECT facility.funder_id, sum(principal_minor)::bigint FROM facility
        JOIN tranche USING (facility_id) JOIN tranche_holding USING (tranche_id) WHERE kind = 'cover' GROUP BY 1
    """
    for funder_id, principal in rows(house, covers):
        assert money.get(books.facility_cover(funder_id), 0) == principal
