"""What schemathesis has to be told of Sabir: rules between fields, which no schema can state, and lines of JSON.

Requests that are meant to be accepted are touched where such a rule needs it. Those that are meant to be refused go out as they
were made, except that none gives its call no time.
"""

import json
import os
import re

import schemathesis
from schemathesis.generation import GenerationMode

# Seconds. Far below, a deadline passes before the answer is there, as it should.
ENOUGH = "30"


@schemathesis.hook
def before_call(context, case, kwargs):
    leave_time(case.headers)
    meta = case.meta
    if meta is None or meta.generation.mode != GenerationMode.POSITIVE:
        return
    if isinstance(case.body, dict) and case.operation.path == "/v1/chat/completions":
        satisfy(case.body)


def leave_time(headers):
    """A deadline that is none is left as it is; one that can be read leaves time for the answer, whatever else is wrong."""
    try:
        timeout = float(headers.get("x-server-timeout"))
    except (TypeError, ValueError):
        return
    if 0 <= timeout < float(ENOUGH):
        headers["x-server-timeout"] = ENOUGH


def satisfy(request):
    """Makes a chat request ask a model that is there, and keep the rules between its fields."""
    request["model"] = "scripted/fixed"
    for message in request["messages"]:
        keep_role(message)
    if request.get("top_logprobs") is not None:
        request["logprobs"] = True
    for function in request.get("functions") or []:
        keep_object(function, "parameters")
    for tool in request.get("tools") or []:
        keep_object(tool.get("function") or {}, "parameters")
    response_format = request.get("response_format") or {}
    keep_object(response_format.get("json_schema") or {}, "schema")
    # A choice names what is there.
    functions = [function["name"] for function in request.get("functions") or []]
    chosen = request.get("function_call")
    if isinstance(chosen, dict) and chosen.get("name") not in functions:
        del request["function_call"]
    tools = request.get("tools") or []
    chosen = request.get("tool_choice")
    if isinstance(chosen, dict) and chosen.get("type") in ("function", "custom"):
        kind = chosen["type"]
        names = [tool[kind]["name"] for tool in tools if tool.get("type") == kind]
        if chosen[kind].get("name") not in names:
            del request["tool_choice"]


def keep_role(message):
    """Each role has members that it cannot do without."""
    role = message["role"]
    if role == "function":
        message["name"] = message.get("name") or "f"
    if role == "tool":
        message["tool_call_id"] = message.get("tool_call_id") or "call_1"
    if message.get("content") is None:
        message["content"] = "Hello!"


def keep_object(holder, member):
    """A JSON Schema is an object."""
    if member in holder and not isinstance(holder[member], dict):
        holder[member] = {}


@schemathesis.deserializer("application/x-ndjson")
def first_line(ctx, response):
    return json.loads(response.text.splitlines()[0])


# Since 3.2 a document describes each event, which schemathesis knows. Before, it describes what their data is.
if os.environ["OPENAPI"] == "3.1":

    @schemathesis.deserializer("text/event-stream")
    def data_of_events(ctx, response):
        data = re.findall(r"^data: (.*)$", response.text, re.MULTILINE)
        return [json.loads(text) for text in data if text != "[DONE]"]
