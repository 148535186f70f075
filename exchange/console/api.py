"""The pages of the console. They read; nothing here writes.

Open to an operator's bearer token, and to whoever sits at the machine when `console_open` is set.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

from flask import Blueprint, Response, redirect, render_template, request
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from exchange.auth import Role
from exchange.clock import business_date
from exchange.collections.lists import case
from exchange.console import lives, vehicles
from exchange.console.collecting import collecting
from exchange.console.comparing import comparing
from exchange.console.formats import FILTERS
from exchange.console.overview import overview
from exchange.errors import Forbidden, NotFound, Refusal, Unauthenticated, Unavailable
from exchange.http import PROBLEM, caller_of_request, problem_response, services
from exchange.ids import is_id
from exchange.models import cards
from exchange.operations.queries import checks, clock_state
from exchange.risk.engines import in_force
from scoring import card

public = Blueprint("console", __name__, template_folder="templates", static_folder="static", static_url_path="/console")

HTML = "text/html"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
PORT = re.compile(r":[0-9]*$")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


CARD_POLICY = f"default-src 'none'; style-src '{card.STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"
"""A card is one file with its style in it: that style, by its hash, and nothing else."""


class Look(NamedTuple):
    """One snapshot of the exchange, and the business date in it."""

    session: Session
    today: date


@public.get("/")
def first_page() -> str:
    """What the exchange holds."""
    zone = services().settings.time_zone
    return _page("overview.html", lambda look: overview(look.session, today=look.today, zone=zone))


@public.get("/assets")
def find_asset() -> AnyResponse:
    """From the search field to what it names: an asset or a pool."""
    wanted = request.args.get("id", "").strip()
    place = "pools" if is_id(wanted, prefix="pol") else "assets"
    if not is_id(wanted, prefix=wanted[:3]) or wanted[:3] not in {"ast", "pol"}:
        raise NotFound("Write the id of an asset (ast_…) or a pool (pol_…).")
    return redirect(f"/{place}/{wanted}")


@public.get("/assets/<asset_id>")
def asset_page(asset_id: str) -> str:
    """One asset: its four lives and its signed chain."""
    return _found("asset.html", asset_id, "ast", lambda look: lives.asset(look.session, asset_id=asset_id))


@public.get("/pools/<pool_id>")
def pool_page(pool_id: str) -> str:
    """One pool: its offer and its assets."""
    return _found("pool.html", pool_id, "pol", lambda look: lives.pool(look.session, pool_id=pool_id))


@public.get("/facilities")
def facilities_page() -> str:
    """Pools with tranches."""
    return _page("facilities.html", lambda look: vehicles.facilities(look.session))


@public.get("/facilities/<facility_id>")
def facility_page(facility_id: str) -> str:
    """One facility: tranches, figures, distributions, turns."""

    def read(look: Look) -> dict[str, Any] | None:
        return vehicles.facility(look.session, facility_id=facility_id, today=look.today)

    return _found("facility.html", facility_id, "fac", read)


@public.get("/model")
def model_page() -> Response:
    """The card of the model in force, as `exchange model card` writes it."""
    at_hand = services()
    with at_hand.database.snapshot() as session:
        now = at_hand.clock.now(session)
        page = cards.page_of(session, version=request.args.get("version") or in_force(session).version, now=now)
    response = Response(page, content_type=f"{HTML}; charset=utf-8")
    response.headers["Content-Security-Policy"] = CARD_POLICY
    return response


@public.get("/collections")
def collections_page() -> str:
    """What the teams have to do about late obligors, and how that goes."""
    wanted = request.args.to_dict()
    return _page("collections.html", lambda look: collecting(look.session, wanted=wanted, today=look.today))


@public.get("/collections/<case_id>")
def case_page(case_id: str) -> str:
    """One case: its assets, what was done and promised, and what is next."""
    return _found(
        "case.html",
        case_id,
        "cas",
        lambda look: case(look.session, originator_id=None, case_id=case_id, today=look.today),
    )


@public.get("/breaks")
def breaks_page() -> str:
    """Where two places do not say the same of one thing."""
    wanted = request.args.to_dict()
    return _page("breaks.html", lambda look: comparing(look.session, wanted=wanted, today=look.today))


@public.get("/checks")
def checks_page() -> str:
    """Books and log, recomputed now."""
    return _page("checks.html", lambda look: {"found": checks(look.session, services=services())})


@public.before_request
def admit() -> None:
    """Let in who may look (`Unauthenticated`, `Forbidden`); the style sheet is for everybody."""
    if request.endpoint == "console.static" or _at_the_machine():
        return
    if caller_of_request().role is not Role.OPERATOR:
        raise Forbidden("The console is for the role operator.")


@public.after_request
def harden(response: Response) -> Response:
    """Nothing foreign is loaded, framed or kept."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint != "console.static":
        response.headers["Cache-Control"] = "no-store"
        response.headers.add("Vary", "Accept, Authorization")
    return response


@public.errorhandler(Refusal)
def refuse(error: Refusal) -> Response:
    """A page for a browser, a problem for everything else."""
    if request.accept_mimetypes.best_match((PROBLEM, HTML)) != HTML:
        return problem_response(error)
    sign_in = isinstance(error, Unauthenticated | Forbidden)
    page = render_template("console/refusal.html", error=error, sign_in=sign_in)
    return Response(page, status=error.status, headers=error.headers, content_type=f"{HTML}; charset=utf-8")


@public.record_once
def teach(state: Any) -> None:  # noqa: ANN401 - Flask's set-up state
    """The templates' way of writing numbers and moments."""
    state.app.jinja_env.filters.update(FILTERS)


def _at_the_machine() -> bool:
    """Whether the console is open and was asked for by a local name: no foreign site can borrow a browser for that."""
    return services().settings.console_open and PORT.sub("", request.host) in LOOPBACK


def _found(template: str, name: str, prefix: str, read: Callable[[Look], dict[str, Any] | None]) -> str:
    if not is_id(name, prefix=prefix):
        raise NotFound(f"{name[:64]} is not an id that begins with {prefix}_.")

    def read_or_refuse(look: Look) -> dict[str, Any]:
        shown = read(look)
        if shown is None:
            raise NotFound(f"There is no {name}.")
        return shown

    return _page(template, read_or_refuse)


def _page(template: str, read: Callable[[Look], dict[str, Any]]) -> str:
    """Read in one snapshot, then render without it."""
    at_hand = services()
    zone = at_hand.settings.time_zone
    try:
        with at_hand.database.snapshot() as session:
            session.execute(text("SET TRANSACTION READ ONLY"))
            clock = clock_state(session, services=at_hand)
            shown = read(Look(session, business_date(clock["now"], time_zone=zone)))
    except OperationalError as error:
        raise Unavailable("The database did not answer.", headers={"Retry-After": "2"}) from error
    return render_template(f"console/{template}", zone=zone, clock=clock, **shown)
