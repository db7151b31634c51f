// A list that is searched: filters that stand in the address, items page by page.
import { api } from "./api.js";
import { dayBegins, ZONE } from "./dates.js";
import { busy, field, h, notice, toast } from "./dom.js";
import { turns } from "./turns.js";

/** A year of more digits is no date that the API takes. */
const LAST_DAY = "9998-12-31";

/** Filters by days, both of them included; they are the reader's, as the times that are shown. */
export const days = () => [
  ["since", "From", h("input", { type: "date", max: LAST_DAY })],
  ["until", "To", h("input", { type: "date", max: LAST_DAY })],
];

/**
 * A filter form and below it what was found. `filters` are `[name, label, input]`; `render(items)` gives an element;
 * `empty` stands where nothing was found; `extra(query)` gives elements beside the filters for what is looked for.
 */
export function listing({ path, filters, render, empty, extra = null }) {
  const found = h("div", { class: "stack" });
  const search = h("button", { class: "button", type: "submit" }, "Search");
  const beside = h("div", { class: "row" }, search);
  const known = new URLSearchParams(location.search);
  for (const [name, , input] of filters) {
    input.name = name;
    input.value = known.get(name) ?? "";
    if (!input.validity.valid) input.value = ""; // an address may name a day that the API does not take
  }
  const form = h(
    "form",
    { class: "filters", role: "search", novalidate: true },
    filters.map(([, label, input]) => field(label, input)),
    beside,
    zoneWords(filters),
  );
  const begin = turns();
  const load = async () => {
    const signal = begin();
    const typed = typedIn(form);
    const query = asked(typed).toString();
    history.replaceState(null, "", `${location.pathname}${typed.size ? `?${typed}` : ""}`);
    beside.replaceChildren(search, ...(extra ? extra(query) : []));
    await show(found, { path, query, render, empty, signal });
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(search, load);
  });
  form.addEventListener("change", (event) => {
    if (event.target instanceof HTMLSelectElement || event.target.type === "date") load();
  });
  load();
  return { element: h("div", { class: "stack" }, form, found), load };
}

/** By which clock days are meant, where there are any. */
function zoneWords(filters) {
  const isByDay = filters.some(([, , input]) => input.type === "date");
  return isByDay ? h("p", { class: "small muted filters-words" }, `Days and times are those of your time zone, ${ZONE}. Both days are included.`) : null;
}

function typedIn(form) {
  const typed = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value.trim()) typed.set(name, value.trim());
  return typed;
}

/** What is asked of the API: days as the moments between which they lie. */
function asked(typed) {
  const query = new URLSearchParams(typed);
  if (query.has("since")) query.set("since", dayBegins(query.get("since")));
  if (query.has("until")) query.set("until", dayBegins(query.get("until"), 1));
  return query;
}

async function show(room, { path, query, render, empty, signal }) {
  const items = [];
  const more = async (cursor) => {
    const mark = new URLSearchParams(query);
    if (cursor) mark.set("cursor", cursor);
    try {
      const answer = await api("GET", `${path}?${mark}`);
      if (signal.aborted) return;
      const before = items.length;
      items.push(...answer.items);
      const button = h("button", { class: "button", type: "button" }, "Show more");
      button.addEventListener("click", () => busy(button, () => more(answer.next)));
      room.replaceChildren(items.length ? h("div", { class: "panel" }, render(items)) : empty, ...(answer.next ? [h("div", {}, button)] : []));
      if (before) room.querySelectorAll("tbody tr")[before]?.querySelector("a, button")?.focus({ preventScroll: true });
    } catch (problem) {
      if (signal.aborted) return;
      if (items.length) toast(problem.message);
      else room.replaceChildren(notice("bad", problem.message));
      if (!problem.code) throw problem;
    }
  };
  await more("");
}

/** A choice of one of `[value, words]`, or of any. */
export function choice(any, options) {
  return h("select", {}, [["", any], ...options].map(([value, words]) => h("option", { value }, words)));
}
