// Bars and lanes: what an agent did, at any clock; what folds into a band, and what never does.
import assert from "node:assert/strict";
import { test } from "node:test";

import { DONE, FAILED, IDLE, QUEUED, ROOT, RUNNING, SUSPENDED, WAITING } from "../../workbench/front/graph_store.js";
import { BAND_LANE_H, FOLD_LANES, FRESH, GHOST, LANE_H, LaneTable, Lives, TAKEN_BACK, countStatuses, kindOfAll } from "../../workbench/front/lanes.js";
import { FOR_CALL, FOR_PROMISE } from "../../workbench/front/tape.js";
import { Story, wander } from "./tapes.mjs";

function lived(story) {
  const tape = story.told(), lives = new Lives(tape);
  lives.take();
  return { tape, lives };
}

/** What an agent's bars are as of so many rows: `status from-to`, `~` for replayed, `-` for taken back. */
function bars(lives, slot, rows = lives.tape.rows) {
  return lives.of[slot].pieces.filter((p) => p.from <= lives.tape.seq[rows - 1]).map((p) => `${["", "~", "-"][lives.look(p, rows)]}${lives.tape.statusIn(p.row)} ${p.from}-${p.to === Infinity ? "" : p.to}`);
}

/** A session with a coordinator and so many children, each running then done. */
function family(n, before = () => {}) {
  const story = new Story([["Session()", -1, IDLE]]), boss = story.agent("Coordinator()", 0);
  story.status(boss, RUNNING);
  for (let i = 0; i < n; i++) { const kid = story.agent(`Worker(${i})`, boss); story.status(kid, QUEUED); story.status(kid, RUNNING); before(story, kid, i); story.status(kid, DONE); }
  return story;
}

test("bars follow each other, rest leaves a gap, the last one goes on", () => {
  const story = new Story([["Session()", -1, IDLE]]), slot = story.agent("A()", 0);
  story.change([slot, QUEUED], [slot, RUNNING]).status(slot, WAITING, { reasons: FOR_CALL });
  story.change([slot, RUNNING], [slot, DONE], [slot, RUNNING]);
  const { lives } = lived(story);
  assert.deepEqual(bars(lives, slot), [`${QUEUED} 4-5`, `${RUNNING} 5-6`, `${WAITING} 6-7`, `${RUNNING} 7-8`, `${RUNNING} 9-`]);
  assert.deepEqual(lives.of[slot].pieces.map((p) => p.turn), [1, 1, 1, 1, 2]);
  assert.deepEqual([lives.running, lives.busy], [1, 1]);
});

test("two statuses of one entry leave only the last", () => {
  const story = new Story([["Session()", -1, IDLE]]), slot = story.agent("A()", 0);
  story.status(slot, QUEUED);
  story.row(1, slot, { a: RUNNING });
  assert.deepEqual(bars(lived(story).lives, slot), [`${RUNNING} 4-`]);
});

test("what was under way when a process took the session up is replayed, from then on and not before", () => {
  const story = new Story([["Session()", -1, IDLE]]), [a, b] = [story.agent("A()", 0), story.agent("B()", 0)];
  story.change([a, RUNNING], [a, SUSPENDED], [b, RUNNING], [b, DONE]);
  const before = story.rows.length;
  story.mark().change([a, RUNNING], [a, DONE]);
  const { lives } = lived(story);
  assert.deepEqual(bars(lives, a), [`~${RUNNING} 5-6`, `~${SUSPENDED} 6-9`, `${SUSPENDED} 9-10`, `${RUNNING} 10-11`]);
  assert.deepEqual(bars(lives, b), [`${RUNNING} 7-8`], "what had ended is not replayed");
  assert.deepEqual(bars(lives, a, before), [`${RUNNING} 5-6`, `${SUSPENDED} 6-9`]);
});

test("a fork's lane begins with its source's part of the invocation, as replayed", () => {
  const story = new Story([["Session()", -1, IDLE]]), a = story.agent("A()", 0);
  story.change([a, RUNNING], [a, DONE], [a, RUNNING], [a, SUSPENDED], [a, RUNNING]);
  const fork = story.agent("A()[f]", a, 1);
  story.fork(fork, a, 4).change([fork, RUNNING], [fork, DONE]);
  const { lives } = lived(story);
  assert.deepEqual(bars(lives, fork), [`~${RUNNING} 6-7`, `~${SUSPENDED} 7-8`, `~${RUNNING} 8-9`, `${RUNNING} 11-12`]);
  assert.deepEqual(bars(lives, a), [`${RUNNING} 4-5`, `${RUNNING} 6-7`, `${SUSPENDED} 7-8`, `${RUNNING} 8-`], "the source did it once");
});

test("what a revert took back is told apart, and only once it happened", () => {
  const story = new Story([["Session()", -1, IDLE]]), a = story.agent("A()", 0);
  story.change([a, RUNNING], [a, DONE]);
  const back = story.seq;
  story.change([a, RUNNING], [a, SUSPENDED]);
  const before = story.rows.length;
  story.revert(a, back).change([a, RUNNING], [a, DONE]);
  const { lives } = lived(story), looks = (rows) => lives.of[a].pieces.map((p) => lives.look(p, rows));
  assert.deepEqual(bars(lives, a), [`${RUNNING} 4-5`, `-${RUNNING} 6-7`, `-${SUSPENDED} 7-8`, `${SUSPENDED} 8-9`, `${RUNNING} 9-10`]);
  assert.deepEqual(looks(before), [FRESH, FRESH, FRESH, FRESH, FRESH]);
  assert.ok(looks(lives.tape.rows).includes(TAKEN_BACK) && !looks(lives.tape.rows).includes(GHOST));
});

test("a revert into an invocation splits its bar where it goes back to", () => {
  const story = new Story([["Session()", -1, IDLE]]), a = story.agent("A()", 0);
  story.status(a, RUNNING);
  const from = story.seq;
  story.label(a, "x").label(a, "y");
  story.revert(a, from + 1).status(a, RUNNING, { method: "again" });
  const { lives } = lived(story);
  assert.deepEqual(bars(lives, a), [`${RUNNING} ${from}-${from + 1}`, `-${RUNNING} ${from + 1}-${from + 3}`, `${RUNNING} ${from + 3}-${from + 4}`, `${RUNNING} ${from + 4}-`]);
});

test("a bar is one though it was cut, and names the invocation by its first entry", () => {
  const story = new Story([["Session()", -1, IDLE]]), a = story.agent("A()", 0);
  story.change([a, QUEUED], [a, RUNNING]).status(a, SUSPENDED, { reasons: FOR_PROMISE });
  const before = story.rows.length;
  story.mark().status(a, FAILED);
  const { lives } = lived(story), whole = lives.bar(a, 2, before), ghost = lives.bar(a, 2, lives.tape.rows);
  assert.deepEqual([whole.from, whole.to, whole.invocation], [6, 8, 5]);
  assert.deepEqual([ghost.from, ghost.to, ghost.look, lives.bar(a, 3, lives.tape.rows).then], [6, 7, GHOST, FAILED]);
  assert.deepEqual([4, 5, 6].map((entry) => lives.firstAfter(a, entry, true)), [0, 1, 2]);
});

test("lives read in pieces are the lives read at once", () => {
  for (const seed of [1, 2, 3]) {
    const story = wander(900, seed), tape = story.told(), all = new Lives(tape), slow = new Lives(tape), { rows } = tape;
    all.take();
    for (tape.rows = 0; tape.rows < rows; tape.rows = Math.min(rows, tape.rows + 37)) slow.take();
    slow.take();
    assert.deepEqual(slow.of, all.of);
    assert.deepEqual([slow.running, slow.busy], [all.running, all.busy]);
    for (const life of all.of) for (let i = 1; i < life.pieces.length; i++) assert.ok(life.pieces[i - 1].to <= life.pieces[i].from, "bars never overlap");
  }
});

test("how many of a family ran and waited at once is known at any time", () => {
  const story = new Story([["Session()", -1, IDLE]]), boss = story.agent("C()", 0), kids = [0, 1, 2].map((i) => story.agent(`W(${i})`, boss));
  for (const kid of kids) story.status(kid, RUNNING);
  story.status(kids[0], SUSPENDED);
  const peak = story.seq;
  for (const kid of kids) story.status(kid, DONE);
  const { lives } = lived(story);
  assert.deepEqual(lives.loadAt(boss, peak, true), [2, 1]);
  assert.deepEqual(lives.loadAt(boss, story.seq, true), [0, 0]);
  assert.deepEqual([lives.loads.get(boss).peak, lives.loadAt(boss, 0, true), lives.loadAt(99, 5, true)], [3, [0, 0], [0, 0]]);
});

test("lanes stand in the order of the tree, children under their parent", () => {
  const story = new Story([["Session()", -1, IDLE], ["A()", 0, DONE], ["B()", 0, DONE], ["A1()", 1, DONE], ["A2()", 1, DONE], ["A11()", 3, DONE]]);
  const { lives } = lived(story), table = new LaneTable(lives);
  table.rebuild();
  assert.deepEqual(table.lanes, [0, 1, 3, 5, 4, 2]);
  assert.deepEqual(table.depths, [0, 1, 2, 3, 2, 1]);
  assert.deepEqual([table.at(0), table.at(LANE_H), table.at(LANE_H * 6 - 1), table.at(LANE_H * 6), table.at(-1)], [0, 1, 5, -1, -1]);
  assert.ok(table.toggle(1));
  assert.deepEqual(table.lanes, [0, 1, 2]);
  assert.equal(table.standing(5), 1, "the lane of who is folded away stands for it");
  assert.ok(!table.toggle(2), "nothing hangs on it");
});

test("many children fold into a band; the failed, the slowest and the selected stand out", () => {
  const story = family(FOLD_LANES + 10, (story, kid, i) => {
    if (i === 7) story.status(kid, FAILED);
    if (i === 20) story.wall += 500;
  });
  const { tape, lives } = lived(story), table = new LaneTable(lives);
  table.rebuild();
  assert.ok(table.weigh(tape.lastWall));
  table.pinned.add(2 + 33);
  table.rebuild();
  const slow = table.slowest.get(1);
  assert.equal(slow.length, 3);
  assert.ok(slow.includes(2 + 20));
  assert.deepEqual(table.lanes, [0, 1, -2, ...[...new Set([2 + 7, 2 + 33, ...slow])].sort((a, b) => a - b)]);
  assert.equal(table.height, BAND_LANE_H + (table.count - 1) * LANE_H);
  assert.deepEqual([table.standing(2 + 40), table.standing(2 + 33)], [2, table.laneBySlot[2 + 33]]);
  table.toggle(2);
  assert.equal(table.count, 3 + FOLD_LANES + 10);
  assert.ok(!table.weigh(tape.lastWall), "the slowest stay the slowest");
});

test("the notebook's newest jobs, and those with children, stay out of its band", () => {
  const story = new Story([["Session()", -1, IDLE]]);
  for (let i = 0; i < FOLD_LANES + 5; i++) story.agent(`Job(${i})`, 0);
  story.agent("Worker(1)", 3);
  const { lives } = lived(story), table = new LaneTable(lives);
  table.rebuild();
  assert.equal(lives.tape.origins[0], ROOT);
  assert.deepEqual(table.lanes.slice(0, 4), [0, -1, 3, lives.tape.n - 1]);
  assert.equal(table.count, 4 + 8);
});

test("new lanes are placed only for those who get one", () => {
  const story = family(FOLD_LANES + 10), tape = story.told(), lives = new Lives(tape), table = new LaneTable(lives);
  lives.take();
  table.rebuild();
  assert.ok(!table.outdated);
  const kid = story.agent("Worker(new)", 1);
  story.told(tape);
  lives.take();
  assert.ok(!table.outdated, "it is in the band");
  assert.equal(table.standing(kid), 2);
  story.status(kid, FAILED);
  story.told(tape);
  lives.take();
  assert.ok(table.outdated, "it failed");
  table.rebuild();
  assert.ok(table.laneBySlot[kid] > 0 && !table.outdated);
});

test("a band counts who had come by a moment, and is called by what they are", () => {
  const story = family(3), mid = story.rows.findIndex((row) => row.slot === 3 && row.a === RUNNING), { tape } = lived(story);
  const counts = countStatuses(tape, tape.moment(tape.seq[mid]), tape.kids.get(1));
  assert.deepEqual([counts[DONE], counts[RUNNING], counts.reduce((a, b) => a + b, 0)], [1, 1, 2]);
  assert.equal(kindOfAll(tape, tape.kids.get(1)), "Worker");
  assert.equal(kindOfAll(tape, [0, 1]), "agents");
});
