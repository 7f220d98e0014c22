"""Callers of every protocol, each with one call at a time, and what became of each call."""

import asyncio
import dataclasses
import json
import random
import struct
import sys
import tempfile
import time
from pathlib import Path

import grpc
import httpx
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
CHAT = "/v1/chat/completions"
CODES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED",
         500: "INTERNAL", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


@dataclasses.dataclass(slots=True)
class Call:
    """One call, from its beginning to its end, in seconds of the monotonic clock."""

    protocol: str
    kind: str
    model: str
    key: str
    began: float
    ended: float = 0.0
    # The name of a status, or CUT for an answer without an end, or LEFT for one that the caller did not wait for.
    outcome: str = ""
    # The id of its usage row, if the answer said one.
    id: str = ""
    # The replica that answered, if the balancer said.
    replica: str = ""
    message: str = ""

    def heard(self, headers):
        self.id = headers.get("sabir-request-id", self.id)
        self.replica = headers.get("x-replica", self.replica)


def stubs():
    """The modules that protoc makes of the contract."""
    folder = tempfile.mkdtemp(prefix="sabir-soak-stubs-")
    includes = [f"-I{ROOT}/proto", f"-I{ROOT}/service/transcode/proto", f"-I{Path(protoc.__file__).parent / '_proto'}"]
    files = ["sabir/v1/chat.proto", "transcode/v1/options.proto", "google/api/annotations.proto", "google/api/http.proto",
             "buf/validate/validate.proto"]
    made = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(["protoc", *includes, *made, *files]):
        raise SystemExit("soak: the stubs could not be generated")
    sys.path.insert(0, folder)
    from sabir.v1 import chat_pb2, chat_pb2_grpc

    return chat_pb2, chat_pb2_grpc


class Callers:
    def __init__(self, port, keys, seed):
        self.base, self.keys, self.random = f"http://127.0.0.1:{port}", keys, random.Random(seed)
        self.pb, self.pb_grpc = stubs()
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.stub = self.pb_grpc.ChatStub(self.channel)
        self.http = httpx.AsyncClient(base_url=self.base, timeout=60, limits=httpx.Limits(max_connections=None))
        self.calls, self.stopping = [], False

    async def run(self, count):
        """So many callers of each protocol, until `stopping`."""
        ways = [self.grpc, self.grpc_web, self.rest]
        await asyncio.gather(*[self.caller(way) for way in ways for _ in range(count)])
        await self.http.aclose()
        await self.channel.close()

    async def caller(self, way):
        while not self.stopping:
            dice = self.random.random()
            model = "quick"
            if dice < 0.15:
                model = self.random.choice(["fails", "busy", "garbage", "cut", "silent"])
            elif dice < 0.30:
                model = "slow"
            elif dice < 0.40:
                model = "swapped"
            kind = "stream" if model in ("cut", "slow") or self.random.random() < 0.3 else "unary"
            if kind == "stream" and model == "slow" and self.random.random() < 0.3:
                kind = "cancel"
            name = self.random.choices(["rich", "poor", "limited"], [0.8, 0.1, 0.1])[0]
            call = Call(way.__name__, kind, model, name, time.monotonic())
            try:
                await way(call)
            except (httpx.HTTPError, ConnectionError) as error:
                call.outcome, call.message = "CUT", repr(error)
            call.ended = time.monotonic()
            self.calls.append(call)
            await asyncio.sleep(self.random.uniform(0.0, 0.06))

    def headers(self, call):
        """A model that says nothing is not waited for."""
        timeout = {"grpc-timeout": "500m"} if call.model == "silent" else {}
        return {"authorization": f"Bearer {self.keys[call.key]}", **timeout}

    def request(self, call):
        text = self.pb.ChatMessage(role=self.pb.ROLE_USER, text="Hello!")
        return self.pb.CreateChatCompletionRequest(model=call.model, messages=[text], max_tokens=16)

    async def grpc(self, call):
        metadata = [item for item in self.headers(call).items() if item[0] != "grpc-timeout"]
        settings = {"metadata": metadata, "timeout": 0.5 if call.model == "silent" else 60}
        if call.kind == "unary":
            sent = self.stub.CreateChatCompletion(self.request(call), **settings)
        else:
            sent = self.stub.StreamChatCompletion(self.request(call), **settings)
        try:
            if call.kind == "unary":
                await sent
            else:
                count = 0
                async for _ in sent:
                    count += 1
                    if call.kind == "cancel" and count == 5:
                        call.heard(dict(await sent.initial_metadata()))
                        sent.cancel()
                        call.outcome = "LEFT"
                        return
            call.outcome = "OK"
            call.heard(dict(await sent.initial_metadata()))
        except grpc.aio.AioRpcError as error:
            call.outcome, call.message = error.code().name, error.details()
            if "RST_STREAM" in call.message:
                # The library's word for a stream that was cut below gRPC.
                call.outcome = "CUT"
            call.heard(dict(error.initial_metadata() or ()) | dict(error.trailing_metadata() or ()))

    async def grpc_web(self, call):
        message = self.request(call).SerializeToString()
        method = "CreateChatCompletion" if call.kind == "unary" else "StreamChatCompletion"
        headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", **self.headers(call)}
        body = struct.pack(">BI", 0, len(message)) + message
        async with self.http.stream("POST", f"/sabir.v1.Chat/{method}", headers=headers, content=body) as answer:
            call.heard(answer.headers)
            if answer.status_code != 200:
                call.outcome = CODES.get(answer.status_code, str(answer.status_code))
                call.message = (await answer.aread()).decode(errors="replace")
                return
            if "grpc-status" in answer.headers:
                self.status(call, answer.headers["grpc-status"], answer.headers.get("grpc-message", ""))
                return
            rest, count = b"", 0
            async for piece in answer.aiter_raw():
                rest += piece
                while len(rest) >= 5 and len(rest) >= 5 + (length := struct.unpack(">I", rest[1:5])[0]):
                    flag, payload, rest = rest[0], rest[5 : 5 + length], rest[5 + length :]
                    if flag & 0x80:
                        lines = (line.split(":", 1) for line in payload.decode().splitlines() if line)
                        trailers = {name.strip().lower(): value.strip() for name, value in lines}
                        call.heard(trailers)
                        self.status(call, trailers["grpc-status"], trailers.get("grpc-message", ""))
                        continue
                    count += 1
                    if call.kind == "cancel" and count == 5:
                        call.outcome = "LEFT"
                        return
            call.outcome = call.outcome or "CUT"

    def status(self, call, number, message):
        call.outcome = next(code.name for code in grpc.StatusCode if code.value[0] == int(number))
        call.message = message

    async def rest(self, call):
        body = {"model": call.model, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 16}
        if call.kind == "unary":
            answer = await self.http.post(CHAT, headers=self.headers(call), json=body)
            call.heard(answer.headers)
            self.told(call, answer.status_code, answer.text)
            return
        body["stream"] = True
        async with self.http.stream("POST", CHAT, headers=self.headers(call), json=body) as answer:
            call.heard(answer.headers)
            if answer.status_code != 200:
                self.told(call, answer.status_code, (await answer.aread()).decode(errors="replace"))
                return
            count = 0
            async for line in answer.aiter_lines():
                if line == "data: [DONE]":
                    call.outcome = "OK"
                elif line.startswith("data: ") and "error" in (event := json.loads(line[6:])):
                    call.outcome, call.message = "ERROR", event["error"]["message"]
                elif line.startswith("data: "):
                    count += 1
                    if call.kind == "cancel" and count == 5:
                        call.outcome = "LEFT"
                        return
            call.outcome = call.outcome or "CUT"

    def told(self, call, status, text):
        call.outcome = "OK" if status == 200 else CODES.get(status, str(status))
        call.message = "" if status == 200 else text
