// The stills of a title: which of them is its poster.
import { api } from "./api.js";
import { h, toast } from "./dom.js";

/** A panel to choose the still of `title` by; null where there is nothing to choose from. */
export function stillsPanel(title) {
  if (title.posters < 2) return null;
  const choices = Array.from({ length: title.posters }, (_, number) => still(title, number));
  return h(
    "section",
    { class: "panel stack", "aria-labelledby": "d-stills" },
    h("h2", { id: "d-stills" }, "Poster"),
    h("p", { class: "muted" }, "It stands for the title until somebody presses play."),
    h("div", { class: "stills", role: "radiogroup", "aria-labelledby": "d-stills" }, choices),
  );
}

function still(title, number) {
  const version = new URL(title.poster_url, location.href).searchParams.get("v") ?? "";
  const address = `/v1/titles/${title.id}/poster.jpg?still=${number}&v=${encodeURIComponent(version)}`;
  const input = h("input", { type: "radio", name: "still", value: String(number), checked: number === title.poster });
  input.addEventListener("change", () => choose(title, number, input));
  const words = `Still ${number + 1} of ${title.posters}`;
  return h("label", { class: "still" }, input, h("img", { src: address, alt: words, width: "320", height: "180", loading: "lazy" }));
}

async function choose(title, number, input) {
  const before = title.poster;
  try {
    Object.assign(title, await api("PATCH", `titles/${title.id}`, { poster: number }));
    toast("This still is the poster from now on.");
  } catch (problem) {
    const former = input.closest(".stills").querySelector(`[value="${before}"]`);
    former.checked = true;
    toast(problem.message);
  }
}
