// @ts-check
// Why somebody waits: the sentences of the kernel, and the chain of waits drawn from who waits to what it all hangs on.
// At a past moment, and without a kernel, the chain is drawn from the tape alone. A cycle of calls that was refused is a ring.
import { CALL, DONE, FAILED, INTERRUPTED, PROMISE, QUEUED, ROOT, RUNNING, STATUS, WAITING, describeTime, isBusy, shortId } from "./graph_store.js";
import { readTheme } from "./graph_paint.js";
import { make, setText } from "./graph.js";
import { agentLink, button, counted, entryLink, statusIcon } from "./marks.js";
import { CALL_ARROW, FOR_CALL, FOR_PROMISE, FOR_STEP, FOR_TIMER } from "./tape.js";
import { filePlace } from "./oplog.js";

const WHY_MS = 1000, AGAIN_MS = 5000, HOLD_MS = 300, SIDE_BY_SIDE = 820, SURELY_BESIDE = 1240, WORDS_BESIDE = 300;
const WHY_BOX_W = 176, WHY_BOX_H = 40, WHY_GAP = 148, WHY_STEP = 66, WHY_EDGE = 16, WHY_BACK = 30, NAME_TAIL = 8, MOST_BOXES = 80;
const SEVERAL = 3, KINDS_SHOWN = 4, LONG_RUN = 7, RUN_ENDS = 2, RECENT_REFUSALS = 200, ENTRIES_TOLD = 4, TAGGED = 2;
/** Links that stand beside the chain, and those that tell of an agent, not of a wait. */
const BESIDE = new Set(["leaked", "pinned", "schedule"]);
/** @type {Record<string, string>} */
const STANDS = { running: "at work", ready: "about to begin", idle: "has nothing to do", failed: "failed", diverged: "diverged", interrupted: "interrupted", undefined: "waits for its class", cells: "cells and scripts", more: "not followed further" };
/** Signs of what is waited for. @type {Record<string, string>} */
const MATTERS = { timer: "◷", step: "⚙", retrying: "↻", promise: "◇", orphan: "◇", due: "✓" };

/**
 * An agent, what it waits for, or several folded into one. `since` and `due` are in milliseconds.
 * @typedef {{key: string, form: "agent" | "matter" | "fold", slot: number, name: string, sub: string, title: string, sign: string, root: boolean, alike: number, since: number, due: number, column: number, row: number, x: number, y: number}} WhyBox
 * @typedef {{from: string, to: string, text: string, sub: string, title: string, kind: string, since: number}} WhyLine
 * @typedef {{boxes: Map<string, WhyBox>, lines: WhyLine[], first: string}} WhyChain
 * `rail` is how far left its lines reach.
 * @typedef {{chips: [number, number][], arcs: RingArc[], rail: number}} RingShape
 * @typedef {{path: string, tip: [number, number], turn: number, middle: [number, number], words: [number, number], anchor: "start" | "middle" | "end", lift: number}} RingArc
 */

// ---- chains ----------------------------------------------------------------------------------------------------------

/** @param {WhyChain} chain @param {string} key @param {Partial<WhyBox>} more @returns {WhyBox} the one of that key, made if there is none */
function whyBox(chain, key, more) {
  let box = chain.boxes.get(key);
  if (!box) { box = { key, form: "agent", slot: -1, name: "", sub: "", title: "", sign: "", root: false, alike: 0, since: 0, due: 0, column: 0, row: 0, x: 0, y: 0 }; chain.boxes.set(key, box); }
  return Object.assign(box, more);
}

/** `process()` of `Worker(3).process`; ids may hold any sign. @param {string} what */
export function callName(what) {
  return `${what.slice(what.lastIndexOf(".") + 1)}()`;
}

/** @param {string} id @param {number} [slot] */
function keyOf(id, slot = -1) { return slot >= 0 ? `a ${slot}` : `a ${id}`; }

/** The chain that an answer of the kernel tells. @param {any[]} links @param {string} about @param {(id: string) => string} name what an agent is called @param {number} [now] when it was told, where clocks stand still @returns {WhyChain} */
export function chainOfLinks(links, about, name, now = 0) {
  const first = links.find((link) => link.agent === about);
  /** @type {WhyChain} */ const chain = { boxes: new Map(), lines: [], first: keyOf(about, first?.slot) };
  for (const link of links) {
    if (BESIDE.has(link.kind)) continue;
    const key = keyOf(link.agent, link.slot), box = whyBox(chain, key, { slot: link.slot ?? -1, name: name(link.agent), title: link.agent }), count = link.count ?? 1;
    const since = !link.since ? 0 : now ? now - (link.seconds ?? 0) * 1000 : link.since / 1e6;
    if (link.alike) box.alike = link.alike;
    const to = link.to ?? [], place = filePlace(link.line ?? "");
    if (link.kind in STANDS && !to.length) {
      whyBox(chain, key, { root: true, sub: link.kind === "running" && link.what ? `runs ${link.what}` : STANDS[link.kind], title: link.end || link.text || link.agent });
    } else if (link.kind in MATTERS) {
      const matter = matterBox(chain, link, count, since);
      chain.lines.push({ from: key, to: matter.key, text: count > 1 ? `${count.toLocaleString("en")} of them` : "", sub: place, title: link.text ?? "", kind: link.kind === "orphan" ? "promise" : link.kind, since: matter.due ? 0 : since });
      to.forEach((/** @type {string} */ id, /** @type {number} */ i) => {
        chain.lines.push({ from: matter.key, to: whyBox(chain, keyOf(id, link.toSlots?.[i]), { slot: link.toSlots?.[i] ?? -1, name: name(id), title: id }).key, text: "could complete it", sub: "", title: `${id} could complete it`, kind: "may", since: 0 });
      });
    } else {
      to.forEach((/** @type {string} */ id, /** @type {number} */ i) => {
        const to = whyBox(chain, keyOf(id, link.toSlots?.[i]), { slot: link.toSlots?.[i] ?? -1, name: name(id), title: id }).key;
        const call = callName(link.what || link.method || "");
        chain.lines.push({ from: key, to, text: link.kind === "queued" ? `queued: ${call}` : count > 1 ? `${count.toLocaleString("en")} × ${call}` : call, sub: place, title: link.text ?? "", kind: link.kind === "queued" ? "queued" : "call", since });
      });
      if (link.root || !to.length) whyBox(chain, key, { root: true, sub: link.kind === "cycle" ? "in a ring of waits" : STANDS[link.kind] ?? link.kind, title: link.end || link.text || link.agent });
    }
  }
  if (!chain.boxes.has(chain.first)) chain.first = chain.boxes.keys().next().value ?? "";
  return chain;
}

/** @param {WhyChain} chain @param {any} link @param {number} count @param {number} since */
function matterBox(chain, link, count, since) {
  const { kind, what } = link, promise = kind === "promise" || kind === "orphan", key = promise ? `p ${what}` : `${kind} ${link.agent} ${what} ${link.entries?.[0] ?? ""}`;
  const name = promise ? promiseCalled(what) : kind === "timer" ? (count > 1 ? counted(count, "timer") : "a timer") : kind === "due" ? what : count > 1 ? `${count.toLocaleString("en")} steps ${what}` : `step ${what}`;
  const sub = kind === "orphan" ? "orphaned" : kind === "promise" ? "not completed" : kind === "retrying" ? "is tried again" : kind === "due" ? "has ended" : kind === "step" ? "is at work" : "";
  const due = kind === "timer" ? Number(what) / 1e6 : 0;
  return whyBox(chain, key, { form: "matter", name, sub, title: link.end || what, sign: MATTERS[kind], root: !!link.root, due: Number.isFinite(due) ? due : 0, since: kind === "step" ? since : 0 });
}

/** `promise 5 of Worker(3)` of the text of a promise's id, as far as that can be read. @param {string} id */
export function promiseCalled(id) {
  const at = /^(.*)#[^#/]*\/(\d+)$/s.exec(id);
  return at ? `promise ${at[2]} of ${shortId(at[1])}` : `promise ${id}`;
}

/** The chain as the open links at a moment tell it. @param {import("./tape.js").Tape} tape @param {import("./tape.js").Moment} moment @param {number} first @returns {WhyChain} */
export function chainOfTape(tape, moment, first) {
  /** @type {Map<number, number[]>} */ const waits = new Map();
  for (const row of moment.links.values()) {
    if (tape.b[row] !== CALL && tape.b[row] !== PROMISE) continue;
    const rows = waits.get(tape.slot[row]);
    if (rows) rows.push(row);
    else waits.set(tape.slot[row], [row]);
  }
  /** @type {WhyChain} */ const chain = { boxes: new Map(), lines: [], first: `a ${first}` };
  const todo = [first], seen = new Set(todo), agent = (/** @type {number} */ slot, alike = 0) => {
    if (!seen.has(slot)) { seen.add(slot); todo.push(slot); }
    return whyBox(chain, `a ${slot}`, { slot, name: tape.name(slot), title: tape.ids[slot] ?? "", ...(alike ? { alike } : {}) });
  };
  agent(first);
  for (let at = 0; at < todo.length && at < MOST_BOXES; at++) followTape(chain, tape, moment, todo[at], waits.get(todo[at]) ?? [], agent);
  for (const slot of todo.slice(MOST_BOXES)) whyBox(chain, `a ${slot}`, { root: true, sub: STANDS.more });
  return chain;
}

/** @param {WhyChain} chain @param {import("./tape.js").Tape} tape @param {import("./tape.js").Moment} moment @param {number} slot @param {number[]} rows its open links @param {(slot: number, alike?: number) => WhyBox} agent */
function followTape(chain, tape, moment, slot, rows, agent) {
  const row = moment.last[slot] ?? -1, status = tape.statusIn(row), reasons = isBusy(status) ? tape.reasonsIn(row) : 0, what = tape.whatIn(row), key = `a ${slot}`, since = row >= 0 ? tape.wall[row] : 0;
  const calls = rows.filter((one) => tape.b[one] === CALL), promises = rows.filter((one) => tape.b[one] === PROMISE);
  if (!isBusy(status) && status !== INTERRUPTED || tape.origins[slot] === ROOT && slot !== Number(chain.first.slice(2))) { whyBox(chain, key, { root: true, sub: tape.origins[slot] === ROOT ? STANDS.cells : status === QUEUED ? STANDS.ready : status === DONE && slot !== Number(chain.first.slice(2)) ? "done, its reply comes" : STATUS[status] }); return; }
  if (status === INTERRUPTED) { whyBox(chain, key, { root: true, sub: "interrupted" }); return; }
  /** @type {Map<string, number[]>} */ const groups = new Map();
  for (const one of calls) {
    const to = tape.a[one], kind = calls.length > SEVERAL ? `${tape.ids[to].split("(")[0]} ${tape.methodIn(moment.last[to])}` : `${one}`, group = groups.get(kind);
    if (group) group.push(one);
    else groups.set(kind, [one]);
  }
  for (const group of groups.values()) followCalls(chain, tape, moment, slot, group, agent);
  const named = what && !calls.length;
  for (const one of promises.length > SEVERAL ? promises.slice(0, 1) : promises) {
    const owner = tape.a[one], many = promises.length > 1, name = promises.length > SEVERAL ? counted(promises.length, "promise") : `${named && !many && what.startsWith("promise") ? what : "a promise"} of ${tape.name(owner)}`;
    const box = whyBox(chain, promises.length > SEVERAL ? `p ${slot}` : `p ${owner} ${many ? one : name}`, { form: "matter", sign: MATTERS.promise, name, sub: "not completed", root: true, title: promises.length > SEVERAL ? name : `made by ${tape.ids[owner] ?? "somebody not shown"}` });
    chain.lines.push({ from: key, to: box.key, text: "", sub: "", title: `waits for ${box.name}`, kind: "promise", since: tape.wall[one] });
  }
  for (const [bit, kind, word] of /** @type {[number, string, string][]} */ ([[FOR_STEP, "step", "step"], [FOR_TIMER, "timer", "timer"], [FOR_PROMISE, "promise", "promise"]])) {
    if (!(reasons & bit) || (bit === FOR_PROMISE && promises.length)) continue;
    const name = named && (reasons === bit || kind === "step") ? (kind === "step" ? `step ${what}` : what) : `a ${word}`;
    const box = whyBox(chain, `${kind} ${slot}`, { form: "matter", sign: MATTERS[kind], name, sub: kind === "step" ? "is at work" : kind === "timer" ? "not due yet" : "not completed", root: true, title: name });
    chain.lines.push({ from: key, to: box.key, text: "", sub: "", title: `waits for ${name}`, kind, since });
  }
  if (!calls.length && !promises.length && !(reasons & ~FOR_CALL)) whyBox(chain, key, { root: true, sub: status === RUNNING ? `runs ${tape.methodIn(row)}` : STATUS[status] });
}

/** Calls of one method: a line to each of a few, else to one agent of each kind. @param {WhyChain} chain @param {import("./tape.js").Tape} tape @param {import("./tape.js").Moment} moment @param {number} slot @param {number[]} group @param {(slot: number, alike?: number) => WhyBox} agent */
function followCalls(chain, tape, moment, slot, group, agent) {
  /** @type {Map<string, number[]>} */ const kinds = new Map();
  for (const one of group) {
    const last = moment.last[tape.a[one]] ?? -1, kind = group.length > SEVERAL ? `${tape.statusIn(last)} ${tape.reasonsIn(last)}` : `${one}`, same = kinds.get(kind);
    if (same) same.push(one);
    else kinds.set(kind, [one]);
  }
  const ordered = [...kinds.values()].sort((x, y) => urgencyOf(tape, moment, y[0]) - urgencyOf(tape, moment, x[0])).slice(0, group.length > SEVERAL ? KINDS_SHOWN : group.length);
  for (const same of ordered) {
    const one = same[0], to = tape.a[one], box = agent(to, same.length - 1), call = callName(tape.methodIn(moment.last[to] ?? -1)), queued = !hasBegun(tape, moment, one);
    const text = group.length > SEVERAL ? `${same.length.toLocaleString("en")} × ${call}` : queued ? "queued there" : call;
    chain.lines.push({ from: `a ${slot}`, to: box.key, text, sub: "", title: `waits for ${box.title}`, kind: queued ? "queued" : "call", since: tape.wall[one] });
  }
}

/** @param {import("./tape.js").Tape} tape @param {import("./tape.js").Moment} moment @param {number} row */
function urgencyOf(tape, moment, row) {
  const status = tape.statusIn(moment.last[tape.a[row]] ?? -1);
  return status === FAILED || status === INTERRUPTED ? 2 : isBusy(status) ? 1 : 0;
}

/** Rows at which calls reached their targets, by the entry that made the call; read as far as there are rows. @type {WeakMap<import("./tape.js").Tape, {read: number, began: Map<number, number>}>} */
const BEGUN_CALLS = new WeakMap();

/** Whether a call had reached its target at a moment. @param {import("./tape.js").Tape} tape @param {import("./tape.js").Moment} moment @param {number} row of the open link */
function hasBegun(tape, moment, row) {
  let known = BEGUN_CALLS.get(tape);
  if (!known) BEGUN_CALLS.set(tape, (known = { read: 0, began: new Map() }));
  for (; known.read < tape.arrows.length; known.read++) { const one = tape.arrows[known.read]; if (tape.b[one] === CALL_ARROW) known.began.set(tape.c[one], one); }
  return (known.began.get(tape.c[row]) ?? Infinity) < moment.row;
}

/** Fold what only passes a wait on: of a long run of agents the first and the last ones stay. @param {WhyChain} chain @returns {WhyChain} */
export function foldRuns(chain) {
  /** @type {Map<string, WhyLine[]>} */ const out = new Map(), into = new Map();
  for (const line of chain.lines) {
    out.set(line.from, [...(out.get(line.from) ?? []), line]);
    into.set(line.to, [...(into.get(line.to) ?? []), line]);
  }
  const passes = (/** @type {string} */ key) => { const box = chain.boxes.get(key); return !!box && box.form === "agent" && !box.root && !box.alike && key !== chain.first && out.get(key)?.length === 1 && into.get(key)?.length === 1; };
  const gone = new Set(), folds = [];
  for (const key of chain.boxes.keys()) {
    if (gone.has(key) || !passes(key) || passes(/** @type {WhyLine[]} */ (into.get(key))[0].from)) continue;
    const run = [key];
    for (let next = /** @type {WhyLine[]} */ (out.get(key))[0].to; passes(next) && next !== key; next = /** @type {WhyLine[]} */ (out.get(next))[0].to) run.push(next);
    if (run.length < LONG_RUN) continue;
    const inner = run.slice(RUN_ENDS, -RUN_ENDS);
    for (const one of inner) gone.add(one);
    folds.push({ key: `f ${inner[0]}`, count: inner.length, before: run[RUN_ENDS - 1], after: run[run.length - RUN_ENDS], line: /** @type {WhyLine[]} */ (into.get(inner[0]))[0], last: /** @type {WhyLine[]} */ (out.get(inner[inner.length - 1]))[0] });
  }
  if (!folds.length) return chain;
  /** @type {WhyChain} */ const folded = { boxes: new Map([...chain.boxes].filter(([key]) => !gone.has(key))), lines: chain.lines.filter((line) => !gone.has(line.from) && !gone.has(line.to)), first: chain.first };
  for (const { key, count, before, after, line, last } of folds) {
    whyBox(folded, key, { form: "fold", name: `${count.toLocaleString("en")} more agents`, sub: "each waits for the next", title: `${count} agents that each wait for the next one` });
    folded.lines.push({ ...line, from: before, to: key }, { ...last, from: key, to: after });
  }
  return folded;
}

/** Give every box its place, left to right; those that it leads to stand around its height. @param {WhyChain} chain @returns {{w: number, h: number}} */
export function placeChain(chain) {
  const { boxes, lines, first } = chain;
  /** @type {Map<string, string[]>} */ const kids = new Map(), out = new Map();
  for (const { from, to } of lines) out.set(from, [...(out.get(from) ?? []), to]);
  const seen = new Set(), done = new Set(), order = [];
  for (const start of [first, ...boxes.keys()]) {
    if (!boxes.has(start) || seen.has(start)) continue;
    seen.add(start);
    const stack = [{ key: start, next: 0 }];
    while (stack.length) {
      const top = stack[stack.length - 1], to = (out.get(top.key) ?? [])[top.next++];
      if (to === undefined) { order.push(top.key); done.add(top.key); stack.pop(); }
      else if (!seen.has(to) && boxes.has(to)) { seen.add(to); kids.set(top.key, [...(kids.get(top.key) ?? []), to]); stack.push({ key: to, next: 0 }); }
    }
  }
  const rank = new Map(order.map((key, i) => [key, i])); // a line to a higher rank leads back
  for (const box of boxes.values()) box.column = 0;
  for (const key of [...order].reverse()) for (const to of out.get(key) ?? []) {
    const box = boxes.get(to), from = /** @type {WhyBox} */ (boxes.get(key));
    if (box && /** @type {number} */ (rank.get(to)) < /** @type {number} */ (rank.get(key))) box.column = Math.max(box.column, from.column + 1);
  }
  let next = 0;
  for (const key of order) {
    const mine = kids.get(key), box = /** @type {WhyBox} */ (boxes.get(key));
    box.row = mine ? (/** @type {WhyBox} */ (boxes.get(mine[0])).row + /** @type {WhyBox} */ (boxes.get(mine[mine.length - 1])).row) / 2 : next++;
  }
  let w = 0, h = 0;
  const back = lines.some(({ from, to }) => (boxes.get(from)?.column ?? 0) >= (boxes.get(to)?.column ?? 1));
  for (const box of boxes.values()) {
    box.x = WHY_EDGE + box.column * (WHY_BOX_W + WHY_GAP);
    box.y = WHY_EDGE + 8 + box.row * WHY_STEP;
    w = Math.max(w, box.x + WHY_BOX_W + WHY_EDGE);
    h = Math.max(h, box.y + WHY_BOX_H + WHY_EDGE + 14 + (back ? WHY_BACK : 0));
  }
  return { w, h };
}

/** The path of a line: level into what it leads to, or below all that stands between when it leads back. @param {WhyBox} a @param {WhyBox} b @param {number} [low] how far below */
export function linePath(a, b, low = 0) {
  const y = a.y + WHY_BOX_H / 2, end = b.y + WHY_BOX_H / 2;
  if (b.column > a.column) {
    const x = a.x + WHY_BOX_W, turn = x + 26;
    return y === end ? `M${x} ${y}L${b.x - 2} ${end}` : `M${x} ${y}C${x + 18} ${y} ${x + 6} ${end} ${turn} ${end}L${b.x - 2} ${end}`;
  }
  const from = a.x + WHY_BOX_W / 2 + 12, to = b.x + WHY_BOX_W / 2 - 12, r = 10;
  return `M${from} ${a.y + WHY_BOX_H}L${from} ${low - r}Q${from} ${low} ${from - r} ${low}L${to + r} ${low}Q${to} ${low} ${to} ${low - r}L${to} ${b.y + WHY_BOX_H + 2}`;
}

/** How low a line that leads back runs. @param {Iterable<WhyBox>} boxes @param {WhyBox} a @param {WhyBox} b */
export function lowOf(boxes, a, b) {
  let low = 0;
  for (const box of boxes) if (box.column >= b.column && box.column <= a.column) low = Math.max(low, box.y + WHY_BOX_H);
  return low + 22;
}

/** The box next to one in a direction, for arrow keys. @param {WhyBox[]} boxes @param {WhyBox} at @param {string} key */
export function boxBeside(boxes, at, key) {
  const level = key === "ArrowLeft" || key === "ArrowRight", sign = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
  let best = null, near = Infinity;
  for (const box of boxes) {
    const along = sign * (level ? box.x - at.x : box.y - at.y), aside = Math.abs(level ? box.y - at.y : box.x - at.x);
    if (along > 4 && along + 2 * aside < near) { near = along + 2 * aside; best = box; }
  }
  return best;
}

/** Who has waited longest at a moment, cells apart; null for nobody. @param {import("./tape.js").Tape} tape @param {import("./tape.js").Moment} moment @returns {{slot: number, wall: number, row: number} | null} */
export function longestWait(tape, moment) {
  let best = -1, who = -1;
  const take = (/** @type {number} */ slot, /** @type {number} */ row) => { if (tape.origins[slot] !== ROOT && (best < 0 || row < best)) { best = row; who = slot; } };
  for (const row of moment.links.values()) if ((tape.b[row] === CALL || tape.b[row] === PROMISE) && isBusy(tape.statusIn(moment.last[tape.slot[row]] ?? -1))) take(tape.slot[row], row);
  for (let slot = 0; slot < moment.n; slot++) { const row = moment.last[slot]; if (row >= 0 && tape.reasonsIn(row) & ~FOR_CALL && isBusy(tape.statusIn(row))) take(slot, row); }
  return who < 0 ? null : { slot: who, wall: tape.wall[best], row: best };
}

/** The newest refused call at a moment, of an agent of its cycle or of anybody (-1); -1 for none. @param {import("./tape.js").Tape} tape @param {import("./tape.js").Moment} moment @param {number} slot */
export function newestRefusal(tape, moment, slot) {
  const { refusals } = tape, id = tape.ids[slot];
  let low = 0, high = refusals.length;
  while (low < high) { const mid = (low + high) >> 1; if (refusals[mid] < moment.row) low = mid + 1; else high = mid; }
  for (let at = low - 1; at >= 0 && at >= low - RECENT_REFUSALS; at--) {
    const row = refusals[at];
    if (slot < 0 || tape.slot[row] === slot || tape.a[row] === slot || tape.ringIn(row).cycle.some(([agent]) => agent === id)) return row;
  }
  return -1;
}

/** Sentences about a refused cycle. @param {import("./tape.js").Ring} ring */
export function ringSentences({ cycle, edge, left }) {
  const [asker, method, line] = cycle[cycle.length - 1], [target] = cycle[0], size = cycle.length + left, where = filePlace(line) || "an unknown line";
  const said = size === 1
    ? [`${asker} called ${callName(method)} of itself at ${where}. It would have waited for its own reply, so the call was refused.`]
    : [`${asker} called ${callName(method)} of ${target} at ${where}.`, `But ${size === 2 ? `${target} waits for ${asker}` : `${target} waits for ${cycle[1][0]}, and so on round to ${asker}`}: no reply could ever come, so the call was refused.`];
  const cure = cycle[edge];
  return [...said, "It raised DeadlockError in its caller. Nothing hangs.", ...(cure ? [`To mend it, turn the call at ${filePlace(cure[2]) || "that line"} into .${callName(cure[1]).slice(0, -2)}.trigger(...), and pass a promise if its result is needed.`] : [])];
}

// ---- the ring: where its parts lie is told in workbench/views/ring.py ----------------------------------------------------

const RING_ROUND = 6, RING_W = 168, RING_H = 30, RING_PITCH = 74, RING_MORE = 32, RING_RAIL = 34, RING_WORDS = 200, RING_LINE = 16;
const RING_RADII = [[0, 0], [96, 44], [190, 54], [176, 96], [196, 104], [232, 150], [246, 150]], RING_BEGIN = [0, 0.5, 1, -0.5, -0.75, -0.5, -2 / 3];

/** Where so many agents and their calls lie: in a round when there is room, else in a column. @param {number} agents @param {number} gap before which of them some are left out; -1 for none @param {boolean} round @returns {RingShape} */
export function ringShape(agents, gap, round) {
  return round && agents <= RING_ROUND ? roundRing(agents) : columnRing(agents, gap);
}

/** @param {number} agents @returns {RingShape} */
function roundRing(agents) {
  const [rx, ry] = RING_RADII[agents], grain = 720, angles = Array.from({ length: agents }, (_, i) => (RING_BEGIN[agents] + (2 * i) / agents) * Math.PI);
  const at = (/** @type {number} */ t) => /** @type {[number, number]} */ ([rx * Math.cos(t), ry * Math.sin(t)]), chips = angles.map(at);
  const inside = (/** @type {[number, number]} */ [x, y], /** @type {[number, number]} */ [cx, cy]) => Math.abs(x - cx) < RING_W / 2 + 3 && Math.abs(y - cy) < RING_H / 2 + 3;
  /** @type {RingArc[]} */ const arcs = angles.map((angle, i) => {
    const span = (2 * Math.PI) / agents, step = (/** @type {number} */ k) => angle + (span * k) / grain, there = chips[(i + 1) % agents];
    let first = 0, last = grain;
    while (first < grain && inside(at(step(first)), chips[i])) first++;
    while (last > 0 && inside(at(step(last)), there)) last--;
    const [ax, ay] = at(step(first)), [bx, by] = at(step(last)), [cx, cy] = at(step(last - 6)), t = (step(first) + step(last)) / 2, [x, y] = at(t), side = Math.cos(t), down = Math.sin(t);
    const anchor = side > 0.3 ? "start" : side < -0.3 ? "end" : "middle", out = anchor === "start" ? 16 : anchor === "end" ? -16 : 0;
    return { path: `M${ax.toFixed(1)} ${ay.toFixed(1)}A${rx} ${ry} 0 ${step(last) - step(first) > Math.PI ? 1 : 0} 1 ${bx.toFixed(1)} ${by.toFixed(1)}`, tip: [bx, by], turn: Math.atan2(by - cy, bx - cx), middle: [x, y], words: [x + out, y + (out ? 0 : Math.sign(down) * 14)], anchor, lift: out ? 0.5 - down / 2 : down > 0 ? 0 : 1 };
  });
  return { chips, arcs, rail: 0 };
}

/** The one whose call was refused stands on top, so that this is seen first. @param {number} agents @param {number} gap @returns {RingShape} */
function columnRing(agents, gap) {
  const last = agents - 1, under = (/** @type {number} */ place) => place * RING_PITCH + (place && agents > 1 ? RING_MORE : 0) + (gap >= 0 && place > gap ? RING_PITCH / 2 : 0);
  const chips = Array.from({ length: agents }, (_, i) => /** @type {[number, number]} */ ([0, under((i + 1) % agents)]));
  const low = under(last) + RING_H / 2 + 26, rail = -RING_W / 2 - RING_RAIL, end = -RING_W / 2 - 3;
  /** @type {RingArc[]} */ const arcs = chips.map(([, y], i) => {
    const top = y + RING_H / 2, next = chips[(i + 1) % agents][1] - RING_H / 2 - 3, middle = (top + next) / 2;
    if (next > top) return { path: `M0 ${top}L0 ${next}`, tip: [0, next], turn: Math.PI / 2, middle: [0, middle], words: [18, middle], anchor: "start", lift: 0.5 };
    return { path: `M0 ${top}L0 ${low - 8}Q0 ${low} -8 ${low}L${rail + 8} ${low}Q${rail} ${low} ${rail} ${low - 8}L${rail} 8Q${rail} 0 ${rail + 8} 0L${end} 0`, tip: [end, 0], turn: 0, middle: [-30, low], words: [18, top + 4], anchor: "start", lift: 0 };
  });
  return { chips, arcs, rail: rail - 6 };
}

/** How far a ring reaches, its words with it. @param {RingShape} shape @param {number[]} lines of words at each call */
export function ringBounds({ chips, arcs, rail }, lines) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  const reach = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ w, /** @type {number} */ h) => { left = Math.min(left, x); top = Math.min(top, y); right = Math.max(right, x + w); bottom = Math.max(bottom, y + h); };
  for (const [x, y] of chips) reach(x - RING_W / 2, y - RING_H / 2, RING_W, RING_H);
  arcs.forEach((arc, i) => {
    const h = lines[i] * RING_LINE, [x, y] = arc.words;
    reach(arc.middle[0] - 10, arc.middle[1] - 10, 20, 20);
    reach(arc.anchor === "start" ? x : arc.anchor === "end" ? x - RING_WORDS : x - RING_WORDS / 2, y - arc.lift * h, RING_WORDS, h);
  });
  left = Math.min(left, rail);
  return { left, top, w: right - left, h: bottom - top };
}

// ---- words -----------------------------------------------------------------------------------------------------------

/** @typedef {{kind: "text" | "agent" | "entry", text: string, slot: number, seq: number}} WhyWord */

/** A sentence in parts: the agents that its link names and the entries that it is read off are links. @param {string} sentence @param {any} [link] @returns {WhyWord[]} */
export function sentenceParts(sentence, link) {
  /** @type {WhyWord[]} */ const parts = [], say = (/** @type {string} */ text) => { if (text) parts.push({ kind: "text", text, slot: -1, seq: 0 }); };
  if (!link) { say(sentence); return parts; }
  const names = /** @type {Map<string, number>} */ (new Map([[link.agent, link.slot ?? -1], ...(link.to ?? []).map((/** @type {string} */ id, /** @type {number} */ i) => [id, link.toSlots?.[i] ?? -1])]));
  const ids = [...names.keys()].filter(Boolean).sort((x, y) => y.length - x.length), text = link.line ? link.text.split(link.line).join(filePlace(link.line)) : link.text;
  let told = 0;
  for (let at = 0; at < text.length;) {
    const id = ids.find((one) => text.startsWith(one, at));
    if (!id) { at++; continue; }
    say(text.slice(told, at));
    parts.push({ kind: "agent", text: id, slot: names.get(id) ?? -1, seq: 0 });
    told = at += id.length;
  }
  say(text.slice(told));
  const entries = [...new Set((link.entries ?? []).filter(Boolean))], shown = /** @type {number[]} */ (entries.length > ENTRIES_TOLD ? entries.slice(0, ENTRIES_TOLD - 1) : entries);
  if (shown.length) { say(" "); say("("); }
  shown.forEach((seq, i) => { if (i) say(", "); parts.push({ kind: "entry", text: `#${seq}`, slot: -1, seq }); });
  if (entries.length > shown.length) say(` and ${(entries.length - shown.length).toLocaleString("en")} more`);
  say(shown.length ? ")." : ".");
  return parts;
}

/** Each sentence with the link that it tells. @param {string[]} sentences @param {any[]} links @returns {[string, any][]} */
export function sentencesWithLinks(sentences, links) {
  const left = [...links];
  return sentences.map((sentence) => {
    const at = left.findIndex((link) => link.text && sentence.startsWith(link.text));
    return at < 0 ? [sentence, undefined] : [sentence, left.splice(at, 1)[0]];
  });
}

// ---- on screen -------------------------------------------------------------------------------------------------------

const SVG_NS = "http://www.w3.org/2000/svg";

/** @param {string} tag @param {Record<string, string | number>} attributes @returns {SVGElement} */
function svgNode(tag, attributes) {
  const node = /** @type {SVGElement} */ (document.createElementNS(SVG_NS, tag));
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, `${value}`);
  return node;
}

/** Why an agent waits, in words and drawn. */
export class WhyPane {
  title = make("div", "wb-why-title");
  hint = make("span", "wb-why-hint wb-faint");
  switch = make("div", "wb-why-switch");
  waitsKey = button("waits", "The chain of waits (D switches)", () => this.show("waits"));
  ringKey = button("refused deadlock", "The cycle of calls that was refused (D switches)", () => this.show("ring"));
  note = make("div", "wb-why-note wb-faint");
  body = make("div", "wb-why-body");
  words = make("div", "wb-why-words");
  list = make("ol", "wb-why-list");
  picture = make("div", "wb-why-picture");
  sheet = make("div", "wb-why-sheet");
  empty = make("div", "wb-why-empty");
  wide = false; // words and picture side by side
  isRound = false;
  nobody = true; // is selected
  headed = ""; // what the headline is of
  pictureOf = "";
  lookedAt = 0;
  refusals = 0;
  /** @type {{slot: number, wall: number, row: number} | null} */ oldest = null;
  /** @type {import("./tape.js").Tape | undefined} */ tape;

  /** @param {import("./desk.js").Desk} desk @param {HTMLElement} el */
  constructor(desk, el) {
    this.desk = desk;
    this.el = el;
    this.slot = -1; // about whom
    this.refusal = -1; // row of the refused call that is offered
    this.shown = ""; // "waits", "ring" or "nobody"
    this.picked = ""; // which of them somebody asked to see
    this.round = 0;
    this.asking = false;
    this.askedAt = -Infinity;
    /** @type {any} */ this.answer = null;
    this.answerFor = -1;
    this.trouble = "";
    this.drawn = "";
    this.spoken = "";
    this.pictureW = 0;
    this.later = this.ticking = 0;
    /** @type {[Node & {textContent: string | null}, () => string][]} texts that change with time */ this.times = [];
    /** @type {Text[]} */ this.said = [];
    /** @type {WhyBox[]} */ this.places = [];
    /** @type {(() => void)[]} */ this.undo = [];
    this.theme = readTheme(el);
    this.build();
    this.retheme();
    this.look(true);
  }

  build() {
    const { el } = this;
    el.classList.add("wb-why");
    const head = make("div", "wb-why-head");
    this.switch.setAttribute("role", "group");
    this.switch.setAttribute("aria-label", "What is shown");
    this.switch.append(this.waitsKey, this.ringKey);
    head.append(this.title, this.hint, this.switch);
    this.words.setAttribute("aria-label", "Why, in words");
    this.words.append(this.note, this.list);
    this.picture.tabIndex = 0;
    this.picture.setAttribute("role", "group");
    this.picture.append(this.sheet);
    this.body.append(this.words, this.picture);
    el.append(head, this.body, this.empty);
    const keys = (/** @type {KeyboardEvent} */ e) => this.walk(e);
    this.picture.addEventListener("keydown", keys);
    const sizes = new ResizeObserver(() => this.resize());
    sizes.observe(el);
    this.ticking = /** @type {any} */ (setInterval(() => this.tick(), WHY_MS));
    this.undo.push(() => this.picture.removeEventListener("keydown", keys), () => sizes.disconnect());
  }

  close() {
    this.round++;
    clearInterval(this.ticking);
    clearTimeout(this.later);
    for (const undo of this.undo) undo();
  }

  focus() { (this.places.length ? this.sheet.querySelector("button") : this.picture)?.focus(); }

  resize() {
    const room = this.el.clientWidth, wide = room >= SURELY_BESIDE || (room >= SIDE_BY_SIDE && this.pictureW + WORDS_BESIDE <= room);
    if (wide !== this.wide) { this.wide = wide; this.el.classList.toggle("wb-why-wide", wide); }
    if (this.shown === "ring" && this.roundFits() !== this.isRound) { this.drawn = ""; this.draw(); }
  }

  retheme() {
    const { style } = this.el, theme = (this.theme = readTheme(this.el));
    for (const [name, status] of /** @type {[string, number][]} */ ([["--wb-call", RUNNING], ["--wb-wait", WAITING], ["--wb-bad", FAILED], ["--wb-cure", DONE]])) style.setProperty(name, theme.colours[status]);
    this.drawn = "";
  }

  // ---- what is shown -------------------------------------------------------------------------------------------------

  /** @param {import("./desk.js").News} news */
  update(news) {
    if (news.theme) this.retheme();
    const soon = news.selection || news.clock || news.theme || news.kernel || this.tape !== this.desk.tape || (news.rows && this.desk.tape.refusals.length !== this.refusals);
    if (soon) this.look(news.selection || news.clock);
    else if (news.rows && !this.later) this.later = /** @type {any} */ (setTimeout(() => { this.later = 0; this.look(false); }, Math.max(0, this.lookedAt + WHY_MS - performance.now())));
  }

  /** Find out about whom, and draw it. @param {boolean} anew whether somebody asked for something else */
  look(anew) {
    const { desk } = this, { tape, moment } = desk;
    this.lookedAt = performance.now();
    this.tape = tape;
    this.refusals = tape.refusals.length;
    const chosen = desk.focus >= 0 && desk.focus < moment.n ? desk.focus : -1, longest = chosen < 0 ? longestWait(tape, moment) : null;
    const slot = chosen >= 0 ? chosen : (longest?.slot ?? -1), refusal = newestRefusal(tape, moment, chosen);
    this.oldest = longest;
    this.nobody = chosen < 0;
    if (slot !== this.slot || anew) { this.answer = slot === this.answerFor ? this.answer : null; this.trouble = ""; }
    if (slot !== this.slot || refusal !== this.refusal) { this.picked = ""; this.askedAt = -Infinity; }
    this.slot = slot;
    this.refusal = refusal;
    this.shown = this.picked || this.defaultFor(chosen, longest);
    if (this.shown === "waits") this.askSoon();
    this.draw();
  }

  /** A refused cycle is shown until somebody of it waits again. @param {number} chosen @param {{row: number} | null} longest */
  defaultFor(chosen, longest) {
    const { refusal, slot, desk } = this;
    if (refusal < 0) return slot < 0 ? "nobody" : "waits";
    if (slot < 0) return "ring";
    if (chosen < 0) return longest && longest.row > refusal ? "waits" : "ring";
    for (const row of desk.moment.links.values()) if (desk.tape.slot[row] === slot && row > refusal) return "waits";
    const last = desk.moment.last[slot] ?? -1;
    return last > refusal && isBusy(desk.tape.statusIn(last)) && desk.tape.reasonsIn(last) & ~FOR_CALL ? "waits" : "ring";
  }

  /** @param {string} what */
  show(what) {
    if (this.shown === what) return;
    this.picked = what;
    this.shown = what;
    this.drawn = "";
    if (what === "waits") this.askSoon();
    this.draw();
  }

  get atLive() { return this.desk.clock === null; }

  /** Ask the kernel, once a second at most. */
  askSoon() {
    const { desk, slot } = this, now = performance.now();
    if (!this.atLive || this.asking || slot < 0) return;
    if (now - this.askedAt < WHY_MS * 0.9) return;
    if (!desk.live && this.answerFor === slot && (this.answer || this.trouble)) return;
    this.asking = true;
    this.askedAt = now;
    const { round } = this, { tape } = desk;
    const settle = () => { this.asking = false; if (round === this.round && this.slot !== slot && this.shown === "waits") { this.askedAt = -Infinity; this.askSoon(); } if (round === this.round) this.draw(); };
    desk.ask("why", { slot }, `${slot}`).then((answer) => {
      if (round !== this.round || desk.tape !== tape) return;
      if (slot === this.slot) { this.answer = answer; this.answerFor = slot; this.trouble = ""; }
    }, (error) => {
      if (round !== this.round || slot !== this.slot) return;
      this.answer = null;
      this.answerFor = slot;
      this.trouble = desk.live ? `${error?.message ?? error}` : "none";
    }).then(settle);
    if (this.answerFor !== slot) setTimeout(() => { if (round === this.round && this.asking) this.draw(); }, HOLD_MS);
  }

  tick() {
    if (!this.el.clientWidth || !this.el.isConnected) return;
    for (const [node, text] of this.times) { const now = text(); if (node.textContent !== now) node.textContent = now; }
    if (this.atLive && this.desk.live && this.shown === "waits" && performance.now() - this.askedAt > AGAIN_MS) this.askSoon();
  }

  // ---- drawing -------------------------------------------------------------------------------------------------------

  draw() {
    const { desk, shown, slot, refusal } = this;
    this.body.hidden = shown === "nobody";
    this.empty.hidden = shown !== "nobody";
    this.switch.hidden = refusal < 0 || slot < 0;
    this.waitsKey.classList.toggle("wb-on", shown === "waits");
    this.ringKey.classList.toggle("wb-on", shown === "ring");
    for (const [key, on] of /** @type {[HTMLElement, boolean][]} */ ([[this.waitsKey, shown === "waits"], [this.ringKey, shown === "ring"]])) key.setAttribute("aria-pressed", `${on}`);
    if (shown === "nobody") this.drawNobody();
    else if (shown === "ring") this.drawRing(desk.tape.ringIn(refusal), refusal);
    else this.drawWaits();
  }

  /** @param {(string | Node)[]} parts @param {string} hint */
  headline(parts, hint) {
    this.title.replaceChildren(...parts);
    setText(this.hint, hint);
    this.hint.hidden = !hint;
  }

  drawNobody() {
    this.headline(["Nobody waits"], "");
    this.drawn = "";
    this.places = [];
    const past = this.atLive ? "" : " at this moment";
    this.empty.replaceChildren(make("strong", "", `Nobody waits${past}`), make("p", "", "Here stands why an agent waits: for whom or what, and what that waits for in turn, down to the cause. With nobody selected it is the agent that has waited longest."));
  }

  /** Whether the kernel's answer is what is shown. */
  get known() { return this.atLive && this.answer && this.answerFor === this.slot; }

  drawWaits() {
    const { desk, slot, answer } = this, { tape, moment } = desk, known = this.known;
    if (this.atLive && !known && this.answerFor !== slot && performance.now() - this.askedAt < HOLD_MS && desk.live) { this.drawTitle(); return; }
    const chain = foldRuns(known ? chainOfLinks(answer.links, answer.about, (id) => { const at = tape.slotOf(id); return at >= 0 ? tape.name(at) : shortId(id); }, desk.live ? 0 : desk.now()) : chainOfTape(tape, moment, slot));
    this.drawTitle();
    this.drawNote(known ? "" : !this.atLive ? "Drawn from what was open at this moment. The words are known at the live edge only." : !desk.live ? "No kernel answers. Drawn from what was saved; the words are not known." : this.trouble && this.trouble !== "none" ? this.trouble : "The kernel has not answered yet. Drawn from what the views know.");
    this.drawChain(chain);
    const pairs = known ? sentencesWithLinks(answer.sentences, answer.links).map(([sentence, link]) => sentenceParts(sentence, link)) : rootParts(chain);
    this.drawSentences(pairs);
  }

  drawTitle() {
    const { desk, slot, nobody, oldest } = this, { tape, moment } = desk, status = tape.statusOf(moment, slot), waits = isBusy(status) && (tape.reasonsIn(moment.last[slot] ?? -1) || nobody);
    const key = `${slot} ${waits} ${nobody} ${status} ${tape.name(slot)}`;
    if (this.headed === key && this.title.firstChild) return;
    this.headed = key;
    const icon = statusIcon(status, this.theme, 12);
    this.headline([icon, waits ? "Why does " : "Why is ", agentLink(desk, slot), waits ? " wait?" : ` ${STATUS[status]}?`], nobody ? "nobody is selected: this agent has waited longest" : "");
    if (nobody && oldest) this.hint.title = `since ${new Date(oldest.wall).toLocaleString()}`;
  }

  /** @param {string} text */
  drawNote(text) {
    setText(this.note, text);
    this.note.hidden = !text;
  }

  /** @param {WhyWord[][]} sentences */
  drawSentences(sentences) {
    const form = JSON.stringify(sentences.map((parts) => parts.map((part) => (part.kind === "text" ? 0 : [part.kind, part.slot, part.seq]))));
    this.list.hidden = !sentences.length;
    if (form === this.spoken && this.said.length) {
      let at = 0;
      for (const parts of sentences) for (const part of parts) if (part.kind === "text") { const node = this.said[at++]; if (node && node.data !== part.text) node.data = part.text; }
      return;
    }
    this.spoken = form;
    this.said = [];
    this.list.replaceChildren(...sentences.map((parts) => {
      const item = make("li", "");
      let into = /** @type {HTMLElement} */ (item);
      for (const part of parts) {
        if (part.kind === "text" && part.text === "(") item.append((into = make("span", "wb-why-read")));
        if (part.kind === "agent") into.append(agentLink(this.desk, part.slot >= 0 ? part.slot : this.desk.tape.slotOf(part.text)));
        else if (part.kind === "entry") into.append(entryLink(this.desk, part.seq, part.text));
        else { const node = document.createTextNode(part.text); this.said.push(node); into.append(node); }
      }
      return item;
    }));
  }

  /** Draw only when the picture is another one, times apart; who has the keyboard keeps it. @param {string} key @param {() => void} act */
  redraw(key, act) {
    if (key === this.drawn) { this.tick(); return; }
    this.drawn = key;
    this.sheet.classList.toggle("wb-why-middle", this.shown === "ring");
    const held = this.sheet.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.key : undefined, { scrollLeft, scrollTop } = this.picture, same = this.pictureOf === `${this.shown} ${this.slot}`;
    this.pictureOf = `${this.shown} ${this.slot}`;
    this.times = [];
    this.sheet.replaceChildren();
    act();
    this.resize();
    if (same) { this.picture.scrollLeft = scrollLeft; this.picture.scrollTop = scrollTop; } else this.picture.scrollLeft = this.picture.scrollTop = 0;
    if (held !== undefined) ([...this.sheet.querySelectorAll("button")].find((one) => one.dataset.key === held) ?? this.picture).focus();
  }

  /** @param {number} w @param {number} h of the picture */
  size(w, h) {
    this.pictureW = w;
    this.sheet.style.width = `${w}px`;
    this.sheet.style.height = `${h}px`;
  }

  /** @param {HTMLElement} node @param {() => string} text */
  timed(node, text) {
    node.textContent = text();
    this.times.push([node, text]);
    return node;
  }

  /** @param {WhyChain} chain */
  drawChain(chain) {
    const { desk } = this, { tape, moment } = desk, boxes = [...chain.boxes.values()], { w, h } = placeChain(chain);
    const key = JSON.stringify([boxes.map((box) => [box.key, box.name, box.sub, box.root, box.alike, box.row, box.column, box.slot >= 0 ? tape.statusOf(moment, box.slot) : -1]), chain.lines.map((line) => [line.from, line.to, line.text, line.sub, line.kind, line.since])]);
    this.places = boxes;
    this.picture.setAttribute("aria-label", `Chain of waits: ${counted(boxes.filter((box) => box.form === "agent").length, "agent")}. Arrow keys walk, Enter selects.`);
    this.redraw(key, () => {
      const svg = svgNode("svg", { width: w, height: h, class: "wb-why-lines", "aria-hidden": "true" });
      this.size(w, h);
      this.sheet.append(svg);
      const drawn = new Set();
      for (const line of chain.lines) {
        const a = chain.boxes.get(line.from), b = chain.boxes.get(line.to);
        if (!a || !b) continue;
        const back = b.column <= a.column, low = back ? lowOf(boxes, a, b) : 0, path = linePath(a, b, low);
        svg.append(svgNode("path", { d: path, class: `wb-why-line wb-why-${line.kind}` }));
        svg.append(back ? headAt(b.x + WHY_BOX_W / 2 - 12, b.y + WHY_BOX_H, -Math.PI / 2, line.kind) : headAt(b.x - 1, b.y + WHY_BOX_H / 2, 0, line.kind));
        const told = `${line.to} ${back ? "back" : a.column}`;
        if (drawn.has(told)) continue;
        drawn.add(told);
        if (back) { const node = make("div", "wb-why-since wb-why-behind", line.text); node.style.left = `${(a.x + b.x) / 2}px`; node.style.top = `${low - 7}px`; node.style.width = `${WHY_BOX_W}px`; node.title = line.title; if (line.text) this.sheet.append(node); } else this.drawLineWords(line, b);
      }
      const roots = boxes.filter((box) => box.root).length;
      for (const box of boxes) this.sheet.append(this.drawBox(box, chain.lines.length > 0, roots <= TAGGED));
    });
  }

  /** What is said at a line, just before what it leads to. @param {WhyLine} line @param {WhyBox} b */
  drawLineWords(line, b) {
    const { desk } = this, said = [make("div", "wb-why-call wb-code", line.text), make("div", "wb-why-since", line.sub), make("div", "wb-why-since")], y = b.y + WHY_BOX_H / 2;
    said.forEach((node, i) => {
      node.style.left = `${b.x - WHY_GAP + 26}px`;
      node.style.width = `${WHY_GAP - 36}px`;
      node.style.top = `${y + (i ? (line.sub ? 3 + 13 * (i - 1) : 3) : -17)}px`;
      node.title = i ? line.sub : line.title || line.text;
    });
    if (line.since) this.timed(said[2], () => describeTime(desk.now() - line.since));
    this.sheet.append(...said.filter((node) => node.textContent));
  }

  /** @param {WhyBox} box @param {boolean} chained whether there are others @param {boolean} tagged whether a root is called one */
  drawBox(box, chained, tagged) {
    const { desk } = this, { tape, moment } = desk, node = make(box.slot >= 0 ? "button" : "div", `wb-why-box wb-why-of-${box.form}${box.root && chained ? " wb-why-root" : ""}${box.alike ? " wb-why-pile" : ""}${desk.selected.has(box.slot) ? " wb-why-selected" : ""}`);
    node.style.left = `${box.x}px`;
    node.style.top = `${box.y}px`;
    node.dataset.key = box.key;
    const sign = box.form === "agent" && box.slot >= 0 ? statusIcon(tape.statusOf(moment, box.slot), this.theme, 12) : make("span", "wb-why-sign", box.sign || "⋯"), text = make("div", "wb-why-text");
    const [name, whose] = box.form === "matter" ? box.name.split(/ (?=of )/) : [box.name]; // a promise, and who made it below
    text.append(cutName(name));
    const status = box.slot >= 0 ? tape.statusOf(moment, box.slot) : -1, sub = make("div", "wb-why-sub");
    this.timed(sub, () => {
      if (box.due) { const left = box.due - desk.now(); return left > 0 ? `due in ${describeTime(left)}` : "due now"; }
      const ago = box.since ? describeTime(desk.now() - box.since) : "";
      return [whose && `${whose},`, box.sub || (status >= 0 ? STATUS[status] : ""), ago && `for ${ago}`].filter(Boolean).join(" ");
    });
    text.append(sub);
    node.append(sign, text);
    node.title = [box.form === "agent" && box.slot >= 0 ? tape.ids[box.slot] : box.title, box.root && box.title !== tape.ids[box.slot] ? box.title : ""].filter(Boolean).filter((one, i, all) => all.indexOf(one) === i).join("\n");
    if (box.root && chained && tagged) node.append(make("span", "wb-why-tag", "root cause"));
    if (box.alike) { const more = make("span", "wb-why-alike", `+${box.alike.toLocaleString("en")} alike`); more.title = `${counted(box.alike, "more agent")} in the same position`; node.append(more); }
    if (box.slot >= 0) node.onclick = (e) => { e.stopPropagation(); desk.select([box.slot], e.shiftKey || e.ctrlKey || e.metaKey); };
    return node;
  }

  // ---- a refused cycle -----------------------------------------------------------------------------------------------

  /** Whether the picture has room for a round ring. */
  roundFits() {
    const room = this.el.clientWidth, size = this.refusal >= 0 ? this.desk.tape.ringIn(this.refusal).cycle.length : 0;
    return room >= (size <= 2 ? 580 : 700);
  }

  /** @param {import("./tape.js").Ring} ring @param {number} row */
  drawRing(ring, row) {
    const { desk, sheet } = this, { tape, moment } = desk, size = ring.cycle.length + ring.left, round = (this.isRound = this.roundFits());
    const asker = tape.slot[row], key = `ring ${row} ${round} ${ring.cycle.map(([id]) => { const slot = tape.slotOf(id); return slot < moment.n ? tape.statusOf(moment, slot) : ""; })} ${[...desk.selected]}`;
    this.headed = "";
    const icon = statusIcon(FAILED, this.theme, 12);
    this.headline([icon, size === 1 ? "Deadlock refused: an agent awaits itself" : `Deadlock refused: ${size.toLocaleString("en")} agents wait for each other`], "");
    this.drawNote("");
    this.drawSentences([...ringSentences(ring).map((text) => sentenceParts(text)), [{ kind: "text", text: "It is entry ", slot: -1, seq: 0 }, { kind: "entry", text: `#${tape.seq[row]}`, slot: -1, seq: tape.seq[row] }, { kind: "text", text: " of ", slot: -1, seq: 0 }, { kind: "agent", text: tape.ids[asker] ?? "", slot: asker, seq: 0 }, { kind: "text", text: ".", slot: -1, seq: 0 }]]);
    this.picture.setAttribute("aria-label", `Ring of ${counted(size, "agent")} whose calls wait for each other. Arrow keys walk, Enter selects.`);
    this.redraw(key, () => {
      const gap = ring.left ? Math.floor(ring.cycle.length / 2) : -1, shape = ringShape(ring.cycle.length, gap, round), last = ring.cycle.length - 1, words = ring.cycle.map((_, i) => ringWords(ring, i, gap));
      const bounds = ringBounds(shape, words.map((lines) => lines.length)), w = bounds.w + 2 * WHY_EDGE, h = bounds.h + 2 * WHY_EDGE, dx = WHY_EDGE - bounds.left, dy = WHY_EDGE - bounds.top;
      this.size(w, h);
      const svg = svgNode("svg", { width: w, height: h, class: "wb-why-lines", "aria-hidden": "true" }), all = svgNode("g", { transform: `translate(${dx} ${dy})` });
      svg.append(all);
      sheet.append(svg);
      shape.arcs.forEach((arc, i) => {
        const kind = i === gap - 1 ? "left" : i === last ? "refused" : "call";
        all.append(svgNode("path", { d: arc.path, class: `wb-why-line wb-why-${kind}` }), headAt(arc.tip[0], arc.tip[1], arc.turn, kind));
        if (kind === "refused") { const [x, y] = arc.middle; all.append(svgNode("circle", { cx: x, cy: y, r: 8, class: "wb-why-stop" }), svgNode("path", { d: `M${x - 3} ${y - 3}l6 6m0 -6l-6 6`, class: "wb-why-stop" })); }
        const block = make("div", `wb-why-block wb-why-to-${arc.anchor}`), [x, y] = arc.words, high = words[i].length * RING_LINE;
        block.style.left = `${dx + (arc.anchor === "start" ? x : arc.anchor === "end" ? x - RING_WORDS : x - RING_WORDS / 2)}px`;
        block.style.top = `${dy + y - arc.lift * high}px`;
        block.style.width = `${RING_WORDS}px`;
        block.title = kind === "left" ? `${ring.left} agents are left out` : `${ring.cycle[i][1]} called at ${ring.cycle[i][2] || "an unknown line"}`;
        for (const [look, text] of words[i]) block.append(make("div", `wb-why-${look}`, text));
        sheet.append(block);
      });
      this.places = shape.chips.map(([x, y], i) => {
        const [id] = ring.cycle[i], slot = tape.slotOf(id), there = slot >= 0 && slot < moment.n;
        const box = whyBox({ boxes: new Map(), lines: [], first: "" }, `r ${i}`, { slot: there ? slot : -1, name: slot >= 0 ? tape.name(slot) : shortId(id), title: id, x: dx + x - RING_W / 2, y: dy + y - RING_H / 2 });
        const node = make(there ? "button" : "div", `wb-why-chip${desk.selected.has(slot) ? " wb-why-selected" : ""}`);
        node.style.left = `${box.x}px`;
        node.style.top = `${box.y}px`;
        node.dataset.key = box.key;
        node.title = id;
        node.append(statusIcon(there ? tape.statusOf(moment, slot) : WAITING, this.theme, 12), cutName(box.name));
        if (there) node.onclick = (e) => { e.stopPropagation(); desk.select([slot], e.shiftKey || e.ctrlKey || e.metaKey); };
        sheet.append(node);
        return box;
      });
    });
  }

  // ---- keys ----------------------------------------------------------------------------------------------------------

  /** @param {KeyboardEvent} e */
  walk(e) {
    if (!e.key.startsWith("Arrow") || e.ctrlKey || e.metaKey || e.altKey) return;
    const key = /** @type {HTMLElement} */ (e.target).dataset?.key, at = this.places.find((box) => box.key === key), there = this.places.filter((box) => box.slot >= 0);
    const next = at ? boxBeside(there, at, e.key) : there[0];
    if (next) { const node = [...this.sheet.querySelectorAll("button")].find((one) => one.dataset.key === next.key); node?.focus(); node?.scrollIntoView({ block: "nearest", inline: "nearest" }); }
    else if (!at) return; // let it scroll
    e.preventDefault();
    e.stopPropagation();
  }

  /** @param {KeyboardEvent} e */
  key(e) {
    if ((e.key === "d" || e.key === "D") && !this.switch.hidden) { this.show(this.shown === "ring" ? "waits" : "ring"); return true; }
    return false;
  }
}

/** What is said at a call of a ring: how it looks, and the words. @param {import("./tape.js").Ring} ring @param {number} i @param {number} gap @returns {[string, string][]} */
export function ringWords({ cycle, edge, left }, i, gap) {
  if (i === gap - 1) return [["since", `… ${left.toLocaleString("en")} more in turn …`]];
  const [, method, line] = cycle[i];
  /** @type {[string, string][]} */ const words = [["method wb-code", `${method}()`], ["since", filePlace(line) || "unknown line"]];
  if (i === cycle.length - 1) words.push(["no", "refused"]);
  if (i === edge) words.push(["yes", `turn into .${callName(method).slice(0, -2)}.trigger(...)`]);
  return words;
}

/** What the roots of a chain are, when the kernel's words are not known. @param {WhyChain} chain @returns {WhyWord[][]} */
export function rootParts(chain) {
  const text = (/** @type {string} */ said) => /** @type {WhyWord} */ ({ kind: "text", text: said, slot: -1, seq: 0 });
  const roots = [...chain.boxes.values()].filter((box) => box.root).slice(0, 8);
  return roots.map((box) => {
    if (box.form === "agent") return [text("It hangs on "), /** @type {WhyWord} */ ({ kind: "agent", text: box.title, slot: box.slot, seq: 0 }), text(box.sub ? `: ${box.sub}.` : ".")];
    const who = chain.lines.find((line) => line.to === box.key)?.from, agent = who === undefined ? undefined : chain.boxes.get(who);
    return agent ? [/** @type {WhyWord} */ ({ kind: "agent", text: agent.title, slot: agent.slot, seq: 0 }), text(` waits for ${box.name}${box.sub ? `, which is ${box.sub.replace(/^is /, "")}` : ""}.`)] : [text(`It hangs on ${box.name}.`)];
  });
}

/** A name that is cut in its middle where there is no room: its end tells it from others. @param {string} name */
function cutName(name) {
  const node = make("div", "wb-why-name");
  node.append(make("span", "", name.slice(0, -NAME_TAIL)), make("span", "", name.slice(-NAME_TAIL)));
  return node;
}

/** The head of an arrow. @param {number} x @param {number} y @param {number} turn in radians @param {string} kind */
function headAt(x, y, turn, kind) {
  return svgNode("path", { d: "M1 0L-7 -4.5V4.5Z", transform: `translate(${x} ${y}) rotate(${((turn * 180) / Math.PI).toFixed(0)})`, class: `wb-why-tip wb-why-${kind}` });
}
