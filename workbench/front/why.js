// @ts-check
// Why somebody waits: the sentences of the kernel, and the chain of waits drawn from who waits to what it all hangs on.
// At a past moment, and without a kernel, the chain is drawn from the tape alone. A cycle of calls that was refused is a ring.
import { CALL, DONE, FAILED, INTERRUPTED, PROMISE, QUEUED, ROOT, RUNNING, STATUS, WAITING, describeTime, isBusy, shortId } from "./graph_store.js";
import { readTheme } from "./graph_paint.js";
import { make, setText } from "./graph.js";
import { agentLink, button, counted, entryLink, statusIcon } from "./marks.js";
import { ARROW_ROW, FOR_CALL, FOR_PROMISE, FOR_STEP, FOR_TIMER } from "./tape.js";
import { filePlace } from "./oplog.js";

const WHY_MS = 1000, AGAIN_MS = 5000, HOLD_MS = 300, SIDE_BY_SIDE = 820;
const WHY_BOX_W = 158, WHY_BOX_H = 40, WHY_GAP = 142, WHY_STEP = 62, WHY_EDGE = 16, MOST_BOXES = 80;
const SEVERAL = 3, KINDS_SHOWN = 4, LONG_RUN = 7, RUN_ENDS = 2, RECENT_REFUSALS = 200, LOOK_ON = 200, ENTRIES_TOLD = 4;
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

/** The chain that an answer of the kernel tells. @param {any[]} links @param {string} about @param {(id: string) => string} name what an agent is called @returns {WhyChain} */
export function chainOfLinks(links, about, name) {
  /** @type {WhyChain} */ const chain = { boxes: new Map(), lines: [], first: `a ${about}` };
  for (const link of links) {
    if (BESIDE.has(link.kind)) continue;
    const key = `a ${link.agent}`, box = whyBox(chain, key, { slot: link.slot ?? -1, name: name(link.agent), title: link.agent }), since = (link.since ?? 0) / 1e6, count = link.count ?? 1;
    if (link.alike) box.alike = link.alike;
    const to = link.to ?? [], place = filePlace(link.line ?? "");
    if (link.kind in STANDS && !to.length) {
      whyBox(chain, key, { root: true, sub: link.kind === "running" && link.what ? `runs ${link.what}` : STANDS[link.kind], title: link.end || link.text || link.agent });
    } else if (link.kind in MATTERS) {
      const matter = matterBox(chain, link, count, since);
      chain.lines.push({ from: key, to: matter.key, text: count > 1 ? `${count.toLocaleString("en")} of them` : "", sub: place, title: link.text ?? "", kind: link.kind === "orphan" ? "promise" : link.kind, since: matter.due ? 0 : since });
      to.forEach((/** @type {string} */ id, /** @type {number} */ i) => {
        whyBox(chain, `a ${id}`, { slot: link.toSlots?.[i] ?? -1, name: name(id), title: id });
        chain.lines.push({ from: matter.key, to: `a ${id}`, text: "could complete it", sub: "", title: `${id} could complete it`, kind: "may", since: 0 });
      });
    } else {
      to.forEach((/** @type {string} */ id, /** @type {number} */ i) => {
        whyBox(chain, `a ${id}`, { slot: link.toSlots?.[i] ?? -1, name: name(id), title: id });
        const call = callName(link.what || link.method || "");
        chain.lines.push({ from: key, to: `a ${id}`, text: link.kind === "queued" ? `queued: ${call}` : count > 1 ? `${count.toLocaleString("en")} × ${call}` : call, sub: place, title: link.text ?? "", kind: link.kind === "queued" ? "queued" : "call", since });
      });
      if (link.root || !to.length) whyBox(chain, key, { root: true, sub: link.kind === "cycle" ? "waits for itself" : STANDS[link.kind] ?? link.kind, title: link.end || link.text || link.agent });
    }
  }
  if (!chain.boxes.has(chain.first)) chain.first = chain.boxes.keys().next().value ?? "";
  return chain;
}

/** @param {WhyChain} chain @param {any} link @param {number} count @param {number} since */
function matterBox(chain, link, count, since) {
  const { kind, what } = link, promise = kind === "promise" || kind === "orphan", key = promise ? `p ${what}` : `${kind} ${link.agent} ${what} ${link.entries?.[0] ?? ""}`;
  const name = promise ? promiseCalled(what) : kind === "timer" ? (count > 1 ? counted(count, "timer") : "a timer") : kind === "due" ? what : count > 1 ? `${count.toLocaleString("en")} steps ${what}` : `step ${what}`;
  const sub = kind === "orphan" ? "nobody can complete it" : kind === "promise" ? "not completed" : kind === "retrying" ? "is tried again" : kind === "due" ? "has ended" : kind === "step" ? "is at work" : "";
  const due = kind === "timer" ? Number(what) / 1e6 : 0;
  return whyBox(chain, key, { form: "matter", name, sub, title: link.end || what, sign: MATTERS[kind], root: !!link.root, due: Number.isFinite(due) ? due : 0, since: kind === "step" ? since : 0 });
}

/** `promise 5 of Worker(3)` of the text of a promise's id, as far as that can be read. @param {string} id */
export function promiseCalled(id) {
  const at = /^(.*)[/#:@]([^/#:@]*)[/#:@](\d+)$/s.exec(id);
  return at ? `promise ${at[3]} of ${shortId(at[1])}` : id.startsWith("promise") ? id : `promise ${id}`;
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
  if (!isBusy(status) && status !== INTERRUPTED || tape.origins[slot] === ROOT && slot !== Number(chain.first.slice(2))) { whyBox(chain, key, { root: true, sub: tape.origins[slot] === ROOT ? STANDS.cells : status === QUEUED ? "about to begin" : STATUS[status] }); return; }
  if (status === INTERRUPTED) { whyBox(chain, key, { root: true, sub: "interrupted" }); return; }
  /** @type {Map<string, number[]>} */ const groups = new Map();
  for (const one of calls) {
    const to = tape.a[one], kind = calls.length > SEVERAL ? `${tape.ids[to].split("(")[0]} ${tape.methodIn(moment.last[to])}` : `${one}`, group = groups.get(kind);
    if (group) group.push(one);
    else groups.set(kind, [one]);
  }
  for (const group of groups.values()) followCalls(chain, tape, moment, slot, group, agent);
  const named = what && !calls.length;
  for (const one of promises) {
    const owner = tape.a[one], name = named && promises.length === 1 && what.startsWith("promise") ? what : promises.length > 1 ? "a promise" : "a promise", box = whyBox(chain, `p ${owner} ${promises.length > 1 ? one : name}`, { form: "matter", sign: MATTERS.promise, name: `${name} of ${tape.name(owner)}`, sub: "not completed", root: true, title: `made by ${tape.ids[owner] ?? "somebody not shown"}` });
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
    const text = group.length > SEVERAL ? `${same.length.toLocaleString("en")} ${same.length === group.length ? "" : `of ${group.length.toLocaleString("en")} `}× ${call}` : queued ? "queued there" : call;
    chain.lines.push({ from: `a ${slot}`, to: box.key, text, sub: "", title: `waits for ${box.title}`, kind: queued ? "queued" : "call", since: tape.wall[one] });
  }
}

/** @param {import("./tape.js").Tape} tape @param {import("./tape.js").Moment} moment @param {number} row */
function urgencyOf(tape, moment, row) {
  const status = tape.statusIn(moment.last[tape.a[row]] ?? -1);
  return status === FAILED || status === INTERRUPTED ? 2 : isBusy(status) ? 1 : 0;
}

/** Whether a call has reached its target: the message is among what that took since. @param {import("./tape.js").Tape} tape @param {import("./tape.js").Moment} moment @param {number} row of the open link */
function hasBegun(tape, moment, row) {
  const own = tape.own[tape.a[row]] ?? [], key = tape.c[row];
  let low = 0, high = own.length;
  while (low < high) { const mid = (low + high) >> 1; if (own[mid] <= row) low = mid + 1; else high = mid; }
  for (let at = low; at < own.length && at < low + LOOK_ON && own[at] < moment.row; at++) if (tape.kind[own[at]] === ARROW_ROW && tape.c[own[at]] === key) return true;
  return false;
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
  for (const box of boxes.values()) {
    box.x = WHY_EDGE + box.column * (WHY_BOX_W + WHY_GAP);
    box.y = WHY_EDGE + 8 + box.row * WHY_STEP;
    w = Math.max(w, box.x + WHY_BOX_W + WHY_EDGE);
    h = Math.max(h, box.y + WHY_BOX_H + WHY_EDGE + 14);
  }
  return { w, h };
}

/** The path of a line: level into what it leads to, or below when it leads back. @param {WhyBox} a @param {WhyBox} b */
export function linePath(a, b) {
  const y = a.y + WHY_BOX_H / 2, end = b.y + WHY_BOX_H / 2;
  if (b.column > a.column) {
    const x = a.x + WHY_BOX_W, turn = x + 26;
    return y === end ? `M${x} ${y}L${b.x - 2} ${end}` : `M${x} ${y}C${x + 18} ${y} ${x + 6} ${end} ${turn} ${end}L${b.x - 2} ${end}`;
  }
  const from = a.x + WHY_BOX_W / 2 + 12, to = b.x + WHY_BOX_W / 2 - 12, low = Math.max(a.y, b.y) + WHY_BOX_H + 20;
  return `M${from} ${a.y + WHY_BOX_H}C${from} ${low} ${to} ${low} ${to} ${b.y + WHY_BOX_H + 2}`;
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

const RING_ROUND = 6, RING_W = 168, RING_H = 30, RING_PITCH = 66, RING_RAIL = 34, RING_WORDS = 200, RING_LINE = 16;
const RING_RADII = [[0, 0], [96, 44], [190, 54], [176, 96], [196, 104], [232, 150], [246, 150]], RING_BEGIN = [0, 0.5, 1, -0.5, -0.75, -0.5, -2 / 3];

/** Where so many agents and their calls lie: in a round when there is room, else in a column. @param {number} agents @param {number} gap before which of them some are left out; -1 for none @param {boolean} round @returns {{chips: [number, number][], arcs: RingArc[]}} */
export function ringShape(agents, gap, round) {
  return round && agents <= RING_ROUND ? roundRing(agents) : columnRing(agents, gap);
}

/** @param {number} agents @returns {{chips: [number, number][], arcs: RingArc[]}} */
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
  return { chips, arcs };
}

/** @param {number} agents @param {number} gap @returns {{chips: [number, number][], arcs: RingArc[]}} */
function columnRing(agents, gap) {
  const chips = Array.from({ length: agents }, (_, i) => /** @type {[number, number]} */ ([0, i * RING_PITCH + (gap >= 0 && i >= gap ? RING_PITCH / 2 : 0)]));
  /** @type {RingArc[]} */ const arcs = chips.slice(1).map(([, below], i) => {
    const top = chips[i][1] + RING_H / 2, end = below - RING_H / 2 - 3, middle = (top + end) / 2;
    return { path: `M0 ${top}L0 ${end}`, tip: [0, end], turn: Math.PI / 2, middle: [0, middle], words: [14, middle], anchor: "start", lift: 0.5 };
  });
  const top = chips[agents - 1][1] + RING_H / 2, low = top + 26, rail = -RING_W / 2 - RING_RAIL, end = -RING_W / 2 - 3;
  arcs.push({ path: `M0 ${top}L0 ${low - 8}Q0 ${low} -8 ${low}L${rail + 8} ${low}Q${rail} ${low} ${rail} ${low - 8}L${rail} 8Q${rail} 0 ${rail + 8} 0L${end} 0`, tip: [end, 0], turn: 0, middle: [-30, low], words: [14, top + 4], anchor: "start", lift: 0 });
  return { chips, arcs };
}

/** How far a ring reaches, its words with it. @param {{chips: [number, number][], arcs: RingArc[]}} shape @param {number[]} lines of words at each call */
export function ringBounds({ chips, arcs }, lines) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  const reach = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ w, /** @type {number} */ h) => { left = Math.min(left, x); top = Math.min(top, y); right = Math.max(right, x + w); bottom = Math.max(bottom, y + h); };
  for (const [x, y] of chips) reach(x - RING_W / 2, y - RING_H / 2, RING_W, RING_H);
  arcs.forEach((arc, i) => {
    const h = lines[i] * RING_LINE, [x, y] = arc.words;
    reach(arc.middle[0] - 10, arc.middle[1] - 10, 20, 20);
    reach(arc.anchor === "start" ? x : arc.anchor === "end" ? x - RING_WORDS : x - RING_WORDS / 2, y - arc.lift * h, RING_WORDS, h);
  });
  if (arcs.length > RING_ROUND || arcs[arc0(arcs)].anchor === "start" && arcs.length > 1 && arcs[0].turn === Math.PI / 2) left = Math.min(left, -RING_W / 2 - RING_RAIL - 6);
  return { left, top, w: right - left, h: bottom - top };
}

/** @param {RingArc[]} arcs */
function arc0(arcs) { return arcs.length - 1; }
