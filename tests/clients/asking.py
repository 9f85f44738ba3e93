"""What the tests of clients of the Responses API are made of: providers of three kinds.

A caller must not notice how its provider is reached. So each test is given all of them: one that
serves the Responses API itself, one that has only chat and is as strict as OpenAI's reasoning
models, and one that speaks Messages.
"""

from support import MOCK_ONLY, Mock

MODEL = "own-coder"


def native(name="own", asked=MODEL, **script):
    """A provider that serves the Responses API itself."""
    return Mock(name, models=[asked], **script)


def chat(name="gpt", asked=MODEL, **script):
    """A provider that has chat alone, and the model under a name of its own."""
    own = "gpt-5.4"
    return Mock(
        name,
        fields=[f"model_aliases: {{{asked}: {own}}}", "responses: bridge"],
        models=[own],
        responses=False,
        strict=True,
        unsupported=["max_tokens", "temperature", "top_p", "stop"],
        **script,
    )


def messages(name="claude", asked=MODEL, **script):
    """A provider that speaks Messages, and has the model under a name of its own."""
    own = "claude-sonnet-5-5"
    return Mock(
        name,
        fields=[f"model_aliases: {{{asked}: {own}}}"],
        dialect="anthropic",
        models=[own],
        **script,
    )


def everywhere(function):
    """A test for each kind of provider; `function` is given what makes one."""

    def over_all():
        for provider in [native] if MOCK_ONLY else [native, chat, messages]:
            try:
                function(provider)
            except Exception as error:
                error.add_note(f"with a provider of the kind {provider.__name__}")
                raise

    over_all.__name__ = function.__name__
    return over_all


def base_url(router):
    """The address that OpenAI's clients are given."""
    return router.url if router.url.endswith("/v1") else f"{router.url}/v1"
