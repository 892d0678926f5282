// @ts-check
// What the agent graph draws: arrays by slot. `TapeStore` in graph_pane.js fills them.

/** Names of the statuses by their number on the wire. */
export const STATUS = ["idle", "queued", "running", "waiting", "done", "failed", "undefined", "suspended", "interrupted", "retrying", "exited"];
export const IDLE = 0, QUEUED = 1, RUNNING = 2, WAITING = 3, DONE = 4, FAILED = 5, UNDEFINED = 6, SUSPENDED = 7, INTERRUPTED = 8, RETRYING = 9, EXITED = 10;
/** The order in which people want to read counts. */
export const READING_ORDER = [DONE, RUNNING, RETRYING, WAITING, SUSPENDED, QUEUED, INTERRUPTED, FAILED, UNDEFINED, IDLE, EXITED];
export const CALL = 1, TRIGGER = 2, PROMISE = 3, COMPLETION = 4;
export const SPAWNED = 0, FORKED = 1, ROOT = 2;
const WIDTH = 12; // places per parent in the table of counts

/** @typedef {{kind: number, from: number, to: number}} Link */
/** @typedef {{snapshot: boolean, from: number, changed: Int32Array, links: boolean, flashes: Int32Array}} Change */

/** Agents, how they are, and what joins them. */
export class Store {
  n = 0;
  cap = 256;
  parents = new Int32Array(this.cap);
  origins = new Uint8Array(this.cap);
  statuses = new Uint8Array(this.cap);
  since = new Float64Array(this.cap);
  counts = new Int32Array(this.cap * WIDTH);
  totals = new Int32Array(WIDTH);
  /** @type {string[]} */ ids = [];
  /** @type {Map<number, string>} */ labels = new Map();
  /** @type {Map<number, Link>} */ links = new Map();
  /** @type {Map<number, number[]>} */ kids = new Map();
  /** @type {Set<number>} kinds of links there ever were */ kinds = new Set();

  reset() {
    Object.assign(this, new Store());
  }

  /** @param {number} n */
  grow(n) {
    if (n <= this.cap) return;
    while (this.cap < n) this.cap *= 2;
    /** @template {Int32Array|Uint8Array|Float64Array} T @param {T} old @param {T} big @returns {T} */
    const move = (old, big) => (big.set(old), big);
    this.parents = move(this.parents, new Int32Array(this.cap));
    this.origins = move(this.origins, new Uint8Array(this.cap));
    this.statuses = move(this.statuses, new Uint8Array(this.cap));
    this.since = move(this.since, new Float64Array(this.cap));
    this.counts = move(this.counts, new Int32Array(this.cap * WIDTH));
  }

  /** @param {number} slot @param {number} status @param {number} by */
  count(slot, status, by) {
    const parent = this.parents[slot];
    if (parent >= 0) this.counts[parent * WIDTH + status] += by;
    if (this.origins[slot] !== ROOT) this.totals[status] += by;
  }

  /** How many children of a parent are in each status. @param {number} parent */
  childCounts(parent) {
    return this.counts.subarray(parent * WIDTH, parent * WIDTH + STATUS.length);
  }

  /** @param {number} parent */
  childCount(parent) {
    let sum = 0;
    for (const c of this.childCounts(parent)) sum += c;
    return sum;
  }

  /** The kernel's clock in milliseconds; who fills the store puts its own in this place. */
  now() {
    return 0;
  }

  /** What a node is called on screen. @param {number} slot */
  name(slot) {
    if (this.origins[slot] === ROOT) return "notebook";
    return this.labels.get(slot) ?? shortId(this.ids[slot]);
  }
}

/** Whether an invocation is under way, and goes on by itself or when something comes. @param {number} status */
export function isBusy(status) {
  return status === RUNNING || status === WAITING || status === SUSPENDED || status === RETRYING;
}

/** Whether somebody should look at it: it never folds away. @param {number} status */
export function isLoud(status) {
  return status === FAILED || status === INTERRUPTED;
}

/** An id with its phantom's UUID cut to its first digits. @param {string} id */
export function shortId(id) {
  return id.replace(/\[([0-9a-f]{4})[0-9a-f]{4}-[0-9a-f-]{27}\]$/, "[$1…]");
}

/** `180 done, 3 failed, 17 running`. @param {ArrayLike<number>} counts @param {string} [comma] */
export function describeCounts(counts, comma = ", ") {
  return READING_ORDER.filter((s) => counts[s]).map((s) => `${counts[s]} ${STATUS[s]}`).join(comma);
}

/** `3.2 s`, `4 min`. @param {number} ms */
export function describeTime(ms) {
  if (ms < 0 || !Number.isFinite(ms)) return "";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60e3) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3600e3) return `${Math.floor(ms / 60e3)} min ${Math.floor(ms / 1000) % 60} s`;
  return `${Math.floor(ms / 3600e3)} h ${Math.floor(ms / 60e3) % 60} min`;
}
