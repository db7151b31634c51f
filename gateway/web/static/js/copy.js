// A text with a button that copies it.
import { h, icon, toast } from "./dom.js";

/** A line of a read-only field and its button. */
export function copyLine(shown, label, done) {
  const button = h("button", { class: "button", type: "button", "aria-label": label }, icon("copy"));
  copies(button, shown, done);
  return h("div", { class: "copy-line" }, shown, button);
}

/** Let `button` copy what `shown` holds. */
export function copies(button, shown, done) {
  button.addEventListener("click", async () => {
    shown.select();
    try {
      await navigator.clipboard.writeText(shown.value);
      toast(done);
    } catch {
      toast("It is selected: copy it with the keyboard.");
    }
  });
}
