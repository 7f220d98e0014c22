// Claims of a client that was generated from the OpenAPI document: its types fit the API, and its calls are answered as its
// types say. Run with the address of a server as its argument.

import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Completion = components["schemas"]["ChatCompletion"];
type Chunk = components["schemas"]["ChatCompletionChunk"];

// What of Node is used here; its own types would be a package more.
declare const process: { argv: string[] };

function equal(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
}

const address = process.argv[2] ?? "";
const client = createClient<paths>({ baseUrl: address });
const messages: components["schemas"]["ChatMessage"][] = [
  { role: "system", content: [{ type: "text", text: "Be brief." }] },
  { role: "user", content: "Say it again." },
];

async function listsModels(): Promise<void> {
  const { data, error } = await client.GET("/v1/models");
  equal(error, undefined);
  const ids: string[] = (data?.data ?? []).map((model) => model.id);
  equal(ids.includes("scripted/echo"), true);
}

async function findsAModelWhoseIdHasASlash(): Promise<void> {
  const { data } = await client.GET("/v1/models/{id}", { params: { path: { id: "scripted/echo" } } });
  equal(data?.id, "scripted/echo");
}

async function answers(): Promise<void> {
  const { data, response } = await client.POST("/v1/chat/completions", {
    params: { header: { "x-server-timeout": 20 } },
    body: { model: "scripted/echo", messages, temperature: 0.5, stop: null },
  });
  const completion = data as Completion;
  equal(completion.choices[0]?.message.content, "Say it again.");
  equal(completion.choices[0]?.finish_reason, "stop");
  equal(typeof response.headers.get("sabir-request-id"), "string");
}

async function streams(): Promise<void> {
  const { data } = await client.POST("/v1/chat/completions", {
    body: { model: "scripted/echo", messages, stream: true },
    parseAs: "text",
  });
  const events = (data as unknown as string).split("\n\n").filter((event) => event.startsWith("data: "));
  equal(events.pop(), "data: [DONE]");
  const chunks = events.map((event) => JSON.parse(event.slice("data: ".length)) as Chunk);
  equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), "Say it again.");
}

async function saysWhatIsWrong(): Promise<void> {
  const refused = await client.POST("/v1/chat/completions", {
    body: { model: "scripted/echo", messages, temperature: 3 },
  });
  equal(refused.response.status, 400);
  equal(refused.error?.error.type, "invalid_request_error");
  equal(refused.error?.error.param, "temperature");
  const unknown = await client.GET("/v1/models/{id}", { params: { path: { id: "nobody/nothing" } } });
  equal(unknown.response.status, 404);
  equal(unknown.error?.error.code, "model_not_found");
}

// What the types forbid: each of these lines must be an error, or the compiler says that it is not.
function forbidden(): void {
  // @ts-expect-error The conversation is required.
  void client.POST("/v1/chat/completions", { body: { model: "scripted/echo" } });
  // @ts-expect-error There is no such role.
  void client.POST("/v1/chat/completions", { body: { model: "x", messages: [{ role: "nobody", content: "" }] } });
  // @ts-expect-error A piece of text has a text.
  void client.POST("/v1/chat/completions", { body: { model: "x", messages: [{ role: "user", content: [{ type: "text" }] }] } });
}
void forbidden;

const claims = [listsModels, findsAModelWhoseIdHasASlash, answers, streams, saysWhatIsWrong];
for (const claim of claims) {
  await claim();
  console.log(`ok ${claim.name}`);
}
