// Administration: the audit trail. Who did what to what, what was before and after, from where and when.
import { moment } from "./dates.js";
import { h, icon } from "./dom.js";
import { days, listing } from "./listing.js";
import { format, percentOf } from "./money.js";
import { nothing, shortId, table } from "./table.js";

const COLUMNS = [["When", "when"], ["Who"], ["What"], ["To what"], ["Change"], ["From where", "when"]];
/** What is an amount of the smallest unit where a currency stands beside it. */
const AMOUNTS = new Set(["amount", "minimum", "auto_up_to"]);

export function auditPart() {
  const text = (placeholder) => h("input", { type: "search", placeholder, autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const row = (entry) => [
    moment(entry.at),
    entry.actor === "system" ? "the installation" : h("a", { href: `/admin/audit?actor=${encodeURIComponent(entry.actor)}` }, entry.actor_name || entry.actor),
    h("code", {}, entry.action),
    h("a", { href: `/admin/audit?object=${encodeURIComponent(entry.object)}` }, entry.object_name || shortId(entry.object)),
    change(entry),
    entry.place || "command line",
  ];
  return listing({
    path: "audit",
    filters: [
      ["actor", "Who", text("user name")],
      ["action", "What", text("payment:refund")],
      ["object", "To what", text("id")],
      ...days(),
    ],
    render: (items) => table("Audit trail", COLUMNS, items.map(row)),
    empty: nothing("search", "Nothing was recorded", "Nobody did anything that fits this."),
    extra: (query) => [h("a", { class: "button", href: `/v1/audit.csv${query ? `?${query}` : ""}`, download: "audit.csv" }, icon("copy"), "Export as CSV")],
  }).element;
}

/** What an entry changed: each name with what it was and is. */
function change({ action, before, after }) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  const lines = names.map((name) => {
    const [was, is] = [before, after].map((side) => said(name, side ?? {}, action));
    if (was && is && was !== is) return `${name}: ${was} → ${is}`;
    if (was && !is) return `${name}: was ${was}`;
    return is ? `${name}: ${is}` : "";
  });
  const told = lines.filter(Boolean).join("\n");
  return told ? h("div", { class: "changes" }, told) : null;
}

function said(name, side, action) {
  const value = side[name];
  if (value === undefined || value === null || value === "") return "";
  if (AMOUNTS.has(name) && side.currency && typeof value === "number") return format(value, side.currency);
  if (action === "title:partners") return `${percentOf(value)}\u00a0%`;
  return typeof value === "string" ? value : JSON.stringify(value);
}
