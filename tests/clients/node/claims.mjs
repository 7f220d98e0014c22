// Claims of one script: functions that are run in order. What held is printed; the exit code says whether all did.

import assert from "node:assert/strict";

const claims = [];

/** Makes a claim of a function. */
export function claim(what, check) {
  claims.push([what, check]);
}

/** Checks every claim, also after one that did not hold. */
export async function run() {
  let broken = 0;
  for (const [what, check] of claims) {
    try {
      await check();
      console.log("held:  ", what);
    } catch (error) {
      broken += 1;
      console.log("broken:", what);
      console.error(error);
    }
  }
  process.exitCode = broken > 0 || claims.length === 0 ? 1 : 0;
}

/** The exception of this very class that the action must end with. */
export async function throws(kind, action) {
  let outcome;
  try {
    outcome = await action();
  } catch (error) {
    assert.equal(error.constructor, kind, `expected ${kind.name}, got ${error}`);
    return error;
  }
  assert.fail(`expected ${kind.name}, got ${JSON.stringify(outcome)}`);
}

/** All that an async iterable has. */
export async function all(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}
