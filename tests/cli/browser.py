"""A headless Chromium, driven through a pipe by its DevTools protocol."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    def __init__(self, to: int, of: int) -> None:
        self._to, self._of, self._count, self._rest = to, of, 0, b""
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **arguments: Any) -> Any:
        self._count += 1
        message = {"id": self._count, "method": method, "params": arguments}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _read(self) -> Any:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._of], [], [], 60)
            if not ready:
                raise TimeoutError("Chromium does not answer")
            self._rest += os.read(self._of, 1 << 20)
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return found["result"].get("value")

    def text(self) -> str:
        return str(self.value("document.body ? document.body.innerText : ''"))

    def wait_for(self, *texts: str, seconds: float = 60) -> str:
        """The page's text once it holds all of those. Raises TimeoutError."""
        began = time.monotonic()
        while True:
            shown = self.text()
            if all(text in shown for text in texts):
                return shown
            if time.monotonic() - began > seconds:
                missing = [text for text in texts if text not in shown]
                raise TimeoutError(f"not on the page: {missing}; it says: {shown[:2000]}")
            time.sleep(0.25)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextlib.contextmanager
def browse(width: int = 1600, height: int = 1200) -> Iterator[Page]:
    assert CHROMIUM is not None
    to_read, to_write = os.pipe()
    of_read, of_write = os.pipe()

    def wire() -> None:  # its file descriptors 3 and 4
        first, second = os.dup(to_read), os.dup(of_write)
        os.dup2(first, 3)
        os.dup2(second, 4)
        os.set_inheritable(3, True)
        os.set_inheritable(4, True)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                 "--disable-sync", "--no-first-run", "--hide-scrollbars", f"--user-data-dir={profile}",
                 f"--window-size={width},{height}", "--remote-debugging-pipe"]  # fmt: skip
        process = subprocess.Popen(words, preexec_fn=wire, close_fds=False, stderr=subprocess.DEVNULL)
        try:
            yield Page(to_write, of_read)
        finally:
            process.kill()
            process.wait()
            for end in (to_read, to_write, of_read, of_write):
                os.close(end)
