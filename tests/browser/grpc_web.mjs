// Claims about gRPC-Web in a browser, on a page that another origin served.
//
// SERVER       the server's address, with its scheme
// DESCRIPTORS  a folder with two descriptor sets: that of the contract, contract.bin, and that of google.rpc, errors.bin

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { build } from "esbuild";
import { claim, run } from "../clients/node/claims.mjs";
import { launch, open } from "./chromium.mjs";

const server = process.env.SERVER;
const here = import.meta.dirname;

/** The page and what it needs, at an origin of its own. */
async function serve() {
  const entry = `${here}/grpc_web_page.mjs`;
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, format: "esm", write: false });
  const files = {
    "/": ["text/html", "<!doctype html><title>calls</title><link rel=icon href=data:,><script type=module src=page.js></script>"],
    "/page.js": ["text/javascript", outputFiles[0].contents],
    "/contract.bin": ["application/octet-stream", await readFile(`${process.env.DESCRIPTORS}/contract.bin`)],
    "/errors.bin": ["application/octet-stream", await readFile(`${process.env.DESCRIPTORS}/errors.bin`)],
  };
  const pages = createServer((request, response) => {
    const [type, content] = files[request.url.split("?")[0]] ?? [];
    if (type) response.writeHead(200, { "content-type": type }).end(content);
    else response.writeHead(404).end();
  });
  await new Promise((listening) => pages.listen(0, "127.0.0.1", listening));
  return pages;
}

const pages = await serve();
const browser = await launch();
const { page, complaints } = await open(browser, server);
const sent = [];
page.on("request", (request) => sent.push(request));
await page.goto(`http://127.0.0.1:${pages.address().port}/?server=${encodeURIComponent(server)}`);
await page.waitForFunction(() => globalThis.ready);

/** What becomes of a call, which must not take long. */
async function soon(call) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("neither an answer nor an error came")), 15_000);
  });
  return Promise.race([call, late]).finally(() => clearTimeout(timer));
}

const unary = (...call) => soon(page.evaluate((call) => globalThis.unary(...call), call));
const stream = (...call) => soon(page.evaluate((call) => globalThis.stream(...call), call));
const textOf = ({ pieces }) => pieces.map(({ text }) => text).join("");

const CONTENT_TYPES = {
  "grpc-web-text": "application/grpc-web-text",
  "grpc-web": "application/grpc-web+proto",
  "connect-web": "application/grpc-web+proto",
};

for (const [client, contentType] of Object.entries(CONTENT_TYPES)) {
  claim(`${client}: a whole answer, across origins`, async () => {
    sent.length = 0;
    assert.deepEqual(await unary(client, "scripted/echo"), { text: "one two three" });
    const call = sent.find((request) => request.method() === "POST");
    const headers = await call.allHeaders();
    assert.ok(headers["content-type"].startsWith(contentType), headers["content-type"]);
    assert.notEqual(headers.origin, server);
  });

  claim(`${client}: a stream, to its end`, async () => {
    const outcome = await stream(client, "scripted/slow");
    assert.ok(outcome.ended, JSON.stringify(outcome));
    assert.equal(textOf(outcome), "0 1 2 3 4 5 6 7 ");
    // Google's client reads bytes only when all of them are there; as text it reads them as they come.
    const took = outcome.pieces.at(-1).at - outcome.pieces[0].at;
    if (client !== "grpc-web") assert.ok(took > 400, `eight words, 100 ms apart, within ${took} ms`);
  });

  claim(`${client}: a refused stream is an error, not an end`, async () => {
    const outcome = await stream(client, "scripted/nobody");
    assert.deepEqual([outcome.pieces, outcome.ended], [[], undefined]);
    assert.equal(outcome.error.code, 5);
  });

  claim(`${client}: an error has its code, message and details`, async () => {
    const { error } = await unary(client, "scripted/echo", { temperature: 3 });
    assert.equal(error.code, 3);
    assert.match(error.message, /temperature/);
    assert.equal(error.details["google.rpc.BadRequest"].violations[0].field, "temperature");

    const busy = (await unary(client, "scripted/busy")).error;
    assert.equal(busy.code, 8);
    assert.equal(busy.details["google.rpc.ErrorInfo"].reason, "RATE_LIMIT_EXCEEDED");
    assert.equal(busy.details["google.rpc.RetryInfo"].seconds, 7);
  });

  claim(`${client}: an error in the middle of a stream is no end`, async () => {
    const outcome = await stream(client, "scripted/cut");
    assert.equal(outcome.ended, undefined, JSON.stringify(outcome));
    assert.equal(outcome.error.code, 14);
    assert.ok(textOf(outcome).length > 0);
  });
}

// Google's client gets no message before the end when it reads bytes, so it has none to leave after.
for (const client of ["grpc-web-text", "connect-web"]) {
  claim(`${client}: leaves in mid-stream`, async () => {
    const { pieces, error } = await stream(client, "scripted/endless", 3);
    assert.equal(error, undefined);
    // Those that had arrived together with the third are still delivered.
    assert.ok(pieces.length >= 3 && pieces.length < 100, `${pieces.length} pieces`);
  });
}

claim("the page has nothing to complain of", async () => {
  assert.deepEqual(complaints, []);
});

await run();
// The server must notice who left before the browser closes.
await new Promise((passed) => setTimeout(passed, 1500));
await browser.close();
pages.close();
