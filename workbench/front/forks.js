// @ts-check
// The fork tree: a branch per fork over the index of the oplog, what was taken back, and the results side by side.
import { DONE, FAILED, IDLE, READING_ORDER, STATUS, UNDEFINED, describeCounts, isLoud, shortId } from "./graph_store.js";
import { drawShape, readTheme } from "./graph_paint.js";
import { make, setText } from "./graph.js";
import { AWAITED, COMPLETED, CREATED, DELIVERED, DROPPED, ENDED, FORK_ROW, IGNORED, PROMISE_ROW, REVERT_ROW, SEEN, STATUS_ROW } from "./tape.js";
import { agentLink, button, confirmHere, counted, sharpPen } from "./marks.js";

export const FORK_FOLD = 50;
const RULER_H = 26, LINE_H = 32, TALL_LINE_H = 50, FAMILY_GAP = 16, NARROW_FORKS = 560, SIDE_BESIDE = 700, FORK_PAD = 16, HEAD_ROOM = 34, MOST_PX = 26, DOT_GAP = 5, PASSING_GAP = 7;
const RESULTS_EVERY_MS = 700, RESULTS_REST_MS = 3000, COMPARE_EVERY_MS = 2000, MOST_COMPARED = 8, TOLD_MOST = 200, TELL_EVERY_MS = 2000, MOST_ASKED = 200;

/** A row of the drawing: a branch, or a band of folded ones. `parent` is the row of the source, -1 for none; `band` are the folded slots. */
/** @typedef {{slot: number, cut: number, parent: number, depth: number, family: number, band: number[] | null, open: boolean, y: number}} ForkLine */
/** A place on a branch: an entry that the tape knows, or a cut. `row` is -1 for a cut of which no more is known. @typedef {{index: number, row: number}} ForkPlace */

// ---- what there is to draw -------------------------------------------------------------------------------------------

/** Who was forked off whom, and what was taken back; follows a tape as it grows. */
export class ForkFamilies {
  /** @type {import("./tape.js").Tape | null} */ tape = null;
  forksRead = 0;
  revertsRead = 0;
  /** @type {Map<number, import("./tape.js").ForkRow[]>} by source, in the order of their making */ kids = new Map();
  /** @type {Map<number, import("./tape.js").ForkRow>} */ bySlot = new Map();
  /** @type {Map<number, number[]>} REVERT rows by slot */ reverts = new Map();
  crowded = false; // some source has more forks than are drawn one by one

  /** Take in what the tape has got; whether it is another tape. @param {import("./tape.js").Tape} tape */
  take(tape) {
    const other = tape !== this.tape;
    if (other) { this.tape = tape; this.forksRead = this.revertsRead = 0; this.kids.clear(); this.bySlot.clear(); this.reverts.clear(); this.crowded = false; }
    for (; this.forksRead < tape.forks.length; this.forksRead++) {
      const fork = tape.forks[this.forksRead], kids = this.kids.get(fork.source);
      this.bySlot.set(fork.slot, fork);
      if (fork.source < 0) continue;
      if (kids) { kids.push(fork); if (kids.length > FORK_FOLD) this.crowded = true; } else this.kids.set(fork.source, [fork]);
    }
    for (; this.revertsRead < tape.reverts.length; this.revertsRead++) {
      const row = tape.reverts[this.revertsRead], slot = tape.slot[row], rows = this.reverts.get(slot);
      if (rows) rows.push(row);
      else this.reverts.set(slot, [row]);
    }
    return other;
  }

  /** How many forks there were after so many rows. @param {number} upto */
  born(upto) {
    const { forks } = /** @type {import("./tape.js").Tape} */ (this.tape);
    return countBefore(forks.length, (i) => forks[i].row, upto);
  }

  /** The forks of a source after so many rows. @param {number} slot @param {number} upto */
  kidsOf(slot, upto) {
    const kids = this.kids.get(slot);
    if (!kids) return [];
    return kids[kids.length - 1].row < upto ? kids : kids.slice(0, countBefore(kids.length, (i) => kids[i].row, upto));
  }

  /**
   * The rows of the drawing. Below a source its forks, those that left last first, so that no branch crosses another.
   * @param {number} upto rows of the tape that count
   * @param {Set<number>} opened sources whose many forks are shown one by one
   * @param {(slot: number) => boolean} keep who never folds away
   * @returns {ForkLine[]}
   */
  lines(upto, opened, keep) {
    const { forks } = /** @type {import("./tape.js").Tape} */ (this.tape), n = this.born(upto);
    /** @type {Set<number>} */ const roots = new Set(), kept = new Set();
    for (let i = 0; i < n; i++) {
      const { slot, source } = forks[i], above = source < 0 ? undefined : this.bySlot.get(source);
      if (source < 0) roots.add(slot);
      else if (!above || above.row >= upto) roots.add(source);
      if (this.crowded && keep(slot)) for (let at = slot; at >= 0 && !kept.has(at); at = this.bySlot.get(at)?.source ?? -1) kept.add(at);
    }
    /** @type {ForkLine[]} */ const lines = [];
    /** @type {ForkLine[]} */ const todo = [];
    [...roots].sort((a, b) => a - b).forEach((slot, family) => {
      todo.push({ slot, cut: this.bySlot.get(slot)?.cut ?? 0, parent: -1, depth: 0, family, band: null, open: false, y: 0 });
      for (let line = todo.pop(); line; line = todo.pop()) {
        const parent = lines.push(line) - 1;
        if (line.band) continue;
        let kids = this.kidsOf(line.slot, upto);
        const below = { parent, depth: line.depth + 1, family, y: 0 };
        /** @type {ForkLine | null} */ let band = null;
        if (kids.length > FORK_FOLD) {
          const open = opened.has(line.slot), folded = kids.filter((kid) => !kept.has(kid.slot));
          if (folded.length) band = { slot: line.slot, cut: Math.min(...folded.slice(0, 1000).map((kid) => kid.cut)), band: this.withForks(folded, upto), open, ...below };
          if (!open) kids = kids.filter((kid) => kept.has(kid.slot));
        }
        const order = kids.length > 1 ? [...kids].sort((a, b) => a.cut - b.cut || b.row - a.row) : kids;
        for (const kid of order) todo.push({ slot: kid.slot, cut: kid.cut, band: null, open: false, ...below });
        if (band) todo.push(band);
      }
    });
    return lines;
  }

  /** The slots of forks and of all that were forked off them. @param {import("./tape.js").ForkRow[]} forks @param {number} upto */
  withForks(forks, upto) {
    const found = forks.map((fork) => fork.slot);
    for (let i = 0; i < found.length; i++) for (const kid of this.kidsOf(found[i], upto)) found.push(kid.slot);
    return found;
  }

  /** Stretches of indices that were taken back, first and last, in order and apart. @param {number} slot @param {number} upto @returns {[number, number][]} */
  takenBack(slot, upto) {
    const rows = this.reverts.get(slot);
    if (!rows) return [];
    const tape = /** @type {import("./tape.js").Tape} */ (this.tape);
    /** @type {[number, number][]} */ const found = [];
    for (const row of rows) {
      if (row >= upto) break;
      const first = tape.a[row] + 1, last = tape.index[row];
      while (found.length && found[found.length - 1][0] >= first) found.pop(); // an earlier one is within it
      const before = found[found.length - 1];
      if (before && before[1] >= first - 1) before[1] = last;
      else found.push([first, last]);
    }
    return found;
  }

  /** How many of the rows of an oplog count. @param {number} slot @param {number} upto */
  rowsOf(slot, upto) {
    const own = /** @type {import("./tape.js").Tape} */ (this.tape).own[slot] ?? [];
    return !own.length || own[own.length - 1] < upto ? own.length : countBefore(own.length, (i) => own[i], upto);
  }

  /** The newest index of an oplog that is known. @param {number} slot @param {number} upto */
  lastIndex(slot, upto) {
    const tape = /** @type {import("./tape.js").Tape} */ (this.tape), n = this.rowsOf(slot, upto), kids = this.kidsOf(slot, upto), fork = this.bySlot.get(slot);
    let last = Math.max(n ? tape.index[tape.own[slot][n - 1]] : 1, fork && fork.row < upto ? fork.cut + 1 : 1);
    if (kids.length) for (const kid of kids) if (kid.cut > last) last = kid.cut;
    return last;
  }

  /** The place on a branch at an index, or the nearest one in a direction (0: on either side); null for none. @param {number} slot @param {number} index @param {-1 | 0 | 1} way @param {number} upto @returns {ForkPlace | null} */
  place(slot, index, way, upto) {
    const tape = /** @type {import("./tape.js").Tape} */ (this.tape), own = tape.own[slot] ?? [], n = this.rowsOf(slot, upto);
    const at = countBefore(n, (i) => tape.index[own[i]], way > 0 ? index + 1 : index); // the first that is not before
    const before = at > 0 ? own[at - 1] : -1, after = at < n ? own[at] : -1;
    let best = way < 0 ? before : way > 0 ? after : after < 0 || (before >= 0 && index - tape.index[before] < tape.index[after] - index) ? before : after;
    let found = best >= 0 ? tape.index[best] : NaN;
    for (const kid of this.kidsOf(slot, upto)) {
      const { cut } = kid;
      if (way < 0 ? cut >= index : way > 0 ? cut <= index : false) continue;
      if (Number.isNaN(found) || Math.abs(cut - index) < Math.abs(found - index)) { found = cut; best = -1; }
    }
    if (best >= 0) while (best > 0) { const earlier = own[countBefore(n, (i) => tape.index[own[i]], found)]; if (earlier === best) break; best = earlier; }
    return Number.isNaN(found) ? null : { index: found, row: best };
  }

  /** The entry, by `seq`, of a place; of a cut of which no more is known the one that made the first fork there. @param {number} slot @param {ForkPlace} place @param {number} upto */
  seqOf(slot, place, upto) {
    const { seq, born } = /** @type {import("./tape.js").Tape} */ (this.tape), kid = place.row < 0 ? this.kidsOf(slot, upto).find(({ cut }) => cut === place.index) : undefined;
    return seq[kid ? kid.row : place.row >= 0 ? place.row : born[slot]];
  }

  /** What happened at a place, in words. @param {number} slot @param {ForkPlace} place @param {number} upto */
  words(slot, place, upto) {
    const tape = /** @type {import("./tape.js").Tape} */ (this.tape), own = tape.own[slot] ?? [], n = this.rowsOf(slot, upto), said = [];
    if (place.row >= 0) for (let i = countBefore(n, (j) => tape.index[own[j]], place.index); i < n && tape.index[own[i]] === place.index; i++) said.push(rowWords(tape, own[i]));
    const cuts = this.kidsOf(slot, upto).filter((kid) => kid.cut === place.index);
    if (cuts.length) said.push(cuts.length === 1 ? `${forkTail(tape, cuts[0].slot)} forked off` : `${cuts.length} forks left here`);
    const dead = this.takenBack(slot, upto).find(([first, last]) => first <= place.index && place.index <= last);
    if (dead && place.index < dead[1]) said.push("taken back since");
    return [...new Set(said.filter(Boolean))].join(", ");
  }
}

/** How many of `n` growing numbers are below a limit. @param {number} n @param {(i: number) => number} at @param {number} limit */
export function countBefore(n, at, limit) {
  let low = 0, high = n;
  while (low < high) { const mid = (low + high) >> 1; if (at(mid) < limit) low = mid + 1; else high = mid; }
  return low;
}

const PROMISE_DONE = { [CREATED]: "made", [AWAITED]: "waits for", [DELIVERED]: "was given", [COMPLETED]: "completed", [IGNORED]: "tried too late to complete", [SEEN]: "looked at", [ENDED]: "ended", [DROPPED]: "waits no longer for" };

/** What a row says an agent did. @param {import("./tape.js").Tape} tape @param {number} row */
function rowWords(tape, row) {
  const kind = tape.kind[row];
  if (kind === STATUS_ROW) { const method = tape.methodIn(row); return `${tape.doingIn(row)}${method ? ` (${method})` : ""}`; }
  if (kind === PROMISE_ROW) { const verb = /** @type {Record<number, string>} */ (PROMISE_DONE)[tape.b[row]]; return verb ? `${verb} ${tape.promiseName(tape.a[row])}` : ""; }
  if (kind === FORK_ROW) return `begins as a fork of ${tape.name(tape.a[row])} at ${tape.b[row]}`;
  if (kind === REVERT_ROW) return `${tape.b[row] ? "an atomic region was undone, " : "was taken "}back to ${tape.a[row]}`;
  return "";
}

/** What a fork is called where its source's name stands above: its label, or the phantom's first digits. @param {import("./tape.js").Tape} tape @param {number} slot */
export function forkTail(tape, slot) {
  const label = tape.labels.get(slot), id = shortId(tape.ids[slot] ?? ""), at = id.lastIndexOf("[");
  return label ?? (at >= 0 ? id.slice(at) : id);
}

/** Steps of a ruler, of 1, 2 or 5 and zeros, at least so many pixels apart. @param {number} k pixels of an index @param {number} [gap] */
export function rulerStep(k, gap = 56) {
  let step = 1;
  for (let i = 0; step * k < gap; i++) step *= i % 3 === 1 ? 2.5 : 2;
  return step;
}

/** A text cut at its end so that it fits. @param {(text: string) => number} measure @param {string} text @param {number} width */
export function cutToFit(measure, text, width) {
  if (text.length > 400) text = text.slice(0, 400);
  if (measure(text) <= width) return text;
  let low = 0, high = text.length;
  while (low < high) { const mid = (low + high + 1) >> 1; if (measure(`${text.slice(0, mid)}…`) <= width) low = mid; else high = mid - 1; }
  return low ? `${text.slice(0, low)}…` : "";
}

/** A result in a few words, for a row. @param {{text: string, ok: boolean | null} | undefined} result @param {string} doing what it does when there is no result @returns {{text: string, kind: "ok" | "failed" | "open"}} */
export function resultWords(result, doing) {
  if (!result || result.ok === null || result.ok === undefined) return { text: doing, kind: "open" };
  return { text: result.text.replace(/\s+/g, " ") || "None", kind: result.ok ? "ok" : "failed" };
}

// ---- the pane --------------------------------------------------------------------------------------------------------

/** The fork tree in one place. */
export class ForksPane {
  stage = make("div", "wb-forks-stage");
  canvas = make("canvas", "wb-forks-canvas");
  space = make("div", "wb-forks-space");
  bar = make("div", "wb-forks-bar");
  foot = make("div", "wb-forks-foot wb-faint");
  tip = make("div", "wb-tip");
  acts = make("div", "wb-forks-acts");
  side = make("aside", "wb-forks-side");
  empty = make("div", "wb-forks-empty");
  table = make("table", "wb-unseen");
  tools = make("div", "wb-forks-tools");
  main = make("div", "wb-forks-main");
  /** @type {HTMLElement | undefined} where the answer about what would be done goes */ actsSaid;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ resultsLater;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ compareLater;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ tellLater;
  w = 0;
  h = 0;
  /** Widths of the columns of names and of results. */
  names = 0;
  outcomes = 0;
  narrow = false;
  closed = false;
  themed = false;
  sure = false;
  wasLive = false;
  comparedState = "";
  codeFamily = "";
  families = new ForkFamilies();
  /** @type {ForkLine[]} */ lines = [];
  /** @type {Map<number, number>} slot to row of the drawing */ lineOf = new Map();
  /** @type {Set<number>} sources whose band is open */ opened = new Set();
  /** @type {Map<number, {row: number, text: string, ok: boolean | null}>} results by slot, with the STATUS row at which they were so */ results = new Map();
  /** @type {{slot: number, index: number, band: boolean} | null} where the keys are */ at = null;
  /** @type {{slot: number, index: number} | null} where something may be done */ acting = null;
  /** @type {{line: number, place: ForkPlace | null} | null} */ hover = null;
  layoutKey = "";
  k = 12;
  zoomed = 1;
  reach = 8; // the index up to which the picture goes
  high = 0;
  awaited = "";
  shutSide = "";
  comparedKey = "";
  compared = 0;
  resultsAt = 0;
  frameId = 0;
  told = 0;

  /** @param {import("./desk.js").Desk} desk @param {HTMLElement} el */
  constructor(desk, el) {
    this.desk = desk;
    this.el = el;
    this.theme = readTheme(el);
    this.build();
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.stage);
    this.sizes.observe(el);
  }

  build() {
    const { el } = this;
    el.classList.add("wb-forks");
    const body = make("div", "wb-forks-body"), { main } = this;
    this.canvas.setAttribute("aria-hidden", "true");
    const { stage } = this;
    stage.tabIndex = 0;
    stage.setAttribute("role", "application");
    stage.setAttribute("aria-label", "Fork tree. Left and right walk along a branch, up and down go between branches, Enter offers what can be done there, Space selects the branch, plus and minus zoom.");
    this.foot.id = `wb-forks-${++ForksPane.made}`;
    stage.setAttribute("aria-describedby", this.foot.id);
    this.acts.setAttribute("role", "group");
    this.side.setAttribute("aria-label", "What differs");
    for (const [sign, title, act] of /** @type {[string, string, () => void][]} */ ([["+", "Zoom in (+)", () => this.zoom(1.4)], ["−", "Zoom out (-)", () => this.zoom(1 / 1.4)], ["⤢", "Fit all in (F)", () => this.zoom(0)]])) {
      const tool = button(sign, title, act, "wb-tool");
      tool.setAttribute("aria-label", title);
      tool.tabIndex = -1;
      this.tools.append(tool);
    }
    this.tip.hidden = this.acts.hidden = this.side.hidden = this.empty.hidden = true;
    stage.append(this.canvas, this.space);
    this.bar.append(this.foot, this.tools);
    main.append(stage, this.tip, this.acts, this.empty, this.bar);
    body.append(main, this.side);
    el.append(body, this.table);
    stage.addEventListener("scroll", this.onScroll = () => { this.want(); }, { passive: true });
    stage.addEventListener("pointermove", this.onMove = (/** @type {PointerEvent} */ e) => this.point(e));
    stage.addEventListener("pointerleave", this.onLeave = () => { this.hover = null; this.tip.hidden = true; this.want(); });
    stage.addEventListener("click", this.onClick = (/** @type {MouseEvent} */ e) => this.click(e));
    stage.addEventListener("wheel", this.onWheel = (/** @type {WheelEvent} */ e) => { if (e.ctrlKey || e.metaKey) { e.preventDefault(); this.zoom(Math.exp(-e.deltaY / 240), e.clientX); } }, { passive: false });
    stage.addEventListener("focus", this.onFocus = () => { this.arrive(); this.want(); });
    stage.addEventListener("blur", this.onBlur = () => this.want());
  }

  static made = 0;

  close() {
    this.closed = true;
    this.sizes.disconnect();
    cancelAnimationFrame(this.frameId);
    for (const timer of [this.resultsLater, this.compareLater, this.tellLater]) clearTimeout(timer);
    const { stage } = this;
    for (const [name, act] of /** @type {[string, any][]} */ ([["scroll", this.onScroll], ["pointermove", this.onMove], ["pointerleave", this.onLeave], ["click", this.onClick], ["wheel", this.onWheel], ["focus", this.onFocus], ["blur", this.onBlur]])) stage.removeEventListener(name, act);
  }

  focus() { this.stage.focus({ preventScroll: true }); }

  // ---- data in -----------------------------------------------------------------------------------------------------

  /** @param {import("./desk.js").News} news */
  update(news) {
    const { desk, families } = this;
    if (news.theme || !this.themed) { this.theme = readTheme(this.el); this.themed = this.el.isConnected; }
    if (families.take(desk.tape)) { this.results.clear(); this.opened.clear(); this.at = null; this.closeActs(); this.layoutKey = this.comparedKey = ""; this.reach = 8; }
    if (news.kernel && desk.live !== this.wasLive) { this.results.clear(); this.wasLive = desk.live; }
    this.layOut();
    if (this.awaited) this.arrival();
    if (news.rows || news.clock || news.kernel) this.askResults();
    if (news.rows || news.selection || news.kernel || news.clock) this.compareSoon();
    this.draw();
    this.tellSoon();
  }

  get upto() { return this.desk.moment.row; }

  /** Rows of the drawing, made anew when forks came, the clock moved past one, or somebody in a band failed. */
  layOut() {
    const { desk, families } = this, { moment, tape } = desk, born = families.born(moment.row);
    const loud = (/** @type {number} */ slot) => isLoud(tape.statusOf(moment, slot)) || desk.selected.has(slot);
    let key = `${born}`;
    if (families.crowded) { key += ` ${[...this.opened]}:`; for (let i = 0; i < born; i++) if (loud(tape.forks[i].slot)) key += ` ${i}`; }
    if (key !== this.layoutKey) {
      this.layoutKey = key;
      const pinned = this.at && this.lineOf.get(this.at.slot), before = pinned !== undefined && pinned !== null ? this.lines[pinned]?.y : undefined;
      this.lines = families.lines(moment.row, this.opened, loud);
      this.lineOf.clear();
      this.lines.forEach((line, i) => { if (!line.band) this.lineOf.set(line.slot, i); });
      this.placeLines();
      const now = this.at ? this.lineOf.get(this.at.slot) : undefined;
      if (before !== undefined && now !== undefined) this.stage.scrollTop += this.lines[now].y - before; // what somebody looks at stays where it is
    }
    let most = this.reach;
    for (const line of this.lines) {
      if (line.band) continue;
      const own = tape.own[line.slot], last = own?.length ? tape.index[own[own.length - 1]] : line.cut + 1;
      if (last > most) most = last;
    }
    if (most > this.reach) { this.reach = most <= 12 ? most : Math.ceil(most * 1.06); this.scale(); }
    this.drawEmpty();
  }

  placeLines() {
    const tall = this.narrow ? TALL_LINE_H : LINE_H;
    let y = RULER_H + tall / 2 + (this.narrow ? 6 : 2), family = 0;
    for (const line of this.lines) {
      if (line.family !== family) { y += FAMILY_GAP; family = line.family; }
      line.y = y;
      y += tall;
    }
    this.high = y - tall / 2 + 10;
    this.scale();
  }

  resize() {
    const { el, stage } = this;
    this.w = stage.clientWidth;
    this.h = stage.clientHeight;
    const narrow = this.w < NARROW_FORKS, beside = el.clientWidth >= SIDE_BESIDE;
    el.classList.toggle("wb-forks-beside", beside);
    if (narrow !== this.narrow) { this.narrow = narrow; this.placeLines(); } else this.scale();
    this.draw();
  }

  /** Columns and pixels of an index. */
  scale() {
    const w = this.w;
    this.names = this.narrow ? 0 : Math.round(Math.max(150, Math.min(250, w * 0.22)));
    this.outcomes = this.narrow ? 0 : Math.round(Math.max(150, Math.min(380, w * 0.3)));
    const room = Math.max(40, w - this.names - this.outcomes - FORK_PAD - HEAD_ROOM);
    const fit = Math.min(MOST_PX, room / Math.max(1, this.reach - 1));
    this.k = Math.max(fit, Math.min(MOST_PX * 1.5, fit * this.zoomed));
    const wide = Math.max(w, Math.ceil(this.names + this.outcomes + FORK_PAD + HEAD_ROOM + (this.reach - 1) * this.k));
    this.space.style.width = `${this.k > fit ? wide : 1}px`;
    this.space.style.height = `${this.high}px`;
  }

  /** @param {number} by 0 to fit @param {number} [clientX] what stays in place */
  zoom(by, clientX) {
    const { stage } = this, box = stage.getBoundingClientRect(), px = clientX === undefined ? this.w / 2 : clientX - box.left, index = this.indexAt(px);
    const before = this.k;
    this.zoomed = by ? Math.max(1, this.zoomed * by) : 1;
    this.scale();
    if (by && this.k === before && by > 1) this.zoomed /= by;
    stage.scrollLeft = (index - 1) * this.k + this.names + FORK_PAD - px;
    this.draw();
  }

  /** @param {number} index */
  x(index) { return this.names + FORK_PAD + (index - 1) * this.k - this.stage.scrollLeft; }

  /** @param {number} x */
  indexAt(x) { return (x + this.stage.scrollLeft - this.names - FORK_PAD) / this.k + 1; }

  // ---- results and differences -------------------------------------------------------------------------------------

  /** A branch's result, when it is still so at the moment shown. @param {number} slot */
  resultOf(slot) {
    const { desk } = this, known = this.results.get(slot), row = desk.moment.last[slot] ?? -1;
    return known && known.row === row && row === (desk.tape.now.last[slot] ?? -1) ? known : undefined;
  }

  askResults() {
    if (this.resultsLater || this.closed) return;
    this.resultsLater = setTimeout(() => { this.resultsLater = undefined; if (!this.closed) this.fetchResults(); }, Math.max(0, this.resultsAt + RESULTS_EVERY_MS - performance.now()));
  }

  fetchResults() {
    const { desk } = this, { tape } = desk, top = this.stage.scrollTop, bottom = top + this.h;
    /** @type {number[]} */ const slots = [];
    for (const line of this.lines) {
      if (line.band || line.y < top - 300 || line.y > bottom + 300 || slots.length >= MOST_ASKED) continue;
      const row = tape.now.last[line.slot], known = this.results.get(line.slot);
      if (row >= 0 && known?.row !== row) slots.push(line.slot);
    }
    if (!slots.length) return;
    this.resultsAt = performance.now();
    const rows = new Map(slots.map((slot) => [slot, tape.now.last[slot]]));
    desk.ask("forks", { slots }, "all").then((found) => {
      this.takeResults(tape, rows, found?.results ?? {});
    }, () => { this.resultsAt = performance.now() + RESULTS_REST_MS; }); // asked again when something changes, after a while
  }

  /** @param {import("./tape.js").Tape} tape @param {Map<number, number>} rows as of which they are, by slot @param {Record<string, {text: string, ok: boolean | null}>} found */
  takeResults(tape, rows, found) {
    if (this.desk.tape !== tape || this.closed) return;
    for (const [slot, row] of rows) this.results.set(slot, { row, text: String(found[slot]?.text ?? ""), ok: found[slot]?.ok ?? null });
    this.want();
    this.tellSoon();
  }

  /** The selected agents that are branches here. */
  picked() { return [...this.desk.selected].filter((slot) => this.lineOf.has(slot)); }

  compareSoon() {
    const picked = this.picked(), key = picked.join(",");
    if (picked.length < 2) { this.side.hidden = true; this.comparedKey = this.shutSide = ""; return; }
    if (key === this.shutSide) return;
    const { tape } = this.desk, state = `${key}:${picked.map((slot) => tape.own[slot]?.length)}:${this.desk.live}`;
    if (key !== this.comparedKey) this.drawSide(picked, ["asking what differs…"], "");
    else if (state === this.comparedState) return;
    if (this.compareLater) return;
    const wait = key !== this.comparedKey ? 0 : Math.max(0, this.compared + COMPARE_EVERY_MS - performance.now());
    this.comparedKey = key;
    this.comparedState = state;
    this.compareLater = setTimeout(() => { this.compareLater = undefined; if (!this.closed) this.compare(); }, wait);
  }

  compare() {
    const { desk } = this, picked = this.picked(), key = picked.join(","), slots = picked.slice(0, MOST_COMPARED);
    if (picked.length < 2) return;
    this.compared = performance.now();
    this.comparedKey = key;
    const { tape } = desk, current = () => !this.closed && desk.tape === tape && this.picked().join(",") === key && this.shutSide !== key;
    desk.ask("compare", { slots }, slots.join(",")).then(
      (found) => { if (current()) this.drawSide(picked, found?.sentences ?? [], ""); },
      (error) => { if (current()) this.drawSide(picked, [], error.message); },
    );
  }

  /** @param {number[]} picked @param {string[]} sentences @param {string} error */
  drawSide(picked, sentences, error) {
    const { desk, side } = this, head = make("div", "wb-forks-side-head"), list = make("ul", "wb-forks-differences");
    const shut = button("×", "Close (Escape)", () => this.closeSide(), "wb-tool");
    shut.setAttribute("aria-label", "Close");
    head.append(make("strong", "", "What differs"), shut);
    const who = make("div", "wb-forks-who");
    for (const slot of picked.slice(0, MOST_COMPARED)) { const line = make("div", ""); line.append(agentLink(desk, slot)); who.append(line); }
    if (picked.length > MOST_COMPARED) who.append(make("div", "wb-faint", `and ${picked.length - MOST_COMPARED} more, which are not compared`));
    for (const sentence of sentences) list.append(make("li", "", sentence));
    side.replaceChildren(head, who, list);
    if (error) side.append(make("div", "wb-faint", `Not known: ${error}`));
    else if (desk.clock !== null) side.append(make("div", "wb-faint", "As of the live edge, not of the entry shown."));
    if (side.hidden) { side.hidden = false; this.resize(); }
  }

  closeSide() {
    this.shutSide = this.comparedKey;
    this.side.hidden = true;
    this.focus();
  }

  /** A fork that was asked for is there: everybody looks at it. */
  arrival() {
    const slot = this.desk.tape.slotOf(this.awaited);
    if (slot < 0) return;
    this.awaited = "";
    this.desk.select([slot]);
    this.layoutKey = "";
    this.layOut();
    const line = this.lineOf.get(slot);
    if (line === undefined) return;
    this.at = { slot, index: this.lines[line].cut + 1, band: false };
    this.reveal(line);
  }

  // ---- drawing -----------------------------------------------------------------------------------------------------

  want() {
    if (!this.frameId && !this.closed) this.frameId = requestAnimationFrame(() => { this.frameId = 0; this.draw(); });
  }

  drawEmpty() {
    const { empty, desk } = this, none = !this.lines.length, left = !desk.live && desk.leftOut > 0;
    empty.hidden = !none;
    this.stage.hidden = this.bar.hidden = none;
    if (!none) return;
    this.closeActs();
    const told = left ? "left" : desk.clock !== null && desk.tape.forks.length ? "past" : "none";
    if (empty.dataset.told === told) return;
    empty.dataset.told = told;
    if (told === "past") empty.replaceChildren(make("p", "", "Nothing was forked up to here."));
    else if (told === "left") empty.replaceChildren(make("p", "", "This picture was saved without its history, so its forks are not in it."));
    else {
      const text = make("p", "");
      text.append(make("code", "wb-code", "wb.fork()"), " in a method makes a second agent that stands at the same line with the same values; both go on from there, each by itself, and are drawn here as two branches.");
      empty.replaceChildren(make("strong", "", "No forks yet"), text);
    }
  }

  draw() {
    const { stage, lines } = this, w = this.w, h = this.h;
    if (stage.hidden || w < 2 || h < 2) return;
    const g = sharpPen(this.canvas, w, h), top = stage.scrollTop, { theme } = this;
    const first = Math.max(0, countBefore(lines.length, (i) => lines[i].y, top - TALL_LINE_H)), last = countBefore(lines.length, (i) => lines[i].y, top + h + TALL_LINE_H);
    g.textBaseline = "middle";
    g.save();
    g.beginPath();
    g.rect(0, RULER_H, w, h - RULER_H);
    g.clip();
    for (let i = first; i < last; i++) this.drawGround(g, i, top);
    g.save();
    g.beginPath();
    g.rect(this.names, RULER_H, w - this.names - this.outcomes, h - RULER_H);
    g.clip();
    this.drawGrid(g, w, h);
    for (let i = first; i < last; i++) this.drawPrefix(g, lines[i], lines[i].y - top);
    this.drawConnectors(g, top, h);
    for (let i = first; i < last; i++) if (!lines[i].band) this.drawBranch(g, lines[i], lines[i].y - top);
    g.restore();
    for (let i = first; i < last; i++) if (lines[i].band) this.drawForkBand(g, lines[i], i, lines[i].y - top); else this.drawWords(g, lines[i], lines[i].y - top);
    g.restore();
    this.drawRuler(g, w);
    g.fillStyle = theme.line;
    g.fillRect(0, RULER_H - 1, w, 1);
    this.placeActs();
    this.drawFoot();
  }

  /** @param {CanvasRenderingContext2D} g @param {number} i @param {number} top */
  drawGround(g, i, top) {
    const { theme, lines } = this, line = lines[i], tall = this.narrow ? TALL_LINE_H : LINE_H, y = line.y - top - tall / 2;
    if (i && lines[i - 1].family !== line.family) { g.fillStyle = theme.line; g.fillRect(0, Math.round(y - FAMILY_GAP / 2), this.w, 1); }
    const picked = !line.band && this.desk.selected.has(line.slot), hovered = this.hover?.line === i;
    if (!picked && !hovered) return;
    g.globalAlpha = picked ? 0.1 : 0.05;
    g.fillStyle = picked ? theme.brand : theme.ink;
    g.fillRect(0, y, this.w, tall);
    g.globalAlpha = 1;
    if (picked) { g.fillStyle = theme.brand; g.fillRect(0, y, 3, tall); }
  }

  /** @param {CanvasRenderingContext2D} g @param {number} w @param {number} h */
  drawGrid(g, w, h) {
    const step = rulerStep(this.k);
    g.fillStyle = this.theme.line;
    g.globalAlpha = 0.45;
    for (let index = Math.max(step, Math.floor(this.indexAt(this.names) / step) * step); ; index += step) {
      const x = Math.round(this.x(index));
      if (x > w - this.outcomes || index > this.reach * 2 + step) break;
      g.fillRect(x, RULER_H, 1, h);
    }
    g.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} g @param {number} w */
  drawRuler(g, w) {
    const { theme, narrow } = this, step = rulerStep(this.k), left = this.names, right = w - this.outcomes;
    g.font = `11px ${theme.font}`;
    g.fillStyle = theme.faint;
    g.textAlign = "left";
    const title = narrow ? "entry" : "agent";
    g.fillText(title, 12, RULER_H / 2);
    if (!narrow) { g.fillText("result", right + 8, RULER_H / 2); g.textAlign = "right"; g.fillText("entry", left + 6, RULER_H / 2); }
    const from = narrow ? 12 + g.measureText(title).width + 6 : left + 10;
    g.textAlign = "center";
    for (let index = step; index <= this.reach * 2 + step; index += step) {
      const x = this.x(index), half = g.measureText(`${index}`).width / 2;
      if (x - half < from) continue;
      if (x + half > right - 4) break;
      g.fillText(index.toLocaleString("en"), x, RULER_H / 2);
    }
  }

  /** What a fork shares with its source: pale, up to the cut. @param {CanvasRenderingContext2D} g @param {ForkLine} line @param {number} y */
  drawPrefix(g, line, y) {
    if (line.band || line.cut < 1) return;
    y += this.narrow ? 9 : 0;
    g.strokeStyle = this.theme.edge;
    g.globalAlpha = this.theme.dark ? 0.45 : 0.4;
    g.lineWidth = 3;
    g.lineCap = "butt";
    g.beginPath();
    g.moveTo(this.x(1), y);
    g.lineTo(this.x(line.cut), y);
    g.stroke();
    g.globalAlpha = 1;
  }

  /** From a source at the cut down to the fork's own line; those that lead out of sight stand for their neighbours. @param {CanvasRenderingContext2D} g @param {number} top @param {number} h */
  drawConnectors(g, top, h) {
    const { lines, narrow } = this, off = narrow ? 9 : 0;
    g.strokeStyle = this.theme.colours[UNDEFINED];
    g.lineWidth = 1.6;
    g.lineCap = "round";
    g.beginPath();
    let parent = -1, drawn = NaN;
    const passing = [];
    for (const line of lines) {
      if (line.parent < 0) continue;
      const y = line.y - top + off, from = lines[line.parent].y - top + off;
      if (y < 0 || from > h + TALL_LINE_H) continue;
      const x = this.x(line.cut);
      if (y > h + TALL_LINE_H) {
        if (line.parent !== parent || !(Math.abs(x - drawn) < PASSING_GAP)) { passing.push(x, Math.max(from, -20)); parent = line.parent; drawn = x; }
        continue;
      }
      const to = line.band ? x + 10 : this.x(line.cut + 1), r = Math.max(2, Math.min(9, to - x, y - from));
      g.moveTo(x, Math.max(from, -20));
      g.lineTo(x, y - r);
      g.quadraticCurveTo(x, y, x + Math.min(r, Math.max(1, to - x)), y);
      g.lineTo(Math.max(to, x + 1), y);
    }
    g.stroke();
    if (!passing.length) return;
    if (passing.length > 24) g.globalAlpha = 0.35;
    g.beginPath();
    for (let i = 0; i < passing.length; i += 2) { g.moveTo(passing[i], passing[i + 1]); g.lineTo(passing[i], h + 20); }
    g.stroke();
    g.globalAlpha = 1;
  }

  /** A branch: its line, what was taken back, its entries, its head. @param {CanvasRenderingContext2D} g @param {ForkLine} line @param {number} y */
  drawBranch(g, line, y) {
    const { families, theme, desk, upto } = this, { slot } = line, own = theme.dark ? "#9aa3ad" : "#66707a";
    y += this.narrow ? 9 : 0;
    const begin = line.cut ? line.cut + 1 : 1, last = families.lastIndex(slot, upto), dead = families.takenBack(slot, upto);
    g.strokeStyle = own;
    g.lineCap = "round";
    let at = begin;
    for (const [from, to] of dead) {
      if (from > at) this.stretch(g, at, from - 1, y, 2.2);
      this.struck(g, slot, from, to, to + 1 > last ? last + 0.9 : to + 1, y);
      at = Math.max(at, to + 1);
      g.strokeStyle = own;
    }
    if (at <= last) this.stretch(g, at, last, y, 2.2);
    this.drawDots(g, line, y, own, dead);
    this.drawCuts(g, line, y);
    const status = desk.tape.statusOf(desk.moment, slot), x = this.x(last) + 17;
    g.strokeStyle = theme.edge; // a thin line leads over to the result
    g.globalAlpha = 0.6;
    g.lineWidth = 1;
    g.setLineDash([1, 4]);
    g.beginPath(); g.moveTo(x + 11, y); g.lineTo(this.w - this.outcomes, y);
    if (!this.narrow) g.stroke();
    g.setLineDash([]);
    g.globalAlpha = 1;
    drawShape(g, status, x, y, 6, theme.colours[status], theme.ground);
    this.drawMarks(g, slot, y);
  }

  /** @param {CanvasRenderingContext2D} g @param {number} from @param {number} to @param {number} y @param {number} width */
  stretch(g, from, to, y, width) {
    g.lineWidth = width;
    g.setLineDash([]);
    g.beginPath();
    g.moveTo(this.x(from), y);
    g.lineTo(Math.max(this.x(to), this.x(from) + 0.5), y);
    g.stroke();
  }

  /** What was taken back: struck through; the branch goes on over it. @param {CanvasRenderingContext2D} g @param {number} slot @param {number} from @param {number} to @param {number} next where it goes on @param {number} y */
  struck(g, slot, from, to, next, y) {
    const { theme } = this, a = this.x(from - 1), b = this.x(next), x0 = this.x(from) - Math.min(4, this.k / 3), x1 = this.x(to) + Math.min(4, this.k / 3), lift = Math.max(5, Math.min(11, (b - a) / 3));
    g.lineWidth = 2;
    g.beginPath();
    g.moveTo(a, y);
    g.bezierCurveTo(a + Math.min(10, (b - a) / 3), y - lift * 1.33, b - Math.min(10, (b - a) / 3), y - lift * 1.33, b, y);
    g.stroke();
    g.font = `10px ${theme.font}`;
    g.textAlign = "center";
    g.fillStyle = theme.colours[FAILED];
    const half = g.measureText("taken back").width / 2, mid = (x0 + x1) / 2, taken = this.families.kidsOf(slot, this.upto).some(({ cut }) => this.x(cut) > mid - half - 46 && this.x(cut) < mid + half + 4);
    if (x1 - x0 > 2 * half && !taken) g.fillText("taken back", (x0 + x1) / 2, y + 12);
    g.strokeStyle = theme.colours[FAILED];
    g.globalAlpha = 0.55;
    g.lineWidth = 1.2;
    g.beginPath();
    for (let x = Math.max(x0, -20); x <= Math.min(x1, this.w + 20); x += 6) { g.moveTo(x - 2, y + 4.5); g.lineTo(x + 2.5, y - 3.5); }
    g.moveTo(x0, y);
    g.lineTo(x1, y);
    g.stroke();
    g.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} g @param {ForkLine} line @param {number} y @param {string} colour @param {[number, number][]} dead */
  drawDots(g, line, y, colour, dead) {
    const { families, desk, upto, k, theme } = this, { tape } = desk, rows = tape.own[line.slot] ?? [], n = families.rowsOf(line.slot, upto);
    const r = k >= 14 ? 3.6 : k >= 9 ? 3 : k >= DOT_GAP ? 2.2 : 1.8, right = this.w - this.outcomes;
    let i = countBefore(n, (j) => tape.index[rows[j]], Math.floor(this.indexAt(this.names)) - 1), gone = 0;
    while (i < n) {
      const index = tape.index[rows[i]], x = this.x(index);
      if (x > right + 4) break;
      while (gone < dead.length && dead[gone][1] < index) gone++;
      const isDead = gone < dead.length && dead[gone][0] <= index, kind = tape.kind[rows[i]];
      g.beginPath();
      if (kind === REVERT_ROW) { const s = r + 1.6; g.fillStyle = theme.colours[FAILED]; g.moveTo(x - s, y); g.lineTo(x + s * 0.8, y - s); g.lineTo(x + s * 0.8, y + s); g.closePath(); g.fill(); }
      else {
        g.arc(x, y, isDead ? r - 0.4 : r, 0, 7);
        if (isDead) { g.fillStyle = theme.ground; g.strokeStyle = theme.faint; g.lineWidth = 1.1; g.fill(); g.stroke(); }
        else { g.fillStyle = kind === FORK_ROW ? theme.colours[UNDEFINED] : colour; g.fill(); }
      }
      i = countBefore(n, (j) => tape.index[rows[j]], Math.max(index + 1, Math.ceil(index + DOT_GAP / k)));
    }
  }

  /** Where forks left: a ring, and the index where there is room for it. @param {CanvasRenderingContext2D} g @param {ForkLine} line @param {number} y */
  drawCuts(g, line, y) {
    const kids = this.families.kidsOf(line.slot, this.upto);
    if (!kids.length) return;
    const { theme } = this, colour = theme.colours[UNDEFINED];
    /** @type {Map<number, number>} */ const cuts = new Map();
    for (const kid of kids) cuts.set(kid.cut, (cuts.get(kid.cut) ?? 0) + 1);
    g.font = `10px ${theme.font}`;
    g.textAlign = "left";
    g.textBaseline = "middle";
    let ringed = -Infinity, labelled = -Infinity;
    for (const [cut, n] of [...cuts].sort((a, b) => a[0] - b[0])) {
      const x = this.x(cut);
      if (x < -40 || x > this.w + 40 || x - ringed < (cuts.size > 40 ? 9 : 3)) continue;
      ringed = x;
      g.beginPath();
      g.arc(x, y, this.k >= 9 ? 4.4 : 3.2, 0, 7);
      g.fillStyle = theme.ground;
      g.fill();
      g.strokeStyle = colour;
      g.lineWidth = 1.8;
      g.stroke();
      const text = `${cut.toLocaleString("en")}${n > 1 ? ` ×${n}` : ""}`, wide = g.measureText(text).width;
      if (x + 5 < labelled) continue;
      if (cuts.size > 12) { g.fillStyle = theme.ground; g.fillRect(x + 3, y + 6, wide + 4, 10); }
      g.fillStyle = colour;
      g.fillText(text, x + 5, y + 11);
      labelled = x + wide + (cuts.size > 12 ? 28 : 9);
    }
  }

  /** The entry that the views show, and the one that the keys are at. @param {CanvasRenderingContext2D} g @param {number} slot @param {number} y */
  drawMarks(g, slot, y) {
    const { desk, theme, families, upto } = this;
    if (desk.clock !== null) {
      const n = families.rowsOf(slot, upto), row = n ? desk.tape.own[slot][n - 1] : -1;
      if (row >= 0 && desk.tape.seq[row] === desk.clock) this.ringAt(g, this.x(desk.tape.index[row]), y, theme.brand, 2, 7);
    }
    const { hover } = this;
    if (hover?.place && this.lines[hover.line]?.slot === slot && !this.lines[hover.line].band) this.ringAt(g, this.x(hover.place.index), y, theme.faint, 1.5, 7);
    const { at } = this;
    if (at && at.slot === slot && !at.band && (document.activeElement === this.stage || this.acting)) this.ringAt(g, this.x(at.index), y, theme.brand, 2, 7.5);
  }

  /** @param {CanvasRenderingContext2D} g @param {number} x @param {number} y @param {string} colour @param {number} width @param {number} r */
  ringAt(g, x, y, colour, width, r) {
    g.strokeStyle = colour;
    g.lineWidth = width;
    g.beginPath();
    g.arc(x, y, r, 0, 7);
    g.stroke();
  }

  /** The branch's name and result. @param {CanvasRenderingContext2D} g @param {ForkLine} line @param {number} y */
  drawWords(g, line, y) {
    const { desk, theme, narrow } = this, { tape, moment } = desk, { slot } = line, w = this.w;
    const measure = (/** @type {string} */ text) => g.measureText(text).width;
    const indent = 12 + Math.min(5, line.depth) * (narrow ? 10 : 14), text = y - (narrow ? 11 : 0), picked = desk.selected.has(slot);
    const result = resultWords(this.resultOf(slot), this.doing(slot));
    g.textAlign = "left";
    const resultX = narrow ? w * 0.5 : w - this.outcomes + 8, resultW = w - resultX - 12;
    g.font = result.kind === "open" ? `12px ${theme.font}` : `11px ${this.codeFont}`;
    g.fillStyle = result.kind === "failed" ? theme.colours[FAILED] : result.kind === "ok" ? theme.ink : theme.faint;
    const shown = cutToFit(measure, result.text, resultW), used = narrow ? measure(shown) + 26 : 0;
    if (narrow) this.backed(g, shown, w - 12 - measure(shown), text, picked); else g.fillText(shown, resultX, text);
    const nameW = (narrow ? w - used : this.names) - indent - 8, status = tape.statusOf(moment, slot);
    g.font = `${line.depth ? "" : "600 "}12px ${theme.font}`;
    g.fillStyle = status === IDLE && line.depth ? theme.faint : theme.ink;
    this.backed(g, cutToFit(measure, line.depth ? forkTail(tape, slot) : tape.name(slot), nameW), indent, text, picked);
  }

  /** A text that lines behind it do not run through. @param {CanvasRenderingContext2D} g @param {string} text @param {number} x @param {number} y @param {boolean} picked */
  backed(g, text, x, y, picked) {
    const ink = g.fillStyle;
    if (this.narrow && text) {
      g.fillStyle = this.theme.ground;
      g.fillRect(x - 2, y - 8, g.measureText(text).width + 4, 16);
      if (picked) { g.fillStyle = this.theme.brand; g.globalAlpha = 0.1; g.fillRect(x - 2, y - 8, g.measureText(text).width + 4, 16); g.globalAlpha = 1; }
    }
    g.fillStyle = ink;
    g.fillText(text, x, y);
  }

  /** What a branch does, or stands at, without a result. @param {number} slot */
  doing(slot) {
    const { desk } = this, row = desk.moment.last[slot] ?? -1, method = desk.tape.methodIn(row), words = desk.tape.doingIn(row);
    return method && !words.includes(",") && words !== "idle" && words !== "done" ? `${words} ${method}` : words;
  }

  get codeFont() { return this.codeFamily ||= getComputedStyle(this.el).getPropertyValue("--jp-code-font-family").trim() || "monospace"; }

  /** Many forks of one source in one row. @param {CanvasRenderingContext2D} g @param {ForkLine} line @param {number} i @param {number} y */
  drawForkBand(g, line, i, y) {
    const { theme, desk, narrow } = this, { tape, moment } = desk, counts = STATUS.map(() => 0), slots = line.band ?? [], w = this.w;
    for (const slot of slots) counts[tape.statusOf(moment, slot)]++;
    const left = narrow ? 12 + Math.min(5, line.depth) * 10 : Math.max(this.x(line.cut) + 14, this.names + 6), right = w - (narrow ? 12 : this.outcomes + 12), wide = Math.max(60, right - left);
    const focused = this.at?.band && this.at.slot === line.slot && document.activeElement === this.stage;
    const boxY = Math.round(y - 11) + 0.5;
    for (const off of line.open ? [0] : [4, 2, 0]) { // sheets behind a closed one: this is a pile
      g.beginPath();
      g.roundRect(left + off, boxY + off, wide - 4, 22, 6);
      g.fillStyle = theme.chip;
      g.fill();
      g.strokeStyle = focused ? theme.brand : theme.edge;
      g.lineWidth = focused ? 2 : 1;
      g.stroke();
    }
    let at = left + 8;
    const bar = wide - 20;
    for (const status of READING_ORDER) {
      if (!counts[status]) continue;
      const part = (bar * counts[status]) / slots.length;
      g.fillStyle = theme.colours[status];
      g.fillRect(at, y + 5, Math.max(1, part), 3);
      at += part;
    }
    g.font = `11px ${theme.font}`;
    g.textAlign = "left";
    g.fillStyle = theme.ink;
    const measure = (/** @type {string} */ text) => g.measureText(text).width;
    g.fillText(cutToFit(measure, `${line.open ? "▾" : "▸"} ${counted(slots.length, "fork")}${narrow ? `: ${describeCounts(counts)}` : ""}`, wide - 24), left + 8, y - 2.5);
    if (narrow) return;
    g.fillStyle = theme.faint;
    g.font = `12px ${theme.font}`;
    g.fillText(cutToFit(measure, describeCounts(counts), this.outcomes - 20), w - this.outcomes + 8, y);
    g.fillText(cutToFit(measure, line.open ? "all shown below" : "folded", this.names - 60), 12 + Math.min(5, line.depth) * 14, y);
  }

  drawFoot() {
    const { at, families, desk, upto } = this;
    let words = "Click an entry to go there, to fork or to revert. Shift-click a second branch to see what differs.";
    if (at?.band) words = "A band of forks. Enter opens or folds it.";
    else if (at && this.lineOf.has(at.slot)) {
      const place = families.place(at.slot, at.index, 0, upto);
      if (place && place.index === at.index) words = `${desk.tape.name(at.slot)}, entry ${at.index}${place.row >= 0 ? ` (#${desk.tape.seq[place.row]})` : ""}: ${families.words(at.slot, place, upto)}`;
    }
    setText(this.foot, words);
    this.foot.title = words;
  }

  /** The same for those who do not see it; at times, and as far as one reads. */
  tellSoon() {
    if (this.tellLater || this.closed) return;
    this.tellLater = setTimeout(() => {
      this.tellLater = undefined;
      if (this.closed || !this.el.clientWidth) return;
      const { tape, moment } = this.desk, caption = make("caption", "", `Fork tree, ${counted(this.lines.length, "row")}`);
      const rows = this.lines.slice(0, TOLD_MOST).map((line) => {
        const row = make("tr", "");
        const fork = line.depth ? `fork of ${tape.name(this.lines[line.parent].slot)} at ${line.cut}` : "source";
        const cells = line.band ? [counted(line.band.length, "folded fork"), fork, "", ""] : [tape.name(line.slot), fork, STATUS[tape.statusOf(moment, line.slot)], resultWords(this.resultOf(line.slot), "").text];
        row.append(...cells.map((text) => make("td", "", text)));
        return row;
      });
      this.table.replaceChildren(caption, ...rows);
    }, this.told++ ? TELL_EVERY_MS : 100);
  }

  // ---- pointing ----------------------------------------------------------------------------------------------------

  /** What lies under a point of the stage. @param {MouseEvent} e @returns {{line: number, place: ForkPlace | null} | null} */
  hit(e) {
    const box = this.stage.getBoundingClientRect(), px = e.clientX - box.left, py = e.clientY - box.top, { lines } = this, tall = this.narrow ? TALL_LINE_H : LINE_H;
    if (py < RULER_H || px > this.w || py > this.h) return null;
    const y = py + this.stage.scrollTop, i = countBefore(lines.length, (j) => lines[j].y - tall / 2, y) - 1, line = lines[i];
    if (!line || y > line.y + tall / 2) return null;
    if (line.band || px < this.names || px > this.w - this.outcomes || (this.narrow && y < line.y - 3)) return { line: i, place: null };
    const place = this.families.place(line.slot, Math.round(this.indexAt(px)), 0, this.upto);
    return { line: i, place: place && Math.abs(this.x(place.index) - px) <= Math.max(9, this.k / 2) ? place : null };
  }

  /** @param {PointerEvent} e */
  point(e) {
    const hit = this.hit(e), { hover, tip } = this;
    this.stage.style.cursor = hit ? "pointer" : "";
    if (hit?.line !== hover?.line || hit?.place?.index !== hover?.place?.index) { this.hover = hit; this.want(); }
    tip.hidden = !hit || !this.acts.hidden;
    if (!hit || tip.hidden) return;
    setText(tip, this.tipWords(hit));
    const box = this.main.getBoundingClientRect(), x = e.clientX - box.left, y = e.clientY - box.top;
    tip.style.left = `${Math.max(4, Math.min(x + 14, box.width - tip.offsetWidth - 6))}px`;
    tip.style.top = `${y + 22 + tip.offsetHeight > box.height ? y - tip.offsetHeight - 8 : y + 18}px`;
  }

  /** @param {{line: number, place: ForkPlace | null}} hit */
  tipWords(hit) {
    const { desk, families, upto } = this, line = this.lines[hit.line], { tape } = desk;
    if (line.band) return `${counted(line.band.length, "fork")} of ${tape.name(line.slot)}\nclick to ${line.open ? "fold" : "open"}`;
    if (hit.place) return `entry ${hit.place.index}${hit.place.row >= 0 ? ` (#${tape.seq[hit.place.row]})` : ""}\n${families.words(line.slot, hit.place, upto)}`;
    const known = this.resultOf(line.slot), fork = families.bySlot.get(line.slot);
    return [tape.ids[line.slot], fork ? `fork of ${tape.name(fork.source)} at ${fork.cut}` : "", known?.ok === false || known?.ok ? known.text : this.doing(line.slot)].filter(Boolean).join("\n");
  }

  /** @param {MouseEvent} e */
  click(e) {
    const hit = this.hit(e), more = e.shiftKey || e.ctrlKey || e.metaKey;
    this.tip.hidden = true;
    if (!hit) { this.closeActs(); return; }
    const line = this.lines[hit.line];
    if (line.band) { this.at = { slot: line.slot, index: line.cut, band: true }; this.toggle(line.slot); return; }
    this.at = { slot: line.slot, index: hit.place?.index ?? this.at?.index ?? line.cut + 1, band: false };
    if (!hit.place) { const near = this.families.place(line.slot, this.at.index, 0, this.upto); if (near) this.at.index = near.index; }
    this.desk.select([line.slot], more);
    if (hit.place && !more) this.enter();
    else { this.closeActs(); this.want(); }
  }

  /** Open or fold a band. @param {number} source */
  toggle(source) {
    if (!this.opened.delete(source)) this.opened.add(source);
    this.closeActs();
    this.layoutKey = "";
    this.layOut();
    this.askResults();
    this.draw();
  }

  // ---- keys --------------------------------------------------------------------------------------------------------

  /** @param {KeyboardEvent} e @returns {boolean} whether it was for this view */
  key(e) {
    if (e.key === "Escape") {
      if (!this.acts.hidden) { this.closeActs(); this.focus(); return true; }
      if (!this.side.hidden) { this.closeSide(); return true; }
      return false;
    }
    if (e.target !== this.stage) return false;
    if (e.key === "+" || e.key === "=") this.zoom(1.4);
    else if (e.key === "-") this.zoom(1 / 1.4);
    else if (e.key === "f" || e.key === "F") this.zoom(0);
    else if (!this.at && !this.arrive()) return false;
    else if (e.key === "ArrowLeft" || e.key === "ArrowRight") this.along(e.key === "ArrowRight" ? 1 : -1);
    else if (e.key === "ArrowUp" || e.key === "ArrowDown") this.across(e.key === "ArrowDown" ? 1 : -1);
    else if (e.key === "Home" || e.key === "End") this.toEnd(e.key === "End" ? -1 : 1);
    else if (e.key === "Enter") this.enter();
    else if (e.key === " ") { if (this.at?.band) this.toggle(this.at.slot); else if (this.at) this.desk.select([this.at.slot], true); }
    else return false;
    return true;
  }

  /** The keys are somewhere: at the head of the selected branch, or of the first one. */
  arrive() {
    if (this.at && (this.at.band || this.lineOf.has(this.at.slot))) return true;
    const slot = this.picked()[0] ?? this.lines.find((line) => !line.band)?.slot;
    if (slot === undefined) return false;
    this.at = { slot, index: this.families.place(slot, Infinity, -1, this.upto)?.index ?? 1, band: false };
    return true;
  }

  /** @param {-1 | 1} way */
  along(way) {
    const { at, families, upto } = this;
    if (!at || at.band) return;
    const place = families.place(at.slot, at.index, way, upto), fork = families.bySlot.get(at.slot);
    if (place && !(fork && way < 0 && place.index <= fork.cut)) this.moveTo(at.slot, place.index);
    else if (way < 0 && fork && this.lineOf.has(fork.source)) this.moveTo(fork.source, fork.cut); // back along what it shares with its source
  }

  /** @param {-1 | 1} way */
  across(way) {
    const { at, lines } = this;
    if (!at) return;
    const here = at.band ? lines.findIndex((line) => line.band && line.slot === at.slot) : this.lineOf.get(at.slot) ?? -1, to = lines[here + way];
    if (!to) return;
    if (to.band) { this.at = { slot: to.slot, index: to.cut, band: true }; this.closeActs(); this.reveal(here + way); this.want(); return; }
    this.moveTo(to.slot, this.families.place(to.slot, at.index, 0, this.upto)?.index ?? to.cut + 1);
  }

  /** @param {-1 | 1} way */
  toEnd(way) {
    if (!this.at || this.at.band) return;
    const place = this.families.place(this.at.slot, way > 0 ? 0 : Infinity, way, this.upto);
    if (place) this.moveTo(this.at.slot, place.index);
  }

  /** @param {number} slot @param {number} index */
  moveTo(slot, index) {
    this.at = { slot, index, band: false };
    this.closeActs();
    this.reveal(this.lineOf.get(slot) ?? 0);
    this.want();
  }

  /** Scroll so that a row, and where the keys are, is in sight. @param {number} i */
  reveal(i) {
    const { stage } = this, line = this.lines[i], tall = this.narrow ? TALL_LINE_H : LINE_H;
    if (!line) return;
    if (line.y - tall / 2 < stage.scrollTop + RULER_H) stage.scrollTop = line.y - tall / 2 - RULER_H;
    else if (line.y + tall / 2 > stage.scrollTop + this.h) stage.scrollTop = line.y + tall / 2 - this.h;
    if (!this.at || this.at.band) return;
    const x = this.x(this.at.index), left = this.names + 12, right = this.w - this.outcomes - HEAD_ROOM;
    if (x < left) stage.scrollLeft += x - left;
    else if (x > right) stage.scrollLeft += x - right;
  }

  // ---- acting ------------------------------------------------------------------------------------------------------

  /** Go to where the keys are, and offer what can be done there. */
  enter() {
    const { at, families, desk } = this;
    if (!at) return;
    if (at.band) { this.toggle(at.slot); return; }
    const place = families.place(at.slot, at.index, 0, this.upto);
    if (!place) return;
    const words = families.words(at.slot, place, this.upto), seq = families.seqOf(at.slot, place, this.upto);
    at.index = place.index;
    this.acting = { slot: at.slot, index: place.index };
    desk.goTo(seq);
    this.openActs(seq, words);
    this.want();
  }

  /** @param {number} seq @param {string} words */
  openActs(seq, words) {
    const { desk, acts, acting } = this;
    if (!acting) return;
    const head = make("div", "wb-forks-acts-head"), title = make("div", ""), said = make("div", "wb-forks-said");
    title.append(make("strong", "", `Entry ${acting.index}`), make("span", "wb-faint", ` #${seq}`));
    const shut = button("×", "Close (Escape)", () => { this.closeActs(); this.focus(); }, "wb-tool");
    shut.setAttribute("aria-label", "Close");
    head.append(title, shut);
    const name = make("div", "wb-forks-acts-name wb-code", desk.tape.name(acting.slot));
    name.title = desk.tape.ids[acting.slot];
    acts.replaceChildren(head, name, make("div", "wb-faint wb-forks-acts-words", words));
    acts.setAttribute("aria-label", `Entry ${acting.index} of ${desk.tape.name(acting.slot)}`);
    if (desk.live) {
      const row = make("div", "wb-forks-acts-row");
      for (const [verb, text, title2] of /** @type {["fork" | "revert", string, string][]} */ ([["fork", "Fork here…", "Make a second agent that shares the oplog up to here"], ["revert", "Revert here…", "Take back what this agent did after this entry"]])) row.append(button(text, title2, () => this.plan(verb)));
      acts.append(row, said);
    } else acts.append(make("div", "wb-forks-acts-none", "It can be forked or reverted where the session runs: no kernel answers here."));
    this.actsSaid = said;
    acts.hidden = false;
    this.placeActs();
    this.focusActs();
  }

  focusActs() {
    /** @type {HTMLElement | null} */ (this.acts.querySelector(".wb-forks-acts-row button") ?? this.acts.querySelector("button"))?.focus({ preventScroll: true });
  }

  /** Beside its entry, within the view. */
  placeActs() {
    const { acts, acting, main } = this;
    if (acts.hidden || !acting) return;
    const line = this.lineOf.get(acting.slot);
    if (line === undefined) { this.closeActs(); return; }
    const x = this.x(acting.index), y = this.lines[line].y - this.stage.scrollTop + (this.narrow ? 9 : 0), w = acts.offsetWidth, h = acts.offsetHeight, wide = main.clientWidth, high = this.h;
    acts.style.left = `${Math.max(6, Math.min(x - 24, wide - w - 8))}px`;
    acts.style.top = `${y + 14 + h <= high ? y + 14 : y - 14 - h >= 0 ? y - 14 - h : Math.max(4, high - h - 4)}px`;
  }

  closeActs() {
    this.acting = null;
    this.acts.hidden = true;
    this.actsSaid = undefined;
  }

  /** Say what it will do, ask, and do it. @param {"fork" | "revert"} verb */
  async plan(verb) {
    const { desk, acting, actsSaid } = this;
    if (!acting || !actsSaid || this.sure) return;
    const { slot, index } = acting;
    /** @param {string} text @param {boolean} [bad] */
    const say = (text, bad = false) => { setText(actsSaid, text); actsSaid.classList.toggle("wb-error", bad); this.placeActs(); };
    this.sure = true;
    try {
      say("asking…");
      const plan = await desk.ask("plan", { verb, slot, index });
      if (this.closed) return;
      if (!plan.ok) { say(plan.text, true); return; }
      say("");
      const sure = await confirmHere(this.el, plan.text, verb === "fork" ? "Fork here" : "Revert here");
      if (this.closed) return;
      if (!sure) { this.focusActs(); return; }
      const found = await desk.ask(verb, { slot, index });
      this.closeActs();
      desk.goTo(null);
      if (verb === "fork" && found?.agent) this.awaited = found.agent;
      if (this.awaited) this.arrival();
      this.focus();
    } catch (error) { say(/** @type {Error} */ (error).message, true); } finally { this.sure = false; }
  }
}
