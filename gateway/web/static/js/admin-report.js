// Administration: the platform's month by legal entity and currency, and whether it is what the ledger keeps.
import { api } from "./api.js";
import { field, h, icon, notice } from "./dom.js";
import { format } from "./money.js";
import { monthName } from "./statements.js";
import { facts, nothing } from "./table.js";
import { turns } from "./turns.js";

const AMOUNTS = {
  gross: "Titles sold",
  refunds: "Given back",
  chargebacks: "Chargebacks",
  fees: "Fees of the portal",
  rail_fees: "Kept by providers",
  external: "Paid to sellers by providers",
  payouts: "Paid out to sellers",
  top_ups: "Put onto wallets",
  held: "Sellers have",
  owed: "Sellers owe",
  wallets: "On wallets",
  difference: "Difference",
};

export function reportPart() {
  const known = new URLSearchParams(location.search).get("month");
  const month = h("input", { type: "month", required: true, max: thisMonth(), value: known ?? thisMonth() });
  const shown = h("div", { class: "stack" });
  const beside = h("div", { class: "row" });
  const begin = turns();
  const load = () => show(month.value || thisMonth(), { shown, beside, signal: begin() });
  month.addEventListener("change", load);
  load();
  return [h("div", { class: "filters" }, field("Month", month), beside, h("p", { class: "small muted filters-words" }, "Months begin and end by UTC, as in the books.")), shown];
}

const thisMonth = () => new Date().toISOString().slice(0, 7);

async function show(month, { shown, beside, signal }) {
  history.replaceState(null, "", `${location.pathname}?month=${month}`);
  try {
    const report = await api("GET", `platform/report?month=${encodeURIComponent(month)}`);
    if (signal.aborted) return;
    beside.replaceChildren(h("a", { class: "button", href: `/v1/platform/report.csv?month=${month}`, download: "" }, icon("copy"), "Export as CSV"));
    const wrong = report.checks.filter((one) => BigInt(one.difference)).map((one) => `${one.currency}: ${format(one.difference, one.currency)}`);
    shown.replaceChildren(
      report.is_balanced
        ? notice("good", "The books balance: all accounts add up to nothing, and sellers’ balances are what their postings say.")
        : notice("bad", h("strong", {}, "The books do not balance. "), wrong.join(", ") || "See the differences below."),
      ...(report.items.length ? report.items.map((line) => entity(line, report)) : [nothing("clock", "Nothing was booked", `There is nothing in the books up to ${monthName(month)}.`)]),
    );
  } catch (problem) {
    if (signal.aborted) return;
    shown.replaceChildren(notice("bad", problem.message));
    if (!problem.code) throw problem;
  }
}

function entity(line, { month, is_final: isFinal }) {
  const heading = `${line.legal_entity || "No legal entity"}, ${line.currency}`;
  return h(
    "section",
    { class: "panel stack", "aria-label": heading },
    h("div", { class: "spread" }, h("h2", {}, heading), h("span", { class: isFinal ? "badge" : "badge badge-warn" }, isFinal ? monthName(month) : `${monthName(month)}, so far`)),
    facts([["Sales", String(line.purchases)], ...Object.entries(AMOUNTS).map(([name, words]) => [words, format(line[name], line.currency)])]),
  );
}
