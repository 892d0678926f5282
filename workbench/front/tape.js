// @ts-check
// What happened, in rows, and the state at any of them. The columns are described in workbench/views/tape.py.
import { CALL, IDLE, PROMISE, ROOT, STATUS, TRIGGER, shortId } from "./graph_store.js";

/** Kinds of rows. */
export const AGENT_ROW = 0, STATUS_ROW = 1, ARROW_ROW = 2, OPEN_ROW = 3, CLOSE_ROW = 4, PROMISE_ROW = 5, FORK_ROW = 6, REVERT_ROW = 7, LABEL_ROW = 8, MARK_ROW = 9, REFUSED_ROW = 10;
/** Bits of what an agent waits for: `reasonsOf`. */
export const FOR_CALL = 1, FOR_PROMISE = 2, FOR_TIMER = 4, FOR_STEP = 8;
/** Kinds of messages. */
export const CALL_ARROW = 1, REPLY_ARROW = 2, TRIGGER_ARROW = 3, COMPLETION_ARROW = 4, FORK_ARROW = 5, SCHEDULE_ARROW = 6;
export const ARROWS = ["", "call", "reply", "trigger", "completion", "fork", "schedule"];
/** What happens to a promise. */
export const CREATED = 1, AWAITED = 2, DELIVERED = 3, COMPLETED = 4, IGNORED = 5, SEEN = 6, ENDED = 7, DROPPED = 8;
const KEYFRAME_ROWS = 4096, PER_MS = 100;

/** @typedef {{seq: number, row: number, n: number, last: Int32Array, links: Map<number, number>}} Moment `last`: by slot the last STATUS row or -1; `links`: key to OPEN row */
/** @typedef {{number: number, owner: number, rows: number[]}} PromiseRows */
/** `edge` is the call to turn into a trigger, or -1; `left` calls are left out in the middle. @typedef {{cycle: [string, string, string][], edge: number, left: number}} Ring */
/** @typedef {{slot: number, source: number, cut: number, row: number}} ForkRow */

/** Rows of all that happened, as far as the kernel has told. It only grows. */
export class Tape {
  rows = 0;
  cap = 1024;
  wall = new Float64Array(this.cap);
  seq = new Uint32Array(this.cap);
  slot = new Int32Array(this.cap);
  a = new Int32Array(this.cap);
  b = new Int32Array(this.cap);
  c = new Uint32Array(this.cap);
  index = new Int32Array(this.cap);
  kind = new Uint8Array(this.cap);
  /** @type {string[]} */ texts = [""];
  /** How many agents there are; by slot: */
  n = 0;
  /** @type {number[]} */ parents = [];
  /** @type {number[]} */ origins = [];
  /** @type {string[]} */ ids = [];
  /** @type {number[]} the row with which it appears */ born = [];
  /** @type {number[][]} its STATUS rows */ statuses = [];
  /** @type {number[][]} all rows of entries in its own oplog */ own = [];
  /** @type {Map<number, string>} */ labels = new Map();
  /** @type {Map<number, number[]>} */ kids = new Map();
  /** @type {number[]} rows of messages, in order of arrival */ arrows = [];
  /** @type {PromiseRows[]} */ promises = [];
  /** @type {ForkRow[]} */ forks = [];
  /** @type {number[]} rows at which a process took the session up */ marks = [];
  /** @type {number[]} rows at which an agent was taken back */ reverts = [];
  /** @type {number[]} rows at which a call was refused, for its answer could never come */ refusals = [];
  /** @type {Map<number, number>} by kind of link the row that opened the first one */ firstLinks = new Map();
  /** @type {Moment[]} */ keyframes = [];
  /** @type {Moment} */ now = { seq: 0, row: 0, n: 0, last: new Int32Array(256).fill(-1), links: new Map() };
  /** What the newest entry is that the kernel has folded; rows may be older. */
  lastSeq = 0;
  /** How many entries there are to fold: more than `lastSeq` while the kernel catches up. */
  total = 0;

  /**
   * Take rows in.
   * @param {{from: number, rows: number, texts: string[], text: number, seq: number, total?: number, packed?: {wall: number, jumps: [number, number][]}}} head
   * @param {ArrayBuffer} bytes wall, seq, slot, a, b, c, index, kind, one column after the other; aligned
   * @returns {boolean} false when rows before these were missed: ask for them
   */
  apply(head, bytes) {
    if (head.from > this.rows || head.text > this.texts.length) return false;
    for (let i = this.texts.length - head.text; i < head.texts.length; i++) this.texts.push(head.texts[i]);
    const n = head.rows, skip = this.rows - head.from;
    let at = 0;
    /** @template T @param {new (b: ArrayBuffer, o: number, n: number) => T} Type @param {number} size @returns {T} */
    const take = (Type, size) => { const part = new Type(bytes, at, n); at += size * n; return part; };
    const wall = head.packed ? unpackWalls(take(Uint32Array, 4), head.packed) : take(Float64Array, 8);
    const seq = take(Uint32Array, 4), slot = take(Int32Array, 4), a = take(Int32Array, 4), b = take(Int32Array, 4), c = take(Uint32Array, 4), index = take(Int32Array, 4), kind = take(Uint8Array, 1);
    if (head.packed) for (let i = 1; i < n; i++) seq[i] += seq[i - 1];
    this.room(head.from + n);
    for (let i = Math.max(0, skip); i < n; i++) {
      const row = head.from + i;
      this.wall[row] = wall[i]; this.seq[row] = seq[i]; this.slot[row] = slot[i];
      this.a[row] = a[i]; this.b[row] = b[i]; this.c[row] = c[i]; this.index[row] = index[i]; this.kind[row] = kind[i];
      this.rows = row + 1;
      this.note(row);
    }
    this.lastSeq = this.now.seq = Math.max(this.lastSeq, head.seq);
    this.now.row = this.rows;
    this.now.n = this.n;
    this.total = Math.max(head.total ?? 0, this.lastSeq);
    return true;
  }

  /** @param {number} n */
  room(n) {
    if (n <= this.cap) return;
    while (this.cap < n) this.cap *= 2;
    for (const name of /** @type {const} */ (["wall", "seq", "slot", "a", "b", "c", "index", "kind"])) {
      const old = this[name], big = new /** @type {any} */ (old.constructor)(this.cap);
      big.set(old);
      /** @type {any} */ (this)[name] = big;
    }
  }

  /** Index a row. @param {number} row */
  note(row) {
    const { now } = this, kind = this.kind[row], slot = this.slot[row], a = this.a[row];
    if (kind === AGENT_ROW) {
      this.parents[slot] = a;
      this.origins[slot] = this.b[row];
      this.ids[slot] = this.texts[this.c[row]];
      this.born[slot] = row;
      this.statuses[slot] = [];
      this.own[slot] = [];
      const kids = this.kids.get(a);
      if (kids) kids.push(slot);
      else this.kids.set(a, [slot]);
      this.n = slot + 1;
      if (now.last.length <= slot) { const big = new Int32Array(now.last.length * 2).fill(-1); big.set(now.last); now.last = big; }
    } else if (kind === STATUS_ROW) {
      this.statuses[slot].push(row);
      now.last[slot] = row;
    } else if (kind === ARROW_ROW) this.arrows.push(row);
    else if (kind === OPEN_ROW) {
      now.links.set(this.c[row], row);
      if (!this.firstLinks.has(this.b[row])) this.firstLinks.set(this.b[row], row);
    } else if (kind === CLOSE_ROW) now.links.delete(this.c[row]);
    else if (kind === PROMISE_ROW) {
      const promise = (this.promises[a] ??= { number: a, owner: -1, rows: [] });
      if (this.b[row] === CREATED) promise.owner = slot;
      promise.rows.push(row);
    } else if (kind === FORK_ROW) this.forks.push({ slot, source: a, cut: this.b[row], row });
    else if (kind === REVERT_ROW) this.reverts.push(row);
    else if (kind === LABEL_ROW) this.labels.set(slot, this.texts[this.c[row]]);
    else if (kind === MARK_ROW) this.marks.push(row);
    else if (kind === REFUSED_ROW) this.refusals.push(row);
    if (this.index[row] && slot >= 0) this.own[slot].push(row);
    if ((row + 1) % KEYFRAME_ROWS === 0) this.keyframes.push({ seq: this.seq[row], row: row + 1, n: this.n, last: now.last.slice(0, this.n), links: new Map(now.links) });
  }

  // ---- places ------------------------------------------------------------------------------------------------------

  /** How many rows the entries up to a `seq` made. @param {number} seq */
  rowsUntil(seq) {
    let low = 0, high = this.rows;
    while (low < high) { const mid = (low + high) >> 1; if (this.seq[mid] <= seq) low = mid + 1; else high = mid; }
    return low;
  }

  /** The last row that came up to a wall time, in milliseconds; -1 for none. @param {number} wall */
  rowAt(wall) {
    let low = 0, high = this.rows;
    while (low < high) { const mid = (low + high) >> 1; if (this.wall[mid] <= wall) low = mid + 1; else high = mid; }
    return low - 1;
  }

  /** When an entry was written, as far as the rows tell. @param {number} seq */
  wallOf(seq) {
    const row = this.rowsUntil(seq) - 1;
    return row >= 0 ? this.wall[row] : this.rows ? this.wall[0] : 0;
  }

  get firstSeq() { return this.rows ? this.seq[0] : 0; }
  get firstWall() { return this.rows ? this.wall[0] : 0; }
  get lastWall() { return this.rows ? this.wall[this.rows - 1] : 0; }

  /** The state once the entry `seq` was applied; null for now. @param {number | null} seq @returns {Moment} */
  moment(seq) {
    if (seq === null || seq >= this.lastSeq) return this.now;
    const upto = this.rowsUntil(seq);
    let low = 0, high = this.keyframes.length;
    while (low < high) { const mid = (low + high) >> 1; if (this.keyframes[mid].row <= upto) low = mid + 1; else high = mid; }
    const begin = low ? this.keyframes[low - 1] : { row: 0, n: 0, last: new Int32Array(0), links: new Map() };
    const links = new Map(begin.links);
    let n = begin.n;
    const last = new Int32Array(this.n).fill(-1);
    last.set(begin.last.subarray(0, n));
    for (let row = begin.row; row < upto; row++) {
      const kind = this.kind[row];
      if (kind === STATUS_ROW) last[this.slot[row]] = row;
      else if (kind === AGENT_ROW) n = this.slot[row] + 1;
      else if (kind === OPEN_ROW) links.set(this.c[row], row);
      else if (kind === CLOSE_ROW) links.delete(this.c[row]);
    }
    return { seq, row: upto, n, last, links };
  }

  // ---- what a row says ---------------------------------------------------------------------------------------------

  /** The status in a STATUS row; -1 is no row: idle. @param {number} row */
  statusIn(row) { return row < 0 ? IDLE : this.a[row] & 15; }

  /** The bits of what is waited for in a STATUS row. @param {number} row */
  reasonsIn(row) { return row < 0 ? 0 : this.a[row] >> 4; }

  /** @param {number} row */
  methodIn(row) { return row < 0 ? "" : this.texts[this.b[row]]; }

  /** The step, promise or timer in a STATUS row, when it waits for nothing else. @param {number} row */
  whatIn(row) { return row < 0 ? "" : this.texts[this.c[row]]; }

  /** @param {Moment} moment @param {number} slot */
  statusOf(moment, slot) { return slot < moment.n ? this.statusIn(moment.last[slot]) : IDLE; }

  /** `waiting for 3 calls` and its like, for bars and cards. @param {number} row */
  doingIn(row) {
    const status = STATUS[this.statusIn(row)], what = this.whatIn(row), reasons = this.reasonsIn(row);
    if (!reasons) return status;
    const names = ["a call", "a promise", "a timer", "a step"].filter((_, i) => reasons & (1 << i));
    return `${status}, ${reasons === FOR_STEP ? "in" : "for"} ${what ? (reasons === FOR_STEP ? `step ${what}` : what) : names.join(" and ")}`;
  }

  /** The refused cycle of a REFUSED row: who calls which method at which line, the refused call last. @param {number} row @returns {Ring} */
  ringIn(row) { return JSON.parse(this.texts[this.c[row]]); }

  /** What an agent is called on screen. @param {number} slot */
  name(slot) {
    if (slot < 0) return "somebody not shown";
    return this.origins[slot] === ROOT ? "notebook" : (this.labels.get(slot) ?? shortId(this.ids[slot]));
  }

  /** @param {string} id */
  slotOf(id) { return this.ids.lastIndexOf(id); }

  /** What a promise is called. @param {number} number */
  promiseName(number) {
    const made = this.promises[number], row = made?.rows[0];
    return made && made.owner >= 0 ? `promise ${this.index[row]} of ${this.name(made.owner)}` : `promise #${number}`;
  }

  /** A promise as of a row: who awaits it, who completed it. @param {number} number @param {number} upto rows */
  promiseAt(number, upto) {
    const { rows, owner } = this.promises[number];
    /** @type {number[]} */ const waiting = [];
    const found = { number, owner, state: "unknown", created: -1, completed: -1, waiting, ignored: 0, seen: 0, awaited: 0 };
    for (const row of rows) {
      if (row >= upto) break;
      const slot = this.slot[row], event = this.b[row];
      if (event === CREATED) { found.created = row; found.state = "pending"; }
      else if (event === AWAITED) { waiting.push(slot); found.awaited++; if (found.state === "unknown") found.state = "pending"; }
      else if (event === DELIVERED || event === DROPPED) { const at = waiting.indexOf(slot); if (at >= 0) waiting.splice(at, 1); }
      else if (event === COMPLETED) { found.completed = row; found.state = "completed"; }
      else if (event === IGNORED) found.ignored++;
      else if (event === SEEN) found.seen++;
      else if (event === ENDED && found.state === "pending") found.state = "ended";
    }
    return found;
  }
}

/** @param {Uint32Array} steps hundredths of a millisecond @param {{wall: number, jumps: [number, number][]}} packed `jumps` in milliseconds */
function unpackWalls(steps, packed) {
  const walls = new Float64Array(steps.length);
  let since = 0, jump = 0; // whole numbers: fractions would add up to an error
  for (let i = 0; i < steps.length; i++) {
    if (packed.jumps[jump]?.[0] === i) since += Math.round(packed.jumps[jump++][1] * PER_MS);
    since += steps[i];
    walls[i] = packed.wall + since / PER_MS;
  }
  return walls;
}

/** Which kinds of links lie over the graph. */
export const SHOWN_LINKS = new Set([CALL, TRIGGER, PROMISE]);
