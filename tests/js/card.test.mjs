// Words of the card: why an agent does not go on, and when a step is tried again.
import assert from "node:assert/strict";
import { test } from "node:test";

import { nextTry, standing } from "../../workbench/front/graph.js";

test("who stands still is told what makes it go on", () => {
  assert.match(standing("interrupted", {}).join(" "), /goes on with resume, a new call, or when a promise/);
  assert.match(standing("failed", { broken: true }).join(" "), /goes on with revert/);
  assert.deepEqual(standing("failed", { broken: false }), ["", ""]);
  assert.match(standing("undefined", {}).join(" "), /class is defined/);
});

test("who has ended is told why, and never that it failed", () => {
  assert.match(standing("exited", { deleted: true }).join(" "), /deleted; the same id called again is a new agent/);
  assert.match(standing("exited", { deleted: false, ephemeral: true }).join(" "), /ephemeral/);
});

test("the next attempt comes, is due, or is under way", () => {
  const retry = { attempts: 2, due: 5e9 };
  assert.deepEqual([nextTry(retry, 2000), nextTry(retry, 5000), nextTry({ attempts: 2, due: 0 }, 5000)], ["next in 3.0 s", "attempt 3 is due", "attempt 3 is under way"]);
});
