// @ts-check
// The timeline: who did what when, a lane an agent, messages as arrows between lanes. What there is to draw is in
// lanes.js, arrows.js and time_axis.js, how it is drawn in timeline_paint.js; here is what the reader's hands do.
import { DONE, FAILED, INTERRUPTED, QUEUED, READING_ORDER, RETRYING, ROOT, RUNNING, STATUS, SUSPENDED, UNDEFINED, WAITING, describeCounts } from "./graph_store.js";
import { drawShape, readTheme } from "./graph_paint.js";
import { make, setText } from "./graph.js";
import { ARROWS, FOR_CALL, FOR_PROMISE, FOR_STEP, FOR_TIMER } from "./tape.js";
import { button, counted, sharpPen } from "./marks.js";
import { FRESH, GHOST, LANE_H, LaneTable, Lives, TAKEN_BACK, countStatuses, isUnderWay } from "./lanes.js";
import { Messages } from "./arrows.js";
import { TimeAxis, foldShare, lengthText, stampText } from "./time_axis.js";
import { ARROW_LOOKS, AXIS_H, Hatches, LanePainter, arrowHead, paintBar, paintLoadSample } from "./timeline_paint.js";

const PAD_LEFT = 10, PAD_RIGHT = 30, GRIP = 6, ASK_MS = 120, GROW_MS = 100, CALM_MS = 1000, WEIGH_MS = 1500, TELL_MS = 2000, LANES_TOLD = 200, MOST_ANSWERS = 400, MOST_LIT = 24, PAN_SHARE = 0.15, SMALL_W = 600, SMALL_STAGE_H = 260;
/** What the key explains: words, status, reasons, look. @type {[string, number, number, number][]} */
const BAR_KEYS = [
  ["running", RUNNING, 0, FRESH], ["in a step", RUNNING, FOR_STEP, FRESH], ["waits for a call", WAITING, FOR_CALL, FRESH], ["for a promise", SUSPENDED, FOR_PROMISE, FRESH], ["for a timer", SUSPENDED, FOR_TIMER, FRESH],
  ["queued", QUEUED, 0, FRESH], ["retrying", RETRYING, 0, FRESH], ["interrupted", INTERRUPTED, 0, FRESH], ["class missing", UNDEFINED, 0, FRESH], ["replayed, not done again", RUNNING, 0, GHOST], ["taken back", RUNNING, 0, TAKEN_BACK],
];

/** What is under the pointer. @typedef {{type: "none" | "clock" | "break" | "restart" | "name" | "bar" | "lane" | "band" | "arrow", lane: number, piece: number, at: number, arrow: import("./timeline_paint.js").DrawnArrow | null}} Hit */
/** @typedef {{pointer: number, x: number, y: number, top: number, offset: number, moved: boolean, clock: boolean, hit: Hit}} Grab */

export class TimelinePane {
  /** @param {import("./desk.js").Desk} desk @param {HTMLElement} el */
  constructor(desk, el) {
    this.desk = desk;
    this.el = el;
    /** @type {(() => void)[]} */ this.undo = [];
    this.axis = new TimeAxis();
    this.fitted = true; // the whole is in sight, and stays so while it grows
    this.following = true; // the live edge stays in sight
    this.wandered = false; // the reader scrolled
    /** @type {Set<number>} kinds of arrows that are drawn */ this.arrows = new Set(ARROWS.keys());
    /** @type {Set<number>} breaks that the reader unfolded, by where they begin */ this.unfolded = new Set();
    /** @type {Map<number, {x: number, y: number}>} */ this.pointers = new Map();
    /** @type {Grab | null} */ this.grab = null;
    this.spread = 0; // between two fingers
    /** @type {Hit | null} */ this.hover = null;
    this.cursor = NaN; // the lane that the keys are at: its mark
    /** @type {Map<string, any>} what the kernel said of bars */ this.answers = new Map();
    /** @type {import("./timeline_paint.js").PathPart[] | null} */ this.path = null;
    this.pathOf = -1;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.frameId = this.growing = this.telling = this.told = this.weighed = this.scrolled = 0;
    this.width = this.height = 0;
    this.legend = "";
    /** @type {Map<number, HTMLButtonElement>} by kind of arrow */ this.toggles = new Map();
    this.toggled = 0;
    this.adopt();
    this.build();
    this.listen();
    this.retheme();
    this.update({ rows: true, clock: true, selection: true, theme: false, kernel: false });
  }

  /** Begin with the desk's tape. */
  adopt() {
    this.tape = this.desk.tape;
    this.lives = new Lives(this.tape);
    this.table = new LaneTable(this.lives);
    this.messages = new Messages(this.tape);
    const tone = this.painter?.tone, hatches = this.painter?.hatches;
    this.painter = new LanePainter(this.lives, this.table, this.messages, this.axis);
    if (tone && hatches) { this.painter.hatches = hatches; this.painter.theme(tone); }
    this.answers.clear();
    this.unfolded.clear();
    this.path = null;
    this.pathOf = -1;
    this.hover = null;
    this.fitted = this.following = true;
  }

  build() {
    const { el } = this;
    el.classList.add("wb-tl");
    this.tools = make("div", "wb-tl-tools");
    const zoom = make("span", "wb-tl-group");
    zoom.append(button("−", "Zoom out (-)", () => this.zoom(0.7), "wb-tl-button"), button("+", "Zoom in (+)", () => this.zoom(1.43), "wb-tl-button"), button("Fit", "Everything in sight (F)", () => this.fit(), "wb-tl-button"));
    const unit = make("span", "wb-tl-group");
    this.byTime = button("Time", "The axis by time (E changes it)", () => this.setUnit(false), "wb-tl-button");
    this.byEntry = button("Entries", "The axis by entry: every entry takes as much room (E changes it)", () => this.setUnit(true), "wb-tl-button");
    unit.append(this.byTime, this.byEntry);
    this.lit = button("Critical path", "What decided when the selected agent's work ended, or the newest job's (C)", () => this.togglePath(), "wb-tl-button");
    this.follow = button("→ newest", "Back to the live edge, and follow it", () => this.toEdge(), "wb-tl-button");
    this.keyButton = button("Key", "What the drawings mean (K)", () => this.toggleKey(), "wb-tl-button");
    this.keyButton.setAttribute("aria-expanded", "false");
    this.rest = make("span", "wb-tl-rest");
    this.tools.append(zoom, unit, this.lit, this.follow, this.rest, this.keyButton);
    this.note = make("div", "wb-tl-note");
    this.noteText = make("span", "wb-tl-note-text");
    this.note.append(this.noteText, button("×", "Put the critical path out (Escape)", () => this.dropPath(), "wb-tl-close"));
    this.note.hidden = true;
    this.stage = make("div", "wb-tl-stage");
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "application");
    this.stage.setAttribute("aria-label", "Timeline. Up and down walk the lanes, Enter opens and folds them, left and right move along, with Shift from bar to bar, plus and minus zoom, F fits all in, E changes between time and entries, C lights the critical path.");
    this.base = make("canvas", "wb-tl-canvas");
    this.over = make("canvas", "wb-tl-canvas");
    this.scroller = make("div", "wb-tl-scroll");
    this.scroller.tabIndex = -1;
    this.space = make("div", "wb-tl-space");
    this.scroller.append(this.space);
    this.tip = make("div", "wb-tl-tip");
    this.tip.hidden = true;
    this.empty = make("div", "wb-tl-empty", "No agent has done anything yet.");
    for (const canvas of [this.base, this.over]) canvas.setAttribute("aria-hidden", "true");
    this.stage.append(this.base, this.scroller, this.over, this.empty, this.tip);
    this.foot = make("div", "wb-tl-foot");
    this.voice = make("div", "wb-unseen");
    this.voice.setAttribute("aria-live", "polite");
    this.list = make("table", "wb-unseen");
    el.append(this.tools, this.note, this.stage, this.foot, this.voice, this.list);
  }

  /** @param {EventTarget} target @param {string} type @param {(e: any) => void} act @param {AddEventListenerOptions} [options] */
  on(target, type, act, options) {
    target.addEventListener(type, act, options);
    this.undo.push(() => target.removeEventListener(type, act, options));
  }

  listen() {
    const { stage, scroller } = this;
    this.on(stage, "pointerdown", (e) => this.press(e));
    this.on(stage, "pointermove", (e) => this.move(e));
    this.on(stage, "pointerup", (e) => this.release(e));
    this.on(stage, "pointercancel", (e) => { this.pointers.delete(e.pointerId); this.grab = null; this.spread = 0; });
    this.on(stage, "pointerleave", () => { if (!this.grab) this.point(null, 0, 0); });
    this.on(stage, "dblclick", (e) => this.zoomTo(e));
    this.on(stage, "wheel", (e) => this.wheel(e), { passive: false });
    this.on(stage, "keydown", (e) => { if (this.key(e)) { e.preventDefault(); e.stopPropagation(); } });
    this.on(stage, "focus", () => this.want());
    this.on(stage, "blur", () => { this.want(); });
    this.on(scroller, "scroll", () => { if (Math.abs(scroller.scrollTop - this.scrolled) > 1) this.wandered = true; this.point(null, 0, 0); this.want(); }, { passive: true });
    const sizes = new ResizeObserver(() => this.resize());
    sizes.observe(this.el);
    sizes.observe(stage);
    this.undo.push(() => sizes.disconnect());
  }

  close() {
    for (const undo of this.undo) undo();
    cancelAnimationFrame(this.frameId);
    for (const timer of [this.growing, this.telling, this.asking]) clearTimeout(timer);
  }

  focus() { this.stage.focus(); }

  // ---- what there is ----------------------------------------------------------------------------------------------

  /** @param {import("./desk.js").News} news */
  update(news) {
    const { desk } = this;
    if (desk.tape !== this.tape) this.adopt();
    if (news.theme) this.retheme();
    if (news.selection) this.reselect();
    if (news.clock && !this.grab?.clock) this.showClock = true;
    cancelAnimationFrame(this.frameId);
    this.frame();
  }

  want() { if (!this.frameId) this.frameId = requestAnimationFrame(() => this.frame()); }

  retheme() {
    this.painter.theme(readTheme(this.el));
    this.legend = "";
    this.want();
  }

  resize() {
    const { el } = this, w = this.scroller.clientWidth, h = this.stage.clientHeight;
    el.classList.toggle("wb-tl-small", el.clientWidth < SMALL_W || el.clientHeight < SMALL_STAGE_H + 60);
    if (w === this.width && h === this.height) return;
    if (!this.width) this.retheme();
    this.width = w;
    this.height = h;
    this.want();
  }

  /** Take in what is new, and see to it that it has lanes. */
  read() {
    const { lives, table, tape, painter } = this, known = table.agents, grown = lives.take();
    this.messages.take();
    const now = performance.now();
    if (grown && table.bands.size && now - this.weighed > WEIGH_MS) { this.weighed = now; if (table.weigh(tape.lastWall)) table.agents = -1; }
    if (table.agents < 0 || table.outdated) {
      const bands = table.bands.size;
      this.place();
      if (table.bands.size > bands && table.weigh(tape.lastWall)) this.place();
      if (!this.wandered && known > 0 && this.desk.clock === null) this.showNewest(known);
    }
    painter.w = this.width;
    painter.h = this.height;
    return grown;
  }

  /** Place all lanes anew; what is at the top stays there. */
  place() {
    const { table, scroller, tape } = this, at = table.at(scroller.scrollTop), mark = at >= 0 ? table.lanes[at] : NaN, by = at >= 0 ? scroller.scrollTop - table.tops[at] : 0;
    table.pinned = new Set([...this.desk.selected, ...(this.path ?? []).map((part) => part.slot)].filter((slot) => slot >= 0 && slot < tape.n));
    table.rebuild();
    this.space.style.height = `${table.height + AXIS_H + 8}px`;
    const lane = mark < 0 ? table.bands.get(-mark - 1) : table.laneBySlot[mark];
    if (at > 0 && lane !== undefined && lane >= 0) this.scrollTo(table.tops[lane] + by);
  }

  /** @param {number} top */
  scrollTo(top) {
    this.scroller.scrollTop = top;
    this.scrolled = this.scroller.scrollTop;
  }

  /** A job that begins comes into sight, unless the reader looks elsewhere. @param {number} known */
  showNewest(known) {
    const { tape, table } = this;
    for (let slot = tape.n - 1; slot >= known; slot--) {
      const parent = tape.parents[slot], lane = table.laneBySlot[slot];
      if (lane < 0 || !(parent < 0 || tape.origins[parent] === ROOT)) continue;
      if (table.tops[lane] + 3 * LANE_H > this.scroller.scrollTop + this.height - AXIS_H) this.scrollTo(table.tops[lane] - LANE_H);
      return;
    }
  }

  reselect() {
    const { desk, table } = this;
    if (![...table.pinned].every((slot) => desk.selected.has(slot)) || ![...desk.selected].every((slot) => table.pinned.has(slot))) this.place();
    if (!this.picking && desk.focus >= 0) this.reveal(table.laneBySlot[desk.focus] ?? -1);
    this.cursor = desk.focus >= 0 ? desk.focus : NaN;
    this.want();
  }

  /** @param {number} lane */
  reveal(lane) {
    const { table, scroller } = this;
    if (lane < 0 || lane >= table.count) return;
    const top = table.tops[lane], room = this.height - AXIS_H, tall = (table.tops[lane + 1] ?? table.height) - top;
    if (top < scroller.scrollTop) this.scrollTo(top - LANE_H);
    else if (top + tall > scroller.scrollTop + room) this.scrollTo(top + tall - room + LANE_H);
  }

  /** The end of the axis: the kernel's clock while anything is under way. */
  edge() {
    const { desk, tape, axis, lives } = this;
    if (axis.byEntry) return Math.max(tape.lastSeq, tape.firstSeq + 1);
    const ticking = desk.live && !desk.quiet && desk.skew !== Infinity && lives.busy > 0;
    return Math.max(ticking ? Date.now() - desk.skew : 0, tape.lastWall);
  }

  /** Scale and folds, as the reader left them or as the tape grew. */
  measure() {
    const { axis, tape, lives, width } = this, edge = this.edge();
    axis.left = Math.round(Math.max(120, Math.min(230, width * 0.24)));
    axis.width = Math.max(20, width - axis.left);
    axis.first = axis.byEntry ? tape.firstSeq : tape.firstWall;
    axis.last = edge;
    const idle = !axis.byEntry && !lives.running && edge > tape.lastWall ? { from: tape.lastWall, to: edge } : null;
    axis.fold(axis.byEntry ? [] : lives.idle.folds(edge - axis.first, this.unfolded, idle, foldShare(axis.width)));
    const least = axis.fitting(axis.width - PAD_LEFT - PAD_RIGHT);
    if (this.fitted || axis.k <= least) { axis.k = least; axis.offset = -PAD_LEFT; this.fitted = true; }
    else if (this.following) axis.offset = axis.length + PAD_RIGHT - axis.width;
    this.least = least;
    this.clampAxis();
  }

  clampAxis() {
    const { axis } = this, most = Math.max(-PAD_LEFT, axis.length + PAD_RIGHT - axis.width);
    axis.offset = Math.max(-PAD_LEFT, Math.min(most, axis.offset));
    return most;
  }

  // ---- drawing ----------------------------------------------------------------------------------------------------

  frame() {
    this.frameId = 0;
    if (this.desk.tape !== this.tape) this.adopt();
    if (this.desk.stale) this.desk.refresh();
    if (this.width < 40 || this.height < 30) { this.resize(); if (this.width < 40 || this.height < 30) return; }
    const grown = this.read(), { desk, tape, painter, axis } = this;
    this.empty.hidden = tape.n > 1;
    this.base.hidden = this.over.hidden = !this.empty.hidden;
    this.measure();
    if (this.showClock) { this.showClock = false; this.bringClock(); }
    const pen = sharpPen(this.base, this.width, this.height), ratio = Math.min(2, window.devicePixelRatio || 1);
    if (painter.hatches.ratio !== ratio) painter.hatches = new Hatches(ratio);
    painter.paint(pen, this.scene());
    this.paintOver();
    this.tally();
    if (grown || !this.told) this.tellSoon();
    clearTimeout(this.growing);
    const grows = desk.live && !desk.quiet && !axis.byEntry && this.lives.busy > 0 && (this.fitted || this.following);
    if (grows) this.growing = /** @type {any} */ (setTimeout(() => { if (this.stage.clientWidth) this.want(); }, this.lives.running && !this.calm.matches ? GROW_MS : CALM_MS));
  }

  /** @returns {import("./timeline_paint.js").Scene} */
  scene() {
    const { desk, tape, axis } = this, past = desk.clock !== null;
    const clock = !past ? axis.last : axis.byEntry ? /** @type {number} */ (desk.clock) : tape.wallOf(/** @type {number} */ (desk.clock));
    return { tape, moment: desk.moment, rows: Math.min(desk.moment.row, tape.rows), edge: axis.last, clock, past, top: this.scroller.scrollTop, selected: desk.selected, arrows: this.arrows, path: this.path, pathSlots: new Set((this.path ?? []).map((part) => part.slot)) };
  }

  /** When the clock is moved elsewhere, it stays in sight. */
  bringClock() {
    const { axis } = this, { clock, past } = this.scene(), x = axis.x(clock);
    if (!past || this.fitted || (x >= axis.left && x <= axis.left + axis.width)) return;
    axis.offset += x - axis.left - axis.width / 2;
    this.following = false;
    this.clampAxis();
  }

  /** What follows the pointer and the clock. */
  paintOver() {
    const { painter, axis, table, hover, width, height } = this, g = sharpPen(this.over, width, height), scene = this.scene(), { tone } = painter;
    if (!tone) return;
    const lane = hover?.lane ?? -1, right = axis.left + axis.width;
    g.save();
    g.beginPath();
    g.rect(0, AXIS_H, width, height);
    g.clip();
    if (lane >= 0 && lane < table.count) { g.fillStyle = tone.ink; g.globalAlpha = 0.05; g.fillRect(0, painter.y(lane, scene.top) - painter.tall(lane) / 2, width, painter.tall(lane)); g.globalAlpha = 1; }
    const cursor = this.cursorLane();
    if (cursor >= 0 && document.activeElement === this.stage) {
      g.strokeStyle = tone.brand;
      g.lineWidth = 1.5;
      g.strokeRect(1, painter.y(cursor, scene.top) - painter.tall(cursor) / 2 + 0.75, axis.left - 3, painter.tall(cursor) - 1.5);
    }
    g.beginPath();
    g.rect(axis.left, AXIS_H, axis.width, height);
    g.clip();
    painter.g = g;
    painter.scene = scene;
    const slot = lane >= 0 && table.lanes[lane] >= 0 ? table.lanes[lane] : -1;
    if (hover?.arrow) painter.arrow(hover.arrow.line, 1, null, true);
    else if (slot >= 0 && (hover?.type === "name" || hover?.type === "bar")) {
      const its = painter.drawn.filter(({ line }) => line.a === lane || line.b === lane);
      if (its.length <= MOST_LIT) for (const { line } of its) painter.arrow(line, 1, null, true);
    }
    if (hover?.type === "bar") this.outline(g, slot, hover.piece, painter.y(lane, scene.top));
    g.restore();
    this.paintClock(g, scene, right);
  }

  /** @param {CanvasRenderingContext2D} g @param {number} slot @param {number} piece @param {number} y */
  outline(g, slot, piece, y) {
    const { axis, lives, painter } = this, scene = this.scene();
    if (!lives.of[slot]?.pieces[piece]) return;
    const bar = lives.bar(slot, piece, scene.rows), x1 = axis.x(axis.byEntry ? bar.from : bar.t0), x2 = axis.x(Math.min(scene.edge, axis.byEntry ? bar.to : bar.t1));
    g.strokeStyle = painter.tone?.ink ?? "";
    g.lineWidth = 1.5;
    g.beginPath();
    g.roundRect(x1 - 2, y - 8.5, Math.max(2, x2 - x1) + 4, 17, 3);
    g.stroke();
  }

  /** @param {CanvasRenderingContext2D} g @param {import("./timeline_paint.js").Scene} scene @param {number} right */
  paintClock(g, scene, right) {
    const { axis, painter, desk, height } = this, { tone } = painter, x = axis.x(scene.clock);
    if (!tone || x < axis.left - 1 || x > right + 1) return;
    g.fillStyle = scene.past ? getComputedStyle(this.el).getPropertyValue("--jp-warn-color1").trim() || "#d98c00" : tone.brand;
    g.fillRect(Math.round(x) - 1, 6, 2, height);
    const text = scene.past ? `#${/** @type {number} */ (desk.clock).toLocaleString("en")}` : desk.live ? "live" : "end";
    g.font = `600 11px ${tone.font}`;
    const w = g.measureText(text).width + 12, left = Math.max(axis.left + 1, Math.min(right - w - 1, x - w / 2));
    g.beginPath();
    g.roundRect(left, 3, w, 18, 9);
    g.fill();
    g.fillStyle = scene.past && tone.dark ? "#1c1c1c" : "#fff";
    g.textAlign = "center";
    g.textBaseline = "middle";
    g.fillText(text, left + w / 2, 12.5);
  }

  /** Buttons and the key. */
  tally() {
    const { axis, lives, messages, tape, table } = this;
    this.byTime.setAttribute("aria-pressed", `${!axis.byEntry}`);
    this.byEntry.setAttribute("aria-pressed", `${axis.byEntry}`);
    this.lit.setAttribute("aria-pressed", `${this.pathOf >= 0}`);
    this.follow.hidden = this.fitted || this.following;
    const left = this.painter.left;
    setText(this.rest, left ? `${left.toLocaleString("en")} arrows left out; zoom in to see them` : "");
    this.rest.title = left ? "Only the busiest ones are drawn" : "";
    const ghosts = tape.forks.length > 0 || tape.marks.length > 1, key = [...lives.seen, "a", ...messages.kinds, ghosts, tape.reverts.length > 0, table.bands.size > 0].join(" ");
    if (key !== this.legend) { this.legend = key; this.buildKey(ghosts); }
  }

  /** @param {boolean} ghosts */
  buildKey(ghosts) {
    const { foot, painter, lives, messages, table, tape } = this, { tone } = painter;
    if (!tone) return;
    const has = (/** @type {number[]} */ statuses, /** @type {number} */ reason) => [...lives.seen].some((seen) => statuses.includes(seen >> 4) && (!reason || seen & reason));
    const waits = [WAITING, SUSPENDED], shown = BAR_KEYS.filter(([, status, reason, look]) =>
      look === GHOST ? ghosts : look === TAKEN_BACK ? tape.reverts.length > 0 : reason === FOR_STEP ? has([RUNNING], FOR_STEP) : reason ? has(waits, reason) : has([status], 0));
    const bars = make("span", "wb-tl-keys"), lines = make("span", "wb-tl-keys"), ratio = window.devicePixelRatio || 1;
    const sample = (/** @type {number} */ w) => {
      const canvas = make("canvas", "wb-tl-sample"), g = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      canvas.width = w * ratio; canvas.height = 14 * ratio;
      canvas.style.width = `${w}px`; canvas.style.height = "14px";
      canvas.setAttribute("aria-hidden", "true");
      g.scale(ratio, ratio);
      return { canvas, g };
    };
    for (const [name, status, reasons, look] of shown) {
      const item = make("span", "wb-tl-key"), { canvas, g } = sample(26);
      paintBar(g, tone, new Hatches(ratio), status, reasons, look, 2, 24, 7);
      item.append(canvas, make("span", "", name));
      bars.append(item);
    }
    if (table.bands.size) {
      const item = make("span", "wb-tl-key"), { canvas, g } = sample(28);
      paintLoadSample(g, tone, 2, 13);
      item.append(canvas, make("span", "", "how many ran, waited"));
      bars.append(item);
    }
    if (lives.loud.size) {
      const item = make("span", "wb-tl-key"), { canvas, g } = sample(14);
      drawShape(g, FAILED, 7, 7, 5, tone.colours[FAILED], tone.ground);
      item.append(canvas, make("span", "", "failed"));
      bars.append(item);
    }
    for (const kind of [...messages.kinds].sort()) {
      const look = ARROW_LOOKS[kind], item = button("", "", () => this.toggleKind(kind), "wb-tl-toggle"), { canvas, g } = sample(30);
      item.title = `Show or hide arrows: ${look.name}`;
      item.setAttribute("aria-pressed", `${this.arrows.has(kind)}`);
      this.toggles.set(kind, item);
      g.strokeStyle = g.fillStyle = painter.colour(kind);
      g.lineWidth = look.width + 0.2;
      g.setLineDash(look.dash);
      g.beginPath(); g.moveTo(1, 7); g.lineTo(22, 7); g.stroke();
      arrowHead(g, kind, 28, 7, 1, 0, 5, tone.ground);
      item.append(canvas, make("span", "", look.name));
      lines.append(item);
    }
    foot.replaceChildren(bars, lines);
  }

  /** @param {number} kind */
  toggleKind(kind) {
    if (!this.arrows.delete(kind)) this.arrows.add(kind);
    this.toggles.get(kind)?.setAttribute("aria-pressed", `${this.arrows.has(kind)}`);
    this.want();
  }

  toggleKey(open = !this.el.classList.contains("wb-tl-open")) {
    this.el.classList.toggle("wb-tl-open", open);
    this.keyButton.setAttribute("aria-expanded", `${open}`);
  }

  // ---- zoom and pan -----------------------------------------------------------------------------------------------

  /** @param {number} by @param {number} [x] */
  zoom(by, x) {
    const { axis } = this, { clock } = this.scene(), at = axis.x(clock);
    const about = x ?? (at >= axis.left && at <= axis.left + axis.width && this.desk.clock !== null ? at : axis.left + axis.width / 2);
    axis.zoom(by, about, this.least ?? 1e-9);
    this.fitted = axis.k <= (this.least ?? 0) * 1.0001;
    this.moved();
  }

  /** @param {number} by pixels */
  pan(by) {
    if (this.fitted) return; // all is in sight
    this.axis.offset += by;
    this.moved();
  }

  /** The reader moved: the edge is followed as long as it is in sight. */
  moved() {
    const { axis } = this, most = this.clampAxis();
    this.following = this.fitted || axis.offset >= most - 3;
    this.point(null, 0, 0);
    this.want();
  }

  fit() {
    this.fitted = this.following = true;
    this.wandered = false;
    this.unfolded.clear();
    this.point(null, 0, 0);
    this.want();
  }

  toEdge() {
    this.following = true;
    this.wandered = false;
    if (this.desk.live) this.desk.goTo(null);
    this.want();
  }

  /** @param {boolean} byEntry */
  setUnit(byEntry) {
    const { axis, tape } = this;
    if (axis.byEntry === byEntry) return;
    const from = axis.value(axis.left), to = axis.value(axis.left + axis.width);
    const turn = (/** @type {number} */ value) => { if (!byEntry) return tape.wallOf(value); const row = tape.rowAt(value); return row < 0 ? tape.firstSeq : tape.seq[row]; };
    const begin = turn(from), end = turn(to);
    axis.byEntry = byEntry;
    this.measure();
    if (!this.fitted && end > begin) { axis.k = Math.max(this.least ?? 0, axis.width / (end - begin)); axis.offset = axis.place(begin); this.clampAxis(); }
    this.point(null, 0, 0);
    this.want();
  }

  /** @param {WheelEvent} e */
  wheel(e) {
    const focused = document.activeElement === this.stage, [x, y] = this.at(e), inPlot = x >= this.axis.left || y < AXIS_H;
    if (e.shiftKey || (Math.abs(e.deltaX) > Math.abs(e.deltaY) && inPlot)) { e.preventDefault(); this.pan(e.deltaX || e.deltaY); return; }
    if (!(e.ctrlKey || e.metaKey || (focused && inPlot))) return;
    e.preventDefault();
    this.zoom(Math.exp(-e.deltaY / 300), Math.max(this.axis.left, x));
  }

  /** @param {MouseEvent} e */
  zoomTo(e) {
    const [x, y] = this.at(e), hit = this.hit(x, y);
    if (hit.type === "bar") this.zoomToBar(hit.lane, hit.piece);
  }

  /** @param {number} lane @param {number} piece */
  zoomToBar(lane, piece) {
    const { axis, lives, table } = this, scene = this.scene(), bar = lives.bar(table.lanes[lane], piece, scene.rows);
    const begin = axis.byEntry ? bar.from : bar.t0, end = Math.min(scene.edge, axis.byEntry ? bar.to : bar.t1), wide = Math.max(1, axis.place(end) - axis.place(begin));
    axis.zoom((0.6 * axis.width) / wide, axis.x(begin), this.least ?? 1e-9);
    axis.offset = (axis.place(begin) + axis.place(end)) / 2 - axis.width / 2;
    this.fitted = axis.k <= (this.least ?? 0) * 1.0001;
    this.moved();
  }

  // ---- pointing ---------------------------------------------------------------------------------------------------

  /** @param {MouseEvent} e @returns {[number, number]} */
  at(e) {
    const box = this.stage.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  }

  /** @param {number} x @param {number} y @returns {Hit} */
  hit(x, y) {
    const { axis, table, lives, painter, tape } = this, scene = this.scene();
    /** @param {Hit["type"]} type @param {Partial<Hit>} [more] @returns {Hit} */
    const found = (type, more = {}) => ({ type, lane: -1, piece: -1, at: -1, arrow: null, ...more });
    if (x > this.width || y < 0) return found("none");
    if (x >= axis.left) {
      const gap = axis.breakAt(x);
      if (gap >= 0 && (y < AXIS_H || Math.abs(x - axis.x(scene.clock)) > GRIP)) return found("break", { at: gap });
      const mark = y < AXIS_H ? tape.marks.slice(1).find((row) => Math.abs(axis.x(axis.byEntry ? tape.seq[row] : tape.wall[row]) - x) < 7) : undefined;
      if (mark !== undefined) return found("restart", { at: mark });
      if (y < AXIS_H || Math.abs(x - axis.x(scene.clock)) < GRIP) return found("clock");
    } else if (y < AXIS_H) return found("none");
    const lane = table.at(y - AXIS_H + scene.top);
    if (lane < 0) return found("none");
    if (x < axis.left) return found("name", { lane });
    const mark = table.lanes[lane], piece = mark >= 0 && Math.abs(y - painter.y(lane, scene.top)) <= 8 ? this.pieceAt(mark, x, 2) : -1;
    if (piece >= 0) return found("bar", { lane, piece });
    const arrow = painter.pickArrow(x, y);
    if (arrow) return found("arrow", { lane, arrow });
    if (mark < 0) return found("band", { lane });
    const near = this.pieceAt(mark, x, 5);
    return near >= 0 ? found("bar", { lane, piece: near }) : found("lane", { lane });
  }

  /** The piece of an agent nearest to a place, -1 for none. @param {number} slot @param {number} x @param {number} slack */
  pieceAt(slot, x, slack) {
    const { axis, lives } = this, pieces = lives.of[slot]?.pieces ?? [], edge = axis.last;
    let best = -1, near = slack + 0.01;
    for (let i = lives.firstAfter(slot, axis.value(x - slack - 2), axis.byEntry); i < pieces.length; i++) {
      const piece = pieces[i], x1 = axis.x(axis.byEntry ? piece.from : piece.t0), x2 = Math.max(x1 + 1.4, axis.x(Math.min(edge, axis.byEntry ? piece.to : piece.t1)));
      if (x1 > x + slack) break;
      const far = Math.max(0, x1 - x, x - x2);
      if (far < near) { near = far; best = i; if (!far) break; }
    }
    return best;
  }

  /** @param {PointerEvent} e */
  press(e) {
    if (e.button || this.tip.contains(/** @type {Node} */ (e.target))) return;
    const [x, y] = this.at(e);
    if (x > this.width) return; // the scroll bar
    this.pointers.set(e.pointerId, { x, y });
    if (this.pointers.size === 2) { this.grab = null; this.spread = this.apart(); return; }
    const hit = this.hit(x, y);
    this.grab = { pointer: e.pointerId, x, y, top: this.scroller.scrollTop, offset: this.axis.offset, moved: false, clock: hit.type === "clock", hit };
    if (e.isTrusted) this.stage.setPointerCapture(e.pointerId);
    this.point(null, 0, 0);
    if (hit.type === "clock") this.drag(x);
  }

  apart() { const [a, b] = [...this.pointers.values()]; return Math.hypot(a.x - b.x, a.y - b.y) || 1; }

  /** @param {PointerEvent} e */
  move(e) {
    const [x, y] = this.at(e), { grab } = this;
    if (this.pointers.has(e.pointerId)) this.pointers.set(e.pointerId, { x, y });
    if (this.pointers.size === 2 && this.spread) {
      const now = this.apart(), [a, b] = [...this.pointers.values()];
      this.zoom(now / this.spread, Math.max(this.axis.left, (a.x + b.x) / 2));
      this.spread = now;
      return;
    }
    if (!grab) { this.point(this.hit(x, y), x, y); return; }
    if (grab.clock) { this.drag(x); return; }
    if (!grab.moved && Math.abs(x - grab.x) + Math.abs(y - grab.y) < 4) return;
    grab.moved = true;
    this.stage.style.cursor = "grabbing";
    if (grab.x >= this.axis.left) this.pan(grab.offset - (x - grab.x) - this.axis.offset);
    this.scroller.scrollTop = grab.top - (y - grab.y);
  }

  /** Move the clock to a place. @param {number} x */
  drag(x) {
    const { axis, tape, desk } = this, inside = Math.max(axis.left, Math.min(axis.left + axis.width, x)), value = axis.value(inside);
    if (x >= axis.x(axis.last) - 2) { desk.goTo(desk.live ? null : tape.lastSeq); return; }
    const row = axis.byEntry ? -1 : tape.rowAt(value);
    desk.goTo(axis.byEntry ? value : row < 0 ? tape.firstSeq : tape.seq[row]);
  }

  /** @param {PointerEvent} e */
  release(e) {
    const { grab } = this;
    this.pointers.delete(e.pointerId);
    this.spread = 0;
    if (!grab || grab.pointer !== e.pointerId) return;
    this.grab = null;
    this.stage.style.cursor = "";
    if (grab.moved || grab.clock) return;
    const { hit } = grab, { table, desk, axis } = this, mark = table.lanes[hit.lane], [x] = this.at(e), more = e.shiftKey || e.ctrlKey || e.metaKey;
    const again = e.timeStamp - this.toggled < 350; // the second click of a double one
    if (hit.type === "break") { this.unfolded.add(axis.breaks[hit.at].from); this.want(); }
    else if (hit.type === "restart") desk.goTo(this.tape.seq[hit.at]);
    else if (hit.type === "arrow" && hit.arrow) this.pick([this.tape.a[hit.arrow.line.row], this.tape.slot[hit.arrow.line.row]].filter((slot) => slot >= 0), more);
    else if (hit.type === "band" || (hit.type === "name" && (mark < 0 || (table.opens(hit.lane) && x < this.painter.indent(hit.lane) + 12)))) { this.cursor = mark; if (!again) { this.toggled = e.timeStamp; this.toggle(hit.lane); } }
    else if (mark >= 0) this.pick([mark], more);
    else if (hit.type === "none" && !more && desk.selected.size) this.pick([], false);
  }

  /** @param {number[]} slots @param {boolean} more */
  pick(slots, more) {
    this.picking = true;
    this.desk.select(slots, more);
    if (slots.length) this.cursor = slots[0];
    this.reselect();
    this.picking = false;
  }

  /** @param {number} lane */
  toggle(lane) {
    const { table } = this, mark = table.lanes[lane], top = this.scroller.scrollTop;
    if (!table.toggle(lane)) return;
    this.space.style.height = `${table.height + AXIS_H + 8}px`;
    this.scrollTo(top);
    this.point(null, 0, 0);
    this.say(`${mark < 0 ? "band" : this.tape.name(mark)} ${table.isOpen(lane) ? "opened" : "folded"}`);
    this.want();
  }

  // ---- telling ----------------------------------------------------------------------------------------------------

  /** What the pointer is at. @param {Hit | null} hit @param {number} x @param {number} y */
  point(hit, x, y) {
    const was = this.hover, same = !!was && !!hit && was.type === hit.type && was.lane === hit.lane && was.piece === hit.piece && was.at === hit.at && was.arrow === hit.arrow;
    this.hover = hit;
    if (!this.grab) this.stage.style.cursor = !hit || hit.type === "none" || hit.type === "lane" ? "" : hit.type === "clock" ? "ew-resize" : "pointer";
    if (!same) {
      clearTimeout(this.asking);
      const lines = hit ? this.describe(hit) : [];
      this.tip.hidden = !lines.length;
      this.tip.replaceChildren(...lines.map(([text, kind]) => make("div", kind, text)));
      if (hit?.type === "bar") this.askBar(hit);
      if (this.painter.tone && this.width > 40) this.paintOver();
    }
    if (!this.tip.hidden && hit?.type !== "band") this.placeTip(x, y);
    else if (hit?.type === "band") { this.tip.replaceChildren(...this.describe(hit, x).map(([text, kind]) => make("div", kind, text))); this.placeTip(x, y); }
  }

  /** @param {number} x @param {number} y */
  placeTip(x, y) {
    const { tip } = this, w = tip.offsetWidth, h = tip.offsetHeight;
    tip.style.left = `${Math.max(4, Math.min(x + 14, this.width - w - 6))}px`;
    tip.style.top = `${Math.max(2, y + 18 + h > this.height ? y - h - 10 : y + 18)}px`;
  }

  /** A time as the axis tells it. @param {number} wall */
  when(wall) {
    const ms = wall - this.tape.firstWall, span = this.axis.width / this.axis.k;
    return ms === 0 ? "the beginning" : stampText(ms, this.axis.byEntry ? 1 : Math.max(0.01, Math.min(10, 10 ** Math.floor(Math.log10(span / 500)))));
  }

  /** What is told of it at once, from the tape: lines of text with their class. @param {Hit} hit @param {number} [x] @returns {[string, string][]} */
  describe(hit, x = 0) {
    const { tape, table, axis, desk } = this, mark = table.lanes[hit.lane], dim = "wb-tl-dim";
    if (hit.type === "break") { const gap = axis.breaks[hit.at]; return [[`Nothing happened for ${lengthText(gap.to - gap.from)}`, "wb-tl-title"], ["Click to unfold; Fit folds it again.", dim]]; }
    if (hit.type === "restart") return [["A process took the session up here", "wb-tl-title"], ["What was under way was rebuilt from the log, so what it had done is drawn as replayed.", ""], [`entry #${tape.seq[hit.at]} at ${this.when(tape.wall[hit.at])}`, dim]];
    if (hit.type === "arrow" && hit.arrow) return this.describeArrow(hit.arrow);
    if (hit.type === "bar") return this.describeBar(mark, hit.piece);
    if (mark < 0 && (hit.type === "band" || hit.type === "name")) {
      const parent = -mark - 1, kids = tape.kids.get(parent) ?? [];
      /** @type {[string, string][]} */ const lines = [[`${counted(kids.length, "child", "children")} of ${tape.name(parent)}`, "wb-tl-title"], [describeCounts(countStatuses(tape, desk.moment, kids)), ""]];
      if (hit.type === "band") { const value = axis.value(x), [ran, waited] = this.lives.loadAt(parent, value, axis.byEntry); lines.push([`at ${axis.byEntry ? `#${Math.round(value)}` : this.when(value)}: ${ran} ran, ${waited} waited`, ""]); }
      lines.push([`Click to ${table.isOpen(hit.lane) ? "fold them" : "see each of them"}.`, dim]);
      return lines;
    }
    if (hit.type === "name") {
      const row = mark < desk.moment.n ? desk.moment.last[mark] : -1, kids = tape.kids.get(mark)?.length ?? 0;
      return [[tape.origins[mark] === ROOT ? "notebook" : tape.ids[mark], "wb-tl-title"], [mark < desk.moment.n ? tape.doingIn(row) : "not there yet at this entry", ""], ...(kids ? /** @type {[string, string][]} */ ([[counted(kids, "child", "children"), dim]]) : [])];
    }
    return [];
  }

  /** @param {number} slot @param {number} piece @returns {[string, string][]} */
  describeBar(slot, piece) {
    const { tape, lives } = this, scene = this.scene();
    if (!lives.of[slot]?.pieces[piece]) return [];
    const bar = lives.bar(slot, piece, scene.rows), method = tape.methodIn(bar.row), status = tape.statusIn(bar.row), open = bar.t1 === Infinity;
    /** @type {[string, string][]} */ const lines = [[`${tape.name(slot)}${method ? `.${method}` : ""}`, "wb-tl-title"], [`${tape.doingIn(bar.row)}${!open && bar.then === FAILED && isUnderWay(status) ? ", then it failed" : ""}`, ""]];
    const now = this.axis.byEntry ? this.desk.now() : this.axis.last;
    lines.push([open ? `since ${this.when(bar.t0)}: ${lengthText(now - bar.t0)} so far` : `${this.when(bar.t0)} to ${this.when(bar.t1)}: ${lengthText(bar.t1 - bar.t0)}`, ""]);
    lines.push([open ? `from entry #${bar.from}` : `entries #${bar.from} to #${bar.to}`, "wb-tl-dim"]);
    if (bar.look === GHOST) lines.push([bar.from < tape.seq[tape.born[slot]] ? `Done by ${tape.name(tape.parents[slot])} before the fork; replayed here, not done again.` : "Replayed: rebuilt from the log, not done again.", "wb-tl-how"]);
    if (bar.look === TAKEN_BACK) lines.push(["Taken back by a revert: it counts no longer.", "wb-tl-how"]);
    return lines;
  }

  /** @param {import("./timeline_paint.js").DrawnArrow} arrow @returns {[string, string][]} */
  describeArrow({ line, fan }) {
    const { tape } = this, { row, count } = line, from = tape.name(tape.a[row]), to = tape.name(tape.slot[row]), kind = ARROWS[line.kind];
    if (fan) {
      const rows = fan.lines.map((one) => one.row), first = Math.min(...rows), last = Math.max(...rows), span = tape.wall[last] - tape.wall[first];
      return [[`${fan.count.toLocaleString("en")} × ${kind}`, "wb-tl-title"], [fan.out ? `from ${from}` : `to ${to}`, ""], [`arriving at ${this.when(tape.wall[first])}${span > 0.05 ? ` to ${this.when(tape.wall[last])}` : ""}`, ""], ["Zoom in to see each.", "wb-tl-dim"]];
    }
    if (count > 1) return [[`${count.toLocaleString("en")} × ${kind}`, "wb-tl-title"], [`between the lanes of ${from} and ${to}`, ""], [`around ${this.when(tape.wall[row])}`, ""], ["Zoom in to see each.", "wb-tl-dim"]];
    const sent = tape.c[row], wall = sent === tape.seq[row] ? tape.wall[row] : tape.wallOf(sent), took = tape.wall[row] - wall;
    return [[kind, "wb-tl-title"], [`from ${from}`, ""], [`to ${to}`, ""], [took > 0.005 ? `${this.when(wall)} to ${this.when(tape.wall[row])}: ${lengthText(took)} on its way` : `at ${this.when(wall)}`, ""], [sent === tape.seq[row] ? `entry #${sent}` : `entries #${sent} to #${tape.seq[row]}`, "wb-tl-dim"]];
  }

  /** Arguments, result and source line of a bar, when the kernel or the page knows them. @param {Hit} hit */
  askBar(hit) {
    const { lives, table, tape } = this, slot = table.lanes[hit.lane], scene = this.scene(), bar = lives.bar(slot, hit.piece, scene.rows);
    if (!isUnderWay(tape.statusIn(bar.row))) return;
    const inherited = bar.from < tape.seq[tape.born[slot]], of = inherited ? tape.parents[slot] : slot, key = `${of}:${bar.invocation}`, known = this.answers.get(key);
    const more = (/** @type {[string, string][]} */ lines) => { if (this.hover !== hit && (this.hover?.lane !== hit.lane || this.hover?.piece !== hit.piece)) return; this.tip.append(...lines.map(([text, kind]) => make("div", kind, text))); this.placeTip(parseFloat(this.tip.style.left) - 14, parseFloat(this.tip.style.top) - 18); };
    if (known) { more(answerLines(known)); return; }
    this.asking = /** @type {any} */ (setTimeout(async () => {
      try {
        const answer = await this.desk.ask("bar", { slot: of, seq: bar.invocation }, key);
        if (this.answers.size > MOST_ANSWERS) this.answers.clear();
        if (answer.finished || !this.desk.live) this.answers.set(key, answer);
        more(answerLines(answer));
      } catch (error) {
        more([[this.desk.live ? String(/** @type {Error} */ (error).message) : "Arguments and result are not known here: no kernel answers.", "wb-tl-dim"]]);
      }
    }, ASK_MS));
  }

  /** @param {string} text */
  say(text) { setText(this.voice, text); }

  tellSoon() {
    if (!this.telling) this.telling = /** @type {any} */ (setTimeout(() => { this.telling = 0; this.told = performance.now(); this.tell(); }, this.told ? TELL_MS : 0));
  }

  /** The same for screen readers. */
  tell() {
    const { table, tape, lives, list } = this, head = make("tr", ""), rows = [];
    for (const title of ["agent", "what it did", "from", "to"]) head.append(make("th", "", title));
    for (const mark of table.lanes.slice(0, LANES_TOLD)) rows.push(laneRow(tape, lives, mark));
    const caption = make("caption", "", table.count > LANES_TOLD ? `Timeline, ${LANES_TOLD} of ${table.count} lanes` : "Timeline");
    list.replaceChildren(caption, head, ...rows.map((cells) => { const row = make("tr", ""); for (const cell of cells) row.append(make("td", "", cell)); return row; }));
  }

  // ---- the critical path ------------------------------------------------------------------------------------------

  togglePath() { if (this.pathOf >= 0) this.dropPath(); else this.askPath(); }

  dropPath() {
    this.path = null;
    this.pathOf = -1;
    this.note.hidden = true;
    this.place();
    this.want();
  }

  /** The agent whose path is asked for: the selected one, or the newest job. */
  pathAgent() {
    const { desk, tape } = this;
    if (desk.focus >= 0) return desk.focus;
    if (tape.origins[0] === ROOT) return 0; // answered for its newest job
    for (let slot = desk.moment.n - 1; slot >= 0; slot--) {
      const parent = tape.parents[slot];
      if (tape.origins[slot] !== ROOT && (parent < 0 || tape.origins[parent] === ROOT) && desk.moment.last[slot] >= 0) return slot;
    }
    return -1;
  }

  async askPath() {
    const slot = this.pathAgent(), { desk } = this;
    if (slot < 0) { this.tellPath("There is no agent yet whose path could be lit."); return; }
    this.pathOf = slot;
    try {
      const answer = await this.askPathOf(slot);
      if (this.pathOf !== slot) return;
      this.path = pathParts(answer);
      const past = desk.clock !== null ? " As of the live edge." : "";
      this.tellPath(`Critical path: ${(answer.sentences ?? []).slice(0, 1).join("")}${past}`, (answer.sentences ?? []).join("\n"));
      this.place();
      this.revealPath();
    } catch (error) {
      this.pathOf = -1;
      this.tellPath(`The critical path of ${this.tape.name(slot)} is not known here: ${/** @type {Error} */ (error).message}`);
    }
    this.want();
  }

  /** Bring the path's lanes into sight, or when they are too far apart the one with its longest part. */
  revealPath() {
    const { table } = this, parts = this.path ?? [];
    if (!parts.length) return;
    const lanes = parts.map((part) => table.standing(part.slot)), low = Math.min(...lanes), high = Math.max(...lanes);
    if (table.tops[high] + LANE_H - table.tops[low] <= this.height - AXIS_H - this.note.offsetHeight) { this.reveal(high); this.reveal(low); }
    else this.reveal(lanes[parts.reduce((best, part, i) => (part.end - part.begin > parts[best].end - parts[best].begin ? i : best), 0)]);
  }

  /** A page carries the path of the newest job only; that may be the one that is meant. @param {number} slot */
  async askPathOf(slot) {
    const { desk, tape } = this;
    try { return await desk.ask("path", { slot }, `${slot}`); } catch (error) {
      const newest = desk.live ? null : await desk.ask("path", { slot: 0 }, "0").catch(() => null);
      if (newest?.agent === tape.ids[slot]) return newest;
      throw error;
    }
  }

  /** @param {string} text @param {string} [title] */
  tellPath(text, title = text) {
    setText(this.noteText, text);
    this.noteText.title = title;
    this.note.hidden = false;
    this.want();
  }

  // ---- keys -------------------------------------------------------------------------------------------------------

  cursorLane() {
    const { table, cursor } = this;
    if (Number.isNaN(cursor)) return -1;
    return cursor < 0 ? table.bands.get(-cursor - 1) ?? -1 : table.laneBySlot[cursor] ?? -1;
  }

  /** @param {KeyboardEvent} e */
  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return false;
    const inside = e.target === this.stage || !this.el.contains(/** @type {Node} */ (e.target));
    const step = this.axis.width * PAN_SHARE;
    const act = /** @type {Record<string, () => void>} */ ({
      "+": () => this.zoom(1.43), "=": () => this.zoom(1.43), "-": () => this.zoom(0.7), _: () => this.zoom(0.7), f: () => this.fit(), F: () => this.fit(),
      e: () => this.setUnit(!this.axis.byEntry), E: () => this.setUnit(!this.axis.byEntry), c: () => this.togglePath(), C: () => this.togglePath(), k: () => this.toggleKey(), K: () => this.toggleKey(),
      ...(inside ? {
        ArrowLeft: () => { if (e.shiftKey) this.walkBars(-1); else this.pan(-step); }, ArrowRight: () => { if (e.shiftKey) this.walkBars(1); else this.pan(step); },
        ArrowUp: () => this.walk(-1), ArrowDown: () => this.walk(1), PageUp: () => this.walk(-10), PageDown: () => this.walk(10), Enter: () => this.enter(),
      } : {}),
    })[e.key];
    if (act) { act(); return true; }
    return e.key === "Escape" && this.escape();
  }

  /** Put away what is open, the last thing first; whether there was something. */
  escape() {
    if (this.el.classList.contains("wb-tl-open")) this.toggleKey(false);
    else if (!this.tip.hidden) this.point(null, 0, 0);
    else if (!this.note.hidden) this.dropPath();
    else if (this.desk.selected.size) this.pick([], false);
    else return false;
    return true;
  }

  /** @param {number} by lanes */
  walk(by) {
    const { table, tape, desk } = this, at = this.cursorLane(), lane = Math.max(0, Math.min(table.count - 1, at < 0 ? (by > 0 ? 0 : table.count - 1) : at + by)), mark = table.lanes[lane];
    if (mark === undefined) return;
    this.point(null, 0, 0);
    this.cursor = mark;
    if (mark >= 0) { this.pick([mark], false); this.say(`${tape.name(mark)}, ${tape.doingIn(mark < desk.moment.n ? desk.moment.last[mark] : -1)}`); }
    else this.say(`band of ${describeCounts(countStatuses(tape, desk.moment, tape.kids.get(-mark - 1) ?? []))}; Enter opens it`);
    this.cursor = mark;
    this.reveal(this.cursorLane());
    this.want();
  }

  enter() {
    const lane = this.cursorLane();
    if (lane < 0) this.walk(1);
    else if (this.table.opens(lane)) this.toggle(lane);
    else if (this.hover?.type === "bar") this.zoomToBar(this.hover.lane, this.hover.piece);
  }

  /** To the next bar of the lane that the keys are at. @param {1 | -1} way */
  walkBars(way) {
    const { axis, table, lives, painter, hover } = this, lane = this.cursorLane(), slot = table.lanes[lane];
    if (lane < 0 || slot < 0) return;
    const pieces = lives.of[slot]?.pieces ?? [], rows = this.scene().rows;
    let at = way > 0 ? lives.firstAfter(slot, axis.value(axis.left), axis.byEntry) : Math.min(pieces.length - 1, lives.firstAfter(slot, axis.value(axis.left + axis.width), axis.byEntry));
    if (hover?.type === "bar" && hover.lane === lane && pieces[hover.piece]) { const bar = lives.bar(slot, hover.piece, rows); at = way > 0 ? bar.last + 1 : bar.first - 1; }
    const piece = pieces[at];
    if (!piece) return;
    const x = () => axis.x(Math.min(axis.last, axis.byEntry ? (piece.from + Math.min(piece.to, axis.last)) / 2 : (piece.t0 + Math.min(piece.t1, axis.last)) / 2));
    if (x() < axis.left + 8 || x() > axis.left + axis.width - 8) { this.pan(x() - axis.left - axis.width / 2); this.measure(); }
    this.reveal(lane);
    const hit = /** @type {Hit} */ ({ type: "bar", lane, piece: at, at: -1, arrow: null });
    this.point(hit, Math.max(axis.left, Math.min(axis.left + axis.width, x())), painter.y(lane, this.scroller.scrollTop));
    this.say(this.describeBar(slot, at).map(([text]) => text).join(", "));
    this.want();
  }
}

/** What the kernel says of a bar, as lines of a tip. @param {any} answer @returns {[string, string][]} */
export function answerLines(answer) {
  /** @type {[string, string][]} */ const lines = [];
  if (answer.args) lines.push([`arguments: ${answer.args}`, "wb-tl-said"]);
  if (answer.error) lines.push([`failed: ${answer.error}`, "wb-tl-said wb-tl-bad"]);
  else if (answer.result !== null && answer.result !== undefined) lines.push([`result: ${answer.result}`, "wb-tl-said"]);
  if (answer.line) lines.push([String(answer.line).split("/").pop() ?? "", "wb-tl-dim"]);
  return lines;
}

/** The segments of a critical path that lie on lanes, in order of time. @param {any} answer @returns {import("./timeline_paint.js").PathPart[]} */
export function pathParts(answer) {
  return (answer.segments ?? []).filter((/** @type {any} */ part) => part.slot >= 0 && part.end >= part.begin)
    .map((/** @type {any} */ part) => ({ slot: part.slot, begin: part.begin, end: part.end, kind: part.kind, what: part.what }))
    .sort((/** @type {any} */ a, /** @type {any} */ b) => a.begin - b.begin || a.end - b.end);
}

/** What a lane shows, in words: agent, what it did, from, to. @param {import("./tape.js").Tape} tape @param {Lives} lives @param {number} mark @returns {string[]} */
export function laneRow(tape, lives, mark) {
  if (mark < 0) {
    const kids = tape.kids.get(-mark - 1) ?? [];
    return [`${kids.length} children of ${tape.name(-mark - 1)}`, `${describeCounts(countStatuses(tape, tape.now, kids))}; at most ${lives.loads.get(-mark - 1)?.peak ?? 0} at once`, "", ""];
  }
  const pieces = lives.of[mark]?.pieces.filter((piece) => piece.gone > tape.rows) ?? [], first = pieces[0], last = pieces[pieces.length - 1];
  /** @type {Map<string, number>} */ const times = new Map();
  for (const piece of pieces) {
    const words = tape.doingIn(piece.row), length = Math.min(piece.t1, tape.lastWall) - piece.t0;
    times.set(words, (times.get(words) ?? 0) + length);
  }
  const did = [...times].map(([words, ms]) => `${words} ${lengthText(ms)}`).join("; "), method = last ? tape.methodIn(last.row) : "";
  const stamp = (/** @type {number} */ wall) => stampText(wall - tape.firstWall, 1);
  return [tape.origins[mark] === ROOT ? "notebook" : tape.ids[mark], `${method ? `${method}: ` : ""}${did || "nothing"}${lives.loud.has(mark) ? "; failed or was interrupted" : ""}`, first ? stamp(first.t0) : "", last ? (last.t1 === Infinity ? "goes on" : stamp(last.t1)) : ""];
}
