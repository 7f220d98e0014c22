// What a user of OpenAI's SDK for Node sees, whatever the upstream speaks. The twin of `every_dialect.py`.
//
// BASE_URL  the server's OpenAI-compatible API, with `/v1`

import assert from "node:assert/strict";

import OpenAI from "openai";

import { all, claim, run, throws } from "./claims.mjs";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "unused", timeout: 30_000, maxRetries: 0 });

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Tells the weather in a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const pixel =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const create = (parameters) => client.chat.completions.create(parameters, lenient);
const say = (model, content = "one two three", parameters = {}) =>
  create({ model, messages: [{ role: "system", content: "Be brief." }, { role: "user", content }], ...parameters });
// Not every API knows every parameter.
const lenient = { headers: { "sabir-on-unsupported": "drop" } };

claim("a chat is answered", async () => {
  const answer = await say("scripted/echo", "Grüße aus 東京 🗼", { temperature: 0.5, stop: ["END"] });
  const [choice] = answer.choices;
  assert.deepEqual([choice.finish_reason, choice.message.content], ["stop", "Grüße aus 東京 🗼"]);
  assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens], [11, 7]);
});

claim("a stream says the same and ends", async () => {
  const chunks = await all(await say("scripted/echo", "one two three", { stream: true }));
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), "one two three");
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
});

claim("tools are called over three turns", async () => {
  const messages = [{ role: "user", content: "How is the weather in Paris?" }];
  const ask = async () => (await create({ model: "scripted/weather", messages, tools: [weather] })).choices[0];
  const asked = await ask();
  const [call] = asked.message.tool_calls;
  assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ["get_weather", { city: "Paris" }]);
  messages.push(asked.message, { role: "tool", tool_call_id: call.id, content: '{"celsius": 18}' });
  const answered = await ask();
  assert.equal(answered.message.content, "It is 18 degrees in Paris.");
  messages.push(answered.message, { role: "user", content: "And tomorrow?" });
  assert.equal((await ask()).finish_reason, "tool_calls");
  messages.push({ role: "assistant", content: "I do not know." }, { role: "user", content: "Then end." });
  assert.equal((await ask()).finish_reason, "stop");
});

claim("an image is shown", async () => {
  const image = { type: "image_url", image_url: { url: `data:image/png;base64,${pixel}` } };
  const answer = await say("scripted/echo", [image, { type: "text", text: "What is this?" }]);
  assert.equal(answer.choices[0].message.content, "What is this?");
});

claim("errors are of the SDK's own kinds", async () => {
  await throws(OpenAI.NotFoundError, () => say("scripted/nothing"));
  const error = await throws(OpenAI.RateLimitError, () => say("scripted/busy"));
  assert.equal(error.headers.get("retry-after"), "7");
  await throws(OpenAI.InternalServerError, () => say("scripted/broken"));
});

claim("a stream cut by the upstream is no answer", async () => {
  for (const model of ["scripted/cut", "scripted/no-end"]) {
    const seen = [];
    await assert.rejects(async () => {
      for await (const chunk of await say(model, "x", { stream: true })) seen.push(chunk);
    }, OpenAI.APIError);
    assert.equal(seen.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), "one two ");
  }
});

await run();
