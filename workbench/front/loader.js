// @ts-check
// What each widget carries: it fetches the dashboard's code from the one model of the notebook that holds it.

/** @type {Map<string, Promise<any>>} */
const modules = new Map();

/** @param {string} text */
function importText(text) {
  let loading = modules.get(text);
  if (!loading) {
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    loading = import(/* webpackIgnore: true */ url).finally(() => URL.revokeObjectURL(url));
    modules.set(text, loading);
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
      code = await model.widget_manager.get_model(String(model.get("code")).replace("IPY_MODEL_", ""));
      widget = (await importText(code.get("text"))).default();
      return widget.initialize({ model });
    },
    /** @param {{el: HTMLElement}} context */
    render({ el }) {
      dress(code.get("css"), el);
      return widget.render({ el });
    },
  };
};
