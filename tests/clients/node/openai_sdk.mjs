// What a user of OpenAI's SDK for Node sees of a server whose upstream follows scripts. `openai_sdk.py` is its twin.
//
// BASE_URL  the server's OpenAI-compatible API, with `/v1`

import assert from "node:assert/strict";
import OpenAI from "openai";
import { all, claim, run, throws } from "./claims.mjs";

// Without retries, so that every failure is seen as it comes.
const settings = { baseURL: process.env.BASE_URL, apiKey: "unused", timeout: 30_000, maxRetries: 0 };
const client = new OpenAI(settings);

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Tells the weather in a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

const question = { role: "user", content: "How is the weather in Paris?" };

function say(model, text = "one two three", parameters = {}) {
  return client.chat.completions.create({ model, messages: [{ role: "user", content: text }], ...parameters });
}

const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

claim("a chat is answered", async () => {
  const answer = await say("scripted/echo", "Grüße aus 東京 🗼", { temperature: 0.5 });
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.choices.length, 1);
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.equal(answer.choices[0].message.content, "Grüße aus 東京 🗼");
  assert.equal(answer.choices[0].message.refusal, null);
  assert.equal(answer.usage.total_tokens, 18);
  assert.equal(answer.usage.prompt_tokens_details.cached_tokens, 3);
});

claim("a stream says the same and ends", async () => {
  const chunks = await all(await say("scripted/echo", "one two three", { stream: true }));
  assert.equal(textOf(chunks), "one two three");
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
});

claim("a stream tells usage to those who ask", async () => {
  const parameters = { stream: true, stream_options: { include_usage: true } };
  const chunks = await all(await say("scripted/echo", "one two three", parameters));
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.total_tokens, 18);
  assert.ok(chunks.every((chunk) => chunk.usage === null));
});

claim("a tool is called and its result answered", async () => {
  const messages = [question];
  const asked = await client.chat.completions.create({ model: "scripted/weather", messages, tools: [weather] });
  assert.equal(asked.choices[0].finish_reason, "tool_calls");
  const [call] = asked.choices[0].message.tool_calls;
  assert.deepEqual([call.id, call.type, call.function.name], ["call_0", "function", "get_weather"]);
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
  messages.push(asked.choices[0].message, { role: "tool", tool_call_id: call.id, content: '{"celsius": 18}' });
  const answered = await client.chat.completions.create({ model: "scripted/weather", messages, tools: [weather] });
  assert.equal(answered.choices[0].message.content, "It is 18 degrees in Paris.");
});

claim("the SDK runs a tool by itself, streaming", async () => {
  const cities = [];
  const tool = structuredClone(weather);
  tool.function.parse = JSON.parse;
  tool.function.function = ({ city }) => {
    cities.push(city);
    return { celsius: 18 };
  };
  const runner = client.chat.completions.runTools({
    model: "scripted/weather-streamed",
    messages: [question],
    tools: [tool],
    stream: true,
  });
  assert.equal(await runner.finalContent(), "It is 18 degrees in Paris.");
  assert.deepEqual(cities, ["Paris"]);
});

claim("models are listed", async () => {
  const ids = (await all(client.models.list())).map((model) => model.id);
  assert.ok(ids.includes("scripted/echo") && ids.includes("scripted/deep/er"), `${ids}`);
});

claim("a model is found by its name", async () => {
  // The SDK writes the slashes of a name as %2F.
  for (const id of ["scripted/echo", "scripted/deep/er"]) {
    const model = await client.models.retrieve(id);
    assert.deepEqual([model.id, model.object], [id, "model"]);
  }
});

claim("an invalid request is a bad request that names the parameter", async () => {
  const error = await throws(OpenAI.BadRequestError, () => say("scripted/echo", "Hi", { max_tokens: -1 }));
  assert.deepEqual([error.status, error.param, error.type], [400, "max_tokens", "invalid_request_error"]);
  assert.equal(error.code, "int32.gte");
  const streamed = { tool_choice: "perhaps", stream: true };
  assert.equal((await throws(OpenAI.BadRequestError, () => say("scripted/echo", "Hi", streamed))).param, "tool_choice");
});

claim("a model that is not there is not found", async () => {
  for (const missing of ["nobody/nothing", "scripted/nothing"]) {
    const error = await throws(OpenAI.NotFoundError, () => say(missing));
    assert.equal(error.code, "model_not_found");
  }
  await throws(OpenAI.NotFoundError, () => client.models.retrieve("scripted/nothing"));
});

claim("a rate limit tells when to come back", async () => {
  const error = await throws(OpenAI.RateLimitError, () => say("scripted/busy"));
  assert.equal(error.headers.get("retry-after"), "7");
  assert.equal(error.code, "rate_limit_exceeded");
});

claim("the SDK comes back when told and succeeds", async () => {
  const began = performance.now();
  const messages = [{ role: "user", content: "Hi" }];
  const answer = await client.chat.completions.create({ model: "scripted/busy-once", messages }, { maxRetries: 1 });
  assert.equal(answer.choices[0].message.content, "Welcome back.");
  // Told to wait two seconds; of itself, the SDK would wait half a second at most.
  assert.ok(performance.now() - began > 1900);
});

claim("an upstream's failure is a server error", async () => {
  assert.equal((await throws(OpenAI.InternalServerError, () => say("scripted/broken"))).status, 500);
  assert.equal((await throws(OpenAI.InternalServerError, () => say("scripted/overloaded"))).status, 503);
});

claim("a stream cut by the upstream throws and never ends well", async () => {
  for (const model of ["scripted/cut", "scripted/no-end"]) {
    const seen = [];
    await throws(OpenAI.APIError, async () => {
      for await (const chunk of await say(model, "Hi", { stream: true })) seen.push(chunk);
    });
    assert.equal(textOf(seen), "one two ");
    assert.ok(seen.every((chunk) => chunk.choices[0].finish_reason === null));
  }
});

claim("a stream can be closed early", async () => {
  const stream = await say("scripted/endless", "Count.", { stream: true });
  const seen = [];
  for await (const chunk of stream) {
    seen.push(chunk);
    if (seen.length === 4) break;
  }
  stream.controller.abort();
  assert.ok(textOf(seen).startsWith("0 1 "));
  assert.equal((await say("scripted/echo", "still there?")).choices[0].message.content, "still there?");
});

await run();
