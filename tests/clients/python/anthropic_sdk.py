"""What a user of Anthropic's SDK sees, whatever the upstream speaks. `anthropic_sdk.mjs` is its twin for Node.

BASE_URL  the server, without a path
"""

import json
import os

import anthropic

from claims import claim, raises, run

client = anthropic.Anthropic(base_url=os.environ["BASE_URL"], api_key="unused", timeout=30, max_retries=0)

WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
    "cache_control": {"type": "ephemeral"},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def say(model, text="one two three", **parameters):
    messages = [{"role": "user", "content": text}]
    return client.messages.create(model=model, max_tokens=100, system="Be brief.", messages=messages, **parameters)


@claim
def a_message_is_answered():
    # Not every API knows stop texts.
    settings = {"stop_sequences": ["END"], "extra_headers": {"sabir-on-unsupported": "drop"}}
    answer = say("scripted/echo", "Grüße aus 東京 🗼", extra_body={"temperature": 0.5}, **settings)
    assert (answer.type, answer.role, answer.stop_reason, answer.stop_sequence) == ("message", "assistant", "end_turn", None)
    (block,) = answer.content
    assert (block.type, block.text) == ("text", "Grüße aus 東京 🗼")
    assert answer.id and answer.model
    usage = answer.usage
    # Not every server says what it read from its cache.
    assert (usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens) == (11, 7), usage


@claim
def a_stream_says_the_same_and_ends():
    with client.messages.stream(
        model="scripted/echo", max_tokens=100, messages=[{"role": "user", "content": "one two three"}]
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds
    assert final.content[0].text == "one two three"
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 7), final


@claim
def tools_are_called_over_three_turns():
    for model, streamed in [("scripted/weather", False), ("scripted/weather-streamed", True)]:
        messages = [{"role": "user", "content": "How is the weather in Paris?"}]
        settings = {"model": model, "max_tokens": 100, "tools": [WEATHER], "tool_choice": {"type": "auto"}}

        def ask():
            if not streamed:
                return client.messages.create(messages=messages, **settings)
            with client.messages.stream(messages=messages, **settings) as stream:
                return stream.get_final_message()

        asked = ask()
        # Thoughts, where the model has any, come first.
        use = asked.content[-1]
        assert (asked.stop_reason, use.type, use.name, use.input) == ("tool_use", "tool_use", "get_weather", {"city": "Paris"})
        result = {"type": "tool_result", "tool_use_id": use.id, "content": json.dumps({"celsius": 18})}
        messages += [{"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
        answered = ask()
        assert answered.content[0].text == "It is 18 degrees in Paris."
        messages += [{"role": "assistant", "content": answered.content}, {"role": "user", "content": "And tomorrow?"}]
        assert ask().stop_reason == "tool_use"
        # Scripts take turns; this puts them back to the beginning.
        messages += [{"role": "assistant", "content": "I do not know."}, {"role": "user", "content": "Then end."}]
        assert ask().stop_reason == "end_turn"


@claim
def an_image_is_shown():
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    answer = say("scripted/echo", content)
    assert answer.content[0].text == "What is this?"


@claim
def an_answer_has_the_form_that_was_asked_for():
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    output_config = {"format": {"type": "json_schema", "schema": schema}}
    answer = say("scripted/structured", "The weather?", extra_body={"output_config": output_config})
    assert json.loads(answer.content[-1].text) == {"city": "Paris", "celsius": 18}, answer


@claim
def errors_are_of_the_sdks_own_kinds():
    error = raises(anthropic.NotFoundError, lambda: say("nobody/nothing"))
    assert error.body["error"]["type"] == "not_found_error", error.body
    error = raises(anthropic.RateLimitError, lambda: say("scripted/busy"))
    assert error.response.headers["retry-after"] == "7" and error.body["type"] == "error", error.body
    error = raises(anthropic.BadRequestError, lambda: say("scripted/echo", extra_body={"top_p": 3}))
    assert "top_p" in error.body["error"]["message"], error.body
    message = [{"role": "user", "content": [{"type": "tool_result", "content": "x"}]}]
    create = client.messages.create
    error = raises(anthropic.BadRequestError, lambda: create(model="scripted/echo", max_tokens=9, messages=message))
    assert "messages[0].content[0].tool_use_id" in error.body["error"]["message"], error.body


@claim
def a_stream_cut_by_the_upstream_is_no_answer():
    words = []

    def read():
        with client.messages.stream(
            model="scripted/cut", max_tokens=9, messages=[{"role": "user", "content": "x"}]
        ) as stream:
            words.extend(stream.text_stream)

    try:
        read()
        raise AssertionError("the stream ended well")
    except anthropic.APIError as error:
        assert "overloaded" in str(error) or "error" in str(error), error
    assert "".join(words) == "one two ", words


run()
