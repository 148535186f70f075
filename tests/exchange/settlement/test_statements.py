"""Files of banks: read whole or not at all, each once, in every format; what is missing between them is seen."""

import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from exchange.settlement import statements
from exchange.settlement.lines import match_lines
from tests.exchange.banking.files import MT940
from tests.exchange.house import House, check_contract
from tests.exchange.settlement.bank import (
    ACCOUNT,
    camt,
    check_lines,
    enter,
    enter_one,
    lines,
    open_account,
    paid,
    send,
    send_as,
)
from tests.exchange.settlement.book import asset, check_conserved, fresh, rows
from tests.exchange.settlement.test_races import another, at_once

CSV = {
    "columns": {
        "booking_date": "日期",
        "money_in": "收入",
        "money_out": "支出",
        "balance": "余额",
        "counterparty_name": "对方户名",
        "remittance": "摘要",
    },
    "date_format": "%d.%m.%Y",
    "decimal_mark": ",",
    "thousands_mark": ".",
    "delimiter": ";",
}


@pytest.fixture(autouse=True)
def checked(market: House) -> Iterator[None]:
    """The account is known; after every test the books add up."""
    open_account(market)
    yield
    check_conserved(market)
    check_lines(market)


def counts(house: House) -> list[int]:
    """How many statements, lines and receipts there are, and jobs to match them."""
    names = ("bank_statement", "bank_line", "receipt", "work_item")
    return [rows(house, f"SELECT count(*) FROM {name}")[0][0] for name in names]  # noqa: S608 - names of ours


def shown(house: House) -> dict[str, dict[str, Any]]:
    """Every statement as the list shows it, by id."""
    return {one["statement_id"]: one for one in house.operator.get("/v1/statements?limit=1000")["items"]}


def refused(house: House, content: bytes, status: int = 422, **more: str) -> dict[str, Any]:
    """A file that is refused: nothing of it is kept, and a worker has nothing to do."""
    before = counts(house)
    response = send(house, content, **more)
    assert response.status_code == status, response.text
    assert counts(house) == before
    problem: dict[str, Any] = response.get_json(force=True)
    return problem


def test_a_statement_is_kept_with_its_lines(market: House) -> None:
    """What the bank wrote is there to read, and the list counts what became of it."""
    (asset_id,) = market.submit(fresh())
    found = enter(market, paid(100, asset_id, name="A & B <Ltd>", account="de 89"), paid(5, "?"), opening_minor=50)
    row = next(one for one in found.values() if one["amount_minor"] == 100)
    assert (row["counterparty_name"], row["counterparty_account"]) == ("A & B <Ltd>", "DE89")
    one = shown(market)[row["statement_id"]]
    assert (one["opening_minor"], one["closing_minor"], one["line_count"]) == (50, 155, 2)
    assert one["states"] == {"booked": 1, "open": 1}


def test_mt940_and_tables(market: House) -> None:
    """The same money in other formats: MT940 as text, a table in GB 18030 with the account's own columns."""
    (asset_id,) = market.submit(fresh())
    text = MT940.replace("INV-2026/001", asset_id[:20]).replace("?22 AND MORE", f"?22{asset_id[20:]}?23 ")
    day = market.today.strftime("%y%m%d")
    text = text.replace("260303", day).replace(f"{day}0303", f"{day}{day[2:]}")
    response = send(market, text.encode(), kind="text/plain")
    assert response.status_code == 201, response.text
    market.run()
    assert asset(market, asset_id)["outstanding_minor"] == 1_000_000 - 25_050
    open_account(market, table=CSV)
    table = f"日期;对方户名;摘要;收入;支出;余额\n{market.today:%d.%m.%Y};宁波;{asset_id};1.000,50;;2.000,50\n"
    response = send(market, table.encode("gb18030"), kind="text/csv", query=f"?account={ACCOUNT}&encoding=gb18030")
    assert response.status_code == 201, response.text
    market.run()
    assert asset(market, asset_id)["outstanding_minor"] == 1_000_000 - 25_050 - 100_050
    assert refused(market, table.encode("gb18030"), kind="text/csv", query=f"?account={ACCOUNT}")["errors"]
    assert refused(market, b"x", 404, kind="text/csv", query="?account=unknown")["code"] == "not_found"
    assert refused(market, b"x", 404, kind="text/csv")["code"] == "not_found"
    assert refused(market, b"x", 415, kind="application/json")["code"] == "unsupported_media_type"


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">&b;</Document>'
)


def test_bad_files(market: House) -> None:
    """Cut short, not adding up, dangerous, of another message or account, empty: 422 with code and place."""
    good = camt(paid(100, "x"), paid(200, "y"), on=market.today)
    cases = {
        good[: len(good) // 2]: "file_unreadable",
        good.replace(b">2.00<", b">2.01<"): "does_not_add_up",
        BOMB: "file_dangerous",
        b"": "file_unreadable",
        good.replace(b"camt.053.001.08", b"pain.001.001.08"): "unknown_format",
        good.replace(ACCOUNT.encode(), b"1234"): "unknown_account",
        camt(paid(100, "x"), on=market.today, currency="USD"): "unknown_account",
        good.replace(b">BR-", b">" + b"B" * 101): "field_malformed",
        camt(paid(10**15 + 1, "x"), on=market.today): "field_malformed",
        camt(on=market.today, opening_minor=10**18 + 1): "field_malformed",
        good.replace(f"<Dt>{market.today}</Dt>".encode(), b"<Dt>2026-02-30</Dt>"): "field_malformed",
    }
    for content, code in cases.items():
        problem = refused(market, content)
        assert (problem["code"], problem["errors"][0]["code"]) == ("statement_refused", code), problem
    assert refused(market, b":20:x", kind="text/plain")["errors"][0]["code"] == "field_missing"
    assert refused(market, b" ", kind="text/plain")["errors"][0]["code"] == "file_unreadable"
    assert refused(market, b"\xff\xfe", kind="text/plain")["errors"][0]["code"] == "file_unreadable"
    assert "line" in refused(market, good[:-20])["errors"][0]["message"]


def test_a_late_refusal_leaves_nothing(market: House) -> None:
    """A batch of lines was written already when the file turns out bad: none of them stays."""
    entries = [paid(1, "x") for _ in range(statements.BATCH + 5)]
    content = camt(*entries, on=market.today).replace(b"CLBD", b"XXXX").replace(b"</Stmt>", b"<oops></Stmt>")
    assert refused(market, content)["errors"][0]["code"] == "file_unreadable"


def test_the_same_file_again(market: House) -> None:
    """Under its key the first answer, under another 409; the same lines in another file are duplicates."""
    entry = paid(100, "nobody")
    content = camt(entry, on=market.today)
    first = send(market, content, key="file-1")
    again = send(market, content, key="file-1")
    assert (first.status_code, first.get_json()) == (again.status_code, again.get_json())
    problem = refused(market, content, 409)
    assert problem["code"] == "statement_known"
    market.run()
    assert enter_one(market, entry)["state"] == "duplicate"


def test_two_uploads_at_once(market: House) -> None:
    """Three hands send one file: it is kept once, whoever was first, and its money is there once."""
    content = camt(*(paid(100, "nobody") for _ in range(300)), on=market.today)
    before = counts(market)
    clients = [another(market, market.operator) for _ in range(3)]
    answers = at_once(*(lambda client=client: send_as(client, content).status_code for client in clients))
    assert sorted(answers) == [201, 409, 409]
    market.run()
    assert [now - had for now, had in zip(counts(market), before, strict=True)][:3] == [1, 300, 300]


def test_a_missing_statement_is_seen(market: House) -> None:
    """What opens where none before it closed has a gap, until the one between comes; order does not matter."""
    account = "GAP-1"
    open_account(market, account)

    def one(days: int, opening_minor: int, amount_minor: int) -> str:
        on = market.today - timedelta(days=days)
        content = camt(paid(amount_minor, "x"), on=on, opening_minor=opening_minor, account=account)
        return str(send(market, content).get_json()["items"][0]["statement_id"])

    first, third = one(3, 0, 100), one(1, 150, 10)
    late = one(1, 160, 5)
    gaps = shown(market)
    assert [gaps[one]["statement_gap"] for one in (first, third, late)] == [False, True, False]
    second = one(2, 100, 50)
    gaps = shown(market)
    assert [gaps[one]["statement_gap"] for one in (first, second, third, late)] == [False] * 4
    market.run()


def test_accounts_keep_their_currency(market: House) -> None:
    """An account is entered again with other columns, not in another currency; half an amount is no map."""
    body = {"account": ACCOUNT, "currency": "USD"}
    assert market.operator.refused("PUT", "/v1/bank-accounts", body)["code"] == "account_differs"
    columns = {"booking_date": "Date", "money_in": "In"}
    half = {"account": ACCOUNT, "currency": "CNY", "table": {"columns": columns}}
    problem = market.operator.refused("PUT", "/v1/bank-accounts", half)
    assert problem["errors"][0]["code"] == "no_amount"
    kept = market.operator.put("/v1/bank-accounts", {"account": "de 12 34", "currency": "EUR"})
    assert kept == {"account": "DE1234", "currency": "EUR", "has_table": False}


def test_only_the_operator_is_the_bank(market: House) -> None:
    """Nobody else enters statements; lists are not for parties."""
    for client in (market.platform, market.funders[0]):
        assert send_as(client, camt(paid(1, "x"), on=market.today)).status_code == 403
        assert client.refused("GET", "/v1/bank-lines")["status"] == 403
        assert client.refused("GET", "/v1/statements")["status"] == 403


def test_pages_of_lines(market: House) -> None:
    """Page by page, each line once, in the order in which they came."""
    enter(market, *(paid(1, "page") for _ in range(5)))
    found, after = [], ""
    while True:
        path = f"/v1/bank-lines?limit=2{after}"
        page = market.operator.get(path)
        check_contract("GET", path, market.operator.call("GET", path))
        found += [one["line_id"] for one in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert found == sorted({row["line_id"] for row in lines(market)})


def test_a_worker_that_dies_between_batches(market: House) -> None:
    """A batch fails half way: nothing of it is booked, the batches before are, and the rest comes when work goes on."""
    (asset_id,) = market.submit(fresh())
    entries = [paid(1, asset_id) for _ in range(statements.BATCH + 20)]
    statement_id = send(market, camt(*entries, on=market.today)).get_json()["items"][0]["statement_id"]
    with pytest.raises(RuntimeError, match="killed"):
        match_and_die(market, statement_id)
    assert asset(market, asset_id)["outstanding_minor"] == 1_000_000
    market.run()
    assert asset(market, asset_id)["outstanding_minor"] == 1_000_000 - statements.BATCH - 20


def match_and_die(house: House, statement_id: str) -> None:
    """Match the first batch of a statement, and die before it is kept."""
    with house.services.database.transaction() as session:
        now = house.services.clock.now(session)
        assert match_lines(session, services=house.services, statement_id=statement_id, today=house.today, now=now)
        raise RuntimeError("killed")


def test_memory_stays_flat(market: House) -> None:
    """Reading and keeping eight times the lines takes hardly more memory than an eighth of them, but for the file."""
    peaks = []
    for size in (300, 2_400):
        content = camt(*(paid(1, "x") for _ in range(size)), on=market.today)
        file = statements.File(content, "application/xml", None, "utf-8", market.operator.client_id)
        with market.services.database.transaction() as session:
            now = market.services.clock.now(session)
            tracemalloc.start()
            statements.enter_statements(session, file=file, entropy=market.services.entropy, now=now)
            peaks.append(tracemalloc.get_traced_memory()[1] - len(content))
            tracemalloc.stop()
            session.rollback()
    assert peaks[1] < 3 * peaks[0], peaks
