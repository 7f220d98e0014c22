// Claims about the pages of examples/hello, as a person with a browser finds them. HELLO is its address.

import assert from "node:assert/strict";
import { claim, run } from "../clients/node/claims.mjs";
import { launch, open, picture } from "./chromium.mjs";

const hello = process.env.HELLO;
const browser = await launch();

/** A claim about one page, which must have nothing to complain of. */
function pageClaim(what, path, check, options) {
  claim(what, async () => {
    const { page, complaints } = await open(browser, hello, options);
    await check(page, (path_ = path) => page.goto(hello + path_, { waitUntil: "networkidle" }), complaints);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
}

/** The box of an operation in Swagger UI, opened. */
async function operation(page, verb, path) {
  const box = page.locator(".opblock", { has: page.locator(`[data-path="${path}"]`) }).and(page.locator(`.opblock-${verb}`));
  await box.locator(".opblock-summary-control").click();
  await box.locator(".execute").waitFor();
  return box;
}

const answerOf = (box) => box.locator(".live-responses-table .response-col_description .highlight-code");

pageClaim("the list leads to each operation's form", "/", async (page, visit, complaints) => {
  await visit();
  await picture(page, "home");
  assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1);
  for (const name of ["Try it", "Read it", "OpenAPI 3.1", "OpenAPI 3.2"]) {
    await page.getByRole("link", { name }).waitFor();
  }
  await page.getByRole("link", { name: "/v1/hello/{name}/stream" }).click();
  const box = page.locator(".opblock.is-open");
  await box.getByText("Execute").waitFor();
  assert.equal(await box.locator(".opblock-summary-path").getAttribute("data-path"), "/v1/hello/{name}/stream");
  // Swagger UI says so of every link to an operation whose id has an underscore, whoever made it.
  const others = complaints.filter((said) => !/escaping deep link whitespace/.test(said));
  complaints.splice(0, complaints.length, ...others);
});

pageClaim("the list can be read in the dark and on a telephone", "/", async (page, visit) => {
  await visit();
  await picture(page, "home-small-dark");
  const { scroll, client } = await page.evaluate(() => ({
    scroll: document.documentElement.scrollWidth,
    client: document.documentElement.clientWidth,
  }));
  assert.ok(scroll <= client, `the page is ${scroll} wide on a screen of ${client}`);
}, { colorScheme: "dark", viewport: { width: 390, height: 800 } });

pageClaim("Try it out: a whole answer", "/docs", async (page, visit) => {
  await visit();
  await picture(page, "docs");
  const box = await operation(page, "get", "/v1/hello/{name}");
  await box.getByPlaceholder("name").fill("Ada");
  await box.getByPlaceholder("times").fill("2");
  await box.locator(".execute").click();
  const answer = answerOf(box).first();
  await answer.getByText("Hello, Ada!").first().waitFor();
  assert.deepEqual(JSON.parse(await answer.locator("pre").innerText()), { lines: ["Hello, Ada!", "Hello, Ada!"] });
  await picture(page, "docs-try-it-out");
});

pageClaim("Try it out: a body", "/docs", async (page, visit) => {
  await visit();
  const box = await operation(page, "post", "/v1/hello");
  await box.locator("textarea.body-param__text").fill('{"name": "Grace"}');
  await box.locator(".execute").click();
  await answerOf(box).first().getByText("Hello, Grace!").waitFor();
});

pageClaim("Try it out: a stream is shown as it arrives, to its end", "/docs", async (page, visit) => {
  await visit();
  const box = await operation(page, "get", "/v1/hello/{name}/stream");
  await box.getByPlaceholder("name").fill("Ada");
  await box.getByPlaceholder("times").fill("3");
  await box.getByPlaceholder("pause").fill("1s");
  await box.locator(".execute").click();
  const answer = answerOf(box).first();
  await answer.getByText("for the 1. time").waitFor();
  await box.getByText("The answer is arriving.").waitFor();
  assert.ok(!(await answer.innerText()).includes("for the 3. time"), "it waited for the end");
  assert.equal(await box.locator(".responses-wrapper select.content-type").first().inputValue(), "text/event-stream");
  await picture(page, "docs-stream-arriving");
  await answer.getByText("event: end").waitFor();
  await box.getByText("The answer is arriving.").waitFor({ state: "detached" });
  const events = (await answer.locator("pre").innerText()).match(/^data: .+$/gm);
  assert.equal(events.filter((event) => event.includes("Hello, Ada, for the")).length, 3);
  await picture(page, "docs-stream-done");
});

pageClaim("Try it out: lines of JSON are shown as lines", "/docs", async (page, visit) => {
  await visit();
  const box = await operation(page, "get", "/v1/hello/{name}/stream");
  await box.getByPlaceholder("name").fill("Ada");
  await box.getByPlaceholder("times").fill("2");
  await box.getByPlaceholder("pause").fill("0s");
  await box.locator(".responses-wrapper select.content-type").first().selectOption("application/x-ndjson");
  await box.locator(".execute").click();
  const answer = answerOf(box).first();
  await answer.getByText("for the 2. time").waitFor();
  const lines = (await answer.locator("pre").innerText()).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines[0], { text: "Hello, Ada, for the 1. time!" });
});

for (const how of ["Stop", "Clear"]) {
  pageClaim(`Try it out: ${how} ends a stream`, "/docs", async (page, visit) => {
    await visit();
    const box = await operation(page, "get", "/v1/hello/{name}/stream");
    await box.getByPlaceholder("name").fill("Ada");
    await box.getByPlaceholder("times").fill("100");
    const ended = page.waitForEvent("requestfailed", (request) => request.url().includes("/stream"));
    await box.locator(".execute").click();
    await answerOf(box).first().getByText("for the 1. time").waitFor();
    await box.getByRole("button", { name: how, exact: true }).click();
    assert.match((await ended).failure().errorText, /ERR_ABORTED/);
    await box.getByText("The answer is arriving.").waitFor({ state: "detached" });
    assert.equal(await box.locator(".live-responses-table").count(), how === "Stop" ? 1 : 0);
    // And it can be asked again.
    await box.getByPlaceholder("times").fill("1");
    await box.locator(".execute").click();
    await answerOf(box).first().getByText("event: end").waitFor();
  });
}

pageClaim("Try it out: what the server refuses is shown with its reason", "/docs", async (page, visit, complaints) => {
  await visit();
  const box = await operation(page, "post", "/v1/hello");
  await box.locator("textarea.body-param__text").fill('{"name": ""}');
  await box.locator(".execute").click();
  const answer = answerOf(box).first();
  await answer.getByText("INVALID_ARGUMENT").first().waitFor();
  const { details } = JSON.parse(await answer.locator("pre").innerText());
  assert.deepEqual(details[0].fieldViolations.map(({ field, reason }) => [field, reason]), [["name", "string.min_len"]]);
  await picture(page, "docs-refused");
  // Chromium says of every such answer that it could not be loaded.
  assert.match(complaints.pop(), /status of 400/);
});

const SCHEMES = {
  bearer: { type: "http", scheme: "bearer" },
  key: { type: "apiKey", in: "header", name: "x-api-key" },
  password: { type: "oauth2", flows: { password: { tokenUrl: "/oauth2/token", scopes: { hello: "Say hello" } } } },
};

/** Makes the document ask for one of the schemes above. */
async function secured(page, scheme) {
  await page.route("**/openapi.json", async (route) => {
    const response = await route.fetch();
    const document = await response.json();
    document.components.securitySchemes = { [scheme]: SCHEMES[scheme] };
    document.security = [{ [scheme]: [] }];
    for (const item of Object.values(document.paths)) Object.values(item).forEach((operation) => delete operation.security);
    await route.fulfill({ response, json: document });
  });
}

/** Fills in *Authorize*, and says hello; the headers that went over the wire. */
async function authorized(page, fill) {
  await page.locator(".btn.authorize").first().click();
  const dialog = page.locator(".dialog-ux");
  await fill(dialog);
  await dialog.locator(".auth-btn-wrapper .authorize").click();
  await dialog.getByText("Logout").waitFor();
  await picture(page, "docs-authorize");
  await dialog.locator(".btn-done").click();
  return sayHello(page);
}

async function sayHello(page) {
  const box = await operation(page, "get", "/v1/hello/{name}");
  await box.getByPlaceholder("name").fill("Ada");
  const sent = page.waitForRequest((request) => request.url().endsWith("/v1/hello/Ada"));
  await box.locator(".execute").click();
  await answerOf(box).first().getByText("Hello, Ada!").waitFor();
  return (await sent).allHeaders();
}

pageClaim("Authorize: a bearer credential is sent, and kept over a reload", "/docs", async (page, visit) => {
  await secured(page, "bearer");
  await visit();
  const headers = await authorized(page, (dialog) => dialog.locator("input").first().fill("abc"));
  assert.equal(headers.authorization, "Bearer abc");
  await visit();
  await page.reload({ waitUntil: "networkidle" });
  // Its box is open still or again: deep links.
  assert.equal((await sayHello(page)).authorization, "Bearer abc");
});

pageClaim("Authorize: an API key is sent in its header", "/docs", async (page, visit) => {
  await secured(page, "key");
  await visit();
  const headers = await authorized(page, (dialog) => dialog.locator("input").first().fill("k-1"));
  assert.equal(headers["x-api-key"], "k-1");
});

pageClaim("Authorize: OAuth2 with name and password gets a credential and sends it", "/docs", async (page, visit) => {
  await secured(page, "password");
  let form;
  await page.route("**/oauth2/token", async (route) => {
    form = new URLSearchParams(route.request().postData());
    await route.fulfill({ json: { access_token: "xyz", token_type: "bearer", expires_in: 600 } });
  });
  await visit();
  const headers = await authorized(page, async (dialog) => {
    await dialog.locator("#oauth_username").fill("ada");
    await dialog.locator("#oauth_password").fill("secret");
  });
  assert.deepEqual([form.get("grant_type"), form.get("username"), form.get("password")], ["password", "ada", "secret"]);
  assert.equal(headers.authorization, "Bearer xyz");
});

pageClaim("Redoc shows every operation, and finds one", "/redoc", async (page, visit) => {
  await visit();
  const document = await (await fetch(`${hello}/openapi.json`)).json();
  const operations = Object.values(document.paths).flatMap((item) => Object.values(item)).filter((one) => one.responses);
  assert.ok(operations.length >= 4);
  for (const { summary } of operations) await page.getByRole("heading", { name: summary }).first().waitFor();
  await picture(page, "redoc");
  await page.getByPlaceholder("Search...").fill("again");
  await page.locator("[data-role='search:results'] li").first().waitFor();
});

await run();
await browser.close();
