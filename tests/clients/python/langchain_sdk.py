"""What a user of LangChain sees, with a model behind the server that does not speak OpenAI's protocol.

BASE_URL  the server's OpenAI-compatible API, with `/v1`
"""

import os

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from claims import claim, run


def model(name, **settings):
    return ChatOpenAI(model=name, base_url=os.environ["BASE_URL"], api_key="unused", max_retries=0, **settings)


class Weather(BaseModel):
    """The weather in a city."""

    city: str
    celsius: int


@tool
def get_weather(city: str) -> str:
    """Tells the weather in a city."""
    return f"18 degrees in {city}"


@claim
def a_chat_is_answered_whole_and_streamed():
    messages = [SystemMessage("Be brief."), HumanMessage("one two three")]
    answer = model("scripted/echo").invoke(messages)
    assert answer.content == "one two three" and answer.usage_metadata["total_tokens"] == 18, answer
    chunks = list(model("scripted/echo", stream_usage=True).stream(messages))
    assert "".join(chunk.content for chunk in chunks) == "one two three" and len(chunks) > 2


@claim
def a_tool_is_called_and_its_result_is_heard():
    bound = model("scripted/weather").bind_tools([get_weather])
    messages = [HumanMessage("How is the weather in Paris?")]
    asked = bound.invoke(messages)
    (call,) = asked.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"}), asked
    messages += [asked, ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])]
    assert bound.invoke(messages).content == "It is 18 degrees in Paris."


@claim
def an_answer_has_the_form_that_was_asked_for():
    structured = model("scripted/structured").with_structured_output(Weather, method="json_schema")
    assert structured.invoke("The weather?") == Weather(city="Paris", celsius=18)


@claim
def the_responses_api_is_served_too():
    answer = model("scripted/echo", use_responses_api=True).invoke("one two three")
    assert answer.text == "one two three", answer


run()
