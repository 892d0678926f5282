// The promise board: states at any point of the tape, order, filters, words.
import assert from "node:assert/strict";
import { test } from "node:test";

import { PromiseBoard, completionWords, jsonWords, promiseEventWords, shortLine, whyNoCompletion } from "../../workbench/front/promises.js";
import { AWAITED, COMPLETED, CREATED, DELIVERED, DROPPED, ENDED, IGNORED, SEEN } from "../../workbench/front/tape.js";
import { Story, dice } from "./tapes.mjs";

const MAKER = 1, ADA = 2, BO = 3;

/** A maker with two who wait. */
function story() {
  return new Story([["Session()", -1, 0], ["Maker()", 0, 2], ["Ada()", 0, 3], ["Bo()", 0, 3]]);
}

const everything = { states: new Set(), text: "", only: null, sort: "promise", down: false };

/** @param {any} [filter] */
function listed(board, filter = {}, now = 0) {
  return board.list({ ...everything, ...filter }, now).order;
}

test("a promise is pending until it is completed; the first completion stands, later ones are counted", () => {
  const tape = story().promise(MAKER, 0, CREATED, { index: 4 }).promise(ADA, 0, AWAITED).promise(BO, 0, COMPLETED).promise(ADA, 0, DELIVERED).promise(MAKER, 0, IGNORED).told();
  const board = new PromiseBoard();
  board.take(tape, tape.rows);
  const record = board.records[0];
  assert.deepEqual([record.state, record.by, record.ignored, record.at, record.waiting.size], ["completed", BO, 1, 4, 0]);
  board.take(tape, tape.rows - 3);
  assert.deepEqual([record.number, board.records[0].state, [...board.records[0].waiting.keys()]], [0, "pending", [ADA]]);
});

test("what its maker took back has ended, and a completed one stays completed", () => {
  const tape = story().promise(MAKER, 0, CREATED).promise(MAKER, 1, CREATED).promise(ADA, 1, COMPLETED).promise(MAKER, 0, ENDED).promise(MAKER, 1, ENDED).told(), board = new PromiseBoard();
  board.take(tape, tape.rows);
  assert.deepEqual(board.records.map((record) => record.state), ["ended", "completed"]);
});

test("who waits twice is one who waits, until both waits are over", () => {
  const tape = story().promise(MAKER, 0, CREATED).promise(ADA, 0, AWAITED).promise(ADA, 0, AWAITED).promise(ADA, 0, DROPPED).told(), board = new PromiseBoard();
  board.take(tape, tape.rows);
  assert.deepEqual([...board.records[0].waiting], [[ADA, 1]]);
});

test("a promise of somebody who is not shown is known by what is done with it", () => {
  const tape = story().promise(ADA, 0, SEEN).promise(ADA, 1, AWAITED).promise(ADA, 2, IGNORED).told(), board = new PromiseBoard();
  board.take(tape, tape.rows);
  assert.deepEqual(board.records.map((record) => record.state), ["unknown", "pending", "completed"]);
  assert.equal(board.records[0].owner, -1);
});

test("wherever the clock goes, the board is what the tape says there", () => {
  const roll = dice(11), told = story();
  for (let i = 0; i < 300; i++) {
    const number = roll(20);
    told.promise(1 + roll(3), number, [CREATED, AWAITED, AWAITED, DELIVERED, COMPLETED, IGNORED, SEEN, ENDED, DROPPED][roll(9)]);
  }
  const tape = told.told(), board = new PromiseBoard();
  for (let i = 0; i < 80; i++) {
    const upto = roll(tape.rows + 1), fresh = new PromiseBoard();
    board.take(tape, upto);
    fresh.take(tape, upto);
    assert.equal(board.count, fresh.count);
    for (let number = 0; number < tape.promises.length; number++) {
      assert.deepEqual(board.records[number], fresh.records[number]);
      const seen = tape.promises[number] && tape.promises[number].rows[0] < upto;
      assert.equal(board.records[number] !== undefined, !!seen);
    }
  }
});

test("states and waiters agree with the tape's own account", () => {
  const tape = story().promise(MAKER, 0, CREATED).promise(ADA, 0, AWAITED).promise(BO, 0, AWAITED).promise(MAKER, 1, CREATED).promise(MAKER, 0, COMPLETED).promise(BO, 0, DELIVERED).told(), board = new PromiseBoard();
  for (let upto = 0; upto <= tape.rows; upto++) {
    board.take(tape, upto);
    for (const record of board.records) {
      if (!record) continue;
      const account = tape.promiseAt(record.number, upto);
      assert.deepEqual([record.state, [...record.waiting.keys()], record.ignored, record.end], [account.state, account.waiting, account.ignored, account.completed]);
    }
  }
});

test("a board that is shown another tape forgets the first", () => {
  const first = story().promise(MAKER, 0, CREATED).promise(MAKER, 1, CREATED).told(), other = story().promise(MAKER, 0, CREATED).told(), board = new PromiseBoard();
  board.take(first, first.rows);
  board.orphans.add(1);
  assert.equal(board.take(other, other.rows), true);
  assert.deepEqual([board.count, board.orphans.size], [1, 0]);
});

test("each column sorts, both ways, and what is equal stays in the order of making", () => {
  const tape = story().promise(MAKER, 0, CREATED, { line: "/a/b.py:9" }).promise(ADA, 1, CREATED, { line: "/a/b.py:10" }).promise(MAKER, 2, CREATED, { line: "/a/a.py:3" }).promise(BO, 1, AWAITED).promise(ADA, 1, AWAITED).promise(BO, 2, AWAITED).promise(BO, 0, COMPLETED).promise(ADA, 0, IGNORED).told();
  const board = new PromiseBoard();
  board.take(tape, tape.rows);
  board.orphans = new Set([2]);
  assert.deepEqual(listed(board), [0, 1, 2]);
  assert.deepEqual(listed(board, { down: true }), [2, 1, 0]);
  assert.deepEqual(listed(board, { sort: "state" }), [2, 1, 0]);
  assert.deepEqual(listed(board, { sort: "creator" }), [1, 0, 2]);
  assert.deepEqual(listed(board, { sort: "waits", down: true }), [1, 2, 0]);
  assert.deepEqual(listed(board, { sort: "by" }), [0, 1, 2]);
  assert.deepEqual(listed(board, { sort: "ignored", down: true }), [0, 1, 2]);
  assert.deepEqual(listed(board, { sort: "line" }), [2, 0, 1]);
  assert.deepEqual(listed(board, { sort: "age", down: true }, tape.lastWall + 1000), [1, 2, 0]);
});

test("filters by state, by text and by who is selected; the counts are those before the states are chosen", () => {
  const tape = story().promise(MAKER, 0, CREATED, { index: 7 }).promise(ADA, 1, CREATED).promise(BO, 0, AWAITED).promise(BO, 1, COMPLETED).told(), board = new PromiseBoard();
  board.take(tape, tape.rows);
  assert.deepEqual(listed(board, { states: new Set(["pending"]) }), [0]);
  assert.deepEqual(listed(board, { text: " PROMISE 7 of mak" }), [0]);
  assert.deepEqual(listed(board, { text: "bo()" }), [0]);
  assert.deepEqual(listed(board, { only: new Set([BO]) }), [0, 1]);
  assert.deepEqual(listed(board, { only: new Set([MAKER]) }), [0]);
  const { counts, order } = board.list({ ...everything, states: new Set(["completed"]) }, 0);
  assert.deepEqual([counts.pending, counts.completed, order.length], [1, 1, 1]);
});

test("the age of one that is over is how long it was open", () => {
  const tape = story().promise(MAKER, 0, CREATED).promise(BO, 0, COMPLETED).promise(MAKER, 1, CREATED).told(), board = new PromiseBoard();
  board.take(tape, tape.rows);
  assert.equal(board.age(board.records[0], tape.lastWall + 5000), 1);
  assert.equal(board.age(board.records[1], tape.lastWall + 5000), 5000);
});

test("a new name of an agent is seen at once", () => {
  const told = story().promise(MAKER, 0, CREATED).label(MAKER, "first"), tape = told.told(), board = new PromiseBoard();
  board.take(tape, tape.rows);
  assert.deepEqual(listed(board, { text: "first" }), [0]);
  told.label(MAKER, "second").told(tape);
  board.take(tape, tape.rows);
  assert.deepEqual([listed(board, { text: "first" }), listed(board, { text: "second" })], [[], [0]]);
});

test("ten thousand promises are sorted and filtered at once", () => {
  const told = story();
  for (let i = 0; i < 10_000; i++) told.promise(MAKER, i, CREATED, { line: "lesson.py:7" }).promise(ADA, i, AWAITED);
  const tape = told.told(), board = new PromiseBoard();
  board.take(tape, tape.rows);
  assert.equal(listed(board, { sort: "creator", text: "ada" }).length, 10_000);
});

test("JSON is told as such while it is written", () => {
  assert.equal(jsonWords(" ").ok, false);
  assert.match(jsonWords("{\"ok\": tru").words, /^Not JSON yet/);
  assert.deepEqual(['{"ok": true}', "[1]", "\"hello\"", "7", "null", "false"].map((text) => jsonWords(text).words), ["JSON: an object with 1 key.", "JSON: a list of 1 item.", "JSON: a text of 5 characters.", "JSON: a number.", "JSON: null, which is None.", "JSON: false."]);
});

test("before it is completed one is told what that does", () => {
  assert.equal(completionWords("promise 3 of Coordinator()", " {\"ok\": true} ", 2), 'Completes promise 3 of Coordinator() with {"ok": true}. 2 agents wait for it; the first completion stands. This cannot be undone.');
  assert.match(completionWords("promise 3", "1", 1), /1 agent waits for it/);
  assert.match(completionWords("promise 3", "1", 0), /Nobody waits for it now/);
  assert.ok(completionWords("promise 3", `"${"x".repeat(5000)}"`, 0).length < 500);
});

test("it is completed at the live edge of a running kernel only", () => {
  assert.equal(whyNoCompletion(true, null), "");
  assert.match(whyNoCompletion(false, null), /no kernel answers/);
  assert.match(whyNoCompletion(true, 1300), /entry 1,300/);
});

test("every event has words, and a line is short whatever its path is like", () => {
  for (let event = 1; event <= 8; event++) assert.ok(promiseEventWords(event).join("").trim());
  assert.deepEqual(["/home/u/lesson.py:7", "C:\\u\\lesson.py:7", "lesson.py:7", ""].map(shortLine), ["lesson.py:7", "lesson.py:7", "lesson.py:7", ""]);
});
