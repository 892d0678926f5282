// @ts-check
// What each widget carries: it fetches the dashboard's code from the one model of the notebook that holds it.

/** @type {Map<string, Promise<any>>} by the name of the model that has the code */
const modules = new Map();

/** @param {DataView} data compressed @param {string} name of the model that has it */
function importData(data, name) {
  let loading = modules.get(name);
  if (!loading) {
    loading = (async () => {
      const bytes = new Uint8Array(/** @type {ArrayBuffer} */ (data.buffer), data.byteOffset, data.byteLength);
      const text = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
      const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      return import(/* webpackIgnore: true */ url).finally(() => URL.revokeObjectURL(url));
    })();
    modules.set(name, loading);
  }
  return loading;
}

/** Have the style sheet in the page that shows an element, once. @param {string} css @param {HTMLElement} el */
function dress(css, el) {
  const root = el.getRootNode(), home = root instanceof ShadowRoot ? root : document.head;
  if ([...home.querySelectorAll("style[data-workbench]")].some((style) => style.textContent === css)) return;
  const style = document.createElement("style");
  style.dataset.workbench = "";
  style.textContent = css;
  home.append(style);
}

export default () => {
  /** @type {any} */ let widget;
  /** @type {any} */ let code;
  return {
    /** @param {{model: any}} context */
    async initialize({ model }) {
      const name = String(model.get("code")).replace("IPY_MODEL_", "");
      code = await model.widget_manager.get_model(name);
      widget = (await importData(code.get("module"), name)).default();
      return widget.initialize({ model });
    },
    /** @param {{el: HTMLElement}} context */
    render({ el }) {
      dress(code.get("css"), el);
      return widget.render({ el });
    },
  };
};
