// A list that is searched: filters that stand in the address, items page by page.
import { api } from "./api.js";
import { busy, field, h, notice, toast } from "./dom.js";

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
  }
  const form = h(
    "form",
    { class: "filters", role: "search", novalidate: true },
    filters.map(([, label, input]) => field(label, input)),
    beside,
  );
  let turn = 0;
  const load = async () => {
    turn += 1;
    const mine = turn;
    const query = queryOf(form);
    history.replaceState(null, "", `${location.pathname}${query ? `?${query}` : ""}`);
    beside.replaceChildren(search, ...(extra ? extra(query) : []));
    await show(found, { path, query, render, empty, isLatest: () => mine === turn });
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

function queryOf(form) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value.trim()) query.set(name, value.trim());
  return query.toString();
}

async function show(room, { path, query, render, empty, isLatest }) {
  const items = [];
  const more = async (cursor) => {
    const mark = new URLSearchParams(query);
    if (cursor) mark.set("cursor", cursor);
    try {
      const answer = await api("GET", `${path}?${mark}`);
      if (!isLatest()) return;
      const before = items.length;
      items.push(...answer.items);
      const button = h("button", { class: "button", type: "button" }, "Show more");
      button.addEventListener("click", () => busy(button, () => more(answer.next)));
      room.replaceChildren(items.length ? h("div", { class: "panel" }, render(items)) : empty, ...(answer.next ? [h("div", {}, button)] : []));
      if (before) room.querySelectorAll("tbody tr")[before]?.querySelector("a, button")?.focus({ preventScroll: true });
    } catch (problem) {
      if (!isLatest()) return;
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
