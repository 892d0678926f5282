// @ts-check
// What the kernel said: packets in, arrays by slot out. The format is described in workbench/views/graph_packet.py.

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

/** State shared by all views of one model. */
export class Store {
  seq = -1;
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
  latest = 0;
  skew = Infinity;

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

  /**
   * Take a packet in.
   * @param {any} head
   * @param {DataView} data
   * @returns {Change | null} null when packets were missed: ask for a snapshot.
   */
  apply(head, data) {
    const snapshot = head.t === "snapshot";
    if (snapshot) this.reset();
    else if (head.seq <= this.seq) return { snapshot, from: this.n, changed: new Int32Array(0), links: false, flashes: new Int32Array(0) };
    else if (head.seq !== this.seq + 1 || head.base > this.n) return null;
    this.seq = head.seq;
    // a copy, because the parts must be aligned and the message's buffer is not ours to keep
    const bytes = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
    let at = 0;
    /** @template T @param {new (b: ArrayBufferLike, o: number, n: number) => T} Type @param {number} size @param {number} n @returns {T} */
    const take = (Type, size, n) => { const part = new Type(/** @type {ArrayBuffer} */ (bytes), at, n); at += size * n; return part; };
    const since = take(Float64Array, 8, head.changed);
    const parents = take(Int32Array, 4, head.new);
    const changed = take(Int32Array, 4, head.changed);
    const opened = take(Int32Array, 4, head.opened * 4);
    const closed = take(Int32Array, 4, head.closed);
    const flashes = take(Int32Array, 4, head.flashed * 2);
    const origins = take(Uint8Array, 1, head.new);
    const statuses = take(Uint8Array, 1, head.changed);
    const ids = head.new ? new TextDecoder().decode(new Uint8Array(/** @type {ArrayBuffer} */ (bytes), at)).split("\0") : [];

    const from = this.n;
    this.grow(head.base + head.new);
    for (let i = 0; i < head.new; i++) {
      const slot = head.base + i;
      if (slot < this.n) continue; // known already: packets may overlap
      this.parents[slot] = parents[i];
      this.origins[slot] = origins[i];
      this.statuses[slot] = IDLE;
      this.ids[slot] = ids[i] ?? "";
      this.count(slot, IDLE, 1);
      const kids = this.kids.get(parents[i]);
      if (kids) kids.push(slot);
      else this.kids.set(parents[i], [slot]);
      this.n = slot + 1;
    }
    for (let i = 0; i < head.changed; i++) {
      const slot = changed[i];
      if (slot >= this.n) continue;
      this.count(slot, this.statuses[slot], -1);
      this.statuses[slot] = statuses[i];
      this.count(slot, statuses[i], 1);
      this.since[slot] = since[i];
      if (since[i] > this.latest) this.latest = since[i];
    }
    if (head.now) this.skew = Date.now() - head.now;
    else if (this.latest) this.skew = Math.min(this.skew, Date.now() - this.latest);
    for (let i = 0; i < opened.length; i += 4) { this.kinds.add(opened[i + 1]); this.links.set(opened[i], { kind: opened[i + 1], from: opened[i + 2], to: opened[i + 3] }); }
    for (const key of closed) this.links.delete(key);
    for (const [slot, label] of head.labels ?? []) this.labels.set(slot, label);
    for (const [slot, ...counts] of head.hidden ?? []) {
      counts.forEach((/** @type {number} */ c, /** @type {number} */ s) => { this.counts[slot * WIDTH + s] += c; this.totals[s] += c; });
    }
    return { snapshot, from: snapshot ? 0 : from, changed, links: opened.length + closed.length > 0, flashes };
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

  /** The kernel's clock, as far as the packets tell. */
  now() {
    return this.skew === Infinity ? 0 : Date.now() - this.skew;
  }

  /** What a node is called on screen. @param {number} slot */
  name(slot) {
    if (this.origins[slot] === ROOT) return "notebook";
    return this.labels.get(slot) ?? shortId(this.ids[slot]);
  }

  /** @param {string} id */
  slotOf(id) {
    return this.ids.lastIndexOf(id);
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
