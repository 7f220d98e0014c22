// What a user of OpenAI's SDK for Node sees of the Responses API, whatever the upstream speaks. The twin of
// `responses_sdk.py`.
//
// BASE_URL  the server's OpenAI-compatible API, with `/v1`

import assert from "node:assert/strict";

import OpenAI from "openai";

import { all, claim, run, throws } from "./claims.mjs";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "unused", timeout: 30_000, maxRetries: 0 });
const create = (parameters) => client.responses.create(parameters);

const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = {
  type: "function",
  name: "get_weather",
  description: "Tells the weather in a city.",
  parameters: schema,
  strict: false,
};
const pixel =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

claim("a question is answered", async () => {
  const answer = await create({ model: "scripted/echo", instructions: "Be brief.", input: "Grüße aus 東京 🗼" });
  assert.deepEqual([answer.status, answer.output_text], ["completed", "Grüße aus 東京 🗼"]);
  assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [11, 7]);
});

claim("a stream says the same and ends", async () => {
  const events = await all(await create({ model: "scripted/echo", input: "one two three", stream: true }));
  const words = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
  assert.equal(words.join(""), "one two three");
  assert.equal(events.at(-1).type, "response.completed");
});

claim("tools are called over three turns", async () => {
  const input = [{ role: "user", content: "How is the weather in Paris?" }];
  const ask = () => create({ model: "scripted/weather", input, tools: [weather] });
  const asked = await ask();
  const call = asked.output.at(-1);
  assert.deepEqual([call.type, call.name, JSON.parse(call.arguments)], ["function_call", "get_weather", { city: "Paris" }]);
  input.push(...asked.output, { type: "function_call_output", call_id: call.call_id, output: '{"celsius": 18}' });
  const answered = await ask();
  assert.equal(answered.output_text, "It is 18 degrees in Paris.");
  input.push(...answered.output, { role: "user", content: "And tomorrow?" });
  assert.equal((await ask()).output.at(-1).type, "function_call");
  input.push({ role: "assistant", content: "I do not know." }, { role: "user", content: "Then end." });
  assert.equal((await ask()).output_text, "It is 18 degrees in Paris.");
});

claim("an image is shown", async () => {
  const image = { type: "input_image", image_url: `data:image/png;base64,${pixel}` };
  const content = [image, { type: "input_text", text: "What is this?" }];
  const answer = await create({ model: "scripted/echo", input: [{ role: "user", content }] });
  assert.equal(answer.output_text, "What is this?");
});

claim("an answer has the form that was asked for", async () => {
  const text = { format: { type: "json_schema", name: "weather", schema, strict: false } };
  const answer = await client.responses.parse({ model: "scripted/structured", input: "The weather?", text });
  assert.deepEqual(answer.output_parsed, { city: "Paris", celsius: 18 });
});

claim("errors are of the SDK's own kinds", async () => {
  await throws(OpenAI.NotFoundError, () => create({ model: "scripted/nothing", input: "x" }));
  const error = await throws(OpenAI.RateLimitError, () => create({ model: "scripted/busy", input: "x" }));
  assert.equal(error.headers.get("retry-after"), "7");
  await throws(OpenAI.InternalServerError, () => create({ model: "scripted/broken", input: "x" }));
});

claim("a stream cut by the upstream is no answer", async () => {
  for (const model of ["scripted/cut", "scripted/no-end"]) {
    const seen = [];
    await assert.rejects(async () => {
      for await (const event of await create({ model, input: "x", stream: true })) seen.push(event.type);
    }, OpenAI.APIError);
    assert.ok(!seen.includes("response.completed"));
  }
});

await run();
