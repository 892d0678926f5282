// @ts-check
// Where a time, or an entry, lies on the timeline: a scale with breaks where nothing happened, and its ticks. Pure.
// A *value* is a wall time in milliseconds, or the number of an entry. Breaks have one width, whatever the zoom.

/** The part of what is shown that a stretch must be longer than to be folded. */
export const IDLE_SHARE = 0.12;
const LEAST_GAP_MS = 400, BREAK_PX = 44, WORTH = 2.5, MOST_GAPS = 1500, MOST_BREAKS_FOLDED = 60, MOST_PX_A_UNIT = 4000;
const STEPS_OF_TEN = [1, 2, 5], STEPS_OF_TIME = [1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 10800e3, 21600e3, 43200e3, 86400e3];

/** @typedef {{from: number, to: number}} Stretch of wall time */

/** Stretches between two entries in which no agent ran, longest first. Fed row by row. */
export class IdleTimes {
  constructor() {
    /** @type {Stretch[]} */ this.gaps = [];
    this.last = NaN;
    /** @type {Stretch | null} what would be one if nobody had run */ this.refused = null;
  }

  /** @param {number} wall of the next row @param {number} running how many agents ran up to it */
  note(wall, running) {
    const from = this.last;
    if (wall - from >= LEAST_GAP_MS) {
      if (running) this.refused = { from, to: wall };
      else this.add({ from, to: wall });
    }
    if (!(wall <= from)) this.last = wall;
  }

  /** A process took the session up: nobody ran before it did, whatever the log says. @param {number} wall */
  restart(wall) {
    if (this.refused?.to === wall) { this.add(this.refused); this.refused = null; }
  }

  /** @param {Stretch} gap */
  add(gap) {
    const { gaps } = this, long = gap.to - gap.from;
    let low = 0, high = gaps.length;
    while (low < high) { const mid = (low + high) >> 1; if (gaps[mid].to - gaps[mid].from >= long) low = mid + 1; else high = mid; }
    if (low < MOST_GAPS) gaps.splice(low, 0, gap);
    if (gaps.length > MOST_GAPS) gaps.pop();
  }

  /**
   * Those to be folded: each is longer than a share of what is shown once they are folded. In order of time.
   * @param {number} total length of the whole @param {Set<number>} kept beginnings of those that the reader unfolded
   * @param {Stretch | null} [now] what has lasted since the last entry @param {number} [share] a fold must spare more than it takes
   */
  folds(total, kept, now = null, share = IDLE_SHARE) {
    const order = now && now.to - now.from >= LEAST_GAP_MS ? [...this.gaps.slice(0, MOST_BREAKS_FOLDED), now].sort((a, b) => b.to - b.from - (a.to - a.from)) : this.gaps;
    let rest = total, count = 0, seen = 0;
    for (const gap of order) {
      if (seen++ >= MOST_BREAKS_FOLDED) break;
      const long = gap.to - gap.from;
      if (kept.has(gap.from)) continue;
      rest -= long;
      if (long > share * rest) count = seen;
    }
    return order.slice(0, count).filter((gap) => !kept.has(gap.from)).sort((a, b) => a.from - b.from);
  }
}

/** The part of what is shown that a fold must spare, on a plot so wide. @param {number} width */
export function foldShare(width) { return Math.max(IDLE_SHARE, (WORTH * Math.min(BREAK_PX, 0.1 * width)) / width); }

/** From values to pixels and back. */
export class TimeAxis {
  constructor() {
    this.byEntry = false;
    this.left = 0; // of the plot, in pixels
    this.width = 100;
    this.first = 0; // values at the ends
    this.last = 1;
    this.k = 1; // pixels a unit
    this.offset = 0; // pixels between the beginning and what is at the left end
    this.gap = 0; // width of a break
    /** @type {Stretch[]} */ this.breaks = [];
    /** @type {number[]} how much is folded away before each break */ this.before = [0];
  }

  /** @param {Stretch[]} breaks */
  fold(breaks) {
    this.breaks = breaks;
    this.before = [0];
    breaks.forEach((gap, i) => { this.before[i + 1] = this.before[i] + gap.to - gap.from; });
    this.gap = breaks.length ? Math.max(4, Math.min(BREAK_PX, 0.1 * this.width, (0.3 * this.width) / breaks.length)) : 0;
  }

  /** Pixels from the beginning. @param {number} value */
  place(value) {
    const { breaks } = this;
    let i = 0;
    if (breaks.length) {
      let high = breaks.length;
      while (i < high) { const mid = (i + high) >> 1; if (breaks[mid].from < value) i = mid + 1; else high = mid; }
      if (i && value < breaks[i - 1].to) {
        const gap = breaks[i - 1];
        return this.k * (gap.from - this.first - this.before[i - 1]) + this.gap * (i - 1 + (value - gap.from) / (gap.to - gap.from));
      }
    }
    return this.k * (value - this.first - this.before[i]) + this.gap * i;
  }

  /** @param {number} value */
  x(value) { return this.left + this.place(value) - this.offset; }

  /** @param {number} x */
  value(x) {
    const { breaks } = this, at = x - this.left + this.offset;
    let low = 0, high = breaks.length;
    while (low < high) { const mid = (low + high) >> 1; if (this.place(breaks[mid].from) <= at) low = mid + 1; else high = mid; }
    if (!low) return this.first + at / this.k;
    const gap = breaks[low - 1], past = at - this.place(gap.from);
    return past < this.gap ? gap.from + ((gap.to - gap.from) * past) / this.gap : gap.to + (past - this.gap) / this.k;
  }

  /** Pixels that the whole takes. */
  get length() { return this.place(this.last); }

  /** The scale at which the whole fits in. @param {number} room */
  fitting(room) {
    const units = this.last - this.first - this.before[this.breaks.length];
    return units > 0 ? Math.max(1e-9, (room - this.gap * this.breaks.length) / units) : 1;
  }

  /** Scale about a place on the screen. @param {number} by @param {number} x @param {number} least */
  zoom(by, x, least) {
    const value = this.value(x);
    this.k = Math.min(MOST_PX_A_UNIT, Math.max(least, this.k * by));
    this.offset = this.place(value) - (x - this.left);
  }

  /** The break at a place on the screen, or -1. @param {number} x */
  breakAt(x) {
    return this.breaks.findIndex((gap) => { const at = this.x(gap.from); return x >= at - 2 && x <= at + this.gap + 2; });
  }

  /** Ticks in sight, at least so many pixels apart. @param {number} apart @returns {{x: number, value: number, text: string}[]} */
  ticks(apart) {
    const step = this.byEntry ? Math.max(1, roundStep(apart / this.k)) : timeStep(apart / this.k), ticks = [];
    const right = this.left + this.width, from = Math.max(this.first, this.value(this.left)), to = Math.min(this.last + this.width / this.k, this.value(right));
    let edge = -Infinity;
    for (let i = 0; i <= this.breaks.length; i++) {
      const begin = Math.max(from, i ? this.breaks[i - 1].to : this.first), end = Math.min(to, i < this.breaks.length ? this.breaks[i].from : to);
      if (end < begin) continue;
      const base = this.byEntry ? 0 : this.first, before = ticks.length;
      for (let n = Math.ceil((begin - base) / step - 1e-6), guard = 0; base + n * step <= end && guard < 400; n++, guard++) {
        const value = base + n * step, x = this.x(value);
        if (x < this.left - 0.5 || x > right || x - edge < apart * 0.7) continue;
        edge = x;
        ticks.push({ x, value, text: this.byEntry ? `#${value.toLocaleString("en")}` : stampText(n * step, step) });
      }
      const x = this.x(begin); // a short stretch after a break tells when it began
      if (i && ticks.length === before && x >= this.left && x <= right) { ticks.push({ x, value: begin, text: stampText(begin - base, Math.min(step, 10 ** Math.floor(Math.log10(Math.max(1, begin - base)) - 1))) }); edge = x; }
    }
    return ticks;
  }
}

/** 1, 2 or 5 times a power of ten, at least so much. @param {number} least */
function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-6)));
  for (const times of STEPS_OF_TEN) if (power * times >= least * 0.999) return power * times;
  return power * 10;
}

/** A step that people count time in, at least so many milliseconds. @param {number} least */
export function timeStep(least) {
  if (least <= 500) return roundStep(least);
  return STEPS_OF_TIME.find((step) => step >= least) ?? 86400e3 * roundStep(least / 86400e3);
}

/** A time since the beginning, as exact as a step asks for: `40 ms`, `1.2 s`, `2:03.5`, `1:02:03`. @param {number} ms @param {number} step */
export function stampText(ms, step) {
  const sign = ms < -1e-9 ? "−" : "", abs = Math.abs(ms);
  if (abs < 1e-9) return "0";
  if (abs < 999.9995 && step < 1000) return `${sign}${stampTrim(abs, stampDecimals(step))} ms`;
  const digits = stampDecimals(step / 1000);
  let seconds = Number((abs / 1000).toFixed(digits));
  if (seconds < 60) return `${sign}${stampTrim(seconds, digits)} s`;
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60, days = Math.floor(hours / 24);
  seconds = Number((seconds % 60).toFixed(digits));
  const tail = `${seconds < 10 ? "0" : ""}${seconds.toFixed(digits)}`, middle = hours ? `${hours % 24}:${minutes < 10 ? "0" : ""}${minutes}` : `${minutes}`;
  return `${sign}${days ? `${days} d ` : ""}${middle}:${tail}`;
}

/** @param {number} step */
function stampDecimals(step) { return Math.max(0, Math.min(4, Math.ceil(-Math.log10(step) - 1e-9))); }

/** @param {number} value @param {number} digits */
function stampTrim(value, digits) { return value.toFixed(digits).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, ""); }

/** A length of time for people, `0.4 ms`, `120 ms`, `3.24 s`, `5 min 2 s`. @param {number} ms */
export function lengthText(ms) {
  if (!Number.isFinite(ms)) return "";
  if (ms < 10) return `${stampTrim(Math.max(0, ms), 2)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60e3) return `${stampTrim(ms / 1000, 2)} s`;
  if (ms < 3600e3) return `${Math.floor(ms / 60e3)} min ${Math.floor(ms / 1000) % 60} s`;
  if (ms < 86400e3) return `${Math.floor(ms / 3600e3)} h ${Math.floor(ms / 60e3) % 60} min`;
  return `${Math.floor(ms / 86400e3)} d ${Math.floor(ms / 3600e3) % 24} h`;
}
