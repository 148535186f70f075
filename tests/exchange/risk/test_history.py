"""Past trades: each known once, settled once, and never sold as new."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from scoring.facts import MAX_FACE_MINOR, NOT_SETTLED
from tests.exchange.house import Client, House, calendar_date
from tests.exchange.receivables.shared import add_platform, at_once, submission, submit, told, twin

KEPT: tuple[int, list[str]] = (201, [])
KNOWN = (409, ["duplicate_receivable"])
LEI = "529900T8BM49AURSDO55"


def past(number: str, settled: str | None = None, **changes: object) -> dict[str, Any]:
    """A past trade of a seller of its own, open unless settled."""
    item: dict[str, Any] = {
        "invoice_number": number,
        "seller": {"scheme": "platform", "value": f"seller of {number}"},
        "obligor": {"scheme": "platform", "value": f"obligor of {number}"},
        "currency": "CNY",
        "face_minor": 5_000,
        "issue_date": "2025-12-01",
        "due_date": "2026-01-01",
    }
    return item | ({} if settled is None else {"settled_date": settled}) | changes


def tell(client: Client, *items: dict[str, Any]) -> list[tuple[int, list[str]]]:
    """Status and codes of what became of them."""
    return told(client.post("/v1/trade-history", {"items": items})["items"])


def settled_days(house: House, numbers: Sequence[str]) -> list[str | None]:
    """When the trades of these sellers were settled; None while open, nothing for unknown ones."""
    query = text("""
        SELECT settled_day FROM trade JOIN company ON company.number = trade.seller
        WHERE company.value = ANY(:values) AND trade_id LIKE 'trd\\_%' ORDER BY company.value, trade_id
    """)
    with house.services.database.transaction() as session:
        days = session.execute(query, {"values": [f"seller of {number}" for number in numbers]}).scalars()
        return [None if day == NOT_SETTLED else calendar_date(day).isoformat() for day in days]


def test_open_then_settled(house: House) -> None:
    """An open invoice is told again with its settlement, once; every other repetition is a duplicate."""
    assert tell(house.platform, past("A"), past("B", "2026-02-03")) == [KEPT, KEPT]
    assert settled_days(house, "AB") == [None, "2026-02-03"]
    assert tell(house.platform, past("A"), past("B"), past("B", "2026-02-04")) == [KNOWN, KNOWN, KNOWN]
    assert tell(house.platform, past("A", "2026-02-01")) == [KEPT]
    assert tell(house.platform, past("A", "2026-02-02"), past("A")) == [KNOWN, KNOWN]
    assert settled_days(house, "AB") == ["2026-02-01", "2026-02-03"]


def test_repetitions_in_one_batch(house: House) -> None:
    """The first of equal ones counts, and the first settlement; spellings are no other invoice."""
    assert tell(house.platform, past("C"), past("C", "2026-02-01")) == [KEPT, KNOWN]
    parties = {name: past("C")[name] for name in ("seller", "obligor")}
    again = [
        past("C"),
        past(" c ", "2026-02-05", **parties),
        past("C", "2026-02-06"),
        past("0Ｃ", "2026-02-07", **parties),
    ]
    assert tell(house.platform, *again) == [KNOWN, KEPT, KNOWN, KNOWN]
    assert settled_days(house, "C") == ["2026-02-05"]


def test_bad_items_do_not_spoil_their_neighbours(house: House) -> None:
    """The future is no fact; what cannot be counted is refused; the good ones between are kept."""
    results = house.platform.post(
        "/v1/trade-history",
        {
            "items": [
                past("E-1", "2026-03-03"),
                past("E-2", issue_date="2026-03-03", due_date="2026-04-01"),
                past("E-3"),
                past("E-4", issue_date="1969-12-31"),
                past("E-5", face_minor=MAX_FACE_MINOR + 1),
                past("E-6", "1969-12-31"),
                past("E-7", due_date="2200-01-01"),
                past("E-8", face_minor=MAX_FACE_MINOR, issue_date="1970-01-01", due_date="2199-12-31"),
            ]
        },
    )["items"]
    assert [
        (result["status"], *[(f["code"], f["pointer"]) for f in result.get("errors", [])]) for result in results
    ] == [
        (422, ("settled_in_future", "/items/0/settled_date")),
        (422, ("issue_in_future", "/items/1/issue_date")),
        (201,),
        (422, ("not_a_date", "/items/3/issue_date")),
        (422, ("out_of_range", "/items/4/face_minor")),
        (422, ("not_a_date", "/items/5/settled_date")),
        (422, ("not_a_date", "/items/6/due_date")),
        (201,),
    ]
    house.operator.post("/v1/models", {"horizon_days": 30})
    house.run()


def test_what_is_history_is_not_for_sale(house: House) -> None:
    """An invoice is a past trade or a receivable, never both, whichever came first."""
    assert tell(house.platform, past("SOLD-1")) == [KEPT]
    assert told(submit(house.platform, [submission("SOLD-1"), submission("SOLD-2")])) == [KNOWN, KEPT]
    assert tell(house.platform, past("SOLD-2"), past("SOLD-2", "2026-02-01")) == [KNOWN, KNOWN]
    confirmation = {"grade": "explicit", "confirmed_date": "2026-03-02"}
    (sold,) = submit(house.platform, [submission("SOLD-3", confirmation=confirmation)])
    house.run()
    assert tell(house.platform, past("SOLD-3", "2026-02-01")) == [KNOWN]
    query = text("SELECT settled_day FROM trade WHERE trade_id = :id")
    with house.services.database.transaction() as session:
        assert session.execute(query, {"id": sold["asset_id"]}).scalar_one() == NOT_SETTLED


def test_a_platforms_numbers_are_its_own(house: House) -> None:
    """The same platform number elsewhere is another company; a LEI's is the same one for all."""
    other = add_platform(house, "Other")
    by_lei = past("L", seller={"scheme": "lei", "value": LEI})
    assert tell(house.platform, past("OWN"), by_lei) == [KEPT, KEPT]
    assert tell(other, past("OWN"), by_lei) == [KEPT, KNOWN]
    assert settled_days(house, ["OWN"]) == [None, None]


def test_racing_histories_are_kept_once(house: House) -> None:
    """Four threads tell and then settle the same trades in opposite orders; two of them also sell some as new."""
    numbers = [f"R-{number}" for number in range(20)]
    programs = [twin(house, house.platform) for _ in range(4)]
    for program in programs:
        program.token = program.sign_in()

    def order(number: int) -> list[str]:
        return numbers[::-1] if number % 2 else numbers

    def step(number: int) -> list[tuple[int, list[str]]]:
        if number < 2:
            return tell(programs[number], *(past(name) for name in order(number)))[:: -1 if number % 2 else 1]
        return told(submit(programs[number], [submission(name) for name in order(number)]))[:: -1 if number % 2 else 1]

    def settle(number: int) -> list[tuple[int, list[str]]]:
        settled = tell(programs[number], *(past(name, f"2026-02-0{number + 1}") for name in order(number)))
        return settled[:: -1 if number % 2 else 1]

    first = at_once(4, step)
    for statuses in zip(*first, strict=True):
        assert sorted(statuses) == [KEPT, KNOWN, KNOWN, KNOWN]
    kept = [KEPT in statuses for statuses in zip(*first[:2], strict=True)]
    second = at_once(4, settle)
    for statuses, is_history in zip(zip(*second, strict=True), kept, strict=True):
        assert sorted(statuses) == ([KEPT] if is_history else [KNOWN]) + [KNOWN] * 3
    days = settled_days(house, numbers)
    assert len(days) == sum(kept)
    told_days = [
        f"2026-02-0{statuses.index(KEPT) + 1}"
        for name, statuses in sorted(zip(numbers, zip(*second, strict=True), strict=True))
        if KEPT in statuses
    ]
    assert days == told_days
