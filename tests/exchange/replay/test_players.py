"""How a player answers: whole, in part, not at all, and too late."""

from typing import Any, cast

import pytest

from exchange.replay.client import ApiClient, ApiProblem
from exchange.replay.funders import load_funders
from exchange.replay.players import Player
from exchange.replay.receiver import Inbox


class Script:
    """An API that knows one offer of two assets and notes what it is sent."""

    def __init__(self, refusal: ApiProblem | None = None) -> None:
        self.sent: list[tuple[str, object, str | None]] = []
        self.refusal = refusal

    def get(self, _path: str) -> dict[str, Any]:
        """The offer."""
        assets = [{"asset_id": "ast_1", "pd_ppm": 1000}, {"asset_id": "ast_2", "pd_ppm": 9000}]
        return {"offer_id": "ofr_1", "mandate_id": "mdt_1", "assets": assets}

    def post(self, path: str, body: object, *, key: str | None = None) -> None:
        """Note it, or refuse it."""
        self.sent.append((path, body, key))
        if self.refusal is not None:
            raise self.refusal


def player(script: Script, *, ceiling: int | None, auto_commit: bool = False) -> Player:
    """A player whose mandate has this ceiling."""
    (spec,) = load_funders()[0].mandate
    changed = {"pick_max_pd_ppm": ceiling, "auto_commit": auto_commit}
    mandate = type(spec)(**{name: getattr(spec, name) for name in spec.__struct_fields__} | changed)
    return Player(load_funders()[0], cast("ApiClient", script), Inbox(), "dep_1", {"mdt_1": mandate})


@pytest.mark.parametrize(
    ("ceiling", "path", "body", "answer"),
    [
        (None, "commitment", {}, "committed"),
        (5000, "commitment", {"asset_ids": ["ast_1"]}, "committed in part"),
        (10, "refusal", {"reason": "no asset below our own ceiling"}, "refused"),
    ],
)
def test_answers(ceiling: int | None, path: str, body: dict[str, Any], answer: str) -> None:
    """All of an offer, the assets below the ceiling, or none; each under its own key."""
    script = Script()
    one = player(script, ceiling=ceiling)
    assert one.answer(["ofr_1"]) == 1
    assert script.sent == [(f"/v1/offers/ofr_1/{path}", body, f"{path}-ofr_1")]
    assert one.answers == {answer: 1}


def test_too_late_and_by_itself() -> None:
    """A refused answer is counted under its code; a mandate that commits by itself is not answered for."""
    late = Script(ApiProblem(what="x", status=409, problem={"code": "offer_not_open"}))
    one = player(late, ceiling=None)
    assert one.answer(["ofr_1"]) == 0
    assert one.answers == {"offer_not_open": 1}
    script = Script()
    assert player(script, ceiling=None, auto_commit=True).answer(["ofr_1"]) == 0
    assert script.sent == []
