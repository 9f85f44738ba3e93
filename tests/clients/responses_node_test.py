"""Node clients of the Responses API against infermux, over providers of each kind.

responses_node_test.py BIN_FOLDER [--mock-only]
"""

import json
import subprocess
import sys
from pathlib import Path

from asking import MODEL, base_url, everywhere
from scenes import CALLS, CLIENTS, home, routed
from support import PATIENCE_SECONDS, main, test

PROGRAM = Path(__file__).with_name("responses.mjs")
LOOP = {"calls": CALLS, "text": "Cold in both."}


def run(task, router, text="Say hello."):
    """Runs one task of the program."""
    scene = {"url": base_url(router), "key": router.key, "model": MODEL, "text": text}
    with home(NODE_PATH=str(CLIENTS / "node_modules")) as (folder, environment):
        (folder / "scene.json").write_text(json.dumps(scene))
        ended = subprocess.run(
            ["node", PROGRAM, task, folder / "scene.json"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE_SECONDS,
        )
    assert ended.returncode == 0, f"{task}: {ended.stdout}{ended.stderr}"


@test
@everywhere
def responses_are_created_and_streamed(provider):
    with routed(provider()) as router:
        run("create", router)
        run("stream", router)


@test
@everywhere
def an_answer_is_parsed(provider):
    with routed(provider(text='{"city": "Oslo"}')) as router:
        run("parse", router)


@test
@everywhere
def tools_are_called_and_answered(provider):
    mock = provider(**LOOP)
    with routed(mock) as router:
        run("tools", router, "How is the weather?")
        assert "3 degrees" in mock.requests()[-1]["body_text"]


@test
@everywhere
def the_default_model_of_the_ai_sdk_refers_to_what_was_said(provider):
    # What the model thought first comes back by reference, too.
    for reasoning in ({}, {"reasoning": "Two cities, two calls."}):
        mock = provider(**LOOP, **reasoning)
        with routed(mock) as router:
            run("aisdk", router, "How is the weather?")
            assert "3 degrees in Oslo" in mock.requests()[-1]["body_text"]
            assert "And now?" in mock.requests()[-1]["body_text"]


@test
@everywhere
def the_agents_sdk_runs_a_loop_of_tools(provider):
    mock = provider(**LOOP)
    with routed(mock) as router:
        run("agents", router, "How is the weather?")
        assert "3 degrees in Oslo" in mock.requests()[-1]["body_text"]


if __name__ == "__main__":
    sys.exit(main())
