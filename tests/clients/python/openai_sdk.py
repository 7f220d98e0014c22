"""What a user of OpenAI's SDK sees of a server whose upstream follows scripts. `openai_sdk.mjs` is its twin for Node.

BASE_URL  the server's OpenAI-compatible API, with `/v1`
"""

import asyncio
import json
import os
import time

import openai

from claims import claim, raises, run

SETTINGS = {"base_url": os.environ["BASE_URL"], "api_key": "unused", "timeout": 30}
# Without retries, so that every failure is seen as it comes.
client = openai.OpenAI(**SETTINGS, max_retries=0)

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


def say(model, text="one two three", **parameters):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    return client.chat.completions.create(model=model, messages=messages, **parameters)


@claim
def a_chat_is_answered():
    answer = say("scripted/echo", "Grüße aus 東京 🗼", temperature=0.5, max_completion_tokens=50)
    assert answer.object == "chat.completion" and answer.id and answer.created > 0
    (choice,) = answer.choices
    assert (choice.index, choice.finish_reason) == (0, "stop")
    assert (choice.message.role, choice.message.content) == ("assistant", "Grüße aus 東京 🗼")
    assert choice.message.refusal is None and choice.message.tool_calls is None
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (11, 7, 18)
    assert usage.prompt_tokens_details.cached_tokens == 3
    assert usage.completion_tokens_details.reasoning_tokens == 2


@claim
def a_stream_says_the_same_and_ends():
    chunks = list(say("scripted/echo", stream=True))
    assert all(chunk.object == "chat.completion.chunk" for chunk in chunks)
    assert all(len(chunk.choices) == 1 for chunk in chunks), "usage was not asked for"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two three"
    reasons = [chunk.choices[0].finish_reason for chunk in chunks]
    assert reasons[-1] == "stop" and not any(reasons[:-1]), reasons
    assert all(chunk.usage is None for chunk in chunks)


@claim
def a_stream_tells_usage_to_those_who_ask():
    chunks = list(say("scripted/echo", stream=True, stream_options={"include_usage": True}))
    last = chunks.pop()
    assert last.choices == [] and last.usage.total_tokens == 18
    assert all(chunk.usage is None for chunk in chunks)


@claim
def a_tool_is_called_and_its_result_answered():
    messages = [{"role": "user", "content": "How is the weather in Paris?"}]
    asked = client.chat.completions.create(
        model="scripted/weather", messages=messages, tools=[WEATHER], tool_choice="auto"
    )
    (choice,) = asked.choices
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    (call,) = choice.message.tool_calls
    assert (call.id, call.type, call.function.name) == ("call_0", "function", "get_weather")
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    # The SDK's own object goes back as it came, as every example does it.
    messages += [choice.message, {"role": "tool", "tool_call_id": call.id, "content": '{"celsius": 18}'}]
    answered = client.chat.completions.create(model="scripted/weather", messages=messages, tools=[WEATHER])
    assert answered.choices[0].message.content == "It is 18 degrees in Paris."


@claim
def a_tool_is_called_in_a_stream():
    messages = [{"role": "user", "content": "How is the weather in Paris?"}]
    # The SDK's accumulator is the strictest reader of deltas that there is.
    with client.chat.completions.stream(model="scripted/weather-streamed", messages=messages, tools=[WEATHER]) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        asked = stream.get_final_completion()
    assert [(event.name, json.loads(event.arguments)) for event in done] == [("get_weather", {"city": "Paris"})]
    message = asked.choices[0].message
    assert message.tool_calls[0].id == "call_0" and asked.choices[0].finish_reason == "tool_calls"
    messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": '{"celsius": 18}'}]
    with client.chat.completions.stream(model="scripted/weather-streamed", messages=messages, tools=[WEATHER]) as stream:
        answered = stream.until_done().get_final_completion()
    assert answered.choices[0].message.content == "It is 18 degrees in Paris."


@claim
def models_are_listed():
    ids = [model.id for model in client.models.list()]
    assert "scripted/echo" in ids and "scripted/deep/er" in ids, ids


@claim
def a_model_is_found_by_its_name():
    # The SDK writes the slashes of a name as %2F.
    for name in ["scripted/echo", "scripted/deep/er"]:
        model = client.models.retrieve(name)
        assert (model.id, model.object) == (name, "model") and model.owned_by


@claim
def an_invalid_request_is_a_bad_request_that_names_the_parameter():
    error = raises(openai.BadRequestError, lambda: say("scripted/echo", max_tokens=-1))
    assert error.status_code == 400 and error.param == "max_tokens" and error.type == "invalid_request_error"
    assert "max_tokens" in error.message and error.code, (error.message, error.code)
    error = raises(openai.BadRequestError, lambda: say("scripted/echo", tool_choice="perhaps", stream=True))
    assert error.param == "tool_choice", error.param
    message = {"role": "nobody", "content": "Hi"}
    create = client.chat.completions.create
    error = raises(openai.BadRequestError, lambda: create(model="scripted/echo", messages=[message]))
    assert error.param == "messages[0].role", error.param


@claim
def a_model_that_is_not_there_is_not_found():
    for missing in ["nobody/nothing", "scripted/nothing"]:
        for stream in [False, True]:
            error = raises(openai.NotFoundError, lambda: say(missing, stream=stream))
            assert error.code == "model_not_found", error.code
    raises(openai.NotFoundError, lambda: client.models.retrieve("scripted/nothing"))
    raises(openai.NotFoundError, lambda: client.get("/nowhere", cast_to=object))


@claim
def a_rate_limit_tells_when_to_come_back():
    for stream in [False, True]:
        error = raises(openai.RateLimitError, lambda: say("scripted/busy", stream=stream))
        assert error.code == "rate_limit_exceeded", error.code
        assert error.response.headers["retry-after"] == "7"


@claim
def the_sdk_comes_back_when_told_and_succeeds():
    began = time.monotonic()
    patient = client.with_options(max_retries=1)
    answer = patient.chat.completions.create(
        model="scripted/busy-once", messages=[{"role": "user", "content": "Hi"}]
    )
    assert answer.choices[0].message.content == "Welcome back."
    # Told to wait two seconds; of itself, the SDK would wait half a second at most.
    assert time.monotonic() - began > 1.9


@claim
def an_upstreams_failure_is_a_server_error():
    for model, status in [("broken", 500), ("overloaded", 503)]:
        for stream in [False, True]:
            error = raises(openai.InternalServerError, lambda: say(f"scripted/{model}", stream=stream))
            assert error.status_code == status, error.status_code
            assert error.message


@claim
def a_stream_cut_by_the_upstream_raises_and_never_ends_well():
    for model in ["cut", "no-end"]:
        seen = []

        def read():
            for chunk in say(f"scripted/{model}", stream=True):
                seen.append(chunk)

        error = raises(openai.APIError, read)
        assert error.message, error
        assert "".join(chunk.choices[0].delta.content or "" for chunk in seen) == "one two "
        assert all(chunk.choices[0].finish_reason is None for chunk in seen)


@claim
async def an_async_stream_can_be_closed_early():
    async with openai.AsyncOpenAI(**SETTINGS, max_retries=0) as patient:
        messages = [{"role": "user", "content": "Count."}]
        stream = await patient.chat.completions.create(model="scripted/endless", messages=messages, stream=True)
        words = []
        async for chunk in stream:
            words.append(chunk.choices[0].delta.content or "")
            if len(words) == 4:
                break
        await stream.close()
        assert "".join(words).startswith("0 1 "), words
        # The client goes on working.
        answers = await asyncio.gather(
            *(patient.chat.completions.create(model="scripted/echo", messages=messages) for _ in range(5))
        )
        assert all(answer.choices[0].message.content == "Count." for answer in answers)


run()
