// The oplog view: pages of a long list, the place of the clock, what the tape alone tells, and names to pick from.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ENTRY_ROLES, EntryPages, OpenList, TapeEntries, agentsLike, clockText, filePlace, ownerOf, rowInWords } from "../../workbench/front/oplog.js";
import { DONE, RUNNING, WAITING } from "../../workbench/front/graph_store.js";
import { FOR_STEP } from "../../workbench/front/tape.js";
import { Story } from "./tapes.mjs";

/** Rows as the kernel gives them: every third entry of the session is this agent's. */
function answer(from, count, total) {
  return { total, from, rows: Array.from({ length: Math.min(count, total - from) }, (_, i) => ({ seq: (from + i) * 3 + 10, index: from + i + 1, kind: "Logged", text: `entry ${from + i}`, line: "", wall: 0, cause: 0, invocation: 0, role: "hint" })) };
}

test("pages are asked for where they are in sight, once", () => {
  const pages = new EntryPages(200);
  pages.take(answer(0, 200, 100_000));
  assert.deepEqual([pages.total, pages.at(0).index, pages.at(199).index, pages.at(200)], [100_000, 1, 200, undefined]);
  assert.deepEqual(pages.missing(150, 420), [1, 2]);
  pages.take(answer(400, 200, 100_000));
  assert.deepEqual(pages.missing(150, 420), [1]);
  assert.equal(pages.at(599).index, 600);
  assert.deepEqual(pages.missing(99_950, 200_000), [499]);
  pages.absent.add(499);
  assert.deepEqual(pages.missing(99_950, 100_000), []);
});

test("the last page grows with the oplog, and is asked for again", () => {
  const pages = new EntryPages(200);
  pages.take(answer(0, 200, 30));
  assert.deepEqual(pages.missing(0, 30), []);
  pages.take(answer(0, 200, 45));
  assert.deepEqual([pages.total, pages.at(44).index], [45, 45]);
  pages.take(answer(200, 200, 250));
  assert.deepEqual(pages.missing(0, 250), [0]);
});

test("an agent that was taken back has fewer entries: none of the old ones stays", () => {
  const pages = new EntryPages(200);
  pages.take(answer(0, 200, 400));
  pages.take(answer(200, 200, 400));
  pages.take(answer(0, 200, 120));
  assert.deepEqual([pages.total, pages.at(119).index, pages.at(250)], [120, 120, undefined]);
});

test("an answer that begins anywhere is put in its place", () => {
  const pages = new EntryPages(200);
  pages.take(answer(150, 300, 1000));
  assert.deepEqual([pages.at(149), pages.at(150).index, pages.at(399).index, pages.at(449).index], [undefined, 151, 400, 450]);
  assert.deepEqual(pages.missing(0, 600), [0, 2]);
});

test("the place of an entry is told exactly by the page that holds it, else between pages", () => {
  const pages = new EntryPages(200);
  pages.take(answer(0, 200, 1000));
  pages.take(answer(800, 200, 1000));
  assert.deepEqual(pages.upTo(9), [0, 0]); // before the first one
  assert.deepEqual(pages.upTo(10), [1, 1]);
  assert.deepEqual(pages.upTo(12), [1, 1]);
  assert.deepEqual(pages.upTo(100 * 3 + 10), [101, 101]);
  assert.deepEqual(pages.upTo(500 * 3 + 10), [200, 800]); // somewhere in what is not here
  assert.deepEqual(pages.upTo(900 * 3 + 11), [901, 901]);
  assert.deepEqual(pages.upTo(1e9), [1000, 1000]);
});

test("any place is found with few pages, whatever the clock", () => {
  for (const seq of [10, 13, 500, 150_000, 299_000, 300_007, 1e6]) {
    const pages = new EntryPages(200);
    pages.take(answer(0, 200, 100_000));
    let [low, high] = pages.upTo(seq), asked = 0;
    for (; low < high; asked++) {
      const number = Math.floor(((low + high) >> 1) / 200);
      pages.take(answer(number * 200, 200, 100_000));
      [low, high] = pages.upTo(seq);
    }
    assert.equal(low, Math.max(0, Math.min(100_000, Math.floor((seq - 10) / 3) + 1)));
    assert.ok(asked <= 10, `${asked} pages for ${seq}`);
  }
});

/** An agent that ran, made a promise and ended, among others. */
function story() {
  const made = new Story([["Session()", -1, 0], ["Worker(1)", 0, RUNNING], ["Worker(2)", 0, RUNNING]]);
  made.status(1, WAITING, { reasons: FOR_STEP, what: "fetch" });
  made.status(2, DONE);
  made.promise(1, 0, 1);
  made.status(1, DONE);
  return made;
}

test("without a kernel an entry says what the rows of it say, in order, and grows", () => {
  const made = story(), tape = made.told(), entries = new TapeEntries(tape, 1);
  assert.deepEqual(Array.from({ length: entries.total }, (_, place) => entries.at(place).text), ["running, process", "waiting, in step fetch, process", "makes promise 1 of Worker(1)", "done, process"]);
  assert.equal(entries.at(1).status, WAITING);
  assert.equal(entries.at(9), undefined);
  assert.deepEqual([entries.upTo(0), entries.upTo(made.seq), entries.upTo(entries.at(1).seq)], [[0, 0], [4, 4], [2, 2]]);
  assert.deepEqual(entries.find("FETCH step"), [1]);
  made.status(1, RUNNING);
  made.told(tape);
  assert.equal(entries.grow().total, 5);
});

test("two rows of one entry are one entry", () => {
  const made = new Story([["Session()", -1, 0], ["Worker(1)", 0, RUNNING]]);
  const ring = { cycle: [["Worker(1)", "visit", "lesson.py:3"]], edge: 0, left: 0 };
  made.refused(1, 1, ring);
  made.row(1, 1, { a: DONE, b: made.text("visit"), index: 1 });
  const entries = new TapeEntries(made.told(), 1);
  assert.equal(entries.at(entries.total - 1).text, "a call is refused: 1 agent would wait for ever; done, visit");
});

test("every kind of row has words", () => {
  const made = new Story([["Session()", -1, 0], ["Worker(1)", 0, RUNNING], ["Worker(1)[x]", 1, DONE]]);
  made.arrow(1, 0, 1).arrow(1, 0, 4).fork(2, 1, 7).revert(1, 4).revert(1, 4, 1).mark(0).label(1, "my label");
  const tape = made.told(), said = Array.from({ length: tape.rows }, (_, row) => rowInWords(tape, row)).slice(-7);
  assert.deepEqual(said, ["takes a call of notebook", "hears of a completion by notebook", "forked off my label at its index 7", "taken back, to index 4", "an atomic region is undone, to index 4", "process 4711 takes the session up", "called my label from now on"]);
});

test("agents are offered by any part of their names, those that begin with it first, an id once", () => {
  const made = new Story([["Session()", -1, 0], ["Worker(1)", 0, DONE], ["Other(\"Worker\")", 0, DONE], ["Worker(2)", 0, DONE], ["Worker(1)", 0, DONE]]);
  made.label(2, "first job");
  const tape = made.told();
  assert.deepEqual(agentsLike(tape, "work"), [3, 4, 2]);
  assert.deepEqual(agentsLike(tape, " FIRST "), [2]);
  assert.deepEqual(agentsLike(tape, "nobody"), []);
  assert.equal(agentsLike(tape, "", 2).length, 2);
});

test("twenty thousand agents are looked through at once", () => {
  const made = new Story([["Session()", -1, 0]]);
  for (let i = 0; i < 20_000; i++) { made.rows.push({ wall: 0, seq: i, kind: 0, slot: made.n++, a: 0, b: 0, c: made.texts.push(`Worker(${i})`) - 1, index: 0 }); }
  const tape = made.told(), before = performance.now();
  assert.equal(agentsLike(tape, "worker(1999").length, 11);
  assert.ok(performance.now() - before < 2000);
});

test("whose an entry is, is told by the tape as far as it knows", () => {
  const made = story(), tape = made.told();
  assert.equal(ownerOf(tape, new TapeEntries(tape, 1).at(2).seq), 1);
  assert.equal(ownerOf(tape, 10_000), -1);
  assert.equal(ownerOf(tape, 0), -1);
});

test("lines and times are short for people; each role has a shape of its own", () => {
  assert.deepEqual(["/home/me/lesson.py:7", "C:\\work\\lesson.py:7", "In[3]:7", ""].map(filePlace), ["lesson.py:7", "lesson.py:7", "In[3]:7", ""]);
  assert.match(clockText(1_700_000_000_250), /^\d\d:\d\d:20\.250$/);
  assert.equal(new Set(Object.values(ENTRY_ROLES).map(([shape]) => shape)).size, 3);
});

test("an open row moves those below it; the rows in sight are found with and without it", () => {
  const list = Object.create(OpenList.prototype);
  Object.assign(list, { el: { scrollTop: 0, clientHeight: 250 }, count: 1000, opened: -1, extra: 0 });
  assert.deepEqual(list.range(), [0, 19]);
  Object.assign(list, { opened: 4, extra: 500 });
  assert.deepEqual([list.top(4), list.top(5), list.top(6)], [100, 625, 650]);
  assert.deepEqual(list.range(), [0, 14]); // what is open fills the rest
  list.el.scrollTop = 400; // within it, its end in sight
  assert.deepEqual(list.range(), [0, 15]);
  list.el.scrollTop = 625;
  assert.deepEqual(list.range(), [0, 24]);
  list.el.scrollTop = 20_000;
  const [from, to] = list.range();
  assert.ok(list.top(from + 8) <= 20_000 && list.top(to - 9) >= 20_200);
});
