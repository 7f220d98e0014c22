"""A provider that speaks OpenAI's protocol and, by the name of the model, misbehaves. Runs in a process of its own."""

import asyncio
import json
import multiprocessing

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
WHOLE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello."},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}
# How many chunks a stream has, and how long each takes.
PACES = {"quick": (5, 0), "slow": (30, 0.05), "cut": (5, 0.01), "stalls": (2, 0.01), "scrambled": (2, 0.01)}


def chunk(delta, reason=None, **more):
    choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
    named = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    data = f"data: {json.dumps({**named, 'choices': choices, **more})}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


async def request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
    return json.loads(await reader.readexactly(length) or b"{}")


def whole(status, document, headers=""):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def error(status, message, headers=""):
    return whole(status, {"error": {"message": message, "type": "server_error", "param": None, "code": None}}, headers)


async def stream(writer, model):
    count, pause = PACES.get(model, PACES["quick"])
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    writer.write(chunk({"role": "assistant", "content": ""}))
    for number in range(count):
        await asyncio.sleep(pause)
        writer.write(chunk({"content": f"{number} "}))
        await writer.drain()
    if model == "cut":
        raise ConnectionError("as asked")
    if model == "stalls":
        await asyncio.sleep(60)
    if model == "scrambled":
        data = b'data: {"choices": [{"del\n\n'
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
    writer.write(chunk({}, "stop", usage=USAGE))
    writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


async def serve(reader, writer):
    try:
        while True:
            asked = await request(reader)
            model = asked.get("model")
            if model == "fails":
                writer.write(error("500 Internal Server Error", "out of order"))
            elif model == "busy":
                writer.write(error("429 Too Many Requests", "come back later", "retry-after: 1\r\n"))
            elif model == "garbage":
                writer.write(whole("200 OK", b'{"choices": [{"mess'))
            elif model == "silent":
                await asyncio.sleep(60)
            elif asked.get("stream"):
                await stream(writer, model)
            else:
                await asyncio.sleep(PACES.get(model, (0, 0))[1])
                writer.write(whole("200 OK", WHOLE))
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        writer.transport.abort()


async def listen(port):
    await (await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)).serve_forever()


def start(port):
    process = multiprocessing.get_context("spawn").Process(target=run, args=(port,), daemon=True)
    process.start()
    return process


def run(port):
    asyncio.run(listen(port))
