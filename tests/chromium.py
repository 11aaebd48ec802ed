"""A headless Chromium for tests, driven by the DevTools protocol over two pipes."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
"""The path of the browser; None where there is none."""

LIMIT = 90.0
"""Seconds; a guard against a browser that hangs."""

_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")


class Page:
    """A page in the browser.

    commands: the pipe for commands. messages: the pipe for answers and events.
    """

    def __init__(self, commands: int, messages: int) -> None:
        self._commands, self._messages = commands, messages
        self._bytes, self._count = b"", 0
        self._session: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        """All events of the protocol, such as ``Network.eventSourceMessageReceived``."""

    def open(self, url: str) -> None:
        """Open a URL in a new tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Network", "Page", "Runtime"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=url)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the result of a command of the protocol."""
        self._count += 1
        text = json.dumps({"id": self._count, "method": method, "params": params, **self._session})
        os.write(self._commands, text.encode() + b"\0")
        while (message := self._next()).get("id") != self._count:
            self.events.append(message)
        assert "error" not in message, message
        return dict(message["result"])

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return when a condition holds, which looks at the page again and again."""
        end = monotonic() + LIMIT
        while not condition():
            assert monotonic() < end, f"the last messages of the browser: {self.events[-10:]}"
            select.select([self._messages], [], [], 0.05)

    def heard(self) -> list[tuple[str, str, Any]]:
        """Return id, name and data of each event of Server-Sent Events that the browser has received."""
        found = [each["params"] for each in self.events if each.get("method") == "Network.eventSourceMessageReceived"]
        return [(each["eventId"], each["eventName"], json.loads(each["data"])) for each in found]

    def _next(self) -> dict[str, Any]:
        end = monotonic() + LIMIT
        while b"\0" not in self._bytes:
            readable, _, _ = select.select([self._messages], [], [], max(0.0, end - monotonic()))
            assert readable, f"no message of the browser; the last ones: {self.events[-5:]}"
            received = os.read(self._messages, 1 << 16)
            assert received, "the browser has ended"
            self._bytes += received
        text, _, self._bytes = self._bytes.partition(b"\0")
        return dict(json.loads(text))


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """Run a browser for a block, with its profile in a folder."""
    assert PROGRAM is not None
    (to_browser, commands), (messages, from_browser) = os.pipe(), os.pipe()
    script = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'  # the numbers that it reads from and writes to
    argv = ["bash", "-c", script, "bash", PROGRAM, *_OPTIONS, f"--user-data-dir={folder}", "--remote-debugging-pipe"]
    with subprocess.Popen(
        argv, pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        os.close(to_browser)
        os.close(from_browser)
        try:
            yield Page(commands, messages)
        finally:
            os.close(commands)
            os.close(messages)
            process.terminate()
            process.wait(LIMIT)
