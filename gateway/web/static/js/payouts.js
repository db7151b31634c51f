// Taking earnings out: what is there, the request by its terms, what became of each, and the account to be paid to.
import { api, once } from "./api.js";
import { balanceTiles, earningsOf, followEarnings } from "./balance.js";
import { day } from "./dates.js";
import { field, h, notice, onSubmit, toast } from "./dom.js";
import { format } from "./money.js";
import { payeesSection } from "./payees.js";
import { nothing, table } from "./table.js";
import { sellerPage } from "./seller.js";
import { railName, withdrawalBadge, withdrawalWords } from "./withdrawals.js";
import { amount, minorOf } from "./words.js";

const COLUMNS = [["Asked on"], ["Amount", "amount"], ["By"], ["State"], ["What happens"]];
/** How often withdrawals that are not at their end are looked at. */
const LOOK_MS = 10_000;
const room = document.getElementById("payouts");

sellerPage(room, "Payouts", async (seller, signal) => {
  const { currency } = room.dataset;
  const [{ items: terms }, known] = await Promise.all([api("GET", `sellers/${seller.handle}/payout-terms`), earningsOf(seller.handle)]);
  const balance = h("div", {});
  const list = h("div", {});
  const request = requestForm(seller, { terms, reload: () => load(seller, list) });
  const show = (items) => {
    balance.replaceChildren(balanceTiles(items, currency));
    request.offer(items);
    load(seller, list);
  };
  show(known);
  followEarnings(seller.handle, { signal, show });
  const timer = setInterval(() => document.hidden || load(seller, list), LOOK_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  const withdrawals = h("section", { class: "stack", "aria-labelledby": "p-all" }, h("h2", { id: "p-all" }, "Your withdrawals"), list);
  return [balance, h("div", { class: "desk" }, h("div", { class: "desk-column" }, withdrawals), h("div", { class: "desk-column" }, request.element, payeesSection(seller)))];
});

async function load(seller, list) {
  try {
    const { items } = await api("GET", `sellers/${seller.handle}/withdrawals`);
    const rows = items.map((one) => [day(one.created_at), format(one.amount, one.currency), railName(one.rail), withdrawalBadge(one), withdrawalWords(one)]);
    list.replaceChildren(items.length ? h("div", { class: "panel" }, table("Withdrawals", COLUMNS, rows)) : nothing("clock", "Nothing was taken out yet", "What you ask for stands here, with what becomes of it."));
  } catch (problem) {
    list.replaceChildren(notice("bad", problem.message));
    if (!problem.code) throw problem;
  }
}

/** `{element, offer}`: the panel in which money is asked for, and what tells it how much there is. */
function requestForm(seller, { terms, reload }) {
  let available = new Map();
  const sum = h("input", { name: "amount", required: true, inputmode: "decimal", autocomplete: "off" });
  const currency = h("select", { name: "currency", required: true });
  const rail = h("select", { name: "rail", required: true });
  const told = h("p", { class: "small muted", role: "status" });
  const allOfIt = h("button", { class: "button button-small", type: "button" }, "All of it");
  const form = h(
    "form",
    { class: "stack", novalidate: true },
    h("div", { class: "notice notice-bad", role: "alert", "data-problem": "", hidden: true }),
    h("div", { class: "two" }, field("Amount", sum), field("Currency", currency)),
    field("By", rail),
    told,
    h("div", { class: "row" }, h("button", { class: "button button-main", type: "submit" }, "Ask for it"), allOfIt),
  );
  const empty = h("p", { class: "muted" }, "Nothing is available yet. What you sell is pending for some days, then it can be taken out here.");
  const chosen = () => terms.find((one) => one.rail === rail.value && one.currency === currency.value);
  const say = () => {
    const term = chosen();
    told.textContent = term ? termWords(term) : "";
  };
  const rails = () => {
    const open = terms.filter((one) => one.currency === currency.value);
    rail.replaceChildren(...open.map((one) => h("option", { value: one.rail }, railName(one.rail))));
    say();
  };
  currency.addEventListener("change", rails);
  rail.addEventListener("change", say);
  allOfIt.addEventListener("click", () => {
    sum.value = amount(available.get(currency.value) ?? 0, currency.value);
    sum.focus();
  });
  onSubmit(form, async (values) => {
    const minor = minorOf(values.amount, values.currency);
    if (!minor) throw Object.assign(new Error(`“${values.amount}” is not an amount in ${values.currency}. Write it like ${amount(5000, values.currency)}.`), { code: "invalid", details: { field: "amount" } });
    await once("POST", `sellers/${seller.handle}/withdrawals`, { amount: minor, currency: values.currency, rail: values.rail });
    sum.value = "";
    await reload();
    toast("It is asked for.");
  });
  const offer = (items) => {
    available = new Map(items.filter((one) => BigInt(one.available) > 0n).map((one) => [one.currency, one.available]));
    const codes = [...available.keys()];
    const changed = codes.join() !== [...currency.options].map((one) => one.value).join();
    form.hidden = !codes.length;
    empty.hidden = codes.length > 0;
    if (!changed) return;
    const before = currency.value;
    currency.replaceChildren(...codes.map((code) => h("option", { value: code, selected: code === before }, code)));
    rails();
  };
  offer([]);
  const element = h("section", { class: "panel stack", "aria-labelledby": "p-ask" }, h("h2", { id: "p-ask" }, "Take money out"), empty, form);
  return { element, offer };
}

function termWords({ minimum, hold_days: days, auto_up_to: upTo, currency }) {
  const wait = days ? `It is paid after ${days} ${days === 1 ? "day" : "days"}` : "It is paid without a wait";
  const look = BigInt(upTo) ? `; above ${format(upTo, currency)} within a day somebody looks at it first` : ", once somebody looked at it";
  return `${format(minimum, currency)} at least. ${wait}${look}.`;
}
