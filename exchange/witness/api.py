"""The witness over HTTP."""

import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from exchange.clock import system_now
from exchange.witness.service import Witness, WitnessBusy
from ledger.errors import LedgerError
from ledger.witness import LARGEST_REQUEST, SIZE_TYPE, CheckpointRefused, WrongOldSize

TEXT = "text/plain; charset=utf-8"

log = structlog.get_logger()


def create_app(witness: Witness) -> Flask:
    """The application of one witness: `POST /add-checkpoint`, and its verifier key at `/`."""
    app = Flask("witness", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST

    @app.post("/add-checkpoint")
    def cosign() -> Response:
        now = system_now()
        body = request.get_data(cache=False)
        try:
            return _text(witness.add_checkpoint(body, now=now))
        except WrongOldSize as refusal:
            _tell(refusal)
            return Response(f"{refusal.size}\n", status=refusal.status, content_type=SIZE_TYPE)
        except CheckpointRefused as refusal:
            _tell(refusal)
            return _text(f"{refusal}\n", status=refusal.status)
        except WitnessBusy:
            return _text("Too many requests about one log at once.\n", status=503)
        except LedgerError:
            log.exception("the state is damaged")
            return _text("What was cosigned last cannot be read; nothing is cosigned until it can.\n", status=500)

    @app.get("/")
    def vkey() -> Response:
        return _text(f"{witness.cosigner.verifier.vkey}\n")

    app.register_error_handler(HTTPException, lambda error: _text(f"{error.name}\n", status=error.code or 500))
    return app


def _tell(refusal: CheckpointRefused) -> None:
    log.warning("refused", code=refusal.code, detail=str(refusal))


def _text(body: str, *, status: int = 200) -> Response:
    return Response(body, status=status, content_type=TEXT)
