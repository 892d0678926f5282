// @ts-check
// What one agent did, entry by entry: a list of any length, searched by the kernel, with the entry at the clock in sight.
import { DONE, FAILED, RUNNING, STATUS, WAITING, describeTime } from "./graph_store.js";
import { readTheme } from "./graph_paint.js";
import { make, setText } from "./graph.js";
import { agentLink, button, counted, entryLink, statusIcon } from "./marks.js";
import { AGENT_ROW, ARROWS, ARROW_ROW, COMPLETION_ARROW, FORK_ROW, MARK_ROW, PROMISE_ROW, REFUSED_ROW, REVERT_ROW, STATUS_ROW } from "./tape.js";

const ENTRIES_A_PAGE = 200, ENTRY_H = 25, ENTRY_MARGIN = 8, TAIL_MS = 400, TAIL_IDLE_MS = 2000, TYPED_MS = 250, SCROLL_MS = 60, PAGES_AT_ONCE = 2, BRANCHES = 100, NAMES_OFFERED = 12, GIVE_UP = 20;
/** What an entry is to its agent, and what the shapes mean. @type {Record<string, [string, string, string]>} */
export const ENTRY_ROLES = {
  delivery: ["M1 1.5L7 6L1 10.5ZM9 1.5H11V10.5H9Z", "delivery", "What reached the agent: a call, a reply, a promise's value, a timer"],
  operation: ["M6 1A5 5 0 1 1 6 11A5 5 0 1 1 6 1Z", "operation", "What its code asked for: calls, steps, promises, waits"],
  hint: ["M6 1.5L10.5 6L6 10.5L1.5 6ZM6 3.6L3.6 6L6 8.4L8.4 6Z", "hint", "What is told beside; replay does not need it"],
};
const SEARCH_HELP = [["fetch \"eu west\"", "entries that hold both, in kind, names, line or values"], ["kind:CallMade", "a kind of entry, or part of it"], ["role:delivery", "delivery, operation or hint"], ["method:process", "calls, starts, ends and outcomes of a method; steps by name"], ["line:lesson.py", "where the code asked for it"], ["key:order-7", "an idempotency key"], ["index:5..20", "places in the oplog; index:5.. for the rest"], ["a or b, not c, ( )", "side by side means and"]];
const PROMISE_WORDS = ["", "makes", "awaits", "is given", "completes", "tries to complete, too late,", "looks at", "ends", "drops its wait for", "is given the id of"];

/** @typedef {{seq: number, index: number, kind: string, text: string, line: string, wall: number, cause: number, invocation: number, role: string, status?: number}} EntryRow */
/** @typedef {{name: string, type: string, text: string, children?: Branch[]}} Branch */

// ---- what is known ---------------------------------------------------------------------------------------------------

/** Rows of a long list, page by page, as they are asked for. Their `seq` only grows. */
export class EntryPages {
  /** @param {number} [size] */
  constructor(size = ENTRIES_A_PAGE) {
    this.size = size;
    this.total = -1; // not known yet
    /** @type {Map<number, {first: number, rows: EntryRow[]}>} by number; `first` is the place of its first row */ this.pages = new Map();
    /** @type {Set<number>} that cannot be had */ this.absent = new Set();
  }

  /** @param {number} place @returns {EntryRow | undefined} */
  at(place) {
    const page = this.pages.get(Math.floor(place / this.size));
    return page?.rows[place - page.first];
  }

  /** Take an answer in. @param {{total: number, from: number, rows: EntryRow[]}} answer */
  take(answer) {
    if (answer.total < this.total) this.pages.clear(); // the agent was taken back
    this.total = answer.total;
    for (let done = 0; done < answer.rows.length;) {
      const place = answer.from + done, number = Math.floor(place / this.size), rows = answer.rows.slice(done, done + (number + 1) * this.size - place), known = this.pages.get(number);
      if (!known || rows.length >= known.rows.length) this.pages.set(number, { first: place, rows });
      done += rows.length;
    }
  }

  /** Whether all of a page is here. @param {number} number */
  whole(number) {
    const page = this.pages.get(number);
    return !!page && page.first === number * this.size && page.rows.length >= Math.min(this.size, this.total - page.first);
  }

  /** Pages that hold some of these places and are not here. @param {number} from @param {number} to */
  missing(from, to) {
    const numbers = [];
    if (this.total >= 0) to = Math.min(to, this.total);
    for (let number = Math.max(0, Math.floor(from / this.size)); number * this.size < to; number++) if (!this.whole(number) && !this.absent.has(number)) numbers.push(number);
    return numbers;
  }

  /** How many rows there are up to an entry: at least, and at most as far as the pages here tell. @param {number} seq @returns {[number, number]} */
  upTo(seq) {
    let low = 0, high = Math.max(0, this.total);
    for (const { first, rows } of this.pages.values()) {
      if (!rows.length) continue;
      if (rows[0].seq > seq) high = Math.min(high, first);
      else if (rows[rows.length - 1].seq <= seq) low = Math.max(low, first + rows.length);
      else {
        let a = 0, b = rows.length;
        while (a < b) { const mid = (a + b) >> 1; if (rows[mid].seq <= seq) a = mid + 1; else b = mid; }
        return [first + a, first + a];
      }
    }
    return [low, Math.max(low, high)];
  }
}

/** An agent's entries as far as the tape tells of them: those that changed something that is drawn. */
export class TapeEntries {
  /** @param {import("./tape.js").Tape} tape @param {number} slot */
  constructor(tape, slot) {
    this.tape = tape;
    this.slot = slot;
    /** @type {number[]} place in `tape.own` of each entry's first row */ this.begins = [];
    this.read = 0;
    this.grow();
  }

  /** Take in what came since. */
  grow() {
    const rows = this.tape.own[this.slot] ?? [];
    for (; this.read < rows.length; this.read++) if (!this.read || this.tape.seq[rows[this.read]] !== this.tape.seq[rows[this.read - 1]]) this.begins.push(this.read);
    return this;
  }

  get total() { return this.begins.length; }

  /** @param {number} place @returns {EntryRow | undefined} */
  at(place) {
    const { tape } = this, rows = tape.own[this.slot] ?? [], begin = this.begins[place];
    if (begin === undefined) return undefined;
    const mine = rows.slice(begin, this.begins[place + 1] ?? this.read), row = mine[0];
    const status = mine.find((one) => tape.kind[one] === STATUS_ROW);
    return { seq: tape.seq[row], index: tape.index[row], kind: "", text: mine.map((one) => rowInWords(tape, one)).join("; "), line: "", wall: tape.wall[row], cause: 0, invocation: 0, role: "", status: status === undefined ? -1 : tape.statusIn(status) };
  }

  /** @param {number} seq @returns {[number, number]} */
  upTo(seq) {
    const rows = this.tape.own[this.slot] ?? [];
    let a = 0, b = this.begins.length;
    while (a < b) { const mid = (a + b) >> 1; if (this.tape.seq[rows[this.begins[mid]]] <= seq) a = mid + 1; else b = mid; }
    return [a, a];
  }

  /** Places of the entries that hold all of some words, in what is known of them. @param {string} text */
  find(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean), found = [];
    for (let place = 0; place < this.total; place++) { const said = this.at(place)?.text.toLowerCase() ?? ""; if (words.every((word) => said.includes(word))) found.push(place); }
    return found;
  }

  missing() { return []; }
}

/** What a row of an agent's own says. @param {import("./tape.js").Tape} tape @param {number} row */
export function rowInWords(tape, row) {
  const { a, b, c, texts } = tape, kind = tape.kind[row];
  if (kind === STATUS_ROW) { const method = tape.methodIn(row); return `${tape.doingIn(row)}${method ? `, ${method}` : ""}`; }
  if (kind === AGENT_ROW) return "comes into being";
  if (kind === ARROW_ROW) return b[row] === COMPLETION_ARROW ? `hears of a completion by ${tape.name(a[row])}` : `takes a ${ARROWS[b[row]]} of ${tape.name(a[row])}`;
  if (kind === PROMISE_ROW) return `${PROMISE_WORDS[b[row]]} ${tape.promiseName(a[row])}`;
  if (kind === FORK_ROW) return `forked off ${tape.name(a[row])} at its index ${b[row]}`;
  if (kind === REVERT_ROW) return `${b[row] ? "an atomic region is undone" : "taken back"}, to index ${a[row]}`;
  if (kind === MARK_ROW) return `process ${a[row]} takes the session up`;
  if (kind === REFUSED_ROW) return `a call is refused: ${counted(b[row], "agent")} would wait for ever`;
  return texts[c[row]] ? `called ${texts[c[row]]} from now on` : "";
}

/** Agents whose name or id holds a text, those that begin with it first, the youngest of an id only. @param {import("./tape.js").Tape} tape @param {string} text @param {number} [most] */
export function agentsLike(tape, text, most = NAMES_OFFERED) {
  const wanted = text.trim().toLowerCase(), seen = new Set(), begins = [], holds = [];
  for (let slot = tape.n - 1; slot >= 0 && begins.length < most; slot--) {
    const id = tape.ids[slot];
    if (seen.has(id)) continue;
    seen.add(id);
    const low = id.toLowerCase();
    if (low.startsWith(wanted)) begins.push(slot);
    else if (holds.length < most && (low.includes(wanted) || tape.name(slot).toLowerCase().includes(wanted))) holds.push(slot);
  }
  return [...begins.sort((x, y) => x - y), ...holds.sort((x, y) => x - y)].slice(0, most);
}

/** Whose oplog an entry stands in, as far as the tape tells; -1 when it does not. @param {import("./tape.js").Tape} tape @param {number} seq */
export function ownerOf(tape, seq) {
  for (let row = tape.rowsUntil(seq) - 1; row >= 0 && tape.seq[row] === seq; row--) if (tape.index[row]) return tape.slot[row];
  return -1;
}

/** A file and line without the folders. @param {string} line */
export function filePlace(line) {
  return line.slice(Math.max(line.lastIndexOf("/"), line.lastIndexOf("\\")) + 1);
}

/** `14:03:07.250`, in the reader's time zone. @param {number} wall */
export function clockText(wall) {
  const at = new Date(wall), two = (/** @type {number} */ n) => `${n}`.padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${`${at.getMilliseconds()}`.padStart(3, "0")}`;
}

// ---- on screen -------------------------------------------------------------------------------------------------------

/** A list of any length of which one row may be open: what it holds stands below it. */
export class OpenList {
  /** @param {HTMLElement} el scrolls @param {(place: number) => HTMLElement} row makes one */
  constructor(el, row) {
    this.el = el;
    this.row = row;
    this.count = 0;
    this.opened = -1;
    this.extra = 0; // height of what the open row holds
    this.space = make("div", "wb-long");
    el.append(this.space);
    /** @type {Map<number, HTMLElement>} */ this.shown = new Map();
    /** @type {HTMLElement | null} */ this.detail = null;
    this.sizes = new ResizeObserver(() => this.measure());
    this.sizes.observe(el);
  }

  close() { this.sizes.disconnect(); }

  /** @param {number} place */
  top(place) { return place * ENTRY_H + (this.opened >= 0 && place > this.opened ? this.extra : 0); }

  /** Which rows are in sight, some more with them. @returns {[number, number]} */
  range() {
    const { el } = this, low = el.scrollTop, high = low + (el.clientHeight || 400);
    const place = (/** @type {number} */ y) => { const end = (this.opened + 1) * ENTRY_H; return Math.floor((this.opened < 0 || y < end ? y : Math.max(end, y - this.extra)) / ENTRY_H); };
    return [Math.max(0, place(low) - ENTRY_MARGIN), Math.min(this.count, place(high) + 1 + ENTRY_MARGIN)];
  }

  measure() {
    const extra = this.detail ? this.detail.offsetHeight : 0;
    if (extra !== this.extra) { this.extra = extra; for (const [place, node] of this.shown) node.style.top = `${this.top(place)}px`; }
    this.space.style.height = `${this.count * ENTRY_H + this.extra}px`;
    this.draw(false);
  }

  /** @param {number} count */
  set(count) {
    this.count = count;
    if (this.opened >= count) this.unfold();
    this.space.style.height = `${count * ENTRY_H + this.extra}px`;
    this.draw(true);
  }

  /** @param {boolean} anew */
  draw(anew) {
    const [from, to] = this.range(), { shown } = this;
    for (const [place, node] of shown) if (anew || place < from || place >= to) { node.remove(); shown.delete(place); }
    for (let place = from; place < to; place++) {
      if (shown.has(place)) continue;
      const node = this.row(place);
      node.style.top = `${this.top(place)}px`;
      shown.set(place, node);
      this.space.append(node);
    }
  }

  /** @param {number} place @param {HTMLElement} detail */
  unfoldAt(place, detail) {
    this.unfold();
    this.opened = place;
    this.detail = detail;
    detail.style.top = `${(place + 1) * ENTRY_H}px`;
    this.space.append(detail);
    this.sizes.observe(detail);
    this.measure();
  }

  /** Close what is open. */
  unfold() {
    if (this.detail) { this.sizes.unobserve(this.detail); this.detail.remove(); }
    this.detail = null;
    this.opened = -1;
    this.measure();
  }

  /** Bring a row into sight, with a part of what it holds. @param {number} place */
  reveal(place) {
    const { el } = this, top = this.top(place), low = top + ENTRY_H + (place === this.opened ? Math.min(this.extra, el.clientHeight * 0.7) : 0);
    const far = el.clientHeight;
    if (top < el.scrollTop - far || low > el.scrollTop + el.clientHeight + far) el.scrollTop = top - el.clientHeight * 0.4;
    else if (top < el.scrollTop) el.scrollTop = top - (place ? ENTRY_H : 0);
    else if (low > el.scrollTop + el.clientHeight) el.scrollTop = low - el.clientHeight + ENTRY_H / 2;
    this.draw(false);
  }
}

/** The oplog of one agent. */
export class OplogPane {
  name = make("input", "wb-oplog-field wb-oplog-name wb-code");
  offers = make("div", "wb-oplog-offers");
  query = make("input", "wb-oplog-field wb-oplog-search");
  ask = button("?", "How to search", () => this.toggleHelp(), "wb-tool");
  tally = make("span", "wb-oplog-tally wb-faint");
  wrong = make("div", "wb-oplog-wrong wb-error");
  note = make("div", "wb-oplog-note wb-faint");
  head = make("div", "wb-oplog-row wb-oplog-head");
  scroll = make("div", "wb-oplog-list");
  empty = make("div", "wb-oplog-empty");
  newer = button("", "To the newest entry (End)", () => this.toEnd(), "wb-button wb-primary wb-oplog-newer");
  legend = make("div", "wb-oplog-legend wb-faint");
  help = make("div", "wb-oplog-help");
  list = new OpenList(this.scroll, (place) => this.drawRow(place));
  offered = -1; // which of the offers is marked
  owned = 0; // rows of the agent that the tape had when its end was asked for
  sought = false; // whether the entry that is looked for is to be brought into sight

  /** @param {import("./desk.js").Desk} desk @param {HTMLElement} el */
  constructor(desk, el) {
    this.desk = desk;
    this.el = el;
    this.tape = desk.tape;
    this.slot = -1;
    this.search = "";
    /** @type {EntryPages | TapeEntries} */ this.entries = new EntryPages();
    /** @type {number[] | null} places that a search without a kernel found */ this.found = null;
    this.mode = "none"; // "kernel" once it answered, "tape" when nobody does, "asked" until then
    this.cursor = -1;
    this.place = -1; // of the entry at the clock
    this.follows = true;
    this.unseen = 0;
    this.round = 0; // answers to older rounds are dropped
    /** @type {Set<number>} pages under way */ this.asking = new Set();
    this.seeking = false;
    this.wanted = 0; // entry to open when it is found
    this.heard = 0; // newest entry of the session when the end was asked for
    this.told = "";
    this.scrolling = this.typing = this.tailing = 0;
    this.asOf = 0;
    /** @type {(() => void)[]} */ this.undo = [];
    this.build();
    this.retheme();
    this.choose();
  }

  // ---- parts ---------------------------------------------------------------------------------------------------------

  build() {
    const { el } = this;
    el.classList.add("wb-oplog");
    const bar = make("div", "wb-oplog-bar");
    this.name.placeholder = "agent";
    this.offers.hidden = true;
    this.offers.id = `wb-oplog-offers-${Math.random().toString(36).slice(2)}`;
    this.offers.setAttribute("role", "listbox");
    for (const [name, value] of [["role", "combobox"], ["aria-label", "Agent whose oplog is shown"], ["aria-expanded", "false"], ["aria-controls", this.offers.id], ["aria-autocomplete", "list"], ["autocomplete", "off"], ["spellcheck", "false"]]) this.name.setAttribute(name, value);
    const named = make("div", "wb-oplog-named");
    named.append(this.name, this.offers);
    this.query.placeholder = "search these entries ( / )";
    this.query.type = "search";
    this.query.spellcheck = false;
    this.query.setAttribute("aria-label", "Search the entries of this oplog");
    this.ask.setAttribute("aria-expanded", "false");
    bar.append(named, this.query, this.ask, this.tally);
    this.wrong.setAttribute("role", "alert");
    this.head.setAttribute("aria-hidden", "true");
    for (const [name, text] of [["index", "index"], ["seq", "entry"], ["time", "time"], ["shape", ""], ["kind", "kind"], ["text", "what"], ["line", "line"]]) this.head.append(make("div", `wb-oplog-${name}`, text));
    this.scroll.tabIndex = 0;
    this.scroll.setAttribute("role", "grid");
    this.scroll.setAttribute("aria-label", "Entries. Up and Down walk, Enter opens one, Space shows everything as of it, slash searches.");
    this.help.hidden = this.newer.hidden = this.wrong.hidden = this.note.hidden = true;
    const terms = make("div", "wb-list"), body = make("div", "wb-oplog-body");
    for (const [term, means] of SEARCH_HELP) terms.append(make("code", "wb-code", term), make("div", "wb-faint", means));
    this.help.append(terms);
    body.append(this.head, this.scroll, this.empty, this.newer);
    el.append(bar, this.wrong, this.note, this.help, body, this.legend);
    for (const [role, [, word, means]] of Object.entries(ENTRY_ROLES)) {
      const item = button("", `${means}. Click to see only these.`, () => this.searchFor(this.query.value.trim() === `role:${role}` ? "" : `role:${role}`), "wb-oplog-key");
      item.append(roleShape(role), make("span", "", word));
      this.legend.append(item);
    }
    this.listen();
  }

  toggleHelp() {
    this.help.hidden = !this.help.hidden;
    this.ask.setAttribute("aria-expanded", `${!this.help.hidden}`);
  }

  /** @param {EventTarget} target @param {string} type @param {(e: any) => void} act */
  on(target, type, act) {
    target.addEventListener(type, act);
    this.undo.push(() => target.removeEventListener(type, act));
  }

  listen() {
    const { scroll, name, query } = this;
    this.on(scroll, "scroll", () => this.scrolled());
    this.on(scroll, "click", (e) => this.clicked(e));
    this.on(scroll, "dblclick", (e) => { const place = this.placeOf(e.target); if (place >= 0) this.unfold(place); });
    this.on(scroll, "keydown", (e) => this.walk(e));
    this.on(query, "input", () => { clearTimeout(this.typing); this.typing = /** @type {any} */ (setTimeout(() => this.searchFor(query.value), TYPED_MS)); });
    this.on(query, "keydown", (e) => {
      if (e.key === "Enter") { clearTimeout(this.typing); this.searchFor(query.value); }
      else if (e.key === "Escape") { if (query.value) this.searchFor(""); else scroll.focus(); }
      else if (e.key === "ArrowDown") scroll.focus();
      else { e.stopPropagation(); return; }
      e.preventDefault();
      e.stopPropagation();
    });
    this.on(name, "input", () => this.offer());
    this.on(name, "focus", () => { name.select(); this.offer(true); });
    this.on(name, "blur", () => { this.shutOffers(); this.writeName(); });
    this.on(name, "keydown", (e) => this.pick(e));
    this.on(this.offers, "mousedown", (e) => { e.preventDefault(); const at = e.target.closest("[data-slot]"); if (at) this.take(Number(at.dataset.slot)); });
    const sizes = new ResizeObserver(() => this.resize());
    sizes.observe(this.el);
    this.undo.push(() => sizes.disconnect(), () => this.list.close());
  }

  close() {
    this.round++;
    for (const undo of this.undo) undo();
    for (const timer of [this.scrolling, this.typing, this.tailing]) clearTimeout(timer);
  }

  focus() { this.scroll.focus(); }

  resize() {
    const w = this.el.clientWidth;
    for (const [name, below] of /** @type {[string, number][]} */ ([["wb-oplog-mid", 860], ["wb-oplog-slim", 620], ["wb-oplog-tiny", 440]])) this.el.classList.toggle(name, w < below);
  }

  retheme() {
    const { colours } = readTheme(this.el), { style } = this.el;
    for (const [name, status] of /** @type {[string, number][]} */ ([["--wb-came", RUNNING], ["--wb-asked", DONE], ["--wb-now", WAITING], ["--wb-bad", FAILED]])) style.setProperty(name, colours[status]);
    if (this.mode === "tape") this.list.draw(true);
  }

  // ---- whose ---------------------------------------------------------------------------------------------------------

  /** @param {import("./desk.js").News} news */
  update(news) {
    const { desk } = this;
    if (desk.tape !== this.tape) {
      const id = this.tape.ids[this.slot];
      this.tape = desk.tape;
      this.slot = -1;
      this.told = "";
      this.choose(id);
    } else if (news.selection || this.slot < 0) this.choose();
    if (news.theme) this.retheme();
    if (news.kernel && desk.live && this.mode === "tape" && !desk.quiet) this.begin();
    if (this.slot < 0) { if (news.rows) this.drawEmpty(); return; }
    if (news.rows) { if (this.mode === "tape") this.growTape(); else this.tailSoon(); }
    if (news.clock || news.rows) this.toClock(news.clock);
  }

  /** The agent that is selected, else the one before. @param {string} [id] */
  choose(id) {
    const { desk } = this, slot = desk.focus >= 0 ? desk.focus : id !== undefined ? desk.tape.slotOf(id) : -1;
    if (slot >= 0 && slot !== this.slot) { this.slot = slot; this.begin(); }
    else if (this.slot < 0) this.drawEmpty();
  }

  /** Show an agent's oplog from the start of it all. */
  begin() {
    this.round++;
    this.asking.clear();
    this.seeking = false;
    this.entries = new EntryPages();
    this.found = null;
    this.mode = "asked";
    this.cursor = this.place = -1;
    this.follows = true;
    this.unseen = 0;
    this.list.unfold();
    this.list.set(0);
    this.writeName();
    this.drawEmpty();
    if (this.desk.live || `oplog:${this.slot}` in this.desk.notes) this.askTail();
    else this.fromTape(); // a kernel that comes brings a tape of its own
  }

  writeName() {
    const id = this.tape.ids[this.slot] ?? "";
    if (document.activeElement !== this.name) this.name.value = id;
    this.name.title = id;
  }

  /** Offer agents while one is being named. @param {boolean} [all] whatever stands in the field */
  offer(all = false) {
    const { name, offers, desk } = this, slots = agentsLike(desk.tape, all ? "" : name.value);
    offers.replaceChildren(...slots.map((slot, i) => {
      const item = make("div", "wb-oplog-offer wb-code", desk.tape.ids[slot]);
      item.id = `${offers.id}-${i}`;
      item.dataset.slot = `${slot}`;
      item.title = desk.tape.ids[slot];
      item.setAttribute("role", "option");
      return item;
    }));
    if (!slots.length) offers.append(make("div", "wb-oplog-offer wb-faint", "no agent is called like that"));
    offers.hidden = false;
    name.setAttribute("aria-expanded", "true");
    this.markOffer(all || !slots.length ? -1 : 0);
  }

  /** @param {number} at */
  markOffer(at) {
    const items = [...this.offers.children];
    this.offered = at;
    items.forEach((item, i) => item.setAttribute("aria-selected", `${i === at}`));
    this.name.setAttribute("aria-activedescendant", items[at]?.id ?? "");
    items[at]?.scrollIntoView({ block: "nearest" });
  }

  shutOffers() {
    this.offers.hidden = true;
    this.name.setAttribute("aria-expanded", "false");
  }

  /** @param {KeyboardEvent} e */
  pick(e) {
    const items = [...this.offers.querySelectorAll("[data-slot]")], at = this.offered;
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      if (this.offers.hidden) this.offer(true);
      else if (items.length) this.markOffer((at + (e.key === "ArrowDown" ? 1 : at < 0 ? 0 : -1) + items.length) % items.length);
    } else if (e.key === "Enter") {
      const slot = this.tape.slotOf(this.name.value.trim()), marked = /** @type {HTMLElement | undefined} */ (items[at]);
      if (marked || slot >= 0) this.take(marked ? Number(marked.dataset.slot) : slot);
    } else if (e.key === "Escape") { this.shutOffers(); this.scroll.focus(); }
    else { e.stopPropagation(); return; }
    e.preventDefault();
    e.stopPropagation();
  }

  /** @param {number} slot */
  take(slot) {
    this.shutOffers();
    this.scroll.focus();
    this.desk.select([slot]);
    if (slot !== this.slot) { this.slot = slot; this.begin(); }
    this.writeName();
  }

  // ---- from the kernel -----------------------------------------------------------------------------------------------

  /** @param {number} number of a page */
  async askPage(number) {
    const { desk, round, slot, search, entries } = this;
    if (!(entries instanceof EntryPages) || this.asking.has(number)) return;
    this.asking.add(number);
    try {
      const answer = await desk.ask("oplog", { slot, search, after: number * entries.size, count: entries.size }, `${slot}`);
      if (round !== this.round) return;
      this.asking.delete(number);
      this.answered(answer, number);
    } catch (error) {
      if (round !== this.round) return;
      this.asking.delete(number);
      if (this.mode === "asked" && !desk.live) this.fromTape();
      else if (this.mode === "asked") { this.mode = "refused"; this.say(wordsOf(error)); this.drawEmpty(); }
      else entries.absent.add(number);
    }
    this.fill();
  }

  /** @param {any} answer @param {number} number the page that was asked for */
  answered(answer, number) {
    const entries = /** @type {EntryPages} */ (this.entries), { desk } = this, before = entries.total, first = this.mode !== "kernel";
    this.say(answer.error ?? "");
    if (!desk.live && this.search) { this.fromTape(); return; } // what was stored is not searched
    this.mode = "kernel";
    entries.take(answer);
    if (!desk.live && !entries.whole(number)) entries.absent.add(number);
    if (!first && entries.total < before) { this.list.unfold(); this.place = -1; }
    this.arrived(before, first);
  }

  /** Rows are here, or there are more of them. @param {number} before @param {boolean} first */
  arrived(before, first) {
    const { list, desk } = this, count = this.count;
    if (count !== list.count || first) list.set(count);
    else list.draw(true);
    if (first || (count > before && before >= 0)) {
      if (this.follows && desk.clock === null) this.toEnd();
      else if (count > before && !first && desk.clock === null) { this.unseen += count - before; this.drawNewer(); }
    }
    this.drawEmpty();
    this.toClock(first);
  }

  /** How many rows the list has. */
  get count() { return this.found ? this.found.length : Math.max(0, this.entries.total); }

  /** @param {number} place in the list @returns {EntryRow | undefined} */
  rowAt(place) { return this.entries.at(this.found ? this.found[place] : place); }

  /** Ask for the pages in sight that are not here. */
  fill() {
    const { entries, list } = this;
    if (this.mode !== "kernel" || !(entries instanceof EntryPages)) return;
    const [from, to] = list.range();
    for (const number of entries.missing(from, to)) if (this.asking.size < PAGES_AT_ONCE) this.askPage(number);
  }

  /** Ask how the oplog ends. */
  askTail() {
    this.heard = this.desk.tape.lastSeq;
    this.asOf = performance.now();
    const { entries } = this;
    if (entries instanceof EntryPages) this.askPage(entries.total < 0 ? 0 : Math.floor(entries.total / entries.size));
  }

  /** The end is asked for again soon after something happened: at once for an agent that did something that is seen. */
  tailSoon() {
    if (this.tailing || this.mode !== "kernel" || !this.desk.live || this.heard >= this.desk.tape.lastSeq) return;
    const rows = this.tape.own[this.slot]?.length ?? 0, wait = rows !== this.owned ? TAIL_MS : TAIL_IDLE_MS;
    this.owned = rows;
    this.tailing = /** @type {any} */ (setTimeout(() => { this.tailing = 0; this.askTail(); }, Math.max(0, this.asOf + wait - performance.now())));
  }

  // ---- from the tape -------------------------------------------------------------------------------------------------

  /** Nobody answers: list what the rows tell. */
  fromTape() {
    this.mode = "tape";
    this.entries = new TapeEntries(this.tape, this.slot);
    this.found = this.search.trim() ? this.entries.find(this.search) : null;
    this.say("");
    this.arrived(-1, true);
  }

  growTape() {
    const before = this.count, entries = /** @type {TapeEntries} */ (this.entries);
    entries.grow();
    if (this.search.trim()) this.found = entries.find(this.search);
    if (this.count !== before) this.arrived(before, false);
  }

  // ---- searching -----------------------------------------------------------------------------------------------------

  /** @param {string} text */
  searchFor(text) {
    if (this.query.value !== text) this.query.value = text;
    if (text.trim() === this.search.trim()) return;
    this.search = text;
    if (this.slot >= 0) this.begin();
  }

  /** What is wrong with the search, or with the answer. @param {string} text */
  say(text) {
    setText(this.wrong, text);
    this.wrong.hidden = !text;
  }

  // ---- the clock -----------------------------------------------------------------------------------------------------

  /** Mark the entry at the clock; `moved` brings it into sight. @param {boolean} moved */
  toClock(moved) {
    const { desk, entries } = this;
    if (this.mode !== "kernel" && this.mode !== "tape") return;
    if (desk.clock === null && !this.wanted) { this.mark(this.count - 1); if (moved && this.follows) this.toEnd(); return; }
    const seq = this.wanted || /** @type {number} */ (desk.clock);
    let [low, high] = entries.upTo(seq);
    if (this.found) { low = high = this.found.filter((place) => place < low).length; }
    if (low === high) {
      this.mark(low - 1);
      if (moved || this.sought) { if (low > 0) this.list.reveal(low - 1); }
      this.sought = false;
      if (this.wanted) this.openWanted(low - 1);
    } else { this.sought ||= moved; this.seek(seq, low, high); }
    this.drawPast();
  }

  /** Find the place of an entry: ask for the page where it should be, or for the middle of where it may be. @param {number} seq @param {number} low @param {number} high */
  async seek(seq, low, high) {
    if (this.seeking) return;
    this.seeking = true;
    const { round } = this, entries = /** @type {EntryPages} */ (this.entries), [guess] = new TapeEntries(this.tape, this.slot).upTo(seq);
    const row = guess ? this.tape.index[this.tape.own[this.slot][guess - 1]] : 0;
    let tries = 0;
    for (; low < high && tries < GIVE_UP; tries++) {
      const at = !tries && !this.search.trim() && row > low && row <= high ? row - 1 : (low + high) >> 1, number = Math.floor(at / entries.size);
      if (entries.absent.has(number) || (this.asking.has(number) && tries)) break;
      await this.askPage(number);
      if (round !== this.round) return;
      [low, high] = entries.upTo(seq);
    }
    this.seeking = false;
    if (low === high) this.toClock(this.sought);
  }

  /** @param {number} place of the entry at the clock */
  mark(place) {
    if (place !== this.place) this.place = place;
    for (const [at, node] of this.list.shown) this.tint(node, at);
  }

  /** @param {HTMLElement} node @param {number} at */
  tint(node, at) {
    const past = this.desk.clock !== null;
    node.classList.toggle("wb-at", at === this.place);
    node.classList.toggle("wb-later", past && at > this.place);
    node.classList.toggle("wb-cursor", at === this.cursor);
    node.classList.toggle("wb-open", at === this.list.opened);
    if (at === this.place) node.setAttribute("aria-current", "true");
    else node.removeAttribute("aria-current");
  }

  /** Say what is not told of this moment. */
  drawPast() {
    const { desk, tape } = this, after = desk.clock === null ? undefined : tape.reverts.find((row) => row >= desk.moment.row && tape.slot[row] === this.slot);
    const later = after === undefined ? "" : ` What it did after index ${tape.a[after]} was taken back at entry ${tape.seq[after]}, and is not listed.`;
    const store = this.mode === "tape" ? "No kernel answers: this is what the views know. Values and all other entries are in the store." : "";
    setText(this.note, `${store}${this.mode === "tape" ? "" : later}`.trim());
    this.note.hidden = !this.note.textContent;
  }

  toEnd() {
    this.follows = true;
    this.unseen = 0;
    this.scroll.scrollTop = this.scroll.scrollHeight;
    this.list.draw(false);
    this.drawNewer();
    this.fill();
  }

  drawNewer() {
    setText(this.newer, `↓ ${this.unseen.toLocaleString("en")} new`);
    this.newer.hidden = !this.unseen;
  }

  scrolled() {
    const { scroll, list } = this;
    this.follows = scroll.scrollTop + scroll.clientHeight >= scroll.scrollHeight - ENTRY_H / 2;
    if (this.follows && this.unseen) { this.unseen = 0; this.drawNewer(); }
    list.draw(false);
    if (!this.scrolling) this.scrolling = /** @type {any} */ (setTimeout(() => { this.scrolling = 0; this.fill(); }, SCROLL_MS));
  }

  // ---- rows ----------------------------------------------------------------------------------------------------------

  drawEmpty() {
    const { desk, empty } = this, none = this.slot < 0;
    const told = none ? `none ${desk.tape.n > 1}` : this.mode === "asked" ? "asked" : this.count ? "" : this.search.trim() ? "found" : "empty";
    setText(this.tally, none || this.mode === "asked" || this.mode === "refused" ? "" : this.search.trim() ? `${this.count.toLocaleString("en")} found` : counted(this.count, "entry", "entries"));
    empty.hidden = !told;
    this.head.hidden = this.scroll.hidden = !!told && told !== "asked";
    this.legend.hidden = none || this.mode === "tape";
    this.el.classList.toggle("wb-oplog-bare", this.mode === "tape");
    this.drawPast();
    if (told === this.told) return;
    this.told = told;
    if (none) {
      const some = agentsLike(desk.tape, "", 6).filter((slot) => desk.tape.parents[slot] >= 0);
      empty.replaceChildren(make("strong", "", "Whose oplog?"), make("p", "", some.length ? "An oplog holds all that an agent did and was given, in order. Select an agent in any view, or name one above." : "An oplog holds all that an agent did and was given, in order. There are no agents yet."));
      const row = make("p", "wb-oplog-some");
      for (const slot of some) row.append(agentLink(desk, slot));
      if (some.length) empty.append(row);
    } else if (told === "found") empty.replaceChildren(make("p", "", this.wrong.hidden ? "No entry is like that." : "The search cannot be read."), button("Show all", "Search for nothing", () => this.searchFor("")));
    else if (told === "empty") empty.replaceChildren(make("p", "", this.mode === "tape" ? "The views know of no entry of it." : "No entry is left: the agent was deleted, or none is committed yet."));
    else if (told === "asked") empty.replaceChildren(make("p", "wb-faint", "asking the kernel …"));
  }

  /** @param {number} place @returns {HTMLElement} */
  drawRow(place) {
    const node = make("div", "wb-oplog-row"), row = this.rowAt(place);
    node.dataset.place = `${place}`;
    node.id = `${this.offers.id}-row-${place}`;
    node.setAttribute("role", "row");
    node.setAttribute("aria-rowindex", `${place + 1}`);
    this.tint(node, place);
    if (!row) {
      const absent = this.entries instanceof EntryPages && this.entries.absent.has(Math.floor(place / this.entries.size));
      node.classList.add("wb-oplog-blank");
      node.append(make("div", "wb-oplog-index wb-faint", "…"), absent ? make("div", "wb-oplog-text wb-faint", "not stored here") : make("div", "wb-oplog-text wb-oplog-coming"));
      return node;
    }
    /** @param {string} name @param {string} [text] */
    const cell = (name, text) => { const one = make("div", `wb-oplog-${name}`, text); one.setAttribute("role", "gridcell"); node.append(one); return one; };
    cell("index", row.index.toLocaleString("en"));
    cell("seq", `#${row.seq}`);
    cell("time", clockText(row.wall)).title = new Date(row.wall).toLocaleString();
    const shape = cell("shape");
    if (row.role) { shape.append(roleShape(row.role)); shape.title = ENTRY_ROLES[row.role]?.[2] ?? row.role; }
    else if ((row.status ?? -1) >= 0) { shape.append(statusIcon(/** @type {number} */ (row.status), readTheme(this.el), 11)); shape.title = STATUS[/** @type {number} */ (row.status)]; }
    cell("kind", row.kind).title = row.kind;
    cell("text", row.text).title = row.text;
    cell("line", filePlace(row.line)).title = row.line;
    const more = make("button", "wb-oplog-more", place === this.list.opened ? "▾" : "▸");
    more.tabIndex = -1;
    more.title = "What is in it (Enter)";
    more.setAttribute("aria-label", "What is in it");
    more.setAttribute("aria-expanded", `${place === this.list.opened}`);
    node.append(more);
    return node;
  }

  /** @param {EventTarget} target */
  placeOf(target) {
    const node = /** @type {HTMLElement} */ (target).closest?.("[data-place]");
    return node && this.scroll.contains(node) ? Number(/** @type {HTMLElement} */ (node).dataset.place) : -1;
  }

  /** @param {MouseEvent} e */
  clicked(e) {
    const place = this.placeOf(/** @type {EventTarget} */ (e.target)), row = this.rowAt(place);
    if (place < 0 || !row || getSelection()?.toString()) return;
    this.cursor = place;
    if (/** @type {Element} */ (e.target).closest(".wb-oplog-more")) { this.unfold(place); return; }
    this.goTo(place);
  }

  /** @param {number} place */
  goTo(place) {
    const row = this.rowAt(place);
    if (!row) return;
    if (this.list.opened >= 0 && this.list.opened !== place) this.unfold(place);
    this.desk.goTo(row.seq);
    this.mark(this.place);
  }

  /** @param {KeyboardEvent} e */
  walk(e) {
    if (e.target !== this.scroll) { if (e.key === "Escape") { this.shut(); e.preventDefault(); e.stopPropagation(); } return; }
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const page = Math.max(1, Math.floor(this.scroll.clientHeight / ENTRY_H) - 1), last = this.count - 1, at = this.cursor < 0 ? this.place : this.cursor;
    const to = /** @type {Record<string, number>} */ ({ ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: last })[e.key];
    if (to !== undefined) this.step(Math.max(0, Math.min(last, to)));
    else if (e.key === "Enter" && at >= 0) this.unfold(at);
    else if (e.key === "ArrowRight" && at >= 0) { if (this.list.opened !== at) this.unfold(at); else /** @type {HTMLElement | null | undefined} */ (this.list.detail?.querySelector("summary, button"))?.focus(); }
    else if (e.key === "ArrowLeft" && this.list.opened >= 0) this.shut();
    else if (e.key === " " && at >= 0) { this.cursor = at; this.goTo(at); }
    else if (e.key === "/") this.query.focus();
    else if (e.key === "Escape" && this.list.opened >= 0) this.shut();
    else return;
    e.preventDefault();
    e.stopPropagation();
  }

  /** @param {number} place */
  step(place) {
    this.cursor = place;
    this.list.reveal(place);
    this.mark(this.place);
    this.scroll.setAttribute("aria-activedescendant", `${this.offers.id}-row-${place}`);
    this.fill();
  }

  /** @param {KeyboardEvent} e */
  key(e) {
    if (e.key === "/") { this.query.focus(); return true; }
    if (e.key === "Escape" && !this.help.hidden) { this.ask.click(); return true; }
    return false;
  }

  // ---- one entry -----------------------------------------------------------------------------------------------------

  shut() {
    const place = this.list.opened;
    this.list.unfold();
    this.list.draw(true);
    this.scroll.focus();
    if (place >= 0) this.step(place);
  }

  /** Open what is in an entry, or close it. @param {number} place */
  async unfold(place) {
    const { list, desk, round } = this, row = this.rowAt(place);
    if (!row) return;
    if (list.opened === place) { this.shut(); return; }
    this.cursor = place;
    const detail = make("div", "wb-oplog-detail");
    detail.append(make("p", "wb-faint", "asking the kernel …"));
    list.unfoldAt(place, detail);
    list.draw(true);
    list.reveal(place);
    /** @type {any} */ let known = null;
    let trouble = "";
    try { known = await desk.ask("entry", { seq: row.seq }, `${row.seq}`); } catch (error) { trouble = desk.live ? wordsOf(error) : "What is in it is in the store, and can be read when a kernel runs."; }
    if (round !== this.round || list.detail !== detail) return;
    this.fillDetail(detail, row, known, trouble);
    list.measure();
    list.reveal(place);
  }

  /** @param {HTMLElement} detail @param {EntryRow} row @param {any} known @param {string} trouble */
  fillDetail(detail, row, known, trouble) {
    const { tape } = this, facts = make("div", "wb-list");
    /** @param {string} term @param {(string | Node)[]} parts */
    const fact = (term, ...parts) => { const cell = make("div", ""); cell.append(...parts); facts.append(make("div", "wb-faint", term), cell); };
    fact("what", known?.text ?? row.text);
    fact("when", `${new Date(row.wall).toLocaleDateString()} ${clockText(row.wall)}, ${describeTime(Math.max(0, row.wall - tape.firstWall)) || "0 ms"} after the beginning`);
    const line = known?.line || row.line;
    if (line) {
      const cell = make("div", "wb-oplog-source"), where = make("span", "wb-code wb-faint", filePlace(line));
      where.title = line;
      cell.append(where);
      if (known?.source) cell.append(make("code", "wb-code", known.source));
      fact("asked at", cell);
    }
    const cause = known?.cause ?? row.cause, invocation = known?.invocation ?? row.invocation;
    if (cause) fact("caused by", this.otherEnd(cause));
    if (invocation && invocation !== cause) fact("part of", "the work that began with ", this.otherEnd(invocation));
    if (known?.effects?.length) {
      const shown = known.effects.slice(0, 12), cell = make("div", "wb-oplog-ends");
      for (const seq of shown) cell.append(this.otherEnd(seq));
      if (known.effects.length > shown.length) cell.append(make("span", "wb-faint", `and ${known.effects.length - shown.length}${known.effects.length >= 100 ? " or more" : ""} others`));
      fact("led to", cell);
    }
    detail.replaceChildren(facts);
    if (known?.payload) {
      const tree = make("div", "wb-oplog-tree");
      tree.setAttribute("role", "tree");
      tree.setAttribute("aria-label", "What is in the entry");
      for (const branch of known.payload.children ?? [known.payload]) tree.append(drawBranch(branch));
      tree.addEventListener("keydown", walkTree);
      detail.append(tree);
    }
    if (trouble) detail.append(make("p", "wb-faint", trouble));
  }

  /** A link to an entry of whichever agent: selects it, moves the clock there and opens it. @param {number} seq */
  otherEnd(seq) {
    const { tape, desk } = this, owner = ownerOf(tape, seq), link = entryLink(desk, seq);
    if (owner >= 0 && owner !== this.slot) link.textContent = `#${seq} ${tape.name(owner)}`;
    link.title = `Entry ${seq}${owner >= 0 ? ` of ${tape.ids[owner]}` : ""}`;
    link.onclick = (e) => { e.stopPropagation(); this.follow(seq, owner); };
    return link;
  }

  /** @param {number} seq @param {number} owner */
  async follow(seq, owner) {
    const { desk } = this;
    if (owner < 0) try { owner = (await desk.ask("entry", { seq }, `${seq}`)).slot; } catch { owner = this.slot; }
    this.wanted = seq;
    if (this.search) { this.query.value = this.search = ""; if (owner === this.slot) this.begin(); }
    desk.goTo(seq);
    if (owner >= 0 && owner !== this.slot) { this.slot = owner; desk.select([owner]); this.begin(); }
    else this.toClock(true);
  }

  /** @param {number} place */
  openWanted(place) {
    const row = this.rowAt(place), wanted = this.wanted;
    this.wanted = 0;
    this.follows = false;
    if (row?.seq === wanted && this.list.opened !== place) this.unfold(place);
    else if (place >= 0) this.list.reveal(place);
    this.scroll.focus();
    this.mark(place);
  }
}

/** @param {any} error */
function wordsOf(error) { return `${error?.message ?? error}`; }

/** @param {string} role @returns {SVGElement} */
export function roleShape(role) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("class", `wb-oplog-role wb-oplog-${role in ENTRY_ROLES ? role : "hint"}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", role);
  path.setAttribute("d", (ENTRY_ROLES[role] ?? ENTRY_ROLES.hint)[0]);
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

/** A part of what an entry holds; what is in it is made when it is opened. @param {Branch} branch @returns {HTMLElement} */
export function drawBranch(branch) {
  const kids = branch.children ?? [], long = branch.text.length > 120 || branch.text.includes("\n");
  /** @param {HTMLElement} node @param {string} text */
  const label = (node, text) => { node.append(make("span", "wb-oplog-key-name", branch.name), make("span", "wb-oplog-value wb-code", text), make("span", "wb-faint wb-oplog-type", branch.type)); return node; };
  if (!kids.length && !long) {
    const leaf = label(make("div", "wb-oplog-leaf"), branch.text === "" ? "empty" : branch.text);
    leaf.setAttribute("role", "treeitem");
    return leaf;
  }
  const node = make("details", "wb-oplog-branch"), top = make("summary", "");
  node.setAttribute("role", "treeitem");
  label(top, kids.length ? branch.text : `${branch.text.slice(0, 100).split("\n")[0]} …`);
  node.append(top);
  let filled = false;
  node.addEventListener("toggle", () => {
    if (filled || !node.open) return;
    filled = true;
    if (!kids.length) { node.append(make("pre", "wb-oplog-whole wb-code", branch.text)); return; }
    const group = make("div", "wb-oplog-group");
    group.setAttribute("role", "group");
    node.append(group);
    addBranches(group, kids, 0);
  });
  return node;
}

/** @param {HTMLElement} group @param {Branch[]} kids @param {number} from */
function addBranches(group, kids, from) {
  for (const kid of kids.slice(from, from + BRANCHES)) group.append(drawBranch(kid));
  const left = kids.length - from - BRANCHES;
  if (left <= 0) return;
  const more = button(`${left.toLocaleString("en")} more`, "Show more of them", () => { more.remove(); addBranches(group, kids, from + BRANCHES); });
  group.append(more);
}

/** Arrow keys in a tree of details: up and down walk, right opens, left closes or goes to the parent. @param {KeyboardEvent} e */
function walkTree(e) {
  const tree = /** @type {HTMLElement} */ (e.currentTarget), at = /** @type {HTMLElement} */ (e.target);
  if (at.tagName !== "SUMMARY" || !["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"].includes(e.key)) return;
  const node = /** @type {HTMLDetailsElement} */ (at.parentElement), all = [...tree.querySelectorAll("summary")].filter((one) => one.offsetParent !== null);
  if (e.key === "ArrowRight" && !node.open) node.open = true;
  else if (e.key === "ArrowLeft" && node.open) node.open = false;
  else if (e.key === "ArrowLeft") node.parentElement?.closest("details")?.querySelector("summary")?.focus();
  else all[all.indexOf(at) + (e.key === "ArrowUp" ? -1 : 1)]?.focus();
  e.preventDefault();
  e.stopPropagation();
}
