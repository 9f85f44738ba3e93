"""Anthropic's Python package against infermux, over providers of both dialects.

anthropic_test.py BIN_FOLDER [--mock-only]
"""

import contextlib
import sys

import anthropic

from scenes import CALLS, MODEL, REFUSED, TOOL, both, messages, routed
from support import MOCK_ONLY, PATIENCE_SECONDS, main, raises, test
from support import routed as through_infermux

QUESTION = [{"role": "user", "content": "Say hello."}]
ASK = {"model": MODEL, "max_tokens": 200}


def client(router):
    """A client that does not retry: every failure must show."""
    return anthropic.Anthropic(
        base_url=router.url, api_key=router.key, max_retries=0, timeout=PATIENCE_SECONDS
    )


@contextlib.contextmanager
def asking(mock, **scene):
    with routed(mock, **scene) as router, client(router) as own:
        yield own


@test
@both
def a_message_has_text_usage_and_the_model_asked_for(provider):
    with asking(provider()) as own:
        raw = own.messages.with_raw_response.create(
            messages=QUESTION, system="Be brief.", stop_sequences=["END"], **ASK
        )
        message = raw.parse()
        assert message.type == "message" and message.role == "assistant", message
        assert message.model == MODEL and message.id.startswith("msg_"), message
        [block] = message.content
        assert block.type == "text" and "Say hello." in block.text, message
        assert message.stop_reason == "end_turn" and message.stop_sequence is None, message
        assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0, message
        assert raw.headers["request-id"], raw.headers
        if not MOCK_ONLY:
            assert float(raw.headers["x-infermux-cost"]) > 0, raw.headers
            counted = int(raw.headers["x-infermux-completion-tokens"])
            assert counted == message.usage.output_tokens, raw.headers


@test
@both
def a_streamed_message_is_the_plain_one(provider):
    with asking(provider()) as own:
        plain = own.messages.create(messages=QUESTION, **ASK)
        with own.messages.stream(messages=QUESTION, **ASK) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        assert text == plain.content[0].text, text
        assert final.content[0].text == text and final.stop_reason == "end_turn", final
        assert final.model == MODEL, final
        assert final.usage.input_tokens == plain.usage.input_tokens, (final, plain)
        assert final.usage.output_tokens == plain.usage.output_tokens, (final, plain)
        kinds = [event.type for event in own.messages.create(messages=QUESTION, stream=True, **ASK)]
        assert kinds[:2] == ["message_start", "content_block_start"], kinds
        assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"], kinds


@test
@both
def parallel_tools_are_called_and_answered_over_two_turns(provider):
    for streamed in (False, True):
        mock = provider(calls=CALLS, text="Cold in both.")
        with asking(mock) as own:

            def ask(turns, own=own):
                more = {"messages": turns, "tools": [TOOL], **ASK}
                if not streamed:
                    return own.messages.create(**more)
                with own.messages.stream(**more) as stream:
                    return stream.get_final_message()

            turns = [{"role": "user", "content": "How is the weather?"}]
            first = ask(turns)
            assert first.stop_reason == "tool_use", first
            calls = [block for block in first.content if block.type == "tool_use"]
            assert [call.input for call in calls] == [{"city": "Oslo"}, {"city": "Tōkyō"}], first
            assert {call.name for call in calls} == {"weather"}, first
            results = [
                {"type": "tool_result", "tool_use_id": call.id, "content": f"{number} degrees"}
                for number, call in enumerate(calls)
            ]
            # An application hands the blocks back as it got them.
            turns += [
                {"role": "assistant", "content": first.content},
                {"role": "user", "content": [*results, {"type": "text", "text": "So?"}]},
            ]
            second = ask(turns)
            assert second.content[0].text == "Cold in both.", second
            assert second.stop_reason == "end_turn", second
            assert "1 degrees" in mock.requests()[-1]["body_text"]


@test
@both
def tokens_are_counted(provider):
    mock = provider()
    with asking(mock) as own:
        count = own.messages.count_tokens(model=MODEL, messages=QUESTION)
        assert count.input_tokens > 0, count
        tools = own.messages.count_tokens(model=MODEL, messages=QUESTION, tools=[TOOL])
        assert tools.input_tokens >= count.input_tokens, (count, tools)
        asked = [request["path"] for request in mock.requests()]
        assert len(asked) == (2 if provider is messages else 0), asked


@test
@both
def models_are_listed_and_looked_up(provider):
    with asking(provider()) as own:
        listed = [model for model in own.models.list(limit=1)]
        assert MODEL in [model.id for model in listed], listed
        assert {model.type for model in listed} == {"model"}, listed
        one = own.models.retrieve(MODEL)
        assert one.id == MODEL and one.display_name and one.created_at, one
        with raises(anthropic.NotFoundError):
            own.models.retrieve("claude-none")


@through_infermux
@both
def every_refusal_is_its_exception(provider):
    for refused in REFUSED:
        mock = provider(**refused.script)
        with routed(mock, key=refused.key, more=refused.more) as router:
            router.key = "wrong"
            with client(router) as own, raises(getattr(anthropic, refused.kind), refused) as seen:
                turns = [{"role": "user", "content": refused.text}]
                own.messages.create(model=refused.model, max_tokens=5, messages=turns)
            check_refusal(seen[0], refused)


def check_refusal(error, refused):
    """Asserts what Anthropic's errors and infermux's own have in common, and what not."""
    body, headers = error.body, error.response.headers
    assert error.status_code == refused.status, (refused, error)
    assert body["type"] == "error" and body["error"]["type"] == refused.error_type, (refused, body)
    assert error.request_id == headers["x-request-id"], (refused, headers)
    details = body["error"].get("details") or {}
    assert details.get("error_code") == refused.code, (refused, body)
    assert headers.get("x-infermux-error") == refused.code, (refused, headers)
    if refused.status in (429, 529):
        assert int(headers["retry-after"]) >= 1, (refused, headers)
    if refused.code and refused.status < 429:
        assert headers["x-should-retry"] == "false", (refused, headers)


@through_infermux
@both
def a_stream_that_dies_is_an_error(provider):
    for death, code in (("cut_mid_stream", None), ("error_event_mid_stream", None)):
        with asking(provider(do=death, after_events=1)) as own:
            with raises(anthropic.APIStatusError, death):
                list(own.messages.create(messages=QUESTION, stream=True, **ASK))


if __name__ == "__main__":
    sys.exit(main())
