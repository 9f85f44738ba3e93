"""Codex against infermux: whole sessions, without a person at the keyboard.

codex_test.py BIN_FOLDER [--mock-only]
"""

import contextlib
import json
import subprocess
import sys

from asking import MODEL, base_url, everywhere, native
from scenes import CLIENTS, home, routed
from support import MOCK_ONLY, main, test
from support import routed as through_infermux

PATIENCE_SECONDS = 120
SECRET = "the harbour is deep"
PROMPT = "Copy what in.txt says to out.txt."
PATCH = f"""\
apply_patch <<'EOF'
*** Begin Patch
*** Add File: out.txt
+{SECRET}
*** End Patch
EOF
"""
SCRIPT = {
    "calls": [
        {"name": "exec_command", "input": {"cmd": "cat in.txt"}},
        {"name": "exec_command", "input": {"cmd": PATCH}},
        # A tool of a namespace: where both of its names come back, Codex knows it.
        {"name": "multi_agent_v1__close_agent", "input": {"target": "nobody"}},
    ],
    "text": "Both files agree.",
    "reasoning": "I had better look.",
}
CONFIG = """\
model = "{model}"
model_provider = "infermux"

[model_providers.infermux]
name = "infermux"
base_url = "{url}"
env_key = "INFERMUX_KEY"
wire_api = "responses"
env_http_headers = {{ "X-Infermux-Caller" = "INFERMUX_CALLER" }}
{more}
"""


class Session:
    """What a session has shown, and the file that it has written."""

    def __init__(self, events, written):
        self.events = events
        self.written = written

    def items(self, kind):
        """The finished items of a kind."""
        done = [event["item"] for event in self.events if event["type"] == "item.completed"]
        return [item for item in done if item["type"] == kind]

    def faults(self):
        """What the user is told of failures, tries included."""
        return [event for event in self.events if event["type"] in ("error", "turn.failed")]


class Workshop:
    """Where a session takes place."""

    def __init__(self, folder, environment):
        self.folder = folder
        self.environment = environment

    def session(self, router, more="", model=MODEL):
        """Runs Codex until it has nothing more to do."""
        (self.folder / ".codex").mkdir()
        config = CONFIG.format(model=model, url=base_url(router), more=more)
        (self.folder / ".codex" / "config.toml").write_text(config)
        written = self.folder / "work" / "out.txt"
        ended = subprocess.run(
            [
                CLIENTS / "node_modules" / ".bin" / "codex",
                *["exec", "--json", "--skip-git-repo-check"],
                # The folder is thrown away, and the commands are known.
                *["--dangerously-bypass-approvals-and-sandbox", PROMPT],
            ],
            cwd=written.parent,
            env={**self.environment, "INFERMUX_KEY": router.key, "INFERMUX_CALLER": "ci"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        events = [json.loads(line) for line in ended.stdout.splitlines()]
        assert events, (ended.stdout, ended.stderr)
        return Session(events, written.read_text() if written.exists() else None)


@contextlib.contextmanager
def workshop():
    """A folder with a file to read."""
    with home() as (folder, environment):
        (folder / "work").mkdir()
        (folder / "work" / "in.txt").write_text(f"{SECRET}\n")
        yield Workshop(folder, environment)


def check_copied(session):
    """Asserts that the session did what it was asked, and nobody noticed a thing."""
    assert not session.faults(), session.faults()
    commands = session.items("command_execution")
    assert [item["exit_code"] for item in commands] == [0], session.events
    assert commands[0]["aggregated_output"] == f"{SECRET}\n", commands
    [change] = session.items("file_change")
    assert change["status"] == "completed", change
    said = [item["text"] for item in session.items("agent_message")]
    assert said == ["Both files agree."], session.events
    assert session.written == f"{SECRET}\n", session.written


@test
@everywhere
def a_session_runs_a_command_and_edits_a_file(provider):
    with workshop() as shop:
        mock = provider(**SCRIPT)
        with routed(mock) as router:
            session = shop.session(router)
            check_copied(session)
            assert session.events[-1]["usage"]["output_tokens"] > 0, session.events[-1]
            asked = mock.requests()
            assert len(asked) == 4, [request["path"] for request in asked]
            assert SECRET in asked[1]["body_text"], "what the command said got lost"
            assert "unsupported call" not in asked[3]["body_text"], "the namespace got lost"
            if not MOCK_ONLY:
                check_accounts(router.requests(4), mock)


# Models that Codex knows are given other tools than any other model: gpt-5.5 edits files by a
# free-form tool, and later ones do all by one that runs a program, which `additional_tools` offers.
EDIT = f"""\
*** Begin Patch
*** Add File: out.txt
+{SECRET}
*** End Patch
"""
OF_KNOWN_MODELS = {
    "gpt-5.5": [
        {"name": "exec_command", "input": {"cmd": "cat in.txt"}},
        {"name": "apply_patch", "input": EDIT},
    ],
    "gpt-6-sol": [
        {
            "name": "functions__exec",
            "input": 'text(await tools.exec_command({cmd: "cat in.txt"}))',
        },
        {"name": "functions__exec", "input": f"text(await tools.apply_patch({EDIT!r}))"},
    ],
}


@test
@everywhere
def the_tools_of_models_that_codex_knows_work(provider):
    for model, calls in OF_KNOWN_MODELS.items():
        with workshop() as shop:
            mock = provider(asked=model, **{**SCRIPT, "calls": calls})
            with routed(mock) as router:
                session = shop.session(router, model=model)
                assert not session.faults(), (model, session.faults())
                asked = mock.requests()
                assert len(asked) == 3, (model, [request["path"] for request in asked])
                assert SECRET in asked[1]["body_text"], f"{model}: what was said got lost"
                for request in asked:
                    assert "unsupported call" not in request["body_text"], model
                if provider is native:
                    has_own = "additional_tools" in asked[0]["body_text"]
                    assert has_own == (model == "gpt-6-sol"), model
                said = [item["text"] for item in session.items("agent_message")]
                assert said == ["Both files agree."], (model, session.events)
                assert session.written == f"{SECRET}\n", (model, session.events)


def check_accounts(lines, mock):
    """Asserts that each request stands in the log with what it used."""
    assert len(lines) == 4, lines
    for line in lines:
        assert line["path"] == "/v1/responses", line
        assert line["status"] == "200" and line["provider"] == mock.name, line
        assert int(line["prompt_tokens"]) > 0 and int(line["completion_tokens"]) > 0, line


@through_infermux
@everywhere
def a_stream_that_is_cut_is_survived(provider):
    cut = {"do": "cut_mid_stream", "after_events": 1}
    with workshop() as shop:
        mock = provider(**SCRIPT, answers=[cut], then="ok")
        with routed(mock) as router:
            session = shop.session(router)
            # Codex tells its user that it asks once more.
            tries = [event for event in session.faults() if event["type"] == "error"]
            session.events = [event for event in session.events if event not in tries]
            check_copied(session)
            assert len(mock.requests()) == 5, [request["path"] for request in mock.requests()]


@through_infermux
@everywhere
def a_provider_that_dies_before_its_first_content_is_not_noticed(other):
    for death in (
        {"do": "cut_before_head"},
        {"do": "cut_mid_stream", "after_events": 0},
        {"status": 503},
    ):
        with workshop() as shop:
            dying, living = native("dying", **death), other(**SCRIPT)
            with routed(dying, living) as router:
                check_copied(shop.session(router))
                assert dying.requests(), f"{death}: it was never asked"
                lines = router.requests(4)
                assert [line["status"] for line in lines] == ["200"] * 4, (death, lines)


BUDGET = """\
budgets:
  - {{caller: ci, monthly_usd: 20, action: hard_stop}}
pricing:
  {provider}:
    {model}: {{input_per_million: 1000, output_per_million: 1}}
"""


@through_infermux
@everywhere
def a_used_up_budget_ends_a_session_at_once(provider):
    with workshop() as shop:
        # One answer is worth the whole budget.
        mock = provider(**SCRIPT, prompt_tokens=20_000)
        budget = BUDGET.format(provider=mock.name, model=mock.models[0])
        with routed(mock, more=budget) as router:
            session = shop.session(router)
            assert session.events[-1]["type"] == "turn.failed", session.events
            # The request that used it up, and one that was told so.
            statuses = [line["status"] for line in router.requests(2)]
            assert statuses == ["200", "429"], statuses
            assert len(mock.requests()) == 1


@through_infermux
@everywhere
def a_websocket_that_is_refused_costs_one_request(provider):
    with workshop() as shop:
        mock = provider(**SCRIPT)
        with routed(mock) as router:
            check_copied(shop.session(router, "supports_websockets = true"))
            lines = [(line["method"], line["status"]) for line in router.requests(5)]
            assert lines == [("GET", "426")] + [("POST", "200")] * 4, lines


if __name__ == "__main__":
    sys.exit(main())
