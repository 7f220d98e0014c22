// Claims about what a web page can do without any library, on a page that another origin served: events and WebSockets.
// HELLO is the address of examples/hello.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { claim, run } from "../clients/node/claims.mjs";
import { launch, open } from "./chromium.mjs";

const hello = process.env.HELLO;
const pages = createServer((_, response) => {
  response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>page</title><link rel=icon href=data:,>");
});
await new Promise((listening) => pages.listen(0, "127.0.0.1", listening));
const origin = `http://127.0.0.1:${pages.address().port}`;
const browser = await launch();
const { page, complaints } = await open(browser, hello);
await page.goto(origin);

/** What an EventSource sees until the event `end`, with the times at which it saw it. */
const events = (path) =>
  page.evaluate(
    (url) =>
      new Promise((resolve) => {
        const source = new EventSource(url);
        const seen = [];
        const note = (event) => seen.push({ type: event.type, data: event.data, at: performance.now() });
        source.onmessage = note;
        source.onerror = (event) => {
          note(event);
          source.close();
          resolve(seen);
        };
        // Longer than any stream that is asked for here.
        setTimeout(() => source.onerror(new Event("late")), 15_000);
        source.addEventListener("end", (event) => {
          note(event);
          source.close();
          resolve(seen);
        });
      }),
    hello + path,
  );

/** What a socket hears that says these texts, each when something was heard after the one before. */
const talk = (path, texts) =>
  page.evaluate(
    ([url, texts]) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url);
        const heard = [];
        const say = () => texts.length > 0 && socket.send(texts.shift());
        socket.onopen = say;
        socket.onmessage = ({ data }) => {
          heard.push(JSON.parse(data));
          say();
        };
        socket.onclose = ({ code, wasClean }) => resolve({ heard, code, wasClean });
      }),
    [hello.replace("http", "ws") + path, texts],
  );

claim("an EventSource gets each greeting when it is said, and then the end", async () => {
  const seen = await events("/v1/hello/Ada/stream?times=3&pause=0.3s");
  assert.deepEqual(seen.map(({ type }) => type), ["message", "message", "message", "end"]);
  assert.deepEqual(JSON.parse(seen[1].data), { text: "Hello, Ada, for the 2. time!" });
  const took = seen[2].at - seen[0].at;
  assert.ok(took > 400, `three greetings, 300 ms apart, within ${took} ms`);
});

claim("an EventSource that asks for what is out of bounds gets an error, not a stream", async () => {
  const seen = await events("/v1/hello/Ada/stream?times=1000");
  assert.deepEqual(seen.map(({ type }) => type), ["error"]);
  assert.match(complaints.pop(), /status of 400/);
});

claim("a WebSocket is answered text by text, and ends when the page has said all", async () => {
  const { heard, code, wasClean } = await talk("/v1/conversation", ['{"text": "One."}', '{"text": "Zwei. 三"}', ""]);
  assert.deepEqual(heard, [{ text: "You said: One." }, { text: "You said: Zwei. 三" }, { "@end": {} }]);
  assert.deepEqual([code, wasClean], [1000, true]);
});

claim("a WebSocket is told what was wrong with a text", async () => {
  const { heard, code } = await talk("/v1/conversation", ['{"text": "One."}', '{"text": 2}']);
  assert.deepEqual(heard[0], { text: "You said: One." });
  assert.equal(heard[1]["@error"].status, "INVALID_ARGUMENT");
  assert.match(heard[1]["@error"].message, /text/);
  assert.notEqual(code, 1000);
});

claim("a WebSocket is told which bound a text is beyond", async () => {
  const { heard } = await talk("/v1/conversation", [JSON.stringify({ text: "x".repeat(201) })]);
  assert.equal(heard[0]["@error"].details[0].fieldViolations[0].reason, "string.max_len");
});

claim("a page of elsewhere gets no socket", async () => {
  const refused = page.waitForEvent("console", (message) => /WebSocket.*403/.test(message.text()));
  const code = await page.evaluate((url) => {
    // A frame without an origin of its own, as one of another site would be to the server.
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts";
    frame.srcdoc = `<script>new WebSocket("${url}").onclose = ({ code }) => parent.postMessage(code, "*")<\/script>`;
    const told = new Promise((resolve) => addEventListener("message", ({ data }) => resolve(data), { once: true }));
    document.body.append(frame);
    return told;
  }, `${hello.replace("http", "ws")}/v1/conversation`);
  assert.equal(code, 1006);
  await refused;
  assert.match(complaints.pop(), /403/);
});

claim("the page has nothing to complain of", async () => {
  assert.deepEqual(complaints, []);
});

await run();
await browser.close();
pages.close();
