"""Who may look."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError

from exchange.console import api
from tests.exchange.console.conftest import browse
from tests.exchange.house import House

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PAGES = (
    "/",
    "/assets/ast_01h455vb4pex5vsknk084sn02q",
    "/assets?id=x",
    "/pools/pol_01h455vb4pex5vsknk084sn02q",
    "/checks",
    "/collections",
    "/breaks",
)


@pytest.mark.parametrize("page", PAGES)
def test_a_closed_console_is_closed(still: House, page: str) -> None:
    """Without a token each page is 401: a page that says how for a browser, a problem for a program."""
    client = still.app.test_client()
    shown = client.get(page, headers=BROWSER)
    assert (shown.status_code, shown.mimetype) == (401, "text/html")
    assert "Authorization: Bearer" in shown.text
    assert "WWW-Authenticate" in shown.headers
    for accept in ("application/json", "*/*", ""):
        problem = client.get(page, headers={"Accept": accept})
        assert (problem.status_code, problem.mimetype) == (401, "application/problem+json")
        assert problem.get_json(force=True)["code"] == "unauthenticated"


def test_an_operators_token_opens_it(still: House) -> None:
    """The operator looks with a token, from anywhere."""
    assert still.operator.call("GET", "/", headers=BROWSER | {"Host": "exchange.example"}).status_code == 200


def test_other_roles_stay_outside(still: House) -> None:
    """A funder would see other funders' positions, a platform other platforms' sellers."""
    for client in (still.funders[0], still.platform):
        shown = client.call("GET", "/", headers=BROWSER)
        assert (shown.status_code, shown.mimetype) == (403, "text/html")
        assert "role operator" in shown.text


def test_a_broken_token_is_refused(still: House) -> None:
    """A token that is none does not open a closed console."""
    client = still.app.test_client()
    assert client.get("/", headers={"Authorization": "Bearer x.y.z"}).status_code == 401


def test_an_open_console_is_open_at_the_machine_only(still: House) -> None:
    """By its local names; a foreign name that leads here (DNS rebinding) does not open it."""
    client = browse(still.services)
    for host in ("localhost", "127.0.0.1:8080", "[::1]:8080"):
        assert client.get("/", headers={"Host": host}).status_code == 200, host
    for host in ("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example:80"):
        assert client.get("/", headers={"Host": host}).status_code == 401, host


def test_the_style_sheet_is_for_everybody(still: House) -> None:
    """So that a refusal can be read as well."""
    with still.app.test_client().get("/console/console.css") as answer:
        assert (answer.status_code, answer.mimetype) == (200, "text/css")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_pages_are_never_kept_nor_framed(still: House) -> None:
    """Headers of every page, and of refusals."""
    for client in (browse(still.services), still.app.test_client()):
        headers = client.get("/", headers=BROWSER).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"


def test_the_policy_is_the_consoles_own(still: House) -> None:
    """The documentation has scripts of its own and stays as it is."""
    answer = still.app.test_client().get("/docs/")
    assert answer.status_code == 200
    assert "Content-Security-Policy" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_the_console_only_reads(still: House, method: str) -> None:
    """No page takes anything but GET and HEAD."""
    client = browse(still.services)
    for page in PAGES:
        assert client.open(page.partition("?")[0], method=method).status_code == 405


def test_moments_are_told_on_the_exchanges_clocks(still: House) -> None:
    """The business moment, in the time zone of the settings."""
    client = browse(still.services, time_zone="Europe/Berlin")
    assert "2026-03-02 02:00</time> Europe/Berlin, virtual clock" in client.get("/").text


def test_a_page_cannot_write(still: House) -> None:
    """The transaction of a page is read-only: PostgreSQL itself refuses."""
    delete = text("DELETE FROM funder_stream_head")
    with still.app.test_request_context(), pytest.raises(InternalError, match="read-only"):
        api._page("checks.html", lambda look: {"found": look.session.execute(delete)})
