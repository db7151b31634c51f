// Parts of pages about money: tabs, figures, tables that are cards on a phone and tables to a screen reader all the same,
// and what stands where there is nothing to show.
import { h, icon } from "./dom.js";

/**
 * `columns` are `[heading, class]`; `rows` are lists of cells, each a text or an element, the first of which names its
 * row; `foot` is one more, of sums.
 */
export function table(label, columns, rows, foot = null) {
  const heads = columns.map(([words, kind]) => h("th", { role: "columnheader", scope: "col", class: kind }, words));
  return h(
    "table",
    { class: "books", role: "table" },
    h("caption", { class: "seen-by-readers" }, label),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
    h("tbody", { role: "rowgroup" }, rows.map((cells) => line(columns, cells))),
    foot ? h("tfoot", { role: "rowgroup" }, line(columns, foot)) : null,
  );
}

/** A word that is cut where a column is narrow: an id, an address. */
const LONG = /\S{20}/;

function line(columns, cells) {
  const shown = cells.map((cell, n) => {
    const [words, kind] = columns[n];
    const made = n
      ? h("td", { role: "cell", class: kind, "data-label": words }, cell)
      : h("th", { role: "rowheader", scope: "row", class: kind }, cell);
    if (kind !== "ways" && LONG.test(made.textContent)) made.classList.add("long");
    return made;
  });
  return h("tr", { role: "row" }, shown);
}

/** A sign, a few words, and what one may do about it. */
export function nothing(sign, heading, words, ...ways) {
  return h("div", { class: "empty" }, icon(sign), h("h2", {}, heading), h("p", {}, words), ways);
}

/** Figures side by side: `[words, figure, small words, class]` each. */
export function tiles(figures) {
  return h(
    "dl",
    { class: "tiles" },
    figures.map(([words, figure, small, kind]) =>
      h("div", { class: `tile ${kind ?? ""}` }, h("dt", {}, words), h("dd", { class: "figure" }, figure), small ? h("dd", { class: "small muted" }, small) : null),
    ),
  );
}

/** Facts of one thing: `[name, text or element]` each; those without a value are left out. */
export function facts(pairs) {
  const told = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts-list" }, told.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** Tabs of a group of pages: `[address, words, attributes]` each. The one that is shown is scrolled to where it is seen. */
export function tabs(label, items) {
  const links = items.map(([address, words, attributes]) => h("a", { href: address, ...attributes }, words));
  const nav = h("nav", { class: "tabs", "aria-label": label }, links);
  const placed = new ResizeObserver(() => {
    if (!nav.clientWidth) return;
    placed.disconnect();
    links.find((link) => link.getAttribute("aria-current"))?.scrollIntoView({ block: "nearest", inline: "center" });
  });
  placed.observe(nav);
  return nav;
}

/** An id as far as a table has room for it; the whole of it is told on hovering. */
export const shortId = (id) => (id.length > 14 ? h("span", { title: id }, `${id.slice(0, 12)}…`) : id);
