"""SoftHSM: a PKCS#11 token in a folder, for the tests that need one."""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

PIN = "1234"
LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
LIBRARY = next((Path(path) for path in LIBRARIES if Path(path).exists()), None)

needs_softhsm = pytest.mark.skipif(
    LIBRARY is None or shutil.which("softhsm2-util") is None or find_spec("pkcs11") is None,
    reason="softhsm2 or python-pkcs11 is not installed",
)


def make_token(home: Path, patch: pytest.MonkeyPatch) -> None:
    """A token labelled `exchange` in `home`, for this process and those it starts."""
    (home / "tokens").mkdir(parents=True)
    (home / "softhsm2.conf").write_text(f"directories.tokendir = {home}/tokens\nlog.level = ERROR\n")
    patch.setenv("SOFTHSM2_CONF", str(home / "softhsm2.conf"))
    command = ["softhsm2-util", "--init-token", "--free", "--label", "exchange", "--pin", PIN, "--so-pin", "5678"]
    subprocess.run(command, check=True, capture_output=True)
