// The slider's arithmetic: steps from entry to entry, and how much happened where.
import assert from "node:assert/strict";
import { test } from "node:test";

import { DONE, FAILED, RUNNING } from "../../workbench/front/graph_store.js";
import { Density, Scrubber, stepFrom } from "../../workbench/front/scrubber.js";
import { Model, Story, fanOut } from "./tapes.mjs";

/** Agents 1 and 2 in turns: entries 1 to 6 make them, 7 is of 1, 8 of 2, 9 makes no row, 10 of 2, 11 of 1. */
function turns() {
  const story = new Story([["Session()", -1, 0], ["A()", 0, RUNNING], ["B()", 0, RUNNING]]);
  story.status(1, DONE);
  story.status(2, DONE);
  story.entry();
  story.status(2, FAILED);
  story.status(1, RUNNING);
  return story;
}

test("a step goes to the next or the last entry that made a row", () => {
  const tape = turns().told(), walk = (from, way) => stepFrom(tape, from, way);
  assert.deepEqual([walk(7, 1), walk(8, 1), walk(9, 1), walk(0, 1)], [8, 10, 10, 1]);
  assert.deepEqual([walk(11, -1), walk(10, -1), walk(9, -1)], [10, 8, 8]);
  assert.deepEqual([walk(11, 1), walk(99, 1), walk(1, -1), walk(99, -1)], [null, null, 1, 11]);
});

test("steps on and back meet every entry with rows once", () => {
  const tape = turns().told(), on = [], back = [];
  for (let seq = 0; seq !== null; seq = stepFrom(tape, seq, 1)) on.push(seq);
  for (let seq = 11; ; seq = stepFrom(tape, seq, -1)) { back.unshift(seq); if (seq === 1) break; }
  assert.deepEqual(on.slice(1), [1, 2, 3, 4, 5, 6, 7, 8, 10, 11]);
  assert.deepEqual(back, on.slice(1));
});

test("a step of the selected agents passes the others by; nobody selected is everybody", () => {
  const tape = turns().told(), b = new Set([2]);
  assert.deepEqual([stepFrom(tape, 6, 1, b), stepFrom(tape, 8, 1, b), stepFrom(tape, 10, 1, b)], [8, 10, null]);
  assert.deepEqual([stepFrom(tape, 11, -1, b), stepFrom(tape, 10, -1, b), stepFrom(tape, 5, -1, b)], [10, 8, 1]);
  assert.equal(stepFrom(tape, 6, 1, new Set()), 7);
});

test("several rows of one entry are one step", () => {
  const story = new Story([["Session()", -1, 0]]);
  story.entry();
  story.row(4, -1);
  story.row(4, -1);
  const tape = story.told();
  assert.deepEqual([stepFrom(tape, 2, 1), stepFrom(tape, 3, 1), stepFrom(tape, 3, -1)], [3, null, 2]);
});

test("the density counts every row in its column, and marks where somebody failed", () => {
  const tape = turns().told(), density = new Density(11);
  density.read(tape, false, 1, 11);
  assert.deepEqual([...density.counts], [1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1]);
  assert.deepEqual([...density.failed].map((bit, i) => (bit ? i + 1 : 0)).filter(Boolean), [10]);
});

test("the density grows with the tape, and begins anew when its ends or its unit change", () => {
  const story = turns(), tape = story.told(), grown = new Density(20), anew = new Density(20);
  grown.read(tape, false, 1, 20);
  for (let i = 0; i < 9; i++) story.status(1, FAILED);
  story.told(tape);
  grown.read(tape, false, 1, 20);
  anew.read(tape, false, 1, 20);
  assert.deepEqual([grown.counts, grown.failed], [anew.counts, anew.failed]);
  grown.read(tape, true, tape.firstWall, tape.lastWall);
  anew.read(tape, true, tape.firstWall, tape.lastWall);
  assert.deepEqual(grown.counts, anew.counts);
  assert.equal(grown.counts.reduce((a, b) => a + b), tape.rows);
  const other = turns().told();
  grown.read(other, true, tape.firstWall, tape.lastWall); // another tape, and a shorter one
  assert.equal(grown.counts.reduce((a, b) => a + b), other.rows);
});

test("a tape of one moment fills one column", () => {
  const story = new Story([["Session()", -1, 0]]), density = new Density(4);
  density.read(story.told(), true, 5, 5);
  assert.deepEqual([...density.counts], [2, 0, 0, 0]);
});

/** A slider without a page. */
function slider(story, data = {}) {
  const went = [], model = new Model(data), tape = story.told();
  const desk = { tape, model, clock: /** @type {number | null} */ (null), selected: new Set(), goTo: (seq) => { went.push(seq); desk.clock = seq; } };
  const scrubber = Object.assign(Object.create(Scrubber.prototype), { desk, byTime: false, playing: 0, said: [], say: (text) => scrubber.said.push(text), draw() {}, drawWords() {} });
  return { scrubber, desk, model, went };
}

test("a place on the slider is an entry, by number or by time, and back", () => {
  const { scrubber } = slider(new Story(fanOut(4)));
  assert.deepEqual([scrubber.at(0), scrubber.at(1), scrubber.at(-3), scrubber.part(1), scrubber.part(12), scrubber.part(99)], [1, 12, 1, 0, 1, 1]);
  for (let seq = 1; seq <= 12; seq++) assert.equal(scrubber.at(scrubber.part(seq)), seq);
  scrubber.byTime = true;
  for (let seq = 1; seq <= 12; seq++) assert.equal(scrubber.at(scrubber.part(seq)), seq);
});

test("keys step, jump and set bookmarks; others are left to the page", () => {
  const { scrubber, desk, model, went } = slider(new Story(fanOut(4)));
  const press = (key, shiftKey = false) => scrubber.key({ key, shiftKey });
  press("ArrowLeft");
  press("b");
  press("Home");
  press("PageDown");
  press("b");
  press("End");
  assert.deepEqual(went, [11, 1, 2, null]);
  assert.deepEqual(model.data.bookmarks, [[2, "entry 2"], [11, "entry 11"]]);
  press("[");
  press("[");
  press("[");
  press("]");
  assert.deepEqual(went.slice(4), [11, 2, 11]);
  press("B");
  assert.deepEqual(model.data.bookmarks, [[2, "entry 2"]]);
  assert.deepEqual(scrubber.said, ["bookmark at entry 11", "bookmark at entry 2", "bookmark at entry 11 removed"]);
  desk.selected.add(0);
  press("ArrowLeft", true);
  assert.equal(desk.clock, 2);
  assert.equal(press("x"), false);
  desk.clock = null;
  went.length = 0;
  press("ArrowRight");
  assert.deepEqual(went, [null]);
});
