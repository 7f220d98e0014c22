"""The ways to make a call: gRPC, gRPC-Web, and HTTP with JSON and events."""

import json
import struct
import sys
import tempfile
from pathlib import Path

import grpc
import httpx
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
CHAT = "/v1/chat/completions"
QUESTION = "Hello!"
# After so many pieces a caller leaves who does not wait for the end.
LEAVES_AFTER = 5
# How long a model is waited for that says nothing, and any other.
SHORT, LONG = 0.5, 60
CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
FILES = [
    "sabir/v1/chat.proto",
    "transcode/v1/options.proto",
    "google/api/annotations.proto",
    "google/api/http.proto",
    "buf/validate/validate.proto",
]


def stubs():
    """The modules that protoc makes of the contract."""
    includes = [f"-I{ROOT}/proto", f"-I{ROOT}/service/transcode/proto", f"-I{Path(protoc.__file__).parent / '_proto'}"]
    with tempfile.TemporaryDirectory(prefix="sabir-soak-stubs-") as folder:
        made = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
        if protoc.main(["protoc", *includes, *made, *FILES]):
            raise SystemExit("soak: the stubs could not be generated")
        sys.path.insert(0, folder)
        from sabir.v1 import chat_pb2, chat_pb2_grpc

        sys.path.remove(folder)
    return chat_pb2, chat_pb2_grpc


class Ways:
    def __init__(self, port, keys):
        self.keys = keys
        self.pb, pb_grpc = stubs()
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.stub = pb_grpc.ChatStub(self.channel)
        limits = httpx.Limits(max_connections=None)
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=LONG, limits=limits)

    async def close(self):
        await self.http.aclose()
        await self.channel.close()

    def request(self, call):
        text = self.pb.ChatMessage(role=self.pb.ROLE_USER, text=QUESTION)
        return self.pb.CreateChatCompletionRequest(model=call.model, messages=[text], max_tokens=16)

    def headers(self, call):
        timeout = {"grpc-timeout": f"{SHORT * 1000:.0f}m"} if call.model == "silent" else {}
        return {"authorization": f"Bearer {self.keys[call.key]}", **timeout}

    async def grpc(self, call):
        metadata = [("authorization", f"Bearer {self.keys[call.key]}")]
        settings = {"metadata": metadata, "timeout": SHORT if call.model == "silent" else LONG}
        unary = call.kind == "unary"
        method = self.stub.CreateChatCompletion if unary else self.stub.StreamChatCompletion
        sent = method(self.request(call), **settings)
        try:
            if unary:
                text = said(await sent)
            else:
                text, count = "", 0
                async for piece in sent:
                    text += said(piece)
                    count += 1
                    if call.kind == "cancel" and count == LEAVES_AFTER:
                        call.heard(dict(await sent.initial_metadata()))
                        sent.cancel()
                        call.outcome = "LEFT"
                        return
            call.answered(text)
            call.heard(dict(await sent.initial_metadata()))
        except grpc.aio.AioRpcError as error:
            call.outcome, call.message = error.code().name, error.details() or ""
            if "RST_STREAM" in call.message:
                # The library's word for a stream that was cut below gRPC.
                call.outcome = "CUT"
            call.heard(dict(error.initial_metadata() or ()) | dict(error.trailing_metadata() or ()))

    async def grpc_web(self, call):
        message = self.request(call).SerializeToString()
        method = "CreateChatCompletion" if call.kind == "unary" else "StreamChatCompletion"
        kind = self.pb.ChatCompletion if call.kind == "unary" else self.pb.ChatCompletionChunk
        headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", **self.headers(call)}
        body = struct.pack(">BI", 0, len(message)) + message
        async with self.http.stream("POST", f"/sabir.v1.Chat/{method}", headers=headers, content=body) as answer:
            call.heard(answer.headers)
            if answer.status_code != 200:
                refused(call, answer.status_code, (await answer.aread()).decode(errors="replace"))
                return
            if "grpc-status" in answer.headers:
                status(call, answer.headers, "")
                return
            text, rest, count = "", b"", 0
            async for piece in answer.aiter_raw():
                rest += piece
                while len(rest) >= 5 and len(rest) >= 5 + (length := struct.unpack(">I", rest[1:5])[0]):
                    flag, payload, rest = rest[0], rest[5 : 5 + length], rest[5 + length :]
                    if flag & 0x80:
                        lines = (line.split(":", 1) for line in payload.decode().splitlines() if line)
                        trailers = {name.strip().lower(): value.strip() for name, value in lines}
                        call.heard(trailers)
                        status(call, trailers, text)
                        continue
                    text += said(kind.FromString(payload))
                    count += 1
                    if call.kind == "cancel" and count == LEAVES_AFTER:
                        call.outcome = "LEFT"
                        return
            call.outcome = call.outcome or "CUT"

    async def rest(self, call, base=""):
        """By the balancer, or with another base past it."""
        body = {"model": call.model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 16}
        if call.kind == "unary":
            answer = await self.http.post(base + CHAT, headers=self.headers(call), json=body)
            call.heard(answer.headers)
            if answer.status_code == 200:
                call.answered(answer.json()["choices"][0]["message"]["content"])
            else:
                refused(call, answer.status_code, answer.text)
            return
        body["stream"] = True
        async with self.http.stream("POST", base + CHAT, headers=self.headers(call), json=body) as answer:
            call.heard(answer.headers)
            if answer.status_code != 200:
                refused(call, answer.status_code, (await answer.aread()).decode(errors="replace"))
                return
            text, count = "", 0
            async for line in answer.aiter_lines():
                if line == "data: [DONE]":
                    call.answered(text)
                elif line.startswith("data: ") and "error" in (event := json.loads(line[6:])):
                    call.outcome, call.message = "ERROR", event["error"]["message"]
                elif line.startswith("data: "):
                    text += "".join(choice["delta"].get("content") or "" for choice in event["choices"])
                    count += 1
                    if call.kind == "cancel" and count == LEAVES_AFTER:
                        call.outcome = "LEFT"
                        return
            call.outcome = call.outcome or "CUT"


def said(answer):
    """The text of a message, or of a chunk."""
    whole = answer.DESCRIPTOR.name == "ChatCompletion"
    return "".join((choice.message if whole else choice.delta).content for choice in answer.choices)


def status(call, trailers, text):
    """How a call of gRPC-Web ended."""
    code = next(code.name for code in grpc.StatusCode if code.value[0] == int(trailers["grpc-status"]))
    if code == "OK":
        call.answered(text)
    else:
        call.outcome, call.message = code, trailers.get("grpc-message", "")


def refused(call, code, text):
    call.outcome, call.message = CODES.get(code, str(code)), text
