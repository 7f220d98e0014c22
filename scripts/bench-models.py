"""The measurements of `scripts/bench-models`. CPU time is what the kernel charged to the server."""

import asyncio
import json
import multiprocessing
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = int(sys.argv[1])
MOCK, OURS = 9311, 9312
TICK = os.sysconf("SC_CLK_TCK")
CHUNKS = 100
PAUSE = 0.05


def openai_stream():
    def chunk(delta, reason=None):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        return f"data: {json.dumps(body, separators=(',', ':'))}\n\n".encode()

    words = [chunk({"content": f" word{number}"}) for number in range(CHUNKS)]
    usage = {"prompt_tokens": 11, "completion_tokens": CHUNKS, "total_tokens": 11 + CHUNKS}
    last = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage}
    end = [chunk({}, "stop"), f"data: {json.dumps(last)}\n\n".encode(), b"data: [DONE]\n\n"]
    return [chunk({"role": "assistant", "content": ""}), *words, *end]


def anthropic_stream():
    def event(body):
        return f"event: {body['type']}\ndata: {json.dumps(body, separators=(',', ':'))}\n\n".encode()

    usage = {"input_tokens": 11, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    delta = lambda text: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return [
        event({"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None}}),
        event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        *[event(delta(f" word{number}")) for number in range(CHUNKS)],
        event({"type": "content_block_stop", "index": 0}),
        event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": CHUNKS}}),
        event({"type": "message_stop"}),
    ]


STREAMS = {"/v1/chat/completions": openai_stream(), "/v1/messages": anthropic_stream()}
MESSAGE = {"role": "assistant", "content": "Hello."}
CHOICE = {"index": 0, "message": MESSAGE, "logprobs": None, "finish_reason": "stop"}
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
WHOLE = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE], "usage": USAGE}


async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head.split(b" ", 2)[1].decode(), await reader.readexactly(length)


async def mock(reader, writer):
    try:
        while True:
            path, body = await read_request(reader)
            request = json.loads(body or b"{}")
            if request.get("stream"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
                for number, event in enumerate(STREAMS[path]):
                    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                    # The first piece of text is there before the others are written.
                    if request["model"] == "first" and number == 3:
                        await asyncio.sleep(0.005)
                writer.write(b"0\r\n\r\n")
            else:
                if request.get("model") == "slow":
                    await asyncio.sleep(PAUSE)
                answer = json.dumps(WHOLE).encode()
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)
                writer.write(head + answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        writer.close()


class Client:
    """A connection that stays open."""

    def __init__(self, port):
        self.port = port

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def ask(self, path, body=None, headers=""):
        """Status, and the times to the first byte of the answer's body and to its end, in milliseconds."""
        data = json.dumps(body).encode() if body is not None else b""
        method = "POST" if body is not None else "GET"
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        begun = time.perf_counter()
        self.writer.write(head.encode() + data)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        lines = answer.lower().split(b"\r\n")
        status = int(lines[0].split(b" ")[1])
        first = None
        if any(line.startswith(b"transfer-encoding: chunked") for line in lines):
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                await self.reader.readexactly(size + 2)
                first = first or time.perf_counter()
            await self.reader.readuntil(b"\r\n")
        else:
            length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
            await self.reader.readexactly(length)
        now = time.perf_counter()
        return status, ((first or now) - begun) * 1000, (now - begun) * 1000


def chat(model, **settings):
    return {"model": model, "messages": [{"role": "user", "content": "Hello!"}], **settings}


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def charged(pid, count, call, clients=8):
    """CPU milliseconds that a call costs the server, over `count` calls on several connections."""
    opened = [await Client(OURS).open() for _ in range(clients)]
    before = cpu(pid)

    async def work(client):
        for _ in range(count // clients):
            status, *_ = await call(client)
            assert status == 200, status

    await asyncio.gather(*map(work, opened))
    # Rows are written in batches a little later.
    await asyncio.sleep(0.3)
    for client in opened:
        client.writer.close()
    return (cpu(pid) - before) * 1000 / (count // clients * clients)


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


async def latencies(port, count, path, body, pause=0.0):
    client = await Client(port).open()
    found = []
    for _ in range(count):
        status, first, whole = await client.ask(path, body)
        found.append((status, first, whole))
        await asyncio.sleep(pause)
    client.writer.close()
    return found


CONFIG = f"""
[providers.same]
vendor = "openai"
base_url = "http://127.0.0.1:{MOCK}/v1"
[providers.other]
vendor = "anthropic"
base_url = "http://127.0.0.1:{MOCK}"
api_key = "x"
[providers.dead]
vendor = "openai"
base_url = "http://127.0.0.1:9/v1"
[routes.careful]
targets = ["dead/m", "same/m"]
[local]
enabled = false
[log]
filter = "error"
[cache]
enabled = CACHE
"""


async def serve(folder, cache):
    config = folder / "sabir.toml"
    config.write_text(CONFIG.replace("CACHE", cache))
    command = [str(pathlib.Path("target/release/sabir").resolve()), "serve", "--config", str(config)]
    command += ["--listen", f"127.0.0.1:{OURS}"]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    for _ in range(100):
        try:
            await Client(OURS).open()
            return server
        except ConnectionError:
            await asyncio.sleep(0.1)
    raise SystemExit("bench-models: the server does not start")


def stop(server):
    server.send_signal(signal.SIGTERM)
    server.wait()


def row(what, asked, got):
    print(f"| {what} | {asked} | {got} |", flush=True)


def spread(values, form="{:.2f}"):
    return f"{form.format(statistics.median(values))} ({form.format(min(values))} to {form.format(max(values))})"


async def serve_mock():
    await (await asyncio.start_server(mock, "127.0.0.1", MOCK)).serve_forever()


async def main():
    path = "/v1/chat/completions"
    print("| figure | asked | got: median (spread) |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        server = await serve(pathlib.Path(folder), "false")
        stream = {"stream": True}
        ratios, firsts, fans, added, failed = [], [], [], [], 0
        for _ in range(ROUNDS):
            same = await charged(server.pid, 400, lambda client: client.ask(path, chat("same/m", **stream)))
            other = await charged(server.pid, 400, lambda client: client.ask(path, chat("other/m", **stream)))
            ratios.append(other / same)
            direct = await latencies(MOCK, 200, "/v1/messages", chat("first", **stream), 0.002)
            ours = await latencies(OURS, 200, path, chat("other/first", **stream), 0.002)
            median = lambda found: statistics.median(first for _, first, _ in found)
            firsts.append(median(ours) - median(direct))
            branches = {"request": chat("same/slow"), "models": ["same/slow"] * 5}
            fans.append(statistics.median(whole for *_, whole in await latencies(OURS, 40, "/v1/fanout", branches)))
            whole = await latencies(OURS, 400, path, chat("same/m"), 0.004)
            routed = await latencies(OURS, 400, path, chat("careful"), 0.004)
            failed += sum(status != 200 for status, *_ in routed)
            tail = lambda found: percentile([time for *_, time in found[len(found) // 4 :]], 0.99)
            added.append(tail(routed) - tail(whole))
        row(f"CPU of a stream of {CHUNKS} chunks, Anthropic's to OpenAI's, against relayed", "1.30", spread(ratios))
        row("added time to the first byte of a translated stream, ms, p50", "0.30", spread(firsts))
        row("fan-out to 5 upstreams of 50 ms, ms, p50", "53", spread(fans, "{:.1f}"))
        row("a route with one of two targets dead: failed calls", "0", failed)
        row("the same: added p99, ms", "5", spread(added))
        stop(server)
        server = await serve(pathlib.Path(folder), "true")
        ratios = []
        for _ in range(ROUNDS):
            health = await charged(server.pid, 8000, lambda client: client.ask("/livez"))
            hit = await charged(server.pid, 8000, lambda client: client.ask(path, chat("same/m")))
            ratios.append(hit / health)
        row("CPU of a kept answer against the health endpoint", "1.20", spread(ratios))
        stop(server)


if __name__ == "__main__":
    # In a process of its own, so that who asks and who answers do not wait for each other.
    upstream = multiprocessing.Process(target=lambda: asyncio.run(serve_mock()), daemon=True)
    upstream.start()
    asyncio.run(main())
