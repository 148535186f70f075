"""A FAPI 2.0 client that is not ours signs in, and calls the API with a token that is bound to its key."""

import json
from dataclasses import replace
from pathlib import Path
from threading import Thread

from joserfc.jwk import ECKey
from werkzeug.serving import make_server

from exchange.app import create_app
from exchange.auth import Role
from exchange.parties.clients import register_client
from tests.exchange.house import OPENING
from tests.interop.conftest import FOREIGN, Evidence, program, run


def test_a_foreign_client(evidence: Evidence, node_modules: Path) -> None:
    """It finds the token endpoint, proves its key there and here, and is refused as a bearer."""
    services, key = evidence.house.services, ECKey.generate_key("P-256")
    with services.database.transaction() as session:
        client_id = register_client(
            session,
            role=Role.AUDITOR,
            party_id=None,
            public_jwk=key.as_dict(private=False),
            now=OPENING,
            entropy=services.entropy,
        )
    server = make_server("127.0.0.1", 0, evidence.house.app, threaded=True)
    issuer = f"http://127.0.0.1:{server.server_port}"
    server.app = create_app(replace(services, settings=replace(services.settings, issuer=issuer, bound_tokens=True)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        asked = {"issuer": issuer, "client_id": client_id, "jwk": key.as_dict(private=True)}
        told = json.loads(run(program("node"), FOREIGN / "fapi.mjs", node_modules, stdin=json.dumps(asked)))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert (told["token_type"], told["scope"], told["seconds"]) == ("dpop", "reports:read", 600)
    assert (told["status"], told["without"]) == (200, 401)
    assert told["fields"] > 3
