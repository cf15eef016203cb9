"""A headless Chromium, steered over a pipe by the DevTools protocol: what a page shows and does.

Messages are JSON with a NUL behind each; the browser reads them from descriptor 3 and answers on
descriptor 4 (`--remote-debugging-pipe`).
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = "chromium"
_SWITCHES = (
    "--headless",
    "--no-sandbox",  # which it cannot have as root
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-breakpad",
    "--force-device-scale-factor=1",
    "--remote-debugging-pipe",
)
_KEYS = {"Enter": "\r", " ": " "}


class Browser:
    """The one browser of a test module."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._rest = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: object) -> dict[str, Any]:
        """The result of one command; events that come before it are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def wait(self, method: str, session: str) -> dict[str, Any]:
        """The first event of this kind that is not seen yet."""
        wanted = (method, session)
        while not (found := [event for event in self.events if _origin(event) == wanted]):
            self.events.append(self._next())
        self.events.remove(found[0])
        return found[0]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._answers, 1 << 16)
            if not more:
                raise RuntimeError("the browser has ended")
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


class Page:
    """One file in a tab of its own."""

    def __init__(self, browser: Browser, path: Path, *, scheme: str, width: int, height: int):
        self._browser = browser
        self._target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        shape = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **shape)
        wanted = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[wanted])
        self.call("Page.navigate", url=path.as_uri())
        browser.wait("Page.loadEventFired", self._session)

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """The result of one command to this tab."""
        return self._browser.call(method, self._session, **parameters)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press keys one after another, by their DOM names."""
        for key in keys:
            text = {"text": _KEYS[key]} if key in _KEYS else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, selector: str) -> None:
        """Click the middle of the first element that a selector finds."""
        x, y = self.run(
            f"(() => {{ const each = document.querySelector({json.dumps(selector)});"
            "each.scrollIntoView({block: 'nearest'}); const box = each.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self) -> bytes:
        """What the window shows, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def complaints(self) -> list[str]:
        """What the console says, violations of the policy and uncaught errors included."""
        return [
            _complaint(event["method"], event["params"])
            for event in self._seen(
                "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"
            )
        ]

    def requests(self) -> list[str]:
        """Every address that the page asked for."""
        sent = self._seen("Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in sent]

    def close(self) -> None:
        """Close the tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)

    def _seen(self, *methods: str) -> list[dict[str, Any]]:
        self.run("new Promise((done) => setTimeout(done))")  # what is under way comes first
        return [
            event
            for event in self._browser.events
            if event.get("sessionId") == self._session and event["method"] in methods
        ]


def _origin(event: dict[str, Any]) -> tuple[str, str | None]:
    return event["method"], event.get("sessionId")


def _complaint(method: str, details: dict[str, Any]) -> str:
    if method == "Log.entryAdded":
        return details["entry"]["text"]
    if method == "Runtime.exceptionThrown":
        return details["exceptionDetails"]["exception"]["description"]
    return " ".join(str(each.get("value")) for each in details["args"])


@contextlib.contextmanager
def chromium(home: Path) -> Iterator[Browser]:
    """A browser with all its files in `home`; ended on leaving."""
    theirs_in, commands = _pipe()
    answers, theirs_out = _pipe()
    # bash, as only a shell that knows descriptors above 9 can put these where they belong.
    start = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    command = ["bash", "-c", start, "bash", PROGRAM, *_SWITCHES, f"--user-data-dir={home}/profile"]
    places = {"HOME": str(home), "TMPDIR": str(home), "XDG_RUNTIME_DIR": str(home)}
    with (home / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command,
            env={**os.environ, **places},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            pass_fds=(theirs_in, theirs_out),
        )
    os.close(theirs_in)
    os.close(theirs_out)
    browser = Browser(commands, answers)
    try:
        yield browser
    finally:
        os.close(commands)  # which ends the browser
        os.close(answers)
        process.wait()


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are above 9, out of the way of what a shell redirects."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]
