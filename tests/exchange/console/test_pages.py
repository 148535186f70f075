"""What the pages show, against an exchange that has lived."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html import unescape

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from exchange.db import Database
from scoring.card import STYLE_HASH
from tests.exchange.console.conftest import HOSTILE, browse
from tests.exchange.house import House, receivable
from tests.exchange.owner import as_owner

SVG = re.compile(r"<svg class=\"plot\".*?</svg>", re.DOTALL)
ROW = re.compile(r"<tr.*?</tr>", re.DOTALL)
TAG = re.compile(r"<[^>]*>")


@pytest.fixture(scope="module")
def first(browser: FlaskClient) -> str:
    """The first page."""
    answer = browser.get("/")
    assert answer.status_code == 200
    return answer.text


def rows(page: str) -> list[str]:
    """The words of every table row, cells apart by bars."""
    cells = [re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL) for row in ROW.findall(page)]
    return ["|".join(unescape(TAG.sub("", cell)).strip() for cell in row) for row in cells]


def asset_ids(house: House) -> dict[str, str]:
    """The asset id of each invoice."""
    with house.services.database.transaction() as session:
        return dict(session.execute(text("SELECT invoice_number, asset_id FROM receivable")).all())


def test_first_page_has_each_currency_apart(first: str) -> None:
    """Yuan with two digits, yen with none, and nowhere the sum of both."""
    told = rows(first)
    assert any(row.startswith("CNY|60,000.00|40,000.00|30,000.00|75.00 %") for row in told), told
    assert any(row.startswith("JPY|300,000|300,000|300,000|100.00 %") for row in told), told


def test_first_page_counts_states(first: str) -> None:
    """Every state of title and claim, with its number, face and debt; what was never an asset owes nothing known."""
    told = rows(first)
    for row in (
        "submitted|entered; its obligor is not asked yet|1|CNY 10,000.00|–",
        "void|refused by the obligor, or declined by the originator|1|CNY 10,000.00|–",
        "free|confirmed, free to be offered|1|CNY 10,000.00|10,000.00",
        "assigned|held by a funder|2|CNY 20,000.00|19,990.00",
        "assigned|held by a funder|1|JPY 300,000|300,000",
        "closed|extinguished: nothing is owed any more|1|CNY 10,000.00|0.00",
    ):
        assert row in told, (row, told)


def test_first_page_ages_what_is_owed(first: str) -> None:
    """On 22 March: one not due, one 19 days late, one nearly a year; a credit note is taken off."""
    told = rows(first)
    assert "CNY|9,990.00|–|10,000.00|–|–|10,000.00|29,990.00" in told, told
    assert "assets|1|–|1|–|–|1|3" in told
    assert "JPY|300,000|–|–|–|–|–|300,000" in told


def test_first_page_links_everything(first: str, lived: House) -> None:
    """Documentation, contract, log, checks, and an asset and a pool to look into."""
    for place in ("/docs/", "/openapi.json", "/log/checkpoint", "/checks", "/breaks", "/collections"):
        assert f'href="{place}"' in first
    assert f'href="/assets/{asset_ids(lived)["LATE-1"]}"' in first
    assert 'href="/pools/pol_' in first


def test_plots_are_drawings_that_can_be_read_aloud(first: str) -> None:
    """Two plots for each currency and one of calibration; each is well-formed, with title and description."""
    drawn = [ET.fromstring(svg) for svg in SVG.findall(first)]  # noqa: S314 - our own pages
    assert len(drawn) == 5
    for svg in drawn:
        named = (svg.get("aria-labelledby") or "").split()
        found = {child.get("id"): child.text for child in svg}
        assert all(found[name] for name in named)
        assert svg.get("role") == "img"


def test_nothing_inline_that_the_policy_forbids(first: str) -> None:
    """No script, no style but the sheet, nothing from elsewhere."""
    assert "<script" not in first.lower()
    assert "style=" not in first
    assert not re.search(r'(?:src|href)="(?!/)', first)


def test_callbacks_are_listed(first: str) -> None:
    """The one funder with an endpoint took its callbacks at the first attempt."""
    taken = [row for row in rows(first) if "|purchase.settled|" in row]
    assert len(taken) == 1
    assert "|Funder 1|" in taken[0]


def test_the_model_in_force_is_named(first: str) -> None:
    """What was traded here is too little to learn from: the page says that the prior speaks."""
    assert "No model has been trained yet: the labelled prior is in force." in first


def test_the_card_of_the_model(browser: FlaskClient) -> None:
    """A page of its own: its style is allowed by its hash, nothing else; an unknown model is not found."""
    answer = browser.get("/model")
    assert answer.status_code == 200
    assert "Content (SHA-256)" in answer.text
    assert STYLE_HASH in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert browser.get("/model?version=mdl_0123456789abcdef").status_code == 404


def test_hostile_names_stay_text(browser: FlaskClient, lived: House) -> None:
    """A company's name is never markup."""
    page = browser.get(f"/assets/{asset_ids(lived)['HELD-1']}").text
    assert HOSTILE not in page
    assert HOSTILE in unescape(page)


def test_asset_page_shows_four_lives(browser: FlaskClient, lived: House) -> None:
    """The page of the asset that was bought, diluted and reminded of has all that, and its signed chain."""
    page = browser.get(f"/assets/{asset_ids(lived)['HELD-1']}").text
    told = rows(page)
    assert any("credit note CN-1, return|CNY \N{MINUS SIGN}10.00|" in row for row in told), told
    assert any("|Funder 1|committed|2026-03-02|" in row for row in told)
    kinds = re.findall(r'class="kind">([^<]*)<', page)
    assert kinds[:3] == ["asset.confirmed", "asset.scored", "asset.assigned"]
    assert "&#34;face_minor&#34;: 1000000" in page


def test_asset_page_shows_lateness(browser: FlaskClient, lived: House) -> None:
    """Reminders and buckets, in words."""
    told = rows(browser.get(f"/assets/{asset_ids(lived)['LATE-1']}").text)
    assert "2026-03-03|reminder on the due date||CNY 10,000.00" in told, told
    assert "2026-03-07|late, day 1 after grace|4 days past due|CNY 10,000.00" in told


def test_asset_pages_of_what_is_no_asset(browser: FlaskClient, lived: House) -> None:
    """A receivable without an answer, and one that was refused, have a page too."""
    ids = asset_ids(lived)
    for number, words in {"OPEN-1": "No record yet", "VOID-1": "goods not received", "PAID-1": "receipt"}.items():
        answer = browser.get(f"/assets/{ids[number]}")
        assert answer.status_code == 200
        assert words in answer.text


def test_pool_page_lists_its_assets(browser: FlaskClient, lived: House, first: str) -> None:
    """A pool's totals are the sums of its rows."""
    pools = set(re.findall(r"/pools/(pol_[0-9a-z]+)", first))
    assert len(pools) == 2
    pages = [browser.get(f"/pools/{pool}").text for pool in sorted(pools)]
    held = next(page for page in pages if asset_ids(lived)["HELD-1"] in page)
    assert "CNY 30,000.00" in held
    assert len([row for row in rows(held) if row.startswith("…")]) == 3


def test_search_leads_to_the_page(browser: FlaskClient, lived: House) -> None:
    """An id in the search field opens its asset or pool."""
    asset_id = asset_ids(lived)["HELD-1"]
    assert browser.get("/assets", query_string={"id": f" {asset_id} "}).location == f"/assets/{asset_id}"
    pool_id = asset_id.replace("ast_", "pol_")
    assert browser.get("/assets", query_string={"id": pool_id}).location == f"/pools/{pool_id}"


@pytest.mark.parametrize(
    "wanted", ["", "x", "//evil.example", "ast_", "fnd_01h455vb4pex5vsknk084sn02q", "\0", "a" * 9999]
)
def test_search_refuses_what_is_no_id(browser: FlaskClient, wanted: str) -> None:
    """Anything else leads nowhere."""
    assert browser.get("/assets", query_string={"id": wanted}).status_code == 404


@pytest.mark.parametrize(
    "name", ["x", "%00", "ast_01h455vb4pex5vsknk084sn02q", "ast_01h455vb4pex5vsknk084sn02q%0A", "'--"]
)
@pytest.mark.parametrize("place", ["assets", "pools"])
def test_unknown_things_have_a_page_that_says_so(browser: FlaskClient, place: str, name: str) -> None:
    """404 with a page, whatever the id looks like."""
    answer = browser.get(f"/{place}/{name}")
    assert answer.status_code == 404
    assert answer.mimetype == "text/html"
    assert "Not found" in answer.text


def test_an_unknown_pool_has_no_page(browser: FlaskClient) -> None:
    """A well-formed id of nothing is refused too."""
    assert browser.get("/pools/pol_01h455vb4pex5vsknk084sn02q").status_code == 404


def test_checks_page_is_clean(browser: FlaskClient) -> None:
    """Books and log, recomputed: nothing wrong."""
    assert browser.get("/checks").text.count("Nothing wrong.") == 2


def test_checks_page_names_what_is_wrong(house: House) -> None:
    """A signed checkpoint that somebody changed is found and named."""
    house.submit(receivable("CN-1"))
    with as_owner(house.services.database) as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text("UPDATE log_checkpoint SET root = sha256(root)"))
    page = browse(house.services).get("/checks").text
    assert page.count("Nothing wrong.") == 1
    assert '<table class="wrong">' in page


def test_case_page_shows_all_of_a_case(browser: FlaskClient, lived: House) -> None:
    """Linked from the lists, with the assets it is about; text from outside stays text."""
    found = re.findall(r'href="(/collections/cas_[^"]+)"', browser.get("/collections").text)
    assert found
    page = browser.get(found[0]).text
    assert f'href="/assets/{asset_ids(lived)["LATE-1"]}"' in page
    assert any("LATE-1" in row and "CNY 10,000.00" in row for row in rows(page)), rows(page)
    assert "<h2>Tasks</h2>" in page
    assert "<h2>Stages</h2>" in page
    assert "<script" not in page
    assert browser.get("/collections/cas_7zzzzzzzzzzzzzzzzzzzzzzzzz").status_code == 404


def test_breaks_page_shows_and_filters(browser: FlaskClient, lived: House) -> None:
    """What differs, by how much and since when; an asset is a link, and what the address misspells is left open."""
    asset_id = asset_ids(lived)["HELD-1"]
    assert "No such breaks." in browser.get("/breaks").text
    run = {"run_id": "rec_1", "business_date": "2026-03-03", "asked_by": "schedule", "asked_at": "2026-03-03"}
    counted = ("checked", "found", "opened", "closed")
    common = {"holder": "", "detail": "{}", "first_seen": "2026-03-01", "last_seen": "2026-03-03", "run_id": "rec_1"}
    with as_owner(lived.services.database) as session:
        add(session, "reconciliation_run", run | {"step": 3, "parts": "{}"} | dict.fromkeys(counted, 0) | {"place": ""})
        for number, (kind, subject, unit, expected, state) in enumerate(
            [
                ("title_holding", asset_id, "CNY", 1_000_000, "open"),
                ("stream_length", HOSTILE, "events", 7, "explained"),
            ]
        ):
            one = {"kind": kind, "subject": subject, "unit": unit, "expected": expected, "found": 5, "state": state}
            add(session, "reconciliation_break", common | one | {"break_id": f"brk_{number}", "team": "finance"})
    page = browser.get("/breaks").text
    assert HOSTILE not in page
    told = rows(page)
    assert any(row.startswith("title holding|…") and "|10,000.00|0.05|−9,999.95|CNY|" in row for row in told), told
    assert any("|7|5|−2|events|" in row for row in told), told
    assert f'href="/assets/{asset_id}"' in page
    for query, count in (("state=open", 1), ("kind=stream_length", 1), ("team=risk", 0), ("team=nobody", 2)):
        found = rows(browser.get(f"/breaks?{query}").text)
        assert len([row for row in found[1:] if row != "No such breaks."]) == count, query
    assert browser.get("/breaks?after=x").status_code == 422
    with as_owner(lived.services.database) as session:
        session.execute(text("DELETE FROM reconciliation_break"))
        session.execute(text("DELETE FROM reconciliation_run WHERE run_id = 'rec_1'"))


def add(session: Session, table: str, values: dict[str, object]) -> None:
    """Write a row."""
    names = ", ".join(values)
    session.execute(text(f"INSERT INTO {table} ({names}) VALUES (:{', :'.join(values)})"), values)  # noqa: S608 - of a test


def test_first_page_asks_a_bounded_number_of_questions(lived: House) -> None:
    """As many queries as there are kinds of things, however many things there are."""
    browser = browse(lived.services)
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(lived.services.database.engine, "before_cursor_execute", note)
    try:
        assert browser.get("/").status_code == 200
    finally:
        event.remove(lived.services.database.engine, "before_cursor_execute", note)
    assert len(asked) < 45, len(asked)


def test_an_empty_exchange_has_a_page(still: House) -> None:
    """Before the first receivable every table says that it is empty."""
    answer = browse(still.services).get("/")
    assert answer.status_code == 200
    for words in ("No receivable has been submitted yet.", "No pools yet.", "Nothing is owed.", "labelled prior"):
        assert words in answer.text


def test_without_a_database_the_page_says_try_again(lived: House) -> None:
    """A database that does not answer is a 503 with a page."""
    gone = replace(lived.services, database=Database("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    answer = browse(gone).get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
