"""Python clients of the Responses API against infermux, over providers of each kind.

responses_test.py BIN_FOLDER [--mock-only]
"""

import asyncio
import contextlib
import os
import sys

import agents
import openai
import pydantic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModel

from asking import MODEL, base_url, everywhere
from scenes import CALLS, TOOL, routed
from support import MOCK_ONLY, PATIENCE_SECONDS, main, raises, test
from support import routed as through_infermux

QUESTION = "How is the weather?"
LOOP = {"calls": CALLS, "text": "Cold in both.", "reasoning": "Two cities, two calls."}
FUNCTION = {
    "type": "function",
    "name": TOOL["name"],
    "description": TOOL["description"],
    "parameters": TOOL["input_schema"],
    "strict": True,
}


class Weather(pydantic.BaseModel):
    """What a model is asked to answer in."""

    city: str
    degrees: int


@contextlib.contextmanager
def asking(mock, **scene):
    """A client that does not retry: every failure must show."""
    with (
        routed(mock, **scene) as router,
        openai.OpenAI(
            base_url=base_url(router),
            api_key=router.key,
            max_retries=0,
            timeout=PATIENCE_SECONDS,
        ) as own,
    ):
        yield own


@test
@everywhere
def a_response_has_text_usage_and_the_model_asked_for(provider):
    with asking(provider()) as own:
        raw = own.responses.with_raw_response.create(
            model=MODEL, input="Say hello.", instructions="Be brief."
        )
        response = raw.parse()
        assert "Say hello." in response.output_text, response
        assert response.model == MODEL and response.id.startswith("resp_"), response
        assert response.status == "completed" and response.error is None, response
        assert response.usage.input_tokens > 0 and response.usage.output_tokens > 0, response
        if not MOCK_ONLY:
            assert float(raw.headers["x-infermux-cost"]) >= 0, raw.headers


@test
@everywhere
def a_streamed_response_is_the_plain_one(provider):
    with asking(provider(reasoning="A greeting is wanted.")) as own:
        plain = own.responses.create(model=MODEL, input="Say hello.")
        with own.responses.stream(model=MODEL, input="Say hello.") as stream:
            events = list(stream)
            final = stream.get_final_response()
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        assert text == plain.output_text == final.output_text, (text, plain, final)
        assert [item.type for item in final.output] == [item.type for item in plain.output]
        assert final.usage == plain.usage, (final, plain)
        numbers = [event.sequence_number for event in own.responses.create(
            model=MODEL, input="Say hello.", stream=True
        )]
        assert numbers == list(range(len(numbers))), numbers


@test
@everywhere
def an_answer_is_parsed(provider):
    with asking(provider(text='{"city": "Oslo", "degrees": 3}')) as own:
        parsed = own.responses.parse(model=MODEL, input=QUESTION, text_format=Weather)
        assert parsed.output_parsed == Weather(city="Oslo", degrees=3), parsed


@test
@everywhere
def parallel_tools_are_called_and_answered_over_two_turns(provider):
    for streamed in (False, True):
        mock = provider(**LOOP)
        with asking(mock) as own:

            def ask(items, own=own):
                more = {"model": MODEL, "input": items, "tools": [FUNCTION], "store": False}
                more["include"] = ["reasoning.encrypted_content"]
                if not streamed:
                    return own.responses.create(**more)
                with own.responses.stream(**more) as stream:
                    return stream.get_final_response()

            items = [{"role": "user", "content": QUESTION}]
            first = ask(items)
            calls = [item for item in first.output if item.type == "function_call"]
            cities = ['{"city":"Oslo"}', '{"city":"Tōkyō"}']
            assert [call.arguments.replace(" ", "") for call in calls] == cities, first
            # An application hands the items back as it got them.
            items += [item.model_dump(exclude_none=True) for item in first.output]
            for item in items:
                item.pop("parsed_arguments", None)
            items += [
                {"type": "function_call_output", "call_id": call.call_id, "output": "3 degrees"}
                for call in calls
            ]
            assert ask(items).output_text == "Cold in both."
            assert "3 degrees" in mock.requests()[-1]["body_text"]


@agents.function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"3 degrees in {city}"


@test
@everywhere
def the_agents_sdk_runs_a_loop_of_tools(provider):
    agents.set_tracing_disabled(True)
    mock = provider(**LOOP)
    with routed(mock) as router:

        async def run(streamed):
            settings = {"base_url": base_url(router), "api_key": router.key, "max_retries": 0}
            async with openai.AsyncOpenAI(**settings) as client:
                model = agents.OpenAIResponsesModel(model=MODEL, openai_client=client)
                agent = agents.Agent(name="a", instructions="Help.", tools=[weather], model=model)
                if not streamed:
                    return (await agents.Runner.run(agent, QUESTION)).final_output
                result = agents.Runner.run_streamed(agent, QUESTION)
                async for _ in result.stream_events():
                    pass
                return result.final_output

        for streamed in (False, True):
            assert asyncio.run(run(streamed)) == "Cold in both."
            assert "3 degrees in Oslo" in mock.requests()[-1]["body_text"]


@test
@everywhere
def the_default_model_of_pydantic_ai_runs_a_loop_of_tools(provider):
    mock = provider(**LOOP)
    with routed(mock) as router:
        os.environ["OPENAI_BASE_URL"] = base_url(router)
        os.environ["OPENAI_API_KEY"] = router.key
        agent = Agent(f"openai:{MODEL}")
        assert isinstance(agent.model, OpenAIResponsesModel), agent.model

        @agent.tool_plain
        def weather(city: str) -> str:
            return f"3 degrees in {city}"

        assert agent.run_sync(QUESTION).output == "Cold in both."
        assert "3 degrees in Oslo" in mock.requests()[-1]["body_text"]


@test
@everywhere
def langchain_calls_a_tool_and_answers_it(provider):
    mock = provider(**LOOP)
    with routed(mock) as router:
        model = ChatOpenAI(
            model=MODEL,
            base_url=base_url(router),
            api_key=router.key,
            use_responses_api=True,
            max_retries=0,
        ).bind_tools([FUNCTION])
        turns = [HumanMessage(QUESTION)]
        first = None
        for piece in model.stream(turns):
            first = piece if first is None else first + piece
        assert [call["args"]["city"] for call in first.tool_calls] == ["Oslo", "Tōkyō"], first
        results = [ToolMessage("3 degrees", tool_call_id=call["id"]) for call in first.tool_calls]
        second = model.invoke([*turns, first, *results])
        assert second.text == "Cold in both.", second
        assert "3 degrees" in mock.requests()[-1]["body_text"]


@through_infermux
@everywhere
def refusals_are_their_exceptions(provider):
    with asking(provider(status=429)) as own, raises(openai.RateLimitError):
        own.responses.create(model=MODEL, input=QUESTION)
    with asking(provider()) as own, raises(openai.NotFoundError):
        own.responses.create(model="none", input=QUESTION)


@through_infermux
@everywhere
def a_stream_that_dies_says_that_it_failed(provider):
    with asking(provider(do="cut_mid_stream", after_events=1)) as own:
        events = list(own.responses.create(model=MODEL, input=QUESTION, stream=True))
        assert events[-1].type == "response.failed", events
        assert events[-1].response.error.code == "server_error", events[-1]


if __name__ == "__main__":
    sys.exit(main())
