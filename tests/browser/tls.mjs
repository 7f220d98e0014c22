// A browser over TLS: the pages, and a chat whole and streamed from one of them, by HTTP/2.

import assert from "node:assert/strict";
import { launch, open } from "./chromium.mjs";

const { SERVER } = process.env;
const browser = await launch();
try {
  // Nobody outside of the test vouches for its certificate.
  const { page, complaints } = await open(browser, SERVER, { ignoreHTTPSErrors: true });
  await page.goto(`${SERVER}/docs`);
  await page.locator('[data-path="/v1/chat/completions"]').first().waitFor();
  const told = await page.evaluate(async () => {
    const ask = async (stream) => {
      const messages = [{ role: "user", content: "over TLS" }];
      const body = JSON.stringify({ model: "scripted/echo", messages, stream });
      const answer = await fetch("/v1/chat/completions", { method: "POST", body, headers: { "content-type": "application/json" } });
      return answer.text();
    };
    const [whole, streamed] = [await ask(false), await ask(true)];
    const protocols = performance.getEntriesByType("resource").map((entry) => entry.nextHopProtocol);
    return { whole, streamed, protocols };
  });
  assert.equal(JSON.parse(told.whole).choices[0].message.content, "over TLS");
  assert.ok(told.streamed.trimEnd().endsWith("data: [DONE]"), told.streamed);
  assert.ok(told.protocols.every((protocol) => protocol === "h2"), told.protocols.join());
  assert.deepEqual(complaints, []);
} finally {
  await browser.close();
}
