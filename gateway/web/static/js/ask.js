// A question with fields in a dialog: what goes wrong is told in it, and it closes when the answer was taken.
import { h, onSubmit, toast } from "./dom.js";

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
  let acting = null;
  const run = async (values) => {
    await act(values);
    isDone = true;
    dialog.close();
  };
  onSubmit(form, (values) => {
    acting = run(values).finally(() => {
      acting = null;
    });
    return acting;
  });
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", async () => {
      dialog.remove();
      // Who closes it while it is on its way is told all the same what came of it.
      await acting?.catch((problem) => toast(problem.message));
      resolve(isDone);
    });
  });
}
