// Tapes made by hand, in the format of workbench/views/tape_packet.py, and stand-ins for the page.
import { deflateSync } from "node:zlib";

import { TapeStore } from "../../workbench/front/graph_pane.js";
import { DONE, ROOT, SPAWNED } from "../../workbench/front/graph_store.js";
import { AGENT_ROW, ARROW_ROW, CLOSE_ROW, FORK_ROW, LABEL_ROW, MARK_ROW, OPEN_ROW, PROMISE_ROW, REFUSED_ROW, REVERT_ROW, STATUS_ROW, Tape } from "../../workbench/front/tape.js";

const LIVE = [["wall", Float64Array], ["seq", Uint32Array], ["slot", Int32Array], ["a", Int32Array], ["b", Int32Array], ["c", Uint32Array], ["index", Int32Array], ["kind", Uint8Array]];
const PACKED = [["wall", Uint32Array], ...LIVE.slice(1)];
const PER_MS = 100;

/** The columns of some rows, one after the other. */
function columns(rows, shapes) {
  const parts = shapes.map(([name, Type]) => new Uint8Array(Type.from(rows.map((row) => row[name])).buffer));
  const whole = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}

/** Writes rows as entries would make them: each entry a millisecond after the one before. */
export class Story {
  rows = [];
  texts = [""];
  seq = 0;
  n = 0;
  wall = 1_700_000_000_000;

  /** @param {any[]} [nodes] of the first agents: [id, parent, status, since] */
  constructor(nodes = []) { this.add(nodes); }

  /** The number of a text. */
  text(text) {
    const known = this.texts.indexOf(text);
    return known >= 0 ? known : this.texts.push(text) - 1;
  }

  /** The next entry. */
  entry() { this.seq++; this.wall++; return this.seq; }

  row(kind, slot, { a = 0, b = 0, c = 0, index = 0, wall = this.wall } = {}) {
    this.rows.push({ wall, seq: this.seq, kind, slot, a, b, c, index });
    return this.rows.length - 1;
  }

  agent(id, parent, origin = parent < 0 ? ROOT : SPAWNED) {
    this.entry();
    this.row(AGENT_ROW, this.n, { a: parent, b: origin, c: this.text(id) });
    return this.n++;
  }

  /** @param {{method?: string, what?: string, reasons?: number, since?: number, index?: number}} [more] */
  status(slot, status, { method = "process", what = "", reasons = 0, since, index = 1 } = {}) {
    this.entry();
    this.row(STATUS_ROW, slot, { a: status + 16 * reasons, b: this.text(method), c: this.text(what), index, wall: since ?? this.wall });
  }

  /** Agents with a status each, as [id, parent, status, since]. */
  add(nodes) {
    for (const [id, parent, status, since] of nodes) this.status(this.agent(id, parent), status, { since });
    return this;
  }

  /** Changes of statuses, as [slot, status, since]. */
  change(...changes) {
    for (const [slot, status, since] of changes) this.status(slot, status, { since });
    return this;
  }

  open(from, kind, to, key) { this.entry(); this.row(OPEN_ROW, from, { a: to, b: kind, c: key }); return this; }
  close(key) { this.entry(); this.row(CLOSE_ROW, -1, { c: key }); return this; }
  label(slot, label) { this.entry(); this.row(LABEL_ROW, slot, { c: this.text(label) }); return this; }
  arrow(to, from, kind, sent = this.seq) { this.entry(); this.row(ARROW_ROW, to, { a: from, b: kind, c: sent, index: 1 }); return this; }
  promise(slot, number, event, { line = "lesson.py:7", index = 1 } = {}) { this.entry(); this.row(PROMISE_ROW, slot, { a: number, b: event, c: this.text(line), index }); return this; }
  fork(slot, source, cut) { this.entry(); this.row(FORK_ROW, slot, { a: source, b: cut, c: this.seq - 1, index: 1 }); return this; }
  revert(slot, last, region = 0) { this.entry(); this.row(REVERT_ROW, slot, { a: last, b: region, c: last, index: 1 }); return this; }
  mark(slot = 0) { this.entry(); this.row(MARK_ROW, slot, { a: 4711, index: 1 }); return this; }
  refused(slot, target, ring) { this.entry(); this.row(REFUSED_ROW, slot, { a: target, b: ring.cycle.length, c: this.text(JSON.stringify(ring)), index: 1 }); return this; }

  /** A live packet with the rows from one number to another. The view starts at an odd offset, as a message's buffer may. */
  packet(from = 0, to = this.rows.length, { text = 1, ...more } = {}) {
    const bytes = columns(this.rows.slice(from, to), LIVE), whole = new Uint8Array(3 + bytes.length);
    whole.set(bytes, 3);
    const seq = to === this.rows.length ? this.seq : (this.rows[to - 1]?.seq ?? this.seq);
    return [{ t: "rows", tape: "tape 1", from, rows: to - from, text, texts: this.texts.slice(text), seq, total: this.seq, facts: {}, ...more }, new DataView(whole.buffer, 3)];
  }

  /** The tape that a page has which was sent all of it. */
  told(tape = new Tape()) {
    const [head, data] = this.packet();
    tape.apply(head, data.buffer.slice(data.byteOffset));
    return tape;
  }

  /** What a notebook saves. `jumps` are put where a step is longer than `most` hundredths of a millisecond. */
  packed({ most = 0xffffffff, ...more } = {}) {
    const steps = [], jumps = [];
    let told = this.rows.length ? Math.round(this.rows[0].wall * PER_MS) : 0, seq = 0;
    this.rows.forEach((row, i) => {
      const now = Math.round(row.wall * PER_MS);
      let step = Math.max(0, now - told);
      if (step > most) { jumps.push([i, step / PER_MS]); step = 0; }
      steps.push({ ...row, wall: step, seq: row.seq - seq });
      told = Math.max(now, told);
      seq = row.seq;
    });
    const head = { rows: this.rows.length, seq: this.seq, texts: this.texts, facts: {}, notes: {}, packed: { wall: this.rows[0]?.wall ?? 0, jumps }, ...more };
    return { head, bytes: columns(steps, PACKED) };
  }

  /** The same, as `state` of the model holds it. */
  saved(more = {}) {
    const { head, bytes } = this.packed(more);
    let told = new TextEncoder().encode(JSON.stringify(head));
    told = Uint8Array.from([...told, ...Array((4 - (told.length % 4)) % 4).fill(32)]);
    const whole = new Uint8Array(4 + told.length + bytes.length);
    new DataView(whole.buffer).setUint32(0, told.length, true);
    whole.set(told, 4);
    whole.set(bytes, 4 + told.length);
    const small = deflateSync(whole);
    return { data: new DataView(small.buffer, small.byteOffset, small.byteLength) };
  }
}

/** A story with the store of a graph that shows it. */
export class Scene extends Story {
  store = new TapeStore();
  tape = new Tape();

  /** Tell the store what was written since: everything the first time, then what it changed. */
  play() {
    const from = this.tape.rows;
    this.told(this.tape);
    return from ? this.store.advance(this.tape, from, this.tape.rows) : this.store.show(this.tape, this.tape.moment(null));
  }
}

/** Nodes of one coordinator under the notebook with `n` children of one status. */
export function fanOut(n, status = DONE) {
  return [["Session()", -1, 0], ["Coordinator()", 0, 3], ...Array.from({ length: n }, (_, i) => [`Worker(${i})`, 1, status])];
}

/** Numbers below `n` that are the same in every run. @returns {(n: number) => number} */
export function dice(seed) {
  return (n) => { seed = (seed * 1103515245 + 12345) & 0x7fffffff; return Math.floor((seed / 0x80000000) * n); };
}

/** A story that wanders through all kinds of rows. */
export function wander(steps, seed) {
  const roll = dice(seed), story = new Story([["Session()", -1, 0]]), open = [];
  let promises = 0;
  for (let i = 0; i < steps; i++) {
    const what = roll(12), slot = roll(story.n);
    if (what < 2) story.agent(`Node(${i})`, slot);
    else if (what < 6) story.status(slot, roll(11), { reasons: roll(16), what: roll(3) ? "" : `step ${i}` });
    else if (what === 6) { open.push(i); story.open(slot, 1 + roll(6), roll(story.n), i); }
    else if (what === 7 && open.length) story.close(open.splice(roll(open.length), 1)[0]);
    else if (what === 8) story.label(slot, `item ${roll(5)}`);
    else if (what === 9) story.promise(slot, promises++, 1);
    else if (what === 10 && promises) story.promise(slot, roll(promises), 2 + roll(6));
    else story.arrow(slot, roll(story.n), 1 + roll(6));
  }
  return story;
}

/** A model that remembers what was sent and lets the test speak for the kernel. */
export class Model {
  constructor(data = {}) { this.data = { selection: [], clock: -1, bookmarks: [], state: {}, ...data }; this.sent = []; this.heard = {}; this.saves = 0; }
  get(name) { return this.data[name]; }
  set(name, value) {
    if (JSON.stringify(this.data[name]) === JSON.stringify(value)) return; // no change, no event
    this.data[name] = value;
    this.speak(`change:${name}`);
  }
  save_changes() { this.saves++; }
  send(message) { this.sent.push(message); }
  on(name, f) { (this.heard[name] ??= []).push(f); }
  off(name, f) { this.heard[name] = (this.heard[name] ?? []).filter((g) => g !== f); }
  speak(name, ...args) { for (const f of this.heard[name] ?? []) f(...args); }
  tell([head, data]) { this.speak("msg:custom", head, [data]); }
  say(message) { this.speak("msg:custom", message, []); }
}

/** A 2D context that records its calls by name. */
export function recorder() {
  const calls = [];
  const target = { calls };
  return new Proxy(target, {
    get: (_, name) => (name === "calls" ? calls : name === "measureText" ? (text) => ({ width: text.length * 6 }) : name === "canvas" ? { width: 100, height: 100 } : (...args) => { calls.push([name, ...args]); }),
    set: () => true,
  });
}

/** Takes the place of the page's timers; time passes only by `tick`. */
export class Clock {
  constructor() {
    this.now = 0;
    this.next = 1;
    this.timers = new Map();
    this.real = [globalThis.setTimeout, globalThis.clearTimeout];
    globalThis.setTimeout = (f, ms) => { this.timers.set(this.next, [this.now + ms, f]); return this.next++; };
    globalThis.clearTimeout = (id) => { this.timers.delete(id); };
  }
  tick(ms) {
    this.now += ms;
    for (const [id, [due, f]] of [...this.timers]) if (due <= this.now && this.timers.delete(id)) f();
  }
  restore() { [globalThis.setTimeout, globalThis.clearTimeout] = this.real; }
}
