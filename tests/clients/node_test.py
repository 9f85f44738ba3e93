"""Anthropic's package for Node against infermux, over providers of both dialects.

node_test.py BIN_FOLDER [--mock-only]
"""

import json
import subprocess
import sys
from pathlib import Path

from scenes import CALLS, CLIENTS, MODEL, REFUSED, TOOL, both, home, messages, routed
from support import PATIENCE_SECONDS, main, test
from support import routed as through_infermux

PROGRAM = Path(__file__).with_name("anthropic.mjs")


def run(task, router, key=None, model=MODEL, text="Say hello."):
    """Runs one task of the program, and gives what it has printed."""
    scene = {"url": router.url, "key": key or router.key, "model": model, "text": text}
    with home(NODE_PATH=str(CLIENTS / "node_modules")) as (folder, environment):
        # Too long for the environment: the text is a file of its own.
        (folder / "scene.json").write_text(json.dumps({**scene, "tool": TOOL}))
        ended = subprocess.run(
            ["node", PROGRAM, task, folder / "scene.json"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE_SECONDS,
        )
    assert ended.returncode == 0, f"{task}: {ended.stdout}{ended.stderr}"
    return ended.stdout


@test
@both
def messages_are_created_and_streamed(provider):
    with routed(provider()) as router:
        run("create", router)
        run("stream", router)


@test
@both
def tools_are_called_and_answered(provider):
    mock = provider(calls=CALLS, text="Cold in both.")
    with routed(mock) as router:
        run("tools", router)
        assert "3 degrees" in mock.requests()[-1]["body_text"]


@test
@both
def tokens_are_counted_and_models_are_listed(provider):
    mock = provider()
    with routed(mock) as router:
        run("count", router)
        run("models", router)
        assert len(mock.requests()) == (1 if provider is messages else 0)


@through_infermux
@both
def every_refusal_is_its_exception(provider):
    for refused in REFUSED:
        mock = provider(**refused.script)
        with routed(mock, key=refused.key, more=refused.more) as router:
            told = json.loads(run("refused", router, "wrong", refused.model, refused.text))
            assert refused.kind in told["kinds"], (refused, told)
            assert told["status"] == refused.status and told["requestID"], (refused, told)
            assert told["type"] == refused.error_type, (refused, told)
            details = told["body"]["error"].get("details") or {}
            assert details.get("error_code") == refused.code, (refused, told)


if __name__ == "__main__":
    sys.exit(main())
