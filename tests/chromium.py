"""A browser without a window, driven by the DevTools protocol over a pair of pipes."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

# Width of the window (CSS pixels), and whether the reader prefers dark pages.
LOOKS = {"light": (1200, False), "dark": (1200, True), "narrow": (400, False)}
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe"),
)
# The browser reads commands from file 3 and writes answers to file 4.
_PIPES = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null'
_SECONDS = 120.0
_FAULTS = (Path(__file__).parent / "faults.js").read_text(encoding="utf-8")


def find() -> str | None:
    """Return the path of a browser of this machine; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser; continuous integration must have one, elsewhere tests are skipped without."""
    path = find()
    if path is None:
        assert not os.environ.get("CI"), f"needs one of {', '.join(NAMES)}: make browser"
        pytest.skip("no browser here; make browser installs one")
    with Chromium(path, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


class Chromium:
    """One page of a browser.

    What goes wrong in the page (errors of scripts, what the console and the browser's log call an
    error) is in `errors`.

    Args:
        path: path of the browser.
        folder: new folder for its profile.
    """

    def __init__(self, path: str, folder: Path) -> None:
        flags = [*_FLAGS, f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(
            ["sh", "-c", _PIPES, "sh", path, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._rest, self._number, self._session = b"", 0, ""
        self._loaded = False
        self.errors: list[str] = []

    def __enter__(self) -> Chromium:
        pages = self._send("Target.getTargets")["targetInfos"]
        (page,) = (one["targetId"] for one in pages if one["type"] == "page")
        found = self._send("Target.attachToTarget", targetId=page, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._send(f"{domain}.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session = ""
        try:
            self._send("Browser.close")
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()

    def open(self, page: Path, look: str) -> None:
        """Open a file in a window of one of the looks, and wait until it is loaded."""
        width, dark = LOOKS[look]
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._send("Emulation.setDeviceMetricsOverride", **size)
        self.errors.clear()
        self._loaded = False
        answer = self._send("Page.navigate", url=page.resolve().as_uri())
        assert "errorText" not in answer, f"{page}: {answer['errorText']}"
        while not self._loaded:
            self._hear(self._read())

    def ask(self, script: str) -> Any:
        """Return the value of an expression in JavaScript, as JSON has it."""
        answer = self._send("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def faults(self) -> list[str]:
        """Say what is wrong with the page that is open, with all its details unfolded."""
        found: list[str] = self.ask(_FAULTS)
        return [*(f"error: {error}" for error in self.errors), *found]

    def picture(self, goal: Path) -> None:
        """Write the whole page as a PNG file."""
        taken = self._send("Page.captureScreenshot", captureBeyondViewport=True)
        goal.write_bytes(base64.b64decode(taken["data"]))

    def _send(self, method: str, **arguments: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": arguments}
        if self._session:
            message["sessionId"] = self._session
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        self._process.stdin.flush()
        while True:
            heard = self._read()
            if heard.get("id") == self._number:
                assert "error" not in heard, f"{method}: {heard['error']}"
                return heard["result"]
            self._hear(heard)

    def _hear(self, event: dict[str, Any]) -> None:
        """Note what an event of the page says."""
        said = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(said["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if said["type"] in ("error", "assert"):
                self.errors.append(json.dumps(said["args"]))
            case "Log.entryAdded" if said["entry"]["level"] == "error":
                self.errors.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")

    def _read(self) -> dict[str, Any]:
        """Return the next message; each ends with a zero byte."""
        assert self._process.stdout is not None
        end = time.monotonic() + _SECONDS
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._process.stdout], [], [], end - time.monotonic())
            chunk = os.read(self._process.stdout.fileno(), 1 << 16) if ready else b""
            assert chunk, "the browser has ended, or says nothing more"
            self._rest += chunk
        message, self._rest = self._rest.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found
