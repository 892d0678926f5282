// @ts-check
// Where things stand. The tree grows from left to right; a column holds agents of one depth, and new columns open at the
// right. Families (children of one parent) are placed as runs of rows, in reading order; a node, once placed, stays, until
// the reader folds or expands something. More than FOLD siblings become a band: the failed, the interrupted and the slowest
// stand under it.
import { QUEUED, RETRYING, isBusy, isLoud } from "./graph_store.js";

export const FOLD = 50;
/** World units: pitch of columns, what a new depth adds to it, pitch of rows, size of a chip, pitch of an open band's dots. */
export const COLUMN = 178, STEP = 32, ROW = 34, CHIP_W = 148, CHIP_H = 26, DOT = 18, BAND_W = 196, BAND_H = 62;
export const HIDDEN = 0, CHIP = 1, DOTTED = 2;
const GAP = 0.6; // rows between families
const TALL = 13; // rows of a family before it opens another column
const TIDY = 150; // up to so many new nodes at once, each subtree gets rows of its own
const MOST_OUT = 24, SLOWEST = 3, SLOW_MS = 2000;

/** @typedef {{depth: number, x: number, width: number, top: number, bottom: number}} Column */
/** @typedef {{column: number, top: number, size: number, used: number}} Run */
/** @typedef {{parent: number, x: number, y: number, w: number, h: number, expanded: boolean, out: Map<number, [number, number]>, free: [number, number][], dots: number, columns: number, room: number, tail: Run | null}} Band */

export class Layout {
  x = new Float32Array(0);
  y = new Float32Array(0);
  mode = new Uint8Array(0);
  column = new Int32Array(0);
  depth = new Int32Array(0);
  reach = new Float32Array(0); // lowest row of a node's subtree
  placed = 0;
  visible = 0;
  stale = false;
  /** @type {Column[]} */ columns = [];
  /** @type {Map<number, Run[]>} */ runs = new Map();
  /** @type {Map<number, Band>} */ bands = new Map();

  /** @param {import("./graph_store.js").Store} store */
  constructor(store) {
    this.store = store;
    /** @type {Set<number>} parents whose bands are open; survives rebuilding */
    this.expanded = new Set();
    this.clear();
  }

  clear() {
    const cap = Math.max(256, this.store.cap);
    this.x = new Float32Array(cap);
    this.y = new Float32Array(cap);
    this.mode = new Uint8Array(cap);
    this.column = new Int32Array(cap);
    this.depth = new Int32Array(cap);
    this.reach = new Float32Array(cap);
    this.placed = 0;
    this.visible = 0;
    this.stale = false;
    this.columns = [];
    this.runs = new Map();
    this.bands = new Map();
  }

  grow() {
    if (this.x.length >= this.store.cap) return;
    /** @template {Float32Array|Uint8Array|Int32Array} T @param {T} old @param {T} big @returns {T} */
    const move = (old, big) => (big.set(old), big);
    const cap = this.store.cap;
    this.x = move(this.x, new Float32Array(cap));
    this.y = move(this.y, new Float32Array(cap));
    this.mode = move(this.mode, new Uint8Array(cap));
    this.column = move(this.column, new Int32Array(cap));
    this.depth = move(this.depth, new Int32Array(cap));
    this.reach = move(this.reach, new Float32Array(cap));
  }

  /** Place everything anew: after a snapshot, and when the reader folds or expands. */
  rebuild() {
    this.clear();
    this.update();
  }

  /** Place the nodes that are new in the store. @returns {boolean} whether anything that stood before moved or vanished */
  update() {
    this.grow();
    const from = this.placed, to = this.store.n;
    this.placed = to;
    const disturbed = this.place(from, to, null);
    if (!this.stale) return disturbed;
    this.rebuild(); // an open band outgrew the room it was given, a quarter more than it held
    return true;
  }

  /**
   * @param {number} from
   * @param {number} to
   * @param {Set<number> | null} only place only these (a subtree that comes into sight)
   */
  place(from, to, only) {
    const { parents } = this.store;
    let disturbed = false;
    /** @type {Map<number, number[]>} new children by parent, parents first */
    const families = new Map();
    for (let slot = from; slot < to; slot++) {
      if (only && !only.has(slot)) continue;
      const family = families.get(parents[slot]);
      if (family) family.push(slot);
      else families.set(parents[slot], [slot]);
    }
    const spans = this.spans(families);
    for (const [parent, members] of families) {
      if (parent < 0) for (const slot of members) this.plant(slot, spans);
      else if (!this.mode[parent]) continue;
      else if (this.folds(parent)) disturbed = this.fold(parent, members) || disturbed;
      else this.settle(parent, members, spans, parent < from);
    }
    return disturbed;
  }

  /** @param {number} parent */
  folds(parent) {
    return this.store.childCount(parent) > FOLD;
  }

  /** Rows that each new node needs for what hangs on it. @param {Map<number, number[]>} families @returns {Map<number, number>} */
  spans(families) {
    const spans = new Map();
    let all = 0;
    for (const members of families.values()) all += members.length;
    if (all > TIDY) return spans;
    const parents = [...families.keys()].filter((p) => p >= 0).sort((a, b) => b - a);
    for (const parent of parents) {
      const members = families.get(parent) ?? [];
      let rows = 0, leaves = true;
      if (this.folds(parent)) rows = this.expanded.has(parent) ? Math.ceil(dotRows(members.length) * DOT / ROW) + 2 : 4;
      else {
        for (const slot of members) { const span = spans.get(slot); if (span) leaves = false; rows += span ?? 1; }
        if (leaves) rows = Math.ceil(rows / Math.ceil(rows / TALL));
      }
      spans.set(parent, Math.max(1, rows + GAP));
    }
    return spans;
  }

  /** A root. @param {number} slot @param {Map<number, number>} spans */
  plant(slot, spans) {
    const span = spans.get(slot) ?? 1;
    const run = this.open(0, -1, -span / 2, span, COLUMN);
    this.put(slot, run.column, run.top + span / 2 - 0.5, 0);
  }

  /**
   * Put the new children of a parent beside it.
   * @param {number} parent @param {number[]} members @param {Map<number, number>} spans
   * @param {boolean} trickle whether the parent stood there before: a lone child is then kept room for siblings
   */
  settle(parent, members, spans, trickle) {
    const runs = this.runs.get(parent) ?? [];
    this.runs.set(parent, runs);
    const depth = this.depth[parent] + 1;
    const leaves = members.every((slot) => !spans.get(slot));
    let rest = members;
    if (leaves && runs.length) { // room left in the family's last run, or below it?
      const run = runs[runs.length - 1], column = this.columns[run.column];
      while (rest.length && run.used < TALL) {
        if (run.used + 1 > run.size) {
          if (Math.abs(column.bottom - (run.top + run.size)) > 0.01) break;
          run.size += 1;
          column.bottom += 1;
        }
        this.put(rest[0], run.column, run.top + run.used, depth);
        run.used += 1;
        rest = rest.slice(1);
      }
    }
    if (!rest.length) return;
    const wide = leaves ? Math.ceil(rest.length / TALL) : 1;
    let tall = leaves ? Math.ceil(rest.length / wide) : rest.length;
    if (!leaves && rest.reduce((rows, slot) => rows + (spans.get(slot) ?? 1), 0) > this.half()) tall = 1;
    for (let at = 0; at < rest.length; at += tall) {
      const part = rest.slice(at, at + tall);
      let rows = 0;
      for (const slot of part) rows += spans.get(slot) ?? 1;
      const first = runs[0]; // the family's first run, maybe of this very loop
      let wanted = this.y[parent] / ROW - (rows - 1) / 2;
      if (first) wanted = leaves ? first.top : Math.max(this.reach[parent] + 1, first.top);
      const size = leaves && trickle && rest.length < 3 && depth > 1 ? Math.max(4, rows) : rows;
      const run = this.open(depth, this.column[parent], wanted, size, COLUMN, leaves && first ? runs[runs.length - 1].column : -1);
      run.used = rows;
      runs.push(run);
      let row = run.top;
      for (const slot of part) {
        const span = spans.get(slot) ?? 1;
        this.put(slot, run.column, row + (span - 1) / 2, depth);
        row += span;
      }
    }
  }

  /**
   * Find room for a run of rows in a column of this depth right of the parent's, near the wanted row.
   * @param {number} depth @param {number} after @param {number} wanted @param {number} rows @param {number} width
   * @param {number} [beyond] a column that is full
   * @returns {Run}
   */
  open(depth, after, wanted, rows, width, beyond = -1) {
    const half = this.half();
    for (let i = Math.max(after, beyond) + 1; i < this.columns.length; i++) {
      const column = this.columns[i];
      if (column.depth !== depth) continue;
      if (column.width < width) {
        if (i < this.columns.length - 1) continue;
        column.width = width;
      }
      let top = wanted;
      if (top < column.bottom + GAP && top + rows > column.top - GAP) {
        const down = column.bottom + GAP, up = column.top - GAP - rows;
        const fits = down + rows <= half * 1.3 ? (up >= -half && wanted - up < down - wanted ? up : down) : up >= -half ? up : NaN;
        if (Number.isNaN(fits)) continue;
        top = fits;
      } else if (top + rows > half * 1.3 && top > column.bottom) continue;
      column.top = Math.min(column.top, top);
      column.bottom = Math.max(column.bottom, top + rows);
      return { column: i, top, size: rows, used: 0 };
    }
    const last = this.columns[this.columns.length - 1];
    const top = wanted > half ? -Math.min(half, rows / 2) : wanted;
    this.columns.push({ depth, x: last ? last.x + last.width + (last.depth === depth ? 0 : STEP) : 0, width, top, bottom: top + rows });
    return { column: this.columns.length - 1, top, size: rows, used: 0 };
  }

  /** Rows above and below the middle before another column is better: keeps the whole about as wide as high. */
  half() {
    return Math.max(14, 1.1 * Math.sqrt(this.visible + 1));
  }

  /** @param {number} slot @param {number} column @param {number} row @param {number} depth */
  put(slot, column, row, depth) {
    this.set(slot, this.columns[column].x, row * ROW, CHIP);
    this.column[slot] = column;
    this.depth[slot] = depth;
    this.stretch(slot, row);
  }

  /** @param {number} slot @param {number} x @param {number} y @param {number} mode */
  set(slot, x, y, mode) {
    if (!this.mode[slot] && mode) this.visible++;
    this.x[slot] = x;
    this.y[slot] = y;
    this.mode[slot] = mode;
  }

  /** Tell the ancestors how far down their subtree reaches. @param {number} slot @param {number} row */
  stretch(slot, row) {
    this.reach[slot] = row;
    for (let up = this.store.parents[slot]; up >= 0 && this.reach[up] < row; up = this.store.parents[up]) this.reach[up] = row;
  }

  // ---- bands -------------------------------------------------------------------------------------------------------

  /**
   * The parent has too many children to draw each.
   * @param {number} parent @param {number[]} members the new ones
   */
  fold(parent, members) {
    let band = this.bands.get(parent), disturbed = false;
    if (band?.expanded && band.dots + members.length > band.room) {
      this.stale = true;
      return true;
    }
    if (!band) {
      disturbed = true;
      band = this.bandFor(parent);
      members = this.store.kids.get(parent) ?? [];
    }
    if (band.expanded) for (const slot of members) this.dot(band, slot);
    else this.refold(parent, members);
    return disturbed;
  }

  /** @param {number} parent @returns {Band} */
  bandFor(parent) {
    const depth = this.depth[parent] + 1, expanded = this.expanded.has(parent);
    const n = (this.store.kids.get(parent) ?? []).length, columns = dotColumns(n * 1.25);
    /** @type {[number, number][]} */ const free = [];
    let run = (this.runs.get(parent) ?? [])[0];
    for (const kid of this.store.kids.get(parent) ?? []) this.hide(kid);
    let top = 0;
    if (run && !expanded) { // where the first column of children stood, beside the parent; the failed may have the other rows
      const wanted = Math.round(this.y[parent] / ROW - run.top - 0.5);
      const at = Math.max(0, Math.min(Math.floor(run.size) - 2, wanted));
      top = run.top + at;
      for (const old of this.runs.get(parent) ?? []) {
        const x = this.columns[old.column].x;
        for (let row = old === run ? at + 2 : 0; row < old.size - 0.5; row++) if (old === run || Math.abs(old.top + row - top - 0.5) > 1.5) free.push([x, (old.top + row) * ROW]);
        if (old === run) for (let row = at - 1; row >= 0; row--) free.push([x, (old.top + row) * ROW]);
      }
    } else {
      const rows = expanded ? dotRows(n * 1.25, columns) * DOT / ROW + 1.6 : 2;
      const width = expanded ? Math.max(BAND_W, columns * DOT + 16) + 30 : BAND_W;
      run = this.open(depth, this.column[parent], this.y[parent] / ROW - (rows - 1) / 2, rows, width);
      top = run.top;
    }
    this.runs.delete(parent);
    const column = this.columns[run.column];
    /** @type {Band} */ const band = {
      parent, expanded, out: new Map(), free, dots: 0, columns, tail: null, room: columns * dotRows(n * 1.25, columns),
      x: column.x, y: (top - 0.5) * ROW + 4, w: expanded ? Math.max(BAND_W, columns * DOT + 16) : BAND_W, h: expanded ? 40 + dotRows(n, columns) * DOT : BAND_H,
    };
    this.bands.set(parent, band);
    this.stretch(parent, Math.max(this.reach[parent], run.top + run.size));
    for (const kid of this.store.kids.get(parent) ?? []) { this.column[kid] = run.column; this.depth[kid] = depth; }
    return band;
  }

  /** @param {Band} band @param {number} slot */
  dot(band, slot) {
    const i = band.dots++;
    this.set(slot, band.x + 14 + (i % band.columns) * DOT, band.y + 40 + Math.floor(i / band.columns) * DOT, DOTTED);
    band.h = Math.max(band.h, 56 + Math.floor(i / band.columns) * DOT);
    const column = this.columns.findIndex((c) => Math.abs(c.x - band.x) < 1);
    this.column[slot] = column;
    this.depth[slot] = this.depth[band.parent] + 1;
  }

  /**
   * Bring the failed, the interrupted and the slowest of a folded band out, and those that are none of it back in.
   * @param {number} parent @param {Iterable<number>} [hints] children that may have changed so; all when left out
   * @returns {number[]} slots that came out or went in
   */
  refold(parent, hints) {
    const band = this.bands.get(parent);
    if (!band || band.expanded) return [];
    const { statuses, since, kids } = this.store;
    const wanted = new Set();
    for (const slot of band.out.keys()) if (isLoud(statuses[slot])) wanted.add(slot);
    for (const slot of hints ?? kids.get(parent) ?? []) if (isLoud(statuses[slot]) && wanted.size < MOST_OUT) wanted.add(slot);
    if (!hints) {
      const now = this.store.now(), calm = (/** @type {number} */ s) => (statuses[s] === RETRYING ? 0 : 1);
      const slow = (kids.get(parent) ?? []).filter((s) => isBusy(statuses[s]) && now - since[s] > SLOW_MS);
      for (const slot of slow.sort((a, b) => calm(a) - calm(b) || since[a] - since[b]).slice(0, SLOWEST)) wanted.add(slot);
    } else for (const slot of band.out.keys()) if (isBusy(statuses[slot]) || statuses[slot] === QUEUED) wanted.add(slot);
    const moved = [];
    for (const [slot, cell] of band.out) if (!wanted.has(slot)) { this.hide(slot); band.out.delete(slot); band.free.unshift(cell); moved.push(slot); }
    for (const slot of wanted) if (!band.out.has(slot)) { this.bringOut(band, slot); moved.push(slot); }
    return moved;
  }

  /** @param {Band} band @param {number} slot */
  bringOut(band, slot) {
    if (!band.free.length) {
      const column = band.tail && this.columns[band.tail.column];
      const full = band.tail && band.tail.size >= TALL - 1;
      if (band.tail && column && !full && Math.abs(column.bottom - band.tail.top - band.tail.size) < 0.01) { band.tail.size++; column.bottom++; }
      else band.tail = this.open(this.depth[band.parent] + 1, this.column[band.parent], (band.y + band.h) / ROW + 0.5, 1, COLUMN, full && band.tail ? band.tail.column : -1);
      band.free.push([this.columns[band.tail.column].x, (band.tail.top + band.tail.size - 1) * ROW]);
    }
    const cell = /** @type {[number, number]} */ (band.free.shift());
    band.out.set(slot, cell);
    this.set(slot, cell[0], cell[1], CHIP);
    this.column[slot] = this.columns.findIndex((c) => Math.abs(c.x - cell[0]) < 1);
    this.depth[slot] = this.depth[band.parent] + 1;
    this.reach[slot] = cell[1] / ROW;
    const below = this.subtree(slot);
    if (below.size) this.place(Math.min(...below), this.placed, below);
  }

  /** Take a node and what hangs on it out of sight. @param {number} slot */
  hide(slot) {
    if (this.mode[slot]) this.visible--;
    this.mode[slot] = HIDDEN;
    if (!this.store.kids.has(slot)) return;
    for (const s of this.subtree(slot)) { if (this.mode[s]) this.visible--; this.mode[s] = HIDDEN; this.bands.delete(s); this.runs.delete(s); }
    this.bands.delete(slot);
    this.runs.delete(slot);
  }

  /** @param {number} slot @returns {Set<number>} all that hangs on it */
  subtree(slot) {
    const all = new Set(), todo = [slot];
    for (let s = todo.pop(); s !== undefined; s = todo.pop()) for (const kid of this.store.kids.get(s) ?? []) { all.add(kid); todo.push(kid); }
    return all;
  }

  /** The parent whose band stands for a node that is out of sight, -1 for none. @param {number} slot */
  bandOf(slot) {
    for (let s = slot; s >= 0; s = this.store.parents[s]) {
      const parent = this.store.parents[s];
      if (parent < 0) return -1;
      if (this.mode[parent]) return !this.mode[s] && this.bands.has(parent) ? parent : -1;
    }
    return -1;
  }

  /** Corners of all that is drawn. @returns {[number, number, number, number]} left, top, right, bottom */
  bounds() {
    let l = Infinity, t = Infinity, r = -Infinity, b = -Infinity;
    for (let i = 0; i < this.placed; i++) {
      if (!this.mode[i]) continue;
      const w = this.mode[i] === CHIP ? CHIP_W : DOT / 2;
      l = Math.min(l, this.x[i]); r = Math.max(r, this.x[i] + w);
      t = Math.min(t, this.y[i] - CHIP_H / 2); b = Math.max(b, this.y[i] + CHIP_H / 2);
    }
    for (const band of this.bands.values()) { l = Math.min(l, band.x); r = Math.max(r, band.x + band.w); t = Math.min(t, band.y); b = Math.max(b, band.y + band.h); }
    return l > r ? [0, 0, CHIP_W, CHIP_H] : [l, t, r, b];
  }
}

/** Columns of a field of dots, about twice as wide as high. @param {number} n */
function dotColumns(n) {
  return Math.max(8, Math.ceil(Math.sqrt(n * 1.6)));
}

/** @param {number} n @param {number} [columns] */
function dotRows(n, columns = dotColumns(n)) {
  return Math.ceil(n / columns);
}
