"""Web pages of other origins, in headless Chromium: what their scripts can call, and what not.

cors_test.py BIN_FOLDER

One infermux that lists the origin of one server of pages, in front of a mock provider, and a second
server of pages that it does not list.
"""

import atexit
import contextlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chromium import Chromium
from support import Mock, infermux, main, test

KEY = "callers-key"
PAGE = """<!doctype html>
<meta charset="utf-8">
<title>A page that calls</title>
<script>
const decoder = new TextDecoder();
const head = answer => ({status: answer.status, headers: Object.fromEntries(answer.headers)});
async function call(url, init) {
  try {
    const answer = await fetch(url, init);
    return {...head(answer), text: await answer.text()};
  } catch (error) {
    return {failed: error.name};
  }
}
async function stream(url, init) {
  const answer = await fetch(url, init), reader = answer.body.getReader(), pieces = [];
  for (let piece; !(piece = await reader.read()).done;)
    pieces.push([performance.now(), decoder.decode(piece.value, {stream: true})]);
  return {...head(answer), pieces};
}
</script>
"""
CONFIG = """\
server:
  shards: 2
  max_body_bytes: 100000
  cors:
    origins: ["{origin}"]
pricing:
  alpha:
    gpt-4o: {{input_per_million: 3, output_per_million: 9}}
"""


class Pages(BaseHTTPRequestHandler):
    """Serves the page at every path."""

    def do_GET(self):
        body = PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve_pages():
    """The port of a server of pages."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def go(origin):
    """Opens the page of this origin."""
    BROWSER.do("Page.navigate", url=f"{origin}/")
    ready = "document.readyState === 'complete' && typeof stream === 'function'"
    BROWSER.wait(f"location.origin === {json.dumps(origin)} && {ready}")
    BROWSER.faults.clear()


def run(function, path, **init):
    """What the page's function comes to for a request to infermux."""
    url = f"{ROUTER}{path}"
    return BROWSER.run(f"{function}({json.dumps(url)}, {json.dumps(init)})")


def asking(key=KEY, stream=False, **fields):
    """A request for a chat completion, as client libraries send it from a browser."""
    messages = [{"role": "user", "content": "Say hello."}]
    return {
        "method": "POST",
        "headers": {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "X-Stainless-OS": "Unknown",
            "X-Infermux-Stream-Cost": "include",
        },
        "body": json.dumps({"model": "gpt-4o", "messages": messages, "stream": stream, **fields}),
    }


def check_error(answer, status, code):
    """Asserts that the page can read why it was refused."""
    assert answer["status"] == status, answer
    assert json.loads(answer["text"])["error"]["code"] == code, answer
    assert answer["headers"]["x-infermux-error"] == code, answer
    # The browser logs the status, and nothing else may be wrong.
    assert all(f"status of {status}" in fault for fault in BROWSER.faults), BROWSER.faults
    BROWSER.faults.clear()


@test
def a_page_of_a_listed_origin_calls_and_reads_the_headers():
    go(LISTED)
    answer = run("call", "/v1/chat/completions", **asking())
    assert answer["status"] == 200, answer
    assert "Say hello." in answer["text"]
    headers = answer["headers"]
    assert headers["x-infermux-provider"] == "alpha", headers
    assert float(headers["x-infermux-cost"]) > 0, headers
    assert headers["x-request-id"], headers
    models = run("call", "/v1/models", headers={"Authorization": f"Bearer {KEY}"})
    assert "gpt-4o" in models["text"], models
    assert BROWSER.faults == []


@test
def a_stream_arrives_piece_by_piece_and_tells_its_cost():
    go(LISTED)
    options = {"include_usage": True}
    answer = run("stream", "/v1/chat/completions", **asking(stream=True, stream_options=options))
    assert answer["status"] == 200, answer
    assert answer["headers"]["x-infermux-model"] == "gpt-4o", answer
    times = [time for time, _ in answer["pieces"]]
    assert len(times) > 1 and times[-1] - times[0] > 100, times
    text = "".join(text for _, text in answer["pieces"])
    events = [event.removeprefix("data: ") for event in text.split("\n\n") if event]
    assert events.pop() == "[DONE]", events
    chunks = [json.loads(event) for event in events]
    said = [one["choices"][0]["delta"].get("content", "") for one in chunks if one["choices"]]
    assert "".join(said) == "mock alpha: Say hello.", said
    assert chunks[-1]["usage"]["cost_usd"] > 0, chunks[-1]
    assert BROWSER.faults == []


@test
def a_refused_page_can_read_why():
    go(LISTED)
    unknown = run("call", "/v1/chat/complete", **asking())
    check_error(unknown, 404, "unknown_url")
    assert "/v1/chat/completions" in unknown["text"], unknown
    check_error(run("call", "/v1/chat/completions", **asking(key="wrong")), 401, "invalid_api_key")
    check_error(run("call", "/v1/chat/completions", **asking(model="x")), 404, "model_not_found")
    check_error(run("call", "/v1/chat/completions"), 405, "method_not_allowed")
    # It is refused while the browser still sends.
    large = asking(padding="x" * 3_000_000)
    check_error(run("call", "/v1/chat/completions", **large), 413, "request_too_large")


@test
def what_is_not_allowed_is_kept_from_the_page():
    go(LISTED)
    for path, init in [
        ("/_infermux/health", {}),
        ("/_infermux/status", {"headers": {"Authorization": "Bearer x"}}),
        ("/v1/chat/completions", {**asking(), "method": "PUT"}),
        # What a browser adds by itself means nothing here.
        ("/v1/chat/completions", {**asking(), "credentials": "include"}),
    ]:
        assert run("call", path, **init) == {"failed": "TypeError"}, path
        assert any("CORS policy" in fault for fault in BROWSER.faults), BROWSER.faults
        BROWSER.faults.clear()


@test
def a_page_of_another_origin_is_blocked():
    before = len(ALPHA.requests())
    same_server = LISTED.replace("127.0.0.1", "localhost")
    for origin in (OTHER, same_server):
        go(origin)
        for path, init in [
            ("/v1/chat/completions", asking()),
            ("/v1/models", {"headers": {"Authorization": f"Bearer {KEY}"}}),
            # Without a preflight: it is answered, and the page cannot read that.
            ("/v1/models", {}),
        ]:
            assert run("call", path, **init) == {"failed": "TypeError"}, (origin, path)
            assert any("CORS policy" in fault for fault in BROWSER.faults), BROWSER.faults
            BROWSER.faults.clear()
    assert len(ALPHA.requests()) == before


if __name__ == "__main__":
    with contextlib.ExitStack() as stack:
        LISTED, OTHER = (f"http://127.0.0.1:{serve_pages()}" for _ in range(2))
        ALPHA = Mock("alpha", event_interval_ms=200)
        router = infermux(ALPHA, key=KEY, more=CONFIG.format(origin=LISTED))
        ROUTER = stack.enter_context(router).removesuffix("/v1")
        BROWSER = Chromium()
        atexit.register(BROWSER.stop)
        sys.exit(main())
