// @ts-check
// The timeline's pixels. One canvas holds lanes, bars, arrows, names and the axis; another, over it, what follows the
// pointer and the clock. Only what is in sight is drawn.
import { DONE, EXITED, FAILED, INTERRUPTED, QUEUED, READING_ORDER, RETRYING, ROOT, RUNNING, SUSPENDED, UNDEFINED, WAITING } from "./graph_store.js";
import { drawShape, fitting } from "./graph_paint.js";
import { CALL_ARROW, COMPLETION_ARROW, FORK_ARROW, FOR_CALL, FOR_PROMISE, FOR_STEP, REPLY_ARROW, SCHEDULE_ARROW, TRIGGER_ARROW } from "./tape.js";
import { FRESH, TAKEN_BACK, countStatuses, isUnderWay, kindOfAll } from "./lanes.js";
import { countedHubs } from "./arrows.js";
import { lengthText } from "./time_axis.js";

export const AXIS_H = 26;
const BAR_H = 13, SLIM_H = 8, INDENT = 12, DEEPEST = 7, TEXT_W = 5.7, LABEL_LEAST = 46, DRAWN_A_FAN = 36, PILL_LEAST = 10, STUBS_FROM = 24, STUB = 28, NEAR = 5, HATCH = 6;

/** Lines of messages: `status` gives the colour, -1 is the faint ink. @type {Record<number, {status: number, dash: number[], width: number, name: string}>} */
export const ARROW_LOOKS = {
  [CALL_ARROW]: { status: RUNNING, dash: [], width: 1.3, name: "call" },
  [REPLY_ARROW]: { status: -1, dash: [], width: 1.1, name: "reply" },
  [TRIGGER_ARROW]: { status: RUNNING, dash: [6, 3], width: 1.3, name: "trigger" },
  [COMPLETION_ARROW]: { status: DONE, dash: [], width: 1.9, name: "completion" },
  [FORK_ARROW]: { status: UNDEFINED, dash: [8, 3, 2, 3], width: 1.5, name: "fork" },
  [SCHEDULE_ARROW]: { status: WAITING, dash: [1.5, 3.5], width: 1.7, name: "schedule" },
};

/** @typedef {import("./graph_paint.js").Theme} Theme */
/** A segment of the critical path on a lane. @typedef {{slot: number, begin: number, end: number, kind: string, what: string}} PathPart */
/** @typedef {{tape: import("./tape.js").Tape, moment: import("./tape.js").Moment, rows: number, edge: number, clock: number, past: boolean, top: number, selected: Set<number>, arrows: Set<number>, path: PathPart[] | null, pathSlots: Set<number>}} Scene `edge` and `clock` are values; `top` is how far the lanes are scrolled */
/** What was drawn and can be pointed at. @typedef {{x1: number, y1: number, x2: number, y2: number, line: import("./arrows.js").ArrowLine, fan: import("./arrows.js").ArrowFan | null}} DrawnArrow */

/** Whether the count of messages of a kind stands where the last one arrives. @param {number} kind */
function meetsLate(kind) { return kind === REPLY_ARROW || kind === COMPLETION_ARROW; }

/** Hatches by colour, for one canvas. */
export class Hatches {
  /** @param {number} ratio pixels of the screen a CSS pixel */
  constructor(ratio) {
    this.ratio = ratio;
    /** @type {Map<string, CanvasPattern | string>} */ this.known = new Map();
  }

  /** @param {CanvasRenderingContext2D} g @param {string} colour */
  of(g, colour) {
    let pattern = this.known.get(colour);
    if (pattern) return pattern;
    const tile = document.createElement("canvas"), size = Math.round(HATCH * this.ratio), pen = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
    tile.width = tile.height = size;
    pen.strokeStyle = colour;
    pen.lineWidth = 1.3 * this.ratio;
    pen.beginPath();
    for (const by of [-size, 0, size]) { pen.moveTo(by - 1, size + 1); pen.lineTo(by + size + 1, -1); }
    pen.stroke();
    pattern = g.createPattern(tile, "repeat") ?? colour;
    if (typeof pattern !== "string") pattern.setTransform(new DOMMatrix().scale(1 / this.ratio));
    this.known.set(colour, pattern);
    return pattern;
  }
}

/**
 * One bar, its middle at height y.
 * @param {CanvasRenderingContext2D} g @param {Theme} theme @param {Hatches} hatches
 * @param {number} status @param {number} reasons what it waits for @param {number} look @param {number} x1 @param {number} x2 @param {number} y
 */
export function paintBar(g, theme, hatches, status, reasons, look, x1, x2, y) {
  const colour = theme.colours[status], w = Math.max(1.4, x2 - x1), thick = status === RUNNING || status === RETRYING, h = thick ? BAR_H : SLIM_H;
  const ground = () => { g.fillStyle = theme.ground; g.fillRect(x1, y - h / 2, w, h); g.fillStyle = colour; };
  if (look !== FRESH) {
    ground();
    g.globalAlpha = 0.16;
    g.fillRect(x1, y - h / 2, w, h);
    g.globalAlpha = look === TAKEN_BACK ? 0.4 : 0.75;
    if (look === TAKEN_BACK) {
      if (w > 3) { g.strokeStyle = colour; g.lineWidth = 1; g.setLineDash([]); g.strokeRect(x1 + 0.5, y - h / 2 + 0.5, w - 1, h - 1); }
      g.globalAlpha = 1;
      g.fillStyle = theme.ink;
      g.fillRect(x1 - 1, y - 0.75, w + 2, 1.5);
    } else {
      g.fillStyle = hatches.of(g, colour);
      g.fillRect(x1, y - h / 2, w, h);
      g.globalAlpha = 1;
    }
    return;
  }
  g.fillStyle = g.strokeStyle = colour;
  if (status === RUNNING) {
    if (reasons & FOR_STEP && w > 2.5) {
      ground();
      g.globalAlpha = 0.28;
      g.fillRect(x1, y - h / 2, w, h);
      g.globalAlpha = 1;
      g.fillRect(x1, y - h / 2, w, 2.5);
      g.fillRect(x1, y + h / 2 - 2.5, w, 2.5);
    } else g.fillRect(x1, y - h / 2, w, h);
  } else if (status === RETRYING) {
    ground();
    for (let x = x1; x < x1 + w; x += 7) g.fillRect(x, y - h / 2, Math.min(4.5, x1 + w - x), h);
  } else if (status === WAITING || status === SUSPENDED) {
    if (reasons & FOR_CALL || !reasons) g.fillRect(x1, y - 1.5, w, 3);
    else if (reasons & FOR_PROMISE) {
      if (w < 5) { g.fillRect(x1, y - 1.5, w, 3); return; }
      g.lineWidth = 3.4;
      g.lineCap = "round";
      g.setLineDash([0.01, 6.5]);
      g.beginPath(); g.moveTo(x1 + 1.7, y); g.lineTo(x1 + w - 1, y); g.stroke();
      g.setLineDash([]);
      g.lineCap = "butt";
    } else {
      g.fillRect(x1, y - 0.6, w, 1.2);
      if (w < 900) for (let x = x1; x < x1 + w; x += 7) g.fillRect(x, y - 3.5, 1.2, 7);
      else { g.lineWidth = 7; g.setLineDash([1.2, 5.8]); g.beginPath(); g.moveTo(x1, y); g.lineTo(x1 + w, y); g.stroke(); g.setLineDash([]); }
    }
  } else if (status === INTERRUPTED) {
    ground();
    g.fillRect(x1, y - 3.5, w, 2);
    g.fillRect(x1, y + 1.5, w, 2);
  } else if (w < 3) {
    g.globalAlpha = 0.7;
    g.fillRect(x1, y - h / 2, 1, h);
    g.globalAlpha = 1;
  } else {
    ground();
    g.lineWidth = 1.2;
    g.setLineDash(status === QUEUED ? [] : [2, 2]);
    g.strokeRect(x1 + 0.6, y - h / 2 + 0.6, w - 1.2, h - 1.2);
    g.setLineDash([]);
  }
}

/** A sample of a band's load. @param {CanvasRenderingContext2D} g @param {Theme} theme @param {number} x @param {number} y its foot */
export function paintLoadSample(g, theme, x, y) {
  const steps = [3, 6, 9, 7, 5, 3], waits = [3, 4, 3, 3, 2, 1];
  steps.forEach((high, i) => {
    g.fillStyle = theme.colours[RUNNING]; g.fillRect(x + i * 4, y - high, 4, high);
    g.fillStyle = theme.colours[WAITING]; g.globalAlpha = 0.45; g.fillRect(x + i * 4, y - high - waits[i], 4, waits[i]); g.globalAlpha = 1;
  });
}

/** The head of a message's line. @param {CanvasRenderingContext2D} g @param {number} kind @param {number} x @param {number} y @param {number} dx @param {number} dy direction, of length 1 @param {number} s @param {string} ground */
export function arrowHead(g, kind, x, y, dx, dy, s, ground) {
  const bx = x - dx * s * 1.5, by = y - dy * s * 1.5, px = -dy * s * 0.75, py = dx * s * 0.75;
  g.setLineDash([]);
  g.beginPath();
  if (kind === CALL_ARROW) { g.moveTo(x, y); g.lineTo(bx + px, by + py); g.lineTo(bx - px, by - py); g.closePath(); g.fill(); }
  else if (kind === REPLY_ARROW) { g.moveTo(bx + px, by + py); g.lineTo(x, y); g.lineTo(bx - px, by - py); g.stroke(); }
  else if (kind === TRIGGER_ARROW) { g.moveTo(x, y); g.lineTo(bx + px, by + py); g.lineTo(bx - px, by - py); g.closePath(); const fill = g.fillStyle; g.fillStyle = ground; g.fill(); g.fillStyle = fill; g.stroke(); }
  else if (kind === COMPLETION_ARROW) { const mx = (x + bx) / 2, my = (y + by) / 2; g.moveTo(x, y); g.lineTo(mx + px, my + py); g.lineTo(bx, by); g.lineTo(mx - px, my - py); g.closePath(); g.fill(); }
  else if (kind === FORK_ARROW) { const mx = x - dx * s * 1.2, my = y - dy * s * 1.2; g.moveTo(mx, my); g.lineTo(x + px * 1.1, y + py * 1.1); g.moveTo(mx, my); g.lineTo(x - px * 1.1, y - py * 1.1); g.stroke(); }
  else { g.arc(x - dx * s * 0.7, y - dy * s * 0.7, s * 0.7, 0, 7); const fill = g.fillStyle; g.fillStyle = ground; g.fill(); g.fillStyle = fill; g.stroke(); }
}

/** Draws a scene. */
export class LanePainter {
  /** @param {import("./lanes.js").Lives} lives @param {import("./lanes.js").LaneTable} table @param {import("./arrows.js").Messages} messages @param {import("./time_axis.js").TimeAxis} axis */
  constructor(lives, table, messages, axis) {
    this.lives = lives;
    this.table = table;
    this.messages = messages;
    this.axis = axis;
    this.w = this.h = 1;
    this.hatches = new Hatches(1);
    /** @type {Map<string, string>} */ this.cuts = new Map();
    /** @type {DrawnArrow[]} */ this.drawn = [];
    /** @type {{x: number, y: number, w: number}[]} */ this.pills = [];
    this.left = 0;
    /** @type {((lane: number) => boolean) | null} tells lanes out of sight; lines to them are cut short when there are many */ this.stubs = null;
  }

  /** @param {Theme} theme */
  theme(theme) {
    this.tone = theme;
    this.hatches = new Hatches(this.hatches.ratio);
    this.cuts.clear();
    this.marker = theme.dark ? "rgba(240, 228, 66, .34)" : "rgba(240, 228, 66, .62)";
  }

  // ---- places ------------------------------------------------------------------------------------------------------

  /** Where the last lane ends on the screen. */
  get bottom() { return Math.min(this.h, AXIS_H + this.table.height - (this.scene?.top ?? 0) + 4); }

  /** The middle of a lane on the screen. @param {number} lane @param {number} top */
  y(lane, top) { return AXIS_H + this.table.tops[lane] - top + this.tall(lane) / 2; }

  /** @param {number} lane */
  tall(lane) { return (this.table.tops[lane + 1] ?? this.table.height) - this.table.tops[lane]; }

  /** The first lane in sight and the one after the last. @param {number} top */
  span(top) {
    const { table } = this, first = Math.max(0, table.at(Math.max(0, top))), last = table.at(Math.min(table.height - 1, top + this.h - AXIS_H));
    return [first, last < 0 ? table.count : last + 1];
  }

  // ---- the picture -------------------------------------------------------------------------------------------------

  /** @param {CanvasRenderingContext2D} g @param {Scene} scene */
  paint(g, scene) {
    const { axis, tone, w, h } = this, [first, end] = this.span(scene.top), right = axis.left + axis.width;
    this.g = g;
    this.scene = scene;
    g.fillStyle = tone.ground;
    g.fillRect(0, 0, w, h);
    const ticks = axis.ticks(axis.width < 420 ? 64 : 92);
    g.save();
    g.beginPath();
    g.rect(axis.left, AXIS_H, axis.width, h - AXIS_H);
    g.clip();
    g.fillStyle = tone.line;
    g.globalAlpha = 0.55;
    for (const { x } of ticks) g.fillRect(Math.round(x), AXIS_H, 1, this.bottom - AXIS_H);
    g.globalAlpha = 1;
    this.grounds(first, end);
    for (let lane = first; lane < end; lane++) this.lane(lane);
    this.breaks();
    this.restarts();
    this.arrows(first, end);
    if (scene.past) { const x = axis.x(scene.clock); g.globalAlpha = 0.68; g.fillStyle = tone.ground; g.fillRect(x, AXIS_H, right - x, h); g.globalAlpha = 1; }
    if (scene.path) this.path(first, end);
    g.restore();
    this.names(first, end);
    this.scale(ticks);
  }

  /** What lies behind the bars: selected lanes. @param {number} first @param {number} end */
  grounds(first, end) {
    const { g, table, scene, tone, axis } = this;
    for (let lane = first; lane < end; lane++) {
      const mark = table.lanes[lane], y = this.y(lane, scene.top), h = this.tall(lane);
      if (mark < 0) { g.fillStyle = tone.line; g.globalAlpha = 0.22; g.fillRect(axis.left, y - h / 2 + 1, axis.width, h - 2); }
      else if (scene.selected.has(mark)) { g.fillStyle = tone.brand; g.globalAlpha = 0.12; g.fillRect(axis.left, y - h / 2, axis.width, h); }
    }
    g.globalAlpha = 1;
  }

  /** @param {number} lane */
  lane(lane) {
    const mark = this.table.lanes[lane], y = Math.round(this.y(lane, this.scene.top));
    if (mark < 0) this.load(-mark - 1, y, this.tall(lane));
    else this.bars(mark, y);
  }

  /** An agent's bars. @param {number} slot @param {number} y */
  bars(slot, y) {
    const { g, lives, axis, scene, tone } = this, { byEntry } = axis, { tape } = scene, life = lives.of[slot], right = axis.left + axis.width;
    const from = axis.value(axis.left), born = tape.born[slot], places = byEntry ? tape.seq : tape.wall;
    const last = life.pieces[life.pieces.length - 1], gone = last && last.then === EXITED ? (byEntry ? last.to : last.t1) : Infinity;
    const x0 = Math.max(axis.left, axis.x(places[born])), x9 = Math.min(right, axis.x(Math.min(gone, scene.edge)));
    if (x9 > x0) { g.fillStyle = tape.origins[slot] === ROOT ? tone.brand : tone.edge; g.globalAlpha = 0.5; g.fillRect(x0, y, x9 - x0, 1); g.globalAlpha = 1; }
    /** @type {number[]} */ const failures = [];
    const { pieces } = life;
    let edge = -Infinity;
    for (let i = lives.firstAfter(slot, from, byEntry); i < pieces.length; i++) {
      const piece = pieces[i], begin = byEntry ? piece.from : piece.t0, x1 = axis.x(begin);
      if (x1 > right) break;
      const look = lives.look(piece, scene.rows), status = tape.statusIn(piece.row);
      let end = byEntry ? piece.to : piece.t1;
      while (i + 1 < pieces.length && pieces[i + 1].row === piece.row && lives.look(pieces[i + 1], scene.rows) === look) { i++; end = byEntry ? pieces[i].to : pieces[i].t1; }
      const x2 = axis.x(Math.min(end, scene.edge));
      if (pieces[i].then === FAILED && isUnderWay(status) && look === FRESH && x2 < right + 8) failures.push(x2);
      if (x2 - x1 < 1.2 && x1 < edge + 0.6) continue; // too small to be seen beside its neighbour
      edge = Math.max(x1 + 1.4, x2);
      const u1 = Math.max(x1, axis.left - 14), u2 = Math.min(x2, right + 14);
      paintBar(g, tone, this.hatches, status, tape.reasonsIn(piece.row), look, u1, u2, y);
      if (look === FRESH && status === RUNNING) this.label(piece.row, Math.max(u1, axis.left), Math.min(u2, right), y);
    }
    for (const x of failures.slice(-60)) drawShape(g, FAILED, x, y, 5.5, tone.colours[FAILED], tone.ground);
  }

  /** What it runs, in a bar that has room. @param {number} row @param {number} x1 @param {number} x2 @param {number} y */
  label(row, x1, x2, y) {
    const room = x2 - x1 - 8;
    if (room < LABEL_LEAST) return;
    const { g, tone } = this, { tape } = this.scene, step = tape.reasonsIn(row) & FOR_STEP;
    const text = (step && tape.whatIn(row)) || tape.methodIn(row), most = Math.floor(room / TEXT_W);
    g.font = `10px ${tone.font}`;
    g.textAlign = "left";
    g.textBaseline = "middle";
    g.fillStyle = step ? tone.ink : tone.dark ? "#10222e" : "#fff";
    g.fillText(text.length > most ? `${text.slice(0, most - 1)}…` : text, x1 + 5, y + 0.5);
  }

  /** How many of a band ran at once, and above them how many waited. @param {number} parent @param {number} y @param {number} tall */
  load(parent, y, tall) {
    const { g, lives, axis, scene, tone } = this, { byEntry } = axis, load = lives.loads.get(parent);
    if (!load || !load.peak) return;
    const places = byEntry ? scene.tape.seq : scene.tape.wall, bottom = y + tall / 2 - 5, room = tall - 16, unit = room / load.peak;
    const from = Math.max(Math.floor(axis.left), Math.floor(axis.x(places[load.rows[0]]))), to = Math.min(axis.left + axis.width, axis.x(scene.edge));
    let at = lives.loadIndex(load, axis.value(from), byEntry), ran = 0, waited = 0, begin = from, top = -1, peakX = NaN;
    if (at) { ran = load.ran[at - 1]; waited = load.waited[at - 1]; }
    const flush = (/** @type {number} */ x) => {
      if (x <= begin) return;
      if (ran) { g.fillStyle = tone.colours[RUNNING]; g.fillRect(begin, bottom - ran * unit, x - begin, ran * unit); }
      if (waited) { g.fillStyle = tone.colours[WAITING]; g.globalAlpha = 0.45; g.fillRect(begin, bottom - (ran + waited) * unit, x - begin, waited * unit); g.globalAlpha = 1; }
      begin = x;
    };
    for (let x = from; x < to && at < load.rows.length; x++) {
      const until = axis.value(x + 1), next = this.until(load, at, until, places);
      let most = 0, sum = 0;
      let r = ran, q = waited;
      if (next > at) {
        const stride = Math.max(1, Math.floor((next - at) / 48));
        r = q = 0;
        for (let i = at; i < next; i += stride) { sum = load.ran[i] + load.waited[i]; if (sum >= most) { most = sum; r = load.ran[i]; q = load.waited[i]; } }
      }
      if (r !== ran || q !== waited) { flush(x); ran = r; waited = q; }
      if (next > at) {
        if (r + q > top) { top = r + q; peakX = x; }
        at = next;
        flush(x + 1);
        ran = load.ran[at - 1];
        waited = load.waited[at - 1];
      }
    }
    flush(to);
    g.fillStyle = tone.edge;
    g.fillRect(Math.max(axis.left, from), bottom, Math.max(0, to - Math.max(axis.left, from)), 1);
    if (top === load.peak) this.peak(`${load.peak.toLocaleString("en")} at once`, peakX, bottom - room - 1);
  }

  /** @param {string} text @param {number} x @param {number} y */
  peak(text, x, y) {
    const { g, tone, axis } = this;
    g.font = `10px ${tone.font}`;
    const w = g.measureText(text).width, left = x + 6 + w > axis.left + axis.width ? x - w - 5 : x + 4;
    g.globalAlpha = 0.8;
    g.fillStyle = tone.ground;
    g.fillRect(left - 2, y - 5, w + 4, 11);
    g.globalAlpha = 1;
    g.textAlign = "left";
    g.textBaseline = "middle";
    g.fillStyle = tone.faint;
    g.fillText(text, left, y + 0.5);
  }

  /** The first change of a load after a value, from one on. @param {import("./lanes.js").Load} load @param {number} at @param {number} value @param {ArrayLike<number>} places */
  until(load, at, value, places) {
    const { rows } = load;
    if (at >= rows.length || places[rows[at]] > value) return at;
    let step = 1;
    while (at + step < rows.length && places[rows[at + step]] <= value) step *= 2;
    let low = at + (step >> 1), high = Math.min(rows.length, at + step);
    while (low < high) { const mid = (low + high) >> 1; if (places[rows[mid]] <= value) low = mid + 1; else high = mid; }
    return low;
  }

  // ---- messages ----------------------------------------------------------------------------------------------------

  /** @param {number} first @param {number} end */
  arrows(first, end) {
    const { scene, table, axis, messages, tone } = this, { selected } = scene;
    this.drawn = [];
    this.pills = [];
    const picture = messages.picture({
      axis, kinds: scene.arrows, anyOwn: selected.size > 0, own: (slot) => selected.has(slot),
      standing: (slot) => table.standing(slot), inSight: (lane) => lane >= first && lane < end,
    });
    this.left = picture.left;
    this.stubs = picture.total > STUBS_FROM ? (/** @type {number} */ lane) => lane < first || lane >= end : null;
    const pale = selected.size > 0 && picture.lines.some((line) => line.own), strength = pale ? 0.22 : picture.total > 120 ? 0.55 : 0.8;
    for (const comb of picture.combs) this.comb(comb, pale ? 0.3 : 1);
    for (const fan of picture.fans) this.fan(fan, pale ? 0.3 : 1);
    for (const line of picture.lines) if (!line.own) this.arrow(line, strength, null);
    for (const line of picture.lines) if (line.own) this.arrow(line, 1, null);
    for (const fan of picture.fans) this.pill(fan.count, fan.x, this.yEnd(fan.hub, fan.lines[0].a === fan.hub ? fan.lines[0].b : fan.lines[0].a), fan.kind, fan.out);
    if (!picture.fans.length) for (const hub of countedHubs(picture.lines, axis)) this.pill(hub.count, hub.x, this.yEnd(hub.hub, hub.out ? hub.lines[0].b : hub.lines[0].a), hub.kind, hub.out);
    for (const comb of picture.combs) { const at = meetsLate(comb.kind) ? comb.lines[comb.lines.length - 1].x2 - 8 : comb.lines[0].x1 + 4; this.pill(comb.count, at, (this.yEnd(comb.a, comb.b) + this.yEnd(comb.b, comb.a)) / 2, comb.kind, !meetsLate(comb.kind)); }
    for (const line of picture.lines) if (line.count >= PILL_LEAST) this.pill(line.count, (line.x1 + line.x2) / 2, (this.yEnd(line.a, line.b) + this.yEnd(line.b, line.a)) / 2, line.kind, true);
    this.g.globalAlpha = 1;
    this.g.strokeStyle = tone.ink;
  }

  /** Where a line touches a lane, coming from another. @param {number} lane @param {number} other */
  yEnd(lane, other) {
    const y = this.y(lane, this.scene.top), mark = this.table.lanes[lane], reach = mark < 0 ? this.tall(lane) / 2 - 4 : this.scene.tape.origins[mark] === ROOT ? 1 : BAR_H / 2 - 1;
    return other > lane ? y + reach : y - reach;
  }

  /** @param {number} kind */
  colour(kind) { const { status } = ARROW_LOOKS[kind]; return status < 0 ? this.tone.faint : this.tone.colours[status]; }

  /** @param {import("./arrows.js").ArrowLine} line @param {number} alpha @param {import("./arrows.js").ArrowFan | null} fan @param {boolean} [bold] */
  arrow(line, alpha, fan, bold = false) {
    const { g, tone } = this, look = ARROW_LOOKS[line.kind], y1 = this.yEnd(line.a, line.b), y2 = this.yEnd(line.b, line.a), { x1, x2 } = line;
    const dx = x2 - x1, dy = y2 - y1, length = Math.hypot(dx, dy) || 1, s = bold || line.own ? 5.2 : 4.4;
    g.globalAlpha = alpha;
    g.strokeStyle = g.fillStyle = this.colour(line.kind);
    g.lineWidth = (fan ? 1 : Math.min(5, look.width + Math.log2(line.count) * 0.55)) + (bold ? 1.2 : 0);
    g.setLineDash(look.dash);
    const away = !line.own && !bold && length > STUB && this.stubs, from = away && this.stubs?.(line.a) ? 1 - STUB / length : 0, to = away && this.stubs?.(line.b) ? STUB / length : 1;
    if (from && to < 1) return;
    g.beginPath();
    g.moveTo(x1 + dx * from, y1 + dy * from);
    if (to < 1) g.lineTo(x1 + dx * to, y1 + dy * to);
    else g.lineTo(x2 - (dx / length) * s, y2 - (dy / length) * s);
    g.stroke();
    if (!fan && to === 1) { g.lineWidth = look.width + (bold ? 0.8 : 0); arrowHead(g, line.kind, x2, y2, dx / length, dy / length, s, tone.ground); }
    g.setLineDash([]);
    if (!bold) this.drawn.push({ x1: x1 + dx * from, y1: y1 + dy * from, x2: x1 + dx * to, y2: y1 + dy * to, line, fan });
  }

  /** Very many messages between two lanes: strokes, the stronger the more there are. @param {import("./arrows.js").ArrowComb} comb @param {number} strength */
  comb(comb, strength) {
    const { g } = this, most = comb.lines.reduce((top, line) => Math.max(top, line.count), 1), y1 = this.yEnd(comb.a, comb.b), y2 = this.yEnd(comb.b, comb.a);
    g.strokeStyle = this.colour(comb.kind);
    g.lineWidth = 1.2;
    g.setLineDash([]);
    for (const line of comb.lines) {
      g.globalAlpha = (0.18 + 0.5 * (line.count / most)) * strength;
      g.beginPath(); g.moveTo(line.x1, y1); g.lineTo(line.x2, y2); g.stroke();
      this.drawn.push({ x1: line.x1, y1, x2: line.x2, y2, line, fan: null });
    }
  }

  /** Many lines that begin or end in one place: a wedge with some of them in it. @param {import("./arrows.js").ArrowFan} fan @param {number} strength */
  fan(fan, strength) {
    const { g, tone } = this, { lines, out } = fan;
    let low = lines[0], high = lines[0];
    for (const line of lines) { const lane = out ? line.b : line.a; if (lane < (out ? low.b : low.a)) low = line; if (lane > (out ? high.b : high.a)) high = line; }
    if (![low, high].some((line) => this.stubs?.(out ? line.b : line.a))) {
      g.fillStyle = this.colour(fan.kind);
      g.globalAlpha = 0.09 * strength;
      g.beginPath();
      for (const line of [low, high]) {
        const far = out ? line.b : line.a;
        if (line === low) g.moveTo(fan.x, this.yEnd(fan.hub, far));
        g.lineTo(out ? line.x2 : line.x1, this.yEnd(far, fan.hub));
      }
      g.lineTo(fan.x, this.yEnd(fan.hub, out ? high.b : high.a));
      g.fill();
    }
    const stride = Math.max(1, Math.ceil(lines.length / DRAWN_A_FAN));
    for (let i = 0; i < lines.length; i += stride) this.arrow(lines[i], 0.38 * strength, fan);
    for (const line of [low, high]) {
      const y1 = this.yEnd(line.a, line.b), y2 = this.yEnd(line.b, line.a), dx = line.x2 - line.x1, dy = y2 - y1, length = Math.hypot(dx, dy) || 1;
      if (out && line !== low) continue;
      g.globalAlpha = strength;
      g.strokeStyle = g.fillStyle = this.colour(fan.kind);
      g.lineWidth = 1.4;
      arrowHead(g, fan.kind, line.x2, y2, dx / length, dy / length, 5, tone.ground);
      if (low === high || out) break;
    }
  }

  /** How many messages something stands for, where there is room to say so. @param {number} count @param {number} x @param {number} y @param {number} kind @param {boolean} out */
  pill(count, x, y, kind, out) {
    const { g, tone, pills, axis } = this;
    g.font = `600 10px ${tone.font}`;
    const text = count.toLocaleString("en"), w = g.measureText(text).width + 9;
    const left = Math.max(axis.left + 2, Math.min(axis.left + axis.width - w - 2, out ? x + 4 : x - w - 4));
    if (x < axis.left - 20 || x > axis.left + axis.width + 20 || pills.some((p) => Math.abs(p.y - y) < 15 && left < p.x + p.w + 3 && p.x < left + w + 3)) return;
    pills.push({ x: left, y, w });
    g.globalAlpha = 1;
    g.fillStyle = tone.ground;
    g.strokeStyle = this.colour(kind);
    g.lineWidth = 1;
    g.setLineDash([]);
    g.beginPath();
    g.roundRect(left, y - 7, w, 14, 7);
    g.fill();
    g.stroke();
    g.fillStyle = tone.ink;
    g.textAlign = "center";
    g.textBaseline = "middle";
    g.fillText(text, left + w / 2, y + 0.5);
  }

  /** The arrow under a point. @param {number} x @param {number} y @returns {DrawnArrow | null} */
  pickArrow(x, y) {
    let best = null, near = NEAR;
    for (const arrow of this.drawn) {
      const { x1, y1, x2, y2 } = arrow;
      if (Math.min(x1, x2) - near > x || Math.max(x1, x2) + near < x || Math.min(y1, y2) - near > y || Math.max(y1, y2) + near < y) continue;
      const dx = x2 - x1, dy = y2 - y1, t = Math.max(0, Math.min(1, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy || 1)));
      const far = Math.hypot(x - x1 - t * dx, y - y1 - t * dy);
      if (far < near) { near = far; best = arrow; }
    }
    return best;
  }

  // ---- breaks, restarts, the path ----------------------------------------------------------------------------------

  breaks() {
    const { g, axis, tone } = this, h = this.bottom;
    for (const gap of axis.breaks) {
      const x = axis.x(gap.from), w = axis.gap;
      if (x > axis.left + axis.width || x + w < axis.left) continue;
      g.fillStyle = tone.ground;
      g.globalAlpha = 0.86;
      g.fillRect(x + 3, AXIS_H, w - 6, h - AXIS_H);
      g.globalAlpha = 1;
      g.strokeStyle = tone.edge;
      g.lineWidth = 1;
      g.setLineDash([]);
      for (const at of w < 12 ? [x + w / 2] : [x + 4, x + w - 4]) {
        g.beginPath();
        for (let y = AXIS_H, side = 0; y <= h; y += 7, side++) g.lineTo(at + (side % 2 ? 1.5 : -1.5), y);
        g.stroke();
      }
      if (w >= 16) this.upright(`${lengthText(gap.to - gap.from)} idle`, x + w / 2, AXIS_H + 10);
    }
  }

  /** Text from the top down. @param {string} text @param {number} x @param {number} y */
  upright(text, x, y) {
    const { g, tone } = this;
    g.save();
    g.translate(x, y);
    g.rotate(Math.PI / 2);
    g.font = `11px ${tone.font}`;
    g.textAlign = "left";
    g.textBaseline = "middle";
    g.fillStyle = tone.faint;
    g.fillText(text, 0, 0);
    g.restore();
  }

  /** Where a new process took the session up. */
  restarts() {
    const { g, axis, tone, scene } = this, { tape } = scene;
    g.strokeStyle = tone.faint;
    g.lineWidth = 1;
    g.setLineDash([4, 4]);
    for (const row of tape.marks.slice(1)) {
      const x = Math.round(axis.x(axis.byEntry ? tape.seq[row] : tape.wall[row])) + 0.5;
      if (x < axis.left || x > axis.left + axis.width) continue;
      g.beginPath(); g.moveTo(x, AXIS_H); g.lineTo(x, this.bottom); g.stroke();
    }
    g.setLineDash([]);
  }

  /** Dim everything, light the path. @param {number} first @param {number} end */
  path(first, end) {
    const { g, scene, axis, tone, table, h } = this, parts = scene.path ?? [];
    g.globalAlpha = 0.74;
    g.fillStyle = tone.ground;
    g.fillRect(axis.left, AXIS_H, axis.width, h);
    g.globalAlpha = 1;
    const x = (/** @type {number} */ wall) => axis.x(axis.byEntry ? this.seqAt(wall) : wall);
    /** @type {{lane: number, x1: number, x2: number}[]} */ const shown = [];
    for (const part of parts) {
      const lane = table.standing(part.slot), x1 = x(part.begin), x2 = x(part.end), last = shown[shown.length - 1];
      if (lane < 0) continue;
      if (last?.lane === lane && x1 - last.x2 < 1) last.x2 = Math.max(last.x2, x2);
      else shown.push({ lane, x1, x2 });
    }
    for (const { lane, x1, x2 } of shown) {
      if (lane < first || lane >= end) continue;
      const y = this.y(lane, scene.top);
      g.save();
      g.beginPath();
      g.rect(x1 - 1.5, y - 11, Math.max(3, x2 - x1 + 3), 22);
      g.clip();
      g.fillStyle = tone.ground;
      g.fillRect(x1 - 2, y - 11, x2 - x1 + 4, 22);
      g.fillStyle = this.marker ?? "";
      g.beginPath();
      g.roundRect(x1 - 1.5, y - 10.5, Math.max(3, x2 - x1 + 3), 21, 3);
      g.fill();
      this.lane(lane);
      g.restore();
    }
    g.strokeStyle = g.fillStyle = tone.ink;
    for (let i = 1; i < shown.length; i++) {
      const a = shown[i - 1], b = shown[i];
      if (a.lane === b.lane) continue;
      const y1 = this.yEnd(a.lane, b.lane), y2 = this.yEnd(b.lane, a.lane), x1 = a.x2, x2 = b.x1, dx = x2 - x1, dy = y2 - y1, length = Math.hypot(dx, dy) || 1;
      g.lineWidth = 2;
      g.beginPath(); g.moveTo(x1, y1); g.lineTo(x2 - (dx / length) * 6, y2 - (dy / length) * 6); g.stroke();
      arrowHead(g, CALL_ARROW, x2, y2, dx / length, dy / length, 5.5, tone.ground);
    }
  }

  /** The entry at a time, between two by its part of the way. @param {number} wall */
  seqAt(wall) {
    const { tape } = this.scene, row = tape.rowAt(wall);
    if (row < 0) return tape.firstSeq;
    const next = row + 1 < tape.rows ? row + 1 : row, span = tape.wall[next] - tape.wall[row];
    return tape.seq[row] + (span > 0 ? ((tape.seq[next] - tape.seq[row]) * (wall - tape.wall[row])) / span : 0);
  }

  // ---- names and the scale -----------------------------------------------------------------------------------------

  /** @param {number} first @param {number} end */
  names(first, end) {
    const { g, scene, table, tone, axis, h } = this, { tape, moment } = scene;
    g.fillStyle = tone.ground;
    g.fillRect(0, AXIS_H, axis.left, h);
    g.save();
    g.beginPath();
    g.rect(0, AXIS_H, axis.left - 1, h);
    g.clip();
    g.textBaseline = "middle";
    for (let lane = first; lane < end; lane++) {
      const mark = table.lanes[lane], y = Math.round(this.y(lane, scene.top)), x = this.indent(lane);
      if (mark < 0) { g.fillStyle = tone.line; g.globalAlpha = 0.22; g.fillRect(0, y - this.tall(lane) / 2 + 1, axis.left, this.tall(lane) - 2); g.globalAlpha = 1; }
      else if (scene.selected.has(mark)) {
        g.fillStyle = tone.brand; g.globalAlpha = 0.12; g.fillRect(0, y - 12, axis.left, 24); g.globalAlpha = 1;
        g.fillRect(0, y - 12, 3, 24);
      }
      g.fillStyle = tone.line;
      for (let depth = Math.min(DEEPEST, table.depths[lane]); depth > 0; depth--) g.fillRect(x - depth * (axis.left < 140 ? 6 : INDENT) + 5, y - this.tall(lane) / 2, 1, this.tall(lane));
      if (table.opens(lane)) this.chevron(x + 5, mark < 0 ? y - 9 : y, table.isOpen(lane));
      const faded = scene.path ? !(mark >= 0 && scene.pathSlots.has(mark)) : mark >= 0 && mark >= moment.n;
      g.globalAlpha = faded ? 0.4 : 1;
      if (mark < 0) this.bandName(-mark - 1, x + 14, y);
      else {
        const status = tape.statusOf(moment, mark);
        if (tape.origins[mark] === ROOT) this.notebook(x + 19, y);
        else if (mark < moment.n) drawShape(g, status, x + 19, y, 4.6, tone.colours[status], tone.ground);
        g.font = `12px ${tone.font}`;
        g.textAlign = "left";
        const shut = table.opens(lane) && !table.isOpen(lane), more = shut ? ` +${(tape.kids.get(mark)?.length ?? 0).toLocaleString("en")}` : "";
        g.fillStyle = tone.ink;
        g.fillText(`${this.shorten(tape.name(mark), axis.left - x - 31 - (more ? g.measureText(more).width : 0))}${more}`, x + 28, y + 0.5);
      }
      g.globalAlpha = 1;
    }
    g.restore();
    g.fillStyle = tone.line;
    g.fillRect(axis.left - 1, 0, 1, h);
  }

  /** @param {number} lane */
  indent(lane) { return 4 + Math.min(DEEPEST, this.table.depths[lane]) * (this.axis.left < 140 ? 6 : INDENT); }

  /** @param {number} x @param {number} y @param {boolean} open */
  chevron(x, y, open) {
    const { g, tone } = this, s = 3.2;
    g.strokeStyle = tone.faint;
    g.lineWidth = 1.4;
    g.setLineDash([]);
    g.beginPath();
    if (open) { g.moveTo(x - s, y - s / 2); g.lineTo(x, y + s / 2); g.lineTo(x + s, y - s / 2); } else { g.moveTo(x - s / 2, y - s); g.lineTo(x + s / 2, y); g.lineTo(x - s / 2, y + s); }
    g.stroke();
  }

  /** @param {number} x @param {number} y */
  notebook(x, y) {
    const { g, tone } = this;
    g.strokeStyle = tone.brand;
    g.lineWidth = 1.3;
    g.setLineDash([]);
    g.strokeRect(x - 4, y - 5, 8, 10);
    g.beginPath(); g.moveTo(x - 1.5, y - 5); g.lineTo(x - 1.5, y + 5); g.stroke();
  }

  /** @param {number} parent @param {number} x @param {number} y */
  bandName(parent, x, y) {
    const { g, scene, tone, axis } = this, { tape, moment } = scene, kids = tape.kids.get(parent) ?? [], room = axis.left - x - 5;
    let n = 0, high = kids.length; // how many have come
    while (n < high) { const mid = (n + high) >> 1; if (kids[mid] < moment.n) n = mid + 1; else high = mid; }
    const of = `${n.toLocaleString("en")} × ${this.kind(parent, kids)}`;
    g.textAlign = "left";
    g.font = `600 12px ${tone.font}`;
    g.fillStyle = tone.ink;
    g.fillText(this.shorten(of, room), x, y - 9);
    const counts = countStatuses(tape, moment, kids);
    g.font = `11px ${tone.font}`;
    const wide = (/** @type {number} */ status) => 19 + g.measureText(counts[status].toLocaleString("en")).width, shown = fitting(counts, wide, room, 10);
    for (const status of READING_ORDER) {
      if (!shown.has(status)) continue;
      drawShape(g, status, x + 5, y + 9, 4.2, tone.colours[status], tone.ground);
      g.fillStyle = tone.faint;
      g.fillText(counts[status].toLocaleString("en"), x + 12, y + 9.5);
      x += wide(status);
    }
  }

  /** What a band's agents are called; looked up anew when there are more. @param {number} parent @param {number[]} kids */
  kind(parent, kids) {
    const key = `\n${parent}`, known = this.cuts.get(key);
    if (known?.startsWith(`${kids.length}\n`)) return known.slice(known.indexOf("\n") + 1);
    const kind = kindOfAll(this.scene.tape, kids);
    this.cuts.set(key, `${kids.length}\n${kind}`);
    return kind;
  }

  /** The text, cut in its middle so that it fits; the font must be set. @param {string} text @param {number} width */
  shorten(text, width) {
    const { g, cuts } = this, key = `${Math.round(width)}\n${g.font}\n${text}`, known = cuts.get(key);
    if (known !== undefined) return known;
    const whole = text.length > 160 ? `${text.slice(0, 100)}…${text.slice(-50)}` : text;
    let short = whole;
    if (width < 8) short = "";
    else if (g.measureText(whole).width > width) {
      let low = 0, high = whole.length;
      const cut = (/** @type {number} */ n) => `${whole.slice(0, Math.ceil(n * 0.45))}…${n > 1 ? whole.slice(whole.length - Math.floor(n * 0.55)) : ""}`;
      while (low < high) { const mid = (low + high + 1) >> 1; if (g.measureText(cut(mid)).width <= width) low = mid; else high = mid - 1; }
      short = low ? cut(low) : "";
    }
    if (cuts.size > 4000) cuts.clear();
    cuts.set(key, short);
    return short;
  }

  /** @param {{x: number, text: string}[]} ticks */
  scale(ticks) {
    const { g, axis, tone, w, scene } = this, { tape } = scene, right = axis.left + axis.width, clock = Math.min(right - 18, axis.x(scene.clock));
    g.fillStyle = tone.ground;
    g.fillRect(0, 0, w, AXIS_H);
    g.fillStyle = tone.line;
    g.fillRect(0, AXIS_H - 1, w, 1);
    g.fillRect(axis.left - 1, 0, 1, AXIS_H);
    g.font = `11px ${tone.font}`;
    g.textBaseline = "middle";
    g.textAlign = "left";
    g.fillStyle = tone.faint;
    g.fillText(this.shorten(axis.byEntry ? "entry" : axis.left < 180 ? "time" : "time since the first entry", axis.left - 16), 9, AXIS_H / 2);
    const marks = tape.marks.slice(1).map((row) => axis.x(axis.byEntry ? tape.seq[row] : tape.wall[row]));
    const taken = [[clock - 26, clock + 26], ...axis.breaks.map((gap) => [axis.x(gap.from), axis.x(gap.to)]), ...marks.map((x) => [x - 9, x + 9])];
    for (const { x, text } of ticks) {
      const wide = g.measureText(text).width;
      if (x - 1 > right) continue;
      g.fillRect(Math.round(x), AXIS_H - 6, 1, 5);
      const free = (/** @type {number} */ at) => at >= axis.left + 2 && at + wide <= right && !taken.some(([from, to]) => at - 2 < to && at + wide + 3 > from), at = [x + 4, x - 4 - wide].find(free);
      if (at === undefined) continue;
      g.fillText(text, Math.round(at), AXIS_H / 2);
      taken.push([at - 8, at + wide + 8]);
    }
    g.save();
    g.beginPath();
    g.rect(axis.left, 0, axis.width, AXIS_H);
    g.clip();
    for (const gap of axis.breaks) {
      const x = axis.x(gap.from);
      g.fillStyle = tone.ground;
      g.fillRect(x - 1, 1, axis.gap + 2, AXIS_H - 2);
      g.fillStyle = tone.faint;
      g.textAlign = "center";
      if (axis.gap > 10) g.fillText("⋯", x + axis.gap / 2, AXIS_H / 2);
    }
    for (const x of marks) { // a circle that turns: begun again
      if (x < axis.left || x > right) continue;
      g.fillStyle = tone.ground;
      g.fillRect(x - 8, 4, 16, AXIS_H - 6);
      drawShape(g, RETRYING, x, AXIS_H / 2, 5.5, tone.faint, tone.ground);
    }
    g.restore();
  }
}
