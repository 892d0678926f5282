// @ts-check
// What all views of one model share: the tape, one clock, one selection, and the line to the kernel.
import { READING_ORDER, ROOT, STATUS } from "./graph_store.js";
import { Tape } from "./tape.js";

const ANSWER_MS = 1000;
export const LIVE = -1;

/** @typedef {{get(name: string): any, set(name: string, value: any): void, save_changes(): void, send(content: any): void, on(name: string, f: Function): void, off(name: string, f?: Function): void}} DeskModel */
/** What changed since the last `update`. @typedef {{rows: boolean, clock: boolean, selection: boolean, theme: boolean, kernel: boolean}} News */
/** One view. `update` is called once a frame at most, and only while the view is shown. @typedef {{update(news: News): void, close(): void, key?(e: KeyboardEvent): boolean, focus?(): void}} Pane */

/** One per model; `Face`s show it. */
export class Desk {
  /** @param {DeskModel} model */
  constructor(model) {
    this.model = model;
    this.tape = new Tape();
    /** @type {Set<(news: Partial<News>) => void>} */ this.watchers = new Set();
    /** @type {any} a timer, while changes of ours have not left */ this.saving = undefined;
    /** @type {Set<string>} names of the traits that we changed since */ this.unsent = new Set();
    /** @type {Set<number>} slots */ this.selected = new Set();
    /** @type {number | null} the entry that all views show; null for the live edge */ this.clock = null;
    this.shown = this.tape.now;
    /** @type {Record<string, any>} counts of the session as the kernel tells them: path, commit lag, entries */ this.facts = {};
    /** @type {Record<string, any>} answers that were stored with the page, by `kind:key` */ this.notes = {};
    this.live = false; // a packet came from a running kernel
    this.quiet = !!model.get("still"); // a question was not answered in time, or nobody is there to ask
    this.leftOut = 0; // agents that the saved picture leaves out
    this.trouble = "";
    this.stale = true; // rows came since `shown` was made
    this.greeting = false; // a hello is not answered yet
    this.skew = Infinity;
    this.asked = 0;
    /** @type {Map<number, {done: (value: any) => void, fail: (error: Error) => void, timer: any}>} */ this.open = new Map();
    this.onMessage = this.onMessage.bind(this);
    this.onState = () => { if (!this.live) this.load(); };
    // An echo of what we sent earlier must not undo what we are about to send.
    this.onSelected = () => { if (this.unsent.has("selection")) model.set("selection", this.selectedIds()); else { this.takeSelected(); this.tell({ selection: true }); } };
    this.onClock = () => { if (this.unsent.has("clock")) model.set("clock", this.clock ?? LIVE); else { this.takeClock(); this.tell({ clock: true }); } };
    this.undo = /** @type {[string, Function][]} */ ([["msg:custom", this.onMessage], ["change:state", this.onState], ["change:selection", this.onSelected], ["change:clock", this.onClock]]);
    for (const [name, act] of this.undo) model.on(name, act);
    this.takeClock();
    /** @type {Promise<void>} */ this.loaded = this.load();
    this.hello();
  }

  close() {
    for (const [name, act] of this.undo) this.model.off(name, act);
    for (const { timer } of this.open.values()) clearTimeout(timer);
    clearTimeout(this.helloTimer);
    clearTimeout(this.saving);
  }

  // ---- from the kernel ---------------------------------------------------------------------------------------------

  /** Show what was saved with the notebook or the page. */
  async load() {
    const saved = this.model.get("state")?.data;
    if (!saved) return;
    const view = saved instanceof DataView ? saved : new DataView(saved.buffer ?? saved, saved.byteOffset ?? 0, saved.byteLength);
    const bytes = await inflate(new Uint8Array(view.buffer, view.byteOffset, view.byteLength)), length = new DataView(bytes).getUint32(0, true);
    if (this.live) return;
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
    this.tape = new Tape();
    this.tape.apply({ ...head, from: 0, text: 1, texts: head.texts.slice(1) }, bytes.slice(4 + length));
    this.facts = head.facts;
    this.notes = head.notes;
    this.leftOut = head.left_out ?? 0;
    this.takeSelected();
    this.refresh();
    this.tell({ rows: true, clock: true, selection: true });
  }

  /** Tell the kernel which rows are here, once until it answers. */
  hello() {
    if (this.greeting) return;
    this.greeting = true;
    this.helloTimer = /** @type {any} */ (setTimeout(() => { this.greeting = false; this.quiet = true; this.tell({ kernel: true }); }, ANSWER_MS));
    this.send({ t: "hello", rows: this.live ? this.tape.rows : 0, text: this.live ? this.tape.texts.length : 1, tape: this.live ? this.name : "" });
  }

  /** @param {any} message */
  send(message) {
    try { this.model.send(message); } catch { /* no kernel: the timers say so */ }
  }

  /** @param {any} message @param {DataView[]} buffers */
  onMessage(message, buffers) {
    if (message.t === "rows") {
      if (!this.live || this.name !== message.tape) {
        if (message.from) { this.live = false; this.hello(); return; } // a tape that we do not have the beginning of
        this.tape = new Tape();
        this.name = message.tape;
        this.live = true;
      }
      const { buffer, byteOffset, byteLength } = buffers[0];
      if (!this.tape.apply(message, /** @type {ArrayBuffer} */ (buffer.slice(byteOffset, byteOffset + byteLength)))) { this.hello(); return; }
      clearTimeout(this.helloTimer);
      this.greeting = false;
      if (message.now) this.skew = Date.now() - message.now;
      if (message.facts) this.facts = message.facts;
      const was = this.quiet;
      this.quiet = false;
      this.stale = true;
      this.takeSelected();
      this.tell({ rows: true, kernel: was });
    } else if (message.t === "answer") {
      const waiting = this.open.get(message.n);
      if (!waiting) return;
      this.open.delete(message.n);
      clearTimeout(waiting.timer);
      if (this.quiet) { this.quiet = false; this.tell({ kernel: true }); }
      if (message.error) waiting.fail(new Error(message.error));
      else waiting.done(message.value);
    } else if (message.t === "error") {
      this.trouble = String(message.text);
      this.tell({ kernel: true });
    }
  }

  /**
   * Ask the kernel something, or what was stored with the page.
   * @param {string} kind
   * @param {Record<string, any>} [args]
   * @param {string} [key] under which the answer may have been stored
   * @returns {Promise<any>} fails with the kernel's words, or when there is no kernel
   */
  ask(kind, args = {}, key = "") {
    const note = this.notes[`${kind}:${key}`];
    if (!this.live && note !== undefined) return Promise.resolve(note);
    if (!this.live && this.quiet) return Promise.reject(new Error("no kernel answers: what is known is what was saved"));
    return new Promise((done, fail) => {
      const n = ++this.asked;
      const timer = setTimeout(() => {
        this.quiet = true;
        this.tell({ kernel: true });
        if (!this.live) { this.open.delete(n); fail(new Error("no kernel answers: what is known is what was saved")); }
      }, ANSWER_MS);
      this.open.set(n, { done, fail, timer });
      this.send({ t: "ask", n, kind, ...args });
    });
  }

  // ---- one clock, one selection ------------------------------------------------------------------------------------

  /** @param {Partial<News>} news */
  tell(news) { for (const watch of this.watchers) watch(news); }

  /** The moment that all views show; made once per change. */
  get moment() {
    if (this.stale) this.refresh();
    return this.shown;
  }

  refresh() {
    this.stale = false;
    this.shown = this.tape.moment(this.clock);
  }

  takeClock() {
    const clock = this.model.get("clock");
    this.clock = typeof clock === "number" && clock >= 0 ? clock : null;
    this.stale = true;
  }

  takeSelected() {
    const ids = /** @type {string[]} */ (this.model.get("selection") ?? []);
    if (ids.length === this.selected.size && [...this.selected].every((slot, i) => this.tape.ids[slot] === ids[i])) return; // an older agent of an id stays selected
    this.selected = new Set(ids.map((id) => this.tape.slotOf(id)).filter((slot) => slot >= 0));
  }

  /** Show the state at an entry in all views; null for the live edge. @param {number | null} seq */
  goTo(seq) {
    const { tape } = this;
    if (seq !== null) seq = Math.max(tape.firstSeq, Math.round(seq));
    if (seq !== null && seq >= tape.lastSeq) seq = null;
    if (seq === this.clock) return;
    this.clock = seq;
    this.stale = true;
    this.put("clock", seq ?? LIVE);
    this.tell({ clock: true });
  }

  selectedIds() { return [...this.selected].map((slot) => this.tape.ids[slot]); }

  /** @param {number[]} slots @param {boolean} [more] add to the selection, or take out what is in it */
  select(slots, more = false) {
    if (!more) this.selected = new Set(slots);
    else for (const slot of slots) if (!this.selected.delete(slot)) this.selected.add(slot);
    this.put("selection", this.selectedIds());
    this.tell({ selection: true });
  }

  /** Change a trait. Changes leave ten times a second at most: dragging the clock makes many. @param {string} name @param {any} value */
  put(name, value) {
    this.unsent.add(name);
    this.model.set(name, value);
    this.saving ??= setTimeout(() => { this.saving = undefined; this.unsent.clear(); this.model.save_changes(); }, 100);
  }

  /** The one agent that is selected, the last one picked; -1 for none. */
  get focus() { return [...this.selected].pop() ?? -1; }

  /** The kernel's clock in milliseconds, as far as the packets tell; without a kernel the end of the tape. */
  now() { return this.clock !== null ? this.tape.wallOf(this.clock) : this.live && this.skew !== Infinity ? Date.now() - this.skew : this.tape.lastWall; }

  /** How many agents are in each status at the moment shown, the notebook apart. @returns {number[]} */
  counts() {
    const { tape, moment } = this, counts = STATUS.map(() => 0);
    for (let slot = 0; slot < moment.n; slot++) if (tape.origins[slot] !== ROOT) counts[tape.statusIn(moment.last[slot])]++;
    return counts;
  }
}

/** `3 done, 2 running`, whatever is in a list of counts. @param {number[]} counts */
export function countWords(counts) {
  return READING_ORDER.filter((status) => counts[status]).map((status) => `${counts[status].toLocaleString("en")} ${STATUS[status]}`).join(", ");
}

/** @param {Uint8Array} bytes made by zlib @returns {Promise<ArrayBuffer>} */
export async function inflate(bytes) {
  const stream = new Blob([/** @type {any} */ (bytes)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}
