// The store of the graph: filled from a tape, at once or row by row; counts, names and times are right.
import assert from "node:assert/strict";
import { test } from "node:test";

import { GraphPane, TapeStore } from "../../workbench/front/graph_pane.js";
import { CALL, DONE, EXITED, FAILED, FORKED, INTERRUPTED, PROMISE, QUEUED, READING_ORDER, RUNNING, STATUS, TRIGGER, WAITING, describeCounts, isBusy, isLoud, describeTime, shortId } from "../../workbench/front/graph_store.js";
import { COMPLETED, CREATED, IGNORED } from "../../workbench/front/tape.js";
import { Scene, dice, fanOut, wander } from "./tapes.mjs";

const TIMER = 5; // a kind of link

/** All that a store holds, in words that compare. */
function held(store) {
  const { n } = store, sorted = (map) => [...map].sort(([a], [b]) => a - b);
  return {
    n,
    parents: [...store.parents.subarray(0, n)],
    origins: [...store.origins.subarray(0, n)],
    statuses: [...store.statuses.subarray(0, n)],
    since: [...store.since.subarray(0, n)],
    counts: Array.from({ length: n }, (_, slot) => [...store.childCounts(slot)]),
    totals: [...store.totals],
    ids: store.ids,
    labels: sorted(store.labels),
    links: sorted(store.links),
    kids: sorted(store.kids),
    kinds: [...store.kinds].sort(),
  };
}

test("a tape fills the arrays", () => {
  const scene = new Scene(fanOut(3, RUNNING));
  scene.open(1, CALL, 2, 9).label(2, "first");
  const change = scene.play(), { store } = scene;
  assert.deepEqual([change.snapshot, change.from, store.n], [true, 0, 5]);
  assert.deepEqual([...store.parents.subarray(0, 5)], [-1, 0, 1, 1, 1]);
  assert.deepEqual(store.ids.slice(0, 5), ["Session()", "Coordinator()", "Worker(0)", "Worker(1)", "Worker(2)"]);
  assert.deepEqual(store.links.get(9), { kind: CALL, from: 1, to: 2 });
  assert.deepEqual([0, 2, 3].map((slot) => store.name(slot)), ["notebook", "first", "Worker(1)"]);
});

test("more rows add nodes, change statuses, open and close links, and tell which", () => {
  const scene = new Scene(fanOut(1, QUEUED));
  scene.open(1, CALL, 2, 5).promise(1, 0, CREATED).play();
  scene.add([["Worker(1)", 1, QUEUED]]).change([2, DONE, 2000]).open(1, CALL, 3, 6).close(5).promise(2, 0, COMPLETED).promise(2, 0, IGNORED);
  const change = scene.play(), { store } = scene;
  assert.deepEqual([...change.changed], [3, 2]);
  assert.deepEqual([change.snapshot, change.from, change.links, [...change.flashes]], [false, 3, true, [2, 1]]);
  assert.deepEqual([...store.statuses.subarray(0, 4)], [0, WAITING, DONE, QUEUED]);
  assert.deepEqual([...store.links.keys()], [6]);
  assert.equal(store.since[2], 2000);
});

test("however the rows are split, they add up to what all of them show at once", () => {
  for (let seed = 1; seed < 40; seed++) {
    const story = wander(150, seed), tape = story.told(), whole = new TapeStore(), roll = dice(seed);
    whole.show(tape, tape.moment(null));
    const parts = new TapeStore();
    parts.show(tape, tape.moment(0));
    for (let from = 0, to; from < tape.rows; from = to) { to = Math.min(tape.rows, from + 1 + roll(20)); parts.advance(tape, from, to); }
    assert.deepEqual(held(parts), held(whole), `seed ${seed}`);
  }
});

test("shown as of a moment it goes on from there", () => {
  const story = wander(200, 7), tape = story.told(), whole = new TapeStore();
  whole.show(tape, tape.moment(null));
  for (let seq = 0; seq <= story.seq; seq += 13) {
    const store = new TapeStore(), moment = tape.moment(seq);
    whole.show(tape, moment);
    assert.equal(whole.n, moment.n);
    store.show(tape, moment);
    store.advance(tape, moment.row, tape.rows);
    whole.show(tape, tape.moment(null));
    assert.deepEqual(held(store), held(whole), `seq ${seq}`);
  }
});

test("timers and steps are waits that nobody sees as lines", () => {
  const scene = new Scene(fanOut(1));
  scene.open(2, TIMER, 2, 5).open(1, TRIGGER, 2, 6);
  scene.play();
  assert.deepEqual([...scene.store.links.keys()], [6]);
});

test("counts follow every change, by parent and in all; the session is not counted", () => {
  const scene = new Scene(fanOut(200, RUNNING));
  scene.play();
  scene.change(...Array.from({ length: 183 }, (_, i) => [2 + i, i < 180 ? DONE : FAILED])).play();
  assert.equal(describeCounts(scene.store.childCounts(1)), "180 done, 17 running, 3 failed");
  assert.equal(describeCounts(scene.store.totals), "180 done, 17 running, 1 waiting, 3 failed");
  assert.equal(scene.store.childCount(1), 200);
});

test("every status is counted apart, for each parent", () => {
  const all = STATUS.map((_, status) => status);
  const scene = new Scene([["Session()", -1, 0], ["A()", 0, EXITED], ["B()", 0, INTERRUPTED], ...all.map((s) => [`Worker(${s})`, 1, s]), ...all.map((s) => [`Other(${s})`, 2, s])]);
  scene.play();
  for (const parent of [1, 2]) assert.deepEqual([...scene.store.childCounts(parent)], all.map(() => 1));
  assert.equal(describeCounts(scene.store.totals).split(", ").length, STATUS.length);
  assert.deepEqual([...READING_ORDER].sort((a, b) => a - b), all);
});

test("what is under way, and what somebody should look at, are told apart", () => {
  const named = (/** @type {(s: number) => boolean} */ is) => STATUS.filter((_, status) => is(status));
  assert.deepEqual(named(isBusy), ["running", "waiting", "suspended", "retrying"]);
  assert.deepEqual(named(isLoud), ["failed", "interrupted"]);
});

test("a store that is filled again keeps the clock that it was given", () => {
  const scene = new Scene(fanOut(1));
  assert.equal(scene.store.now(), 0);
  scene.store.now = () => 5000;
  scene.play();
  assert.equal(scene.store.now(), 5000);
});

test("ten thousand nodes arrive in one packet", () => {
  const scene = new Scene();
  for (let i = 0; i < 10000; i++) scene.agent("Worker()", i ? 0 : -1);
  scene.play();
  assert.equal(scene.store.n, 10000);
  assert.equal(scene.store.childCount(0), 9999);
});

test("ids are any text, markup included", () => {
  const id = 'Worker("</script><img src=x onerror=alert(1)> 漢 🦑")', scene = new Scene([["Session()", -1, 0], [id, 0, DONE]]);
  scene.play();
  assert.equal(scene.store.name(1), id);
  assert.equal(scene.tape.slotOf(id), 1);
});

test("phantoms and times are short for people", () => {
  assert.equal(shortId("Worker(7)[0b0c5b2e-0000-4000-8000-000000000000]"), "Worker(7)[0b0c…]");
  assert.deepEqual([120, 3210, 200000, 7.5e6].map(describeTime), ["120 ms", "3.2 s", "3 min 20 s", "2 h 5 min"]);
});

test("the card of an agent tells from the tape alone what it does and waits for", () => {
  const scene = new Scene(fanOut(2, RUNNING));
  scene.open(1, CALL, 2, 5).open(1, PROMISE, 3, 6);
  scene.status(3, WAITING, { method: "report", what: "step fetch" });
  const fork = scene.agent("Worker(2)", 3, FORKED), tape = scene.told();
  const pane = Object.assign(Object.create(GraphPane.prototype), { desk: { tape, moment: tape.moment(null) } });
  const chief = pane.known(1);
  assert.deepEqual([chief.status, chief.method, chief.running, chief.waiting_for, chief.origin], ["waiting", "process", true, 2, "spawned"]);
  assert.deepEqual(chief.waits.map((wait) => [wait.kind, wait.on]), [["call", "Worker(0)"], ["promise", "Worker(1)"]]);
  assert.deepEqual(pane.known(3).waits.map((wait) => wait.what), ["step fetch"]);
  assert.deepEqual([pane.known(fork).origin, pane.known(fork).status, pane.known(99).waits], ["forked", "idle", []]);
});
