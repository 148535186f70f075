"""The web application: wiring only."""

import json
import time
from functools import cache
from typing import Any

from flask import Flask, Response, g, request
from flask_smorest import Api
from flask_swagger_ui import get_swaggerui_blueprint
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from exchange import conventions, http
from exchange.callbacks import api as callbacks
from exchange.collections import api as collections
from exchange.console import api as console
from exchange.contract.document import complete
from exchange.corrections import api as corrections
from exchange.duplicates import api as duplicates
from exchange.errors import Refusal
from exchange.facilities import api as facilities
from exchange.facts import api as facts
from exchange.funding import api as funding
from exchange.losses import api as losses
from exchange.models import api as models
from exchange.operations import api as operations
from exchange.operations import metrics
from exchange.operations import privacy_api as privacy
from exchange.parties import api as parties
from exchange.parties import oauth
from exchange.payments import alarm_api as money
from exchange.payments import api as payments
from exchange.pools import api as pools
from exchange.rates import Meter
from exchange.ratings import api as ratings
from exchange.receivables import api as receivables
from exchange.receivables import pages as confirmation_pages
from exchange.reconciliation import api as reconciliation
from exchange.registry import api as registry
from exchange.reports import api as reports
from exchange.reviews import api as reviews
from exchange.risk import api as risk
from exchange.rounds import api as rounds
from exchange.sandbox import api as sandbox
from exchange.schemas import Problem
from exchange.services import Services
from exchange.servicing import api as servicing
from exchange.settlement import api as settlement
from exchange.title import api as title
from exchange.trading import api as trading

MAX_BODY_BYTES = 5 * 1024 * 1024

ROOMS = (
    parties,
    callbacks,
    duplicates,
    receivables,
    facts,
    risk,
    models,
    pools,
    title,
    corrections,
    rounds,
    funding,
    trading,
    servicing,
    settlement,
    losses,
    payments,
    money,
    facilities,
    reviews,
    ratings,
    collections,
    reconciliation,
    reports,
    operations,
    privacy,
    sandbox,
)
PUBLIC = (oauth, registry, operations, confirmation_pages, console)

DESCRIPTION = """
The receivables exchange: trade receivables as signed assets, scored, sold to funders and serviced to the end.

Amounts are integers in minor units. Errors are problems (RFC 9457) with a stable `code`. Operations that move
value need an `Idempotency-Key`. Get a token from `POST /oauth/token` with a signed client assertion (RFC 7523).
"""

INFORMATION = {"contact": {"name": "The exchange's integration desk", "url": "https://exchange.example/docs/"}}
SERVERS = [{"url": "https://exchange.example", "description": "Production", "x-internal": False}]


class ProblemApi(Api):  # type: ignore[misc]  # flask-smorest has no types
    """flask-smorest, documenting errors as RFC 9457 problems."""

    ERROR_SCHEMA = Problem

    def _register_responses(self) -> None:
        """The schema of a problem. flask-smorest would document each status as plain JSON."""
        content = {http.PROBLEM: {"schema": Problem}}
        response = {"description": "A problem: match on `code`", "content": content}
        self.spec.components.response(self.DEFAULT_ERROR_RESPONSE_NAME, response)


def create_app(services: Services) -> Flask:
    """The application on these services: every route in its place."""
    app = Flask("exchange", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES)
    for stage in ROOMS:
        app.register_blueprint(stage.room)
    for stage in PUBLIC:
        app.register_blueprint(stage.public)
    app.before_request(_begin)
    app.after_request(http.finish)
    app.after_request(_measure)
    app.register_error_handler(HTTPException, http.http_problem_response)
    app.register_error_handler(Refusal, http.problem_response)
    app.register_error_handler(OperationalError, http.unavailable_response)
    app.register_error_handler(PoolTimeout, http.unavailable_response)
    app.add_url_rule("/openapi.json", "contract", _show_contract)
    app.register_blueprint(get_swaggerui_blueprint("/docs", "/openapi.json", config=DOCUMENTATION))
    app.extensions[http.EXTENSION] = services
    app.extensions[http.METER] = Meter(limit=services.settings.requests_a_minute)
    return app


def contract_text() -> str:
    """The OpenAPI document as it is published in openapi/."""
    return json.dumps(_document(), indent=1, ensure_ascii=False) + "\n"


def _document() -> dict[str, Any]:
    """The contract that the rooms' operations make. Describing them takes longer than serving them: see `_contract`."""
    app = Flask("contract", static_folder=None)
    options = {"info": {"description": DESCRIPTION} | INFORMATION, "servers": SERVERS}
    app.config.update(
        API_TITLE="Receivables exchange", API_VERSION="v1", OPENAPI_VERSION="3.1.0", API_SPEC_OPTIONS=options
    )
    api = ProblemApi(app)
    api.spec.components.security_scheme("access_token", TOKEN)
    for stage in ROOMS:
        api.register_blueprint(stage.room)
    _close_schemas(api)
    views = {endpoint.rpartition(".")[2]: view for endpoint, view in app.view_functions.items()}
    return complete(_ordered(api), views=views)


@cache
def _contract() -> dict[str, Any]:
    """The contract, made when it is first asked for: the same in every application of a process."""
    return _document()


def _show_contract() -> Response:
    """The OpenAPI document."""
    return http.json_response(_contract() | {"servers": [{"url": "/"}]})  # to be tried here


def _begin() -> None:
    g.began = time.monotonic()
    conventions.begin()


def _measure(response: Response) -> Response:
    """Count the request by its operation."""
    metrics.answered(request.endpoint, status=response.status_code, seconds=time.monotonic() - g.began)
    return response


BEARER = "From POST /oauth/token, verified as RFC8725 asks: one algorithm, one type, issuer, audience and lifetime."
TOKEN = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": BEARER}


def _close_schemas(api: Api) -> None:
    """Every object of the contract is closed but the few that say they are open."""
    for schema in api.spec.components.schemas.values():
        if schema.get("type") == "object" and schema.get("properties"):
            schema.setdefault("additionalProperties", False)


def _ordered(api: Api) -> dict[str, Any]:
    """The OpenAPI document, with paths and schemas in a fixed order."""
    document: dict[str, Any] = api.spec.to_dict()
    document["components"]["schemas"] = dict(sorted(document["components"]["schemas"].items()))
    document["paths"] = dict(sorted((document["paths"] | oauth.DOCUMENTED).items()))
    return document


DOCUMENTATION = {
    "app_name": "Receivables exchange",
    "layout": "BaseLayout",
    "validatorUrl": None,  # asks nobody outside
    "docExpansion": "none",  # there are more operations than a page is read of
    "tryItOutEnabled": True,
    "displayRequestDuration": True,
}
