"""The official OpenAI client against infermux with a provider that speaks Messages.

claude_test.py BIN_FOLDER [--mock-only]

What the provider is sent, and what the mock says in its place, is held against the types of the
vendor's own package.
"""

import contextlib
import copy
import json
import sys
import urllib.request
from pathlib import Path

import anthropic
import openai
import pydantic

from anthropic_types import Wrong, check_event, check_message, check_request
from support import (
    PATIENCE_SECONDS,
    Mock,
    check_error,
    client,
    infermux,
    main,
    raises,
    routed,
    test,
    text_of,
)

CLAUDE = "claude-sonnet-4-5"
GOLDEN = Path(__file__).parent.parent / "golden" / "anthropic"
QUESTION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Say hello."},
]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
PDF = "JVBERi0xLjQKJcOkw7zDtsOfCg=="


def claude(**script):
    return Mock("claude", dialect="anthropic", models=[CLAUDE], **script)


@contextlib.contextmanager
def routed_to(mock):
    """A client of an infermux in front of `mock`; in the end all that the mock saw is checked."""
    with infermux(mock) as url, client(url) as own:
        yield own
        seen = bodies(mock)
        assert seen, "the mock was not asked"
        for body in seen:
            check_request(body)


def bodies(mock):
    return [request["body"] for request in mock.requests()]


def ask(mock, body):
    """What the mock itself answers."""
    headers = {
        "content-type": "application/json",
        "x-api-key": f"sk-{mock.name}",
        "anthropic-version": "2023-06-01",
    }
    request = urllib.request.Request(
        f"{mock.url}/v1/messages", json.dumps(body).encode(), headers
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return answer.read().decode()


def message(*content, reason="end_turn"):
    """A message of the API with these blocks."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 34},
    }


def streamed(*events):
    """The script of a mock that answers with these events, a few bytes at a time."""
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    for event in events:
        check_event(event)
    return {"body": text, "headers": {"content-type": "text/event-stream"}, "chunk_bytes": 7}


def start_of(answer):
    return {"type": "message_start", "message": {**answer, "content": [], "stop_reason": None}}


def block_of(index, block, *deltas):
    """The events of one block."""
    yield {"type": "content_block_start", "index": index, "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def end_of(reason):
    delta = {"stop_reason": reason, "stop_sequence": None, "stop_details": None, "container": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 34}}
    yield {"type": "message_stop"}


# The checks themselves ---------------------------------------------------------------------------


@test
def a_request_that_is_not_one_is_noticed():
    good = {
        "model": CLAUDE,
        "max_tokens": 5,
        "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "b"},
                {"type": "image", "source":
                    {"type": "base64", "media_type": "image/png", "data": PNG}},
            ]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": "c"},
            ]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "auto"},
    }
    check_request(good)
    wrong = [
        (["seed"], 7),
        (["max_tokens"], "5"),
        (["max_tokens"], None),
        (["model"], 7),
        (["temperature"], "hot"),
        (["stop_sequences"], "END"),
        (["system", 0, "title"], "x"),
        (["system", 0, "cache_control", "type"], "forever"),
        (["messages", 0, "role"], "tool"),
        (["messages", 0, "name"], "bob"),
        (["messages", 0, "content", 0, "text"], 7),
        (["messages", 0, "content", 0, "detail"], "low"),
        (["messages", 0, "content", 0, "type"], "txt"),
        (["messages", 0, "content", 1, "source", "media_type"], "image/jpg"),
        (["messages", 0, "content", 1, "source", "url"], "https://example.com"),
        (["messages", 1, "content", 0, "input"], "{}"),
        (["messages", 1, "content", 0, "arguments"], "{}"),
        (["messages", 2, "content", 0, "tool_use_id"], 7),
        (["tools", 0, "input_schema"], "{}"),
        (["tools", 0, "function"], {}),
        (["tool_choice", "type"], "required"),
        (["output_config"], {"format": {"type": "json_object"}}),
    ]
    for path, value in wrong:
        bad = copy.deepcopy(good)
        place = bad
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        with raises(Wrong, path):
            check_request(bad)
    for key in ("model", "max_tokens", "messages"):
        with raises(Wrong):
            check_request({name: value for name, value in good.items() if name != key})


@test
def an_answer_that_is_not_one_is_noticed():
    good = message({"type": "text", "text": "a"})
    check_message(good)
    for bad in (
        {**good, "choices": []},
        {**good, "role": "user"},
        {**good, "content": "a"},
        message({"type": "text"}),
        message({"type": "text", "text": "a", "index": 0}),
        message({"type": "tool_use", "id": "t", "name": "f"}),
        message(reason="stop"),
        {**good, "usage": {"prompt_tokens": 1}},
    ):
        with raises(Wrong):
            check_message(bad)
    with raises(Wrong):
        check_event({"type": "content_block_delta", "index": 0, "delta": {"text": "a"}})


@test
def every_golden_request_and_answer_is_one():
    count = 0
    for file in sorted(GOLDEN.glob("request/*.json")):
        vector = json.loads(file.read_text())
        if "anthropic_request" in vector:
            check_request(vector["anthropic_request"])
            count += 1
    for file in sorted(GOLDEN.glob("response/*.json")):
        openai.types.chat.ChatCompletion.model_validate(
            json.loads(file.read_text())["openai_response"]
        )
        count += 1
    assert count > 100, count


@test
def the_mock_answers_as_the_api_does():
    mock = claude()
    with contextlib.closing(mock.process.child.stdout), contextlib.ExitStack() as stack:
        stack.callback(mock.process.stop)
        plain = {"model": CLAUDE, "max_tokens": 50, "messages": [QUESTION[1]]}
        tools = [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
        forced = {**plain, "tools": tools, "tool_choice": {"type": "any"}}
        own = stack.enter_context(
            anthropic.Anthropic(base_url=mock.url, api_key="sk-claude", max_retries=0)
        )
        for body in (plain, forced):
            whole = json.loads(ask(mock, body))
            check_message(whole)
            events = ask(mock, {**body, "stream": True}).split("\n\n")
            data = [event.split("data: ", 1)[1] for event in events if event]
            for event in map(json.loads, data):
                if event["type"] != "ping":
                    check_event(event)
            with own.messages.stream(**body) as stream:
                final = stream.get_final_message()
            assert final.stop_reason == whole["stop_reason"], final
            assert [block.type for block in final.content] == [
                block["type"] for block in whole["content"]
            ], final


# Through infermux --------------------------------------------------------------------------------


@routed
def a_chat_with_claude_looks_like_any_other():
    mock = claude()
    with routed_to(mock) as own:
        raw = own.chat.completions.with_raw_response.create(
            model=CLAUDE,
            messages=QUESTION,
            max_completion_tokens=50,
            temperature=0.2,
            stop=["END", "\n"],
            seed=7,
            user="user-1",
        )
        answer = raw.parse()
        assert answer.object == "chat.completion" and answer.model == CLAUDE, answer
        assert "Say hello." in answer.choices[0].message.content, answer
        assert answer.choices[0].finish_reason == "stop", answer
        usage = answer.usage
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0, usage
        assert int(raw.headers["x-infermux-prompt-tokens"]) == usage.prompt_tokens
        assert float(raw.headers["x-infermux-cost"]) > 0
        body = bodies(mock)[0]
        expected = {
            "model": CLAUDE,
            "max_tokens": 50,
            "system": "Be brief.",
            "messages": [QUESTION[1]],
            "temperature": 0.2,
            "stop_sequences": ["END"],
            "metadata": {"user_id": "user-1"},
        }
        assert body == expected, body


@routed
def a_stream_of_claudes_is_the_plain_text_with_its_usage():
    mock = claude()
    with routed_to(mock) as own:
        ask_for = {"model": CLAUDE, "messages": QUESTION}
        plain = own.chat.completions.create(**ask_for)
        for asked in (False, True):
            more = {"stream_options": {"include_usage": True}} if asked else {}
            chunks = list(own.chat.completions.create(**ask_for, stream=True, **more))
            assert text_of(chunks) == plain.choices[0].message.content, chunks
            assert all(chunk.model == CLAUDE for chunk in chunks), chunks
            assert len({chunk.id for chunk in chunks}) == 1, chunks
            with_choice = [chunk for chunk in chunks if chunk.choices]
            assert with_choice[-1].choices[0].finish_reason == "stop", chunks
            assert len(chunks) - len(with_choice) == asked, chunks
            if asked:
                assert chunks[-1].usage == plain.usage, (chunks[-1], plain.usage)
        assert [body.get("stream") for body in bodies(mock)] == [None, True, True]


@routed
def tools_are_called_and_answered_over_two_turns():
    mock = claude()
    with routed_to(mock) as own:
        more = {"model": CLAUDE, "tools": [WEATHER]}
        messages = [{"role": "user", "content": "Oslo?"}]
        first = own.chat.completions.create(messages=messages, tool_choice="required", **more)
        assert first.choices[0].finish_reason == "tool_calls", first
        said = first.choices[0].message
        assert said.content is None, said
        [call] = said.tool_calls
        assert call.function.name == "weather", call
        arguments = json.loads(call.function.arguments)
        # An application hands the message back as it got it.
        messages += [said, {"role": "tool", "tool_call_id": call.id, "content": "3 degrees"}]
        second = own.chat.completions.create(messages=messages, **more)
        assert second.choices[0].message.content, second
        forced, answered = bodies(mock)
        assert forced["tool_choice"] == {"type": "any"}, forced
        used = {"type": "tool_use", "id": call.id, "name": "weather", "input": arguments}
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "3 degrees"}
        assert answered["messages"] == [
            {"role": "user", "content": "Oslo?"},
            {"role": "assistant", "content": [used]},
            {"role": "user", "content": [result]},
        ], answered


@routed
def parallel_calls_are_streamed_side_by_side():
    def piece(text):
        return {"type": "input_json_delta", "partial_json": text}

    def call(number):
        return {"type": "tool_use", "id": f"toolu_{number}", "name": "weather", "input": {}}

    text = {"type": "text", "text": ""}
    answer = streamed(
        start_of(message()),
        *block_of(0, text, {"type": "text_delta", "text": "Looking – 少々…"}),
        *block_of(1, call(1), piece(""), piece('{"city": "Os'), piece('lo"}')),
        *block_of(2, call(2), piece('{"city":'), piece(' "東京"}')),
        *end_of("tool_use"),
    )
    mock = claude(answers=[answer, "ok"])
    with routed_to(mock) as own:
        messages = [{"role": "user", "content": "Oslo and Tokyo?"}]
        more = {"model": CLAUDE, "tools": [WEATHER]}
        asked = own.chat.completions.stream(
            messages=messages, stream_options={"include_usage": True}, **more
        )
        with asked as stream:
            final = stream.get_final_completion()
        assert final.choices[0].finish_reason == "tool_calls", final
        said = final.choices[0].message
        assert said.content == "Looking – 少々…", said
        calls = [(one.id, json.loads(one.function.arguments)) for one in said.tool_calls]
        assert calls == [("toolu_1", {"city": "Oslo"}), ("toolu_2", {"city": "東京"})], calls
        assert (final.usage.prompt_tokens, final.usage.completion_tokens) == (12, 34), final
        results = [
            {"role": "tool", "tool_call_id": one.id, "content": "3 degrees"}
            for one in said.tool_calls
        ]
        assistant = said.model_dump(exclude_none=True, exclude={"parsed"})
        own.chat.completions.create(messages=[*messages, assistant, *results], **more)
        sent = bodies(mock)[1]["messages"]
        assert [turn["role"] for turn in sent] == ["user", "assistant", "user"], sent
        assert [block["type"] for block in sent[1]["content"]] == ["text", "tool_use", "tool_use"]
        assert [block["tool_use_id"] for block in sent[2]["content"]] == ["toolu_1", "toolu_2"]


class Person(pydantic.BaseModel):
    name: str
    age: int
    pets: list[str] = []


@routed
def an_answer_with_a_schema_is_parsed():
    said = {"type": "text", "text": '{"name": "Ada", "age": 36, "pets": []}'}
    answer = message(said)
    check_message(answer)
    mock = claude(body=answer)
    with routed_to(mock) as own:
        parsed = own.chat.completions.parse(
            model=CLAUDE, messages=QUESTION, response_format=Person
        )
        assert parsed.choices[0].message.parsed == Person(name="Ada", age=36), parsed
        form = bodies(mock)[0]["output_config"]["format"]
        assert form["type"] == "json_schema", form
        assert form["schema"]["additionalProperties"] is False, form
        assert set(form["schema"]["properties"]) == {"name", "age", "pets"}, form


@routed
def pictures_and_documents_arrive_as_blocks():
    mock = claude()
    with routed_to(mock) as own:
        address = "https://example.com/a.png"
        data = f"data:image/png;base64,{PNG}"
        content = [
            {"type": "text", "text": "Compare."},
            {"type": "image_url", "image_url": {"url": data, "detail": "low"}},
            {"type": "image_url", "image_url": {"url": address}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data":
                f"data:application/pdf;base64,{PDF}"}},
        ]
        messages = [{"role": "user", "content": content}]
        answer = own.chat.completions.create(model=CLAUDE, messages=messages)
        assert "Compare." in answer.choices[0].message.content, answer

        def base64(kind, data):
            return {"type": "base64", "media_type": kind, "data": data}

        [turn] = bodies(mock)[0]["messages"]
        assert turn["content"] == [
            {"type": "text", "text": "Compare."},
            {"type": "image", "source": base64("image/png", PNG)},
            {"type": "image", "source": {"type": "url", "url": address}},
            {"type": "document", "source": base64("application/pdf", PDF), "title": "a.pdf"},
        ], turn
        with raises(openai.BadRequestError) as seen:
            audio = {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}}
            messages = [{"role": "user", "content": [audio]}]
            own.chat.completions.create(model=CLAUDE, messages=messages)
        check_error(seen[0], 400, "invalid_request")
        assert "messages[0].content[0]" in seen[0].message, seen


@routed
def claudes_errors_are_those_of_the_openai_client():
    for status, kind in (
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (529, openai.InternalServerError),
    ):
        with infermux(claude(status=status)) as url, client(url) as own:
            with raises(kind):
                own.chat.completions.create(model=CLAUDE, messages=QUESTION)
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    text = {"type": "text", "text": ""}
    opened = [start_of(message()), *block_of(0, text, {"type": "text_delta", "text": "Hel"})][:-1]
    cut = streamed(*opened)
    cut["body"] += f"event: error\ndata: {json.dumps(overloaded)}\n\n"
    with infermux(claude(**cut)) as url, client(url) as own:
        with raises(openai.APIError) as seen:
            list(own.chat.completions.create(model=CLAUDE, messages=QUESTION, stream=True))
        assert seen[0].code == "server_is_overloaded", seen


if __name__ == "__main__":
    sys.exit(main())
