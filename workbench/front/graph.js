// @ts-check
// The agent graph in the page: what it shows, and the hands on it.
import { CALL, EXITED, FORKED, INTERRUPTED, PROMISE, QUEUED, READING_ORDER, ROOT, STATUS, Store, TRIGGER, describeCounts, describeTime, isBusy, isLoud } from "./graph_store.js";
import { Layout } from "./graph_layout.js";
import { FORK_STROKE, Painter, STROKES, drawShape } from "./graph_paint.js";

const TICK_MS = 500, SPEAK_MS = 2000, REFOLD_MS = 500, SPARK_MS = 600, TABLE_ROWS = 200, MOST_SPARKS = 40, CARD_W = 276;

/** Whose the graph is: what it asks, and what it is told. @typedef {{store: Store, live: boolean, ask(question: {t: string, slot: number}): void, selected(): number[], select(slots: number[]): void}} Owner */

/** @template {keyof HTMLElementTagNameMap} K @param {K} tag @param {string} name @param {string} [text] @returns {HTMLElementTagNameMap[K]} */
export function make(tag, name, text) {
  const node = document.createElement(tag);
  node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** The graph in one place. */
export class View {
  stage = make("div", "wb-stage");
  canvases = ["edges", "links", "nodes", "over"].map((name) => make("canvas", `wb-layer wb-${name}`));
  tip = make("div", "wb-tip");
  card = make("aside", "wb-card");
  foot = make("div", "wb-foot");
  status = make("div", "wb-unseen");
  voice = make("div", "wb-unseen");
  table = make("table", "wb-unseen");
  total = make("span", "wb-total");
  /** @type {HTMLElement[]} */ tallies = [];
  /** @type {HTMLCanvasElement[]} */ icons = [];
  /** @type {[HTMLCanvasElement, {status: number, dash: number[], width: number}][]} */ strokes = [];
  calm = matchMedia("(prefers-reduced-motion: reduce)");
  /** @type {{x: number, y: number, moved: boolean} | null} */ drag = null;
  /** @type {{x: number, y: number, k: number} | undefined} the camera of what is drawn, while the layers are only scaled */ drawnAt;
  drawn = 0;
  summary = "";
  said = "";
  grown = false;
  sparked = false;
  outdated = false;
  speaking = 0;
  zooming = 0;
  aging = 0;
  ticking = 0;
  /** @type {[HTMLElement, () => string][]} texts of the card that change with time alone */ clocks = [];
  refolding = 0;

  /** @param {Owner} owner @param {HTMLElement} el */
  constructor(owner, el) {
    this.owner = owner;
    this.store = owner.store;
    this.layout = new Layout(owner.store);
    this.el = el;
    /** @type {(() => void)[]} */ this.undo = [];
    /** @type {Set<number>} */ this.selected = new Set();
    this.hover = this.focus = -1;
    this.onBand = this.steered = this.everything = this.linksStale = this.overStale = this.open = false;
    /** @type {Set<number>} */ this.dirty = new Set();
    /** @type {{slot: number, other: number, since: number}[]} */ this.sparks = [];
    this.frameId = this.spoken = this.refolded = 0;
    this.build();
    this.painter = new Painter(owner.store, this.layout, this.canvases);
    this.listen();
    this.layout.rebuild();
    this.reselect();
  }

  build() {
    this.el.classList.add("wb-graph");
    const { stage } = this;
    stage.tabIndex = 0;
    stage.setAttribute("role", "application");
    stage.setAttribute("aria-label", "Agent graph. Arrow keys walk the tree, Enter opens details or a band, plus and minus zoom, F fits.");
    this.card.setAttribute("aria-label", "Agent details");
    this.tip.hidden = this.card.hidden = true;
    const tools = make("div", "wb-tools");
    for (const [sign, title, act] of /** @type {[string, string, () => void][]} */ ([["+", "Zoom in (+)", () => this.zoom(1.25)], ["−", "Zoom out (-)", () => this.zoom(0.8)], ["⤢", "Fit all in (F)", () => this.fit()]])) {
      const button = make("button", "wb-tool", sign);
      button.title = title;
      button.setAttribute("aria-label", title);
      button.tabIndex = -1;
      button.onclick = act;
      tools.append(button);
    }
    this.canvases.forEach((canvas) => canvas.setAttribute("aria-hidden", "true"));
    stage.append(...this.canvases, this.tip, tools, this.card);
    this.foot.setAttribute("aria-hidden", "true");
    this.status.setAttribute("role", "status");
    this.voice.setAttribute("aria-live", "polite");
    this.el.append(stage, this.foot, this.status, this.voice, this.table);
    this.buildLegend();
  }

  buildLegend() {
    this.foot.append(this.total);
    for (const status of READING_ORDER) {
      const item = make("span", "wb-key"), icon = (this.icons[status] = make("canvas", "wb-icon"));
      this.tallies[status] = make("span", "");
      item.append(icon, this.tallies[status]);
      this.foot.append(item);
    }
    const lines = make("span", "wb-lines");
    this.foot.append(lines);
    for (const look of [STROKES[CALL], STROKES[TRIGGER], STROKES[PROMISE], FORK_STROKE]) {
      const item = make("span", "wb-key wb-faint"), icon = make("canvas", "wb-icon wb-line");
      item.append(icon, make("span", "", look.name));
      this.strokes.push([icon, look]);
      item.hidden = true; // until there was one
      lines.append(item);
    }
  }

  /** @param {EventTarget} target @param {string} type @param {(e: any) => void} act @param {AddEventListenerOptions} [options] */
  on(target, type, act, options) {
    target.addEventListener(type, act, options);
    this.undo.push(() => target.removeEventListener(type, act, options));
  }

  listen() {
    const { stage } = this;
    this.on(stage, "pointerdown", (e) => this.press(e));
    this.on(stage, "pointermove", (e) => this.move(e));
    this.on(stage, "pointerup", (e) => this.release(e));
    this.on(stage, "pointercancel", () => { this.drag = null; this.shift(0, 0, 1); });
    this.on(stage, "pointerleave", () => this.point(NaN, 0, 0));
    this.on(stage, "dblclick", (e) => { const hit = this.hit(e); if (hit < 0) this.toggle(-hit - 1); });
    this.on(stage, "keydown", (e) => this.key(e));
    this.on(stage, "focus", () => { this.overStale = true; this.want(); });
    this.on(stage, "wheel", (e) => this.wheel(e), { passive: false });
    const repaint = () => { this.painter.theme(this.el); this.drawIcons(); this.everything = true; this.want(); };
    // A first size means: now in the page. Colours read before that are nobody's.
    const resize = new ResizeObserver(() => { if (this.resize()) repaint(); });
    resize.observe(stage);
    // A theme's sheet may load after its name is on the page: the ground's own change of colour tells when it did.
    this.on(this.el, "transitionend", (e) => { if (e.target === this.el) repaint(); });
    const theme = new MutationObserver(repaint);
    for (const node of [document.documentElement, document.body]) theme.observe(node, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class", "data-theme", "style"] });
    this.undo.push(() => resize.disconnect(), () => theme.disconnect());
    repaint();
  }

  close() {
    for (const undo of this.undo) undo();
    cancelAnimationFrame(this.frameId);
    clearTimeout(this.speaking);
    clearTimeout(this.zooming);
    clearTimeout(this.aging);
    clearTimeout(this.ticking);
    clearTimeout(this.refolding);
  }

  // ---- data in -----------------------------------------------------------------------------------------------------

  /** @param {import("./graph_store.js").Change} change */
  take(change) {
    const { layout, store } = this, before = layout.placed;
    if (change.snapshot) { layout.rebuild(); this.everything = true; this.reselect(); }
    else if (layout.update()) this.everything = true;
    if (layout.placed > before) this.grown = true;
    const sparkle = !change.snapshot && !this.calm.matches && change.changed.length <= MOST_SPARKS, now = performance.now();
    for (const slot of change.changed) {
      const parent = store.parents[slot];
      if (parent >= 0 && layout.bands.has(parent)) {
        this.dirty.add(-parent - 1);
        const out = layout.bands.get(parent)?.out;
        if ((isLoud(store.statuses[slot]) || out?.has(slot)) && layout.refold(parent, [slot]).length) this.everything = true;
      }
      if (layout.mode[slot]) { this.dirty.add(slot); if (sparkle && slot < before) this.sparks.push({ slot, other: -1, since: now }); }
    }
    if (!change.snapshot && !this.calm.matches) for (let i = 0; i < change.flashes.length; i += 2) this.sparks.push({ slot: change.flashes[i], other: change.flashes[i + 1], since: now });
    if (change.links || layout.placed > before) this.linksStale = true;
    [CALL, TRIGGER, PROMISE, FORKED].forEach((kind, i) => {
      const item = /** @type {HTMLElement} */ (this.strokes[i][0].parentElement);
      if (item.hidden) item.hidden = !(i < 3 ? store.kinds.has(kind) : store.origins.subarray(0, store.n).includes(FORKED));
    });
    this.refoldSoon();
    if (this.open && change.changed.includes(this.focus)) this.askDetails();
    this.want();
  }

  /** The slowest children come out of their bands, twice a second at most. */
  refoldSoon() {
    if (this.refolding || ![...this.layout.bands.values()].some((b) => !b.expanded)) return;
    this.refolding = /** @type {any} */ (setTimeout(() => {
      this.refolding = 0;
      let moved = 0, busy = false;
      for (const [parent, band] of [...this.layout.bands]) {
        if (band.expanded) continue;
        moved += this.layout.refold(parent).length;
        const counts = this.store.childCounts(parent);
        busy ||= counts.some((/** @type {number} */ n, /** @type {number} */ status) => n > 0 && isBusy(status));
      }
      if (moved) { this.everything = true; this.grown = true; this.want(); }
      if (busy && this.owner.live) this.refoldSoon();
    }, REFOLD_MS));
  }

  reselect() {
    this.selected = new Set(this.owner.selected().filter((slot) => slot < this.store.n));
    this.overStale = true;
    this.want();
  }

  // ---- drawing -----------------------------------------------------------------------------------------------------

  want() {
    if (!this.frameId) this.frameId = requestAnimationFrame(() => this.frame());
  }

  frame() {
    this.frameId = 0;
    const { painter, layout } = this;
    if (painter.w < 2) return;
    if (this.grown) {
      this.grown = false;
      this.everything ||= !layout.placed;
      if (!this.steered && painter.spills()) { painter.fit(); this.everything = true; }
    }
    if (this.everything || this.drawn > layout.placed) painter.full();
    else {
      const from = this.drawn;
      if (from < layout.placed) { painter.drawEdges(from, layout.placed); for (let slot = from; slot < layout.placed; slot++) this.dirty.add(slot); }
      for (const mark of this.dirty) if (mark < 0) painter.drawBand(-mark - 1, true);
      for (const mark of this.dirty) if (mark >= 0 && layout.mode[mark]) painter.drawNode(mark);
      if (this.linksStale) painter.drawLinks();
    }
    this.drawn = layout.placed;
    const now = performance.now();
    this.sparks = this.sparks.filter((s) => now - s.since < SPARK_MS).slice(-MOST_SPARKS);
    if (this.overStale || this.everything || this.sparks.length || this.sparked) {
      const focused = document.activeElement === this.stage || this.open;
      painter.drawOverlay(this.selected, this.hover, focused ? this.focus : -1, this.onBand, this.sparks.map((s) => ({ slot: s.slot, other: s.other, age: (now - s.since) / SPARK_MS })));
    }
    this.sparked = this.sparks.length > 0;
    this.everything = this.linksStale = this.overStale = false;
    this.dirty.clear();
    this.tally();
    if (this.sparked) this.want();
  }

  tally() {
    const { totals } = this.store;
    let all = 0;
    for (const status of READING_ORDER) {
      all += totals[status];
      /** @type {HTMLElement} */ (this.tallies[status].parentElement).hidden = !totals[status];
      setText(this.tallies[status], `${totals[status]} ${STATUS[status]}`);
    }
    this.summary = `${all} ${all === 1 ? "agent" : "agents"}${all ? ": " : ""}${describeCounts(totals)}`;
    setText(this.total, `${all} ${all === 1 ? "agent" : "agents"}`);
    if (!this.speaking && this.summary !== this.said) this.speaking = /** @type {any} */ (setTimeout(() => this.speak(), Math.max(0, this.spoken + SPEAK_MS - performance.now())));
  }

  /** Tell screen readers, at most every two seconds. */
  speak() {
    this.speaking = 0;
    this.spoken = performance.now();
    this.said = this.summary;
    setText(this.status, this.summary);
    const { store } = this, rows = [];
    const order = [...Array(store.n).keys()].sort((a, b) => urgency(store.statuses[b]) - urgency(store.statuses[a]) || a - b);
    const head = document.createElement("tr");
    for (const title of ["agent", "status", "parent"]) head.append(make("th", "", title));
    for (const slot of order.slice(0, TABLE_ROWS)) {
      const row = document.createElement("tr"), parent = store.parents[slot];
      for (const cell of [store.ids[slot], STATUS[store.statuses[slot]], parent >= 0 ? store.ids[parent] : ""]) row.append(make("td", "", cell));
      rows.push(row);
    }
    const caption = make("caption", "", store.n > TABLE_ROWS ? `Agents, ${TABLE_ROWS} of ${store.n}` : "Agents");
    this.table.replaceChildren(caption, head, ...rows);
  }

  drawIcons() {
    const ratio = window.devicePixelRatio || 1, { painter } = this;
    /** @param {HTMLCanvasElement} icon @param {number} w */
    const pen = (icon, w) => {
      icon.width = w * ratio; icon.height = 12 * ratio;
      icon.style.width = `${w}px`; icon.style.height = "12px";
      const g = /** @type {CanvasRenderingContext2D} */ (icon.getContext("2d"));
      g.scale(ratio, ratio);
      return g;
    };
    this.icons.forEach((icon, status) => drawShape(pen(icon, 12), status, 6, 6, 4.6, painter.colours[status], painter.tone.ground));
    for (const [icon, look] of this.strokes) {
      const g = pen(icon, 24);
      painter.stroke(g, painter.colours[look.status], look.width, look.dash);
      g.beginPath(); g.moveTo(1, 6); g.lineTo(23, 6); g.stroke();
    }
  }

  /** Fit the canvases to the stage; whether its size changed. */
  resize() {
    const w = this.stage.clientWidth, h = this.stage.clientHeight, ratio = Math.min(2, window.devicePixelRatio || 1), { painter } = this;
    if (w < 2 || h < 2 || (w === painter.w && h === painter.h && ratio === painter.ratio)) return false;
    painter.resize(w, h, ratio);
    if (!this.steered) painter.fit();
    return true;
  }

  // ---- hands -------------------------------------------------------------------------------------------------------

  /** @param {PointerEvent} e */
  place(e) {
    const box = this.stage.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  }

  /** @param {PointerEvent} e */
  hit(e) {
    const [x, y] = this.place(e);
    return this.painter.pick(x, y);
  }

  /** @param {PointerEvent} e */
  press(e) {
    if (e.button || /** @type {Element} */ (e.target).closest(".wb-card, .wb-tools")) return;
    const [x, y] = this.place(e);
    this.drag = { x, y, moved: false };
    if (e.isTrusted) this.stage.setPointerCapture(e.pointerId);
  }

  /** @param {PointerEvent} e */
  move(e) {
    const [x, y] = this.place(e);
    if (!this.drag) {
      if (/** @type {Element} */ (e.target).closest(".wb-card, .wb-tools")) this.point(NaN, x, y);
      else this.point(this.painter.pick(x, y), x, y);
      return;
    }
    const dx = x - this.drag.x, dy = y - this.drag.y;
    if (Math.abs(dx) + Math.abs(dy) > 3) this.drag.moved = true;
    if (this.drag.moved) { this.point(NaN, x, y); this.shift(dx, dy, 1); }
  }

  /** @param {PointerEvent} e */
  release(e) {
    const drag = this.drag, [x, y] = this.place(e);
    if (!drag) return;
    this.drag = null;
    this.shift(0, 0, 1);
    if (drag.moved) {
      this.painter.camera.x += x - drag.x;
      this.painter.camera.y += y - drag.y;
      this.steered = this.everything = true;
      this.want();
      return;
    }
    const hit = this.painter.pick(x, y);
    if (Number.isNaN(hit)) this.select(-1, false);
    else if (hit < 0) { this.focus = -hit - 1; this.onBand = true; this.toggle(this.focus); }
    else { this.select(hit, e.shiftKey || e.ctrlKey || e.metaKey); this.show(); }
  }

  /** Move the drawn layers without drawing. @param {number} dx @param {number} dy @param {number} k */
  shift(dx, dy, k) {
    const how = dx || dy || k !== 1 ? `translate(${dx}px,${dy}px) scale(${k})` : "";
    for (const canvas of this.canvases) canvas.style.transform = how;
  }

  /** Hover. @param {number} hit @param {number} x @param {number} y */
  point(hit, x, y) {
    const slot = hit >= 0 ? hit : -1;
    if (slot !== this.hover) { this.hover = slot; this.overStale = true; this.want(); }
    this.tip.hidden = Number.isNaN(hit);
    this.stage.style.cursor = this.drag?.moved ? "grabbing" : Number.isNaN(hit) ? "" : "pointer";
    if (Number.isNaN(hit)) return;
    const { store } = this;
    let text;
    if (hit < 0) text = `${store.childCount(-hit - 1)}: ${describeCounts(store.childCounts(-hit - 1))}\nclick to ${this.layout.expanded.has(-hit - 1) ? "fold" : "open"}`;
    else text = `${store.origins[hit] === ROOT ? "notebook" : store.ids[hit]}\n${this.doing(hit)}`;
    setText(this.tip, text);
    this.tip.style.left = `${Math.max(4, Math.min(x + 14, this.painter.w - this.tip.offsetWidth - 6))}px`;
    this.tip.style.top = `${y + 20 + this.tip.offsetHeight > this.painter.h ? y - this.tip.offsetHeight - 8 : y + 16}px`;
  }

  /** `running for 3.2 s`. @param {number} slot */
  doing(slot) {
    const { store } = this, status = store.statuses[slot];
    const lasts = isBusy(status) || status === QUEUED || status === INTERRUPTED;
    const time = this.owner.live && lasts ? describeTime(store.now() - store.since[slot]) : "";
    return time ? `${STATUS[status]} for ${time}` : STATUS[status];
  }

  /** @param {WheelEvent} e */
  wheel(e) {
    if (/** @type {Element} */ (e.target).closest(".wb-card")) return;
    if (!(e.ctrlKey || e.metaKey || document.activeElement === this.stage)) return;
    e.preventDefault();
    const box = this.stage.getBoundingClientRect();
    this.zoom(Math.exp(-e.deltaY / 300), e.clientX - box.left, e.clientY - box.top);
  }

  /** Scale the drawn layers at once, draw them sharp when the hand rests. @param {number} by @param {number} [x] @param {number} [y] */
  zoom(by, x = this.painter.w / 2, y = this.painter.h / 2) {
    const { camera } = this.painter, k = Math.max(1e-3, Math.min(4, camera.k * by)), f = k / camera.k;
    this.drawnAt ??= { x: camera.x, y: camera.y, k: camera.k };
    camera.x = x - (x - camera.x) * f;
    camera.y = y - (y - camera.y) * f;
    camera.k = k;
    this.steered = true;
    const redraw = () => { this.zooming = 0; this.drawnAt = undefined; this.shift(0, 0, 1); this.everything = true; this.want(); };
    if (this.layout.visible < 1000) { redraw(); return; }
    const s = k / this.drawnAt.k;
    this.shift(camera.x - this.drawnAt.x * s, camera.y - this.drawnAt.y * s, s);
    clearTimeout(this.zooming);
    this.zooming = /** @type {any} */ (setTimeout(redraw, 120));
  }

  fit() {
    this.steered = false;
    this.painter.fit();
    this.everything = true;
    this.want();
  }

  /** Open or fold the band of a parent. @param {number} parent */
  toggle(parent) {
    const { layout } = this;
    if (!layout.expanded.delete(parent)) layout.expanded.add(parent);
    layout.rebuild();
    for (const band of [...layout.bands.keys()]) layout.refold(band);
    this.say(`${layout.expanded.has(parent) ? "opened" : "folded"}: ${describeCounts(this.store.childCounts(parent))}`);
    this.tip.hidden = true;
    this.fit();
  }

  /** @param {number} slot -1 for none @param {boolean} more whether to add to the selection */
  select(slot, more) {
    if (!more) this.selected.clear();
    if (slot >= 0 && !(more && this.selected.delete(slot))) this.selected.add(slot);
    this.focus = slot;
    this.onBand = false;
    if (slot < 0) this.hide();
    this.owner.select([...this.selected]);
    this.overStale = true;
    this.want();
  }

  // ---- keys --------------------------------------------------------------------------------------------------------

  /** @param {KeyboardEvent} e */
  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const act = /** @type {Record<string, () => void>} */ ({
      "+": () => this.zoom(1.25), "=": () => this.zoom(1.25), "-": () => this.zoom(0.8), f: () => this.fit(), F: () => this.fit(),
      ArrowLeft: () => this.walk("out"), ArrowRight: () => this.walk("in"), ArrowUp: () => this.walk("back"), ArrowDown: () => this.walk("on"),
      Enter: () => this.enter(), " ": () => this.enter(), Escape: () => { if (this.open) this.hide(); else this.select(-1, false); },
    })[e.key];
    if (!act) return;
    e.preventDefault();
    e.stopPropagation();
    act();
  }

  enter() {
    if (this.onBand) this.toggle(this.focus);
    else if (this.focus >= 0) { if (this.open) this.hide(); else this.show(); }
  }

  /** @param {"in"|"out"|"on"|"back"} way */
  walk(way) {
    const { store, layout } = this;
    /** What stands beside a parent, in order; a band as minus the parent minus one. @param {number} parent */
    const children = (parent) => [...(parent >= 0 && layout.bands.has(parent) ? [-parent - 1] : []), ...(store.kids.get(parent) ?? []).filter((s) => layout.mode[s])];
    let to = NaN;
    if (this.focus < 0 || !layout.mode[this.focus]) to = children(-1)[0];
    else if (way === "in") { if (!this.onBand) to = children(this.focus)[0]; }
    else if (way === "out") to = this.onBand ? this.focus : store.parents[this.focus];
    else {
      const parent = this.onBand ? this.focus : store.parents[this.focus], row = children(parent);
      to = row[row.indexOf(this.onBand ? -this.focus - 1 : this.focus) + (way === "on" ? 1 : -1)];
    }
    if (to === undefined || Number.isNaN(to) || (way === "out" && to < 0)) return;
    if (to < 0) { this.focus = -to - 1; this.onBand = true; this.hide(); this.say(`band of ${describeCounts(store.childCounts(this.focus))}; Enter opens it`); }
    else { this.select(to, false); this.say(`${store.name(to)}, ${this.doing(to)}`); if (this.open) this.show(); }
    this.reveal(to);
    this.overStale = true;
    this.want();
  }

  /** Pan so that it is in the picture. @param {number} mark @param {number} [right] how much of the right side is covered */
  reveal(mark, right = 0) {
    const { painter } = this, edge = painter.w - 8 - (painter.w > 2.5 * right ? right : 0), a = mark < 0 ? painter.bandAnchor(-mark - 1) : painter.anchor(mark);
    const dx = a.x < 8 ? 8 - a.x : a.x + a.w > edge ? edge - a.x - a.w : 0;
    const dy = a.y < 24 ? 24 - a.y : a.y > painter.h - 24 ? painter.h - 24 - a.y : 0;
    if (!dx && !dy) return;
    painter.camera.x += dx;
    painter.camera.y += dy;
    this.everything = true;
  }

  /** @param {string} text */
  say(text) {
    setText(this.voice, text);
  }

  // ---- details -----------------------------------------------------------------------------------------------------

  show() {
    this.open = true;
    this.tip.hidden = true;
    this.reveal(this.focus, CARD_W);
    this.showDetails(this.focus, null);
    this.askDetails();
  }

  hide() {
    this.open = false;
    this.card.hidden = true;
    this.overStale = true;
    this.want();
  }

  askDetails() {
    if (this.aging) { this.outdated = true; return; }
    this.owner.ask({ t: "details", slot: this.focus });
    this.aging = /** @type {any} */ (setTimeout(() => { this.aging = 0; if (this.open && this.outdated) this.askDetails(); }, 500));
    this.outdated = false;
  }

  /** Fill the card with what the kernel knows, or with what is known here. @param {number} slot @param {any} known */
  showDetails(slot, known) {
    if (!this.open || slot !== this.focus || slot < 0) return;
    const { store, card } = this, status = known ? STATUS.indexOf(known.status) : store.statuses[slot];
    const head = make("div", "wb-card-head"), icon = make("canvas", "wb-icon"), close = make("button", "wb-tool", "×");
    close.title = "Close (Escape)";
    close.setAttribute("aria-label", "Close");
    close.onclick = () => this.hide();
    head.append(icon, make("strong", "wb-card-title", store.origins[slot] === ROOT ? "notebook" : store.ids[slot]), close);
    const list = make("div", "wb-list");
    this.clocks = [];
    /** @param {string} term @param {HTMLElement} cell */
    const add = (term, cell) => list.append(make("div", "wb-faint", term), cell);
    /** @param {string} term @param {string} text @param {string} [kind] */
    const row = (term, text, kind = "") => { if (text) add(term, make("div", kind, text)); };
    row("label", store.labels.get(slot) ?? "");
    add("status", this.timed(() => this.doing(slot)));
    if (known) row(...standing(STATUS[status], known));
    if (known?.retries?.length) add("retries", this.retries(known));
    row(known?.running ? "runs" : "method", known?.method ?? "", "wb-code");
    if (known?.waits?.length) add("waits for", this.waits(known));
    row("queued", known?.pending ? `${known.pending}` : "");
    row("finished", known && (known.finished || known.failed) ? `${known.finished}${known.failed ? `, failed ${known.failed}` : ""}` : "");
    row("error", known?.error ?? "", "wb-error");
    const kids = store.childCount(slot);
    row("children", kids ? `${kids}: ${describeCounts(store.childCounts(slot))}` : "");
    const parent = store.parents[slot];
    row(known?.origin === "forked" ? "forked from" : "parent", parent >= 0 ? (store.origins[parent] === ROOT ? "notebook" : store.ids[parent]) : "", "wb-code");
    card.replaceChildren(head, list);
    card.hidden = false;
    const ratio = window.devicePixelRatio || 1, g = /** @type {CanvasRenderingContext2D} */ (icon.getContext("2d"));
    icon.width = icon.height = 12 * ratio;
    g.scale(ratio, ratio);
    drawShape(g, status, 6, 6, 4.6, this.painter.colours[status], this.painter.tone.ground);
  }

  /** A text that is kept right while time passes. @param {() => string} text @param {string} [kind] */
  timed(text, kind = "") {
    const cell = make("div", kind, text());
    this.clocks.push([cell, text]);
    if (!this.ticking) this.tick();
    return cell;
  }

  tick() {
    this.ticking = 0;
    for (const [cell, text] of this.clocks) setText(cell, text());
    if (this.open && this.owner.live) this.ticking = /** @type {any} */ (setTimeout(() => this.tick(), TICK_MS));
  }

  /** The steps that are tried again: how often they were, why, and when next. @param {any} known */
  retries(known) {
    const cell = make("div", "");
    for (const retry of known.retries.slice(0, 6)) {
      cell.append(make("div", "wb-code", `step ${retry.step}`));
      cell.append(make("div", retry.error ? "wb-error" : "", `attempt ${retry.attempts} ${retry.error ? `failed with ${retry.error}` : "was cut short"}`));
      cell.append(this.timed(() => nextTry(retry, this.store.now()), "wb-faint"));
    }
    if (known.retries.length > 6) cell.append(make("div", "wb-faint", `and ${known.retries.length - 6} more`));
    return cell;
  }

  /** What it waits for, one a line; the source line is told once for all waits that share it. @param {any} known */
  waits(known) {
    const cell = make("div", ""), { store } = this, shown = known.waits.slice(0, 6);
    shown.forEach((/** @type {any} */ wait, /** @type {number} */ i) => {
      const on = wait.on || "an agent out of view";
      const text = wait.kind === "call" ? `${on}${wait.what ? `.${wait.what}` : ""}` : wait.kind === "promise" ? `${wait.what} of ${on}` : wait.kind === "step" ? `step ${wait.what}` : wait.what;
      const item = make("div", "wb-code", text);
      if (this.owner.live) item.append(" ", this.timed(() => describeTime(store.now() - wait.since / 1e6), "wb-time"));
      cell.append(item);
      if (wait.line && wait.line !== shown[i + 1]?.line) cell.append(make("div", "wb-faint", wait.line.split("/").pop()));
    });
    if (known.waiting_for > shown.length) cell.append(make("div", "wb-faint", `and ${known.waiting_for - shown.length} more`));
    return cell;
  }
}

/** What there is to know of an agent that does not go on by itself: a term and a text. @param {string} status @param {any} known @returns {[string, string]} */
export function standing(status, known) {
  if (status === "interrupted") return ["goes on", "with resume, a new call, or when a promise that it awaits is completed"];
  if (status === "failed" && known.broken) return ["goes on", "with revert; until then calls get the error"];
  if (status === "exited") return ["ended", known.deleted ? "deleted; the same id called again is a new agent" : "by itself: an ephemeral agent lives for one invocation"];
  if (status === "undefined") return ["goes on", "when its class is defined"];
  return ["", ""];
}

/** `next in 2.0 s`. @param {any} retry @param {number} now milliseconds */
export function nextTry(retry, now) {
  const next = `attempt ${retry.attempts + 1}`, left = retry.due ? retry.due / 1e6 - now : 0;
  return !retry.due ? `${next} is under way` : left > 0 ? `next in ${describeTime(left)}` : `${next} is due`;
}

/** @param {number} status */
function urgency(status) {
  return isLoud(status) ? 3 : isBusy(status) ? 2 : status === QUEUED ? 1 : status === EXITED ? -1 : 0;
}

/** @param {HTMLElement} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
