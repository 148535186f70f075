"""The contract by linters that are not ours: spectral with OWASP's rules, and redocly."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.interop.conftest import FOREIGN

pytestmark = pytest.mark.long
CONTRACT = ROOT / "openapi" / "exchange.json"
SECONDS = 600


def test_spectral_finds_no_error(node_modules: Path) -> None:
    """Its own rules and OWASP's, but for what tests/interop/foreign/spectral.yaml gives a reason for."""
    rules = node_modules / "spectral.yaml"  # where its packages are found
    rules.write_text((FOREIGN / "spectral.yaml").read_text())
    told = _run(node_modules, "spectral", "lint", CONTRACT, "--ruleset", rules, "--format", "json", "--quiet")
    found = json.loads(told.stdout)
    assert found, "there are warnings, or else nothing was looked at"
    errors = {f"{one['code']}: {'/'.join(map(str, one['path']))}" for one in found if one["severity"] == 0}
    assert errors == set()


def test_redocly_finds_no_error(node_modules: Path) -> None:
    """What it recommends."""
    told = _run(node_modules, "redocly", "lint", CONTRACT, "--format", "json")
    totals = json.loads(told.stdout)["totals"]
    assert (totals["errors"], told.returncode) == (0, 0), told.stdout[:3000]


def _run(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    program, *rest = map(str, words)
    command = [str(folder / "node_modules" / ".bin" / program), *rest]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, cwd=folder)
