// The fork tree: who stands where, what was taken back, and the way along branches.
import assert from "node:assert/strict";
import { test } from "node:test";

import { FORK_FOLD, ForkFamilies, countBefore, cutToFit, forkTail, resultWords, rulerStep } from "../../workbench/front/forks.js";
import { DONE, FAILED, FORKED, RUNNING } from "../../workbench/front/graph_store.js";
import { CREATED, FORK_ROW, PROMISE_ROW, REVERT_ROW, STATUS_ROW } from "../../workbench/front/tape.js";
import { Story, dice } from "./tapes.mjs";

/** A story in which each agent's entries are numbered as in its oplog. */
class Family extends Story {
  index = [];

  constructor(...ids) {
    super([["Session()", -1, 0]]);
    for (const id of ids) this.born(id, 0);
  }

  born(id, parent, origin) { const slot = this.agent(id, parent, origin); this.index[slot] = 1; return slot; }

  work(slot, times = 1, status = RUNNING) {
    for (let i = 0; i < times; i++) this.status(slot, status, { index: ++this.index[slot] });
    return this;
  }

  /** A fork of a source; the cut is an entry of the source's. */
  branch(source, cut = ++this.index[source]) {
    const slot = this.born(`${this.texts[this.rows.find((row) => row.slot === source && row.kind === 0).c].split("[")[0]}[${String(this.n).padStart(8, "0")}-0000-4000-8000-000000000000]`, source, FORKED);
    this.entry();
    this.index[slot] = cut + 1;
    this.row(FORK_ROW, slot, { a: source, b: cut, c: this.seq - 1, index: cut + 1 });
    return slot;
  }

  back(slot, to) { this.entry(); this.row(REVERT_ROW, slot, { a: to, c: 1, index: ++this.index[slot] }); return this; }
}

const nobody = () => false;

/** @param {import("../../workbench/front/forks.js").ForkLine[]} lines */
function drawn(lines) { return lines.map((line) => (line.band ? `band of ${line.band.length}` : `${" ".repeat(line.depth)}${line.slot}@${line.cut}`)); }

function families(tape) { const found = new ForkFamilies(); found.take(tape); return found; }

test("below a source stand its forks, those that left last first, each with its own", () => {
  const told = new Family("A()", "B()", "C()"), A = 1, B = 2;
  told.work(A, 2);
  const first = told.branch(A), second = told.branch(A);
  told.work(first, 2);
  const nested = told.branch(first);
  told.work(B);
  const other = told.branch(B), tape = told.told();
  assert.deepEqual(drawn(families(tape).lines(tape.rows, new Set(), nobody)), ["1@0", ` ${second}@5`, ` ${first}@4`, `  ${nested}@8`, "2@0", ` ${other}@3`]);
});

test("no branch crosses a connector, in families of any shape", () => {
  for (let seed = 1; seed < 30; seed++) {
    const roll = dice(seed), told = new Family("A()"), slots = [1];
    for (let i = 0; i < 60; i++) { const slot = slots[roll(slots.length)]; told.work(slot, 1 + roll(3)); slots.push(told.branch(slot)); }
    const tape = told.told(), found = families(tape), lines = found.lines(tape.rows, new Set(), nobody);
    lines.forEach((line, i) => {
      if (line.parent < 0) return;
      for (let between = line.parent + 1; between < i; between++) assert.ok(lines[between].cut >= line.cut, `row ${between} runs through the connector of row ${i}`);
    });
  }
});

test("at a past clock forks that are not born yet are absent, and so are families without any", () => {
  const told = new Family("A()", "B()");
  told.work(1, 3);
  const fork = told.branch(1), before = told.rows.length;
  told.work(2, 2);
  told.branch(2);
  const tape = told.told(), found = families(tape);
  assert.deepEqual(drawn(found.lines(before, new Set(), nobody)), ["1@0", ` ${fork}@5`]);
  assert.deepEqual(drawn(found.lines(4, new Set(), nobody)), []);
  assert.equal(found.lines(tape.rows, new Set(), nobody).length, 4);
});

test("a fork whose source is not shown begins a family", () => {
  const told = new Family(), fork = told.born("A()[1]", 0, FORKED);
  told.entry();
  told.row(FORK_ROW, fork, { a: -1, b: 6, index: 7 });
  const tape = told.told(), [line] = families(tape).lines(tape.rows, new Set(), nobody);
  assert.deepEqual([line.slot, line.cut, line.parent], [fork, 6, -1]);
});

test(`${FORK_FOLD} forks are drawn one by one, one more folds them, and who failed stays out with all above`, () => {
  const told = new Family("A()"), forks = [];
  for (let i = 0; i < FORK_FOLD; i++) forks.push(told.branch(1));
  const few = told.told();
  assert.equal(families(few).lines(few.rows, new Set(), nobody).length, 1 + FORK_FOLD);
  forks.push(told.branch(1));
  const nested = told.branch(forks[7]), tape = told.told(), found = families(tape);
  assert.deepEqual(drawn(found.lines(tape.rows, new Set(), nobody)), ["1@0", `band of ${FORK_FOLD + 2}`]);
  const lines = found.lines(tape.rows, new Set(), (slot) => slot === nested);
  assert.deepEqual(drawn(lines), ["1@0", `band of ${FORK_FOLD}`, ` ${forks[7]}@${lines[2].cut}`, `  ${nested}@${lines[3].cut}`]);
  assert.equal(found.lines(tape.rows, new Set([1]), nobody).length, 1 + 1 + FORK_FOLD + 1 + 1);
});

test("what was taken back is a stretch; one within another is part of it", () => {
  const told = new Family("A()");
  told.work(1, 9).back(1, 7);
  const once = told.rows.length;
  told.work(1, 2);
  const twice = told.rows.length;
  told.back(1, 12).work(1, 1).back(1, 5).work(1, 1);
  const tape = told.told(), found = families(tape);
  assert.deepEqual(found.takenBack(1, 3), []);
  assert.deepEqual(found.takenBack(1, once), [[8, 11]]);
  assert.deepEqual(found.takenBack(1, twice), [[8, 11]]);
  assert.deepEqual(found.takenBack(1, twice + 1), [[8, 11], [13, 14]]);
  assert.deepEqual(found.takenBack(1, tape.rows), [[6, 16]]);
});

test("stretches that touch are one", () => {
  const told = new Family("A()");
  told.work(1, 4).back(1, 3).work(1, 1).back(1, 6);
  const tape = told.told();
  assert.deepEqual(families(tape).takenBack(1, tape.rows), [[4, 8]]);
});

test("places are entries that are known, and cuts; the way leads from one to the next", () => {
  const told = new Family("A()");
  told.work(1, 2);
  const fork = told.branch(1); // at 4, of which the source tells nothing itself
  told.work(1, 1).work(fork, 2);
  const tape = told.told(), found = families(tape), way = [];
  for (let place = found.place(1, 0, 1, tape.rows); place; place = found.place(1, place.index, 1, tape.rows)) way.push([place.index, place.row >= 0]);
  assert.deepEqual(way, [[2, true], [3, true], [4, false], [5, true]]);
  assert.deepEqual([found.place(1, 4, -1, tape.rows).index, found.place(1, 2, -1, tape.rows)], [3, null]);
  assert.deepEqual([found.place(fork, 99, 0, tape.rows).index, found.place(fork, 1, 0, tape.rows).index], [7, 5]);
  assert.equal(found.seqOf(1, found.place(1, 4, 0, tape.rows), tape.rows), tape.seq[found.bySlot.get(fork).row]);
});

test("an entry with several rows is one place, told by all of them", () => {
  const told = new Family("A()");
  told.work(1, 1);
  told.entry();
  told.row(PROMISE_ROW, 1, { a: 0, b: CREATED, index: 3 });
  told.row(STATUS_ROW, 1, { a: RUNNING, b: told.text("process"), index: 3 });
  told.index[1] = 3;
  told.branch(1, 3);
  const tape = told.told(), found = families(tape), place = found.place(1, 3, 0, tape.rows);
  assert.equal(tape.kind[place.row], PROMISE_ROW);
  assert.match(found.words(1, place, tape.rows), /^made promise 3 of A\(\), running \(process\), \[.*\] forked off$/);
});

test("the newest index counts what is known as of the clock: entries, the cut, and cuts of its forks", () => {
  const told = new Family("A()");
  told.work(1, 5);
  const before = told.rows.length, fork = told.branch(1, 9), tape = told.told(), found = families(tape);
  assert.deepEqual([found.lastIndex(1, before), found.lastIndex(1, tape.rows), found.lastIndex(fork, tape.rows)], [6, 9, 10]);
});

test("it follows a tape that grows, and forgets one that was replaced", () => {
  const told = new Family("A()"), tape = told.told(), found = families(tape);
  told.branch(1);
  told.told(tape);
  assert.equal(found.take(tape), false);
  assert.equal(found.lines(tape.rows, new Set(), nobody).length, 2);
  assert.equal(found.take(new Family("B()").told()), true);
  assert.equal(found.bySlot.size, 0);
});

test("ten thousand forks of one source, and chains as long, are laid out", () => {
  const wide = new Family("A()"), deep = new Family("A()");
  let last = 1;
  for (let i = 0; i < 10_000; i++) wide.branch(1, i + 2);
  const tape = wide.told();
  assert.equal(families(tape).lines(tape.rows, new Set([1]), nobody).length, 10_002);
  for (let i = 0; i < 500; i++) last = deep.branch(last);
  const chain = deep.told();
  assert.equal(families(chain).lines(chain.rows, new Set(), nobody).at(-1)?.depth, 500);
});

test("a fork goes by its label or by its phantom's first digits", () => {
  const told = new Family("A()"), one = told.branch(1), two = told.branch(1);
  told.label(two, "scenic route");
  const tape = told.told();
  assert.deepEqual([forkTail(tape, one), forkTail(tape, two)], ["[0000…]", "scenic route"]);
});

test("results, failures and what is still going on are told apart", () => {
  assert.deepEqual(resultWords({ text: "{\n 'a': 1}", ok: true }, "done"), { text: "{ 'a': 1}", kind: "ok" });
  assert.deepEqual(resultWords({ text: "ValueError: no", ok: false }, "failed"), { text: "ValueError: no", kind: "failed" });
  assert.deepEqual(resultWords({ text: "", ok: null }, "running"), { text: "running", kind: "open" });
  assert.deepEqual(resultWords(undefined, "waiting"), { text: "waiting", kind: "open" });
});

test("the ruler's steps are round and far enough apart", () => {
  assert.deepEqual([100, 26, 12, 3, 0.5, 0.01].map((k) => rulerStep(k)), [1, 5, 5, 20, 200, 10000]);
  for (let k = 0.001; k < 40; k *= 1.3) assert.ok(rulerStep(k) * k >= 56 && Number.isInteger(rulerStep(k)));
});

test("texts are cut so that they fit", () => {
  const measure = (/** @type {string} */ text) => text.length * 6;
  assert.equal(cutToFit(measure, "short", 60), "short");
  assert.equal(cutToFit(measure, "a longer text", 60), "a longer …");
  assert.equal(cutToFit(measure, "text", 3), "");
});

test("numbers below a limit are counted", () => {
  assert.deepEqual([0, 3, 4, 99].map((limit) => countBefore(4, (i) => [1, 2, 3, 50][i], limit)), [0, 2, 3, 4]);
});

test("statuses decide what stays out of a band", () => {
  const told = new Family("A()");
  const forks = Array.from({ length: FORK_FOLD + 10 }, () => told.branch(1));
  for (const slot of forks) told.work(slot, 1, slot === forks[3] ? FAILED : DONE);
  const tape = told.told(), lines = families(tape).lines(tape.rows, new Set(), (slot) => tape.statusOf(tape.now, slot) === FAILED);
  assert.deepEqual(lines.map((line) => line.band?.length ?? line.slot), [1, FORK_FOLD + 9, forks[3]]);
});
