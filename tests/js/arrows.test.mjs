// Messages: those in sight are found, a few are drawn one by one, many become lines with counts, combs and fans.
import assert from "node:assert/strict";
import { test } from "node:test";

import { MOST_ARROWS, Messages, fansOf } from "../../workbench/front/arrows.js";
import { IDLE, RUNNING } from "../../workbench/front/graph_store.js";
import { CALL_ARROW, REPLY_ARROW } from "../../workbench/front/tape.js";
import { TimeAxis } from "../../workbench/front/time_axis.js";
import { Story } from "./tapes.mjs";

const ALL = new Set([1, 2, 3, 4, 5, 6]);

/** A coordinator (slot 1) that calls `n` children, each of which replies. */
function fanIn(n) {
  const story = new Story([["Session()", -1, IDLE], ["C()", 0, RUNNING]]), sent = [];
  for (let i = 0; i < n; i++) story.agent(`W(${i})`, 1);
  for (let i = 0; i < n; i++) { story.arrow(2 + i, 1, CALL_ARROW); sent[i] = story.seq; }
  for (let i = 0; i < n; i++) story.arrow(1, 2 + i, REPLY_ARROW, sent[i]);
  return story;
}

function looking(story, more = {}) {
  const tape = story.told(), messages = new Messages(tape), axis = new TimeAxis();
  messages.take();
  Object.assign(axis, { byEntry: true, left: 0, width: 1000, first: tape.firstSeq, last: tape.lastSeq });
  axis.k = axis.fitting(1000);
  return { tape, messages, axis, view: { axis, kinds: ALL, own: () => false, anyOwn: false, standing: (slot) => slot, inSight: () => true, ...more } };
}

test("a few are drawn one by one", () => {
  const { messages, view } = looking(fanIn(20)), picture = messages.picture(view);
  assert.deepEqual([picture.total, picture.lines.length, picture.fans.length, picture.combs.length, picture.left], [40, 40, 0, 0, 0]);
  assert.ok(picture.lines.every((line) => line.count === 1 && line.x2 >= line.x1));
});

test("those with no end in sight are not looked at, by time or by lane", () => {
  const { messages, view, axis, tape } = looking(fanIn(20));
  assert.equal(messages.picture({ ...view, inSight: (lane) => lane === 5 }).total, 2);
  assert.equal(messages.picture({ ...view, kinds: new Set([REPLY_ARROW]) }).total, 20);
  axis.k *= 50;
  axis.offset = axis.place(tape.lastSeq) - 1000;
  const few = messages.picture(view);
  assert.ok(few.total > 0 && few.total < 10);
  assert.ok(few.lines.every((line) => line.x2 >= 0 || line.x1 >= 0));
});

test("what is sent in sight and arrives beyond it is found, among many that are not", () => {
  const story = new Story([["Session()", -1, IDLE], ["A()", 0, RUNNING], ["B()", 0, RUNNING]]), early = story.seq;
  for (let i = 0; i < 2000; i++) story.arrow(2, 1, CALL_ARROW);
  story.arrow(1, 2, REPLY_ARROW, early);
  const { messages, view, axis } = looking(story);
  axis.k = 100;
  axis.offset = -500;
  assert.ok(messages.picture(view).lines.some((line) => line.kind === REPLY_ARROW));
});

test("many that meet in one place are a fan with their count", () => {
  const { messages, view } = looking(fanIn(MOST_ARROWS)), picture = messages.picture(view);
  assert.equal(picture.total, 2 * MOST_ARROWS);
  assert.ok(picture.fans.length > 0 && picture.fans.every((fan) => fan.count >= 5 && fan.hub === 1));
  assert.ok(picture.lines.length + picture.fans.length <= MOST_ARROWS);
  const told = picture.left + picture.lines.reduce((n, line) => n + line.count, 0) + picture.fans.reduce((n, fan) => n + fan.count, 0);
  assert.equal(told, picture.total, "none is lost");
});

test("very many between two lanes are a comb, however many agents a lane stands for", () => {
  const { messages, view } = looking(fanIn(5000), { standing: (slot) => Math.min(slot, 2) }), picture = messages.picture(view);
  assert.deepEqual(picture.combs.map((comb) => [comb.kind, comb.a, comb.b, comb.count]), [[CALL_ARROW, 1, 2, 5000], [REPLY_ARROW, 2, 1, 5000]]);
  assert.ok(picture.combs.every((comb) => comb.lines.length < 200));
  assert.deepEqual([picture.lines.length, picture.fans.length, picture.left], [0, 0, 0]);
});

test("those of a selected agent are always drawn one by one", () => {
  const { messages, view } = looking(fanIn(1000), { own: (slot) => slot === 500, anyOwn: true });
  assert.equal(messages.picture({ ...view, inSight: (lane) => lane < 40 }).lines.filter((line) => line.own).length, 2);
});

test("messages within one lane are not drawn", () => {
  const { messages, view } = looking(fanIn(50), { standing: () => 3 });
  assert.equal(messages.picture(view).total, 0);
});

test("lines from one lane to another are no fan, however many", () => {
  const axis = new TimeAxis(), lines = Array.from({ length: 12 }, (_, i) => ({ row: i, kind: CALL_ARROW, a: 1, b: 2, x1: 50, x2: 60, count: 1, own: false }));
  assert.equal(fansOf(lines, axis, 5).fans.length, 0);
  assert.equal(fansOf(lines.map((line, i) => ({ ...line, b: i + 2 })), axis, 5).fans.length, 1);
});
