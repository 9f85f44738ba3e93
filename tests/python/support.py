"""What the tests are made of: mock providers, infermux as a child process, and the client.

Every test starts its own mock providers and its own infermux on free ports, so that no test sees
what another one did to a circuit or a budget. With --mock-only the checks that do not depend on
infermux run against a mock alone, which shows that they and the mock are right.
"""

import atexit
import contextlib
import json
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.request
from pathlib import Path

BIN = Path(sys.argv[1])
MOCK_ONLY = "--mock-only" in sys.argv[2:]
MODELS = ["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"]
QUESTION = [{"role": "user", "content": "Say hello."}]
PATIENCE_SECONDS = 30

TESTS = []


def test(function):
    """Marks a test; its name is the sentence that is printed."""
    TESTS.append(function)
    return function


def routed(function):
    """Marks a test that is about infermux itself."""
    return function if MOCK_ONLY else test(function)


# Processes ---------------------------------------------------------------------------------------


class Process:
    """A child that is killed at the end; what it writes can be waited for."""

    def __init__(self, *command):
        self.said = []
        self.lines = queue.Queue()
        self.child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        # Whichever way this program ends, its children end with it.
        atexit.register(self.stop)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.child.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def wait_for(self, pattern):
        """The match of the first line that has `pattern` in it."""
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE_SECONDS)
            except queue.Empty:
                line = None
            if line is None:
                said = "\n".join(self.said)
                raise AssertionError(f"{self.child.args[0]} never said {pattern!r}:\n{said}")
            self.said.append(line)
            if found := re.search(pattern, line):
                return found

    def stop(self):
        self.child.kill()
        self.child.wait()


class Mock:
    """A mock provider and its control address; `fields` are further lines of its configuration."""

    def __init__(self, name, fields=(), **script):
        instance = {
            "name": name,
            "listen": "127.0.0.1:0",
            "control": "127.0.0.1:0",
            "key": f"sk-{name}",
            "models": MODELS,
            **script,
        }
        self.name = name
        self.fields = fields
        self.type = instance.get("dialect", "openai")
        self.models = instance["models"]
        self.process = Process(BIN / "infermux-mock", "--instance", json.dumps(instance))
        found = self.process.wait_for(r"listening on (\S+) \(control (\S+)\)")
        # The vendors' own clients differ in whose part the version is.
        self.url = f"http://{found[1]}" if self.type == "anthropic" else f"http://{found[1]}/v1"
        self.control = f"http://{found[2]}/_mock"

    def requests(self):
        """What the mock was asked, apart from listings."""
        with urllib.request.urlopen(f"{self.control}/requests", timeout=PATIENCE_SECONDS) as answer:
            last = json.load(answer)["last"]
        return [request for request in last if request["method"] == "POST"]


CONFIG = """\
listen: 127.0.0.1:0
auth:
{auth}
providers:
{providers}
routing:
  strategy: priority
"""

PROVIDER = """\
  - name: {name}
    type: {type}
    api_key: sk-{name}
    base_url: {url}
    timeout: 10s
    models: [{models}]
"""


class Router(Process):
    """An infermux, and what it says of the requests that it has answered."""

    def __init__(self, file):
        super().__init__(BIN / "infermux", "serve", "--config", file, "--no-health-checks")
        self.port = self.wait_for(r"listening on \S*?:(\d+)\b")[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def requests(self, count=0):
        """The fields of each request's line in the log, in order; waits for `count` of them."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            while not self.lines.empty():
                self.said.append(self.lines.get() or "")
            lines = [line for line in self.said if " INFO  request " in line]
            if len(lines) >= count or time.monotonic() >= until:
                return [dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line)) for line in lines]
            time.sleep(0.01)


@contextlib.contextmanager
def infermux(*mocks, key=None, more=""):
    """The address of an infermux in front of `mocks`, which are stopped with it; `more` of a file."""
    with running(*mocks, key=key, more=more) as router:
        yield f"{router.url}/v1"


@contextlib.contextmanager
def running(*mocks, key=None, mode="passthrough", more=""):
    """An infermux in front of `mocks`, as above; `mode` is that of `auth`, with what belongs to it."""
    auth = f"  mode: {mode}" if key is None else f"  mode: static_key\n  key: {key}"
    providers = "".join(
        PROVIDER.format(
            name=mock.name, type=mock.type, url=mock.url, models=", ".join(mock.models)
        )
        + "".join(f"    {field}\n" for field in mock.fields)
        for mock in mocks
    )
    with contextlib.ExitStack() as stack:
        for mock in mocks:
            stack.callback(mock.process.stop)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="infermux-python-"))
        file = Path(folder) / "infermux.yml"
        file.write_text(CONFIG.format(auth=auth, providers=providers) + more)
        router = Router(file)
        stack.callback(router.stop)
        yield router


@contextlib.contextmanager
def served(key=None):
    """A client of a healthy service: infermux and two providers, or one mock alone."""
    if MOCK_ONLY:
        alpha = Mock("alpha")
        with contextlib.closing(client(alpha.url, "sk-alpha")) as own:
            try:
                yield own
            finally:
                alpha.process.stop()
    else:
        with infermux(Mock("alpha"), Mock("beta"), key=key) as url, client(url, key) as own:
            yield own


def client(url, key=None):
    """A client that does not retry: every failure must show."""
    # Here, because the tests of the page do without it.
    import openai

    return openai.OpenAI(
        base_url=url, api_key=key or "caller", max_retries=0, timeout=PATIENCE_SECONDS
    )


@contextlib.contextmanager
def raises(kind, where=""):
    """Asserts that the block raises `kind`; the exception is in the list that it gives."""
    seen = []
    try:
        yield seen
    except kind as error:
        seen.append(error)
        return
    raise AssertionError(f"no {kind} was raised {where}".rstrip())


def check_error(error, status, code):
    """Asserts the shape that every error of infermux has."""
    assert error.status_code == status, error
    assert error.code == code, error
    body = error.body
    assert set(body) >= {"message", "type", "param", "code"}, body
    assert body["type"] == "infermux_error", body
    assert error.response.headers["x-infermux-error"] == code, error.response.headers


def check_retry_after(error):
    """Asserts that the answer says when to come back."""
    headers = error.response.headers
    assert 1 <= int(headers["retry-after"]) <= 60, headers
    assert int(headers["retry-after-ms"]) > 0, headers


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed = 0
    for function in TESTS:
        name = function.__name__.replace("_", " ")
        try:
            function()
            print(f"ok      {name}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    print(f"\n{len(TESTS) - failed} passed, {failed} failed")
    return 1 if failed else 0
