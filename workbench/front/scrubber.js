// @ts-check
// One slider for all views: by entry or by time, both ways, with a live edge, marks and bookmarks.
import { FAILED, describeTime } from "./graph_store.js";
import { make, setText } from "./graph.js";
import { button, sharpPen } from "./marks.js";
import { STATUS_ROW } from "./tape.js";
import { readTheme } from "./graph_paint.js";

const SCRUB_H = 34, GRAIN = 2, PLAY_MS = 50, PLAY_SECONDS = 12;

/** How much happened where: rows per column of the slider, and where agents failed. Grows with the tape. */
export class Density {
  /** @param {number} columns */
  constructor(columns) {
    this.counts = new Uint32Array(columns);
    this.failed = new Uint8Array(columns);
    this.rows = 0;
    this.key = "";
  }

  /** @param {import("./tape.js").Tape} tape @param {boolean} byTime @param {number} from @param {number} to the ends of the slider, in its unit */
  read(tape, byTime, from, to) {
    const n = this.counts.length, key = `${byTime} ${from} ${to}`;
    if (key !== this.key || this.rows > tape.rows) { this.counts.fill(0); this.failed.fill(0); this.rows = 0; this.key = key; }
    const scale = to > from ? (n - 1) / (to - from) : 0, places = byTime ? tape.wall : tape.seq;
    for (let row = this.rows; row < tape.rows; row++) {
      const column = Math.min(n - 1, Math.max(0, Math.round((places[row] - from) * scale)));
      this.counts[column]++;
      if (tape.kind[row] === STATUS_ROW && tape.statusIn(row) === FAILED) this.failed[column] = 1;
    }
    this.rows = tape.rows;
  }
}

/** The entry after or before the one shown, of some agents or of any. @param {import("./tape.js").Tape} tape @param {number} seq @param {1 | -1} way @param {Set<number>} [slots] */
export function stepFrom(tape, seq, way, slots) {
  const at = tape.rowsUntil(seq);
  if (way > 0) {
    for (let row = at; row < tape.rows; row++) if (!slots?.size || slots.has(tape.slot[row])) return tape.seq[row];
    return null;
  }
  let row = at - 1;
  while (row >= 0 && tape.seq[row] >= seq) row--;
  for (; row >= 0; row--) if (!slots?.size || slots.has(tape.slot[row])) return tape.seq[row];
  return tape.firstSeq;
}

/** The slider under the views. */
export class Scrubber {
  /** @param {import("./desk.js").Desk} desk @param {HTMLElement} el @param {(text: string) => void} say */
  constructor(desk, el, say) {
    this.desk = desk;
    this.say = say;
    this.byTime = false;
    this.playing = 0;
    this.density = new Density(2);
    el.classList.add("wb-scrub");
    this.back = button("‹", "One entry back (Left; with Shift: of the selected agents)", () => this.step(-1, false), "wb-tool");
    this.play = button("▶", "Play from here (Space)", () => this.toggle(), "wb-tool");
    this.on = button("›", "One entry on (Right; with Shift: of the selected agents)", () => this.step(1, false), "wb-tool");
    this.track = make("div", "wb-track");
    this.canvas = make("canvas", "wb-track-canvas");
    this.knob = make("div", "wb-knob");
    this.track.append(this.canvas, this.knob);
    this.track.tabIndex = 0;
    this.track.setAttribute("role", "slider");
    this.track.setAttribute("aria-label", "Entry that all views show. Left and Right step, with Shift by the selected agents, Page keys jump, End is live, B sets a bookmark.");
    this.unit = button("entry", "Switch between entries and time (T)", () => this.switchUnit(), "wb-button wb-unit");
    this.place = make("span", "wb-place");
    this.star = button("☆", "Bookmark this entry (B)", () => this.bookmark(), "wb-tool");
    this.live = button("live", "Follow what happens (End)", () => this.desk.goTo(null), "wb-button wb-live");
    el.append(this.back, this.play, this.on, this.track, this.place, this.unit, this.star, this.live);
    this.track.addEventListener("pointerdown", (e) => this.press(e));
    this.track.addEventListener("pointermove", (e) => { if (this.dragging) this.drag(e); });
    this.track.addEventListener("pointerup", () => { this.dragging = false; });
    this.track.addEventListener("pointercancel", () => { this.dragging = false; });
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.track);
  }

  close() {
    this.sizes.disconnect();
    clearInterval(this.playing);
  }

  /** Ends of the slider, in its unit. */
  ends() {
    const { tape } = this.desk;
    return this.byTime ? [tape.firstWall, tape.lastWall] : [tape.firstSeq, tape.lastSeq];
  }

  /** @param {number} part of the slider, 0 to 1 */
  at(part) {
    const { tape } = this.desk, [from, to] = this.ends(), place = from + (to - from) * Math.max(0, Math.min(1, part));
    if (!this.byTime) return Math.round(place);
    const row = tape.rowAt(place);
    return row >= 0 ? tape.seq[row] : tape.firstSeq;
  }

  /** @param {number} seq @returns {number} 0 to 1 */
  part(seq) {
    const { tape } = this.desk, [from, to] = this.ends();
    return to > from ? Math.max(0, Math.min(1, ((this.byTime ? tape.wallOf(seq) : seq) - from) / (to - from))) : 1;
  }

  /** @param {PointerEvent} e */
  press(e) {
    if (e.button) return;
    this.dragging = true;
    if (e.isTrusted) this.track.setPointerCapture(e.pointerId);
    this.drag(e);
  }

  /** @param {PointerEvent} e */
  drag(e) {
    const box = this.track.getBoundingClientRect(), part = (e.clientX - box.left) / box.width;
    const near = this.bookmarks().find(([seq]) => Math.abs(this.part(seq) - part) * box.width < 4);
    this.desk.goTo(part >= 0.999 ? null : near ? near[0] : this.at(part));
  }

  /** @param {1 | -1} way @param {boolean} ofSelected */
  step(way, ofSelected) {
    const { desk } = this, from = desk.clock ?? desk.tape.lastSeq;
    const to = stepFrom(desk.tape, from, way, ofSelected ? desk.selected : undefined);
    if (to === null) { if (way > 0) desk.goTo(null); return; }
    desk.goTo(to);
  }

  toggle() {
    if (this.playing) { clearInterval(this.playing); this.playing = 0; this.drawWords(); return; }
    const { desk } = this, [from, to] = this.ends();
    let part = desk.clock === null || desk.clock >= desk.tape.lastSeq ? 0 : this.part(desk.clock);
    let then = performance.now();
    this.playing = /** @type {any} */ (setInterval(() => {
      const now = performance.now();
      part += (now - then) / 1000 / PLAY_SECONDS;
      then = now;
      if (part >= 1 || from === to) { clearInterval(this.playing); this.playing = 0; desk.goTo(null); this.drawWords(); return; }
      desk.goTo(this.at(part));
    }, PLAY_MS));
    this.drawWords();
  }

  switchUnit() {
    this.byTime = !this.byTime;
    setText(this.unit, this.byTime ? "time" : "entry");
    this.draw();
  }

  /** @returns {[number, string][]} */
  bookmarks() { return this.desk.model.get("bookmarks") ?? []; }

  bookmark() {
    const { desk } = this, seq = desk.clock ?? desk.tape.lastSeq, before = this.bookmarks();
    const after = before.some(([at]) => at === seq) ? before.filter(([at]) => at !== seq) : [...before, [seq, `entry ${seq}`]].sort((a, b) => Number(a[0]) - Number(b[0]));
    desk.model.set("bookmarks", after);
    desk.model.save_changes();
    this.say(after.length > before.length ? `bookmark at entry ${seq}` : `bookmark at entry ${seq} removed`);
    this.draw();
  }

  /** To the next or the last bookmark. @param {1 | -1} way */
  jump(way) {
    const seq = this.desk.clock ?? this.desk.tape.lastSeq + 1, seqs = this.bookmarks().map(([at]) => at);
    const to = way > 0 ? seqs.find((at) => at > seq) : seqs.reverse().find((at) => at < seq);
    if (to !== undefined) this.desk.goTo(to);
  }

  /** @param {KeyboardEvent} e @returns {boolean} whether it meant something here */
  key(e) {
    const { desk } = this, [from, to] = [desk.tape.firstSeq, desk.tape.lastSeq], page = Math.max(1, Math.round((to - from) / 20));
    const act = /** @type {Record<string, () => void>} */ ({
      ArrowLeft: () => this.step(-1, e.shiftKey), ArrowRight: () => this.step(1, e.shiftKey),
      ArrowDown: () => this.step(-1, e.shiftKey), ArrowUp: () => this.step(1, e.shiftKey),
      PageUp: () => desk.goTo((desk.clock ?? to) - page), PageDown: () => desk.goTo((desk.clock ?? to) + page),
      Home: () => desk.goTo(from), End: () => desk.goTo(null),
      b: () => this.bookmark(), B: () => this.bookmark(), t: () => this.switchUnit(), T: () => this.switchUnit(),
      "[": () => this.jump(-1), "]": () => this.jump(1), " ": () => this.toggle(),
    })[e.key];
    if (!act) return false;
    act();
    return true;
  }

  /** @param {boolean} [words] only what is written and the knob */
  draw(words = false) {
    const { desk, track } = this, w = track.clientWidth;
    if (w < 2) return;
    if (!words) this.drawTrack(w);
    this.drawWords();
  }

  /** @param {number} w */
  drawTrack(w) {
    const { desk } = this, { tape } = desk, theme = readTheme(this.track), g = sharpPen(this.canvas, w, SCRUB_H);
    const columns = Math.max(2, Math.floor(w / GRAIN)), [from, to] = this.ends();
    if (this.density.counts.length !== columns) this.density = new Density(columns);
    this.density.read(tape, this.byTime, from, to);
    const { counts, failed } = this.density, most = Math.max(1, ...counts), ground = SCRUB_H - 9;
    g.fillStyle = theme.line;
    g.fillRect(0, ground, w, 1);
    g.fillStyle = theme.edge;
    for (let i = 0; i < columns; i++) if (counts[i]) { const h = 2 + (ground - 4) * Math.sqrt(counts[i] / most); g.fillRect(i * GRAIN, ground - h, GRAIN - 0.5, h); }
    g.fillStyle = theme.colours[FAILED];
    for (let i = 0; i < columns; i++) if (failed[i]) g.fillRect(i * GRAIN - 1, ground + 2, 3, 3);
    g.strokeStyle = theme.faint;
    g.setLineDash([2, 2]);
    for (const row of tape.marks.slice(1)) { const x = Math.round(this.part(tape.seq[row]) * (w - 1)) + 0.5; g.beginPath(); g.moveTo(x, 0); g.lineTo(x, SCRUB_H); g.stroke(); }
    g.setLineDash([]);
    g.fillStyle = theme.brand;
    for (const [seq] of this.bookmarks()) { const x = this.part(seq) * (w - 1); g.beginPath(); g.moveTo(x - 4, 0); g.lineTo(x + 4, 0); g.lineTo(x, 7); g.fill(); }
  }

  drawWords() {
    const { desk } = this, { tape } = desk, seq = desk.clock ?? tape.lastSeq, w = this.track.clientWidth;
    const catching = tape.total > tape.lastSeq ? `, reading ${Math.floor((100 * tape.lastSeq) / tape.total)} %` : "";
    this.knob.style.transform = `translateX(${(desk.clock === null ? 1 : this.part(seq)) * (w - 1)}px)`;
    this.knob.classList.toggle("wb-past", desk.clock !== null);
    const after = describeTime(tape.wallOf(seq) - tape.firstWall) || "0 ms";
    setText(this.place, `entry ${seq.toLocaleString("en")}${desk.clock === null ? "" : ` of ${tape.lastSeq.toLocaleString("en")}`}, ${after} in${catching}`);
    this.track.setAttribute("aria-valuemin", `${tape.firstSeq}`);
    this.track.setAttribute("aria-valuemax", `${tape.lastSeq}`);
    this.track.setAttribute("aria-valuenow", `${seq}`);
    this.track.setAttribute("aria-valuetext", desk.clock === null && desk.live ? `live, entry ${seq}` : `entry ${seq} of ${tape.lastSeq}`);
    setText(this.live, desk.clock !== null ? (desk.live ? "go live" : "to the end") : desk.live ? "live" : "end");
    this.live.classList.toggle("wb-on", desk.clock === null && desk.live);
    setText(this.play, this.playing ? "❚❚" : "▶");
    setText(this.star, this.bookmarks().some(([at]) => at === seq) ? "★" : "☆");
  }
}
