// The line to the kernel: hello, rows, gaps, silence, questions, the saved tape; one clock and one selection.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Desk, countWords } from "../../workbench/front/desk.js";
import { DONE, FAILED, ROOT, RUNNING } from "../../workbench/front/graph_store.js";
import { Clock, Model, Story, fanOut } from "./tapes.mjs";

/** Remembers what a desk tells. */
function watch(desk) {
  const news = [];
  desk.watchers.add((told) => news.push(told));
  return news;
}

/** A test in simulated time. @param {(clock: Clock) => void | Promise<void>} claim */
function withClock(claim) {
  return async () => {
    const clock = new Clock();
    try { await claim(clock); } finally { clock.restore(); }
  };
}

/** A desk whose kernel has told it a story. */
function told(story, more = {}) {
  const model = new Model(more), desk = new Desk(model);
  model.tell(story.packet());
  return { model, desk };
}

const hellos = (model) => model.sent.filter((m) => m.t === "hello");

test("it says hello with what it has, which is nothing, and takes rows in", withClock(() => {
  const story = new Story(fanOut(3)), model = new Model(), desk = new Desk(model), news = watch(desk);
  assert.deepEqual(model.sent, [{ t: "hello", rows: 0, text: 1, tape: "" }]);
  model.tell(story.packet());
  const from = story.rows.length, text = story.texts.length;
  story.change([2, FAILED]);
  model.tell(story.packet(from, undefined, { text, facts: { entries: 9 } }));
  assert.deepEqual([desk.live, desk.tape.rows, desk.tape.lastSeq, desk.facts.entries], [true, from + 1, story.seq, 9]);
  assert.equal(desk.tape.statusOf(desk.moment, 2), FAILED);
  assert.deepEqual(news, [{ rows: true, kernel: false }, { rows: true, kernel: false }]);
  assert.equal(hellos(model).length, 1);
}));

test("rows that come twice change nothing", withClock(() => {
  const story = new Story(fanOut(3)), { model, desk } = told(story);
  model.tell(story.packet(2, 6));
  model.tell(story.packet());
  assert.deepEqual([desk.tape.rows, desk.tape.n, desk.tape.texts], [story.rows.length, 5, story.texts]);
  assert.deepEqual(desk.tape.kids.get(1), [2, 3, 4]);
}));

test("a gap makes it say which rows it has, once until answered", withClock((clock) => {
  const story = new Story(fanOut(3)), model = new Model(), desk = new Desk(model);
  model.tell(story.packet(0, 4));
  model.tell(story.packet(6, 8, { text: 3 }));
  model.tell(story.packet(8, 9, { text: 3 }));
  assert.deepEqual(hellos(model).slice(1), [{ t: "hello", rows: 4, text: desk.tape.texts.length, tape: "tape 1" }]);
  assert.equal(desk.tape.rows, 4);
  model.tell(story.packet(4));
  assert.equal(desk.tape.rows, story.rows.length);
  model.tell(story.packet(story.rows.length + 5, story.rows.length + 5));
  assert.equal(hellos(model).length, 3);
  clock.tick(1000); // nobody answers
  model.tell(story.packet(story.rows.length + 5, story.rows.length + 5));
  assert.equal(hellos(model).length, 4);
}));

test("texts that were missed are a gap as rows are", withClock(() => {
  const story = new Story(fanOut(3)), model = new Model();
  new Desk(model);
  model.tell(story.packet(0, 4));
  model.tell(story.packet(4, 6, { text: story.texts.length + 1 }));
  assert.equal(hellos(model).length, 2);
}));

test("another tape takes the place of the one that was shown, from its beginning on", withClock(() => {
  const { model, desk } = told(new Story(fanOut(3))), other = new Story(fanOut(9, RUNNING));
  model.tell(other.packet(4, 8, { tape: "tape 2" }));
  assert.deepEqual(hellos(model).at(-1), { t: "hello", rows: 0, text: 1, tape: "" });
  assert.equal(desk.tape.n, 5);
  model.tell(other.packet(0, undefined, { tape: "tape 2" }));
  assert.deepEqual([desk.tape.n, desk.name, desk.moment.n], [11, "tape 2", 11]);
}));

test("a hello that nobody answers within a second is told, until somebody does", withClock((clock) => {
  const model = new Model(), desk = new Desk(model), news = watch(desk);
  clock.tick(999);
  assert.equal(desk.quiet, false);
  clock.tick(1);
  assert.deepEqual([desk.quiet, news], [true, [{ kernel: true }]]);
  model.tell(new Story(fanOut(1)).packet());
  assert.deepEqual([desk.quiet, news.at(-1)], [false, { rows: true, kernel: true }]);
  clock.tick(5000);
  assert.equal(desk.quiet, false);
}));

test("questions are numbered, and each gets its own answer or the kernel's words", withClock(async () => {
  const { model, desk } = told(new Story(fanOut(1)));
  const first = desk.ask("bar", { slot: 1, seq: 7 }), second = desk.ask("why", { slot: 1 });
  assert.deepEqual(model.sent.slice(1), [{ t: "ask", n: 1, kind: "bar", slot: 1, seq: 7 }, { t: "ask", n: 2, kind: "why", slot: 1 }]);
  model.say({ t: "answer", n: 2, error: "it was deleted" });
  model.say({ t: "answer", n: 1, value: { method: "m" } });
  model.say({ t: "answer", n: 1, value: { method: "late" } });
  assert.deepEqual(await first, { method: "m" });
  await assert.rejects(second, /it was deleted/);
}));

test("a question that nobody answers within a second is told, and still takes the answer", withClock(async (clock) => {
  const { model, desk } = told(new Story(fanOut(1))), news = watch(desk), asked = desk.ask("details", { slot: 1 });
  clock.tick(1000);
  assert.deepEqual([desk.quiet, news], [true, [{ kernel: true }]]);
  model.say({ t: "answer", n: 1, value: 5 });
  assert.equal(await asked, 5);
  assert.deepEqual([desk.quiet, news.length], [false, 2]);
}));

test("with no kernel it shows what was saved, and answers from the notes", withClock(async (clock) => {
  const story = new Story(fanOut(4)), model = new Model({ state: story.saved({ facts: { store: "lesson.db" }, notes: { "why:2": { sentences: ["so"] } }, left_out: 7 }) });
  model.send = () => { throw new Error("no comm"); };
  const desk = new Desk(model), news = watch(desk);
  await desk.loaded;
  assert.deepEqual([desk.tape.n, desk.tape.lastSeq, desk.facts.store, desk.leftOut, desk.live], [6, story.seq, "lesson.db", 7, false]);
  assert.deepEqual(news, [{ rows: true, clock: true, selection: true }]);
  assert.deepEqual(await desk.ask("why", { slot: 2 }, "2"), { sentences: ["so"] });
  const lost = desk.ask("why", { slot: 3 }, "3");
  clock.tick(1000);
  await assert.rejects(lost, /no kernel answers/);
  await assert.rejects(desk.ask("why", { slot: 3 }, "3"), /no kernel answers/);
  assert.equal(desk.now(), desk.tape.lastWall);
}));

test("a page without a kernel is quiet from the beginning", withClock(async () => {
  const model = new Model({ state: new Story(fanOut(1)).saved(), still: true }), desk = new Desk(model);
  await assert.rejects(desk.ask("why", { slot: 1 }, "1"), /no kernel answers/);
}));

test("what a kernel says counts more than what was saved, whichever comes first", withClock(async () => {
  const state = new Story(fanOut(9)).saved(), live = new Story(fanOut(2));
  const early = new Model({ state }), first = new Desk(early);
  early.tell(live.packet()); // before the saved tape is unpacked
  await first.loaded;
  assert.deepEqual([first.live, first.tape.n], [true, 4]);
  const late = new Model({ state }), second = new Desk(late);
  await second.loaded;
  late.tell(live.packet(0, 2));
  assert.deepEqual([second.live, second.tape.n, second.moment.n], [true, 1, 1]);
  late.set("state", state);
  await null;
  assert.equal(second.tape.n, 1);
}));

test("rows that do not begin at the beginning never continue a saved tape", withClock(async () => {
  const story = new Story(fanOut(4)), model = new Model({ state: story.saved() }), desk = new Desk(model);
  await desk.loaded;
  const from = story.rows.length;
  story.change([2, FAILED]);
  model.tell(story.packet(from));
  assert.equal(desk.tape.statusOf(desk.moment, 2), DONE);
  assert.equal(desk.live, false);
}));

test("a saved tape that changes is shown anew while nobody is live", withClock(async () => {
  const model = new Model(), desk = new Desk(model);
  await desk.loaded;
  const shown = new Promise((done) => { desk.watchers.add(done); });
  model.set("state", new Story(fanOut(3)).saved());
  await shown;
  assert.equal(desk.tape.n, 5);
}));

test("an error in the kernel's view is kept for people to see", withClock(() => {
  const model = new Model(), desk = new Desk(model), news = watch(desk);
  model.say({ t: "error", text: "ValueError: no such table" });
  assert.deepEqual([desk.trouble, news], ["ValueError: no such table", [{ kernel: true }]]);
}));

test("the clock goes both ways, and past the end is live", withClock((clock) => {
  const story = new Story(fanOut(3)), { model, desk } = told(story), news = watch(desk);
  desk.goTo(4.4);
  assert.deepEqual([desk.clock, model.data.clock, desk.moment.seq, desk.moment.n], [4, 4, 4, 2]);
  assert.equal(desk.now(), desk.tape.wallOf(4));
  assert.ok(news.some((told) => told.clock));
  desk.goTo(-100);
  assert.equal(desk.clock, desk.tape.firstSeq);
  desk.goTo(story.seq + 5);
  assert.deepEqual([desk.clock, model.data.clock, desk.moment], [null, -1, desk.tape.now]);
  assert.equal(model.saves, 0);
  clock.tick(100);
  assert.equal(model.saves, 1); // of three changes
  model.set("clock", 6);
  assert.deepEqual([desk.clock, desk.moment.n], [6, 3]);
  model.set("clock", -1);
  assert.equal(desk.clock, null);
  const silent = news.length;
  desk.goTo(null);
  assert.equal(news.length, silent);
}));

test("an echo of an earlier change undoes none that is about to leave", withClock((clock) => {
  const { model, desk } = told(new Story(fanOut(3)));
  desk.goTo(4);
  desk.select([2]);
  clock.tick(100);
  desk.goTo(5);
  desk.select([3]);
  model.set("clock", 4);
  model.set("selection", ["Worker(0)"]);
  assert.deepEqual([desk.clock, model.data.clock, [...desk.selected], model.data.selection], [5, 5, [3], ["Worker(1)"]]);
  clock.tick(100);
  model.set("clock", 4);
  model.set("selection", ["Worker(0)"]);
  assert.deepEqual([desk.clock, [...desk.selected]], [4, [2]]);
}));

test("a past moment stands still while rows come", withClock(() => {
  const story = new Story(fanOut(3)), { model, desk } = told(story);
  desk.goTo(6);
  const before = [...desk.moment.last], from = story.rows.length;
  story.change([1, FAILED]).add([["Worker(9)", 1, FAILED]]);
  model.tell(story.packet(from));
  assert.equal(desk.tape.n, 6);
  assert.deepEqual([desk.moment.n, [...desk.moment.last].slice(0, before.length)], [3, before]);
}));

test("the selection goes both ways, by ids for the kernel and by places here", withClock((clock) => {
  const { model, desk } = told(new Story(fanOut(3))), news = watch(desk);
  desk.select([2]);
  desk.select([3], true);
  assert.deepEqual([model.data.selection, [...desk.selected], desk.focus], [["Worker(0)", "Worker(1)"], [2, 3], 3]);
  desk.select([2], true);
  assert.deepEqual(model.data.selection, ["Worker(1)"]);
  clock.tick(100);
  model.set("selection", ["Worker(2)", "Nobody()"]);
  assert.deepEqual([[...desk.selected], news.at(-1)], [[4], { selection: true }]);
  model.set("selection", []);
  assert.equal(desk.focus, -1);
}));

test("who is selected before it is there is selected once it comes", withClock(() => {
  const model = new Model({ selection: ["Worker(0)"] }), desk = new Desk(model);
  assert.deepEqual([...desk.selected], []);
  model.tell(new Story(fanOut(1)).packet());
  assert.deepEqual([...desk.selected], [2]);
}));

test("of two agents with one id the one that was picked stays selected", withClock((clock) => {
  const story = new Story([...fanOut(1), ["Worker(0)", 1, RUNNING]]), { model, desk } = told(story);
  desk.select([2]);
  assert.deepEqual([[...desk.selected], model.data.selection], [[2], ["Worker(0)"]]);
  clock.tick(100);
  model.set("selection", []);
  model.set("selection", ["Worker(0)"]);
  assert.deepEqual([...desk.selected], [3]); // by id it is the younger one
}));

test("counts are those of the moment, the notebook left out", withClock(() => {
  const { desk } = told(new Story([["Session()", -1, 0], ["A()", 0, RUNNING], ["B()", 0, DONE], ["C()", 0, DONE]]));
  assert.equal(desk.tape.origins[0], ROOT);
  assert.equal(countWords(desk.counts()), "2 done, 1 running");
  desk.goTo(4);
  assert.equal(countWords(desk.counts()), "1 running");
}));

test("the kernel's time is what it says it is", withClock(() => {
  const story = new Story(fanOut(1)), { model, desk } = told(story);
  assert.equal(desk.now(), desk.tape.lastWall); // nobody has said
  model.tell(story.packet(0, 1, { now: 9e6 }));
  assert.ok(Math.abs(desk.now() - 9e6) < 1000);
}));

test("closing takes every listener and timer away", withClock((clock) => {
  const { model, desk } = told(new Story(fanOut(1)));
  desk.ask("why", { slot: 1 }).catch(() => {});
  desk.goTo(1);
  desk.close();
  assert.deepEqual(Object.values(model.heard).flat(), []);
  clock.tick(5000);
  assert.deepEqual([desk.quiet, model.saves], [false, 0]);
}));
