// What a user of Anthropic's SDK for Node sees, whatever the upstream speaks. The twin of `anthropic_sdk.py`.
//
// BASE_URL  the server, without a path

import assert from "node:assert/strict";

import Anthropic from "@anthropic-ai/sdk";

import { claim, run } from "./claims.mjs";

const client = new Anthropic({ baseURL: process.env.BASE_URL, apiKey: "unused", timeout: 30_000, maxRetries: 0 });

const WEATHER = {
  name: "get_weather",
  description: "Tells the weather in a city.",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const say = (model, content = "one two three", parameters = {}) =>
  client.messages.create({
    model,
    max_tokens: 100,
    system: "Be brief.",
    messages: [{ role: "user", content }],
    ...parameters,
  });

claim("a message is answered", async () => {
  const answer = await say("scripted/echo", "Grüße aus 東京 🗼");
  assert.deepEqual(
    answer.content.map((block) => [block.type, block.text]),
    [["text", "Grüße aus 東京 🗼"]],
  );
  assert.deepEqual([answer.role, answer.stop_reason], ["assistant", "end_turn"]);
  assert.deepEqual([answer.usage.input_tokens + (answer.usage.cache_read_input_tokens ?? 0), answer.usage.output_tokens], [11, 7]);
});

claim("a stream says the same and ends", async () => {
  const stream = client.messages.stream({
    model: "scripted/echo",
    max_tokens: 100,
    messages: [{ role: "user", content: "one two three" }],
  });
  let text = "";
  stream.on("text", (piece) => (text += piece));
  const final = await stream.finalMessage();
  assert.equal(text, "one two three");
  assert.deepEqual([final.stop_reason, final.usage.output_tokens], ["end_turn", 7]);
});

claim("tools are called over three turns", async () => {
  for (const [model, streamed] of [
    ["scripted/weather", false],
    ["scripted/weather-streamed", true],
  ]) {
    const messages = [{ role: "user", content: "How is the weather in Paris?" }];
    const ask = () => {
      const settings = { model, max_tokens: 100, tools: [WEATHER], messages };
      return streamed ? client.messages.stream(settings).finalMessage() : client.messages.create(settings);
    };
    const asked = await ask();
    const use = asked.content.at(-1);
    assert.deepEqual([asked.stop_reason, use.name, use.input], ["tool_use", "get_weather", { city: "Paris" }]);
    const result = { type: "tool_result", tool_use_id: use.id, content: '{"celsius": 18}' };
    messages.push({ role: "assistant", content: asked.content }, { role: "user", content: [result] });
    const answered = await ask();
    assert.equal(answered.content[0].text, "It is 18 degrees in Paris.");
    messages.push({ role: "assistant", content: answered.content }, { role: "user", content: "And tomorrow?" });
    assert.equal((await ask()).stop_reason, "tool_use");
    messages.push({ role: "assistant", content: "I do not know." }, { role: "user", content: "Then end." });
    assert.equal((await ask()).stop_reason, "end_turn");
  }
});

claim("an image is shown", async () => {
  const source = { type: "base64", media_type: "image/png", data: PIXEL };
  const answer = await say("scripted/echo", [
    { type: "image", source },
    { type: "text", text: "What is this?" },
  ]);
  assert.equal(answer.content[0].text, "What is this?");
});

claim("errors are of the SDK's own kinds", async () => {
  await assert.rejects(say("nobody/nothing"), Anthropic.NotFoundError);
  await assert.rejects(say("scripted/busy"), Anthropic.RateLimitError);
  await assert.rejects(say("scripted/echo", "x", { max_tokens: -1 }), Anthropic.BadRequestError);
});

claim("a stream cut by the upstream is no answer", async () => {
  const stream = client.messages.stream({
    model: "scripted/cut",
    max_tokens: 9,
    messages: [{ role: "user", content: "x" }],
  });
  await assert.rejects(stream.finalMessage(), Anthropic.APIError);
});

await run();
