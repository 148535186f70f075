"""A bank that writes statements, and an operator that enters them."""

from datetime import date
from itertools import count
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from tests.exchange.house import Client, House, check_contract
from tests.exchange.settlement.book import rows

ACCOUNT = "6222000011112222"
_numbers = count(1)


class Entry(NamedTuple):
    """A line as the bank writes it, in minor units."""

    amount_minor: int
    text: str = ""
    reference: str = ""
    name: str = ""
    account: str = ""
    end_to_end: str = ""
    is_reversal: bool = False
    value_date: date | None = None


def fresh_reference() -> str:
    """A bank's reference that nothing else has."""
    return f"BR-{next(_numbers)}"


def paid(amount_minor: int, text: str, **more: Any) -> Entry:  # noqa: ANN401 - fields of an entry
    """A line under a reference of its own."""
    return Entry(amount_minor, text, **({"reference": fresh_reference()} | more))


def camt(*entries: Entry, on: date, opening_minor: int = 0, account: str = ACCOUNT, currency: str = "CNY") -> bytes:
    """A camt.053 file of one statement that adds up."""
    closing_minor = opening_minor + sum(entry.amount_minor for entry in entries)
    head = (
        f"<Acct><Id><Othr><Id>{account}</Id></Othr></Id><Ccy>{currency}</Ccy></Acct>"
        f"{_balance('OPBD', opening_minor, currency)}{_balance('CLBD', closing_minor, currency)}"
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>M</MsgId></GrpHdr><Stmt><Id>S-{next(_numbers)}</Id>{head}"
        f"{''.join(_entry(entry, on, currency) for entry in entries)}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def _money(amount_minor: int, currency: str) -> str:
    amount = f"{abs(amount_minor) // 100}.{abs(amount_minor) % 100:02}"
    sign = "CRDT" if amount_minor >= 0 else "DBIT"
    return f'<Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd>'


def _balance(code: str, amount_minor: int, currency: str) -> str:
    return f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_money(amount_minor, currency)}</Bal>"


def _entry(entry: Entry, on: date, currency: str) -> str:
    side = "Dbtr" if entry.amount_minor >= 0 else "Cdtr"
    value = entry.value_date or on
    return (
        f"<Ntry>{_money(entry.amount_minor, currency)}"
        f"{'<RvslInd>true</RvslInd>' if entry.is_reversal else ''}<Sts><Cd>BOOK</Cd></Sts>"
        f"<BookgDt><Dt>{on}</Dt></BookgDt><ValDt><Dt>{value}</Dt></ValDt>"
        f"<AcctSvcrRef>{entry.reference}</AcctSvcrRef><NtryDtls><TxDtls>"
        f"<Refs><EndToEndId>{entry.end_to_end or 'NOTPROVIDED'}</EndToEndId></Refs>"
        f"<RltdPties><{side}><Pty><Nm>{escape(entry.name)}</Nm></Pty></{side}>"
        f"<{side}Acct><Id><Othr><Id>{entry.account}</Id></Othr></Id></{side}Acct></RltdPties>"
        f"<RmtInf><Ustrd>{escape(entry.text)}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
    )


def open_account(house: House, account: str = ACCOUNT, **more: object) -> None:
    """Enter the collection account."""
    house.operator.put("/v1/bank-accounts", {"account": account, "currency": "CNY"} | more)


def send(house: House, content: bytes, **more: str) -> Any:  # noqa: ANN401 - a response
    """Upload a file; `kind` is its media type, `query` and `key` what they say."""
    return send_as(house.operator, content, **more)


def send_as(client: Client, content: bytes, *, kind: str = "application/xml", query: str = "", key: str = "") -> Any:  # noqa: ANN401 - same
    """Upload a file as a client."""
    client.token = client.token or client.sign_in()
    headers = {"Authorization": f"Bearer {client.token}", "Idempotency-Key": key or f"upload-{next(_numbers)}"}
    path = f"/v1/statements{query}"
    response = client.web.open(path, method="POST", data=content, content_type=kind, headers=headers)
    check_contract("POST", path, response)
    return response


def enter(house: House, *entries: Entry, **more: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - fields of a file
    """Enter a statement of today and let its lines be matched; each by the bank's reference."""
    response = send(house, camt(*entries, on=house.today, **more))
    assert response.status_code == 201, response.text
    house.run()
    statement_id = response.get_json()["items"][0]["statement_id"]
    return {row["bank_reference"]: row for row in lines(house) if row["statement_id"] == statement_id}


def enter_one(house: House, entry: Entry, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - same
    """Enter a statement of one line; the line."""
    (line,) = enter(house, entry, **more).values()
    return line


def lines(house: House, state: str = "") -> list[dict[str, Any]]:
    """All lines, or those of a state."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        query = "&".join(filter(None, ["limit=200", f"state={state}" if state else "", after]))
        page = house.operator.get(f"/v1/bank-lines?{query}")
        found += page["items"]
        if page["next"] is None:
            return found
        after = f"after={page['next']}"


def line(house: House, line_id: str) -> dict[str, Any]:
    """A line as it is now."""
    (found,) = [row for row in lines(house) if row["line_id"] == line_id]
    return found


def decide(house: House, line_id: str, decision: str, *parts: tuple[str, int], **more: str) -> dict[str, Any]:
    """Decide about a line; the result."""
    item: dict[str, Any] = {"line_id": line_id, "decision": decision} | more
    if parts:
        item["allocations"] = [{"reference": reference, "amount_minor": amount} for reference, amount in parts]
    answer = house.operator.post("/v1/bank-lines/decisions", {"items": [item]})
    (result,) = answer["items"]
    house.run()
    return dict(result)


def check_lines(house: House) -> None:
    """Receipts that stand sum to the lines they came with; what was taken back, or came twice, has none."""
    wrong = rows(
        house,
        """
        SELECT bank_line.line_id, state, bank_line.amount_minor, sum(receipt.amount_minor) FROM bank_line
        LEFT JOIN receipt ON receipt.line_id = bank_line.line_id AND reversed_on IS NULL
        GROUP BY 1 HAVING coalesce(sum(receipt.amount_minor), 0) <> CASE
            WHEN state IN ('new', 'duplicate', 'reversed') OR bank_line.amount_minor < 0 THEN 0
            WHEN proposal ->> 'kind' = 'entered' AND state <> 'booked' THEN 0
            WHEN proposal ->> 'kind' = 'payment_return' AND state = 'booked' THEN 0
            WHEN state = 'open' AND proposal -> 'reasons' ? 'value_date_in_future' THEN 0
            ELSE bank_line.amount_minor END
        """,
    )
    assert wrong == []
