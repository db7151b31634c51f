// Administration: the audit trail. Who did what to what, what was before and after, from where and when.
import { h, icon } from "./dom.js";
import { moment } from "./dates.js";
import { listing } from "./listing.js";
import { nothing, table } from "./table.js";

const COLUMNS = [["When"], ["Who"], ["What"], ["To what"], ["Change"], ["From where"]];

export function auditPart() {
  const text = () => h("input", { type: "search", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const row = (entry) => [
    moment(entry.at),
    entry.actor === "system" ? "the installation" : h("a", { href: `/admin/audit?actor=${encodeURIComponent(entry.actor)}` }, entry.actor_name || entry.actor),
    h("code", {}, entry.action),
    h("a", { href: `/admin/audit?object=${encodeURIComponent(entry.object)}` }, entry.object_name || entry.object),
    change(entry),
    entry.place || "command line",
  ];
  return listing({
    path: "audit",
    filters: [
      ["actor", "Who, by user name", text()],
      ["action", "What, such as payment:refund", text()],
      ["object", "To what, by its id", text()],
      ["since", "From", h("input", { type: "date" })],
      ["until", "Before", h("input", { type: "date" })],
    ],
    render: (items) => table("Audit trail", COLUMNS, items.map(row)),
    empty: nothing("search", "Nothing was recorded", "Nobody did anything that fits this."),
    extra: (query) => [h("a", { class: "button", href: `/v1/audit.csv${query ? `?${query}` : ""}`, download: "audit.csv" }, icon("copy"), "Export as CSV")],
  }).element;
}

/** What an entry changed: each name with what it was and is. */
function change({ before, after }) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  if (!names.length) return null;
  const lines = names.map((name) => {
    const [was, is] = [before?.[name], after?.[name]].map(said);
    return was === is || was === "" ? `${name}: ${is || was}` : `${name}: ${was} → ${is || "nothing"}`;
  });
  return h("div", { class: "changes" }, lines.join("\n"));
}

function said(value) {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
