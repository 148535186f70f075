"""Several funders hold one asset: everything that happens to it is shared to the cent, after every step."""

from exchange import books
from tests.exchange.house import House, mandate, receipt
from tests.exchange.losses.wrong import check
from tests.exchange.pools.soundness import money, sound
from tests.exchange.settlement.book import balance, credit, note, rows
from tests.exchange.trading.floor import FACE, co_fund, fresh, mandate_of, owned

PARTS = {"f0": 333_333, "f1": 333_334, "f2": 333_333}


def alive(house: House, root: str) -> int:
    """What is still owed on all parts of an asset."""
    query = "SELECT sum(outstanding_minor)::bigint FROM claim WHERE root_id = :id"
    return int(rows(house, query, id=root)[0][0])


def test_a_shared_life(house: House) -> None:
    """Bought by three, paid in odd amounts, credited, bought back in part, given up and recovered: no cent is lost."""
    house.move(9, days=1)
    (root,) = fresh(house)
    parts = [one["asset_id"] for one in co_fund(house, root, **PARTS)]
    check(house)
    sound(house)
    assert alive(house, root) == FACE
    before = [money(house, funder)[0] for funder in range(3)]
    house.operator.post("/v1/receipts", {"items": [receipt(root, 100_001, value_date=house.today)]})
    check(house)
    sound(house)
    got = [money(house, funder)[0] - was for funder, was in enumerate(before)]
    assert (sum(got), max(got) - min(got) <= 1) == (100_001, True)
    assert alive(house, root) == FACE - 100_001
    credit(house, note(root, 50_000, on=house.today))
    check(house)
    sound(house)
    assert alive(house, root) == FACE - 150_001
    asked = house.platform.post(f"/v1/assets/{parts[2]}/repurchases", {"reason": "a better customer"})
    house.funders[2].post(f"/v1/repurchases/{asked['repurchase_id']}/acceptance", None)
    check(house)
    sound(house)
    assert alive(house, root) == FACE - 150_001
    left = alive(house, root)
    for part in parts[:2]:
        owed = int(rows(house, "SELECT outstanding_minor FROM claim WHERE asset_id = :id", id=part)[0][0])
        house.operator.post(f"/v1/assets/{part}/write-offs", {"amount_minor": owed, "reason": "insolvent"})
        check(house)
        left -= owed
    assert alive(house, root) == left
    lost = [balance(house, books.funder_losses(house.funder_ids[funder])) for funder in range(2)]
    before = [money(house, funder)[0] for funder in range(2)]
    house.operator.post(
        "/v1/receipts", {"items": [receipt(part, 77_777, value_date=house.today) for part in parts[:2]]}
    )
    check(house)
    for funder in range(2):
        back = money(house, funder)[0] - before[funder]
        assert balance(house, books.funder_losses(house.funder_ids[funder])) == lost[funder] - back
        assert back > 0


def test_what_is_refused(house: House) -> None:
    """More than is owed, a mandate that does not take it, one that nobody has, an asset that is not free."""
    house.move(9, days=1)
    (asset_id,) = fresh(house)
    choosy = house.add_funder("Small")
    choosy.post("/v1/mandates", mandate(max_face_minor=10))
    mandates = [mandate_of(house, 0), mandate_of(house, house.funders.index(choosy))]

    def refused(names: list[str], amount: int, asset: str = asset_id) -> tuple[object, ...]:
        shares = [{"mandate_id": one, "amount_minor": amount} for one in names]
        problem = house.operator.refused("POST", "/v1/co-fundings", {"asset_id": asset, "shares": shares})
        return (problem["code"], *((one["code"], one["pointer"]) for one in problem.get("errors", [])[:1]))

    assert refused(mandates[:1] * 2, FACE) == ("invalid_request", ("parts_differ", "/shares"))
    assert refused(mandates, 1_000) == ("mandate_refuses", ("max_face", "/shares/1"))
    unknown = "mdt_01h455vb4pex5vsknk084sn02q"
    assert refused([unknown, mandates[0]], 1) == ("invalid_request", ("not_found", "/shares/0/mandate_id"))
    assert refused(mandates, 1, "ast_01h455vb4pex5vsknk084sn02q") == ("not_found",)
    assert rows(house, "SELECT FROM claim WHERE parent_id = :id", id=asset_id) == []
    assert refused(mandates, 1, owned(house)[0]) == ("not_for_auction",)
    check(house)
