"""The card: figures against outcomes, and a page that needs nothing else."""

import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

from scoring import card
from scoring.evaluation import JudgementUneven

BAD = np.array([True, False] * 50 + [False] * 100)
CHANCE = np.where(BAD, 400_000, 50_000)


def whole() -> dict[str, Any]:
    """Everything a card can say."""
    curves = card.curves(CHANCE, outcome=BAD)
    loss = {"payers": 40, "difference": -0.01, "low": -0.02, "high": -0.001}
    figures = {"pd": {"psi_ppm": 9_000, "critical_ppm": 20_000, "drifted": False}}
    return {
        "version": "mdl_0", "state": "in force", "since": "2026-03-02", "card": {"as_of_day": 20_000},
        "comparison": {
            "rows": 200, "events": 50, "verdict": "better", "log_loss": loss,
            "curves": {"candidate": curves, "incumbent": curves},
        },
        "drift": {"rows": 10, "learned_rows": 100, "verdict": "stable", "figures": figures},
        "migration": [[0, 0, 5], [0, 3, 1]],
        "losses": [("lgd", "40 %", "3", "40 %", "20", "2026-03-02")],
        "events": [("2026-03-02", "promoted", "<script>alert(1)</script>", "& why")],
    }  # fmt: skip


def page(model: dict[str, Any]) -> str:
    """The card as HTML."""
    return card.page(model, body_sha256="ab" * 32, libraries={"numpy": "2"})


def test_curves_by_hand() -> None:
    """A model that knows: every bad outcome is among the riskiest quarter, and the tenths say what was foretold."""
    found = card.curves(CHANCE, outcome=BAD)
    assert found["figures_ppm"]["auc"] == found["figures_ppm"]["ks"] == 1_000_000
    assert found["gain_ppm"][:7] == [0, 200_000, 400_000, 600_000, 800_000, 1_000_000, 1_000_000]
    assert found["calibration"][-1] == [20, 400_000, 1_000_000]
    assert sum(rows for rows, _, _ in found["calibration"]) == len(BAD)


def test_curves_without_both_classes() -> None:
    """Where all outcomes are the same there is nothing to rank, and that is said, not made up."""
    found = card.curves([1_000, 2_000], outcome=[False, False])
    assert (found["figures_ppm"]["auc"], found["gain_ppm"]) == (None, None)
    assert found["figures_ppm"]["log_loss"] is not None
    with pytest.raises(JudgementUneven):
        card.curves([1_000], outcome=[False, False])


def test_the_page_is_whole_and_safe() -> None:
    """Four plots as sound SVG, every text escaped, nothing loaded, no style outside the one that is allowed by hash."""
    told = page(whole())
    plots = re.findall(r"<svg.*?</svg>", told, re.DOTALL)
    assert len(plots) == 4
    assert all(ET.fromstring(plot) is not None for plot in plots)  # noqa: S314 - our own text
    assert "<script" not in told
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in told
    assert not re.search(r"(?:src|href|style)=|url\(", told)
    assert told.count("<style>") == 1
    assert page(whole()) == told


def test_a_card_of_little() -> None:
    """A prior without outcomes says what is missing."""
    told = page({"version": "mdl_0", "state": "labelled prior", "since": "ever", "card": {"kind": "prior"}})
    assert "none has become known since it was trained" in told
    assert "no reference" in told
    assert "<svg" not in told
    thin = page(whole() | {"comparison": {"why": "3 payers", "rows": 1, "events": 0, "verdict": "too_thin"}})
    assert "3 payers" in thin
