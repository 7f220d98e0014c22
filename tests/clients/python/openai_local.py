"""Structured output of the model in the server's process, seen through OpenAI's SDK: whatever the weights, the answer is
JSON that fits the schema, because the grammar allows no other token.

BASE_URL  the server's OpenAI-compatible API, with `/v1`
MODEL     the model to ask; one of random weights will do
"""

import json
import os
from typing import Literal

import jsonschema
import openai
import pydantic

from claims import claim, raises, run

MODEL = os.environ["MODEL"]
client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="unused", timeout=60, max_retries=0)

# Every length is bounded: a model that knows nothing also does not know when to stop.
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "kind": {"enum": ["port", "ship", "cargo"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 4}, "minItems": 1, "maxItems": 2},
        "owner": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/owner"}]},
    },
    "required": ["name", "kind", "count", "tags", "owner"],
    "additionalProperties": False,
    "$defs": {
        "owner": {
            "type": "object",
            "properties": {"active": {"type": "boolean"}},
            "required": ["active"],
            "additionalProperties": False,
        }
    },
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "entry", "strict": True, "schema": SCHEMA}}
ASK = {"model": MODEL, "messages": [{"role": "user", "content": "An entry, please."}], "max_tokens": 400}


def assert_valid(text):
    jsonschema.validate(json.loads(text), SCHEMA, cls=jsonschema.Draft202012Validator)


@claim
def the_local_model_is_listed_as_what_it_is():
    (model,) = client.models.list()
    assert model.id == MODEL and "demo" in model.model_extra["description"].lower(), model


@claim
def an_answer_fits_its_schema():
    for seed in range(5):
        answer = client.chat.completions.create(**ASK, seed=seed, temperature=1.0, response_format=FORMAT)
        assert answer.choices[0].finish_reason == "stop", answer
        assert_valid(answer.choices[0].message.content)
        assert answer.usage.completion_tokens > 0 and answer.usage.prompt_tokens > 0


@claim
def a_streamed_answer_fits_its_schema_and_is_the_same_one():
    for seed in range(3):
        parameters = {**ASK, "seed": seed, "temperature": 1.0, "response_format": FORMAT}
        chunks = list(client.chat.completions.create(**parameters, stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert chunks[-1].choices[0].finish_reason == "stop"
        assert len(chunks) > 5, "it streams token by token"
        assert_valid(text)
        assert text == client.chat.completions.create(**parameters).choices[0].message.content


@claim
def the_sdk_makes_an_object_of_it():
    class Entry(pydantic.BaseModel):
        kind: Literal["port", "ship"]
        open: bool

    answer = client.chat.completions.parse(**ASK, response_format=Entry)
    entry = answer.choices[0].message.parsed
    assert isinstance(entry, Entry) and entry.kind in ("port", "ship")


@claim
def a_json_object_is_an_object():
    answer = client.chat.completions.create(**ASK, response_format={"type": "json_object"})
    choice = answer.choices[0]
    # A model of random weights may never close its object; then it must say that it was cut.
    if choice.finish_reason == "stop":
        assert isinstance(json.loads(choice.message.content), dict)
    else:
        assert choice.finish_reason == "length" and choice.message.content.lstrip().startswith("{")


@claim
def a_schema_that_cannot_be_kept_is_refused():
    schema = {"type": "object", "properties": {"a": {"not": {"type": "string"}}}, "required": ["a"]}
    unkeepable = {"type": "json_schema", "json_schema": {"name": "no", "schema": schema}}
    create = client.chat.completions.create
    error = raises(openai.BadRequestError, lambda: create(**ASK, response_format=unkeepable))
    assert (error.param or "").startswith("response_format"), error.param


run()
