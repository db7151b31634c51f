// Small parts that build and change the page; none parses markup, so nothing that people typed becomes any.

/** An element: `h("p", {class: "muted", onclick: f}, "text", child)`. Null attributes and children are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    // A form that is reset goes back to it.
    else if (name === "value" && "defaultValue" in element) element.defaultValue = value;
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An icon of icons.svg. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${document.body.dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}

/** A box of words; `kind` is bad, good or warn. */
export function notice(kind, ...children) {
  const sign = { bad: "alert", good: "check", warn: "alert" }[kind];
  return h("div", { class: `notice notice-${kind}`, role: kind === "bad" ? "alert" : null }, icon(sign), h("div", {}, children));
}

/** A labelled field. */
export function field(label, input, hint = "") {
  input.id ||= `f-${Math.random().toString(36).slice(2, 9)}`;
  if (hint) input.setAttribute("aria-describedby", `${input.id}-hint`);
  input.classList.add("input");
  return h(
    "div",
    { class: "field" },
    h("label", { for: input.id }, label),
    input,
    hint ? h("span", { class: "hint", id: `${input.id}-hint` }, hint) : null,
  );
}

/** A short message at the foot of the page, read out by screen readers. */
export function toast(words) {
  const shown = h("div", { class: "toast" }, words);
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), 5000);
}

/** Show the problem of a form and lead there; no problem takes the old one away. */
export function showProblem(form, problem) {
  const box = form.querySelector("[data-problem]");
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  box.hidden = !problem;
  box.replaceChildren();
  if (!problem) return;
  box.append(icon("alert"), h("div", {}, problem.message, problem.code === "unauthenticated" ? [" ", wayIn()] : null));
  const wrong = form.elements.namedItem(problem.details?.field ?? "");
  if (wrong instanceof HTMLElement) {
    wrong.setAttribute("aria-invalid", "true");
    wrong.focus();
  }
  bringIntoSight(box);
}

/** Scroll to words that were told just now, where they are out of sight. */
export const bringIntoSight = (words) => words.scrollIntoView({ block: "nearest" });

/** Where somebody whose session is over goes on: back here. */
function wayIn() {
  const here = encodeURIComponent(location.pathname + location.search + location.hash);
  return h("a", { href: `/login?next=${here}` }, "Log in");
}

/** What is wrong with the field `name` of a form, in words; to be thrown where showProblem shows it. */
export const wrong = (words, name) => Object.assign(new Error(words), { code: "invalid", details: { field: name } });

/** Run `act` once at a time while `button` says so; the focus of a button that goes stays near by. */
export async function busy(button, act) {
  if (button.getAttribute("aria-busy") === "true") return undefined;
  button.setAttribute("aria-busy", "true");
  const around = [button.closest("section"), document.getElementById("main")];
  try {
    return await act();
  } finally {
    button.removeAttribute("aria-busy");
    if (!button.isConnected && document.activeElement === document.body) focusOn(around.find((one) => one?.isConnected));
  }
}

function focusOn(place) {
  place?.setAttribute("tabindex", "-1");
  place?.focus({ preventScroll: true });
}

/** Run `act`; what the API has against it is told at the foot of the page. */
export async function toasted(act) {
  try {
    return await act();
  } catch (problem) {
    toast(problem.message);
    if (!problem.code) throw problem;
    return undefined;
  }
}

/** Handle a form by `send(values, form)`: checks, busy state and words for what goes wrong. */
export function onSubmit(form, send) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wrong = [...form.elements].find((input) => input.willValidate && (isBlank(input) || !input.checkValidity()));
    showProblem(form, null);
    if (wrong) {
      const label = form.querySelector(`label[for="${wrong.id}"]`)?.textContent ?? "This field";
      showProblem(form, { message: complaint(label, wrong), details: { field: wrong.name } });
      return;
    }
    const button = event.submitter ?? form.querySelector("[type=submit]");
    busy(button, async () => {
      try {
        await send(Object.fromEntries(new FormData(form)), form);
      } catch (problem) {
        showProblem(form, problem);
        if (!problem.code) throw problem;
      }
    });
  });
}

/** Spaces alone fill no field that must be filled in. */
const isBlank = (input) => input.required && typeof input.value === "string" && !input.value.trim();

function complaint(label, input) {
  if (isBlank(input)) return `“${label}” is empty.`;
  if (input.validity.typeMismatch && input.type === "email") return `“${label}” is not an e-mail address.`;
  const hint = document.getElementById(input.getAttribute("aria-describedby"))?.textContent ?? "";
  if (input.validity.patternMismatch && hint) return `“${label}” does not have the right form. ${hint}`;
  if (input.validity.tooShort) return `“${label}” needs at least ${input.minLength} characters.`;
  return `“${label}”: ${input.validationMessage}`;
}

/** Ask before something that cannot be taken back; resolves to whether to do it. */
export function confirmed(question, words, yes) {
  const dialog = h(
    "dialog",
    { "aria-label": question },
    h(
      "form",
      { method: "dialog", class: "stack" },
      h("h2", {}, question),
      h("p", {}, words),
      h(
        "div",
        { class: "row" },
        h("button", { class: "button button-danger", value: "yes" }, yes),
        h("button", { class: "button", value: "no", autofocus: true }, "Cancel"),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
