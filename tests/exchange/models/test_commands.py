"""`exchange model`: what a person sees, and the card as a page."""

import re
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from exchange.models import commands
from exchange.services import Services
from tests.exchange.house import House, receivable
from tests.exchange.models.test_loop import history

TODAY = date(2026, 3, 2)


@pytest.fixture(scope="module")
def taught(house: House) -> House:
    """A house with nine months of trade."""
    items = list(history())
    for start in range(0, len(items), 1000):
        house.platform.post("/v1/trade-history", {"items": items[start : start + 1000]})
    return house


@pytest.fixture
def run(taught: House, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A runner whose commands work on that house."""
    services = taught.services

    def opened(_: object) -> Services:
        return Services(services.settings, services.database, services.clock, services.entropy, services.keyring, None)

    monkeypatch.setattr(commands, "open_services", opened)
    return CliRunner()


def said(run: CliRunner, *words: str, code: int = 0) -> str:
    """What a command prints, with this exit code."""
    done = run.invoke(commands.group, list(words))
    assert done.exit_code == code, done.output
    return str(done.output)


def test_a_model_from_training_to_card(run: CliRunner, taught: House, tmp_path: Path) -> None:
    """Trained, compared, explained, replayed, and put on a card that needs nothing from elsewhere."""
    version = re.search(r"mdl_[0-9a-f]{16}$", said(run, "train").strip())
    assert version is not None
    assert taught.operator.get("/v1/models/current")["version"] == version[0]
    asset_ids = taught.submit(
        *(receivable(f"CMD-{n}", obligor={"scheme": "platform", "value": f"payer-{n}"}) for n in range(4))
    )
    assert "too_thin" in said(run, "evaluate", version[0])
    told = said(run, "explain", asset_ids[0])
    for words in (version[0], "intercept", "total_bps", "funding_ppm", "most_tenor_days"):
        assert words in told
    assert re.search(r"[\u4e00-\u9fff]", told), "reasons in Chinese as well"
    assert "4 decisions, 0 not as they were" in said(run, "replay")
    out = tmp_path / "card.html"
    said(run, "card", "--out", str(out))
    page = out.read_text()
    assert version[0] in page
    assert not re.search(r"(?:src|href)=", page), "nothing is loaded from anywhere"
    for words in ("Made of", "Content (SHA-256)", "scikit-learn", "On outcomes that came later", "promoted"):
        assert words in page


def test_what_is_refused_is_said(run: CliRunner) -> None:
    """A model that is none, one that is no candidate, no way back: one line, not a trace."""
    for words in (
        ("evaluate", "mdl_0123456789abcdef"),
        ("promote", "x", "--reason", "-"),
        ("rollback", "--reason", "-"),
    ):
        done = run.invoke(commands.group, list(words))
        assert done.exit_code == 1
        assert getattr(done.exception, "code", "") in {"not_found", "not_a_candidate", "nothing_to_restore"}
