// Whom a seller serves no more.
import { api, once } from "./api.js";
import { busy, field, h, notice, onSubmit, toast, toasted } from "./dom.js";
import { nothing } from "./table.js";
import { turns } from "./turns.js";
import { ago } from "./words.js";

/** Parts of a view of those whom `seller` blocked. */
export function blockedView(seller) {
  const path = (username) => `sellers/${seller.handle}/blocked/${encodeURIComponent(username)}`;
  const list = h("div", {});
  const row = ({ username, since }) => {
    const serve = h("button", { class: "button button-small", type: "button", "aria-label": `Serve ${username} again` }, "Serve again");
    serve.addEventListener("click", () => busy(serve, async () => {
      await toasted(async () => {
        await once("DELETE", path(username));
        toast(`${username} may buy and watch again.`);
      });
      await load();
    }));
    return h("li", {}, h("span", { class: "long-name" }, username, " ", h("span", { class: "small muted" }, `since ${ago(since)}`)), serve);
  };
  const begin = turns();
  const load = async () => {
    const signal = begin();
    try {
      const { items } = await api("GET", `sellers/${seller.handle}/blocked`);
      if (signal.aborted) return;
      list.replaceChildren(items.length ? h("ul", { class: "list" }, items.map(row)) : nothing("person", "Nobody is blocked", "Everybody may buy and watch what you publish."));
    } catch (problem) {
      if (!signal.aborted) list.replaceChildren(notice("bad", problem.message));
      if (!problem.code) throw problem;
    }
  };
  const form = h(
    "form",
    { class: "stack", novalidate: true },
    h("div", { class: "notice notice-bad", role: "alert", "data-problem": "", hidden: true }),
    field("User name", h("input", { name: "username", required: true, autocapitalize: "none", autocomplete: "off", spellcheck: "false" })),
    h("div", {}, h("button", { class: "button button-danger", type: "submit" }, "Block them")),
  );
  onSubmit(form, async ({ username }) => {
    const name = username.trim();
    try {
      await once("PUT", path(name));
    } catch (problem) {
      if (problem.status === 404) problem.message = `Nobody here is called “${name}”. Check the spelling.`;
      throw problem;
    }
    form.reset();
    await load();
    toast(`${name} is served no more.`);
  });
  load();
  return [
    h(
      "section",
      { class: "panel stack", "aria-labelledby": "b-new" },
      h("h2", { id: "b-new" }, "Block a viewer"),
      h("p", { class: "muted" }, "They buy and watch nothing of yours from then on, also what they bought. What plays for them stops."),
      form,
    ),
    h("section", { class: "stack", "aria-labelledby": "b-all" }, h("h2", { id: "b-all" }, "Blocked viewers"), list),
  ];
}
