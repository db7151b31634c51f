// media-chrome under a policy without inline styles. Its shadow trees hold <style> elements with text, which the policy
// refuses; here each class hands out its template with those emptied, and the rules go in through the CSSOM once the
// element is connected. The wrapping lasts only while the vendor file defines its elements.

const sheets = [];

function emptied(html) {
  return html.replace(/<style([^>]*)>([\s\S]*?)<\/style>/g, (_, attributes, css) => {
    let index = sheets.indexOf(css);
    if (index < 0) index = sheets.push(css) - 1;
    return `<style${attributes} data-sheet="${index}"></style>`;
  });
}

function fill(root) {
  for (const style of root?.querySelectorAll("style[data-sheet]") ?? []) {
    if (!style.sheet) continue;
    const parsed = new CSSStyleSheet();
    parsed.replaceSync(sheets[Number(style.dataset.sheet)]);
    [...parsed.cssRules].forEach((rule, index) => style.sheet.insertRule(rule.cssText, index));
    style.removeAttribute("data-sheet");
  }
}

function wrap(element) {
  if (Object.hasOwn(element, "getTemplateHTML")) {
    const original = element.getTemplateHTML;
    element.getTemplateHTML = function getTemplateHTML(...given) {
      return emptied(original.apply(this, given));
    };
  }
  const connected = element.prototype.connectedCallback;
  element.prototype.connectedCallback = function connectedCallback() {
    fill(this.shadowRoot);
    connected?.call(this);
  };
}

/** Load media-chrome and define its elements. */
export async function loadChrome() {
  if (customElements.get("media-controller")) return;
  const define = customElements.define;
  customElements.define = function defineWrapped(name, element, options) {
    if (name.startsWith("media-")) wrap(element);
    return define.call(this, name, element, options);
  };
  try {
    await import("../vendor/media-chrome.js");
  } finally {
    customElements.define = define;
  }
}
