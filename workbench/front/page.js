// @ts-check
// A dashboard in a page of its own: the model is what the page carries, and nobody answers.
import dashboard from "./dashboard.js";

/** @param {string} id */
function carried(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id)).textContent ?? "";
}

/** What the widget's model is in a notebook. */
export class PageModel {
  /** @param {Record<string, any>} values */
  constructor(values) { this.values = values; /** @type {Record<string, Function[]>} */ this.heard = {}; }
  /** @param {string} name */
  get(name) { return this.values[name]; }
  /** @param {string} name @param {any} value */
  set(name, value) {
    if (JSON.stringify(this.values[name]) === JSON.stringify(value)) return; // as a widget's model does
    this.values[name] = value;
    for (const act of this.heard[`change:${name}`] ?? []) act();
  }
  save_changes() {}
  send() {}
  /** @param {string} name @param {Function} act */
  on(name, act) { (this.heard[name] ??= []).push(act); }
  /** @param {string} name @param {Function} act */
  off(name, act) { this.heard[name] = (this.heard[name] ?? []).filter((other) => other !== act); }
}

/** Shows what the page carries. */
export function openPage() {
  const bytes = Uint8Array.from(atob(carried("wb-data").trim()), (sign) => sign.charCodeAt(0));
  const model = new PageModel({ ...JSON.parse(carried("wb-options")), state: { data: bytes }, selection: [], bookmarks: [], clock: -1, still: true });
  const widget = dashboard();
  widget.initialize({ model });
  widget.render({ el: /** @type {HTMLElement} */ (document.getElementById("wb-root")) });
}
