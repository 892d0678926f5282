// Decoding: packets become arrays; gaps are noticed; counts and names are right.
import assert from "node:assert/strict";
import { test } from "node:test";

import { DONE, EXITED, FAILED, INTERRUPTED, QUEUED, READING_ORDER, RUNNING, STATUS, Store, WAITING, describeCounts, isBusy, isLoud, describeTime, shortId } from "../../workbench/front/graph_store.js";
import { fanOut, packet } from "./packets.mjs";

test("a snapshot fills the arrays, from a buffer at any offset", () => {
  const store = new Store();
  const change = store.apply(...packet("snapshot", 7, { nodes: fanOut(3, RUNNING), opened: [[9, 1, 1, 2]], labels: [[2, "first"]] }));
  assert.deepEqual([change.snapshot, change.from, store.seq, store.n], [true, 0, 7, 5]);
  assert.deepEqual([...store.parents.subarray(0, 5)], [-1, 0, 1, 1, 1]);
  assert.deepEqual(store.ids.slice(0, 5), ["Session()", "Coordinator()", "Worker(0)", "Worker(1)", "Worker(2)"]);
  assert.deepEqual(store.links.get(9), { kind: 1, from: 1, to: 2 });
  assert.deepEqual([0, 2, 3].map((slot) => store.name(slot)), ["notebook", "first", "Worker(1)"]);
});

test("deltas add nodes, change statuses, open and close links", () => {
  const store = new Store();
  store.apply(...packet("snapshot", 0, { nodes: fanOut(1, QUEUED), opened: [[5, 1, 1, 2]] }));
  const change = store.apply(...packet("delta", 1, { base: 3, nodes: [["Worker(1)", 1, QUEUED]], changes: [[2, DONE, 2000]], opened: [[6, 1, 1, 3]], closed: [5], flashes: [[2, 1]] }));
  assert.deepEqual([...change.changed], [3, 2]);
  assert.deepEqual([...change.flashes], [2, 1]);
  assert.deepEqual([...store.statuses.subarray(0, 4)], [0, WAITING, DONE, QUEUED]);
  assert.deepEqual([...store.links.keys()], [6]);
  assert.equal(store.since[2], 2000);
});

test("a gap is told by null and changes nothing; an old packet is stepped over", () => {
  const store = new Store();
  store.apply(...packet("snapshot", 3, { nodes: fanOut(2) }));
  assert.equal(store.apply(...packet("delta", 5, { changes: [[2, FAILED]] })), null);
  assert.equal(store.statuses[2], DONE);
  assert.deepEqual([...store.apply(...packet("delta", 3, { changes: [[2, FAILED]] })).changed], []);
  assert.equal(store.seq, 3);
});

test("packets may overlap: nodes known already are not added twice", () => {
  const store = new Store();
  store.apply(...packet("snapshot", 0, { nodes: fanOut(2) }));
  store.apply(...packet("delta", 1, { base: 2, nodes: [["Worker(0)", 1, FAILED], ["Worker(1)", 1, DONE], ["Worker(2)", 1, DONE]] }));
  assert.equal(store.n, 5);
  assert.deepEqual(store.kids.get(1), [2, 3, 4]);
  assert.equal(store.childCounts(1)[FAILED], 1);
});

test("counts follow every change, by parent and in all; the session is not counted", () => {
  const store = new Store();
  store.apply(...packet("snapshot", 0, { nodes: fanOut(200, RUNNING) }));
  store.apply(...packet("delta", 1, { changes: Array.from({ length: 183 }, (_, i) => [2 + i, i < 180 ? DONE : FAILED, 5]) }));
  assert.equal(describeCounts(store.childCounts(1)), "180 done, 17 running, 3 failed");
  assert.equal(describeCounts(store.totals), "180 done, 17 running, 1 waiting, 3 failed");
});

test("every status is counted apart, for each parent", () => {
  const store = new Store(), all = STATUS.map((_, status) => status);
  store.apply(...packet("snapshot", 0, { nodes: [["Session()", -1, 0], ["A()", 0, EXITED], ["B()", 0, INTERRUPTED], ...all.map((s) => [`Worker(${s})`, 1, s]), ...all.map((s) => [`Other(${s})`, 2, s])] }));
  for (const parent of [1, 2]) assert.deepEqual([...store.childCounts(parent)], all.map(() => 1));
  assert.equal(describeCounts(store.totals).split(", ").length, STATUS.length);
  assert.deepEqual([...READING_ORDER].sort((a, b) => a - b), all);
});

test("what is under way, and what somebody should look at, are told apart", () => {
  const named = (/** @type {(s: number) => boolean} */ is) => STATUS.filter((_, status) => is(status));
  assert.deepEqual(named(isBusy), ["running", "waiting", "suspended", "retrying"]);
  assert.deepEqual(named(isLoud), ["failed", "interrupted"]);
});

test("the kernel's clock is what it says it is, else guessed from the newest change", () => {
  const store = new Store();
  store.apply(...packet("snapshot", 0, { nodes: [["Session()", -1, 0, 5000]] }));
  assert.ok(Math.abs(store.now() - 5000) < 1000);
  store.apply(...packet("delta", 1, { now: 9e6 }));
  assert.ok(Math.abs(store.now() - 9e6) < 1000);
});

test("ten thousand nodes arrive in one packet", () => {
  const store = new Store();
  store.apply(...packet("snapshot", 0, { nodes: fanOut(10000) }));
  assert.equal(store.n, 10002);
  assert.equal(store.childCount(1), 10000);
});

test("a shortened picture counts what it does not list", () => {
  const store = new Store();
  store.apply(...packet("snapshot", 0, { nodes: fanOut(5), hidden: [[1, 0, 0, 0, 0, 90, 2, 0]] }));
  assert.equal(describeCounts(store.childCounts(1)), "95 done, 2 failed");
});

test("ids are any text, markup included", () => {
  const id = 'Worker("</script><img src=x onerror=alert(1)> 漢 🦑")', store = new Store();
  store.apply(...packet("snapshot", 0, { nodes: [[id, -1, DONE]], origins: [0] }));
  assert.equal(store.name(0), id);
  assert.equal(store.slotOf(id), 0);
});

test("phantoms and times are short for people", () => {
  assert.equal(shortId("Worker(7)[0b0c5b2e-0000-4000-8000-000000000000]"), "Worker(7)[0b0c…]");
  assert.deepEqual([120, 3210, 200000, 7.5e6].map(describeTime), ["120 ms", "3.2 s", "3 min 20 s", "2 h 5 min"]);
});
