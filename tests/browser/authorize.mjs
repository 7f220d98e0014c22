// Claims about Swagger UI in front of Sabir itself, where callers have to say who they are. SERVER is its address, PASSWORD
// that of the user alice.

import assert from "node:assert/strict";
import { claim, run } from "../clients/node/claims.mjs";
import { launch, open, picture } from "./chromium.mjs";

const server = process.env.SERVER;
const browser = await launch();

const answerOf = (box) => box.locator(".live-responses-table .response-col_description .highlight-code");

claim("who authorizes with name and password can try a chat", async () => {
  const { page, complaints } = await open(browser, server);
  await page.goto(`${server}/docs`, { waitUntil: "networkidle" });
  const box = page
    .locator(".opblock", { has: page.locator('[data-path="/v1/chat/completions"]') })
    .and(page.locator(".opblock-post"));
  await box.locator(".opblock-summary-control").click();
  await box.locator(".execute").waitFor();
  await box
    .locator("textarea.body-param__text")
    .fill(JSON.stringify({ model: "scripted/echo", messages: [{ role: "user", content: "Hello from the docs" }] }));

  // Without a credential, the server says what is missing.
  await box.locator(".execute").click();
  await answerOf(box).first().getByText("authentication is needed").waitFor();
  assert.match(complaints.pop(), /status of 401/);

  await page.locator(".btn.authorize").first().click();
  const dialog = page.locator(".dialog-ux");
  await dialog.locator("#oauth_username").fill("alice");
  await dialog.locator("#oauth_password").fill(process.env.PASSWORD);
  const section = dialog.locator(".auth-container", { has: page.locator("#oauth_username") });
  await section.locator(".auth-btn-wrapper .authorize").click();
  // Its fields are gone then.
  await dialog.getByText("Logout").first().waitFor();
  await picture(page, "sabir-docs-authorized");
  await dialog.locator(".close-modal").click();

  const sent = page.waitForRequest((request) => request.url().endsWith("/v1/chat/completions"));
  await box.locator(".execute").click();
  const headers = await (await sent).allHeaders();
  assert.match(headers.authorization, /^Bearer [\w-]+\.[\w-]+\.[\w-]+$/);
  await answerOf(box).first().getByText("chat.completion").first().waitFor();
  await answerOf(box).first().scrollIntoViewIfNeeded();
  await picture(page, "sabir-docs-chat");
  assert.deepEqual(complaints, []);
});

await run();
await browser.close();
