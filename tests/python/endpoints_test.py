"""The official OpenAI client at the endpoints beside conversations: sound, pictures, files, batches.

endpoints_test.py BIN_FOLDER
"""

import contextlib
import io
import sys

import openai

from support import Mock, check_error, client, infermux, main, raises, test

PASSED = "passthrough: {provider: alpha}\n"
# Above 1 MiB, a file is sent on while it arrives.
SIZES = [1_000, 3_000_000]


@contextlib.contextmanager
def before_a_mock(more=PASSED):
    """A client of an infermux in front of one mock, and that mock."""
    alpha = Mock("alpha", models=["m"], fields=["model_aliases: {nick: m}"])
    with infermux(alpha, more=more) as url, client(url) as own:
        yield own, alpha


def file(size):
    return ("speech.mp3", io.BytesIO(bytes(at & 255 for at in range(size))))


@test
def transcriptions_and_translations_take_files_of_any_size():
    with before_a_mock() as (own, alpha):
        for size in SIZES:
            for audio in [own.audio.transcriptions, own.audio.translations]:
                raw = audio.with_raw_response.create(model="nick", file=file(size))
                assert raw.parse().text == "", raw.text
                assert raw.headers["x-infermux-model"] == "m", raw.headers
        paths = [request["path"] for request in alpha.requests()]
        kinds = ["/v1/audio/transcriptions", "/v1/audio/translations"]
        assert paths == kinds * len(SIZES), paths


@test
def speech_is_what_the_provider_sends():
    with before_a_mock() as (own, alpha):
        with own.audio.speech.with_streaming_response.create(
            model="nick", voice="alloy", input="Hello"
        ) as answer:
            assert b'"model":"nick"' in answer.read()
            assert answer.headers["x-infermux-provider"] == "alpha", answer.headers
        assert alpha.requests()[0]["path"] == "/v1/audio/speech"


@test
def pictures_are_made_and_edited():
    with before_a_mock() as (own, _):
        assert own.images.generate(model="nick", prompt="a cat").data == []
        for size in SIZES:
            edited = own.images.edit(model="nick", prompt="a hat", image=file(size))
            assert edited.data == [], edited


@test
def moderations_are_answered():
    with before_a_mock() as (own, _):
        answer = own.moderations.create(model="nick", input="hello")
        assert answer.model == "nick" and answer.results == [], answer


@test
def files_and_batches_go_to_the_provider_that_the_file_names():
    with before_a_mock() as (own, _):
        for size in SIZES:
            assert own.files.create(file=file(size), purpose="batch").object == "other"
        assert list(own.files.list()) == []
        assert own.files.content("file-1").read().startswith(b"{")
        own.files.delete("file-1")
        made = own.batches.create(
            input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
        )
        assert made.object == "other", made
        assert own.batches.retrieve("batch_1").object == "other"
        assert own.batches.cancel("batch_1").object == "other"
    with before_a_mock(more="") as (own, alpha):
        with raises(openai.NotFoundError) as caught:
            own.files.list()
        check_error(caught[0], 404, "unknown_url")
        assert alpha.requests() == []


if __name__ == "__main__":
    sys.exit(main())
