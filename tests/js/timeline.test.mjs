// What the timeline says in words, and what it draws for each look.
import assert from "node:assert/strict";
import { test } from "node:test";

import { DONE, FAILED, IDLE, INTERRUPTED, QUEUED, RETRYING, RUNNING, SUSPENDED, UNDEFINED, WAITING } from "../../workbench/front/graph_store.js";
import { FRESH, GHOST, Lives, TAKEN_BACK } from "../../workbench/front/lanes.js";
import { ARROWS, FOR_CALL, FOR_PROMISE, FOR_STEP, FOR_TIMER } from "../../workbench/front/tape.js";
import { answerLines, laneRow, pathParts } from "../../workbench/front/timeline.js";
import { ARROW_LOOKS, arrowHead, paintBar } from "../../workbench/front/timeline_paint.js";
import { Story, recorder } from "./tapes.mjs";

const THEME = { colours: Array.from({ length: 11 }, (_, i) => `colour ${i}`), ground: "ground", ink: "ink" };

test("every kind of bar has a drawing of its own, whatever its colour", () => {
  const kinds = [[RUNNING, 0, FRESH], [RUNNING, FOR_STEP, FRESH], [WAITING, FOR_CALL, FRESH], [SUSPENDED, FOR_PROMISE, FRESH], [SUSPENDED, FOR_TIMER, FRESH], [QUEUED, 0, FRESH], [RETRYING, 0, FRESH], [INTERRUPTED, 0, FRESH], [UNDEFINED, 0, FRESH], [RUNNING, 0, GHOST], [RUNNING, 0, TAKEN_BACK]];
  const drawings = kinds.map(([status, reasons, look]) => {
    const pen = recorder();
    paintBar(pen, THEME, { of: () => "hatch" }, status, reasons, look, 10, 60, 12);
    return JSON.stringify(pen.calls);
  });
  drawings[kinds.length - 2] += "hatched"; // the fill is no call
  assert.equal(new Set(drawings).size, kinds.length);
});

test("every kind of message has a look and a head of its own", () => {
  const heads = ARROWS.slice(1).map((name, i) => {
    const pen = recorder(), look = ARROW_LOOKS[i + 1];
    assert.equal(look.name, name);
    arrowHead(pen, i + 1, 0, 0, 1, 0, 5, "ground");
    return JSON.stringify([pen.calls, look.dash]);
  });
  assert.equal(new Set(heads).size, heads.length);
});

test("a lane in words: what it did and for how long, from when to when", () => {
  const story = new Story([["Session()", -1, IDLE]]), a = story.agent("A()", 0);
  story.status(a, RUNNING, { method: "go" });
  story.wall += 200;
  story.status(a, WAITING, { method: "go", reasons: FOR_CALL });
  story.wall += 1800;
  story.status(a, FAILED, { method: "go" });
  const tape = story.told(), lives = new Lives(tape);
  lives.take();
  assert.deepEqual(laneRow(tape, lives, a), ["A()", "go: running 201 ms; waiting, for a call 1.8 s; failed or was interrupted", "3 ms", "2.005 s"]);
  assert.deepEqual(laneRow(tape, lives, 0), ["notebook", "nothing", "", ""]);
  assert.equal(laneRow(tape, lives, -1)[0], "1 children of notebook");
});

test("a lane that goes on says so, and one that was taken back is not told", () => {
  const story = new Story([["Session()", -1, IDLE]]), a = story.agent("A()", 0), back = story.seq;
  story.change([a, RUNNING], [a, DONE]).revert(a, back).change([a, RUNNING]);
  const tape = story.told(), lives = new Lives(tape);
  lives.take();
  assert.deepEqual(laneRow(tape, lives, a).slice(2), ["6 ms", "goes on"]);
});

test("the kernel's words on a bar: arguments, result or error, and the line", () => {
  const words = (answer) => answerLines(answer).map(([text]) => text);
  assert.deepEqual(words({ args: "'x'", result: "3", error: null, line: "/home/me/lesson.py:12" }), ["arguments: 'x'", "result: 3", "lesson.py:12"]);
  assert.deepEqual(words({ args: "", result: null, error: "ValueError: <b>no</b>", line: "" }), ["failed: ValueError: <b>no</b>"]);
  assert.deepEqual(words({ args: "", result: null, error: null, line: "" }), []);
});

test("the segments of a path are in order of time; those of nobody shown are left out", () => {
  const part = (slot, begin, end) => ({ slot, begin, end, kind: "running", what: "" });
  assert.deepEqual(pathParts({ segments: [part(2, 5, 9), part(-1, 0, 5), part(1, 0, 5)] }).map((p) => [p.slot, p.begin]), [[1, 0], [2, 5]]);
  assert.deepEqual(pathParts({}), []);
});
