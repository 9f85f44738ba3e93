"""The official OpenAI client against infermux, as an application would use it.

client_test.py BIN_FOLDER [--mock-only]
"""

import sys

import openai

from support import (
    MOCK_ONLY,
    MODELS,
    QUESTION,
    Mock,
    check_error,
    check_retry_after,
    client,
    infermux,
    main,
    raises,
    routed,
    served,
    test,
    text_of,
)

# A healthy service -------------------------------------------------------------------------------


@test
def a_chat_completion_has_text_usage_and_the_model_asked_for():
    with served() as own:
        raw = own.chat.completions.with_raw_response.create(model="gpt-4o", messages=QUESTION)
        answer = raw.parse()
        assert answer.choices[0].message.role == "assistant", answer
        assert answer.choices[0].message.content, answer
        assert answer.choices[0].finish_reason == "stop", answer
        assert answer.model == "gpt-4o", answer
        usage = answer.usage
        assert usage.prompt_tokens > 0 and usage.completion_tokens > 0, usage
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage
        if MOCK_ONLY:
            return
        headers = raw.headers
        assert headers["x-infermux-provider"] == "alpha", headers
        assert headers["x-infermux-model"] == "gpt-4o", headers
        assert headers["x-infermux-strategy"] == "priority", headers
        assert int(headers["x-infermux-prompt-tokens"]) == usage.prompt_tokens, headers
        assert int(headers["x-infermux-completion-tokens"]) == usage.completion_tokens, headers
        assert float(headers["x-infermux-cost"]) > 0, headers
        assert headers["x-request-id"], headers


@test
def a_stream_shows_no_usage_chunk_that_was_not_asked_for():
    with served() as own:
        stream = own.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
        chunks = list(stream)
        assert text_of(chunks), chunks
        assert all(chunk.choices for chunk in chunks), "a chunk without choices came through"
        assert all(chunk.usage is None for chunk in chunks), "usage came through"
        assert all("usage" not in chunk.model_fields_set for chunk in chunks), "a null usage"
        assert all(chunk.model == "gpt-4o" for chunk in chunks), chunks
        assert chunks[-1].choices[0].finish_reason == "stop", chunks[-1]


@test
def a_stream_ends_with_the_usage_chunk_that_was_asked_for():
    with served() as own:
        stream = own.chat.completions.create(
            model="gpt-4o",
            messages=QUESTION,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
        assert text_of(chunks), chunks
        assert chunks[-1].choices == [], chunks[-1]
        assert chunks[-1].usage.completion_tokens > 0, chunks[-1]
        assert all(chunk.usage is None for chunk in chunks[:-1]), chunks


@test
def a_streamed_text_is_the_plain_text():
    with served() as own:
        ask = {"model": "gpt-4o", "messages": QUESTION}
        plain = own.chat.completions.create(**ask).choices[0].message.content
        assert text_of(own.chat.completions.create(**ask, stream=True)) == plain


@test
def embeddings_come_as_base64_by_default_and_as_numbers_on_request():
    with served() as own:
        ask = {"model": "text-embedding-3-small", "input": ["The house", "has seven floors"]}
        packed = own.embeddings.create(**ask)
        plain = own.embeddings.create(**ask, encoding_format="float")
        for answer in (packed, plain):
            assert [item.index for item in answer.data] == [0, 1], answer
            assert answer.model == "text-embedding-3-small", answer.model
            assert answer.usage.prompt_tokens > 0, answer.usage
        for one, other in zip(packed.data, plain.data, strict=True):
            assert len(one.embedding) == len(other.embedding) > 0
            pairs = zip(one.embedding, other.embedding, strict=True)
            # Base64 carries 32-bit floats.
            assert all(abs(a - b) < 1e-5 for a, b in pairs)


@test
def models_can_be_listed_and_looked_up():
    with served() as own:
        listed = [model.id for model in own.models.list()]
        assert sorted(listed) == sorted(MODELS), listed
        assert own.models.retrieve("gpt-4o").id == "gpt-4o"
        with raises(openai.NotFoundError):
            own.models.retrieve("no-such-model")


@test
def a_legacy_completion_has_text():
    with served() as own:
        answer = own.completions.create(model="gpt-4o-mini", prompt="Once upon a time")
        assert answer.choices[0].text, answer
        chunks = list(
            own.completions.create(model="gpt-4o-mini", prompt="Once upon a time", stream=True)
        )
        assert "".join(chunk.choices[0].text for chunk in chunks), chunks


@test
def an_unknown_model_is_a_not_found_error():
    with served() as own:
        with raises(openai.NotFoundError) as seen:
            own.chat.completions.create(model="no-such-model", messages=QUESTION)
        assert seen[0].code == "model_not_found", seen
        if not MOCK_ONLY:
            check_error(seen[0], 404, "model_not_found")


# infermux only -----------------------------------------------------------------------------------


@routed
def a_wrong_key_is_an_authentication_error():
    alpha = Mock("alpha")
    with infermux(alpha, key="sk-right") as url:
        with client(url, "sk-wrong") as own, raises(openai.AuthenticationError) as seen:
            own.chat.completions.create(model="gpt-4o", messages=QUESTION)
        check_error(seen[0], 401, "invalid_api_key")
        with client(url, "sk-right") as own:
            own.chat.completions.create(model="gpt-4o", messages=QUESTION)
        assert len(alpha.requests()) == 1, "the refused request reached the provider"


@routed
def rate_limits_everywhere_are_a_rate_limit_error():
    mocks = [Mock(name, status=429, retry_after=7) for name in ("alpha", "beta")]
    with infermux(*mocks) as url, client(url) as own:
        with raises(openai.RateLimitError) as seen:
            own.chat.completions.create(model="gpt-4o", messages=QUESTION)
        check_error(seen[0], 429, "rate_limit")
        check_retry_after(seen[0])


@routed
def server_errors_everywhere_are_an_internal_server_error():
    mocks = [Mock(name, status=500) for name in ("alpha", "beta")]
    with infermux(*mocks) as url, client(url) as own:
        with raises(openai.InternalServerError) as seen:
            own.chat.completions.create(model="gpt-4o", messages=QUESTION)
        check_error(seen[0], 502, "upstream_error")
        assert [len(mock.requests()) for mock in mocks] == [1, 1], "each provider is tried once"


@routed
def silence_is_an_internal_server_error_with_504():
    mock = Mock("alpha", do="stall_before_head")
    with infermux(mock) as url, client(url) as own:
        with raises(openai.InternalServerError) as seen:
            own.chat.completions.create(model="gpt-4o", messages=QUESTION)
        check_error(seen[0], 504, "upstream_timeout")


@routed
def a_bad_request_passes_through_and_is_not_tried_elsewhere():
    error = {"message": "no", "type": "invalid_request_error", "param": "n", "code": None}
    mocks = [Mock("alpha", status=400, body={"error": error}), Mock("beta")]
    with infermux(*mocks) as url, client(url) as own:
        with raises(openai.BadRequestError) as seen:
            own.chat.completions.create(model="gpt-4o", messages=QUESTION)
        assert seen[0].body["type"] == "invalid_request_error", seen[0].body
        assert mocks[1].requests() == [], "the other provider was asked"


@routed
def another_provider_takes_over():
    for stream in (False, True):
        with infermux(Mock("alpha", status=503), Mock("beta")) as url, client(url) as own:
            raw = own.chat.completions.with_raw_response.create(
                model="gpt-4o", messages=QUESTION, stream=stream
            )
            assert raw.headers["x-infermux-provider"] == "beta", raw.headers
            assert raw.headers["x-infermux-attempts"] == "2", raw.headers
            answer = raw.parse()
            text = text_of(answer) if stream else answer.choices[0].message.content
            assert text, "no text"


@routed
def a_stream_that_fails_before_content_is_served_by_another_provider():
    mocks = [Mock("alpha", do="error_event_before_content"), Mock("beta")]
    with infermux(*mocks) as url, client(url) as own:
        chunks = list(
            own.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
        )
        assert text_of(chunks) and chunks[-1].choices[0].finish_reason == "stop", chunks


@routed
def a_stream_that_dies_after_content_is_never_a_short_answer():
    for deed in ("cut_mid_stream", "error_event_mid_stream", "stall_mid_stream"):
        mock = Mock("alpha", do=deed, after_events=3)
        with infermux(mock) as url, client(url) as own:
            seen_text = ""
            # A connection that breaks is an APIConnectionError, which is an APIError.
            with raises(openai.APIError):
                stream = own.chat.completions.create(
                    model="gpt-4o", messages=QUESTION, stream=True
                )
                for chunk in stream:
                    seen_text += text_of([chunk])
            assert seen_text, f"{deed}: no content before the failure"


if __name__ == "__main__":
    sys.exit(main())
