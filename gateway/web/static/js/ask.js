// A question with fields in a dialog: what goes wrong is told in it, and it closes when the answer was taken.
import { h, onSubmit } from "./dom.js";

/** Ask, and run `act(values)` with what was typed; resolves to whether that came to pass. `yes` is the button's words. */
export function ask({ heading, words = "", fields = [], yes, danger = false, act }) {
  const form = h(
    "form",
    { class: "stack", novalidate: true },
    h("h2", {}, heading),
    words ? h("p", {}, words) : null,
    h("div", { class: "notice notice-bad", role: "alert", "data-problem": "", hidden: true }),
    fields,
    h(
      "div",
      { class: "row" },
      h("button", { class: danger ? "button button-danger" : "button button-main", type: "submit" }, yes),
      h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Cancel"),
    ),
  );
  const dialog = h("dialog", { "aria-label": heading }, form);
  let isDone = false;
  onSubmit(form, async (values) => {
    await act(values);
    isDone = true;
    dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(isDone);
    });
  });
}
