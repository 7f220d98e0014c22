"""What a user of OpenAI's SDK sees of the Responses API, whatever the upstream speaks. `responses_sdk.mjs` is its twin.

BASE_URL  the server's OpenAI-compatible API, with `/v1`
"""

import json
import os

import openai
from pydantic import BaseModel

from claims import claim, raises, run

client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="unused", timeout=30, max_retries=0)
create = client.responses.create

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Weather(BaseModel):
    city: str
    celsius: int


@claim
def a_question_is_answered():
    answer = create(
        model="scripted/echo",
        instructions="Be brief.",
        input="Grüße aus 東京 🗼",
        temperature=0.5,
        max_output_tokens=50,
        include=["reasoning.encrypted_content"],
        store=False,
    )
    assert answer.object == "response" and answer.id.startswith("resp_") and answer.created_at > 0
    assert (answer.status, answer.output_text) == ("completed", "Grüße aus 東京 🗼"), answer
    (item,) = answer.output
    assert (item.type, item.role, item.status) == ("message", "assistant", "completed") and item.id
    assert item.content[0].annotations == []
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (11, 7, 18)
    assert (answer.instructions, answer.temperature, answer.max_output_tokens) == ("Be brief.", 0.5, 50)
    assert answer.error is None and answer.tools == [] and answer.tool_choice == "auto" and answer.store is False


@claim
def a_stream_says_the_same_in_its_events():
    events = list(create(model="scripted/echo", input="one two three", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ], kinds
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ], kinds
    words = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(words) == "one two three" and len(words) > 1
    done = events[-1].response
    assert done.output_text == "one two three" and done.id == events[0].response.id
    assert (done.usage.input_tokens, done.usage.output_tokens) == (11, 7), done.usage


@claim
def tools_are_called_over_three_turns():
    for model, streamed in [("scripted/weather", False), ("scripted/weather-streamed", True)]:
        items = [{"role": "user", "content": "How is the weather in Paris?"}]

        def ask():
            if not streamed:
                return create(model=model, input=items, tools=[WEATHER])
            with client.responses.stream(model=model, input=items, tools=[WEATHER]) as stream:
                return stream.until_done().get_final_response()

        asked = ask()
        call = asked.output[-1]
        assert call.type == "function_call" and call.call_id and call.name == "get_weather", asked
        assert json.loads(call.arguments) == {"city": "Paris"}
        items += [item.to_dict() for item in asked.output]
        items += [{"type": "function_call_output", "call_id": call.call_id, "output": '{"celsius": 18}'}]
        answered = ask()
        assert answered.output_text == "It is 18 degrees in Paris.", answered
        items += [item.to_dict() for item in answered.output]
        items += [{"role": "user", "content": "And tomorrow?"}]
        assert ask().output[-1].type == "function_call"
        items += [{"role": "assistant", "content": "I do not know."}, {"role": "user", "content": "Then end."}]
        assert ask().output_text == "It is 18 degrees in Paris."


@claim
def an_image_is_shown():
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
    content = [image, {"type": "input_text", "text": "What is this?"}]
    answer = create(model="scripted/echo", input=[{"role": "user", "content": content}])
    assert answer.output_text == "What is this?"


@claim
def an_answer_has_the_form_that_was_asked_for():
    answer = client.responses.parse(model="scripted/structured", input="The weather?", text_format=Weather)
    assert answer.output_parsed == Weather(city="Paris", celsius=18), answer
    with client.responses.stream(model="scripted/structured", input="The weather?", text_format=Weather) as stream:
        assert stream.until_done().get_final_response().output_parsed == Weather(city="Paris", celsius=18)


@claim
def errors_are_of_the_sdks_own_kinds():
    def ask(model, **parameters):
        return create(model=model, input="x", **parameters)

    for stream in [False, True]:
        raises(openai.NotFoundError, lambda: ask("scripted/nothing", stream=stream))
        error = raises(openai.RateLimitError, lambda: ask("scripted/busy", stream=stream))
        assert error.response.headers["retry-after"] == "7"
        raises(openai.InternalServerError, lambda: ask("scripted/broken", stream=stream))
    error = raises(openai.BadRequestError, lambda: ask("scripted/echo", previous_response_id="resp_1"))
    assert error.param == "previous_response_id" and "input" in error.message, error
    item = {"type": "item_reference", "id": "msg_1"}
    error = raises(openai.BadRequestError, lambda: create(model="scripted/echo", input=[item]))
    assert error.param == "input[0]", error


@claim
def a_stream_cut_by_the_upstream_is_no_answer():
    for model in ["scripted/cut", "scripted/no-end"]:
        events = []

        def read():
            events.extend(event for event in create(model=model, input="x", stream=True))

        raises(openai.APIError, read)
        assert not any(event.type == "response.completed" for event in events)


run()
