// @ts-check
// The agent graph as a part of the dashboard: what the tape tells, as the store that the graph draws.
import { CALL, IDLE, PROMISE, STATUS, Store, TRIGGER } from "./graph_store.js";
import { View } from "./graph.js";
import { AGENT_ROW, CLOSE_ROW, COMPLETED, LABEL_ROW, OPEN_ROW, PROMISE_ROW, STATUS_ROW } from "./tape.js";

const LINKS_SHOWN = new Set([CALL, TRIGGER, PROMISE]);

/** A store that is filled from a tape, at the live edge row by row. */
export class TapeStore extends Store {
  /** Everything as of a moment. @param {import("./tape.js").Tape} tape @param {import("./tape.js").Moment} moment */
  show(tape, moment) {
    this.reset();
    this.grow(Math.max(moment.n, this.cap));
    for (let slot = 0; slot < moment.n; slot++) this.add(tape, slot);
    for (let slot = 0; slot < moment.n; slot++) {
      const row = moment.last[slot];
      if (row >= 0) this.restate(slot, tape.statusIn(row), tape.wall[row]);
    }
    for (const [kind, row] of tape.firstLinks) if (row < moment.row) this.kinds.add(kind);
    for (const row of moment.links.values()) this.link(tape, row);
    for (const [slot, label] of tape.labels) if (slot < moment.n) this.labels.set(slot, label);
    return { snapshot: true, from: 0, changed: new Int32Array(0), links: true, flashes: new Int32Array(0) };
  }

  /** What some more rows changed. @param {import("./tape.js").Tape} tape @param {number} from @param {number} to @returns {import("./graph_store.js").Change} */
  advance(tape, from, to) {
    /** @type {Set<number>} */ const changed = new Set(), known = this.n;
    /** @type {number[]} */ const flashes = [];
    let links = false;
    for (let row = from; row < to; row++) {
      const kind = tape.kind[row], slot = tape.slot[row];
      if (kind === AGENT_ROW) { this.add(tape, slot); changed.add(slot); }
      else if (kind === STATUS_ROW) { this.restate(slot, tape.statusIn(row), tape.wall[row]); changed.add(slot); }
      else if (kind === OPEN_ROW) { this.link(tape, row); links = true; }
      else if (kind === CLOSE_ROW) { this.links.delete(tape.c[row]); links = true; }
      else if (kind === LABEL_ROW) { this.labels.set(slot, tape.texts[tape.c[row]]); changed.add(slot); }
      else if (kind === PROMISE_ROW && tape.b[row] === COMPLETED) { const owner = tape.promises[tape.a[row]].owner; if (owner >= 0 && slot >= 0) flashes.push(slot, owner); }
    }
    return { snapshot: false, from: known, changed: Int32Array.from(changed), links, flashes: Int32Array.from(flashes) };
  }

  /** @param {import("./tape.js").Tape} tape @param {number} slot */
  add(tape, slot) {
    if (slot < this.n) return;
    this.grow(slot + 1);
    this.parents[slot] = tape.parents[slot];
    this.origins[slot] = tape.origins[slot];
    this.statuses[slot] = IDLE;
    this.ids[slot] = tape.ids[slot];
    this.since[slot] = tape.wall[tape.born[slot]];
    this.n = slot + 1;
    this.count(slot, IDLE, 1);
    const kids = this.kids.get(tape.parents[slot]);
    if (kids) kids.push(slot);
    else this.kids.set(tape.parents[slot], [slot]);
  }

  /** @param {number} slot @param {number} status @param {number} wall */
  restate(slot, status, wall) {
    this.count(slot, this.statuses[slot], -1);
    this.statuses[slot] = status;
    this.count(slot, status, 1);
    this.since[slot] = wall;
  }

  /** @param {import("./tape.js").Tape} tape @param {number} row */
  link(tape, row) {
    const kind = tape.b[row];
    this.kinds.add(kind);
    if (LINKS_SHOWN.has(kind)) this.links.set(tape.c[row], { kind, from: tape.slot[row], to: tape.a[row] });
  }
}

/** The graph as of the desk's clock. */
export class GraphPane {
  /** @param {import("./desk.js").Desk} desk @param {HTMLElement} el */
  constructor(desk, el) {
    this.desk = desk;
    this.store = new TapeStore();
    this.tape = desk.tape;
    this.rows = 0; // of the tape, that the store holds; -1 at a past clock
    const pane = this;
    this.selecting = false;
    this.store.now = () => desk.now();
    /** @type {import("./graph.js").Owner} */
    this.owner = {
      store: this.store,
      get live() { return desk.live || desk.clock !== null; },
      ask(question) { if (question.t === "details") pane.details(question.slot); },
      selected: () => [...desk.selected],
      select(slots) { pane.selecting = true; desk.select(slots); pane.selecting = false; },
    };
    this.view = new View(this.owner, el);
    this.update({ rows: true, clock: true, selection: true, theme: false, kernel: false });
  }

  /** @param {import("./desk.js").News} news */
  update(news) {
    const { desk, store, view } = this;
    if (desk.tape !== this.tape) { this.tape = desk.tape; this.rows = -1; }
    if (desk.clock !== null || this.rows < 0 || news.clock) {
      if (news.clock || this.rows < 0) {
        const before = store.n;
        view.take(store.show(desk.tape, desk.moment));
        if (before !== store.n) view.grown = true;
        if (view.open) view.showDetails(view.focus, null);
      }
      this.rows = desk.clock === null ? desk.tape.rows : -1;
    } else if (desk.tape.rows > this.rows) {
      const change = store.advance(desk.tape, this.rows, desk.tape.rows);
      this.rows = desk.tape.rows;
      view.take(change);
    }
    if (news.selection && !this.selecting) view.reselect();
  }

  /** What the card tells: at the live edge what the kernel knows, in the past what the tape does. @param {number} slot */
  async details(slot) {
    const { desk, view } = this;
    if (desk.clock === null) {
      try { view.showDetails(slot, await desk.ask("details", { slot }, `${slot}`)); return; } catch { /* told below, from the tape */ }
    }
    view.showDetails(slot, this.known(slot));
  }

  /** @param {number} slot */
  known(slot) {
    const { tape, moment } = this.desk, row = slot < moment.n ? moment.last[slot] : -1, status = tape.statusIn(row);
    const waits = [...moment.links.values()].filter((at) => tape.slot[at] === slot && LINKS_SHOWN.has(tape.b[at])).map((at) => ({
      op: at, kind: ["", "call", "trigger", "promise"][tape.b[at]], on: tape.ids[tape.a[at]], what: "", since: tape.wall[at] * 1e6, line: "",
    }));
    const what = tape.whatIn(row);
    if (what && !waits.length) waits.push({ op: row, kind: "timer", on: "", what, since: tape.wall[row] * 1e6, line: "" });
    return { status: STATUS[status], method: tape.methodIn(row), running: status > 1 && status !== 4, waits, waiting_for: waits.length, retries: [], origin: ["spawned", "forked", "root"][tape.origins[slot]], pending: 0, finished: 0, failed: 0, error: "" };
  }

  focus() { this.view.stage.focus(); }

  close() { this.view.close(); }
}

