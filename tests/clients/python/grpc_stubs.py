"""What a Python service sees that calls over gRPC with stubs generated from the contract.

GRPC_TARGET  host:port of the server
STUBS        a folder with what grpc_tools.protoc made of `proto/`
"""

import os
import sys
import time

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from claims import claim, run

sys.path.insert(0, os.environ["STUBS"])
from sabir.v1 import chat_pb2, chat_pb2_grpc, models_pb2, models_pb2_grpc  # noqa: E402

channel = grpc.insecure_channel(os.environ["GRPC_TARGET"])
chat = chat_pb2_grpc.ChatStub(channel)
models = models_pb2_grpc.ModelsStub(channel)
LIMIT = 30


def say(model, text="one two three", **fields):
    message = chat_pb2.ChatMessage(role=chat_pb2.ROLE_USER, text=text)
    return chat_pb2.CreateChatCompletionRequest(model=model, messages=[message], **fields)


def fails(code, action):
    """The error with this code that the action must end with."""
    try:
        outcome = action()
    except grpc.RpcError as error:
        assert error.code() is code, error
        return error
    raise AssertionError(f"expected {code}, got {outcome!r}")


def details(error, kind):
    """The first of these details in `grpc-status-details-bin`."""
    for packed in rpc_status.from_call(error).details:
        detail = kind()
        if packed.Unpack(detail):
            return detail
    raise AssertionError(f"no {kind.__name__} in the details of {error}")


@claim
def a_chat_is_answered():
    answer = chat.CreateChatCompletion(say("scripted/echo", "Grüße 🗼"), timeout=LIMIT)
    assert answer.choices[0].message.content == "Grüße 🗼"
    assert answer.usage.total_tokens == 18


@claim
def a_stream_says_the_same():
    options = chat_pb2.StreamOptions(include_usage=True)
    chunks = list(chat.StreamChatCompletion(say("scripted/echo", stream_options=options), timeout=LIMIT))
    assert "".join(choice.delta.content for chunk in chunks for choice in chunk.choices) == "one two three"
    assert not chunks[-1].choices and chunks[-1].usage.total_tokens == 18


@claim
def models_are_listed_and_found():
    ids = [model.id for model in models.ListModels(models_pb2.ListModelsRequest(), timeout=LIMIT).data]
    assert "scripted/echo" in ids, ids
    for name in ids:
        assert models.GetModel(models_pb2.GetModelRequest(id=name), timeout=LIMIT).id == name
    missing = models_pb2.GetModelRequest(id="scripted/nothing")
    fails(grpc.StatusCode.NOT_FOUND, lambda: models.GetModel(missing, timeout=LIMIT))


@claim
def a_refused_request_has_the_field_in_its_details():
    for call in [chat.CreateChatCompletion, lambda *given, **named: list(chat.StreamChatCompletion(*given, **named))]:
        error = fails(
            grpc.StatusCode.INVALID_ARGUMENT, lambda: call(say("scripted/echo", max_tokens=-1), timeout=LIMIT)
        )
        violations = details(error, error_details_pb2.BadRequest).field_violations
        assert [violation.field for violation in violations] == ["max_tokens"], violations
        assert (violations[0].description, violations[0].reason) == ("must be at least 1", "int32.gte"), violations


@claim
def a_rate_limit_tells_when_to_come_back():
    error = fails(
        grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: chat.CreateChatCompletion(say("scripted/busy"), timeout=LIMIT)
    )
    assert details(error, error_details_pb2.RetryInfo).retry_delay.seconds == 7


@claim
def a_stream_cut_by_the_upstream_ends_with_an_error():
    words = []

    def read():
        for chunk in chat.StreamChatCompletion(say("scripted/cut"), timeout=LIMIT):
            words.extend(choice.delta.content for choice in chunk.choices)

    fails(grpc.StatusCode.UNAVAILABLE, read)
    assert "".join(words) == "one two "


@claim
def a_deadline_is_kept():
    for call in [chat.CreateChatCompletion, lambda *given, **named: list(chat.StreamChatCompletion(*given, **named))]:
        began = time.monotonic()
        fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: call(say("scripted/silent"), timeout=0.5))
        assert time.monotonic() - began < 10


@claim
def a_stream_can_be_cancelled():
    stream = chat.StreamChatCompletion(say("scripted/endless"), timeout=LIMIT)
    for _ in range(3):
        next(stream)
    stream.cancel()
    fails(grpc.StatusCode.CANCELLED, lambda: list(stream))
    # The channel goes on working.
    assert chat.CreateChatCompletion(say("scripted/echo", "still there?"), timeout=LIMIT).choices


@claim
def health_is_told_of_the_server_and_of_each_service():
    health = health_pb2_grpc.HealthStub(channel)
    for service in ["", "sabir.v1.Chat", "sabir.v1.Models"]:
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=LIMIT)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, service
    unknown = health_pb2.HealthCheckRequest(service="sabir.v1.Nothing")
    fails(grpc.StatusCode.NOT_FOUND, lambda: health.Check(unknown, timeout=LIMIT))
    watch = health.Watch(health_pb2.HealthCheckRequest(service=""), timeout=LIMIT)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


@claim
def reflection_v1alpha_tells_the_contract():
    # Python's library speaks v1alpha; grpcurl and buf speak v1.
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    expected = {"sabir.v1.Chat", "sabir.v1.Models", "grpc.health.v1.Health"}
    assert expected <= services, services
    file = database.FindFileContainingSymbol("sabir.v1.Chat")
    assert [method.name for method in file.service[0].method] == ["CreateChatCompletion", "StreamChatCompletion"]


run()
