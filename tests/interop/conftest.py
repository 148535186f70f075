"""Verifiers that are not ours, from the ordinary package sources, kept in a folder outside the tree."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from exchange.packs.export import export_pack
from exchange.registry.actions import Fact, note_many
from tests.exchange.house import House, receivable
from tests.exchange.premises import premises

REQUIRED = os.environ.get("EXCHANGE_INTEROP") == "required"
"""Where this is set, what cannot be had fails instead of being skipped."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "exchange-interop"
NPM = (
    *("jose@6.2", "@sd-jwt/core@0.10", "canonicalize@2.1", "oauth4webapi@3.8"),
    *("@stoplight/spectral-cli@6.16", "@stoplight/spectral-owasp-ruleset@2.0", "@redocly/cli@2.77"),
)
AICS_TLOG = "aics-tlog==0.2.1"
GO_MODULES = Path("/usr/share/gocode")
"""Where Debian keeps the sources of golang-golang-x-mod-dev."""
FOREIGN = Path(__file__).parent / "foreign"
SECONDS = 120


@dataclass(frozen=True)
class Evidence:
    """What an auditor can fetch: the exchange, a pack of it, and an older checkpoint."""

    house: House
    pack: Path
    old: str


def missing(reason: str) -> None:
    """Skip, or fail where everything has to be there."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


def run(*command: str | Path, stdin: str = "", **environment: str) -> str:
    """What a program writes; what it says when it fails fails the test (`CalledProcessError`)."""
    told = subprocess.run(
        [str(one) for one in command],
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
        env=os.environ | environment,
    )
    return told.stdout


def program(name: str) -> str:
    """The path of a program."""
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed")
    return str(found)


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The npm packages."""
    folder, npm = CACHE / "npm", program("npm")
    folder.mkdir(parents=True, exist_ok=True)
    if not all((folder / "node_modules" / one.rpartition("@")[0]).exists() for one in NPM):
        try:
            run(npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, *NPM)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            missing(f"npm cannot install {NPM}: {error}")
    return folder


@pytest.fixture(scope="session")
def go_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built with Debian's golang.org/x/mod."""
    if not (GO_MODULES / "src/golang.org/x/mod/sumdb/tlog").exists():
        missing("golang-golang-x-mod-dev is not installed")
    binary = tmp_path_factory.mktemp("go") / "log"
    run(program("go"), "build", "-o", binary, FOREIGN / "log.go", GO111MODULE="off", GOPATH=str(GO_MODULES), GOFLAGS="")
    return binary


@pytest.fixture(scope="session")
def aics_tlog() -> Path:
    """The folder of aics-tlog. It asks for Python 3.12, and works on what we have."""
    folder = CACHE / AICS_TLOG
    if not folder.exists():
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:")
        try:
            run(*pip, "--python-version", "3.12", "--target", folder, AICS_TLOG)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            missing(f"pip cannot install {AICS_TLOG}: {error}")
    return folder


@pytest.fixture(scope="module")
def evidence(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """An exchange with three hundred records and more, of which one checkpoint is older than the last."""
    home = tmp_path_factory.mktemp("home")
    with premises(server_url, home) as house:
        papers = [{"kind": "invoice", "sha256": "ab" * 32}, {"kind": "contract", "sha256": "cd" * 32}]
        house.submit(receivable("发票 №1", documents=papers), receivable("INV-2"))
        old = house.app.test_client().get("/log/checkpoint").text
        services = house.services
        with services.database.transaction() as session:
            facts = [Fact(f"ast_{number}", "asset.confirmed", {"face_minor": number}) for number in range(300)]
            note_many(session, facts=facts, now=services.clock.now(session))
        house.run()
        export_pack(services, folder=home / "pack", step=lambda _path, _rows: None)
        yield Evidence(house, home / "pack", old)
