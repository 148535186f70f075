"""The page behind an obligor's link: what somebody says it owes, and room for its answer. No login, no script.

Looking changes nothing, so nobody answers by opening a message; the token in the address is what lets answer.
"""

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from flask import Blueprint, Response, redirect, render_template, request
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from exchange.errors import Fault, Refusal, Unavailable
from exchange.http import PROBLEM, problem_response, services
from exchange.receivables import confirmations, requests, rules
from exchange.receivables.forms import read_form
from exchange.receivables.requests import Link
from exchange.receivables.schemas import REASON_CODES

public = Blueprint(
    "confirm", __name__, template_folder="templates", static_folder="static", static_url_path="/confirm/static"
)

HTML = "text/html"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
WORDS: dict[str, str] = msgspec.json.decode(Path(__file__).with_name("words.json").read_bytes())
"""What the page says for a code, in Chinese and English."""


class _NotTakenError(Exception):
    """The form holds something that cannot be taken; nothing of it is kept."""

    def __init__(self, link: Link, faults: list[Fault]) -> None:
        super().__init__(len(faults))
        self.link = link
        self.faults = faults


@public.get("/confirm/<token>")
def show(token: str) -> str:
    """What is behind a link."""
    at_hand = services()
    try:
        with at_hand.database.snapshot() as session:
            session.execute(text("SET TRANSACTION READ ONLY"))
            now = at_hand.clock.now(session)
            link = requests.open_link(session, services=at_hand, token=token, now=now)
    except OperationalError as error:
        raise _unavailable() from error
    return _page(link)


@public.post("/confirm/<token>")
def answer(token: str) -> AnyResponse:
    """Keep what the form says, all of it or nothing, and show the page again."""
    form = request.form.to_dict()
    try:
        services().database.run(partial(_keep, token=token, form=form))
    except _NotTakenError as refused:
        late = any(fault.code == "already_answered" for fault in refused.faults)
        return Response(_page(refused.link, faults=refused.faults, form=form), status=409 if late else 422)
    except OperationalError as error:
        raise _unavailable() from error
    return redirect(f"/confirm/{token}", code=303)


@public.after_request
def harden(response: Response) -> Response:
    """Nothing foreign is loaded, framed, kept or told of the address."""
    response.headers.update(HEADERS)
    return response


@public.errorhandler(Refusal)
def refuse(error: Refusal) -> Response:
    """A page for a browser, a problem for everything else."""
    if request.accept_mimetypes.best_match((PROBLEM, HTML)) != HTML:
        return problem_response(error)
    page = render_template("receivables/no_link.html", message=WORDS[error.code])
    return Response(page, status=error.status, headers=error.headers, content_type=f"{HTML}; charset=utf-8")


def _unavailable() -> Unavailable:
    return Unavailable("The database did not answer.", headers={"Retry-After": "2"})


def _keep(session: Session, *, token: str, form: dict[str, str]) -> None:
    at_hand = services()
    now = at_hand.clock.now(session)
    link = requests.open_link(session, services=at_hand, token=token, now=now)
    today = at_hand.business_date(now)
    answers, faults = read_form(form, link.receivables, today=today, evidence=link.evidence)
    if not faults:
        kept = confirmations.keep(session, answers=answers, today=today, now=now, obligor_id=link.obligor_id)
        faults = [fault for outcome in kept.values() for fault in outcome.faults]
    if faults:
        raise _NotTakenError(link, faults)


def _page(link: Link, *, faults: list[Fault] | None = None, form: dict[str, str] | None = None) -> str:
    shown: dict[str, Any] = {
        "link": link,
        "waiting": [row for row in link.receivables if row["outcome"] is None],
        "reasons": REASON_CODES,
        "words": WORDS,
        "form": form or {},
        "faults": list(dict.fromkeys(WORDS[fault.code] for fault in faults or [])),
        "written": rules.as_written,
    }
    return render_template("receivables/confirm.html", **shown)
