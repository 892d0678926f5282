// @ts-check
// The timeline as data: what each agent did when (bars), which lanes there are, and how many agents of a band ran at
// once. Pure; fed row by row. The rules of bars are those of workbench/views/spans.py; here they hold at any clock,
// because a bar knows the row from which on it is a ghost, or taken back.
import { DONE, EXITED, FAILED, IDLE, INTERRUPTED, QUEUED, RETRYING, ROOT, RUNNING, SUSPENDED, UNDEFINED, WAITING } from "./graph_store.js";
import { AGENT_ROW, FORK_ROW, MARK_ROW, REVERT_ROW, STATUS_ROW } from "./tape.js";
import { IdleTimes } from "./time_axis.js";

/** Children of one parent beyond which they fold into a band. */
export const FOLD_LANES = 50;
export const LANE_H = 24, BAND_LANE_H = 46;
/** How a bar is drawn. */
export const FRESH = 0, GHOST = 1, TAKEN_BACK = 2;
const NEVER = 0x7fff_ffff, SLOWEST_SHOWN = 3, CLEARLY_SLOWER = 1.25, NEWEST_SHOWN = 8;
/** By status: an invocation has begun and not ended; and nothing is there to be drawn. */
const UNDER_WAY = [RUNNING, WAITING, SUSPENDED, RETRYING, INTERRUPTED, UNDEFINED].reduce((all, status) => all | (1 << status), 0);
const AT_REST = [IDLE, DONE, FAILED, EXITED].reduce((all, status) => all | (1 << status), 0);

/**
 * A stretch of an agent's life in one status. `from` and `to` are entries, `t0` and `t1` milliseconds; `to` and `t1` are
 * Infinity while it goes on. `row` is the STATUS row that tells of it; `then` the status after it, -1 when it was only
 * cut in two. From the row `ghost` on it is drawn as replayed, from `gone` on as taken back.
 * @typedef {{from: number, t0: number, to: number, t1: number, row: number, turn: number, then: number, ghost: number, gone: number}} Piece
 */
/** How many children of a parent ran, and how many were under way and waited, from each row on. @typedef {{rows: number[], ran: number[], waited: number[], now: [number, number], peak: number}} Load */

/** @param {number} status */
export function isUnderWay(status) { return (UNDER_WAY >> status) & 1; }

/** What is known of one agent. */
class AgentLife {
  constructor() {
    /** @type {Piece[]} in order; an open one is the last */ this.pieces = [];
    this.status = IDLE;
    this.turn = 0;
    this.began = NaN; // when the invocation under way did
  }

  /** @returns {Piece | undefined} */
  get open() { const last = this.pieces[this.pieces.length - 1]; return last && last.t1 === Infinity ? last : undefined; }

  /** @param {number} seq @param {number} wall @param {number} then */
  close(seq, wall, then) {
    const open = this.open;
    if (!open) return;
    open.to = seq; open.t1 = wall; open.then = then;
    if (open.from >= seq) this.pieces.pop();
  }

  /** @param {number} seq @param {number} wall @param {number} row @param {number} turn */
  begin(seq, wall, row, turn) {
    this.pieces.push({ from: seq, t0: wall, to: Infinity, t1: Infinity, row, turn, then: -1, ghost: NEVER, gone: NEVER });
  }

  /** The open piece ends, and another like it begins. @param {number} seq @param {number} wall */
  cut(seq, wall) {
    const open = this.open;
    if (!open) return;
    this.close(seq, wall, -1);
    this.begin(seq, wall, open.row, open.turn);
  }

  /** Make two pieces of the one that an entry lies in. @param {number} seq @param {number} wall */
  split(seq, wall) {
    for (let i = this.pieces.length - 1; i >= 0; i--) {
      const piece = this.pieces[i];
      if (piece.from < seq && seq < piece.to) {
        this.pieces.splice(i + 1, 0, { ...piece, from: seq, t0: wall });
        piece.to = seq; piece.t1 = wall; piece.then = -1;
      }
      if (piece.from <= seq) return;
    }
  }

  /** The pieces up to an entry of the invocation that was under way there, as of a row. @param {number} seq @param {(row: number) => number} statusIn @param {number} row */
  underWayAt(seq, statusIn, row) {
    const { pieces } = this, found = [];
    let i = pieces.length - 1;
    while (i >= 0 && (pieces[i].from > seq || pieces[i].gone <= row)) i--;
    if (i < 0 || !isUnderWay(statusIn(pieces[i].row)) || pieces[i].to < seq) return [];
    for (const turn = pieces[i].turn; i >= 0; i--) {
      const piece = pieces[i];
      if (piece.gone <= row) continue;
      if (piece.turn !== turn) break;
      if (isUnderWay(statusIn(piece.row))) found.push(piece);
    }
    return found.reverse();
  }
}

/** The lives of all agents of a tape, as far as its rows were taken in. */
export class Lives {
  /** @param {import("./tape.js").Tape} tape */
  constructor(tape) {
    this.tape = tape;
    this.rows = 0;
    /** @type {AgentLife[]} by slot */ this.of = [];
    this.idle = new IdleTimes();
    this.running = 0;
    this.busy = 0; // how many are under way
    /** @type {Map<number, Load>} by parent */ this.loads = new Map();
    /** @type {number[]} by slot: the longest invocation that ended, in milliseconds */ this.longest = [];
    /** @type {Set<number>} slots that failed or were interrupted once */ this.loud = new Set();
    /** @type {Set<number>} kinds of bars that there are, `status * 16 + reasons` */ this.seen = new Set();
    this.statusIn = (/** @type {number} */ row) => tape.statusIn(row);
  }

  /** Take new rows in. @returns {boolean} whether there were any */
  take() {
    const { tape } = this, before = this.rows;
    for (; this.rows < tape.rows; this.rows++) this.note(this.rows);
    return this.rows > before;
  }

  /** @param {number} row */
  note(row) {
    const { tape } = this, kind = tape.kind[row], slot = tape.slot[row];
    this.idle.note(tape.wall[row], this.running);
    if (kind === STATUS_ROW) this.change(slot, row);
    else if (kind === AGENT_ROW) { this.of[slot] = new AgentLife(); this.longest[slot] = 0; }
    else if (kind === MARK_ROW) this.rebuilt(row);
    else if (kind === REVERT_ROW) this.takeBack(slot, row);
    else if (kind === FORK_ROW && tape.a[row] >= 0) this.inherit(slot, tape.a[row], row);
  }

  /** @param {number} slot @param {number} row */
  change(slot, row) {
    const { tape } = this, life = this.of[slot], status = tape.statusIn(row), seq = tape.seq[row], wall = tape.wall[row];
    const was = life.status, underWay = isUnderWay(status), wasUnderWay = isUnderWay(was);
    life.close(seq, wall, status);
    if (underWay && !wasUnderWay) { life.turn++; life.began = wall; }
    if (!underWay && wasUnderWay) { if (wall - life.began > this.longest[slot]) this.longest[slot] = wall - life.began; life.began = NaN; }
    if (status === FAILED || status === INTERRUPTED) this.loud.add(slot);
    life.status = status;
    if (!((AT_REST >> status) & 1)) {
      life.begin(seq, wall, row, life.turn + (status === QUEUED ? 1 : 0));
      this.seen.add(status * 16 + (tape.reasonsIn(row) & 15));
    }
    if (status !== was) this.count(tape.parents[slot], was, status, row);
  }

  /** @param {number} parent @param {number} was @param {number} status @param {number} row */
  count(parent, was, status, row) {
    const ran = Number(status === RUNNING) - Number(was === RUNNING), under = isUnderWay(status) - isUnderWay(was);
    this.running += ran;
    this.busy += under;
    if (parent < 0 || (!ran && !under)) return;
    let load = this.loads.get(parent);
    if (!load) this.loads.set(parent, (load = { rows: [], ran: [], waited: [], now: [0, 0], peak: 0 }));
    load.now[0] += ran;
    load.now[1] += under - ran;
    if (load.rows.length && this.tape.seq[load.rows[load.rows.length - 1]] === this.tape.seq[row]) { load.rows.pop(); load.ran.pop(); load.waited.pop(); }
    load.rows.push(row);
    load.ran.push(load.now[0]);
    load.waited.push(load.now[1]);
    if (load.now[0] + load.now[1] > load.peak) load.peak = load.now[0] + load.now[1];
  }

  /** A process took the session up: what is under way was replayed up to here. @param {number} row */
  rebuilt(row) {
    const seq = this.tape.seq[row], wall = this.tape.wall[row];
    this.idle.restart(wall);
    for (const life of this.of) {
      const open = life.open;
      if (!open || !isUnderWay(life.status)) continue;
      life.cut(seq, wall);
      for (let i = life.pieces.length - 1; i >= 0 && (life.pieces[i].turn === life.turn || life.pieces[i].gone < NEVER); i--) {
        const piece = life.pieces[i];
        if (piece !== life.open && piece.gone === NEVER && piece.ghost === NEVER && isUnderWay(this.statusIn(piece.row))) piece.ghost = row;
      }
    }
  }

  /** @param {number} slot @param {number} row */
  takeBack(slot, row) {
    const { tape } = this, life = this.of[slot], back = tape.c[row], wall = tape.wallOf(back);
    life.cut(tape.seq[row], tape.wall[row]);
    life.split(back, wall);
    const before = life.underWayAt(back, this.statusIn, row), open = life.open;
    for (let i = life.pieces.length - 1; i >= 0 && life.pieces[i].to > back; i--) if (life.pieces[i] !== open && life.pieces[i].from >= back && life.pieces[i].gone === NEVER) life.pieces[i].gone = row;
    if (before.length) {
      const last = before[before.length - 1];
      this.restate(slot, this.statusIn(last.row), row);
      life.turn = last.turn;
      life.began = before[0].t0;
      if (open) open.turn = life.turn;
    } else if (!open) this.restate(slot, IDLE, row);
  }

  /** @param {number} slot @param {number} status @param {number} row */
  restate(slot, status, row) {
    const life = this.of[slot];
    if (life.status !== status) this.count(this.tape.parents[slot], life.status, status, row);
    life.status = status;
  }

  /** A fork went through what its source did of this invocation up to the cut. @param {number} slot @param {number} source @param {number} row */
  inherit(slot, source, row) {
    const { tape } = this, life = this.of[slot], cut = tape.c[row] || tape.seq[row], wall = tape.wallOf(cut);
    for (const piece of this.of[source].underWayAt(cut, this.statusIn, row)) {
      const inside = piece.to <= cut, to = inside ? piece.to : cut;
      if (piece.from >= to) continue;
      life.pieces.push({ ...piece, to, t1: inside ? piece.t1 : wall, then: inside ? piece.then : -1, turn: 0, ghost: 0, gone: NEVER });
      this.restate(slot, this.statusIn(piece.row), row);
      life.began = tape.wall[row];
    }
  }

  /** How a piece is drawn as of so many rows. @param {Piece} piece @param {number} rows */
  look(piece, rows) { return piece.gone < rows ? TAKEN_BACK : piece.ghost < rows ? GHOST : FRESH; }

  /** The first piece of an agent that ends after a value. @param {number} slot @param {number} value @param {boolean} byEntry */
  firstAfter(slot, value, byEntry) {
    const pieces = this.of[slot]?.pieces ?? [];
    let low = 0, high = pieces.length;
    while (low < high) { const mid = (low + high) >> 1; if ((byEntry ? pieces[mid].to : pieces[mid].t1) > value) high = mid; else low = mid + 1; }
    return low;
  }

  /** A bar: the pieces beside a piece that look the same and tell of the same status. @param {number} slot @param {number} at @param {number} rows */
  bar(slot, at, rows) {
    const { pieces } = this.of[slot], piece = pieces[at], look = this.look(piece, rows);
    let first = at, last = at;
    while (first > 0 && pieces[first - 1].row === piece.row && this.look(pieces[first - 1], rows) === look) first--;
    while (last < pieces.length - 1 && pieces[last + 1].row === piece.row && this.look(pieces[last + 1], rows) === look) last++;
    let start = first;
    while (start > 0 && pieces[start - 1].turn === piece.turn && isUnderWay(this.statusIn(pieces[start - 1].row))) start--;
    return { from: pieces[first].from, t0: pieces[first].t0, to: pieces[last].to, t1: pieces[last].t1, row: piece.row, then: pieces[last].then, look, first, last, invocation: pieces[start].from };
  }

  /** How many children of a parent ran and waited right after a value. @param {number} parent @param {number} value @param {boolean} byEntry @returns {[number, number]} */
  loadAt(parent, value, byEntry) {
    const load = this.loads.get(parent);
    if (!load) return [0, 0];
    const at = this.loadIndex(load, value, byEntry) - 1;
    return at < 0 ? [0, 0] : [load.ran[at], load.waited[at]];
  }

  /** How many changes of a load came up to a value. @param {Load} load @param {number} value @param {boolean} byEntry */
  loadIndex(load, value, byEntry) {
    const places = byEntry ? this.tape.seq : this.tape.wall;
    let low = 0, high = load.rows.length;
    while (low < high) { const mid = (low + high) >> 1; if (places[load.rows[mid]] <= value) low = mid + 1; else high = mid; }
    return low;
  }

  /** How long the longest invocation of an agent took, or has taken so far. @param {number} slot @param {number} now */
  slowness(slot, now) {
    const life = this.of[slot];
    return Math.max(this.longest[slot] ?? 0, life && !Number.isNaN(life.began) ? now - life.began : 0);
  }
}

/** Which lanes there are, from the top down. A lane is an agent's, or a band of a parent's children. */
export class LaneTable {
  /** @param {Lives} lives */
  constructor(lives) {
    this.lives = lives;
    /** @type {Set<number>} agents whose children are hidden */ this.closed = new Set();
    /** @type {Set<number>} parents whose bands are open */ this.opened = new Set();
    /** @type {Set<number>} agents that are never folded away: selected, or part of what is shown */ this.pinned = new Set();
    /** @type {Map<number, number[]>} by parent: its slowest children */ this.slowest = new Map();
    this.agents = 0; // how many are placed
    this.loud = 0;
    this.height = 0;
    /** @type {number[]} an agent's slot, or minus the parent minus one for a band */ this.lanes = [];
    /** @type {number[]} */ this.depths = [];
    /** @type {number[]} */ this.tops = [];
    /** @type {Map<number, number>} by parent */ this.bands = new Map();
    /** @type {Int32Array} by slot: its lane, -1 when hidden; */ this.laneBySlot = new Int32Array(0);
    /** @type {Int32Array} by slot: the lane that stands for it, -2 when not looked for yet */ this.stands = new Int32Array(0);
    this.version = 0;
  }

  get count() { return this.lanes.length; }

  /** Whether the children of a parent are a band. @param {number} parent */
  folds(parent) { return parent >= 0 && (this.lives.tape.kids.get(parent)?.length ?? 0) > FOLD_LANES; }

  /** Whether there are new agents or failures that need lanes. */
  get outdated() {
    const { tape, loud } = this.lives;
    if (this.loud !== loud.size) return true;
    for (let slot = this.agents; slot < tape.n; slot++) {
      const parent = tape.parents[slot];
      if (parent < 0 || this.opened.has(parent) || !this.bands.has(parent)) { if (parent < 0 || parent >= this.agents || this.laneBySlot[parent] >= 0) return true; }
      else if (this.isRoot(parent)) return true;
    }
    return false;
  }

  /** @param {number} slot */
  isRoot(slot) { return this.lives.tape.origins[slot] === ROOT; }

  /** Find the slowest children of folded parents anew. @param {number} now @returns {boolean} whether they are others */
  weigh(now) {
    const { lives } = this;
    let changed = false;
    for (const [parent] of this.bands) {
      const kids = lives.tape.kids.get(parent) ?? [], known = this.slowest.get(parent) ?? [];
      /** @type {[number, number][]} */ const best = [];
      for (const slot of kids) {
        const time = lives.slowness(slot, now) * (known.includes(slot) ? CLEARLY_SLOWER : 1);
        if (time <= 0 || (best.length === SLOWEST_SHOWN && time <= best[SLOWEST_SHOWN - 1][1])) continue;
        best.push([slot, time]);
        best.sort((a, b) => b[1] - a[1]);
        if (best.length > SLOWEST_SHOWN) best.pop();
      }
      const slots = best.map(([slot]) => slot);
      if (slots.length !== known.length || slots.some((slot) => !known.includes(slot))) { this.slowest.set(parent, slots); changed = true; }
    }
    return changed;
  }

  /** The children of a folded parent that have lanes of their own. @param {number} parent @param {Set<number>} pinned with their ancestors */
  standOut(parent, pinned) {
    const { lives } = this, { tape } = lives, kids = tape.kids.get(parent) ?? [], slow = this.slowest.get(parent) ?? [], root = this.isRoot(parent);
    return kids.filter((slot, i) => lives.loud.has(slot) || pinned.has(slot) || slow.includes(slot) || (root && (i >= kids.length - NEWEST_SHOWN || tape.kids.has(slot))));
  }

  /** Place all lanes. */
  rebuild() {
    const { lives } = this, { tape } = lives;
    this.agents = tape.n;
    this.loud = lives.loud.size;
    this.version++;
    this.lanes = [];
    this.depths = [];
    this.tops = [];
    this.bands = new Map();
    this.laneBySlot = new Int32Array(tape.n).fill(-1);
    this.stands = new Int32Array(tape.n).fill(-2);
    this.height = 0;
    const pinned = new Set();
    for (let slot of this.pinned) for (; slot >= 0 && !pinned.has(slot); slot = tape.parents[slot]) pinned.add(slot);
    /** @type {[number, number][]} what is still to place, the next one last: mark and depth */ const stack = [];
    const push = (/** @type {number[]} */ slots, /** @type {number} */ depth) => { for (let i = slots.length - 1; i >= 0; i--) stack.push([slots[i], depth]); };
    push(tape.kids.get(-1) ?? [], 0);
    while (stack.length) {
      const [mark, depth] = /** @type {[number, number]} */ (stack.pop());
      this.put(mark, depth);
      if (mark < 0) {
        const parent = -mark - 1;
        push(this.opened.has(parent) ? tape.kids.get(parent) ?? [] : this.standOut(parent, pinned), depth + 1);
      } else if (!this.closed.has(mark)) {
        if (this.folds(mark)) stack.push([-mark - 1, depth + 1]);
        else push(tape.kids.get(mark) ?? [], depth + 1);
      }
    }
  }

  /** @param {number} mark @param {number} depth */
  put(mark, depth) {
    if (mark < 0) this.bands.set(-mark - 1, this.lanes.length);
    else this.laneBySlot[mark] = this.lanes.length;
    this.lanes.push(mark);
    this.depths.push(depth);
    this.tops.push(this.height);
    this.height += mark < 0 ? BAND_LANE_H : LANE_H;
  }

  /** The lane at a height, -1 for none. @param {number} y */
  at(y) {
    if (y < 0 || y >= this.height) return -1;
    const { tops } = this;
    let low = 0, high = tops.length;
    while (low < high) { const mid = (low + high) >> 1; if (tops[mid] <= y) low = mid + 1; else high = mid; }
    return low - 1;
  }

  /** The lane of an agent, or of what it is folded into; -1 for none. @param {number} slot */
  standing(slot) {
    if (slot < 0) return -1;
    if (slot >= this.stands.length) { // came since the lanes were placed
      const parent = this.lives.tape.parents[slot];
      return this.bands.get(parent) ?? this.standing(parent);
    }
    if (this.stands[slot] !== -2) return this.stands[slot];
    let lane = this.laneBySlot[slot];
    if (lane < 0) { const parent = this.lives.tape.parents[slot]; lane = parent < 0 ? -1 : this.bands.get(parent) ?? this.standing(parent); }
    return (this.stands[slot] = lane);
  }

  /** Open or fold what hangs on a lane. @param {number} lane @returns {boolean} whether there was something */
  toggle(lane) {
    const mark = this.lanes[lane];
    if (mark === undefined || !this.opens(lane)) return false;
    const [set, key] = mark < 0 ? [this.opened, -mark - 1] : [this.closed, mark];
    if (!set.delete(key)) set.add(key);
    this.rebuild();
    return true;
  }

  /** Whether a lane can be opened and folded. @param {number} lane */
  opens(lane) { const mark = this.lanes[lane]; return mark < 0 || this.lives.tape.kids.has(mark); }

  /** Whether a lane is open. @param {number} lane */
  isOpen(lane) { const mark = this.lanes[lane]; return mark < 0 ? this.opened.has(-mark - 1) : !this.closed.has(mark); }
}

/** `Worker` when all children of a parent are of one type, else `agents`. @param {import("./tape.js").Tape} tape @param {number[]} kids */
export function kindOfAll(tape, kids) {
  const first = tape.ids[kids[0]]?.split("(")[0] ?? "";
  for (let i = 0; i < kids.length; i++) if (!tape.ids[kids[i]].startsWith(`${first}(`)) return "agents";
  return first;
}

/** How many of some agents are in each status at a moment. @param {import("./tape.js").Tape} tape @param {import("./tape.js").Moment} moment @param {number[]} slots @returns {Int32Array} */
export function countStatuses(tape, moment, slots) {
  const counts = new Int32Array(16);
  for (const slot of slots) { if (slot >= moment.n) break; const row = moment.last[slot]; counts[row < 0 ? IDLE : tape.a[row] & 15]++; }
  return counts;
}
