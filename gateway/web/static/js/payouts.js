// Taking earnings out: what is there, the request by its terms, what became of each, and the account to be paid to.
import { api, once } from "./api.js";
import { balanceTiles, earningsOf, followEarnings } from "./balance.js";
import { day } from "./dates.js";
import { field, h, notice, onSubmit, toast } from "./dom.js";
import { keepLooking } from "./live.js";
import { format, typedAmount } from "./money.js";
import { payeesSection } from "./payees.js";
import { railName } from "./rails.js";
import { sellerPage } from "./seller.js";
import { nothing, table } from "./table.js";
import { turns } from "./turns.js";
import { withdrawalBadge, withdrawalWords } from "./withdrawals.js";
import { amount } from "./words.js";

const COLUMNS = [["Asked on"], ["Amount", "amount"], ["By"], ["State"], ["What happens"]];
/** States in which something is still to happen. */
const OPEN = new Set(["requested", "approved", "paying"]);
const room = document.getElementById("payouts");

sellerPage(room, "Payouts", async (seller, signal) => {
  const { currency } = room.dataset;
  const [{ items: terms }, known] = await Promise.all([api("GET", `sellers/${seller.handle}/payout-terms`), earningsOf(seller.handle)]);
  const balance = h("div", {});
  const list = withdrawalList(seller, signal);
  // What was decided of a withdrawal moves no money, so the stream does not tell it.
  const begin = turns(signal);
  const look = () => keepLooking(() => list.isOpen() && list.load(), { signal: begin() });
  const reload = async () => {
    await list.load();
    look();
  };
  const request = requestForm(seller, { terms, reload });
  const show = (items) => {
    balance.replaceChildren(balanceTiles(items, currency));
    request.offer(items);
    list.load();
  };
  show(known);
  followEarnings(seller.handle, { signal, show });
  look();
  const withdrawals = h("section", { class: "stack", "aria-labelledby": "p-all" }, h("h2", { id: "p-all" }, "Your withdrawals"), list.element);
  return [balance, h("div", { class: "desk" }, h("div", { class: "desk-column" }, withdrawals), h("div", { class: "desk-column" }, request.element, payeesSection(seller)))];
});

/** `{element, isOpen, load}`: withdrawals, whether any is not at its end, and asking anew, which tells whether any changed. */
function withdrawalList(seller, signal) {
  const element = h("div", {});
  const begin = turns(signal);
  let known = null;
  const load = async () => {
    const turn = begin();
    try {
      const { items } = await api("GET", `sellers/${seller.handle}/withdrawals`);
      if (turn.aborted || JSON.stringify(items) === JSON.stringify(known)) return false;
      known = items;
      element.replaceChildren(withdrawalTable(items));
      return true;
    } catch (problem) {
      if (!turn.aborted && !known) element.replaceChildren(notice("bad", problem.message));
      if (!problem.code) throw problem;
      return false;
    }
  };
  return { element, load, isOpen: () => !known || known.some((one) => OPEN.has(one.state)) };
}

function withdrawalTable(items) {
  if (!items.length) return nothing("clock", "Nothing was taken out yet", "What you ask for stands here, with what becomes of it.");
  const rows = items.map((one) => [day(one.created_at), format(one.amount, one.currency), railName(one.rail), withdrawalBadge(one), withdrawalWords(one)]);
  return h("div", { class: "panel" }, table("Withdrawals", COLUMNS, rows));
}

/** `{element, offer}`: the panel in which money is asked for, and what tells it how much there is. */
function requestForm(seller, { terms, reload }) {
  let available = new Map();
  const sum = h("input", { name: "amount", required: true, inputmode: "decimal", autocomplete: "off" });
  const currency = h("select", { name: "currency", required: true });
  const rail = h("select", { name: "rail", required: true });
  const told = h("p", { class: "small muted", role: "status" });
  const from = h("p", { role: "status" });
  const allOfIt = h("button", { class: "button button-small", type: "button" }, "All of it");
  const form = h(
    "form",
    { class: "stack", novalidate: true },
    h("div", { class: "notice notice-bad", role: "alert", "data-problem": "", hidden: true }),
    h("div", { class: "two" }, field("Amount", sum), field("Currency", currency)),
    field("By", rail),
    told,
    from,
    h("div", { class: "row", "data-ways": "" }, h("button", { class: "button button-main", type: "submit" }, "Ask for it"), allOfIt),
  );
  const empty = h("p", { class: "muted" }, "Nothing is available yet. What you sell is pending for some days, then it can be taken out here.");
  const chosen = () => terms.find((one) => one.rail === rail.value && one.currency === currency.value);
  const say = () => {
    const term = chosen();
    told.textContent = term ? termWords(term) : "";
    const isShort = Boolean(term) && BigInt(available.get(currency.value) ?? 0) < BigInt(term.minimum);
    from.hidden = !isShort;
    from.textContent = isShort ? `You can take it out from ${format(term.minimum, term.currency)} on.` : "";
    form.querySelector("[data-ways]").hidden = isShort;
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
    const minor = typedAmount(values.amount, values.currency, "amount");
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
    if (!changed) {
      say();
      return;
    }
    const before = currency.value;
    currency.replaceChildren(...codes.map((code) => h("option", { value: code, selected: code === before }, code)));
    rails();
  };
  offer([]);
  const element = h("section", { class: "panel stack", "aria-labelledby": "p-ask" }, h("h2", { id: "p-ask" }, "Take money out"), empty, form);
  return { element, offer };
}

function termWords({ rail, minimum, hold_days: days, auto_up_to: upTo, currency }) {
  const wait = days ? `It is paid after ${days} ${days === 1 ? "day" : "days"}` : "It is paid without a wait";
  const look = BigInt(upTo) ? `; above ${format(upTo, currency)} within a day somebody looks at it first` : ", once somebody looked at it";
  const where = rail === "bank" ? " To which account is agreed with the portal outside of Usher: nobody asks for it here." : "";
  return `${format(minimum, currency)} at least. ${wait}${look}.${where}`;
}
