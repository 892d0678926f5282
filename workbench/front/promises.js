// @ts-check
// The promise board: every promise as of the clock, who made it, who waits, who completed it.
import { DONE, EXITED, FAILED, IDLE, WAITING, describeTime } from "./graph_store.js";
import { readTheme } from "./graph_paint.js";
import { make, setText } from "./graph.js";
import { AWAITED, COMPLETED, CREATED, DELIVERED, DROPPED, ENDED, IGNORED, LABEL_ROW, PROMISE_ROW, SEEN } from "./tape.js";
import { LongList, agentLink, button, confirmHere, counted, entryLink } from "./marks.js";

/** States in the order in which somebody should look at them. */
export const PROMISE_STATES = ["orphaned", "pending", "ended", "completed", "unknown"];
const STATE_COLOURS = { orphaned: FAILED, pending: WAITING, ended: EXITED, completed: DONE, unknown: IDLE };
const STATE_MEANS = {
  orphaned: "nobody alive can complete it", pending: "not completed yet", ended: "it can never be completed: its maker was deleted, or taken back to before it",
  completed: "it has its value", unknown: "made by somebody who is not shown; nothing is known of its value",
};
/** Columns: key, head, title, whether the first click sorts downwards. @type {[string, string, string, boolean][]} */
const BOARD_COLUMNS = [
  ["state", "State", "What became of it; orphaned and pending first", false],
  ["promise", "Promise", "In the order in which they were made", false],
  ["creator", "Made by", "The agent that made it", false],
  ["waits", "Waiting", "How many wait for it", true],
  ["by", "Completed by", "Who completed it first: that value stands", false],
  ["ignored", "Ignored", "Attempts to complete it that came too late", true],
  ["age", "Age", "Since it was made; of those that are over, how long they were open", true],
  ["line", "Line", "Where it was made", false],
];
const BOARD_TICK_MS = 1000, BOARD_CALM_MS = 300, BOARD_MANY = 2000, ANSWER_EVERY_MS = 1500, ORPHANS_EVERY_MS = 4000, ORPHANS_REST_MS = 30_000;
const NAMES_SHOWN = 2, LINKS_SHOWN_MOST = 30, EVENTS_SHOWN = 40, WIDE_BOARD = 840, TINY_BOARD = 470, CARD_BESIDE = 620;
const BOARD_ROW_H = { wide: 32, mid: 48, tiny: 66 };

/** @typedef {{number: number, at: number, owner: number, first: number, made: number, end: number, by: number, state: string, waiting: Map<number, number>, ignored: number}} PromiseRecord `made`, `end`: rows or -1; `waiting`: slot to how often */
/** @typedef {{states: Set<string>, text: string, only: Set<number> | null, sort: string, down: boolean}} BoardFilter `only`: slots, null for all */

/** All promises as of a row of the tape; goes on, or back, by the rows in between. */
export class PromiseBoard {
  /** @type {import("./tape.js").Tape | null} */ tape = null;
  upto = 0;
  count = 0;
  /** @type {(PromiseRecord | undefined)[]} by number */ records = [];
  /** @type {Set<number>} numbers of pending ones that nobody can complete, as the kernel says */ orphans = new Set();
  /** @type {Map<number, string>} */ names = new Map();
  /** @type {Map<number, string>} the same in small letters */ small = new Map();
  labels = 0;

  /** Be as of a row; whether anything changed. @param {import("./tape.js").Tape} tape @param {number} upto */
  take(tape, upto) {
    let changed = false;
    if (tape !== this.tape) { this.tape = tape; this.upto = this.count = 0; this.records = []; this.orphans = new Set(); this.names.clear(); this.small.clear(); changed = true; }
    if (tape.labels.size !== this.labels) { this.labels = tape.labels.size; this.names.clear(); this.small.clear(); }
    if (upto > this.upto) {
      for (let row = this.upto; row < upto; row++) {
        if (tape.kind[row] === PROMISE_ROW) { this.fold(row); changed = true; }
        else if (tape.kind[row] === LABEL_ROW) { this.names.delete(tape.slot[row]); this.small.delete(tape.slot[row]); }
      }
    } else if (upto < this.upto) {
      /** @type {Set<number>} */ const touched = new Set();
      for (let row = upto; row < this.upto; row++) if (tape.kind[row] === PROMISE_ROW) touched.add(tape.a[row]);
      for (const number of touched) {
        this.records[number] = undefined;
        this.count--;
        for (const row of tape.promises[number].rows) { if (row >= upto) break; this.fold(row); }
      }
      changed ||= touched.size > 0;
    }
    this.upto = upto;
    return changed;
  }

  /** @param {number} row */
  fold(row) {
    const tape = /** @type {import("./tape.js").Tape} */ (this.tape), number = tape.a[row], event = tape.b[row], slot = tape.slot[row];
    let record = this.records[number];
    if (!record) {
      record = this.records[number] = { number, at: 0, owner: -1, first: row, made: -1, end: -1, by: -1, state: "unknown", waiting: new Map(), ignored: 0 };
      this.count++;
    }
    if (event === CREATED) { record.made = row; record.owner = slot; record.at = tape.index[row]; record.state = "pending"; }
    else if (event === AWAITED) { record.waiting.set(slot, (record.waiting.get(slot) ?? 0) + 1); if (record.state === "unknown") record.state = "pending"; }
    else if (event === DELIVERED || event === DROPPED) {
      const left = (record.waiting.get(slot) ?? 0) - 1;
      if (left > 0) record.waiting.set(slot, left);
      else record.waiting.delete(slot);
    } else if (event === COMPLETED) { record.state = "completed"; record.end = row; record.by = slot; }
    else if (event === IGNORED) { record.ignored++; if (record.state === "unknown") record.state = "completed"; }
    else if (event === ENDED && record.state === "pending") { record.state = "ended"; record.end = row; }
  }

  /** @param {PromiseRecord} record */
  stateOf(record) { return record.state === "pending" && this.orphans.has(record.number) ? "orphaned" : record.state; }

  /** What an agent is called. @param {number} slot */
  name(slot) {
    let name = this.names.get(slot);
    if (name === undefined) this.names.set(slot, (name = /** @type {import("./tape.js").Tape} */ (this.tape).name(slot)));
    return name;
  }

  /** What an agent is called, in small letters. @param {number} slot */
  low(slot) {
    let name = this.small.get(slot);
    if (name === undefined) this.small.set(slot, (name = this.name(slot).toLowerCase()));
    return name;
  }

  /** Milliseconds since it was made, or that it was open. @param {PromiseRecord} record @param {number} now */
  age(record, now) {
    const { wall } = /** @type {import("./tape.js").Tape} */ (this.tape);
    return Math.max(0, (record.end >= 0 ? wall[record.end] : now) - wall[record.made >= 0 ? record.made : record.first]);
  }

  /** Where it was made, `file:line`. @param {PromiseRecord} record */
  line(record) {
    const { texts, c } = /** @type {import("./tape.js").Tape} */ (this.tape);
    return texts[c[record.made >= 0 ? record.made : record.first]] ?? "";
  }

  /** Who has to do with it. @param {PromiseRecord} record @param {Set<number>} slots */
  concerns(record, slots) {
    if (slots.has(record.owner) || (record.by >= 0 && slots.has(record.by))) return true;
    for (const slot of record.waiting.keys()) if (slots.has(slot)) return true;
    return false;
  }

  /** Whether a text, in small letters, is in what it is called or in who made it or waits. @param {PromiseRecord} record @param {string} text */
  mentions(record, text) {
    if (`promise ${record.at || `#${record.number}`} of ${this.low(record.owner)}`.includes(text)) return true;
    for (const slot of record.waiting.keys()) if (this.low(slot).includes(text)) return true;
    return false;
  }

  /**
   * Which promises to show, in order; and how many there would be of each state.
   * @param {BoardFilter} filter @param {number} now
   */
  list(filter, now) {
    /** @type {Record<string, number>} */ const counts = Object.fromEntries(PROMISE_STATES.map((state) => [state, 0]));
    /** @type {number[]} */ const order = [];
    const text = filter.text.trim().toLowerCase();
    for (const record of this.records) {
      if (!record || (filter.only && !this.concerns(record, filter.only)) || (text && !this.mentions(record, text))) continue;
      const state = this.stateOf(record);
      counts[state]++;
      if (!filter.states.size || filter.states.has(state)) order.push(record.number);
    }
    if (filter.sort !== "promise") {
      /** @type {(string | number)[]} */ const keys = [];
      for (const number of order) keys[number] = this.key(/** @type {PromiseRecord} */ (this.records[number]), filter.sort, now);
      const way = filter.down ? -1 : 1;
      order.sort((a, b) => (keys[a] < keys[b] ? -way : keys[a] > keys[b] ? way : a - b));
    } else if (filter.down) order.reverse();
    return { order, counts };
  }

  /** What a column sorts by. @param {PromiseRecord} record @param {string} column @param {number} now @returns {string | number} */
  key(record, column, now) {
    if (column === "state") return PROMISE_STATES.indexOf(this.stateOf(record));
    if (column === "creator") return this.low(record.owner);
    if (column === "waits") return record.waiting.size;
    if (column === "by") return record.state === "completed" && record.by >= 0 ? this.low(record.by) : "\uffff";
    if (column === "ignored") return record.ignored;
    if (column === "age") return this.age(record, now);
    const line = this.line(record), at = line.lastIndexOf(":");
    return line ? `${line.slice(0, at)}\0${line.slice(at + 1).padStart(9, "0")}` : "\uffff";
  }
}

// ---- words -----------------------------------------------------------------------------------------------------------

/** What a text is as JSON. @param {string} text @returns {{ok: boolean, words: string}} */
export function jsonWords(text) {
  if (!text.trim()) return { ok: false, words: "Write JSON: \"text\" in quotes, a number, true, null, [a list] or {\"an\": \"object\"}." };
  let value;
  try { value = JSON.parse(text); } catch (error) { return { ok: false, words: `Not JSON yet: ${/** @type {Error} */ (error).message.slice(0, 120)}` }; }
  if (value === null) return { ok: true, words: "JSON: null, which is None." };
  if (Array.isArray(value)) return { ok: true, words: `JSON: a list of ${counted(value.length, "item")}.` };
  if (typeof value === "object") return { ok: true, words: `JSON: an object with ${counted(Object.keys(value).length, "key")}.` };
  if (typeof value === "string") return { ok: true, words: `JSON: a text of ${counted(value.length, "character")}.` };
  return { ok: true, words: `JSON: ${typeof value === "number" ? "a number" : value}.` };
}

/** What completing by hand will do. @param {string} name @param {string} text @param {number} waiting */
export function completionWords(name, text, waiting) {
  const value = text.trim(), short = value.length > 300 ? `${value.slice(0, 300)}…` : value;
  const who = waiting ? `${counted(waiting, "agent")} ${waiting === 1 ? "waits" : "wait"} for it` : "Nobody waits for it now";
  return `Completes ${name} with ${short}. ${who}; the first completion stands. This cannot be undone.`;
}

/** Why nothing can be completed from here; empty when it can. @param {boolean} live @param {number | null} clock */
export function whyNoCompletion(live, clock) {
  if (!live) return "It can be completed where the session runs: no kernel answers here.";
  if (clock !== null) return `The views show the past, entry ${clock.toLocaleString("en")}. It can be completed at the live edge.`;
  return "";
}

/** What happened in a PROMISE row, around the name of who did it. @param {number} event @returns {[string, string]} */
export function promiseEventWords(event) {
  return /** @type {Record<number, [string, string]>} */ ({
    [CREATED]: ["made by ", ""], [AWAITED]: ["", " waits for it"], [DELIVERED]: ["", " was given the value"], [COMPLETED]: ["completed by ", ""], [IGNORED]: ["", " tried to complete it, too late"],
    [SEEN]: ["", " asked whether it is completed"], [ENDED]: ["can never be completed since what happened to ", ""], [DROPPED]: ["", " waits no longer"],
  })[event] ?? ["", ""];
}

/** The end of a source line's path. @param {string} line */
export function shortLine(line) {
  return line.slice(Math.max(line.lastIndexOf("/"), line.lastIndexOf("\\")) + 1);
}

/** The mark of a state: a diamond that is open, a check, a broken ring, a warning; none needs its colour. @param {HTMLCanvasElement} icon @param {string} state @param {import("./graph_paint.js").Theme} theme */
export function drawPromiseMark(icon, state, theme) {
  const ratio = window.devicePixelRatio || 1, size = 14, g = /** @type {CanvasRenderingContext2D} */ (icon.getContext("2d"));
  icon.width = icon.height = Math.round(size * ratio);
  icon.style.width = icon.style.height = `${size}px`;
  g.scale(ratio, ratio);
  g.fillStyle = g.strokeStyle = theme.colours[/** @type {Record<string, number>} */ (STATE_COLOURS)[state]];
  g.lineWidth = 1.7;
  g.lineCap = g.lineJoin = "round";
  const c = size / 2;
  g.beginPath();
  if (state === "completed") {
    g.arc(c, c, 5.4, 0, 7); g.fill();
    g.strokeStyle = theme.ground; g.beginPath(); g.moveTo(c - 2.4, c + 0.2); g.lineTo(c - 0.6, c + 2); g.lineTo(c + 2.6, c - 1.9); g.stroke();
  } else if (state === "orphaned") {
    g.moveTo(c, 1.2); g.lineTo(size - 0.9, size - 2); g.lineTo(0.9, size - 2); g.closePath(); g.fill(); g.stroke();
    g.strokeStyle = theme.ground; g.lineWidth = 1.6; g.beginPath(); g.moveTo(c, 5); g.lineTo(c, 8.2); g.moveTo(c, 10.9); g.lineTo(c, 10.95); g.stroke();
  } else if (state === "ended") {
    g.arc(c, c, 4.4, 0, 7); g.moveTo(2, size - 2); g.lineTo(size - 2, 2); g.stroke();
  } else if (state === "pending") {
    g.moveTo(c, 1.4); g.lineTo(size - 1.4, c); g.lineTo(c, size - 1.4); g.lineTo(1.4, c); g.closePath(); g.stroke();
    g.beginPath(); g.arc(c, c, 1.5, 0, 7); g.fill();
  } else { g.setLineDash([2, 2.6]); g.arc(c, c, 4.8, 0, 7); g.stroke(); }
}

// ---- the pane --------------------------------------------------------------------------------------------------------

/** @typedef {{row: HTMLElement, cells: Record<string, HTMLElement>, icon: HTMLCanvasElement, word: HTMLElement, told: Record<string, string>, number: number}} BoardRow */

/** The promise board in one place. */
export class PromisesPane {
  static made = 0;
  bar = make("div", "wb-promises-bar");
  search = make("input", "wb-promises-search");
  sorter = make("select", "wb-promises-sorter");
  tally = make("span", "wb-faint wb-promises-tally");
  head = make("div", "wb-promises-row wb-promises-head");
  scroll = make("div", "wb-promises-list");
  empty = make("div", "wb-promises-empty");
  card = make("aside", "wb-promises-card");
  cardIcon = make("canvas", "wb-promises-mark");
  cardTitle = make("strong", "wb-promises-card-title");
  cardFacts = make("div", "wb-list wb-promises-facts");
  cardDo = make("div", "wb-promises-do");
  cardEvents = make("div", "wb-promises-events");
  main = make("div", "wb-promises-main");
  only = button("of the selected", "Only promises that the selected agents made, wait for or completed", () => { this.onlySelected = !this.onlySelected; this.relist(); }, "wb-promises-chip");
  list = new LongList(this.scroll, BOARD_ROW_H.wide, (index) => this.makeRow(index));
  /** @type {Record<string, {chip: HTMLButtonElement, icon: HTMLCanvasElement, text: HTMLElement}>} */ chips = {};
  /** @type {Record<string, HTMLElement>} */ heads = {};
  /** @type {HTMLElement | undefined} the field and what belongs to it */ form;
  /** @type {HTMLElement | undefined} */ cardState;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ ticking;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ later;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ asking;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ orphansLater;
  factsTold = "";
  doTold = "";
  eventsTold = "";
  closed = false;
  themed = false;
  sure = false;
  board = new PromiseBoard();
  /** @type {BoardFilter} */ filter = { states: new Set(), text: "", only: null, sort: "promise", down: false };
  onlySelected = false;
  /** @type {number[]} */ order = [];
  /** @type {Record<string, number>} */ counts = {};
  /** @type {WeakMap<HTMLElement, BoardRow>} */ rows = new WeakMap();
  /** @type {number} of the promise that is opened; -1 for none */ open = -1;
  /** @type {number} of the promise that the keys are at */ at = -1;
  /** @type {any} the kernel's answer about it */ known = null;
  knownError = "";
  said = "";
  mode = "";
  listed = 0;
  asked = 0;
  orphansAsked = 0;

  /** @param {import("./desk.js").Desk} desk @param {HTMLElement} el */
  constructor(desk, el) {
    this.desk = desk;
    this.el = el;
    this.id = `wb-promises-${++PromisesPane.made}`;
    /** @type {import("./graph_paint.js").Theme} */ this.theme = readTheme(el);
    this.build();
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(el);
  }

  build() {
    const { el } = this;
    el.classList.add("wb-promises");
    const chips = make("div", "wb-promises-chips");
    chips.setAttribute("role", "group");
    chips.setAttribute("aria-label", "Show only these states");
    for (const state of PROMISE_STATES) {
      const chip = make("button", "wb-promises-chip"), icon = make("canvas", "wb-promises-mark"), text = make("span", "");
      icon.setAttribute("aria-hidden", "true");
      chip.title = `${state}: ${/** @type {any} */ (STATE_MEANS)[state]}`;
      chip.onclick = () => { if (!this.filter.states.delete(state)) this.filter.states.add(state); this.relist(); };
      chip.append(icon, text);
      this.chips[state] = { chip, icon, text };
      chips.append(chip);
    }
    this.search.type = "search";
    this.search.placeholder = "name, creator, waiter";
    this.search.setAttribute("aria-label", "Show only promises whose name, creator or waiter contains this text");
    this.search.oninput = () => { this.filter.text = this.search.value; this.relist(); };
    this.search.onkeydown = (e) => {
      if (e.key === "Escape" && this.search.value) { this.search.value = this.filter.text = ""; this.relist(); }
      else if (e.key === "ArrowDown" || e.key === "Enter") this.focus();
      else return;
      e.preventDefault();
      e.stopPropagation();
    };
    this.sorter.setAttribute("aria-label", "Sort by");
    for (const [key, head, , down] of BOARD_COLUMNS) for (const way of [down, !down]) {
      const option = make("option", "", `${head} ${way ? "↓" : "↑"}`);
      option.value = `${key} ${way}`;
      this.sorter.append(option);
    }
    this.sorter.onchange = () => { const [key, way] = this.sorter.value.split(" "); this.filter.sort = key; this.filter.down = way === "true"; this.relist(); };
    this.bar.append(chips, this.only, this.search, this.sorter, this.tally);
    this.buildTable();
  }

  buildTable() {
    const body = make("div", "wb-promises-body"), { main } = this;
    this.head.setAttribute("role", "row");
    main.setAttribute("role", "grid");
    main.setAttribute("aria-label", "Promises. Arrow keys walk, Enter opens one");
    for (const [key, head, title] of BOARD_COLUMNS) {
      const cell = make("div", `wb-promises-${key}`), act = button(head, `${title}. Click to sort`, () => this.sort(key), "wb-promises-sort");
      cell.setAttribute("role", "columnheader");
      cell.append(act);
      this.heads[key] = cell;
      this.head.append(cell);
    }
    main.tabIndex = 0;
    this.scroll.tabIndex = -1;
    this.scroll.setAttribute("role", "rowgroup");
    this.card.setAttribute("aria-label", "The opened promise");
    this.card.hidden = this.empty.hidden = true;
    main.append(this.head, this.scroll, this.empty);
    body.append(main, this.card);
    this.el.append(this.bar, body);
  }

  close() {
    this.sizes.disconnect();
    this.list.close();
    clearTimeout(this.ticking);
    clearTimeout(this.later);
    clearTimeout(this.asking);
    clearTimeout(this.orphansLater);
    this.closed = true;
  }

  focus() {
    this.main.focus({ preventScroll: true });
    if (this.at < 0 && this.order.length) this.walkTo(0);
  }

  // ---- what is shown -----------------------------------------------------------------------------------------------

  /** @param {import("./desk.js").News} news */
  update(news) {
    const { desk, board } = this;
    if (news.theme || !this.themed) this.retheme();
    const other = board.tape !== desk.tape;
    if (other && board.tape) { this.shut(); this.at = -1; this.orphansAsked = 0; }
    const changed = board.take(desk.tape, desk.moment.row);
    if (desk.clock !== null && board.orphans.size) board.orphans = new Set();
    if (changed || other || news.kernel || news.clock) this.askOrphans();
    if (!changed && !other && !news.theme && !news.clock && !(news.selection && this.onlySelected)) this.fillRows();
    else if (board.count > BOARD_MANY && !other && !news.clock && performance.now() - this.listed < BOARD_CALM_MS) { this.relistSoon(); this.fillRows(); }
    else this.relist();
    if (news.selection) this.drawBar();
    if (this.open >= 0) { if (changed || news.rows) this.askKnown(false); this.drawCard(); }
    this.tick();
  }

  relistSoon() {
    this.later ??= setTimeout(() => { this.later = undefined; if (!this.closed) this.relist(); }, BOARD_CALM_MS);
  }

  /** Filter, sort and show. */
  relist() {
    const { board, filter, desk } = this;
    filter.only = this.onlySelected ? desk.selected : null;
    ({ order: this.order, counts: this.counts } = board.list(filter, desk.now()));
    this.listed = performance.now();
    this.drawBar();
    for (const [key, cell] of Object.entries(this.heads)) cell.setAttribute("aria-sort", key !== filter.sort ? "none" : filter.down ? "descending" : "ascending");
    this.sorter.value = `${filter.sort} ${filter.down}`;
    this.drawEmpty();
    this.main.setAttribute("aria-rowcount", `${this.order.length}`);
    this.list.set(this.order.length, false);
    this.fillRows();
    this.alignHead();
  }

  drawBar() {
    const { board, counts, filter, desk } = this;
    for (const state of PROMISE_STATES) {
      const { chip, text } = this.chips[state], on = filter.states.has(state);
      chip.hidden = !counts[state] && !on && state !== "pending" && state !== "completed";
      chip.setAttribute("aria-pressed", `${on}`);
      setText(text, `${(counts[state] ?? 0).toLocaleString("en")} ${state}`);
    }
    this.only.setAttribute("aria-pressed", `${this.onlySelected}`);
    this.only.hidden = !desk.selected.size && !this.onlySelected;
    const all = board.count, part = this.order.length;
    setText(this.tally, part === all ? counted(all, "promise") : `${part.toLocaleString("en")} of ${counted(all, "promise")}`);
    this.bar.hidden = !all;
  }

  drawEmpty() {
    const { board, desk, empty } = this;
    const none = !board.count, left = !desk.live && desk.leftOut > 0;
    empty.hidden = this.order.length > 0;
    this.scroll.hidden = !empty.hidden;
    this.head.hidden = none;
    if (empty.hidden) return;
    const told = none ? (left ? "left" : desk.clock !== null && desk.tape.promises.length ? "past" : "none") : this.onlySelected && !desk.selected.size ? "unselected" : "filtered";
    if (empty.dataset.told === told) return;
    empty.dataset.told = told;
    if (told === "filtered" || told === "unselected") {
      const words = told === "filtered" ? "No promise is like that." : "No agent is selected.";
      empty.replaceChildren(make("p", "", words), button("Show all", "Take the filters off", () => this.showAll()));
    } else if (told === "past") empty.replaceChildren(make("p", "", "No promise was made up to here."));
    else if (told === "left") empty.replaceChildren(make("p", "", "This picture was saved without its history, so its promises are not in it."));
    else {
      const text = make("p", ""), code = (/** @type {string} */ words) => make("code", "wb-code", words);
      text.append("A promise is a value that comes later: ", code("wb.create_promise()"), " makes one, agents wait for it with ", code("await wb.await_promise(p)"), ", and ", code("wb.complete_promise(p, data)"), " gives it its value, once.");
      empty.replaceChildren(make("strong", "", "No promises yet"), text);
    }
  }

  showAll() {
    this.filter.states.clear();
    this.filter.text = "";
    this.onlySelected = false;
    this.search.value = "";
    this.relist();
  }

  /** @param {string} key */
  sort(key) {
    const { filter } = this;
    if (filter.sort === key) filter.down = !filter.down;
    else { filter.sort = key; filter.down = BOARD_COLUMNS.find(([name]) => name === key)?.[3] ?? false; }
    this.relist();
  }

  retheme() {
    this.theme = readTheme(this.el);
    this.themed = this.el.isConnected;
    for (const state of PROMISE_STATES) drawPromiseMark(this.chips[state].icon, state, this.theme);
    for (const node of this.list.shown.values()) { const row = this.rows.get(node); if (row) row.told.state = ""; }
    this.cardIcon.dataset.state = "";
  }

  resize() {
    const { el } = this, w = this.open >= 0 && el.clientWidth >= CARD_BESIDE ? el.clientWidth - 300 : el.clientWidth;
    const mode = w >= WIDE_BOARD ? "wide" : w >= TINY_BOARD ? "mid" : "tiny";
    el.classList.toggle("wb-promises-beside", el.clientWidth >= CARD_BESIDE);
    if (mode !== this.mode) {
      this.mode = mode;
      for (const name of ["wide", "mid", "tiny"]) el.classList.toggle(`wb-promises-in-${name}`, name === mode);
      const top = Math.floor(this.scroll.scrollTop / this.list.height);
      this.list.height = BOARD_ROW_H[/** @type {"wide"} */ (mode)];
      this.list.set(this.order.length, true);
      this.scroll.scrollTop = top * this.list.height;
    }
    this.alignHead();
  }

  /** The head leaves out what the list's scroll bar takes. */
  alignHead() {
    this.head.style.paddingRight = `${Math.max(0, this.scroll.offsetWidth - this.scroll.clientWidth) + 10}px`;
  }

  // ---- rows --------------------------------------------------------------------------------------------------------

  /** @param {number} index */
  makeRow(index) {
    const row = make("div", "wb-promises-row"), icon = make("canvas", "wb-promises-mark"), word = make("span", "wb-promises-word");
    row.setAttribute("role", "row");
    icon.setAttribute("aria-hidden", "true");
    /** @type {Record<string, HTMLElement>} */ const cells = {};
    for (const [key] of BOARD_COLUMNS) {
      const cell = (cells[key] = make("div", `wb-promises-${key}`));
      cell.setAttribute("role", "gridcell");
      row.append(cell);
    }
    cells.state.append(icon, word);
    /** @type {BoardRow} */ const parts = { row, cells, icon, word, told: {}, number: -1 };
    this.rows.set(row, parts);
    row.onclick = () => { this.at = parts.number; if (this.open === parts.number) this.shut(); else this.show(parts.number); };
    this.fillRow(parts, index);
    return row;
  }

  fillRows() {
    for (const [index, node] of this.list.shown) { const parts = this.rows.get(node); if (parts) this.fillRow(parts, index); }
    if (this.at >= 0) this.main.setAttribute("aria-activedescendant", `${this.id}-${this.at}`);
    else this.main.removeAttribute("aria-activedescendant");
  }

  /** Bring a row up to date; only what changed is written. @param {BoardRow} parts @param {number} index */
  fillRow(parts, index) {
    const { board } = this, record = board.records[this.order[index]];
    if (!record) return;
    const { cells, told, row } = parts, state = board.stateOf(record);
    /** @param {string} key @param {string} value @param {(cell: HTMLElement) => void} draw */
    const cell = (key, value, draw) => { if (told[key] !== value) { told[key] = value; draw(cells[key]); } };
    if (parts.number !== record.number) { parts.number = record.number; row.id = `${this.id}-${record.number}`; }
    row.setAttribute("aria-rowindex", `${index + 1}`);
    row.classList.toggle("wb-open", this.open === record.number);
    row.classList.toggle("wb-at", this.at === record.number);
    row.setAttribute("aria-selected", `${this.open === record.number}`);
    cell("state", state, (node) => { drawPromiseMark(parts.icon, state, this.theme); setText(parts.word, state); node.title = /** @type {any} */ (STATE_MEANS)[state]; row.dataset.state = state; });
    const name = record.at ? `promise ${record.at}` : `promise #${record.number}`;
    cell("promise", name, (node) => { setText(node, name); node.title = `${name} of ${board.name(record.owner)}`; });
    cell("creator", `${record.owner} ${board.name(record.owner)}`, (node) => node.replaceChildren(this.agent(record.owner)));
    const waiting = [...record.waiting.keys()].slice(0, NAMES_SHOWN);
    cell("waits", `${record.waiting.size}:${waiting}`, (node) => this.fillWaiters(node, record.number, waiting, record.waiting.size));
    const by = state === "completed" && record.end >= 0 ? record.by : -2;
    cell("by", `${by} ${by >= -1 ? board.name(by) : ""}`, (node) => node.replaceChildren(...(by >= -1 ? [this.agent(by)] : [])));
    cell("ignored", `${record.ignored}`, (node) => { setText(node, record.ignored ? record.ignored.toLocaleString("en") : ""); node.title = record.ignored ? `${counted(record.ignored, "attempt")} came too late` : ""; });
    const age = describeTime(board.age(record, this.desk.now())), over = record.end >= 0;
    cell("age", `${age} ${over}`, (node) => { setText(node, age); node.classList.toggle("wb-faint", over); node.title = over ? `It was open for ${age}` : `Made ${age} ago`; });
    const line = board.line(record);
    cell("line", line, (node) => { setText(node, shortLine(line)); node.title = line; });
  }

  /** An agent's name in a row: the list is walked by its own keys. @param {number} slot */
  agent(slot) {
    const link = agentLink(this.desk, slot);
    link.tabIndex = -1;
    return link;
  }

  /** @param {HTMLElement} node @param {number} number @param {number[]} waiting the first ones @param {number} all */
  fillWaiters(node, number, waiting, all) {
    node.replaceChildren();
    if (!all) return;
    if (all > 1) {
      const every = button(all.toLocaleString("en"), `Select all ${all.toLocaleString("en")} that wait`, () => { const record = this.board.records[number]; if (record) this.desk.select([...record.waiting.keys()]); }, "wb-link wb-promises-many");
      every.tabIndex = -1;
      node.append(every);
    }
    node.append(...waiting.map((slot) => this.agent(slot)));
    if (all > waiting.length) node.append(make("span", "wb-faint", "…"));
  }

  /** Ages go on, once a second, while some promise is open and the list is in sight. */
  tick() {
    if (this.ticking || this.closed || !this.desk.live || this.desk.clock !== null || !(this.counts.pending || this.counts.orphaned)) return;
    this.ticking = setTimeout(() => {
      this.ticking = undefined;
      if (!this.el.clientWidth) return; // not shown: the next update begins again
      this.fillRows();
      if (this.open >= 0) this.drawCard();
      this.tick();
    }, BOARD_TICK_MS);
  }

  // ---- keys --------------------------------------------------------------------------------------------------------

  /** @param {KeyboardEvent} e @returns {boolean} whether it was for this view */
  key(e) {
    const target = /** @type {HTMLElement} */ (e.target);
    if (e.key === "Escape") { if (this.open < 0) return false; this.shut(); this.focus(); return true; }
    if (e.key === "/") { this.search.focus(); return true; }
    if (target !== this.main && target !== this.scroll) return false;
    const here = this.order.indexOf(this.at), last = this.order.length - 1, page = Math.max(1, Math.floor(this.scroll.clientHeight / this.list.height) - 1);
    const to = { ArrowDown: here + 1, ArrowUp: Math.max(0, here - 1), Home: 0, End: last, PageDown: here + page, PageUp: here - page }[e.key];
    if (to !== undefined) { this.walkTo(Math.max(0, Math.min(last, to))); return true; }
    if ((e.key === "Enter" || e.key === " ") && here >= 0) { if (this.open === this.at) this.shut(); else this.show(this.at); return true; }
    return false;
  }

  /** @param {number} index */
  walkTo(index) {
    if (index < 0 || index >= this.order.length) return;
    this.at = this.order[index];
    this.list.reveal(index);
    if (this.open >= 0 && this.open !== this.at) this.show(this.at);
    this.fillRows();
  }

  // ---- the opened promise ------------------------------------------------------------------------------------------

  /** @param {number} number */
  show(number) {
    this.open = this.at = number;
    this.known = null;
    this.knownError = this.said = "";
    this.form = undefined;
    this.asked = 0;
    this.card.replaceChildren();
    this.card.scrollTop = 0;
    this.askKnown(true);
    this.drawCard();
    this.resize();
    this.fillRows();
    const index = this.order.indexOf(number);
    if (index >= 0) this.list.reveal(index);
  }

  shut() {
    this.open = -1;
    this.form = undefined;
    this.card.hidden = true;
    this.resize();
    this.fillRows();
  }

  /** Ask the kernel who holds the opened promise; again when it changed. @param {boolean} first */
  askKnown(first) {
    const wait = this.asked + ANSWER_EVERY_MS - performance.now();
    if (!first && wait > 0) { this.asking ??= setTimeout(() => { this.asking = undefined; if (this.open >= 0 && !this.closed) this.askKnown(true); }, wait); return; }
    if (!first && !this.desk.live) return;
    this.asked = performance.now();
    const number = this.open, tape = this.desk.tape;
    this.desk.ask("promise", { number }, `${number}`).then(
      (known) => { if (this.open === number && this.desk.tape === tape) { this.known = known; this.knownError = ""; this.drawCard(); } },
      (error) => { if (this.open === number && this.desk.tape === tape) { this.knownError = error.message; this.drawCard(); } },
    );
  }

  /** Ask which pending promises nobody can complete; one that cannot tell is left alone for a while. */
  askOrphans() {
    const { desk, board } = this;
    if (desk.clock !== null || this.orphansLater || this.closed) return;
    this.orphansLater = setTimeout(() => {
      this.orphansLater = undefined;
      if (this.closed || !this.el.clientWidth || desk.clock !== null) return;
      this.orphansAsked = performance.now();
      const tape = desk.tape;
      desk.ask("orphans", {}, "all").then((found) => {
        if (this.closed || desk.tape !== tape || desk.clock !== null) return;
        const numbers = new Set(/** @type {number[]} */ (found?.numbers ?? []));
        if (numbers.size === board.orphans.size && [...numbers].every((number) => board.orphans.has(number))) return;
        board.orphans = numbers;
        this.relist();
        if (this.open >= 0) this.drawCard();
      }, () => { this.orphansAsked = performance.now() + ORPHANS_REST_MS; });
    }, Math.max(0, this.orphansAsked ? this.orphansAsked + ORPHANS_EVERY_MS - performance.now() : 50));
  }

  drawCard() {
    const { board, card, desk } = this, record = board.records[this.open];
    if (!record) { this.shut(); return; }
    if (card.hidden || !card.firstChild) this.buildCard();
    const state = this.known?.orphan && record.state === "pending" && desk.clock === null ? "orphaned" : board.stateOf(record);
    if (this.cardIcon.dataset.state !== state) { this.cardIcon.dataset.state = state; drawPromiseMark(this.cardIcon, state, this.theme); }
    setText(this.cardTitle, this.nameOf(record));
    this.drawFacts(record, state);
    this.drawCompletion(record);
    this.drawEvents(record);
  }

  /** @param {PromiseRecord} record */
  nameOf(record) { return record.at ? `promise ${record.at} of ${this.board.name(record.owner)}` : `promise #${record.number}`; }

  buildCard() {
    const { card } = this;
    const head = make("div", "wb-promises-card-head");
    this.cardIcon.setAttribute("aria-hidden", "true");
    const shut = button("×", "Close (Escape)", () => { this.shut(); this.focus(); }, "wb-tool");
    shut.setAttribute("aria-label", "Close");
    head.append(this.cardIcon, this.cardTitle, shut);
    card.replaceChildren(head, this.cardFacts, this.cardDo, this.cardEvents);
    card.hidden = false;
    this.factsTold = this.doTold = this.eventsTold = "";
  }

  /** @param {PromiseRecord} record @param {string} state */
  drawFacts(record, state) {
    const { board, desk, known } = this, past = desk.clock !== null, waiting = [...record.waiting.keys()];
    const age = describeTime(board.age(record, desk.now()));
    const told = JSON.stringify([record.number, state, past, known, this.knownError, waiting.length, waiting.slice(0, LINKS_SHOWN_MOST + 1), waiting[waiting.length - 1], record.ignored, record.by, record.end, board.labels]);
    if (told !== this.factsTold) {
      this.factsTold = told;
      /** @type {HTMLElement[]} */ const parts = [];
      /** @param {string} term @param {(string | HTMLElement)[]} what @param {string} [kind] */
      const fact = (term, what, kind = "") => { const cell = make("div", kind); cell.append(...what); parts.push(make("div", "wb-faint", term), cell); return cell; };
      this.cardState = fact("state", []);
      if (record.end >= 0 && record.state === "completed") fact("completed by", [agentLink(desk, record.by), " ", entryLink(desk, desk.tape.seq[record.end])]);
      if (known?.value != null && record.state === "completed") fact("value", [known.value], "wb-code");
      if (record.state !== "completed" || waiting.length) fact("waiting", waiting.length ? this.many(waiting) : ["nobody"]);
      if (known) {
        if (known.holders) fact(past ? "held now by" : "held by", known.holders.length ? this.many(known.holders) : ["nobody"]);
        if (known.can_complete && record.state === "pending") fact("could complete it", known.can_complete.length ? this.many(known.can_complete) : ["nobody alive"]);
        if (known.note && (!past || record.state !== "pending")) fact("note", [known.note], known.orphan ? "wb-error" : "");
      } else fact("held by", [this.knownError ? `not known: ${this.knownError}` : "asking…"], "wb-faint");
      if (record.ignored) fact("ignored", [`${counted(record.ignored, "attempt")} that came too late`]);
      if (record.made >= 0) fact("made by", [agentLink(desk, record.owner), " ", entryLink(desk, desk.tape.seq[record.made])]);
      const line = board.line(record);
      if (line) { const cell = fact("line", [shortLine(line)], "wb-code"); cell.title = line; if (known?.source) cell.append(make("div", "wb-promises-source", known.source)); }
      if (known?.id) fact("id", [known.id], "wb-code");
      this.cardFacts.replaceChildren(...parts);
    }
    const words = record.end >= 0 ? `${state} after ${age}` : state === "unknown" ? state : `${state} for ${age}`;
    if (this.cardState) setText(this.cardState, state === "completed" || state === "pending" ? words : `${words}: ${/** @type {any} */ (STATE_MEANS)[state]}`);
  }

  /** Names of agents, by slot or id, as links. @param {(number | string)[]} agents @returns {HTMLElement[]} */
  many(agents) {
    const { desk } = this, shown = agents.slice(0, LINKS_SHOWN_MOST);
    const slots = agents.map((one) => (typeof one === "number" ? one : desk.tape.slotOf(one)));
    /** @type {HTMLElement[]} */ const nodes = shown.map((one, i) => { const line = make("div", "wb-promises-one"); line.append(slots[i] >= 0 ? agentLink(desk, slots[i]) : make("span", "wb-code", `${one}`)); return line; });
    if (agents.length > 1) nodes.unshift(button(`all ${agents.length.toLocaleString("en")}`, "Select them all", () => desk.select(slots.filter((slot) => slot >= 0)), "wb-link"));
    if (agents.length > shown.length) nodes.push(make("div", "wb-faint", `and ${(agents.length - shown.length).toLocaleString("en")} more`));
    return nodes;
  }

  /** What happened to it, in order. @param {PromiseRecord} record */
  drawEvents(record) {
    const { desk, board } = this, { tape } = desk, rows = tape.promises[record.number].rows;
    let n = rows.length;
    while (n > 0 && rows[n - 1] >= board.upto) n--;
    const told = `${record.number} ${n} ${board.labels}`;
    if (told === this.eventsTold) return;
    this.eventsTold = told;
    const head = make("div", "wb-faint", "what happened"), list = make("ol", "wb-promises-story");
    const picked = n <= EVENTS_SHOWN ? rows.slice(0, n) : [...rows.slice(0, EVENTS_SHOWN / 2), -1, ...rows.slice(n - EVENTS_SHOWN / 2, n)];
    for (const row of picked) {
      const item = make("li", "");
      if (row < 0) item.append(make("span", "wb-faint", `${(n - EVENTS_SHOWN).toLocaleString("en")} more`));
      else { const [before, after] = promiseEventWords(tape.b[row]); item.append(entryLink(desk, tape.seq[row]), " ", before, agentLink(desk, tape.slot[row]), after); }
      list.append(item);
    }
    this.cardEvents.replaceChildren(head, list);
  }

  // ---- completing by hand ------------------------------------------------------------------------------------------

  /** @param {PromiseRecord} record */
  drawCompletion(record) {
    const { desk, cardDo } = this;
    const why = whyNoCompletion(desk.live, desk.clock), possible = record.state === "pending";
    if (!possible || why) this.form = undefined;
    const told = `${record.number} ${possible} ${why} ${this.said} ${!!this.form}`;
    if (told === this.doTold) return;
    this.doTold = told;
    const said = this.said ? [make("div", "wb-promises-said", this.said)] : [];
    if (!possible) { cardDo.replaceChildren(...said); return; }
    if (this.form) { cardDo.replaceChildren(this.form, ...said); return; }
    const act = button("Complete by hand…", why || "Give it a value from here", () => this.openForm());
    act.disabled = !!why;
    const parts = [act, ...said];
    if (why) {
      const reason = make("div", "wb-faint wb-promises-why", why);
      if (desk.live) reason.append(" ", button("Go there", "Show the live edge", () => desk.goTo(null), "wb-link"));
      parts.push(reason);
    }
    cardDo.replaceChildren(...parts);
  }

  openForm() {
    const form = make("div", "wb-promises-form"), label = make("label", "wb-faint", "Its value, as JSON"), field = make("textarea", "wb-promises-field wb-code"), words = make("div", "wb-promises-valid"), row = make("div", "wb-promises-buttons");
    field.rows = 3;
    field.spellcheck = false;
    field.placeholder = "{\"ok\": true}";
    label.append(field);
    const go = button("Complete…", "Say what it will do, then ask", () => this.complete(field.value), "wb-button wb-primary"), no = button("Cancel", "Leave it open (Escape)", () => { this.form = undefined; this.drawCard(); this.focus(); });
    const check = () => { const { ok, words: said } = jsonWords(field.value); go.disabled = !ok; setText(words, said); words.classList.toggle("wb-error", !ok && !!field.value.trim()); words.classList.toggle("wb-ok", ok); field.setAttribute("aria-invalid", `${!ok && !!field.value.trim()}`); };
    field.oninput = check;
    field.onkeydown = (e) => {
      e.stopPropagation();
      if (e.key === "Escape") { e.preventDefault(); no.click(); } else if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); if (!go.disabled) go.click(); }
    };
    row.append(no, go);
    form.append(label, words, row);
    this.form = form;
    this.said = "";
    check();
    this.drawCard();
    field.focus();
    form.scrollIntoView({ block: "nearest" });
  }

  /** @param {string} text JSON */
  async complete(text) {
    const { desk } = this, number = this.open, record = this.board.records[number];
    if (!record || record.state !== "pending" || !jsonWords(text).ok || this.sure) return;
    this.sure = true;
    const yes = await confirmHere(this.el, completionWords(this.nameOf(record), text, record.waiting.size), "Complete");
    this.sure = false;
    if (!yes || this.closed) { /** @type {HTMLElement | null | undefined} */ (this.form?.querySelector("textarea"))?.focus(); return; }
    try {
      const { first } = await desk.ask("complete", { number, text: text.trim() });
      this.say(number, first ? "Completed." : "Somebody completed it before: the first completion stands.", true);
    } catch (error) { this.say(number, /** @type {Error} */ (error).message, false); }
  }

  /** @param {number} number @param {string} words @param {boolean} done */
  say(number, words, done) {
    if (this.closed || this.open !== number) return;
    this.said = words;
    if (done) this.form = undefined;
    this.askKnown(true);
    this.drawCard();
    if (done) this.focus();
  }
}
