"""Files that no bank should send: too large, out of order, from the future, in years that nobody knows."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from exchange.app import create_app
from exchange.settings import STATEMENT_BYTES, SettingsError, load, to_environment
from exchange.settlement import statements
from tests.exchange.house import Client, House
from tests.exchange.settlement.bank import ACCOUNT, camt, check_lines, enter, open_account, paid, send, send_as
from tests.exchange.settlement.book import asset, check_conserved, fresh
from tests.exchange.settlement.test_statements import refused

CSV = {"columns": {"booking_date": "Date", "amount": "Amount", "remittance": "Text"}}


@pytest.fixture(autouse=True)
def known(market: House) -> None:
    """The account and its table are known."""
    open_account(market, table=CSV)


def limited(house: House, size: int) -> Client:
    """The operator, at an exchange that takes no larger files."""
    services = replace(house.services, settings=replace(house.services.settings, statement_bytes=size))
    return Client(create_app(services).test_client(), house.operator.client_id, house.operator.key)


def test_a_file_as_large_as_the_setting(market: House) -> None:
    """To the byte; one more is refused before it is read, whatever other bodies may be."""
    content = camt(paid(1, "x"), on=market.today)
    assert send_as(limited(market, len(content) - 1), content).status_code == 413
    assert send_as(limited(market, len(content)), content).status_code == 201
    market.run()
    large = camt(paid(1, "y"), on=market.today).replace(b"<GrpHdr>", b" " * 6_000_000 + b"<GrpHdr>")
    assert send(market, large).status_code == 201  # larger than any other body may be
    market.run()
    check_lines(market)


def test_settings_of_size() -> None:
    """64 MiB unless set; what is no number of bytes is refused; a child process gets the same."""
    assert load({}).statement_bytes == STATEMENT_BYTES
    settings = load({"EXCHANGE_STATEMENT_BYTES": "1000", "EXCHANGE_PAYMENT_RAIL": "sandbox"})
    assert (settings.statement_bytes, settings.payment_rail) == (1000, "sandbox")
    assert load(to_environment(settings)) == settings
    for name, value in (("STATEMENT_BYTES", "0"), ("STATEMENT_BYTES", "many"), ("PAYMENT_RAIL", "pigeons")):
        with pytest.raises(SettingsError, match=name):
            load({f"EXCHANGE_{name}": value})


def test_statements_out_of_order(market: House) -> None:
    """Yesterday's comes after today's: each is kept, what they say is booked once, and no gap is left."""
    (asset_id,) = market.submit(fresh())
    today, yesterday = market.today, market.today - timedelta(days=1)
    assert send(market, camt(paid(30, asset_id), on=today, opening_minor=120)).status_code == 201
    assert send(market, camt(paid(20, asset_id), on=yesterday, opening_minor=100)).status_code == 201
    market.run()
    assert asset(market, asset_id)["outstanding_minor"] == 1_000_000 - 50
    shown = {one["opening_minor"]: one for one in market.operator.get("/v1/statements?limit=1000")["items"]}
    assert shown[120]["statement_gap"] is False


def test_another_currency_and_sums_that_are_off(market: House) -> None:
    """An amount in dollars on an account in yuan, a batch that is not its parts: nothing of the file is kept."""
    good = camt(paid(100, "x"), paid(200, "y"), on=market.today)
    entry = good.index(b"<Ntry>")
    mixed = good[:entry] + good[entry:].replace(b'Ccy="CNY"', b'Ccy="USD"', 1)
    assert refused(market, mixed)["errors"][0]["code"] == "currency_mixed"
    assert refused(market, good.replace(b">1.00<", b">1.01<", 1))["errors"][0]["code"] == "does_not_add_up"


@pytest.mark.parametrize("day", ["2026-02-30", "26-03-02", "20260302", "٢٠٢٦-03-02"])
def test_days_that_are_none(market: House, day: str) -> None:
    """A date that no calendar has is refused with its place."""
    content = camt(paid(1, "x"), on=market.today).replace(
        f"<ValDt><Dt>{market.today}".encode(), f"<ValDt><Dt>{day}".encode()
    )
    assert refused(market, content)["errors"][0]["code"] == "field_malformed"


@pytest.mark.parametrize(
    ("day", "reason"), [(date(2199, 1, 1), "value_date_in_future"), (date(1969, 1, 1), "value_date_too_early")]
)
def test_money_of_another_age(market: House, day: date, reason: str) -> None:
    """A value date far away is kept as the bank wrote it, and waits for a person: nothing is booked."""
    (asset_id,) = market.submit(fresh())
    (line,) = enter(market, paid(100, asset_id, value_date=day)).values()
    assert (line["state"], line["proposal"]["reasons"][-1]) == ("open", reason)
    assert asset(market, asset_id)["outstanding_minor"] == 1_000_000
    check_conserved(market)


def test_a_million_lines(market: House) -> None:
    """Are refused at once, before anything is read, whatever the format."""
    day = market.today.isoformat()
    table = "Date,Amount,Text\n" + f"{day},1.00,line\n" * 1_000_000
    problem = refused(market, table.encode(), kind="text/csv", query=f"?account={ACCOUNT}")
    assert problem["errors"][0]["code"] == "file_too_large"
    entry = camt(paid(1, "x"), on=market.today)
    start, end = entry.index(b"<Ntry>"), entry.index(b"</Ntry>") + len(b"</Ntry>")
    many = entry[:start] + b"<Ntry></Ntry>" * 1_000_000 + entry[end:]
    assert refused(market, many)["errors"][0]["code"] == "file_too_large"


def test_one_line_too_many(market: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted while the file is read, over all its statements; nothing of it stays."""
    monkeypatch.setattr(statements, "MOST_LINES", 3)
    fits, over = (camt(*(paid(1, "x") for _ in range(count)), on=market.today) for count in (3, 4))
    assert send(market, fits).status_code == 201
    assert refused(market, over)["errors"][0]["code"] == "file_too_large"
    market.run()
