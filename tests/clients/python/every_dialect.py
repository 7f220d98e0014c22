"""What a user of OpenAI's SDK sees, whatever the upstream speaks. `every_dialect.mjs` is its twin for Node.

BASE_URL  the server's OpenAI-compatible API, with `/v1`
"""

import json
import os

import openai
from pydantic import BaseModel

from claims import claim, raises, run

client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="unused", timeout=30, max_retries=0)
create = client.chat.completions.create

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Weather(BaseModel):
    city: str
    celsius: int


def say(model, content="one two three", **parameters):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
    return create(model=model, messages=messages, **parameters)


@claim
def a_chat_is_answered():
    # Not every API knows stop texts.
    settings = {"temperature": 0.5, "max_completion_tokens": 50, "stop": ["END"]}
    answer = say("scripted/echo", "Grüße aus 東京 🗼", extra_headers={"sabir-on-unsupported": "drop"}, **settings)
    assert answer.object == "chat.completion" and answer.id and answer.created > 0
    (choice,) = answer.choices
    assert (choice.finish_reason, choice.message.content) == ("stop", "Grüße aus 東京 🗼")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 7), answer.usage


@claim
def a_stream_says_the_same_and_ends():
    chunks = list(say("scripted/echo", stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant" and all(chunk.created > 0 for chunk in chunks)
    assert all(chunk.id == chunks[0].id and chunk.id for chunk in chunks)
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "one two three"
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert reasons == ["stop"], reasons
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (11, 7), chunks[-1]


@claim
def tools_are_called_over_three_turns():
    for model, streamed in [("scripted/weather", False), ("scripted/weather-streamed", True)]:
        messages = [{"role": "user", "content": "How is the weather in Paris?"}]

        def ask():
            if not streamed:
                return create(model=model, messages=messages, tools=[WEATHER]).choices[0]
            with client.chat.completions.stream(model=model, messages=messages, tools=[WEATHER]) as stream:
                return stream.until_done().get_final_completion().choices[0]

        asked = ask()
        (call,) = asked.message.tool_calls
        assert asked.finish_reason == "tool_calls" and call.id and call.function.name == "get_weather", asked
        assert json.loads(call.function.arguments) == {"city": "Paris"}
        messages += [asked.message, {"role": "tool", "tool_call_id": call.id, "content": '{"celsius": 18}'}]
        answered = ask()
        assert (answered.finish_reason, answered.message.content) == ("stop", "It is 18 degrees in Paris.")
        messages += [answered.message, {"role": "user", "content": "And tomorrow?"}]
        assert ask().finish_reason == "tool_calls"
        messages += [{"role": "assistant", "content": "I do not know."}, {"role": "user", "content": "Then end."}]
        assert ask().finish_reason == "stop"


@claim
def an_image_is_shown():
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    answer = say("scripted/echo", [image, {"type": "text", "text": "What is this?"}])
    assert answer.choices[0].message.content == "What is this?"


@claim
def an_answer_has_the_form_that_was_asked_for():
    messages = [{"role": "user", "content": "The weather?"}]
    answer = client.chat.completions.parse(model="scripted/structured", messages=messages, response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Paris", celsius=18), answer


@claim
def errors_are_of_the_sdks_own_kinds():
    for stream in [False, True]:
        raises(openai.NotFoundError, lambda: say("scripted/nothing", stream=stream))
        error = raises(openai.RateLimitError, lambda: say("scripted/busy", stream=stream))
        assert error.response.headers["retry-after"] == "7"
        raises(openai.InternalServerError, lambda: say("scripted/broken", stream=stream))


@claim
def a_stream_cut_by_the_upstream_is_no_answer():
    for model in ["scripted/cut", "scripted/no-end"]:
        words = []

        def read():
            for chunk in say(model, stream=True):
                words.extend(choice.delta.content or "" for choice in chunk.choices)

        raises(openai.APIError, read)
        assert "".join(words) == "one two ", words


run()
