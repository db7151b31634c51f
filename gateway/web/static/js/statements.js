// A seller's statements, month by month, as files.
import { api } from "./api.js";
import { h, notice } from "./dom.js";
import { nothing, table } from "./table.js";

const MONTH = new Intl.DateTimeFormat("en", { month: "long", year: "numeric", timeZone: "UTC" });

/** "November 2026" of "2026-11". */
export const monthName = (month) => MONTH.format(new Date(`${month}-01`));

/** The section of the statements of `seller`. */
export function statementsSection(seller) {
  const list = h("div", { class: "stack" });
  load(seller, list);
  return h("section", { class: "stack", "aria-labelledby": "e-statements" }, h("h2", { id: "e-statements" }, "Statements"), list);
}

async function load(seller, list) {
  const path = `sellers/${encodeURIComponent(seller.handle)}/statements`;
  try {
    const { items } = await api("GET", path);
    if (!items.length) {
      list.replaceChildren(nothing("clock", "No statements yet", "There is one for each month from your first sale on."));
      return;
    }
    const rows = items.map(({ month, is_final: isFinal }) => [
      monthName(month),
      isFinal ? "complete" : h("span", { class: "badge badge-warn" }, "so far"),
      h("span", { class: "row" }, ["pdf", "csv"].map((kind) => file(path, month, kind))),
    ]);
    list.replaceChildren(h("div", { class: "panel" }, table("Statements", [["Month"], ["State"], ["", "ways"]], rows)));
  } catch (problem) {
    list.replaceChildren(notice("bad", problem.message));
    if (!problem.code) throw problem;
  }
}

function file(path, month, kind) {
  const name = kind.toUpperCase();
  return h("a", { class: "button button-small", href: `/v1/${path}/${month}.${kind}`, download: "", "aria-label": `Statement of ${monthName(month)} as ${name}` }, name);
}
