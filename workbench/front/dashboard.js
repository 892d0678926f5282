// @ts-check
// The dashboard in the page: one Desk per model, one Face per place where it is shown.
import { READING_ORDER, STATUS } from "./graph_store.js";
import { readTheme } from "./graph_paint.js";
import { make, setText } from "./graph.js";
import { Desk, countWords } from "./desk.js";
import { button, counted, statusIcon } from "./marks.js";
import { GraphPane } from "./graph_pane.js";
import { TimelinePane } from "./timeline.js";
import { PromisesPane } from "./promises.js";
import { ForksPane } from "./forks.js";
import { OplogPane } from "./oplog.js";
import { WhyPane } from "./why.js";
import { Scrubber } from "./scrubber.js";

const SPEECH_MS = 2000, TRACK_MS = 250, WIDE = 1080, RATE_MS = 2000, SMALL_H = 400, LEAST_H = 260;
/** @type {Record<string, [string, new (desk: Desk, el: HTMLElement) => import("./desk.js").Pane]>} */
const PANES = { graph: ["Graph", GraphPane], timeline: ["Timeline", TimelinePane], promises: ["Promises", PromisesPane], forks: ["Forks", ForksPane], oplog: ["Oplog", OplogPane], why: ["Why", WhyPane] };
const KEYS = [["1 to 6", "the views"], ["2 views", "Shift with a number opens a view beside"], [", and .", "one entry back or on; < and > by the selected agents"], ["Home, End", "the beginning, the live edge"], ["b, [ and ]", "bookmark, and from one to the next"], ["t", "the slider by entry or by time"], ["space", "play"], ["?", "this list"]];
const ALL_NEWS = { rows: true, clock: true, selection: true, theme: true, kernel: true };

/** @typedef {{name: string, el: HTMLElement, pane: import("./desk.js").Pane, news: import("./desk.js").News}} Shown */

/** A dashboard in one place. */
export class Face {
  /** @param {Desk} desk @param {HTMLElement} el */
  constructor(desk, el) {
    this.desk = desk;
    this.el = el;
    /** @type {string[]} */ this.names = (desk.model.get("panes") ?? []).filter((/** @type {string} */ name) => name in PANES);
    if (!this.names.length) this.names = Object.keys(PANES);
    this.alone = this.names.length === 1;
    /** @type {Map<string, Shown>} */ this.made = new Map();
    /** @type {string[]} names of the views in sight, one or two */ this.seen = [];
    /** @type {(() => void)[]} */ this.undo = [];
    /** @type {HTMLElement[]} */ this.tallies = [];
    this.frameId = this.speaking = this.spoken = this.tracking = 0;
    this.said = "";
    this.news = { ...ALL_NEWS };
    this.build();
    this.listen();
    const first = desk.model.get("tab");
    this.show(this.names.includes(first) ? first : this.names[0]);
    if (!this.alone && el.clientWidth >= WIDE && this.names.includes("timeline")) this.beside("timeline");
    this.want({});
  }

  build() {
    const { el } = this;
    el.classList.add("wb-dash");
    this.head = make("header", "wb-dash-head");
    this.total = make("strong", "wb-total");
    this.keys = make("span", "wb-tallies");
    this.rate = make("span", "wb-faint wb-rate");
    this.trouble = make("span", "wb-trouble");
    this.store = make("span", "wb-faint wb-store");
    this.head.append(this.total, this.keys, this.trouble, this.rate, this.store);
    this.tabs = make("div", "wb-tabs");
    this.tabs.setAttribute("role", "tablist");
    this.tabs.setAttribute("aria-label", "Views");
    /** @type {Map<string, HTMLButtonElement>} */ this.tab = new Map();
    for (const name of this.names) {
      const tab = make("button", "wb-tab", PANES[name][0]);
      tab.setAttribute("role", "tab");
      tab.title = `${PANES[name][0]} (${this.names.indexOf(name) + 1}; with Shift: beside the view shown)`;
      tab.onclick = (e) => { if (e.shiftKey || e.ctrlKey || e.metaKey) this.beside(name); else this.show(name); };
      this.tab.set(name, tab);
      this.tabs.append(tab);
    }
    this.split = button("◫", "Two views side by side, or one", () => this.toggleSplit(), "wb-tool wb-split");
    this.help = button("?", "Keys (?)", () => this.toggleHelp(), "wb-tool wb-split");
    this.tabs.append(this.split, this.help);
    this.tabs.hidden = this.alone;
    this.body = make("div", "wb-panes");
    this.past = make("div", "wb-past-note");
    this.foot = make("div", "");
    this.status = make("div", "wb-unseen");
    this.status.setAttribute("role", "status");
    this.voice = make("div", "wb-unseen");
    this.voice.setAttribute("aria-live", "polite");
    this.card = make("div", "wb-help");
    this.card.hidden = this.past.hidden = true;
    for (const [key, what] of KEYS) this.card.append(make("kbd", "", key), make("span", "", what));
    el.append(this.head, this.tabs, this.past, this.body, this.foot, this.card, this.status, this.voice);
    this.scrubber = new Scrubber(this.desk, this.foot, (text) => setText(this.voice, text));
  }

  /** @param {EventTarget} target @param {string} type @param {(e: any) => void} act */
  on(target, type, act) {
    target.addEventListener(type, act);
    this.undo.push(() => target.removeEventListener(type, act));
  }

  listen() {
    const { desk, el } = this;
    const watch = (/** @type {Partial<import("./desk.js").News>} */ news) => this.want(news);
    desk.watchers.add(watch);
    const retheme = () => this.want({ theme: true });
    const theme = new MutationObserver(retheme);
    for (const node of [document.documentElement, document.body]) theme.observe(node, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class", "data-theme", "style"] });
    this.on(el, "transitionend", (e) => { if (e.target === el) retheme(); });
    this.on(el, "keydown", (e) => this.key(e));
    const sizes = new ResizeObserver(() => this.fit());
    sizes.observe(el);
    this.fitting = sizes;
    const bookmarks = () => this.want({ clock: true });
    desk.model.on("change:bookmarks", bookmarks);
    const tab = () => { const name = desk.model.get("tab"); if (this.names.includes(name) && !this.seen.includes(name)) this.show(name); };
    desk.model.on("change:tab", tab);
    this.on(window, "resize", () => this.fit());
    this.undo.push(() => desk.watchers.delete(watch), () => theme.disconnect(), () => sizes.disconnect(), () => desk.model.off("change:bookmarks", bookmarks), () => desk.model.off("change:tab", tab));
  }

  close() {
    for (const undo of this.undo) undo();
    cancelAnimationFrame(this.frameId);
    clearTimeout(this.speaking);
    clearTimeout(this.tracking);
    clearTimeout(this.rating);
    for (const { pane } of this.made.values()) pane.close();
    this.scrubber.close();
  }

  // ---- which views -------------------------------------------------------------------------------------------------

  /** In a cell a view has a height of its own; in a panel or page of its own it fills that. */
  fit() {
    const { el } = this;
    el.classList.toggle("wb-narrow", el.clientWidth < 560);
    if (el.closest(".jp-Cell") || !el.isConnected) return;
    const panel = el.closest(".lm-Widget.jp-LinkedOutputView, .jp-LinkedOutputView, .jp-Sidecar, .lm-DockPanel > .lm-Widget") ?? (el.id === "wb-root" ? document.documentElement : null);
    if (!panel) return;
    const over = el.getBoundingClientRect().top - panel.getBoundingClientRect().top, high = Math.max(SMALL_H, panel.clientHeight - over - 6);
    const body = Math.max(LEAST_H, high - (el.clientHeight - this.body.clientHeight));
    if (Math.abs(body - this.body.clientHeight) > 2) this.body.style.height = `${body}px`;
  }

  /** @param {string} name */
  make(name) {
    const known = this.made.get(name);
    if (known) return known;
    const el = make("div", "wb-pane");
    el.setAttribute("role", "tabpanel");
    el.setAttribute("aria-label", PANES[name][0]);
    this.body.append(el);
    const shown = { name, el, pane: new PANES[name][1](this.desk, el), news: { ...ALL_NEWS } };
    this.made.set(name, shown);
    return shown;
  }

  /** Show one view, in the place of the one that was picked last. @param {string} name */
  show(name) {
    if (this.seen.includes(name) && this.seen.length > 1) this.seen = [name, ...this.seen.filter((other) => other !== name)];
    else this.seen = [name, ...this.seen.slice(1)];
    if (this.desk.model.get("tab") !== name) this.desk.put("tab", name);
    this.place();
  }

  /** Show a second view beside the first, or close it. @param {string} name */
  beside(name) {
    if (this.seen[0] === name) return;
    this.seen = this.seen[1] === name ? [this.seen[0]] : [this.seen[0], name];
    this.place();
  }

  toggleSplit() {
    const [first, second] = this.seen;
    if (second) this.seen = [first];
    else this.seen = [first, first === "timeline" ? "graph" : "timeline"].filter((name) => this.names.includes(name));
    this.place();
  }

  place() {
    for (const name of this.seen) this.make(name);
    for (const [name, { el }] of this.made) { el.hidden = !this.seen.includes(name); el.style.order = `${this.names.indexOf(name)}`; }
    for (const [name, tab] of this.tab) {
      tab.setAttribute("aria-selected", `${this.seen.includes(name)}`);
      tab.tabIndex = this.seen[0] === name ? 0 : -1;
    }
    this.split.classList.toggle("wb-on", this.seen.length > 1);
    this.body.classList.toggle("wb-two", this.seen.length > 1);
    this.want({});
  }

  toggleHelp() { this.card.hidden = !this.card.hidden; }

  // ---- keys --------------------------------------------------------------------------------------------------------

  /** @param {KeyboardEvent} e */
  key(e) {
    const target = /** @type {HTMLElement} */ (e.target);
    if (e.defaultPrevented || e.metaKey || e.altKey || e.ctrlKey) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) { e.stopPropagation(); return; }
    if (this.act(e, target)) { e.preventDefault(); e.stopPropagation(); }
  }

  /** @param {KeyboardEvent} e @param {HTMLElement} target */
  act(e, target) {
    const digit = /^Digit([1-9])$/.exec(e.code);
    if (digit && !this.alone && this.names[Number(digit[1]) - 1]) {
      if (e.shiftKey) this.beside(this.names[Number(digit[1]) - 1]);
      else this.show(this.names[Number(digit[1]) - 1]);
      return true;
    }
    if (e.key === "?") { this.toggleHelp(); return true; }
    if (e.key === "Escape" && !this.card.hidden) { this.toggleHelp(); return true; }
    if (target.getAttribute("role") === "tab" && (e.key === "ArrowLeft" || e.key === "ArrowRight")) {
      const at = this.names.indexOf(this.seen[0]) + (e.key === "ArrowRight" ? 1 : -1), name = this.names[(at + this.names.length) % this.names.length];
      this.show(name);
      this.tab.get(name)?.focus();
      return true;
    }
    if (target === this.scrubber.track && this.scrubber.key(e)) return true;
    for (const name of this.seen) if (this.made.get(name)?.el.contains(target) && this.made.get(name)?.pane.key?.(e)) return true;
    const step = { ",": -1, ".": 1, "<": -1, ">": 1 }[e.key];
    if (step) { this.scrubber.step(/** @type {1 | -1} */ (step), e.key === "<" || e.key === ">"); return true; }
    if (target.tagName !== "BUTTON" && ["b", "B", "t", "T", "[", "]", " ", "Home", "End"].includes(e.key)) return this.scrubber.key(e);
    return false;
  }

  // ---- drawing -----------------------------------------------------------------------------------------------------

  /** @param {Partial<import("./desk.js").News>} news */
  want(news) {
    for (const shown of this.made.values()) for (const name of /** @type {(keyof import("./desk.js").News)[]} */ (Object.keys(news))) shown.news[name] ||= !!news[name];
    for (const name of /** @type {(keyof import("./desk.js").News)[]} */ (Object.keys(news))) this.news[name] ||= !!news[name];
    if (!this.frameId) this.frameId = requestAnimationFrame(() => this.frame());
  }

  frame() {
    this.frameId = 0;
    const { desk, news } = this;
    this.news = { rows: false, clock: false, selection: false, theme: false, kernel: false };
    if (desk.stale) desk.refresh();
    for (const name of this.seen) {
      const shown = this.made.get(name);
      if (!shown) continue;
      const told = shown.news;
      shown.news = { rows: false, clock: false, selection: false, theme: false, kernel: false };
      shown.pane.update(told);
    }
    if (news.rows || news.clock || news.theme || news.kernel) this.drawHead(news.theme);
    this.scrubber.draw(!(news.theme || news.clock));
    if (news.rows && !this.tracking) this.tracking = /** @type {any} */ (setTimeout(() => { this.tracking = 0; this.scrubber.draw(); }, TRACK_MS));
    if (news.rows && this.el.dataset.painted === undefined && desk.tape.rows) this.el.dataset.painted = `${Math.round(performance.now())}`;
  }

  /** @param {boolean} anew */
  drawHead(anew) {
    const { desk } = this, counts = desk.counts(), all = counts.reduce((a, b) => a + b, 0);
    if (anew || !this.tallies.length) {
      const theme = readTheme(this.el);
      this.keys.replaceChildren();
      for (const status of READING_ORDER) {
        const item = make("span", "wb-key");
        this.tallies[status] = make("span", "");
        item.title = STATUS[status];
        item.append(statusIcon(status, theme), this.tallies[status]);
        this.keys.append(item);
      }
    }
    for (const status of READING_ORDER) {
      const tally = this.tallies[status];
      /** @type {HTMLElement} */ (tally.parentElement).hidden = !counts[status];
      setText(tally, `${counts[status].toLocaleString("en")} ${STATUS[status]}`);
    }
    setText(this.total, counted(all, "agent"));
    const halted = desk.live && desk.facts.trouble ? `the session stands: ${desk.facts.trouble}` : "";
    const silent = halted ? halted : desk.trouble ? `this view has stopped: ${desk.trouble}` : !desk.quiet ? "" : desk.live ? "kernel busy" : desk.tape.rows ? "saved picture, no kernel" : "kernel busy";
    setText(this.trouble, silent);
    this.trouble.classList.toggle("wb-bad", !!desk.trouble || !!halted);
    this.trouble.hidden = !silent;
    this.drawFacts();
    const left = !desk.live && desk.leftOut ? ` Only ${desk.tape.n.toLocaleString("en")} of ${(desk.tape.n + desk.leftOut).toLocaleString("en")} agents were saved, as they were at the end.` : "";
    const past = desk.clock === null ? "" : `The state as of entry ${desk.clock.toLocaleString("en")}. What came later is ${this.seen.includes("timeline") ? "dimmed" : "not shown"}; values are those of the live edge.`;
    setText(this.past, `${past}${left}`.trim());
    this.past.hidden = !past && !left;
    const words = `${counted(all, "agent")}${all ? ": " : ""}${countWords(counts)}${past ? `, as of entry ${desk.clock}` : ""}`;
    this.summary = words;
    if (!this.speaking && words !== this.said) this.speaking = /** @type {any} */ (setTimeout(() => { this.speaking = 0; this.spoken = performance.now(); this.said = this.summary ?? ""; setText(this.status, this.said); }, Math.max(0, this.spoken + SPEECH_MS - performance.now())));
  }

  /** How fast it goes, and what the kernel tells of the session. */
  drawFacts() {
    const { desk } = this, { tape, facts } = desk;
    clearTimeout(this.rating);
    const upto = desk.clock === null ? tape.rows : desk.moment.row, now = desk.now(), since = now - RATE_MS;
    let rate = 0;
    if (upto && desk.live && now - tape.wall[upto - 1] < RATE_MS) {
      const from = tape.rowAt(since), entries = tape.seq[upto - 1] - (from >= 0 ? tape.seq[from] : tape.firstSeq - 1);
      const over = Math.min(RATE_MS, Math.max(100, now - tape.firstWall));
      rate = (1000 * entries) / over;
      if (desk.live && desk.clock === null) this.rating = /** @type {any} */ (setTimeout(() => this.drawFacts(), 500));
    }
    const parts = [`${(desk.clock ?? Math.max(tape.lastSeq, facts.entries ?? 0)).toLocaleString("en")} entries`];
    if (rate >= 1) parts.push(`${Math.round(rate).toLocaleString("en")} a second`);
    if (facts.lag >= 50 && desk.live) parts.push(`commit ${Math.round(facts.lag)} ms behind`);
    setText(this.rate, parts.join(", "));
    setText(this.store, facts.store ?? "");
    this.store.title = facts.path ?? "";
  }
}

export default () => {
  /** @type {Desk} */ let desk;
  return {
    /** @param {{model: import("./desk.js").DeskModel}} context */
    initialize({ model }) {
      desk = new Desk(model);
      return () => desk.close();
    },
    /** @param {{el: HTMLElement}} context */
    render({ el }) {
      const face = new Face(desk, el);
      /** @type {any} */ (el).wbFace = face; // for tests
      return () => face.close();
    },
  };
};
