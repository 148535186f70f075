"""What tests of losses do to assets, over HTTP; books and log are checked after every step."""

from typing import Any

from exchange import books, jobs
from exchange.auth import Role
from tests.exchange.house import Client, House, enter_client
from tests.exchange.settlement.book import balance, check_conserved, rows


def follow(house: House, kind: str, *asset_ids: str, fact: str = "") -> None:
    """What the close of business does when assets default or are charged off, or are not after all."""
    said = {"kind": kind, "days_past_due": 93, "outstanding_minor": 1, "fact": fact}
    items = [said | {"asset_id": one} for one in asset_ids]
    payload = {"business_date": house.today.isoformat(), "items": items}
    with house.services.database.transaction() as session:
        jobs.enqueue(session, job="losses.follow", payload=payload)
    house.run()
    check(house)


def check(house: House) -> None:
    """Books, log, and what the rows of assets say of each other."""
    check_conserved(house)
    owed = """
        SELECT debtor_id, sum(amount_minor - paid_minor - released_minor)::bigint FROM debt GROUP BY debtor_id
        UNION ALL
        SELECT creditor_id, -sum(amount_minor - paid_minor - released_minor)::bigint FROM debt
        WHERE funder_id IS NULL GROUP BY creditor_id
    """
    sums: dict[str, int] = {}
    for company_id, amount in rows(house, owed):
        sums[company_id] = sums.get(company_id, 0) + amount
    for company_id, amount in sums.items():
        assert balance(house, books.seller_recourse(company_id)) == -amount, company_id
    for funder_id in house.funder_ids:
        check_funder(house, funder_id)


def check_funder(house: House, funder_id: str) -> None:
    """A funder's memos are what its pools say: debts, doubtful assets, losses, title."""
    query = """
        SELECT coalesce(sum(written_off_minor), 0)::bigint AS lost,
               coalesce(sum(price_minor + discount_minor - collected_minor - diluted_minor - written_off_minor)
                        FILTER (WHERE charged_off_on IS NOT NULL AND released_at IS NULL), 0)::bigint AS doubtful
        FROM pool_asset JOIN pool USING (pool_id) WHERE funder_id = :id
    """
    (found,) = rows(house, query, id=funder_id)
    assert balance(house, books.funder_losses(funder_id)) == found.lost
    assert balance(house, books.funder_charged_off(funder_id)) == found.doubtful
    lost = """
        SELECT coalesce(sum(funder_minor - recovered_funder_minor), 0)::bigint FROM write_off WHERE funder_id = :id
    """
    assert rows(house, lost, id=funder_id) == [(found.lost,)]
    owed = """
        SELECT coalesce(sum(amount_minor - paid_minor - released_minor), 0)::bigint FROM debt WHERE funder_id = :id
    """
    assert [(balance(house, books.funder_recourse(funder_id)),)] == rows(house, owed, id=funder_id)


def exposure(house: House, asset_id: str) -> int:
    """What is used of the obligor's limit."""
    query = """
        SELECT used_minor FROM exposure JOIN company ON company.number = exposure.obligor
        JOIN receivable ON receivable.obligor_id = company.company_id
        JOIN claim ON claim.root_id = receivable.asset_id WHERE claim.asset_id = :id
    """
    return int(rows(house, query, id=asset_id)[0][0])


def kinds(house: House, asset_id: str) -> list[str]:
    """What the signed chain of an asset says, in order."""
    house.run()
    return [record["kind"] for record in house.operator.get(f"/v1/assets/{asset_id}/records")["items"]]


def told(house: House, funder: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """What a funder was told, in order."""
    house.run()
    return [(event["type"], event["data"]) for event in house.events(funder)]


def second_operator(house: House) -> Client:
    """Another person."""
    return enter_client(house.services, house.app, role=Role.OPERATOR, name="second operator")


def set_terms(house: House, **terms: object) -> None:
    """Terms for all assets; what was set before does not count any more."""
    house.operator.put("/v1/settlement-policies", terms)
