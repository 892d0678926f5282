// Rows in the page: any moment, live and packed, and what a row says.
import assert from "node:assert/strict";
import { test } from "node:test";

import { CALL, DONE, FORKED, IDLE, RUNNING, WAITING } from "../../workbench/front/graph_store.js";
import { AGENT_ROW, AWAITED, CLOSE_ROW, COMPLETED, CREATED, DELIVERED, DROPPED, ENDED, FOR_CALL, FOR_PROMISE, FOR_STEP, FOR_TIMER, IGNORED, OPEN_ROW, SEEN, STATUS_ROW, Tape } from "../../workbench/front/tape.js";
import { Story, dice, fanOut, wander } from "./tapes.mjs";

const COLUMNS = ["seq", "slot", "a", "b", "c", "index", "kind"];
const KEYFRAME_ROWS = 4096;

/** The state after the entry `seq`, found by reading every row. */
function slowly(story, seq) {
  const last = [], links = new Map();
  let upto = 0;
  for (const row of story.rows) {
    if (row.seq > seq) break;
    if (row.kind === AGENT_ROW) last[row.slot] = -1;
    else if (row.kind === STATUS_ROW) last[row.slot] = upto;
    else if (row.kind === OPEN_ROW) links.set(row.c, upto);
    else if (row.kind === CLOSE_ROW) links.delete(row.c);
    upto++;
  }
  return { row: upto, n: last.length, last, links: [...links].sort() };
}

function found(tape, seq) {
  const { row, n, last, links } = tape.moment(seq);
  return { row, n, last: [...last.subarray(0, n)], links: [...links].sort() };
}

test("a moment is what reading all rows up to it gives, wherever it lies, across keyframes", () => {
  const story = wander(3 * KEYFRAME_ROWS, 5), tape = story.told(), roll = dice(11);
  assert.equal(tape.keyframes.length, Math.floor(story.rows.length / KEYFRAME_ROWS));
  assert.ok(tape.keyframes.length >= 3);
  const near = tape.keyframes.flatMap(({ seq }) => [seq - 1, seq, seq + 1]);
  for (const seq of [-1, 0, 1, ...near, ...Array.from({ length: 60 }, () => roll(story.seq)), story.seq - 1, story.seq, story.seq + 9]) {
    assert.deepEqual(found(tape, seq), slowly(story, seq), `seq ${seq}`);
  }
  assert.equal(tape.moment(null), tape.now);
});

test("looking at a moment changes neither the tape nor its keyframes", () => {
  const story = wander(KEYFRAME_ROWS + 500, 3), tape = story.told(), before = found(tape, KEYFRAME_ROWS);
  const moment = tape.moment(KEYFRAME_ROWS);
  moment.last.fill(99);
  moment.links.clear();
  assert.deepEqual(found(tape, KEYFRAME_ROWS), before);
});

test("however the packets are cut, the columns, the index and every moment are the same", () => {
  const story = wander(2 * KEYFRAME_ROWS, 9), whole = story.told(), roll = dice(4);
  const parts = new Tape();
  let text = 1;
  for (let from = 0, to; from < story.rows.length; from = to) {
    to = Math.min(story.rows.length, from + 1 + roll(900));
    const [head, data] = story.packet(Math.max(0, from - roll(5)), to, { text: Math.max(1, text - roll(3)) });
    text = story.texts.length;
    assert.ok(parts.apply(head, data.buffer.slice(data.byteOffset)));
  }
  for (const name of [...COLUMNS, "wall"]) assert.deepEqual(parts[name].subarray(0, parts.rows), whole[name].subarray(0, whole.rows), name);
  for (const name of ["rows", "n", "lastSeq", "texts", "ids", "labels", "arrows", "own", "statuses", "promises", "kids", "firstLinks"]) assert.deepEqual(parts[name], whole[name], name);
  for (const seq of [17, KEYFRAME_ROWS + 3, story.seq]) assert.deepEqual(found(parts, seq), found(whole, seq));
});

test("texts of a hundred thousand agents come in one packet", () => {
  const story = new Story([["Session()", -1, 0]]), [head, data] = story.packet();
  head.texts = [...head.texts, ...Array.from({ length: 300_000 }, (_, i) => `Worker(${i})`)];
  const tape = new Tape();
  assert.ok(tape.apply(head, data.buffer.slice(data.byteOffset)));
  assert.equal(tape.texts.length, 300_001 + story.texts.length - 1);
});

test("what was saved has the same rows, and times that differ by a hundredth of a millisecond at most", () => {
  const story = new Story(), roll = dice(2);
  story.wall += 0.123;
  story.add([["Session()", -1, 0]]);
  for (let i = 0; i < 30_000; i++) { story.wall += roll(1000) / 997; story.status(0, roll(11)); }
  story.wall += 90 * 86400e3; // longer than four bytes hold
  story.status(0, DONE);
  const live = story.told(), { head, bytes } = story.packed(), tape = new Tape();
  assert.equal(head.packed.jumps.length, 1);
  assert.ok(tape.apply({ ...head, from: 0, text: 1, texts: head.texts.slice(1) }, bytes.slice().buffer));
  for (const name of COLUMNS) assert.deepEqual(tape[name].subarray(0, tape.rows), live[name].subarray(0, live.rows), name);
  let worst = 0;
  for (let row = 0; row < tape.rows; row++) worst = Math.max(worst, Math.abs(tape.wall[row] - live.wall[row]));
  assert.ok(worst <= 0.0105, `${worst} ms`);
});

test("a clock that was set back stands still in what was saved", () => {
  const story = new Story(fanOut(1));
  story.wall -= 5000;
  story.change([2, DONE], [2, DONE]);
  story.wall += 9000;
  story.change([2, DONE]);
  const { head, bytes } = story.packed(), tape = new Tape();
  tape.apply({ ...head, from: 0, text: 1, texts: head.texts.slice(1) }, bytes.slice().buffer);
  const since = [...tape.wall.subarray(0, tape.rows)].map((wall) => Math.round(wall - tape.wall[0]));
  assert.deepEqual(since, [0, 1, 2, 3, 4, 5, 5, 5, 4008]);
});

test("several long gaps lie where they were", () => {
  const story = new Story(fanOut(6));
  story.rows.forEach((row, i) => { row.wall += 1000 * Math.floor(i / 3); });
  const { head, bytes } = story.packed({ most: 500 }), tape = new Tape();
  assert.ok(head.packed.jumps.length >= 4);
  tape.apply({ ...head, from: 0, text: 1, texts: head.texts.slice(1) }, bytes.slice().buffer);
  story.rows.forEach((row, i) => assert.ok(Math.abs(tape.wall[i] - row.wall) < 0.011));
});

test("places are found by entry and by time", () => {
  const story = new Story(fanOut(2)), tape = story.told(), from = tape.firstWall;
  assert.deepEqual([tape.rowsUntil(0), tape.rowsUntil(3), tape.rowsUntil(99)], [0, 3, 8]);
  assert.deepEqual([tape.rowAt(from - 1), tape.rowAt(from), tape.rowAt(from + 2.5), tape.rowAt(from + 99)], [-1, 0, 2, 7]);
  assert.deepEqual([tape.firstSeq, tape.lastSeq, tape.wallOf(3), tape.wallOf(0)], [1, 8, from + 2, from]);
  const empty = new Tape();
  assert.deepEqual([empty.rowsUntil(5), empty.rowAt(5), empty.wallOf(5), empty.firstSeq, empty.moment(3).n], [0, -1, 0, 0, 0]);
});

test("a row of statuses says what an agent does and waits for", () => {
  const story = new Story([["Session()", -1, 0], ["Worker(0)", 0, IDLE]]);
  const rows = [[RUNNING], [WAITING, FOR_CALL], [WAITING, FOR_CALL + FOR_TIMER], [RUNNING, FOR_STEP, "fetch"], [WAITING, FOR_PROMISE, "promise 3"], [RUNNING, FOR_STEP]].map(([status, reasons = 0, what = ""]) => {
    story.status(1, status, { reasons, what, method: "m" });
    return story.rows.length - 1;
  });
  const tape = story.told();
  assert.deepEqual(rows.map((row) => tape.doingIn(row)), ["running", "waiting, for a call", "waiting, for a call and a timer", "running, in step fetch", "waiting, for promise 3", "running, in a step"]);
  assert.deepEqual(rows.map((row) => [tape.statusIn(row), tape.reasonsIn(row)]), [[2, 0], [3, 1], [3, 5], [2, 8], [3, 2], [2, 8]]);
  assert.equal(tape.methodIn(rows[0]), "m");
  assert.deepEqual([tape.statusIn(-1), tape.doingIn(-1), tape.methodIn(-1), tape.whatIn(-1)], [IDLE, "idle", "", ""]);
  assert.equal(tape.statusOf(tape.moment(null), 99), IDLE);
});

test("a promise as of a row: who made it, waits for it, completed it, too late, or never", () => {
  const story = new Story(fanOut(3));
  story.promise(1, 0, CREATED, { index: 7 }).promise(2, 0, AWAITED).promise(3, 0, AWAITED).promise(4, 0, SEEN);
  const pending = story.rows.length;
  story.promise(2, 0, DROPPED).promise(4, 0, COMPLETED).promise(4, 0, IGNORED).promise(3, 0, DELIVERED);
  story.promise(1, 1, CREATED).promise(1, 1, ENDED).promise(2, 2, AWAITED);
  const tape = story.told(), at = (number, upto = tape.rows) => { const { state, waiting, awaited, ignored, seen, owner } = tape.promiseAt(number, upto); return [state, waiting, awaited, ignored, seen, owner]; };
  assert.deepEqual(at(0, pending), ["pending", [2, 3], 2, 0, 1, 1]);
  assert.deepEqual(at(0), ["completed", [], 2, 1, 1, 1]);
  assert.deepEqual(at(0, 0), ["unknown", [], 0, 0, 0, 1]);
  assert.deepEqual([at(1)[0], at(2)[0], at(2)[5]], ["ended", "pending", -1]);
  assert.deepEqual([tape.promiseName(0), tape.promiseName(2)], ["promise 7 of Coordinator()", "promise #2"]);
});

test("rows are indexed by agent and by kind", () => {
  const story = new Story(fanOut(2)), ring = { cycle: [["A()", "m", ""], ["B()", "m", ""]], edge: 0, left: 0 };
  const fork = story.agent("Worker(0)", 2, FORKED);
  story.fork(fork, 2, 3).revert(3, 1).mark().label(2, "<b>first</b>").refused(1, 2, ring).open(1, CALL, 2, 9);
  const tape = story.told();
  assert.deepEqual(tape.forks, [{ slot: fork, source: 2, cut: 3, row: 9 }]);
  assert.deepEqual([tape.reverts, tape.marks, tape.refusals], [[10], [11], [13]]);
  assert.deepEqual(tape.ringIn(13), ring);
  assert.deepEqual([tape.name(0), tape.name(2), tape.name(3), tape.name(-1)], ["notebook", "<b>first</b>", "Worker(1)", "somebody not shown"]);
  assert.deepEqual([tape.slotOf("Worker(0)"), tape.slotOf("Nobody()")], [fork, -1]);
  assert.deepEqual([tape.own[3], tape.statuses[3], tape.born[3]], [[7, 10], [7], 6]);
  assert.deepEqual([...tape.firstLinks], [[CALL, 14]]);
});

test("how much there is to read is told, and never less than what is there", () => {
  const story = new Story(fanOut(1)), tape = new Tape(), [head, data] = story.packet(0, 2, { total: 50 });
  tape.apply(head, data.buffer.slice(data.byteOffset));
  assert.deepEqual([tape.lastSeq, tape.total], [2, 50]);
  const [rest, more] = story.packet(2, undefined, { total: 1 });
  tape.apply(rest, more.buffer.slice(more.byteOffset));
  assert.equal(tape.total, story.seq);
});
