// @ts-check
// Pixels. Four canvases lie over each other: the tree's edges, the links (open calls and waits), the nodes, and an overlay
// (focus, selection, what just changed). A node is a sprite per status, so a change of status redraws one small rectangle.
import { CALL, COMPLETION, DONE, EXITED, FAILED, FORKED, IDLE, INTERRUPTED, PROMISE, QUEUED, READING_ORDER, RETRYING, ROOT, RUNNING, STATUS, SUSPENDED, TRIGGER, UNDEFINED, WAITING, describeCounts } from "./graph_store.js";
import { CHIP, CHIP_H, CHIP_W, COLUMN, DOT, DOTTED, ROW } from "./graph_layout.js";

/** Okabe and Ito's colours, told apart by all kinds of eyes; on dark ground blue is the lighter one, and their black is white. By status. */
const LIGHT = ["#8a8a8a", "#757575", "#0072b2", "#d98c00", "#009e73", "#d55e00", "#b0609a", "#d98c00", "#3c3c3c", "#948200", "#9a9a9a"];
const DARK = ["#8a8a8a", "#a5a5a5", "#56b4e9", "#e69f00", "#1fb58a", "#ee7733", "#cc79a7", "#e69f00", "#ececec", "#f0e442", "#777777"];
/** How a chip is filled and framed, by status: strength of the fill and of the frame, the frame's dash. @type {Record<number, number>} */
const TINT = { [RUNNING]: 0.13, [FAILED]: 0.13, [RETRYING]: 0.13, [WAITING]: 0.1, [INTERRUPTED]: 0.1, [SUSPENDED]: 0.06, [DONE]: 0.05 };
/** @type {Record<number, number>} */
const FRAME = { [DONE]: 0.55, [IDLE]: 0.55, [EXITED]: 0.7, [QUEUED]: 0.7, [SUSPENDED]: 0.8 };
/** @type {Record<number, number[]>} */
const DASH = { [QUEUED]: [3, 3], [IDLE]: [3, 3], [EXITED]: [1, 3] };
/** Where there is no room for shapes these are paler: in a band's bar, and in the smallest marks. @type {Record<number, number>} */
const PALE = { [QUEUED]: 0.35, [IDLE]: 0.35, [SUSPENDED]: 0.5, [EXITED]: 0.2 };
const BAR = [DONE, RUNNING, RETRYING, WAITING, SUSPENDED, QUEUED, IDLE, EXITED, UNDEFINED, INTERRUPTED, FAILED];
/** Strokes of links by kind: colour by status number, dash, width. @type {Record<number, {status: number, dash: number[], width: number, name: string}>} */
export const STROKES = {
  [CALL]: { status: RUNNING, dash: [], width: 1.8, name: "call" },
  [TRIGGER]: { status: RUNNING, dash: [7, 4], width: 1.5, name: "trigger" },
  [PROMISE]: { status: WAITING, dash: [1.5, 4], width: 2, name: "promise" },
  [COMPLETION]: { status: DONE, dash: [], width: 2.2, name: "completed" },
};
export const FORK_STROKE = { status: UNDEFINED, dash: [8, 3, 2, 3], width: 1.8, name: "fork" };
const MOST_LINKS = 1500, BATCH = 64;

/**
 * The shape of a status, so that colour is never needed to read it.
 * @param {CanvasRenderingContext2D} g @param {number} status @param {number} x @param {number} y @param {number} r
 * @param {string} colour @param {string} ground
 */
export function drawShape(g, status, x, y, r, colour, ground) {
  g.fillStyle = g.strokeStyle = colour;
  g.lineWidth = Math.max(1, r * 0.3);
  g.lineCap = g.lineJoin = "round";
  g.setLineDash([]);
  g.beginPath();
  if (status === RUNNING) {
    g.moveTo(x - r * 0.7, y - r * 0.95); g.lineTo(x + r, y); g.lineTo(x - r * 0.7, y + r * 0.95); g.closePath(); g.fill();
  } else if (status === WAITING) {
    g.moveTo(x, y - r * 1.08); g.lineTo(x + r * 1.08, y); g.lineTo(x, y + r * 1.08); g.lineTo(x - r * 1.08, y); g.closePath(); g.fill();
  } else if (status === FAILED) {
    g.rect(x - r * 0.92, y - r * 0.92, r * 1.84, r * 1.84); g.fill();
    if (r > 3.5) { g.strokeStyle = ground; g.lineWidth = r * 0.3; g.beginPath(); g.moveTo(x - r * 0.4, y - r * 0.4); g.lineTo(x + r * 0.4, y + r * 0.4); g.moveTo(x + r * 0.4, y - r * 0.4); g.lineTo(x - r * 0.4, y + r * 0.4); g.stroke(); }
  } else if (status === DONE) {
    g.arc(x, y, r, 0, 7); g.fill();
    if (r > 3.5) { g.strokeStyle = ground; g.lineWidth = r * 0.28; g.beginPath(); g.moveTo(x - r * 0.42, y + r * 0.02); g.lineTo(x - r * 0.1, y + r * 0.34); g.lineTo(x + r * 0.46, y - r * 0.32); g.stroke(); }
  } else if (status === SUSPENDED) {
    g.moveTo(x, y - r * 0.95); g.lineTo(x + r * 0.95, y); g.lineTo(x, y + r * 0.95); g.lineTo(x - r * 0.95, y); g.closePath(); g.stroke();
  } else if (status === INTERRUPTED) {
    g.rect(x - r * 0.8, y - r * 0.95, r * 0.58, r * 1.9); g.rect(x + r * 0.22, y - r * 0.95, r * 0.58, r * 1.9); g.fill();
  } else if (status === RETRYING) {
    g.lineCap = "butt";
    g.arc(x, y, r * 0.8, 0, 5.06); g.stroke();
    g.beginPath(); g.moveTo(x + r * 0.1, y - r * 1.25); g.lineTo(x + r * 0.95, y - r * 0.5); g.lineTo(x + r * 0.08, y - r * 0.17); g.fill();
  } else if (status === EXITED) {
    g.arc(x, y, r * 0.72, 0, 7); g.moveTo(x - r * 0.85, y + r * 0.85); g.lineTo(x + r * 0.85, y - r * 0.85); g.stroke();
  } else if (status === UNDEFINED) {
    for (let i = 0; i < 6; i++) g.lineTo(x + r * Math.cos((i * Math.PI) / 3), y + r * Math.sin((i * Math.PI) / 3));
    g.closePath(); g.stroke();
  } else {
    g.arc(x, y, status === IDLE ? r * 0.55 : r * 0.82, 0, 7); g.stroke();
  }
}

/** @param {CanvasRenderingContext2D} g @param {number} x @param {number} y @param {number} w @param {number} h @param {number} r */
function box(g, x, y, w, h, r) {
  g.beginPath();
  g.roundRect(x, y, w, h, Math.min(r, w / 2, h / 2));
}

/** @typedef {{dark: boolean, colours: string[], ground: string, chip: string, ink: string, faint: string, edge: string, line: string, brand: string, font: string}} Theme */

/** JupyterLab's colours as they are where an element stands; `colours` are those of the statuses. @param {HTMLElement} el @returns {Theme} */
export function readTheme(el) {
  const style = getComputedStyle(el);
  /** @param {string} name @param {string} other */
  const read = (name, other) => style.getPropertyValue(name).trim() || other;
  const ground = read("--jp-layout-color0", "#ffffff"), dark = isDark(ground);
  return {
    dark,
    colours: dark ? DARK : LIGHT,
    ground,
    chip: dark ? read("--jp-layout-color1", "#222") : ground,
    ink: read("--jp-ui-font-color0", dark ? "#eee" : "#1c1c1c"),
    faint: read("--jp-ui-font-color2", dark ? "#aaa" : "#666"),
    edge: dark ? "#5a5f66" : "#b9bec5",
    line: read("--jp-border-color2", dark ? "#444" : "#ddd"),
    brand: read("--jp-brand-color1", "#1976d2"),
    font: read("--jp-ui-font-family", "system-ui, sans-serif"),
  };
}

/** @typedef {{x: number, y: number, w: number, h: number}} Anchor */

/** Where the world lies on the screen: `u = x * kx + this.x`, `v = y * k + this.y`. A tall graph is stretched, so that names fit. */
export class Camera {
  /** @param {number} x @param {number} y @param {number} k @param {number} stretch */
  constructor(x, y, k, stretch) {
    this.x = x; this.y = y; this.k = k; this.stretch = stretch;
  }

  get kx() {
    return this.k * this.stretch;
  }
}

export class Painter {
  /**
   * @param {import("./graph_store.js").Store} store
   * @param {import("./graph_layout.js").Layout} layout
   * @param {HTMLCanvasElement[]} canvases edges, links, nodes, overlay
   */
  constructor(store, layout, canvases) {
    this.store = store;
    this.layout = layout;
    this.canvases = canvases;
    const pens = canvases.map((c) => /** @type {CanvasRenderingContext2D} */ (c.getContext("2d", { willReadFrequently: true })));
    this.edges = pens[0];
    this.links = pens[1];
    this.nodes = pens[2];
    this.over = pens[3];
    this.camera = new Camera(0, 0, 1, 1);
    this.w = this.h = this.ratio = 1;
    /** @type {Map<string, HTMLCanvasElement>} */ this.sprites = new Map();
    /** @type {Map<string, string>} */ this.cut = new Map();
    this.colours = LIGHT;
    /** @type {Theme} */ this.tone = { dark: false, colours: LIGHT, ground: "#fff", chip: "#fff", ink: "#222", faint: "#777", edge: "#c8c8c8", line: "#ddd", brand: "#1976d2", font: "sans-serif" };
  }

  /** Read JupyterLab's colours. @param {HTMLElement} el */
  theme(el) {
    this.tone = readTheme(el);
    this.colours = this.tone.colours;
    this.sprites.clear();
  }

  /** @param {number} w @param {number} h @param {number} ratio */
  resize(w, h, ratio) {
    Object.assign(this, { w, h, ratio });
    for (const canvas of this.canvases) {
      canvas.width = Math.max(1, Math.round(w * ratio));
      canvas.height = Math.max(1, Math.round(h * ratio));
      canvas.style.width = `${w}px`;
      canvas.style.height = `${h}px`;
    }
    this.sprites.clear();
  }

  /** Bring all into the picture, never larger than life. */
  fit() {
    const [l, t, r, b] = this.layout.bounds();
    const k = Math.min(1.1, (this.w - 48) / (r - l), (this.h - 48) / (b - t));
    const open = [...this.layout.bands.values()].some((band) => band.expanded);
    const stretch = open ? 1 : Math.max(1, Math.min(2, 0.95 / k, (this.w - 48) / (r - l) / k));
    this.camera = new Camera(this.w / 2 - ((l + r) / 2) * k * stretch, this.h / 2 - ((t + b) / 2) * k, Math.max(k, 1e-4), stretch);
  }

  /** Whether some of it lies outside the picture. */
  spills() {
    const [l, t, r, b] = this.layout.bounds(), { x, y, k, kx } = this.camera;
    return l * kx + x < 8 || t * k + y < 8 || r * kx + x > this.w - 8 || b * k + y > this.h - 8;
  }

  /** @param {CanvasRenderingContext2D} g */
  begin(g) {
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.clearRect(0, 0, g.canvas.width, g.canvas.height);
    g.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
  }

  /** Draw everything. */
  full() {
    const { k, kx } = this.camera;
    if (this.spriteScale !== k + kx) { this.sprites.clear(); this.cut.clear(); this.spriteScale = k + kx; }
    this.begin(this.edges);
    this.begin(this.nodes);
    this.drawEdges(0, this.layout.placed);
    for (const parent of this.layout.bands.keys()) this.drawBand(parent);
    for (let slot = 0; slot < this.layout.placed; slot++) if (this.layout.mode[slot]) this.drawNode(slot, false);
    this.drawLinks();
  }

  // ---- nodes -------------------------------------------------------------------------------------------------------

  /** @param {number} slot @param {boolean} [clear] whether something stands there already */
  drawNode(slot, clear = true) {
    const { x, y, mode } = this.layout, { k, kx, x: cx, y: cy } = this.camera;
    const u = x[slot] * kx + cx, v = y[slot] * k + cy;
    if (u > this.w + 9 || v < -99 || v > this.h + 99 || u + CHIP_W * kx < -9) return;
    const status = this.store.statuses[slot], g = this.nodes;
    if (mode[slot] === DOTTED) {
      const sprite = this.sprite(status, false), s = sprite.width / this.ratio;
      if (clear) { const c = DOT * k; g.clearRect(u - c / 2, v - c / 2, c, c); if (this.ground(slot)) { g.fillStyle = this.tone.chip; g.fillRect(u - c / 2, v - c / 2, c, c); } }
      g.drawImage(sprite, u - s / 2, v - s / 2, s, s);
      return;
    }
    const root = this.store.origins[slot] === ROOT;
    const sprite = this.sprite(root ? -1 : status, true), pad = 2;
    const w = sprite.width / this.ratio, h = sprite.height / this.ratio;
    if (clear) g.clearRect(u - pad, v - h / 2, w, h);
    g.drawImage(sprite, u - pad, v - h / 2, w, h);
    if (CHIP_H * k >= 12) {
      g.font = this.font();
      g.textBaseline = "middle";
      g.textAlign = "left";
      g.fillStyle = status === EXITED ? this.tone.faint : this.tone.ink;
      g.fillText(this.shorten(this.store.name(slot), CHIP_W * kx - 34 * k), u + 26 * k, v + 0.5);
    }
  }

  /** @param {number} slot */
  ground(slot) {
    return this.layout.bands.has(this.store.parents[slot]);
  }

  /** @param {number} [scale] @param {string} [weight] */
  font(scale = 1, weight = "") {
    return `${weight} ${Math.max(10.5, Math.min(15, 12.5 * this.camera.k)) * scale}px ${this.tone.font}`.trim();
  }

  /** The text, cut so that it fits; `nodes.font` must be set. @param {string} text @param {number} width */
  shorten(text, width) {
    const key = `${text}\n${Math.round(width)}\n${this.nodes.font}`;
    let short = this.cut.get(key);
    if (short !== undefined) return short;
    short = text.length > 120 ? `${text.slice(0, 120)}…` : text;
    if (this.nodes.measureText(short).width > width) {
      let lo = 0, hi = short.length;
      while (lo < hi) { const mid = (lo + hi + 1) >> 1; if (this.nodes.measureText(`${text.slice(0, mid)}…`).width <= width) lo = mid; else hi = mid - 1; }
      short = lo ? `${text.slice(0, lo)}…` : "";
    }
    if (this.cut.size > 5000) this.cut.clear();
    this.cut.set(key, short);
    return short;
  }

  /** @param {number} status -1 for the notebook @param {boolean} chip @returns {HTMLCanvasElement} */
  sprite(status, chip) {
    const key = `${status}${chip}`, found = this.sprites.get(key);
    if (found) return found;
    const { k, kx } = this.camera, sprite = document.createElement("canvas"), pad = 2, tone = this.tone;
    const colour = status < 0 ? tone.brand : this.colours[status];
    const g = /** @type {CanvasRenderingContext2D} */ (sprite.getContext("2d", { willReadFrequently: true }));
    const w = chip ? CHIP_W * kx + 2 * pad : Math.max(2, DOT * k * 0.92), h = chip ? Math.max(2, CHIP_H * k) + 2 * pad : w;
    sprite.width = Math.ceil(w * this.ratio);
    sprite.height = Math.ceil(h * this.ratio);
    g.scale(this.ratio, this.ratio);
    if (!chip) {
      if (w < 4) { g.fillStyle = colour; g.globalAlpha = this.tiny(status); g.fillRect(w * 0.1, w * 0.1, w * 0.8, w * 0.8); }
      else drawShape(g, status, w / 2, w / 2, w * 0.38, colour, tone.chip);
    } else if (CHIP_H * k < 7) {
      g.fillStyle = colour;
      g.globalAlpha = this.tiny(status);
      box(g, pad, pad, w - 2 * pad, h - 2 * pad, 2);
      g.fill();
    } else {
      const r = Math.min(7, h / 3), body = CHIP_H * k;
      box(g, pad + 0.5, pad + 0.5, w - 2 * pad - 1, h - 2 * pad - 1, r);
      g.fillStyle = tone.chip;
      g.fill();
      g.globalAlpha = TINT[status] ?? 0;
      g.fillStyle = colour;
      g.fill();
      g.globalAlpha = FRAME[status] ?? 1;
      g.strokeStyle = colour;
      g.lineWidth = (TINT[status] ?? 0) > 0.1 || status === INTERRUPTED || status < 0 ? 1.5 : 1;
      g.setLineDash(DASH[status] ?? []);
      g.stroke();
      g.globalAlpha = 1;
      const x = pad + 14 * k, y = h / 2, s = body * 0.24;
      if (status >= 0) drawShape(g, status, x, y, s, colour, tone.chip);
      else { g.setLineDash([]); g.lineWidth = Math.max(1, s * 0.28); box(g, x - s, y - s * 1.15, s * 2, s * 2.3, s * 0.4); g.stroke(); g.beginPath(); g.moveTo(x - s * 0.4, y - s * 1.1); g.lineTo(x - s * 0.4, y + s * 1.1); g.stroke(); }
    }
    this.sprites.set(key, sprite);
    return sprite;
  }

  /** How strong the smallest marks are. @param {number} status */
  tiny(status) {
    return status === SUSPENDED || status === EXITED ? PALE[status] : 1;
  }

  // ---- bands -------------------------------------------------------------------------------------------------------

  /** @param {number} parent @param {boolean} [again] only what changes: an open band keeps its dots */
  drawBand(parent, again = false) {
    const band = this.layout.bands.get(parent);
    if (!band || !this.layout.mode[parent]) return;
    const { k, kx, x: cx, y: cy } = this.camera, g = this.nodes, tone = this.tone;
    const u = band.x * kx + cx, v = band.y * k + cy, w = band.w * kx, h = band.h * k;
    if (u > this.w || v > this.h || u + w < 0 || v + h < 0) return;
    const counts = this.store.childCounts(parent), total = this.store.childCount(parent);
    const cut = (band.expanded ? 0 : 5) * k;
    g.setLineDash([]);
    if (again && band.expanded) {
      g.fillStyle = tone.chip;
      g.fillRect(u + 6 * k, v + 2 * k, w - 12 * k, 27 * k);
    } else {
      g.clearRect(u - 1, v - 1, w + 2, h + 2);
      for (const off of band.expanded ? [0] : [5, 2.5, 0]) { // two sheets behind a closed one: this is a pile
        box(g, u + off * k + 0.5, v + off * k + 0.5, w - cut - 1, h - cut - 1, 8 * k);
        g.fillStyle = tone.chip;
        g.fill();
        g.strokeStyle = tone.edge;
        g.lineWidth = 1;
        g.stroke();
      }
    }
    const bw = w - cut - 22 * k;
    let at = u + 11 * k;
    const barY = v + (band.expanded ? 23 : 27) * k, barH = Math.max(2, 5 * k);
    for (const status of BAR) {
      if (!counts[status]) continue;
      const part = Math.max(2, (bw * counts[status]) / total);
      g.fillStyle = this.colours[status];
      g.globalAlpha = PALE[status] ?? 1;
      g.fillRect(at, barY, Math.min(part, u + 11 * k + bw - at), barH);
      g.globalAlpha = 1;
      at += part;
    }
    if (CHIP_H * k < 12) return;
    g.textBaseline = "middle";
    g.textAlign = "left";
    g.fillStyle = tone.ink;
    g.font = this.font(1, "600");
    g.fillText(this.shorten(this.bandTitle(parent, total), w - 38 * k), u + 11 * k, v + 14 * k);
    g.fillStyle = tone.faint;
    g.font = this.font(0.86);
    if (!band.expanded) this.drawCounts(counts, u + 11 * k, v + 43.5 * k, w - 26 * k);
    g.strokeStyle = tone.faint; // a chevron tells that it opens
    g.lineWidth = 1.4;
    g.beginPath();
    const x = u + w - 20 * k, y = v + 14 * k, s = 3.5 * k;
    if (band.expanded) { g.moveTo(x - s, y - s / 2); g.lineTo(x, y + s / 2); g.lineTo(x + s, y - s / 2); } else { g.moveTo(x - s / 2, y - s); g.lineTo(x + s / 2, y); g.lineTo(x - s / 2, y + s); }
    g.stroke();
  }

  /** Counts in words where they fit, else as shapes and numbers. @param {Int32Array} counts @param {number} x @param {number} y @param {number} room */
  drawCounts(counts, x, y, room) {
    const g = this.nodes, words = describeCounts(counts, " · ");
    if (g.measureText(words).width <= room) { g.fillText(words, x, y); return; }
    const r = Math.max(3, Math.min(5, 4.2 * this.camera.k));
    const wide = (/** @type {number} */ status) => 4.8 * r + g.measureText(String(counts[status])).width;
    const shown = fitting(counts, wide, room, wide(DONE) / 2);
    for (const status of READING_ORDER) {
      if (!shown.has(status)) continue;
      drawShape(g, status, x + r, y, r, this.colours[status], this.tone.chip);
      g.fillStyle = this.tone.faint;
      g.fillText(String(counts[status]), x + 2.8 * r, y + 0.5);
      x += wide(status);
    }
    if (READING_ORDER.some((status) => counts[status] && !shown.has(status))) g.fillText("…", x, y);
  }

  /** `200 × Worker`. @param {number} parent @param {number} total */
  bandTitle(parent, total) {
    const kids = this.store.kids.get(parent) ?? [], type = (/** @type {number} */ s) => this.store.ids[s].split("(")[0];
    const first = kids.length ? type(kids[0]) : "";
    return kids.every((s) => this.store.ids[s].startsWith(`${first}(`)) ? `${total} × ${first}` : `${total} agents`;
  }

  // ---- edges and links ---------------------------------------------------------------------------------------------

  /** @param {number} from @param {number} to */
  drawEdges(from, to) {
    const { mode } = this.layout, { origins, parents } = this.store, g = this.edges;
    const forks = [];
    this.stroke(g, this.tone.edge, Math.max(0.6, Math.min(1.3, 1.6 * this.camera.k)), []);
    let batch = 0;
    g.beginPath();
    for (let slot = from; slot < to; slot++) {
      if (mode[slot] !== CHIP || parents[slot] < 0) continue;
      if (origins[slot] === FORKED) { forks.push(slot); continue; }
      this.edge(g, slot);
      if (++batch % BATCH === 0) { g.stroke(); g.beginPath(); }
    }
    for (const parent of this.layout.bands.keys()) if (mode[parent]) this.between(g, this.anchor(parent), this.bandAnchor(parent));
    g.stroke();
    this.stroke(g, this.colours[FORK_STROKE.status], FORK_STROKE.width, FORK_STROKE.dash);
    g.beginPath();
    for (const slot of forks) this.edge(g, slot);
    g.stroke();
    g.setLineDash([]);
  }

  /** @param {CanvasRenderingContext2D} g @param {string} colour @param {number} width @param {number[]} dash */
  stroke(g, colour, width, dash) {
    g.strokeStyle = colour;
    g.lineWidth = width;
    g.lineCap = dash.length && dash[0] < 2 ? "round" : "butt";
    g.setLineDash(dash);
  }

  /** From a node's parent to the node; families of several columns hang on a rail between two rows. @param {CanvasRenderingContext2D} g @param {number} slot */
  edge(g, slot) {
    const parent = this.store.parents[slot], { k, kx, x: cx, y: cy } = this.camera, { layout } = this;
    const first = (layout.runs.get(parent) ?? [])[0];
    if (!layout.mode[parent]) return;
    const a = this.anchor(parent), b = this.anchor(slot);
    if (!first || layout.column[slot] === first.column || layout.mode[parent] !== CHIP) { this.between(g, a, b); return; }
    const row = first.top + Math.round(layout.y[parent] / ROW - first.top + 0.5) - 0.5;
    const rail = row * ROW * k + cy, gap = (COLUMN - CHIP_W) * kx, start = layout.columns[first.column].x * kx + cx;
    g.moveTo(a.x + a.w, a.y);
    const mid = (a.x + a.w + start) / 2;
    g.bezierCurveTo(mid, a.y, mid, rail, start, rail);
    g.lineTo(b.x - gap, rail);
    g.bezierCurveTo(b.x - gap / 2, rail, b.x - gap / 2, b.y, b.x, b.y);
  }

  /** A curve that leaves and arrives level. @param {CanvasRenderingContext2D} g @param {Anchor} a @param {Anchor} b */
  between(g, a, b) {
    if (a.x === b.x && a.y === b.y) { // a wait on oneself
      const x = a.x + a.w * 0.8, r = Math.max(4, a.h * 0.35);
      g.moveTo(x - r, a.y - a.h / 2);
      g.bezierCurveTo(x - r * 1.6, a.y - a.h / 2 - r * 2, x + r * 1.6, a.y - a.h / 2 - r * 2, x + r, a.y - a.h / 2);
      return [x + r, a.y - a.h / 2, 0, 1];
    }
    if (b.x > a.x + a.w - 1) {
      const bend = Math.min((b.x - a.x - a.w) / 2, 40 + (b.x - a.x - a.w) / 4);
      g.moveTo(a.x + a.w, a.y);
      if (b.x - a.x < 14) g.lineTo(b.x, b.y);
      else g.bezierCurveTo(a.x + a.w + bend, a.y, b.x - bend, b.y, b.x, b.y);
      return [b.x, b.y, 1, 0];
    }
    if (b.x + b.w < a.x + 1) {
      const lift = a.h * 0.28, bend = (a.x - b.x - b.w) / 2;
      g.moveTo(a.x, a.y + lift);
      g.bezierCurveTo(a.x - bend, a.y + lift, b.x + b.w + bend, b.y + lift, b.x + b.w, b.y + lift);
      return [b.x + b.w, b.y + lift, -1, 0];
    }
    const bulge = 14 + Math.min(60, Math.abs(a.y - b.y) / 3), x = Math.max(a.x + a.w, b.x + b.w);
    g.moveTo(a.x + a.w, a.y);
    g.bezierCurveTo(x + bulge, a.y, x + bulge, b.y, b.x + b.w, b.y);
    return [b.x + b.w, b.y, -1, 0];
  }

  /** Where edges touch a node. @param {number} slot @returns {Anchor} */
  anchor(slot) {
    const { k, kx, x, y } = this.camera, { layout } = this;
    if (layout.mode[slot] === CHIP) return { x: layout.x[slot] * kx + x, y: layout.y[slot] * k + y, w: CHIP_W * kx, h: CHIP_H * k };
    if (layout.mode[slot] === DOTTED) return { x: (layout.x[slot] - DOT / 2) * kx + x, y: layout.y[slot] * k + y, w: DOT * kx, h: DOT * k };
    return this.bandAnchor(layout.bandOf(slot));
  }

  /** @param {number} parent @returns {Anchor} */
  bandAnchor(parent) {
    const band = this.layout.bands.get(parent), { k, kx, x, y } = this.camera;
    if (!band) return { x: NaN, y: NaN, w: 0, h: 0 };
    const h = Math.min(band.h, 62);
    return { x: band.x * kx + x, y: (band.y + h / 2) * k + y, w: band.w * kx - (band.expanded ? 0 : 5 * k), h: h * k };
  }

  drawLinks() {
    const g = this.links, { store, layout } = this;
    this.begin(g);
    const seen = new Set();
    /** @type {Map<number, [number, number, number, number][]>} */ const heads = new Map();
    let drawn = 0;
    for (const kind of [CALL, TRIGGER, PROMISE]) {
      const look = STROKES[kind], tips = [];
      this.stroke(g, this.colours[look.status], look.width * Math.max(0.4, Math.min(1, 1.8 * this.camera.k)), look.dash);
      g.globalAlpha = 0.85;
      g.beginPath();
      for (const link of store.links.values()) {
        if (link.kind !== kind || drawn > MOST_LINKS) continue;
        const down = store.parents[link.to] === link.from;
        if (down && layout.mode[link.to] === DOTTED) continue; // the dot's own status says it
        const a = this.end(link.from), b = this.end(link.to);
        if (Number.isNaN(a) || Number.isNaN(b) || (a === b && link.from !== link.to)) continue;
        const key = a * 4194304 + b;
        if (seen.has(kind * 1e15 + key)) continue;
        seen.add(kind * 1e15 + key);
        if (down && layout.mode[link.to] === CHIP) this.edge(g, link.to); // along the tree no head is needed
        else tips.push(this.between(g, this.anchor(link.from), this.anchor(link.to)));
        if (++drawn % BATCH === 0) { g.stroke(); g.beginPath(); }
      }
      g.stroke();
      heads.set(kind, /** @type {any} */ (tips));
    }
    g.setLineDash([]);
    const s = Math.max(3, Math.min(6, 6 * this.camera.k));
    if (drawn < 400) for (const [kind, tips] of heads) {
      g.fillStyle = this.colours[STROKES[kind].status];
      for (const [x, y, dx, dy] of tips) { g.beginPath(); g.moveTo(x, y); g.lineTo(x - dx * s * 1.4 - dy * s * 0.7, y - dy * s * 1.4 - dx * s * 0.7); g.lineTo(x - dx * s * 1.4 + dy * s * 0.7, y - dy * s * 1.4 + dx * s * 0.7); g.fill(); }
    }
    g.globalAlpha = 1;
  }

  /** What stands for a node in a link: the node, or minus the parent of the band it is folded into. @param {number} slot */
  end(slot) {
    if (this.layout.mode[slot]) return slot;
    const parent = this.layout.bandOf(slot);
    return parent < 0 ? NaN : -parent - 1;
  }

  // ---- the overlay -------------------------------------------------------------------------------------------------

  /**
   * @param {Set<number>} selected @param {number} hover @param {number} focus @param {boolean} onBand whether the focus is on that slot's band
   * @param {{slot: number, other: number, age: number}[]} sparks what just changed (`other` -1), or promises completed
   */
  drawOverlay(selected, hover, focus, onBand, sparks) {
    const g = this.over;
    this.begin(g);
    for (const { slot, other, age } of sparks) {
      if (!this.layout.mode[slot] && other < 0) continue;
      g.globalAlpha = 1 - age;
      if (other >= 0) {
        if (Number.isNaN(this.end(slot)) || Number.isNaN(this.end(other))) continue;
        this.stroke(g, this.colours[DONE], STROKES[COMPLETION].width, []);
        g.beginPath();
        this.between(g, this.anchor(slot), this.anchor(other));
        g.stroke();
      } else this.ring(g, slot, this.colours[this.store.statuses[slot]], 1.5, 1 + 5 * age);
    }
    g.globalAlpha = 1;
    for (const slot of selected) if (this.layout.mode[slot]) this.ring(g, slot, this.tone.brand, 2, 2.5);
    if (hover >= 0 && this.layout.mode[hover] && !selected.has(hover)) this.ring(g, hover, this.tone.faint, 1, 2);
    if (focus >= 0 && onBand) {
      const band = this.layout.bands.get(focus), { k, kx, x, y } = this.camera;
      if (band) { this.stroke(g, this.tone.brand, 2, []); box(g, band.x * kx + x - 2.5, band.y * k + y - 2.5, band.w * kx + 5 - (band.expanded ? 0 : 5 * k), band.h * k + 5 - (band.expanded ? 0 : 5 * k), 10 * k); g.stroke(); }
    } else if (focus >= 0 && this.layout.mode[focus]) this.ring(g, focus, this.tone.brand, 2, 2.5);
  }

  /** @param {CanvasRenderingContext2D} g @param {number} slot @param {string} colour @param {number} width @param {number} out */
  ring(g, slot, colour, width, out) {
    const a = this.anchor(slot);
    this.stroke(g, colour, width, []);
    box(g, a.x - out, a.y - a.h / 2 - out, a.w + 2 * out, a.h + 2 * out, Math.min(7, a.h / 3) + out);
    g.stroke();
  }

  /** What lies under a point: a node, or a band as minus its parent minus one, NaN for nothing. @param {number} u @param {number} v */
  pick(u, v) {
    const { x, y, mode, placed, bands } = this.layout, { camera } = this;
    const px = (u - camera.x) / camera.kx, py = (v - camera.y) / camera.k, slack = Math.max(0, 6 / camera.k - DOT / 2);
    let best = NaN, near = Infinity;
    for (let i = 0; i < placed; i++) {
      if (!mode[i]) continue;
      const dx = mode[i] === CHIP ? Math.max(x[i] - px, px - x[i] - CHIP_W, 0) : Math.max(Math.abs(px - x[i]) - DOT / 2, 0);
      const dy = Math.max(Math.abs(py - y[i]) - (mode[i] === CHIP ? CHIP_H : DOT) / 2, 0), d = dx + dy;
      if (d <= slack && d < near) { near = d; best = i; }
    }
    if (near > 0) for (const [parent, band] of bands) if (mode[parent] && px >= band.x && px <= band.x + band.w && py >= band.y && py <= band.y + (band.expanded ? 34 : band.h)) return -parent - 1;
    return best;
  }
}

/**
 * The statuses whose counts there is room for; those that somebody should look at first.
 * @param {Int32Array} counts @param {(status: number) => number} wide @param {number} room @param {number} rest room for a sign that there are more
 */
export function fitting(counts, wide, room, rest) {
  const there = [FAILED, INTERRUPTED, ...READING_ORDER.filter((s) => s !== FAILED && s !== INTERRUPTED)].filter((s) => counts[s]);
  let all = there.reduce((sum, s) => sum + wide(s), 0);
  if (all > room) for (all += rest; all > room && there.length > 1; ) all -= wide(/** @type {number} */ (there.pop()));
  return new Set(there);
}

/** Whether a CSS colour is a dark ground. @param {string} colour */
export function isDark(colour) {
  const hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(colour);
  let rgb = (colour.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number);
  if (hex) { const h = hex[1].length === 3 ? [...hex[1]].map((c) => c + c).join("") : hex[1]; rgb = [0, 2, 4].map((i) => parseInt(h.slice(i, i + 2), 16)); }
  if (colour === "black") return true;
  return rgb.length === 3 && 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] < 110;
}
export { STATUS };
