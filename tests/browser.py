"""A headless Chromium for tests, spoken to in its DevTools protocol over a pipe.

Chromium's `--remote-debugging-pipe` reads JSON from file descriptor 3 and writes it to 4, each
message ended by a NUL byte. So there is no port, no driver, and nothing to install beside Debian's
`chromium`. Messages: https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import needs
from limits import HANG_SECONDS, Limit, wait_until

_KEYS = {
    "Tab": 9,
    "Enter": 13,
    "Escape": 27,
    " ": 32,
    "PageUp": 33,
    "PageDown": 34,
    "End": 35,
    "Home": 36,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
}
_SHIFT, _CONTROL = 8, 2


class Page:
    """One tab, and all that it said.

    Attributes:
        complaints: what it wrote to the console, violations of its policy and errors among it.
        requests: the addresses that it asked for.
        dialogs: what it showed in dialogs.
    """

    def __init__(self, folder: Path) -> None:
        needs.require("Chromium")
        program = next(filter(None, map(shutil.which, needs.CHROMIUM)))
        to_read, to_write = os.pipe(), os.pipe()
        self._process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--no-sandbox",  # tests may run as root; the pages are ours
                "--remote-debugging-pipe",
                f"--user-data-dir={folder}",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
                "--hide-scrollbars",
                "--font-render-hinting=none",
                "about:blank",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=self._descriptors(to_read[0], to_write[1]),
            preexec_fn=lambda: (os.dup2(to_read[0], 3), os.dup2(to_write[1], 4)),
        )
        os.close(to_read[0])
        os.close(to_write[1])
        self._out, self._in = to_read[1], to_write[0]
        self._buffer, self._number = b"", 0
        self._session: str | None = None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        target = next(
            one["targetId"]
            for one in self.ask("Target.getTargets")["targetInfos"]
            if one["type"] == "page"
        )
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.size(1280, 800)

    @staticmethod
    def _descriptors(*numbers: int) -> tuple[int, ...]:
        for number in numbers:
            os.set_inheritable(number, True)
        return (3, 4, *numbers)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come meanwhile are noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        content = json.dumps(message).encode() + b"\0"
        limit = Limit()
        while content:
            assert select.select([], [self._out], [], limit.left)[1], f"Chromium hears no {method}"
            content = content[os.write(self._out, content[: select.PIPE_BUF]) :]
        while True:  # a page that polls has events also if it never answers
            for found in self._messages(method, limit):
                if found.get("id") == self._number:
                    assert "error" not in found, (method, found["error"])
                    return found["result"]
                self._note(found)

    def _messages(self, method: str, limit: Limit) -> Iterator[dict[str, Any]]:
        is_there = not limit.over and select.select([self._in], [], [], limit.left)[0]
        assert is_there, f"no answer to {method}; {self.complaints} {self.dialogs}"
        content = os.read(self._in, 1 << 20)
        assert content, "Chromium has ended"
        *whole, self._buffer = (self._buffer + content).split(b"\0")
        yield from map(json.loads, whole)

    def _note(self, event: dict[str, Any]) -> None:
        values = event.get("params", {})
        match event.get("method"):
            case "Runtime.consoleAPICalled":
                self.complaints.append(json.dumps(values["args"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(values["exceptionDetails"])[:1000])
            case "Log.entryAdded":
                self.complaints.append(
                    f"{values['entry']['text']} {values['entry'].get('url', '')}"
                )
            case "Network.requestWillBeSent":
                self.requests.append(values["request"]["url"][:200])
            case "Page.javascriptDialogOpening":
                self.dialogs.append(values["message"])

    def open(self, address: str) -> None:
        """Load a page and wait until it is ready."""
        self.complaints.clear()
        self.requests.clear()
        self.ask("Page.navigate", url=address)
        self.wait_for("document.documentElement?.dataset.ready === 'true'")

    def run(self, script: str) -> Any:
        """The value of an expression."""
        found = self.ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, json.dumps(found["exceptionDetails"])[:2000]
        return found["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Until an expression is true."""
        wait_until(lambda: self.run(condition), lambda: (condition, self.complaints), pause=0.02)

    def settle(self) -> None:
        """Until what was asked for is drawn."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def press(self, key: str, *, shift: bool = False, control: bool = False) -> None:
        """Press and let go one key."""
        values: dict[str, Any] = {
            "key": key,
            "code": key if len(key) > 1 else f"Key{key.upper()}" if key != " " else "Space",
            "windowsVirtualKeyCode": _KEYS.get(key) or ord(key.upper()),
            "modifiers": _SHIFT * shift + _CONTROL * control,
        }
        text = {"Enter": "\r", " ": " "}.get(key, key if len(key) == 1 else "")
        typed = {"text": text} if text and not control else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **values, **typed)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **values)
        self.settle()

    def type(self, text: str) -> None:
        """Into what has the focus."""
        self.ask("Input.insertText", text=text)
        self.settle()

    def click(self, selector: str, *, control: bool = False, between: str | None = None) -> None:
        """The middle of the first element of a selector; `between` runs before the letting go."""
        place = self.run(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)}); "
            "found.scrollIntoView({block: 'center'}); const box = found.getBoundingClientRect(); "
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.ask(
                "Input.dispatchMouseEvent",
                type=kind,
                x=place[0],
                y=place[1],
                button="left",
                clickCount=1,
                modifiers=_CONTROL * control,
            )
            if kind == "mousePressed" and between is not None:
                self.run(between)
                self.settle()
        self.settle()

    def hover(self, x: float, y: float) -> None:
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.settle()

    def size(self, width: int, height: int) -> None:
        """Of the window, in pixels."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def media(self, *, dark: bool = False, print_: bool = False) -> None:
        """What the page is told of who looks."""
        self.ask(
            "Emulation.setEmulatedMedia",
            media="print" if print_ else "",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        self.settle()

    def picture(self, path: Path, *, whole: bool = False) -> bytes:
        """A screenshot, written and given back; `whole`: of the page to its end."""
        self.settle()
        found = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        content = base64.b64decode(found["data"])
        path.write_bytes(content)
        return content

    def end(self) -> None:
        with contextlib.suppress(Exception):
            self._session = None
            self.ask("Browser.close")
        self._process.kill()
        self._process.wait(timeout=HANG_SECONDS)
        os.close(self._out)
        os.close(self._in)
