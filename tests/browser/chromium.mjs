// The browser, and what it must never do on a page of ours: complain, or ask anybody else.

import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Chromium without a window, with a profile of its own. */
export function launch() {
  const installed = process.env.PATH.split(delimiter).map((folder) => join(folder, "chromium")).find(existsSync);
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? installed, args: FLAGS });
}

/**
 * A new page. `complaints` gathers what was wrong with it: messages, exceptions, violated policies, and requests to any
 * other server than this one and the page's own.
 */
export async function open(browser, server, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`exception: ${error}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    // A page that is about to open has no address yet.
    const own = [server, page.url()].filter((address) => URL.canParse(address)).map((address) => new URL(address).host);
    if (/^(http|ws)s?:$/.test(url.protocol) && !request.isNavigationRequest() && !own.includes(url.host)) {
      complaints.push(`asked ${url}`);
    }
  });
  // The console has them too; this says which directive.
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`);
    });
  });
  return { page, complaints };
}

/** Keeps a picture of the page, for people to look at. */
export async function picture(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}
