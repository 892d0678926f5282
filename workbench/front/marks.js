// @ts-check
// What the views are put together from: shapes, links to agents and entries, long lists, questions to the reader.
import { drawShape } from "./graph_paint.js";
import { make } from "./graph.js";

const OVERSCAN = 6;

/** The shape of a status as an element. @param {number} status @param {import("./graph_paint.js").Theme} theme @param {number} [size] @returns {HTMLCanvasElement} */
export function statusIcon(status, theme, size = 12) {
  const icon = make("canvas", "wb-icon"), ratio = window.devicePixelRatio || 1, g = /** @type {CanvasRenderingContext2D} */ (icon.getContext("2d"));
  icon.width = icon.height = size * ratio;
  icon.style.width = icon.style.height = `${size}px`;
  icon.setAttribute("aria-hidden", "true");
  g.scale(ratio, ratio);
  drawShape(g, status, size / 2, size / 2, size * 0.38, theme.colours[status], theme.ground);
  return icon;
}

/** A canvas that fills an element, sharp on every screen. @param {HTMLCanvasElement} canvas @param {number} w @param {number} h @returns {CanvasRenderingContext2D} scaled to CSS pixels and cleared */
export function sharpPen(canvas, w, h) {
  const ratio = Math.min(2, window.devicePixelRatio || 1), g = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const wide = Math.max(1, Math.round(w * ratio)), high = Math.max(1, Math.round(h * ratio));
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.width = `${w}px`;
    canvas.style.height = `${h}px`;
  }
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, w, h);
  return g;
}

/** An agent's name that selects it. @param {import("./desk.js").Desk} desk @param {number} slot @returns {HTMLElement} */
export function agentLink(desk, slot) {
  const { tape } = desk;
  if (slot < 0 || slot >= tape.n) return make("span", "wb-faint", tape.name(slot));
  const link = make("button", "wb-link wb-code", tape.name(slot));
  link.title = tape.ids[slot];
  link.onclick = (e) => { e.stopPropagation(); desk.select([slot], e.shiftKey || e.ctrlKey || e.metaKey); };
  return link;
}

/** The number of an entry, which brings all views there. @param {import("./desk.js").Desk} desk @param {number} seq @param {string} [text] @returns {HTMLElement} */
export function entryLink(desk, seq, text = `#${seq}`) {
  const link = make("button", "wb-link wb-entry", text);
  link.title = `Show everything as of entry ${seq}`;
  link.onclick = (e) => { e.stopPropagation(); desk.goTo(seq); };
  return link;
}

/** A button with words. @param {string} text @param {string} title @param {() => void} act @param {string} [kind] */
export function button(text, title, act, kind = "wb-button") {
  const node = make("button", kind, text);
  node.title = title;
  node.onclick = (e) => { e.stopPropagation(); act(); };
  return node;
}

/**
 * Ask before something is done that is not undone by a click. A box within the view; Escape and "Cancel" do nothing.
 * @param {HTMLElement} el where to show it
 * @param {string} question says what will happen
 * @param {string} verb on the button that does it
 * @param {HTMLElement} [more] a field, say
 * @returns {Promise<boolean>}
 */
export function confirmHere(el, question, verb, more) {
  return new Promise((done) => {
    const box = make("div", "wb-ask"), text = make("div", "wb-ask-text", question), row = make("div", "wb-ask-row");
    /** @param {boolean} answer */
    const end = (answer) => { box.remove(); done(answer); };
    const yes = button(verb, verb, () => end(true), "wb-button wb-primary"), no = button("Cancel", "Do nothing (Escape)", () => end(false));
    box.setAttribute("role", "alertdialog");
    box.setAttribute("aria-label", question);
    box.addEventListener("keydown", (e) => { if (e.key === "Escape") { e.preventDefault(); end(false); } e.stopPropagation(); });
    row.append(no, yes);
    box.append(text, ...(more ? [more] : []), row);
    el.append(box);
    /** @type {HTMLElement} */ (more?.querySelector("textarea, input") ?? no).focus();
  });
}

/** A list of any length: only the rows in sight are in the page. Rows have one height. */
export class LongList {
  /**
   * @param {HTMLElement} el scrolls; gets the rows
   * @param {number} height of a row, in pixels
   * @param {(index: number) => HTMLElement} row makes one
   */
  constructor(el, height, row) {
    this.el = el;
    this.height = height;
    this.row = row;
    this.count = 0;
    this.space = make("div", "wb-long");
    el.append(this.space);
    /** @type {Map<number, HTMLElement>} */ this.shown = new Map();
    this.onScroll = () => this.draw(false);
    el.addEventListener("scroll", this.onScroll, { passive: true });
    this.sizes = new ResizeObserver(() => this.draw(false));
    this.sizes.observe(el);
  }

  close() {
    this.el.removeEventListener("scroll", this.onScroll);
    this.sizes.disconnect();
  }

  /** Show so many rows; `anew` makes those in sight again. @param {number} count @param {boolean} [anew] */
  set(count, anew = true) {
    this.count = count;
    this.space.style.height = `${count * this.height}px`;
    this.draw(anew);
  }

  /** @param {boolean} anew */
  draw(anew) {
    const { el, height, shown } = this;
    const from = Math.max(0, Math.floor(el.scrollTop / height) - OVERSCAN), to = Math.min(this.count, Math.ceil((el.scrollTop + (el.clientHeight || 400)) / height) + OVERSCAN);
    for (const [index, node] of shown) if (anew || index < from || index >= to) { node.remove(); shown.delete(index); }
    for (let index = from; index < to; index++) {
      if (shown.has(index)) continue;
      const node = this.row(index);
      node.style.position = "absolute";
      node.style.top = `${index * height}px`;
      node.style.height = `${height}px`;
      node.style.left = node.style.right = "0";
      shown.set(index, node);
      this.space.append(node);
    }
  }

  /** Bring a row into sight. @param {number} index */
  reveal(index) {
    const { el, height } = this, top = index * height;
    if (top < el.scrollTop) el.scrollTop = top;
    else if (top + height > el.scrollTop + el.clientHeight) el.scrollTop = top + height - el.clientHeight;
    this.draw(false);
  }
}

/** A count with its noun. @param {number} n @param {string} one @param {string} [many] */
export function counted(n, one, many = `${one}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

