"""Recourse along a chain of holders, over HTTP; books, log and rows are checked after every step."""

from datetime import date, timedelta
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exchange import books
from exchange.payments.queries import free_minor
from exchange.settlement.debts import collect_soon
from exchange.settlement.rules import turns
from ledger.books import Leg, Transfer, post
from tests.exchange.house import House, mandate
from tests.exchange.losses.wrong import check, exposure, follow, kinds, told
from tests.exchange.settlement.book import FACE_MINOR, asset, balance, dated, fresh, pay, rows
from tests.exchange.title.deeds import holders, transfer

DAY = date(2026, 3, 2)
_numbers = count(1)
COMPANIES = st.sampled_from(["a", "b", "c", "d", "holder"])
CHAINS = st.lists(st.tuples(COMPANIES, st.sampled_from(["with", "without"])), max_size=8)


@given(chain=CHAINS, days=st.integers(0, 30))
def test_turns(chain: list[tuple[str, str]], days: int) -> None:
    """Only who handed on with recourse, before the holder's own first place, each once, the latest first, in days."""
    found = turns(chain, holder_id="holder", first_on=DAY, days=days)
    own = [name for name, _ in chain]
    before = chain[: own.index("holder")] if "holder" in own else chain
    assert {one.company_id for one in found} == {name for name, recourse in before if recourse == "with"}
    assert len({one.company_id for one in found}) == len(found)
    assert [one.rank for one in found] == sorted({one.rank for one in found}, reverse=True)
    assert all(before[one.rank - 1] == (one.company_id, "with") for one in found)
    assert [one.due_on for one in found] == [DAY + timedelta(days=days * n) for n in range(len(found))]


def handed(house: House, *hops: tuple[str, str], recourse: str = "with", funded: bool = True) -> tuple[str, list[str]]:
    """An asset, handed on over the hops (to whom, on what terms) and bought; its companies from the first."""
    item = fresh(recourse=recourse)
    house.move(9, days=1)
    (asset_id,) = house.submit(item | dated(house))
    for to, terms in hops:
        assert transfer(house, asset_id, to, recourse=terms)["status"] == 201
    if funded:
        house.deposit(0, 10**9)
        wanted = {"min_tenor_days": 60, "max_tenor_days": 60, "advance_bps": 9_000, "auto_commit": True}
        house.funders[0].post("/v1/mandates", mandate(**wanted))
        house.move(10, 30)
        house.move(14, 30)
        assert asset(house, asset_id)["claim"] == "assigned"
    first = rows(house, "SELECT seller_id FROM receivable WHERE asset_id = :id", id=asset_id)[0][0]
    query = "SELECT to_id FROM endorsement WHERE asset_id = :id ORDER BY hop"
    companies = [first, *(row[0] for row in rows(house, query, id=asset_id))]
    check(house)
    return asset_id, companies


def moved(house: House, *legs: tuple[str, int]) -> None:
    """Money from here to there, as any other business would move it."""
    found = tuple(Leg(path, "CNY/2", minor) for path, minor in legs if minor)
    with house.services.database.transaction() as session:
        books.open_for(session, legs=found)
        transfers = [Transfer(f"moved/{next(_numbers)}", house.today, "moved", found)] if found else []
        post(session.connection(), transfers=transfers, now=house.services.clock.now(session))


def endow(house: House, company_id: str, amount_minor: int) -> None:
    """Bring a company money: what it is called for is taken from it."""
    moved(house, (books.BANK, -amount_minor), (books.seller_cash(company_id), amount_minor))
    with house.services.database.transaction() as session:
        collect_soon(session, company_ids=[company_id])
    house.run()


def empty(house: House, company_id: str) -> None:
    """Take all money from a company."""
    path, elsewhere = books.seller_cash(company_id), books.seller_cash("com_elsewhere")
    amount_minor = balance(house, path)
    moved(house, (path, -amount_minor), (elsewhere, amount_minor))


def calls(house: House, asset_id: str) -> list[tuple[int, str]]:
    """Whose turn it is: rank and state."""
    shown: list[dict[str, Any]] = house.operator.get(f"/v1/assets/{asset_id}/recourse-calls")["items"]
    return [(one["rank"], one["state"]) for one in shown]


def test_the_chain_answers_one_after_the_other(market: House) -> None:
    """A -> B -> C -> funder, all with recourse: C cannot pay, B takes it from the funder, and A from B."""
    asset_id, (first, second, third) = handed(market, ("chain-b", "with"), ("chain-c", "with"))
    funder = books.funder_cash(market.funder_ids[0])
    empty(market, third)
    used, had = exposure(market, asset_id), balance(market, funder)
    follow(market, "default", asset_id)
    assert calls(market, asset_id) == [(2, "waiting"), (1, "waiting")]
    days = int((rows(market, "SELECT due_date FROM debt WHERE asset_id = :id", id=asset_id)[0][0] - market.today).days)
    market.move(23, days=days)
    check(market)
    assert calls(market, asset_id)[0] == (2, "called")
    assert told(market)[-1][0] == "recourse.claimed"
    due_minor = rows(market, "SELECT amount_minor FROM debt WHERE asset_id = :id", id=asset_id)[0][0]
    endow(market, second, FACE_MINOR - 1)
    check(market)
    assert (calls(market, asset_id)[0], balance(market, funder)) == ((2, "called"), had), "a part is no answer"
    endow(market, second, 1)
    check(market)
    assert balance(market, funder) - had == due_minor
    assert used - exposure(market, asset_id) == FACE_MINOR
    assert balance(market, books.seller_cash(second)) == 0
    assert balance(market, books.seller_cash(third)) == FACE_MINOR - due_minor, "the company that sold has the rest"
    assert [kind for kind, _ in told(market)[-2:]] == ["recourse.paid", "asset.repurchased"]
    assert asset(market, asset_id)["claim"] == "free"
    assert [one["holder"] for one in holders(market.operator, asset_id)["holders"]] == ["platform:chain-b"]
    assert calls(market, asset_id) == [(2, "paid"), (1, "called")], "who paid goes on against those before it"
    endow(market, first, FACE_MINOR)
    check(market)
    assert calls(market, asset_id) == [(2, "paid"), (1, "paid")]
    assert balance(market, books.seller_cash(second)) == FACE_MINOR
    assert rows(market, "SELECT holder_id FROM claim WHERE asset_id = :id", id=asset_id) == [(first,)]
    assert kinds(market, asset_id)[-2:] == ["asset.transferred", "asset.recourse_paid"]
    pay(market, (asset_id, FACE_MINOR))
    check(market)
    assert asset(market, asset_id)["outstanding_minor"] == 0
    assert balance(market, books.seller_cash(first)) == FACE_MINOR


def test_who_handed_on_without_recourse_is_passed_over(market: House) -> None:
    """A with, B without, sold without: A is called at once, and nobody else."""
    asset_id, (first, second, third) = handed(market, ("skip-b", "with"), ("skip-c", "without"), recourse="without")
    for company_id in (second, third):
        endow(market, company_id, 2 * FACE_MINOR)
    follow(market, "default", asset_id)
    assert calls(market, asset_id) == [(1, "called")]
    endow(market, first, FACE_MINOR)
    check(market)
    assert calls(market, asset_id) == [(1, "paid")]
    assert rows(market, "SELECT holder_id FROM claim WHERE asset_id = :id", id=asset_id) == [(first,)]
    assert rows(market, "SELECT 1 FROM debt WHERE asset_id = :id", id=asset_id) == []


def test_who_bought_back_goes_on_at_once(market: House) -> None:
    """The company that sold pays its funder; the one before it is called the same day, not after its days."""
    asset_id, (first, second) = handed(market, ("quick-b", "with"))
    endow(market, second, FACE_MINOR)
    follow(market, "default", asset_id)
    assert asset(market, asset_id)["claim"] == "free"
    assert calls(market, asset_id) == [(1, "called")]
    held = balance(market, books.seller_cash(second))
    endow(market, first, FACE_MINOR)
    check(market)
    assert balance(market, books.seller_cash(second)) - held == FACE_MINOR


def test_a_company_that_holds_the_asset_itself_goes_back_too(market: House) -> None:
    """Nobody bought it: its holder calls the one before it at once. What the obligor pays first ends the call."""
    asset_id, _ = handed(market, ("own-b", "with"), funded=False)
    other_id, (first, _) = handed(market, ("own-d", "with"), funded=False)
    follow(market, "default", asset_id, other_id)
    assert calls(market, asset_id) == calls(market, other_id) == [(1, "called")]
    pay(market, (asset_id, FACE_MINOR), (other_id, 400_000))
    endow(market, first, 600_000)
    check(market)
    assert calls(market, other_id) == [(1, "paid")]
    assert rows(market, "SELECT paid_minor FROM recourse_call WHERE asset_id = :id", id=other_id) == [(600_000,)]
    assert calls(market, asset_id) == [(1, "released")]


def test_nobody_who_is_called_is_paid_out(market: House) -> None:
    """Its money stays here up to what it is called for, though no debt is in the books."""
    asset_id, (first, _) = handed(market, ("stay-b", "with"), funded=False)
    endow(market, first, FACE_MINOR - 1)
    follow(market, "default", asset_id)
    assert calls(market, asset_id) == [(1, "called")]
    assert free(market, first) == -1


def free(house: House, company_id: str) -> int:
    """What a company could be paid."""
    with house.services.database.transaction() as session:
        return free_minor(session, party_id=company_id, currency="CNY")
