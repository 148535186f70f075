"""Loan tape, positions and statements as files: what they say is what the books say, to the cent, as of any day."""

import base64
import csv
import hashlib
import io
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from tempfile import TemporaryFile
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from werkzeug.test import TestResponse

from exchange import books
from exchange.reports import files, tapes
from exchange.reports.tapes import Asked, Report
from tests.exchange.house import Client, House
from tests.exchange.settlement.book import FACE_MINOR, PRICE_MINOR, balance, buy, fresh, pay, rows

Row = dict[str, Any]
REPORTS = ("loan-tape", "positions", "statement")


@pytest.fixture(scope="module")
def lived(market: House) -> dict[str, Any]:
    """Three assets bought, one of them paid in part and one in full, ten days later; and somebody who has nothing."""
    market.only("rounds", "funding", "pools")
    bought_on = market.today + timedelta(days=1)
    ids = buy(market, fresh(), fresh(), fresh())
    market.move(9, days=10)
    pay(market, (ids[0], FACE_MINOR), (ids[1], 250_000))
    market.run()
    return {"ids": ids, "bought_on": bought_on, "stranger": market.add_funder("Stranger")}


def download(client: Client, name: str, form: str, **asked: object) -> TestResponse:
    """A file whose length and digest are those that its answer names."""
    query = {"from_date": "2026-03-01"} | asked if name == "statement" else asked
    response = client.call("GET", f"/v1/reports/{name}.{form}?" + "&".join(f"{k}={v}" for k, v in query.items()))
    assert response.status_code == 200, response.text
    assert response.mimetype == files.TYPES[form]
    digest = base64.b64encode(hashlib.sha256(response.data).digest()).decode()
    assert response.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    assert int(response.headers["Content-Length"]) == len(response.data)
    return response


def read(client: Client, name: str, **asked: object) -> list[Row]:
    """The rows of the CSV, which are those of the Parquet."""
    text = download(client, name, "csv", **asked).data.decode()
    told: list[Row] = list(csv.DictReader(io.StringIO(text, newline="")))
    table = parquet.read_table(pa.BufferReader(download(client, name, "parquet", **asked).data))
    assert table.column_names == list(tapes.REPORTS[name].columns)
    same = [{key: "" if value is None else str(value) for key, value in row.items()} for row in table.to_pylist()]
    assert same == told
    return told


def test_the_tape_is_what_the_books_say(market: House, lived: dict[str, Any]) -> None:
    """Balances sum to the title in the books; every field of the annex has a value, or says why not; late after due."""
    _, part, whole = lived["ids"]
    tape = read(market.funders[0], "loan-tape", identifier="529900T8BM49AURSDO55N202601")
    assert {row["CRPL2"]: row["CRPL39"] for row in tape} == {part: "7500.00", whole: "10000.00"}
    query = "SELECT sum(balance_minor) FROM books_balances JOIN books_accounts USING (account_id) WHERE path = :path"
    title = rows(market, query, path=books.funder_title(market.funder_ids[0]))[0][0]
    assert sum(Decimal(row["CRPL39"]) for row in tape) * 100 == title
    row = next(row for row in tape if row["CRPL2"] == whole)
    assert all(row.values())
    assert (row["CRPL1"], row["CRPL6"], row["CRPL7"]) == (
        "529900T8BM49AURSDO55N202601", market.today.isoformat(), lived["bought_on"].isoformat()
    )  # fmt: skip
    assert (row["CRPL37"], row["CRPL38"], row["CRPL79"], row["CRPL80"]) == ("CNY", "10000.00", "PERF", "ND5")
    assert Decimal(row["CRPL43"]) == Decimal(PRICE_MINOR * 100) / FACE_MINOR
    later = market.today + timedelta(days=60)
    (late,) = [one for one in read(market.funders[0], "loan-tape", as_of=later) if one["CRPL2"] == whole]
    assert (late["CRPL77"], late["CRPL78"], late["CRPL79"]) == ("10000.00", "10", "ARRE")


def test_positions_and_tape_of_a_day_past(market: House, lived: dict[str, Any]) -> None:
    """The day before anything was paid all three are held whole; before they were bought, nothing is."""
    bank, before = market.funders[0], market.today - timedelta(days=1)
    assert [row["CRPL39"] for row in read(bank, "loan-tape", as_of=before)] == ["10000.00"] * 3
    (position,) = read(bank, "positions", as_of=before)
    assert (position["asset_count"], position["outstanding_minor"]) == ("3", str(3 * FACE_MINOR))
    assert position["price_minor"] == str(3 * PRICE_MINOR)
    (now,) = read(bank, "positions")
    live = bank.get("/v1/positions")["items"][0]
    assert {name: int(now[name]) for name in ("asset_count", "outstanding_minor")} == {
        name: live[name] for name in ("asset_count", "outstanding_minor")
    }
    assert (now["pool_id"], now["mandate_id"]) == (live["pool_id"], live["mandate_id"])
    assert read(bank, "loan-tape", as_of=lived["bought_on"] - timedelta(days=1)) == []
    known = f"{lived['bought_on']}T01:00:00Z"
    assert read(bank, "positions", as_of=market.today, known_at=known) == [], "nobody knew of it at nine that day"


def test_a_statement_runs_from_opening_to_closing(market: House, lived: dict[str, Any]) -> None:
    """Of each account opening and movements come to the closing, which is the next one's opening and the books'."""
    bank, until = market.funders[0], lived["bought_on"]
    whole, first = read(bank, "statement"), read(bank, "statement", to_date=until)
    second = read(bank, "statement", from_date=until + timedelta(days=1))
    for told in (whole, first, second):
        for account in {row["account"] for row in told}:
            opening, *moved, closing = [row for row in told if row["account"] == account]
            assert (opening["kind"], closing["kind"]) == ("opening", "closing")
            running = int(opening["balance_minor"])
            for row in moved:
                running += int(row["amount_minor"])
                assert (row["kind"], int(row["balance_minor"])) == ("movement", running)
                assert row["memo"]
            assert int(closing["balance_minor"]) == running
    ends = [{row["account"]: row["balance_minor"] for row in told if row["kind"] == kind}
            for told, kind in ((first, "closing"), (second, "opening"))]  # fmt: skip
    assert ends[0] == ends[1]
    closing_cash = next(row for row in whole if (row["account"], row["kind"]) == ("cash", "closing"))
    assert int(closing_cash["balance_minor"]) == balance(market, books.funder_cash(market.funder_ids[0]))


@pytest.mark.parametrize("name", REPORTS)
def test_nobody_reads_anothers(market: House, lived: dict[str, Any], name: str) -> None:
    """Another funder's files have no line of it; a platform gets none; a wrong day or form is refused."""
    asset_ids, funder_id = lived["ids"], market.funder_ids[0]
    text = download(lived["stranger"], name, "csv").text
    assert not any(one in text for one in (*asset_ids, funder_id))
    assert all(row["amount_minor"] == "0" for row in csv.DictReader(io.StringIO(text)) if name == "statement")
    assert market.platform.refused("GET", f"/v1/reports/{name}.csv")["code"] == "forbidden"
    path = f"/v1/reports/{name}.csv?" + ("from_date=x" if name == "statement" else "as_of=x")
    assert market.funders[0].refused("GET", path)["status"] == 422
    assert market.funders[0].refused("GET", f"/v1/reports/{name}.xls")["status"] == 404
    if name == "statement":
        reverse = "/v1/reports/statement.csv?from_date=2026-03-03&to_date=2026-03-02"
        assert market.funders[0].refused("GET", reverse)["errors"][0]["code"] == "contradictory_dates"


def test_every_field_has_one_source() -> None:
    """A column or a fixed value, and a reason where a column may have none; codes are the annex's, each once."""
    for code, one in tapes.fields().items():
        assert code.startswith("CRPL")
        assert ("column" in one) != ("value" in one), code
        assert one.keys() - {"column", "value", "missing"} == {"name", "format"}
        assert one.get("missing", "ND1") in {f"ND{number}" for number in range(1, 6)}


@pytest.mark.parametrize("form", list(files.TYPES))
def test_memory_is_flat(market: House, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """Six times as many rows take no more of it: neither what reads them nor what writes them keeps any."""
    peaks = []
    for count in (10_000, 60_000):
        query = f"SELECT n::bigint AS number, repeat('x', 200) AS text FROM generate_series(1, {count}) AS n"  # noqa: S608 - a number
        monkeypatch.setitem(tapes.REPORTS, "many", Report(query, {"number": "integer", "text": "text"}))
        peaks.append(_peak(market, form, count))
    assert peaks[1] < 1.3 * peaks[0]


def _peak(market: House, form: str, count: int) -> int:
    """The most memory that writing so many rows takes, of Python and of Arrow."""
    now = market.services.clock
    held = 0

    def watched(batches: Iterator[list[list[Any]]]) -> Iterator[list[list[Any]]]:
        nonlocal held
        for batch in batches:
            held = max(held, pa.total_allocated_bytes())
            yield batch

    with market.services.database.transaction() as session, TemporaryFile() as file:
        asked = Asked("fnd_x", market.today, now.now(session))
        tracemalloc.start()
        files.write(
            form, file, tapes.REPORTS["many"].columns, watched(tapes.batches(session, name="many", asked=asked))
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        file.seek(0)
        written = parquet.read_metadata(file).num_rows if form == "parquet" else sum(1 for _ in file) - 1
    assert written == count
    return peak + held
