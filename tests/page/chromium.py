"""A headless Chromium, told what to do over the pipe of its DevTools protocol."""

import base64
import fcntl
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time

PATIENCE_SECONDS = 20


class Chromium:
    """One browser with one tab. What goes wrong in the page is gathered in `faults`."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(
            prefix="infermux-page-", ignore_cleanup_errors=True
        )
        # Chromium reads commands from its descriptor 3 and writes to 4.
        their_in, our_out = os.pipe()
        our_in, their_out = os.pipe()
        # Out of the way of 3 and 4, so that neither is overwritten before it is copied.
        lent = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (their_in, their_out)]
        self.child = subprocess.Popen(
            [
                "/bin/bash",
                "-c",
                f'exec "$@" 3<&{lent[0]} 4>&{lent[1]}',
                "chromium",
                os.environ["CHROMIUM"],
                "--headless",
                "--remote-debugging-pipe",
                f"--user-data-dir={self.profile.name}",
                "--no-first-run",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
            ],
            pass_fds=lent,
            # With the processes that it starts, it can be ended as one.
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for one in (their_in, their_out, *lent):
            os.close(one)
        self.out = our_out
        self.answers = queue.Queue()
        self.faults = []
        self.asked = []
        self.number = 0
        self.session = None
        threading.Thread(target=self._listen, args=(our_in,), daemon=True).start()
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        attached = self.do("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    def _listen(self, file):
        rest = b""
        while piece := os.read(file, 1 << 20):
            *messages, rest = (rest + piece).split(b"\0")
            for message in messages:
                self._take(json.loads(message))
        self.answers.put({"error": "the browser has ended"})

    def _take(self, message):
        kind, told = message.get("method"), message.get("params", {})
        if kind is None:
            self.answers.put(message)
        elif kind == "Log.entryAdded":
            entry = told["entry"]
            self.faults.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
        elif kind == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            self.faults.append(f"exception: {text}")
        elif kind == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.faults.append(f"console: {told['args']}")
        elif kind == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])

    def do(self, method, **params):
        """Carries a command out and gives its result."""
        self.number += 1
        command = {"id": self.number, "method": method, "params": params}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.out, json.dumps(command).encode() + b"\0")
        answer = self.answers.get(timeout=PATIENCE_SECONDS)
        assert "error" not in answer, f"{method}: {answer['error']}"
        assert answer["id"] == self.number, answer
        return answer["result"]

    def run(self, script):
        """The value of a JavaScript expression in the page."""
        result = self.do(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, f"{script}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def wait(self, script):
        """The value of a JavaScript expression, once it is true."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}\n{self.run(TEXT)}"
            time.sleep(0.05)
        return value

    def show(self, width, height, scheme):
        """Sets the size of the window and the color scheme."""
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.do("Emulation.setEmulatedMedia", features=[feature])

    def type(self, text):
        """Types into what has the focus, and presses Enter."""
        self.do("Input.insertText", text=text)
        self.press("Enter", 13, "\r")

    def press(self, key, code, text=""):
        """Presses a key."""
        for kind in ("keyDown", "keyUp"):
            self.do(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
            )

    def click(self, selector):
        """Clicks where an element is, as a person would."""
        self.run(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        x, y = self.run(
            f"(r => [r.x + r.width / 2, r.y + r.height / 2])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self, path, height=None):
        """Saves the page as an image, all of it or so much from its top."""
        size = self.do("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        taken = self.do(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip
        )
        path.write_bytes(base64.b64decode(taken["data"]))

    def stop(self):
        os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self.profile.cleanup()


TEXT = "document.body.innerText"
