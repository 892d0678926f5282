// Why somebody waits: chains from the kernel's links and from the tape, their places, folding, refused cycles, words.
import assert from "node:assert/strict";
import { test } from "node:test";

import { CALL, DONE, FAILED, INTERRUPTED, PROMISE, QUEUED, RUNNING, SUSPENDED, TRIGGER, WAITING } from "../../workbench/front/graph_store.js";
import { CALL_ARROW, FOR_CALL, FOR_PROMISE, FOR_STEP, FOR_TIMER } from "../../workbench/front/tape.js";
import { boxBeside, callName, chainOfLinks, chainOfTape, foldRuns, linePath, longestWait, lowOf, newestRefusal, placeChain, promiseCalled, ringBounds, ringSentences, ringShape, ringWords, rootParts, sentenceParts, sentencesWithLinks } from "../../workbench/front/why.js";
import { Story } from "./tapes.mjs";

const EVIL = '</script><img src=x onerror=alert(1)>.(x)#1/2';
const names = (chain) => [...chain.boxes.values()].map((box) => box.name);
const roots = (chain) => [...chain.boxes.values()].filter((box) => box.root).map((box) => `${box.name}: ${box.sub}`);
const said = (parts) => parts.map((part) => part.text).join("");
const link = (agent, kind, more = {}) => ({ agent, slot: -1, kind, what: "", text: `${agent} ${kind}`, line: "/home/me/lesson.py:7", entries: [5, 9], to: [], toSlots: [], root: false, depth: 0, seconds: 1, since: 3e9, count: 1, alike: 0, end: "", ...more });

/** A coordinator that waits for calls, each of which stands for itself. */
function waiting(kids, status = WAITING, more = { reasons: FOR_STEP, what: "fetch" }) {
  const story = new Story([["Session()", -1, 0], ["Coordinator()", 0, RUNNING]]);
  for (let i = 0; i < kids; i++) {
    const slot = story.agent(`Worker(${i})`, 1);
    story.open(1, CALL, slot, 100 + i);
    story.arrow(slot, 1, CALL_ARROW, 100 + i);
    story.status(slot, status, { since: undefined, ...more });
  }
  story.status(1, WAITING, { reasons: FOR_CALL, method: "fan_out" });
  return story;
}

// ---- from the kernel ---------------------------------------------------------------------------------------------------

test("a call is a line to the agent that is called, with the method, the place and since when", () => {
  const chain = chainOfLinks([link("A()", "call", { slot: 1, what: "Worker(1.5).process", to: ["Worker(1.5)"], toSlots: [4] }), link("Worker(1.5)", "running", { slot: 4, what: "process", root: true, end: "Worker(1.5) is at work on process" })], "A()", (id) => id);
  assert.deepEqual(chain.lines.map((line) => [line.from, line.to, line.text, line.sub, line.since]), [["a 1", "a 4", "process()", "lesson.py:7", 3000]]);
  assert.deepEqual(roots(chain), ["Worker(1.5): runs process"]);
  assert.equal(chain.first, "a 1");
});

test("what is waited for is a box: a timer, a step, a promise, and who could complete that", () => {
  const links = [link("A()", "timer", { what: "5000000000", root: true }), link("A()", "step", { what: "fetch", root: true }), link("A()", "promise", { what: "B()#salt-3/7", to: ["B()"], toSlots: [2] }), link("C()", "orphan", { what: "B()#salt-3/7", root: true }), link("B()", "failed", { slot: 2, root: true, end: "B() failed" })];
  const chain = chainOfLinks(links, "A()", (id) => id), timer = [...chain.boxes.values()].find((box) => box.name === "a timer");
  assert.deepEqual(names(chain), ["A()", "a timer", "step fetch", "promise 7 of B()", "B()", "C()"]);
  assert.equal(timer.due, 5000);
  assert.deepEqual(roots(chain), ["a timer: ", "step fetch: is at work", "promise 7 of B(): orphaned", "B(): failed"]);
  assert.deepEqual(chain.lines.map((line) => line.kind), ["timer", "step", "promise", "may", "promise"]);
});

test("many alike waits are one line with a count, and agents in the same position are counted", () => {
  const chain = chainOfLinks([link("A()", "call", { what: "Worker.process", count: 200, to: ["Worker(0)", "Worker(3)"], toSlots: [2, 5] }), link("Worker(0)", "running", { slot: 2, alike: 179, root: true }), link("Worker(3)", "failed", { slot: 5, root: true })], "A()", (id) => id);
  assert.deepEqual(chain.lines.map((line) => line.text), ["200 × process()", "200 × process()"]);
  assert.equal(chain.boxes.get("a 2").alike, 179);
});

test("notes beside the chain are not drawn, and queued calls say so", () => {
  const chain = chainOfLinks([link("A()", "queued", { what: "B().go", to: ["B()"], toSlots: [2] }), link("A()", "leaked", { to: ["X()"] }), link("B()", "interrupted", { slot: 2, root: true })], "A()", (id) => id);
  assert.deepEqual([names(chain), chain.lines[0].text, chain.lines[0].kind], [["A()", "B()"], "queued: go()", "queued"]);
});

test("an answer of no links, of one that stands alone, and of a ring, has a picture", () => {
  assert.equal(placeChain(chainOfLinks([], "A()", (id) => id)).w, 0);
  const alone = chainOfLinks([link("A()", "idle", { root: true })], "A()", (id) => id);
  assert.deepEqual([names(alone), alone.lines], [["A()"], []]);
  const ring = chainOfLinks([link("A()", "call", { what: "B().x", to: ["B()"] }), link("B()", "cycle", { what: "A().x", to: ["A()"], root: true })], "A()", (id) => id);
  placeChain(ring);
  assert.deepEqual(roots(ring), ["B(): in a ring of waits"]);
  assert.deepEqual([ring.boxes.get("a A()").column, ring.boxes.get("a B()").column], [0, 1]);
});

// ---- from the tape -----------------------------------------------------------------------------------------------------

test("a few calls are followed one by one, each to what it hangs on", () => {
  const story = waiting(2), tape = story.told(), chain = chainOfTape(tape, tape.now, 1);
  assert.deepEqual(names(chain), ["Coordinator()", "Worker(0)", "Worker(1)", "step fetch", "step fetch"]);
  assert.deepEqual(roots(chain), ["step fetch: is at work", "step fetch: is at work"]);
  assert.deepEqual(chain.lines.slice(0, 2).map((line) => [line.text, line.kind]), [["process()", "call"], ["process()", "call"]]);
});

test("many calls are one line to an agent of each kind, what failed first", () => {
  const story = waiting(500);
  story.status(7, FAILED);
  story.status(8, DONE);
  const tape = story.told(), chain = chainOfTape(tape, tape.now, 1);
  assert.deepEqual(chain.lines.slice(0, 3).map((line) => line.text), ["1 × process()", "498 × process()", "1 × process()"]);
  assert.equal(chain.boxes.get("a 2").alike, 497);
  assert.deepEqual(roots(chain), ["Worker(5): failed", "Worker(6): done, its reply comes", "step fetch: is at work"]);
});

test("at a past moment only what was open then is drawn", () => {
  const story = waiting(1), then = story.seq;
  story.close(100);
  story.status(1, DONE);
  const tape = story.told();
  assert.deepEqual(names(chainOfTape(tape, tape.moment(then), 1)), ["Coordinator()", "Worker(0)", "step fetch"]);
  assert.deepEqual(roots(chainOfTape(tape, tape.now, 1)), ["Coordinator(): done"]);
});

test("a call that its target has not begun is queued there; triggers are no waits", () => {
  const story = new Story([["Session()", -1, 0], ["A()", 0, RUNNING], ["B()", 0, RUNNING], ["C()", 0, QUEUED]]);
  story.open(1, CALL, 2, 50).open(1, TRIGGER, 3, 51);
  story.status(1, WAITING, { reasons: FOR_CALL });
  const tape = story.told(), chain = chainOfTape(tape, tape.now, 1);
  assert.deepEqual(chain.lines.map((line) => [line.to, line.text, line.kind]), [["a 2", "queued there", "queued"]]);
  assert.deepEqual(roots(chain), ["B(): runs process"]);
  story.arrow(2, 1, CALL_ARROW, 50);
  const later = story.told();
  assert.equal(chainOfTape(later, later.now, 1).lines[0].kind, "call");
});

test("promises are named where the tape knows them, and counted where they are many", () => {
  const story = new Story([["Session()", -1, 0], ["A()", 0, RUNNING], ["B()", 0, RUNNING]]);
  story.open(1, PROMISE, 2, 60);
  story.status(1, SUSPENDED, { reasons: FOR_PROMISE, what: "promise 4" });
  let tape = story.told();
  assert.deepEqual(roots(chainOfTape(tape, tape.now, 1)), ["promise 4 of B(): not completed"]);
  for (let i = 0; i < 5000; i++) story.open(1, PROMISE, 2, 61 + i);
  tape = story.told();
  assert.deepEqual(roots(chainOfTape(tape, tape.now, 1)), ["5,001 promises: not completed"]);
});

test("timers, interrupted agents, the notebook and the unknown are ends", () => {
  const story = new Story([["Session()", -1, 0], ["A()", 0, RUNNING], ["B()", 0, RUNNING], ["C()", 0, INTERRUPTED]]);
  story.open(1, CALL, 3, 70);
  story.status(1, WAITING, { reasons: FOR_CALL });
  story.status(2, SUSPENDED, { reasons: FOR_TIMER, what: "a timer" });
  const tape = story.told();
  assert.deepEqual(roots(chainOfTape(tape, tape.now, 1)), ["C(): interrupted"]);
  assert.deepEqual(roots(chainOfTape(tape, tape.now, 2)), ["a timer: not due yet"]);
  assert.deepEqual(roots(chainOfTape(tape, tape.now, 0)), ["notebook: cells and scripts"]);
});

test("a ring of open calls, which no session leaves open, is drawn once and ends", () => {
  const story = new Story([["Session()", -1, 0], ["A()", 0, RUNNING], ["B()", 0, RUNNING]]);
  story.open(1, CALL, 2, 80).open(2, CALL, 1, 81);
  story.change([1, WAITING], [2, WAITING]);
  const tape = story.told(), chain = chainOfTape(tape, tape.now, 1);
  placeChain(chain);
  assert.deepEqual([names(chain), chain.lines.length], [["A()", "B()"], 2]);
  const [a, b] = [...chain.boxes.values()];
  assert.match(linePath(b, a, lowOf(chain.boxes.values(), b, a)), /^M.*L.*Q/);
});

test("ten thousand waits are looked through within a frame", () => {
  const story = waiting(10_000), tape = story.told();
  chainOfTape(tape, tape.now, 1);
  const before = performance.now();
  const chain = foldRuns(chainOfTape(tape, tape.now, 1));
  placeChain(chain);
  longestWait(tape, tape.now);
  assert.ok(performance.now() - before < 1000);
  assert.ok(chain.boxes.size < 6);
});

// ---- places ------------------------------------------------------------------------------------------------------------

/** A chain of so many agents, one behind the other. */
function row(size) {
  const links = Array.from({ length: size - 1 }, (_, i) => link(`A(${i})`, "call", { what: `A(${i + 1}).go`, to: [`A(${i + 1})`], slot: i, toSlots: [i + 1] }));
  return chainOfLinks([...links, link(`A(${size - 1})`, "running", { root: true, slot: size - 1 })], "A(0)", (id) => id);
}

test("boxes stand left to right, none over another", () => {
  const tape = waiting(3).told();
  for (const chain of [row(5), chainOfTape(tape, tape.now, 1)]) {
    const { w, h } = placeChain(chain), boxes = [...chain.boxes.values()];
    for (const line of chain.lines) assert.ok(chain.boxes.get(line.from).column < chain.boxes.get(line.to).column);
    for (const one of boxes) for (const other of boxes) if (one !== other) assert.ok(Math.abs(one.x - other.x) >= 200 || Math.abs(one.y - other.y) >= 50);
    for (const box of boxes) assert.ok(box.x >= 0 && box.y >= 0 && box.x < w && box.y < h);
  }
});

test("a long run of agents is folded: its ends stay, the rest is counted, root and first always stay", () => {
  const chain = foldRuns(row(300));
  assert.deepEqual(names(chain).filter((name) => !name.startsWith("A(")), ["294 more agents"]);
  assert.equal(chain.boxes.size, 7);
  const places = placeChain(chain);
  assert.ok(places.w < 2300);
  assert.deepEqual([...chain.boxes.values()].map((box) => box.column).sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(foldRuns(row(6)).boxes.size, 6);
});

test("arrow keys find the box beside", () => {
  const tape = waiting(3).told(), chain = chainOfTape(tape, tape.now, 1);
  placeChain(chain);
  const boxes = [...chain.boxes.values()], first = chain.boxes.get("a 1"), kid = boxBeside(boxes, first, "ArrowRight");
  assert.equal(kid.key, "a 3"); // the one at its height
  assert.equal(boxBeside(boxes, kid, "ArrowUp").key, "a 2");
  assert.equal(boxBeside(boxes, kid, "ArrowLeft").key, "a 1");
  assert.equal(boxBeside(boxes, first, "ArrowLeft"), null);
});

// ---- who ---------------------------------------------------------------------------------------------------------------

test("who has waited longest is told at any moment, the cells apart", () => {
  const story = new Story([["Session()", -1, 0], ["A()", 0, RUNNING], ["B()", 0, RUNNING]]);
  story.open(0, CALL, 1, 90);
  const none = story.seq;
  story.status(2, WAITING, { reasons: FOR_STEP, what: "fetch" });
  const one = story.seq;
  story.open(1, CALL, 2, 91);
  story.status(1, WAITING, { reasons: FOR_CALL });
  story.status(2, DONE);
  const tape = story.told();
  assert.equal(longestWait(tape, tape.moment(none)), null);
  assert.equal(longestWait(tape, tape.moment(one)).slot, 2);
  assert.equal(longestWait(tape, tape.now).slot, 1);
});

test("the newest refusal of an agent's cycle, or of anybody, up to a moment", () => {
  const ring = (...ids) => ({ cycle: ids.map((id) => [id, "T.visit", "lesson.py:7"]), edge: -1, left: 0 });
  const story = new Story([["Session()", -1, 0], ["A()", 0, RUNNING], ["B()", 0, RUNNING], ["C()", 0, RUNNING], ["D()", 0, RUNNING]]);
  story.refused(3, 1, ring("A()", "B()", "C()"));
  const first = story.seq;
  story.refused(4, 4, ring("D()"));
  const tape = story.told(), [one, two] = tape.refusals;
  assert.deepEqual([0, 1, 2, 3, 4, -1].map((slot) => newestRefusal(tape, tape.now, slot)), [-1, one, one, one, two, two]);
  assert.deepEqual([newestRefusal(tape, tape.moment(first), -1), newestRefusal(tape, tape.moment(first), 4), newestRefusal(tape, tape.moment(first - 1), -1)], [one, -1, -1]);
});

// ---- rings -------------------------------------------------------------------------------------------------------------

test("a ring is round where there is room, else a column with the refused call on top; nothing lies over an agent", () => {
  for (const [size, round] of [[1, true], [2, true], [3, true], [6, true], [7, true], [1, false], [2, false], [5, false], [40, false]]) {
    const shape = ringShape(size, -1, round);
    assert.equal(shape.arcs.length, size);
    shape.chips.forEach(([ax, ay], i) => shape.chips.slice(i + 1).forEach(([bx, by]) => assert.ok(Math.abs(ax - bx) > 178 || Math.abs(ay - by) > 40, `${size} ${round}`)));
    shape.arcs.forEach((arc, i) => {
      const [x, y] = shape.chips[(i + 1) % size], away = Math.max(Math.abs(arc.tip[0] - x) - 84, Math.abs(arc.tip[1] - y) - 15);
      assert.ok(away > 0 && away < 12, `${size} ${round} ${i} ${away}`);
    });
    const { w, h, left } = ringBounds(shape, shape.arcs.map(() => 4));
    assert.ok(w > 0 && h > 0 && left < 0);
    if (!round && size > 1) assert.equal(Math.min(...shape.chips.map(([, y]) => y)), shape.chips[size - 1][1]);
  }
});

test("each call of a ring says its method and line, the refused one and the cure say so", () => {
  const ring = { cycle: [["A()", "T.visit", "/x/lesson.py:3"], ["B()", "T.back", ""]], edge: 0, left: 0 };
  assert.deepEqual(ringWords(ring, 0, -1).map(([, text]) => text), ["T.visit()", "lesson.py:3", "turn into .visit.trigger(...)"]);
  assert.deepEqual(ringWords(ring, 1, -1).map(([, text]) => text), ["T.back()", "unknown line", "refused"]);
  assert.deepEqual(ringWords({ ...ring, left: 12 }, 0, 1), [["since", "… 12 more in turn …"]]);
});

test("the sentences of a refused cycle name who asked whom, why it could not be, and what to do", () => {
  const ring = (size) => ({ cycle: Array.from({ length: size }, (_, i) => [`N(${i})`, "N.visit", `lesson.py:${i}`]), edge: size - 1, left: 0 });
  assert.match(ringSentences(ring(1)).join(" "), /N\(0\) called visit\(\) of itself at lesson.py:0/);
  assert.match(ringSentences(ring(2)).join(" "), /N\(0\) waits for N\(1\): no reply could ever come/);
  assert.match(ringSentences(ring(3)).join(" "), /N\(2\) called visit\(\) of N\(0\).*N\(0\) waits for N\(1\), and so on round to N\(2\).*turn the call at lesson.py:2 into \.visit\.trigger/);
  assert.doesNotMatch(ringSentences({ ...ring(3), edge: -1 }).join(" "), /trigger/);
});

// ---- words -------------------------------------------------------------------------------------------------------------

test("agents and entries of a sentence are links, the line loses its folders, and the whole reads as before", () => {
  const told = link("A()", "call", { text: "A() has run x and waits for A()[f].go, called 2 s ago at /home/me/lesson.py:7", to: ["A()[f]"], toSlots: [8] });
  const parts = sentenceParts("…", told);
  assert.deepEqual(parts.filter((part) => part.kind === "agent").map((part) => [part.text, part.slot]), [["A()", -1], ["A()[f]", 8]]);
  assert.deepEqual(parts.filter((part) => part.kind === "entry").map((part) => part.seq), [5, 9]);
  assert.equal(said(parts), "A() has run x and waits for A()[f].go, called 2 s ago at lesson.py:7 (#5, #9).");
  assert.equal(said(sentenceParts("", { ...told, text: "x", entries: [1, 2, 3, 4, 5, 6] })), "x (#1, #2, #3 and 3 more).");
  assert.equal(said(sentenceParts("3 more are left out here.")), "3 more are left out here.");
});

test("each sentence finds its link, also among equal ones", () => {
  const links = [link("A()", "one"), link("A()", "one", { entries: [77] }), link("B()", "two")];
  const pairs = sentencesWithLinks(["A() one (entry 5).", "A() one (entry 77).", "B() two.", "4 more are left out here."], links);
  assert.deepEqual(pairs.map(([, found]) => links.indexOf(found)), [0, 1, 2, -1]);
});

test("hostile names are text: they are never read as anything else", () => {
  const story = new Story([["Session()", -1, 0], [EVIL, 0, RUNNING]]);
  story.status(1, WAITING, { reasons: FOR_STEP, what: EVIL, method: EVIL });
  const tape = story.told(), chain = chainOfTape(tape, tape.now, 1);
  assert.deepEqual(names(chain), [EVIL, `step ${EVIL}`]);
  assert.equal(said(rootParts(chain)[0]), `${EVIL} waits for step ${EVIL}, which is at work.`);
  const told = chainOfLinks([link(EVIL, "call", { what: `${EVIL}.go`, to: [EVIL] })], EVIL, (id) => id);
  assert.equal(told.lines[0].text, "go()");
  assert.ok(said(sentenceParts("", link(EVIL, "x", { text: EVIL + EVIL }))).startsWith(EVIL + EVIL));
});

test("calls and promises are named in short", () => {
  assert.deepEqual(["Worker(3).process", "process", 'W("a.b").go'].map(callName), ["process()", "process()", "go()"]);
  assert.deepEqual([promiseCalled("Worker(3)#ab-12/5"), promiseCalled("W(\"#1/2\")#ab-12/5"), promiseCalled("odd")], ["promise 5 of Worker(3)", 'promise 5 of W("#1/2")', "promise odd"]);
});
