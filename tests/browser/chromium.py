"""A headless Chromium, driven over a pair of pipes (Chrome DevTools Protocol): no driver to install."""

import base64
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--remote-debugging-pipe",
)
LAUNCH = """
import fcntl, os, sys
reads, writes = (fcntl.fcntl(int(pipe), fcntl.F_DUPFD, 10) for pipe in sys.argv[1:3])
os.dup2(reads, 3)
os.dup2(writes, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Puts the pipes where Chromium looks for them."""
PATIENCE_SECONDS = 30


def program() -> str | None:
    """Where Chromium is, if it is."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class PageLeft(Exception):
    """The page went away while it was asked."""


class Page:
    """One page. What goes wrong in it (exceptions, refused and failed loads) is kept in `troubles`."""

    def __init__(self, commands: int, events: int) -> None:
        self._commands, self._events = commands, events
        self._numbers = itertools.count(1)
        self._rest = b""
        self._session = ""
        self.troubles: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, url: str, *, until: str = "document.readyState === 'complete'") -> None:
        """Go to `url` and wait for the JavaScript condition `until`."""
        self._call("Page.navigate", url=url)
        self.wait(f"location.href !== 'about:blank' && {until}")

    def wait(self, condition: str) -> None:
        """Wait until a JavaScript condition holds, whatever page comes meanwhile."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            with suppress(PageLeft):
                if self.run(f"Boolean({condition})"):
                    return
            time.sleep(0.02)
        raise AssertionError(f"never came true: {condition}; {self.troubles}")

    def run(self, expression: str) -> Any:  # noqa: ANN401 - whatever the expression gives
        """The value of a JavaScript expression, of its promise if it is one."""
        answer = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def look(self, *, dark: bool, width: int = 1440, height: int = 900) -> None:
        """Set window and colour scheme."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, file: Path) -> None:
        """Keep the whole page as a PNG."""
        answer = self._call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(answer["data"]))

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, msgspec.json.encode(message) + b"\0")
        while True:
            told = self._next()
            if told.get("id") == number:
                if "error" in told:
                    raise PageLeft(f"{method}: {told['error']}")
                result: dict[str, Any] = told["result"]
                return result
            self._note(told)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._events, 1 << 20)
            assert part, "Chromium is gone"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = msgspec.json.decode(message)
        return told

    def _note(self, told: dict[str, Any]) -> None:
        method, said = told.get("method"), told.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.troubles.append(str(said["exceptionDetails"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.troubles.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
        elif method == "Network.loadingFailed":
            self.troubles.append(str(said["errorText"]))


@contextmanager
def page(binary: str, *, home: Path) -> Iterator[Page]:
    """A page of a browser of its own, whose profile is in `home`."""
    browser_reads, commands = os.pipe()
    events, browser_writes = os.pipe()
    pipes = (browser_reads, browser_writes)
    command = [sys.executable, "-c", LAUNCH, *map(str, pipes), binary, *FLAGS, f"--user-data-dir={home}"]
    browser = subprocess.Popen(command, pass_fds=pipes, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(browser_reads)
    os.close(browser_writes)
    try:
        yield Page(commands, events)
    finally:
        browser.terminate()
        browser.wait()
        os.close(commands)
        os.close(events)
