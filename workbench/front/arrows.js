// @ts-check
// The timeline's messages as data: which are in sight, and what is drawn for them. A few are drawn one by one; of many,
// those between the same lanes at about the same time become one line, many such lines between two lanes a comb, and
// those that begin or end in one place and part to several lanes a fan with a count. Pure but for the lanes it is told of.
import { COMPLETION_ARROW, REPLY_ARROW } from "./tape.js";

/** Messages in sight beyond which they are bundled; also the most shapes that are drawn. */
export const MOST_ARROWS = 300;
const ARROW_BLOCK = 256, BUNDLE_PX = 14, FAN_LEAST = 5, COMB_LEAST = 8, COUNT_LEAST = 6, MOST_OWN = 400;

/** One line: from (x1, y of lane a) to (x2, y of lane b); `row` of the tape, or of one of them when `count` is more. @typedef {{row: number, kind: number, a: number, b: number, x1: number, x2: number, count: number, own: boolean}} ArrowLine */
/** Lines that begin (`out`) or end in one place. @typedef {{kind: number, out: boolean, hub: number, x: number, lines: ArrowLine[], count: number}} ArrowFan */
/** Many lines of a kind between two lanes, in order of time. @typedef {{kind: number, a: number, b: number, lines: ArrowLine[], count: number}} ArrowComb */
/** What is asked: an axis, the lanes in sight, which kinds. @typedef {{axis: import("./time_axis.js").TimeAxis, kinds: Set<number>, own: (slot: number) => boolean, anyOwn: boolean, standing: (slot: number) => number, inSight: (lane: number) => boolean}} ArrowView */
/** @typedef {{lines: ArrowLine[], fans: ArrowFan[], combs: ArrowComb[], total: number, left: number}} ArrowPicture `left`: how many in sight are not drawn */

/** The messages of a tape, with the time at which each was sent. */
export class Messages {
  /** @param {import("./tape.js").Tape} tape */
  constructor(tape) {
    this.tape = tape;
    this.n = 0;
    this.sent = new Float64Array(1024);
    /** @type {number[]} the first entry that sent one of each block */ this.earliest = [];
    /** @type {Set<number>} */ this.kinds = new Set();
    this.found = new Int32Array(1024);
  }

  /** Take new messages in. */
  take() {
    const { tape } = this, { arrows } = tape;
    if (this.sent.length < arrows.length) { const big = new Float64Array(arrows.length * 2); big.set(this.sent); this.sent = big; this.found = new Int32Array(big.length); }
    for (; this.n < arrows.length; this.n++) {
      const row = arrows[this.n], seq = tape.c[row], block = Math.floor(this.n / ARROW_BLOCK);
      this.sent[this.n] = seq === tape.seq[row] ? tape.wall[row] : tape.wallOf(seq);
      this.earliest[block] = Math.min(this.earliest[block] ?? Infinity, seq);
      this.kinds.add(tape.b[row]);
    }
  }

  /** The numbers of those with an end in sight, in `found`; how many. @param {ArrowView} view */
  search(view) {
    const { tape, sent, found } = this, { arrows } = tape, { axis } = view, { byEntry } = axis;
    const from = axis.value(axis.left), to = axis.value(axis.left + axis.width), places = byEntry ? tape.seq : tape.wall;
    const lastSeq = byEntry ? to : tape.rowAt(to) >= 0 ? tape.seq[tape.rowAt(to)] : -1;
    let low = 0, high = this.n, count = 0;
    while (low < high) { const mid = (low + high) >> 1; if (places[arrows[mid]] < from) low = mid + 1; else high = mid; }
    for (let i = low; i < this.n; i++) {
      if (i % ARROW_BLOCK === 0 && this.earliest[i / ARROW_BLOCK] > lastSeq) { i += ARROW_BLOCK - 1; continue; }
      const row = arrows[i], got = places[row], began = byEntry ? tape.c[row] : sent[i], own = view.anyOwn && (view.own(tape.slot[row]) || view.own(tape.a[row]));
      if (began > to || (!own && got > to && began < from)) continue;
      if (!view.kinds.has(tape.b[row])) continue;
      const a = view.standing(tape.a[row]), b = view.standing(tape.slot[row]);
      if (a < 0 || b < 0 || a === b || !(own || view.inSight(a) || view.inSight(b))) continue;
      found[count++] = i;
    }
    return count;
  }

  /** What to draw. @param {ArrowView} view @returns {ArrowPicture} */
  picture(view) {
    const { tape, found } = this, { axis } = view, total = this.search(view), many = total > MOST_ARROWS;
    /** @type {ArrowLine[]} */ let lines = [];
    /** @type {ArrowLine[]} */ const own = [];
    /** @type {Map<number, ArrowLine>} */ const merged = new Map();
    for (let n = 0; n < total; n++) {
      const i = found[n], row = tape.arrows[i], kind = tape.b[row], from = tape.a[row], to = tape.slot[row];
      const a = view.standing(from), b = view.standing(to), mine = view.anyOwn && (view.own(from) || view.own(to));
      const x1 = axis.x(axis.byEntry ? tape.c[row] : this.sent[i]), x2 = axis.x(axis.byEntry ? tape.seq[row] : tape.wall[row]);
      if (!many || (mine && own.length < MOST_OWN)) { (mine ? own : lines).push({ row, kind, a, b, x1, x2, count: 1, own: mine }); continue; }
      const key = ((((kind * 65536 + a) * 65536 + b) * 256 + bucketOf(x1, axis)) * 256) + bucketOf(x2, axis), known = merged.get(key);
      if (!known) merged.set(key, { row, kind, a, b, x1, x2, count: 1, own: false });
      else { known.count++; known.x1 += (x1 - known.x1) / known.count; known.x2 += (x2 - known.x2) / known.count; }
    }
    if (many) lines = [...merged.values()];
    const combed = many ? combsOf(lines) : { combs: [], rest: lines }, { fans, rest } = many ? fansOf(combed.rest, axis, FAN_LEAST) : { fans: [], rest: lines };
    let left = 0;
    if (fans.length + rest.length > MOST_ARROWS) {
      rest.sort((x, y) => y.count - x.count);
      for (const line of rest.splice(Math.max(20, MOST_ARROWS - fans.length))) left += line.count;
    }
    return { lines: [...rest, ...own], fans, combs: combed.combs, total, left };
  }
}

/** @param {number} x @param {import("./time_axis.js").TimeAxis} axis */
function bucketOf(x, axis) { return Math.max(0, Math.min(255, 4 + Math.floor((x - axis.left + (axis.offset % BUNDLE_PX)) / BUNDLE_PX))); }

/** Whether messages of a kind meet where they arrive; others part where they are sent. @param {number} kind */
function meets(kind) { return kind === REPLY_ARROW || kind === COMPLETION_ARROW; }

/** Lines between the same two lanes, when there are many. @param {ArrowLine[]} lines @returns {{combs: ArrowComb[], rest: ArrowLine[]}} */
export function combsOf(lines) {
  /** @type {Map<number, ArrowLine[]>} */ const pairs = new Map();
  for (const line of lines) {
    const key = (line.kind * 65536 + line.a) * 65536 + line.b, pair = pairs.get(key);
    if (pair) pair.push(line);
    else pairs.set(key, [line]);
  }
  /** @type {ArrowComb[]} */ const combs = [];
  /** @type {ArrowLine[]} */ const rest = [];
  for (const pair of pairs.values()) {
    if (pair.length < COMB_LEAST) { rest.push(...pair); continue; }
    pair.sort((x, y) => x.x2 - y.x2);
    combs.push({ kind: pair[0].kind, a: pair[0].a, b: pair[0].b, lines: pair, count: pair.reduce((sum, line) => sum + line.count, 0) });
  }
  return { combs, rest };
}

/**
 * Groups of lines with one end in common, and the other in several lanes.
 * @param {ArrowLine[]} lines @param {import("./time_axis.js").TimeAxis} axis @param {number} least
 * @returns {{fans: ArrowFan[], rest: ArrowLine[]}}
 */
export function fansOf(lines, axis, least) {
  /** @type {Map<number, ArrowLine[]>} */ const groups = new Map();
  for (const line of lines) {
    const meet = meets(line.kind), key = (line.kind * 65536 + (meet ? line.b : line.a)) * 256 + bucketOf(meet ? line.x2 : line.x1, axis), group = groups.get(key);
    if (group) group.push(line);
    else groups.set(key, [line]);
  }
  /** @type {ArrowFan[]} */ const fans = [];
  /** @type {ArrowLine[]} */ const rest = [];
  for (const group of groups.values()) {
    const meeting = meets(group[0].kind);
    if (group.length < least || new Set(group.map((line) => (meeting ? line.a : line.b))).size < least) { rest.push(...group); continue; }
    let count = 0, x = 0;
    for (const line of group) { count += line.count; x += meeting ? line.x2 : line.x1; }
    fans.push({ kind: group[0].kind, out: !meeting, hub: meeting ? group[0].b : group[0].a, x: x / group.length, lines: group, count });
  }
  return { fans, rest };
}

/** The places where so many lines begin or end that a count helps. @param {ArrowLine[]} lines @param {import("./time_axis.js").TimeAxis} axis */
export function countedHubs(lines, axis) {
  return fansOf(lines, axis, COUNT_LEAST).fans;
}
