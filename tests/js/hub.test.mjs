// The line to the kernel: hello, gaps, silence, the saved picture.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Hub } from "../../workbench/front/graph.js";
import { FAILED } from "../../workbench/front/graph_store.js";
import { Clock, Model, fanOut, packet } from "./packets.mjs";

/** Stands for a view. */
function watch(hub) {
  const seen = { changes: [], badges: 0, details: [], take: (c) => seen.changes.push(c), badge: () => seen.badges++, showDetails: (...d) => seen.details.push(d) };
  hub.views.add(seen);
  return seen;
}

/** A test in simulated time. @param {(clock: Clock) => void} claim */
function withClock(claim) {
  return () => {
    const clock = new Clock();
    try { claim(clock); } finally { clock.restore(); }
  };
}

const hellos = (model) => model.sent.filter((m) => m.t === "hello").length;

test("it says hello, takes the snapshot and the deltas", withClock((clock) => {
  const model = new Model(), hub = new Hub(model), seen = watch(hub);
  assert.equal(hellos(model), 1);
  model.tell(packet("snapshot", 0, { nodes: fanOut(3) }));
  model.tell(packet("delta", 1, { changes: [[2, FAILED]] }));
  assert.equal(hub.store.statuses[2], FAILED);
  assert.deepEqual(seen.changes.map((c) => c.snapshot), [true, false]);
}));

test("a gap makes it say hello again, once until answered", withClock((clock) => {
  const model = new Model(), hub = new Hub(model);
  model.tell(packet("snapshot", 0, { nodes: fanOut(3) }));
  model.tell(packet("delta", 2, { changes: [[2, FAILED]] }));
  model.tell(packet("delta", 3, { changes: [[2, FAILED]] }));
  assert.equal(hellos(model), 2);
  model.tell(packet("snapshot", 3, { nodes: fanOut(3) }));
  model.tell(packet("delta", 4, { changes: [[3, FAILED]] }));
  assert.equal(hub.store.statuses[3], FAILED);
}));

test("a question that nobody answers within a second is told, until somebody does", withClock((clock) => {
  const model = new Model(), hub = new Hub(model), seen = watch(hub);
  model.tell(packet("snapshot", 0, { nodes: fanOut(3) }));
  hub.ask({ t: "details", slot: 1 });
  clock.tick(999);
  assert.equal(hub.quiet, false);
  clock.tick(1);
  assert.equal(hub.quiet, true);
  model.speak("msg:custom", { t: "details", slot: 1, details: { id: "x" } }, []);
  assert.equal(hub.quiet, false);
  assert.equal(seen.badges, 2);
  assert.deepEqual(seen.details, [[1, { id: "x" }]]);
}));

test("with no kernel it shows the saved picture", withClock((clock) => {
  const [head, data] = packet("snapshot", 12, { nodes: fanOut(4) });
  const model = new Model({ state: { head, data } });
  model.send = () => { throw new Error("no comm"); };
  const hub = new Hub(model);
  assert.equal(hub.store.n, 6);
  clock.tick(1000);
  assert.deepEqual([hub.quiet, hub.live], [true, false]);
}));

test("deltas continue the state that the widget was born with, even when its hello is not heard", withClock((clock) => {
  const [head, data] = packet("snapshot", 12, { nodes: fanOut(4) });
  const model = new Model({ state: { head, data } }), hub = new Hub(model);
  model.tell(packet("delta", 13, { changes: [[2, FAILED]] }));
  assert.equal(hub.store.statuses[2], FAILED);
}));

test("deltas never continue a shortened picture", withClock((clock) => {
  const [head, data] = packet("snapshot", 12, { nodes: fanOut(4), hidden: [[1, 0, 0, 0, 0, 90, 0, 0]] });
  const model = new Model({ state: { head, data } }), hub = new Hub(model);
  model.tell(packet("delta", 13, { changes: [[2, FAILED]] }));
  assert.notEqual(hub.store.statuses[2], FAILED);
}));

test("an error in the kernel's view is kept for people to see", withClock((clock) => {
  const model = new Model(), hub = new Hub(model), seen = watch(hub);
  model.speak("msg:custom", { t: "error", text: "ValueError: no such table" }, []);
  assert.equal(hub.trouble, "ValueError: no such table");
  assert.equal(seen.badges, 1);
}));

test("closing takes every listener and timer away", withClock((clock) => {
  const model = new Model(), hub = new Hub(model);
  hub.close();
  assert.deepEqual(Object.values(model.heard).flat(), []);
  clock.tick(5000);
  assert.equal(hub.quiet, false);
}));
