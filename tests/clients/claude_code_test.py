"""Claude Code against infermux: whole sessions, without a person at the keyboard.

claude_code_test.py BIN_FOLDER [--mock-only]
"""

import contextlib
import json
import re
import subprocess
import sys

from scenes import CLIENTS, MODEL, both, chat, home, messages, routed
from support import MOCK_ONLY, main, test
from support import routed as through_infermux

PATIENCE_SECONDS = 120
SECRET = "the harbour is deep"
PROMPT = "Copy what in.txt says to out.txt."


class Session:
    """What a session has shown, and the file that it has written."""

    def __init__(self, events, written):
        self.events = events
        self.written = written
        self.result = events[-1]

    def calls(self):
        """The names of the tools that were called."""
        said = [event for event in self.events if event["type"] == "assistant"]
        blocks = [block for event in said for block in event["message"]["content"]]
        return [block["name"] for block in blocks if block["type"] == "tool_use"]

    def retries(self):
        """The events that tell the user of a request that was repeated."""
        return [event for event in self.events if "retry" in event.get("subtype", "")]


@contextlib.contextmanager
def workshop():
    """A folder with a file to read, and what a provider says so that it is copied."""
    more = {
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    with home(**more) as (folder, environment):
        (folder / "work").mkdir()
        read, write = (folder / "work" / name for name in ("in.txt", "out.txt"))
        read.write_text(f"{SECRET}\n")
        calls = [
            {"name": "Read", "input": {"file_path": str(read)}},
            {"name": "Write", "input": {"file_path": str(write), "content": SECRET}},
        ]
        yield Workshop(folder, environment, {"calls": calls, "text": "Both files agree."})


class Workshop:
    """Where a session takes place."""

    def __init__(self, folder, environment, script):
        self.folder = folder
        self.environment = environment
        self.script = script

    def session(self, router, prompt=PROMPT, *more, key=None):
        """Runs Claude Code until it has nothing more to do."""
        written = self.folder / "work" / "out.txt"
        ended = subprocess.run(
            [
                CLIENTS / "node_modules" / ".bin" / "claude",
                *["-p", prompt, "--model", MODEL, "--allowedTools", "Read,Write"],
                *["--output-format", "stream-json", "--verbose", *more],
            ],
            cwd=written.parent,
            env={
                **self.environment,
                "ANTHROPIC_BASE_URL": router.url,
                "ANTHROPIC_AUTH_TOKEN": key or router.key,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        events = [json.loads(line) for line in ended.stdout.splitlines()]
        assert events and events[-1]["type"] == "result", (ended.stdout, ended.stderr)
        return Session(events, written.read_text() if written.exists() else None)


def check_copied(session):
    """Asserts that the session did what it was asked, and nobody noticed a thing."""
    assert not session.result["is_error"], session.result
    assert session.result["result"] == "Both files agree.", session.result
    assert session.calls() == ["Read", "Write"], session.events
    assert session.written == SECRET, session.written
    assert not session.retries(), session.retries()


@test
@both
def a_session_reads_one_file_and_writes_another(provider):
    with workshop() as shop:
        mock = provider(**shop.script)
        with routed(mock) as router:
            session = shop.session(router)
            check_copied(session)
            assert session.result["usage"]["output_tokens"] > 0, session.result
            asked = mock.requests()
            assert len(asked) == 3, [request["path"] for request in asked]
            assert SECRET in asked[1]["body_text"], "what was read did not reach the provider"
            assert "successfully" in asked[2]["body_text"], "nor that the file was written"
            if not MOCK_ONLY:
                check_accounts(router.requests(3), mock)


def check_accounts(lines, mock):
    """Asserts that each request stands in the log with what it used."""
    assert len(lines) == 3, lines
    for line in lines:
        assert line["path"] == "/v1/messages", line
        assert line["status"] == "200" and line["provider"] == mock.name, line
        assert int(line["prompt_tokens"]) > 0 and int(line["completion_tokens"]) > 0, line


@test
def what_it_says_of_itself_reaches_a_provider_of_the_same_dialect():
    with workshop() as shop:
        mock = messages(**shop.script)
        with routed(mock) as router:
            check_copied(shop.session(router))
            for request in mock.requests():
                headers = dict(request["headers"])
                assert "claude-code" in headers["anthropic-beta"], headers
                assert headers["anthropic-version"] == "2023-06-01", headers
                assert headers["x-claude-code-session-id"], headers
                assert headers["user-agent"].startswith("claude-cli/"), headers
                body = request["body"]
                assert body["model"] == MODEL, body["model"]
                assert body["system"][0]["text"].startswith("x-anthropic-billing-header"), body
                assert {"thinking", "context_management", "output_config"} <= set(body), set(body)
                if not MOCK_ONLY:
                    assert headers["x-api-key"] == "sk-claude", headers
                    assert "authorization" not in headers, headers


@test
@both
def a_session_goes_on_when_it_has_been_compacted(provider):
    with workshop() as shop:
        mock = provider(**shop.script)
        with routed(mock) as router:
            check_copied(shop.session(router))
            assert not shop.session(router, "/compact", "--continue").result["is_error"]
            last = shop.session(router, "And now?", "--continue").result
            assert not last["is_error"] and last["result"] == "Both files agree.", last
            assert "And now?" in mock.requests()[-1]["body_text"]


@through_infermux
@both
def a_provider_that_dies_before_its_first_content_is_not_noticed(other):
    for death in (
        {"do": "cut_before_head"},
        {"do": "cut_mid_stream", "after_events": 0},
        {"do": "error_event_before_content"},
        {"status": 529},
    ):
        first = chat if other is messages else messages
        with workshop() as shop:
            dying = first("dying", **death)
            living = other(**shop.script)
            with routed(dying, living) as router:
                check_copied(shop.session(router))
                assert dying.requests(), f"{death}: it was never asked"
                assert len(living.requests()) == 3, death
                lines = router.requests(3)
                assert [line["status"] for line in lines] == ["200"] * 3, (death, lines)


BUDGET = """\
budgets:
  - {{caller: ci, monthly_usd: 20, action: hard_stop}}
pricing:
  {provider}:
    {model}: {{input_per_million: 1000, output_per_million: 1}}
"""


@through_infermux
@both
def a_used_up_budget_ends_a_session_at_once(provider):
    with workshop() as shop:
        # One answer is worth the whole budget; its estimate is some 13,000 tokens.
        mock = provider(**shop.script, prompt_tokens=20_000)
        budget = BUDGET.format(provider=mock.name, model=mock.models[0])
        shop.environment["ANTHROPIC_CUSTOM_HEADERS"] = "X-Infermux-Caller: ci"
        with routed(mock, more=budget) as router:
            session = shop.session(router)
            assert session.result["is_error"], session.result
            assert session.result["api_error_status"] == 429, session.result
            assert session.result["api_error_code"] == "budget_exceeded", session.result
            assert "budget" in session.result["result"], session.result
            assert session.calls() == ["Read"], session.calls()
            # The request that used it up, and one that was told so.
            statuses = [line["status"] for line in router.requests(2)]
            assert statuses == ["200", "429"], statuses
            assert len(mock.requests()) == 1


@through_infermux
@both
def a_wrong_key_ends_a_session_at_once(provider):
    with workshop() as shop:
        mock = provider(**shop.script)
        with routed(mock, key="right") as router:
            session = shop.session(router, key="wrong")
            assert session.result["is_error"], session.result
            assert [line["status"] for line in router.requests(1)] == ["401"], router.requests()
            assert not mock.requests()


@test
@both
def the_context_is_counted_without_a_paid_request(provider):
    with workshop() as shop:
        mock = provider(**shop.script)
        with routed(mock) as router:
            result = shop.session(router, "/context").result
            assert not result["is_error"], result
            assert re.search(r"\| Messages \| [1-9]", result["result"]), result
            asked = {request["path"].split("?")[0] for request in mock.requests()}
            native = {"/v1/messages/count_tokens"} if provider is messages else set()
            assert asked == native, asked
            if not MOCK_ONLY:
                lines = router.requests()
                assert {line["path"] for line in lines} == {"/v1/messages/count_tokens"}, lines
                assert {line["status"] for line in lines} == {"200"}, lines


if __name__ == "__main__":
    sys.exit(main())
