// Packets made by hand, in the format of workbench/views/graph_packet.py, and stand-ins for the page.
const SHAPES = [["since", Float64Array], ["parents", Int32Array], ["slots", Int32Array], ["opened", Int32Array], ["closed", Int32Array], ["flashes", Int32Array], ["origins", Uint8Array], ["statuses", Uint8Array]];

/**
 * A packet: `nodes` are new ones as [id, parent, status], `changes` are [slot, status, since], `opened` [key, kind, from, to].
 * The view starts at an odd offset, as a message's buffer may.
 */
export function packet(t, seq, { base = 0, nodes = [], changes = [], opened = [], closed = [], flashes = [], origins, ...more } = {}) {
  const changed = [...nodes.map(([, , status, since = 1000 + seq], i) => [base + i, status, since]), ...changes];
  const parts = {
    since: changed.map((c) => c[2] ?? 1000), parents: nodes.map((n) => n[1]), slots: changed.map((c) => c[0]), opened: opened.flat(), closed, flashes: flashes.flat(),
    origins: origins ?? nodes.map((n) => (n[1] < 0 ? 2 : 0)), statuses: changed.map((c) => c[1]),
  };
  const ids = new TextEncoder().encode(nodes.map((n) => `${n[0]}\0`).join(""));
  const bytes = [...SHAPES.map(([name, Type]) => new Uint8Array(Type.from(parts[name]).buffer)), ids];
  const whole = new Uint8Array(3 + bytes.reduce((n, b) => n + b.length, 0));
  let at = 3;
  for (const b of bytes) { whole.set(b, at); at += b.length; }
  const head = { t, seq, base, new: nodes.length, changed: changed.length, opened: opened.length, closed: closed.length, flashed: flashes.length, labels: [], ...more };
  return [head, new DataView(whole.buffer, 3)];
}

/** Nodes of one coordinator under the notebook with `n` children of one status. */
export function fanOut(n, status = 4) {
  return [["Session()", -1, 0], ["Coordinator()", 0, 3], ...Array.from({ length: n }, (_, i) => [`Worker(${i})`, 1, status])];
}

/** A model that remembers what was sent and lets the test speak for the kernel. */
export class Model {
  constructor(data = {}) { this.data = { selected: [], state: {}, ...data }; this.sent = []; this.heard = {}; }
  get(name) { return this.data[name]; }
  set(name, value) { this.data[name] = value; }
  save_changes() {}
  send(message) { this.sent.push(message); }
  on(name, f) { (this.heard[name] ??= []).push(f); }
  off(name, f) { this.heard[name] = (this.heard[name] ?? []).filter((g) => g !== f); }
  speak(name, ...args) { for (const f of this.heard[name] ?? []) f(...args); }
  tell([head, data]) { this.speak("msg:custom", head, [data]); }
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
