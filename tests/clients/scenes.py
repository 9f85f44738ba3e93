"""What the tests of real clients are made of: providers of two dialects, and folders of a client.

A caller of the Messages API must not notice which dialect a provider speaks. So each test is given
both: one that speaks Messages, to which bodies go as they are, and one that speaks chat, as strict
as OpenAI's reasoning models, for which requests and answers are translated.
"""

import contextlib
import os
import tempfile
from pathlib import Path

from support import BIN, MOCK_ONLY, Mock, running

MODEL = "claude-sonnet-5-5"
CLIENTS = BIN.resolve().parent / "clients"


def messages(name="claude", **script):
    """A provider that speaks Messages."""
    return Mock(name, dialect="anthropic", models=[MODEL], **script)


def chat(name="gpt", **script):
    """A provider that speaks chat, and has the model under a name of its own."""
    own = "gpt-5.4"
    return Mock(
        name,
        fields=[f"model_aliases: {{{MODEL}: {own}}}"],
        models=[own],
        strict=True,
        unsupported=["max_tokens", "temperature", "top_p", "stop"],
        **script,
    )


def both(function):
    """A test for each dialect of a provider; `function` is given what makes one."""

    def over_both():
        for provider in [messages] if MOCK_ONLY else [messages, chat]:
            try:
                function(provider)
            except Exception as error:
                error.add_note(f"with a provider that speaks {provider.__name__}")
                raise

    over_both.__name__ = function.__name__
    return over_both


class Alone:
    """A mock in the place of a router, with which the tests themselves are tested."""

    def __init__(self, mock):
        self.url = mock.url
        self.key = f"sk-{mock.name}"


@contextlib.contextmanager
def routed(*mocks, key=None, more=""):
    """An infermux in front of `mocks`, or with --mock-only the first of them alone."""
    if MOCK_ONLY:
        try:
            yield Alone(mocks[0])
        finally:
            mocks[0].process.stop()
        return
    with running(*mocks, key=key, more=more) as router:
        router.key = key or "caller"
        yield router


@contextlib.contextmanager
def home(**more):
    """A folder, and the environment of a client that finds only its own files and loopback."""
    with tempfile.TemporaryDirectory(prefix="infermux-clients-") as folder:
        # Nobody listens there: whatever leaves this machine fails at once.
        nowhere = "http://127.0.0.1:1"
        environment = {
            "PATH": os.pathsep.join([str(CLIENTS / "venv" / "bin"), os.environ["PATH"]]),
            "HOME": folder,
            "LANG": "C.UTF-8",
            "HTTP_PROXY": nowhere,
            "HTTPS_PROXY": nowhere,
            "NO_PROXY": "127.0.0.1,localhost",
            **more,
        }
        yield Path(folder), environment


TOOL = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
CALLS = [[{"name": "weather", "input": {"city": city}} for city in ("Oslo", "Tōkyō")]]


class Refused:
    """A request that is refused, and the exception that both of Anthropic's packages make of it."""

    def __init__(self, kind, status, error_type, code=None, **scene):
        self.kind, self.status, self.error_type, self.code = kind, status, error_type, code
        self.script = scene.get("script", {})
        self.more = scene.get("more", "")
        self.key = scene.get("key")
        self.model = scene.get("model", MODEL)
        self.text = scene.get("text", "Say hello.")

    def __str__(self):
        return f"{self.status} {self.error_type} {self.code or 'of the provider'}"


LONG = "hello " * 400_000
REFUSED = [
    Refused("AuthenticationError", 401, "authentication_error", "invalid_api_key", key="right"),
    Refused("NotFoundError", 404, "not_found_error", "model_not_found", model="claude-none"),
    Refused("BadRequestError", 400, "invalid_request_error", script={"status": 400}),
    Refused(
        "ContentTooLargeError",
        413,
        "request_too_large",
        "request_too_large",
        more="server:\n  max_body_bytes: 1048576\n",
        text=LONG,
    ),
    Refused("RateLimitError", 429, "rate_limit_error", "rate_limit", script={"status": 429}),
    Refused("InternalServerError", 502, "api_error", "upstream_error", script={"status": 500}),
    Refused(
        "OverloadedError",
        529,
        "overloaded_error",
        "overloaded",
        more="server:\n  max_buffered_bytes: 1048576\n",
        text=LONG,
    ),
]
