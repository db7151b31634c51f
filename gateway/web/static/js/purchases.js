// What somebody bought, paid and got: the history with receipts, gift cards, and the link that brings others.
import { api } from "./api.js";
import { copies } from "./copy.js";
import { day, moment } from "./dates.js";
import { busy, h, icon, toast } from "./dom.js";
import { format, percentOf } from "./money.js";
import { railName } from "./rails.js";
import { showReceipt } from "./receipt.js";
import { nothing } from "./table.js";
import { standingWords, tookWords } from "./ways.js";

const room = document.getElementById("purchases");
const part = (name) => document.getElementById(name);
const PAGE = 15;
/** Payments whose details are asked for at the same time. */
const AT_ONCE = 4;
const WORDS = {
  purchase: ({ title_name: name }) => name ?? "A title",
  refund: ({ title_name: name }) => (name ? `Given back: ${name}` : "Given back"),
  dispute: ({ title_name: name }) => (name ? `Disputed: ${name}` : "Disputed"),
  top_up: () => "Top-up of your wallet",
  sent: ({ other }) => `Sent to ${other ?? "somebody who left"}`,
  received: ({ other }) => `From ${other ?? "somebody who left"}`,
  gift_card: () => "Gift card bought",
  redeemed: () => "Gift card redeemed",
};
const STATES = {
  paid: ["Paid", "badge-good"],
  refunded: ["Given back", "badge-warn"],
  disputed: ["Disputed", "badge-bad"],
};
/** Rights by title, each asked for once. */
const standings = new Map();
let cursor = "";

async function more() {
  const path = `payments/history?limit=${PAGE}`;
  const { items, next } = await api("GET", cursor ? `${path}&cursor=${encodeURIComponent(cursor)}` : path);
  const list = part("payments");
  if (!list && !items.length) {
    part("history").replaceChildren(
      nothing("film", "Nothing yet", "What you buy, top up, send or get is listed here.", h("a", { class: "button button-main", href: "/" }, "See what is showing")),
    );
    return;
  }
  const rows = items.map(row);
  if (list) list.append(...rows.map(({ element }) => element));
  else part("history").replaceChildren(h("ul", { class: "list payments", id: "payments" }, rows.map(({ element }) => element)));
  cursor = next ?? "";
  part("more").hidden = !cursor;
  if (list) rows[0]?.element.querySelector("a, button")?.focus({ preventScroll: true });
  detail(rows.filter(({ payment }) => payment.kind === "purchase" && payment.purchase));
}

function row(payment) {
  const { kind, amount, currency, shown, title, at, rail, purchase } = payment;
  const words = WORDS[kind](payment);
  const state = h("span", { class: "badge", hidden: true });
  const until = h("span", { class: "small muted" });
  const name = title ? h("a", { href: `/watch/${title}` }, words) : words;
  const came = BigInt(amount) > 0n;
  const facts = [kind === "purchase" ? tookWords(payment) : "", moment(at), rail && rail !== "wallet" ? railName(rail) : ""].filter(Boolean).join(" · ");
  const receipt = purchase && (kind === "purchase" || kind === "top_up") ? h("button", { class: "button button-small", type: "button", "aria-label": `Receipt: ${words}` }, "Receipt") : null;
  receipt?.addEventListener("click", () => busy(receipt, () => showReceipt(payment, words, room.dataset.portal)));
  const element = h(
    "li",
    {},
    h("div", { class: "what" }, h("span", { class: "row" }, h("strong", { class: "long-name" }, name), state), h("span", { class: "small muted" }, facts), until, receipt ? h("div", {}, receipt) : null),
    h(
      "div",
      { class: "sum figures" },
      h("strong", { class: came ? "came" : null }, came ? `+${format(amount, currency)}` : format(amount, currency)),
      shown ? h("span", { class: "small muted" }, `about ${format(shown.amount, shown.currency)}`) : null,
    ),
  );
  return { payment, element, state, until };
}

/** Say of each purchase what became of it, and until when it can be watched; a few at a time. */
async function detail(rows) {
  const waiting = [...rows];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await tell(next).catch(unlessKnown);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** A payment of which no more can be had now is listed all the same. */
function unlessKnown(problem) {
  if (!problem.code) throw problem;
}

async function tell({ payment, state, until }) {
  const purchase = await api("GET", `payments/${payment.purchase}`);
  const [words, kind] = STATES[purchase.state] ?? [purchase.state, ""];
  const isPart = purchase.state === "paid" && BigInt(purchase.refunded) > 0n;
  state.textContent = purchase.is_gift ? `${words}, a gift` : words;
  if (isPart) state.textContent = `${format(purchase.refunded, purchase.currency)} given back`;
  state.className = `badge ${isPart ? "badge-warn" : kind}`;
  state.hidden = false;
  if (purchase.state !== "paid" || purchase.is_gift || !payment.title) return;
  if (!standings.has(payment.title)) standings.set(payment.title, api("GET", `titles/${payment.title}/offers`));
  until.textContent = standingWords(await standings.get(payment.title));
}

async function loadCards() {
  const list = part("cards");
  try {
    const { items } = await api("GET", "gift-cards");
    list.replaceChildren(...(items.length ? items.map(card) : [h("li", { class: "muted" }, "None yet. You buy one in your wallet.")]));
  } catch (problem) {
    list.replaceChildren(h("li", { class: "muted" }, problem.message));
  }
}

function card({ hint, amount, currency, created_at: made, redeemed_at: used }) {
  const state = used ? h("span", { class: "badge" }, `Redeemed ${day(used)}`) : h("span", { class: "badge badge-good" }, "Not redeemed");
  return h("li", {}, h("div", {}, h("strong", { class: "figures" }, format(amount, currency)), h("div", { class: "small muted" }, `Bought ${day(made)} · code ends in ${hint}`)), state);
}

async function loadReferral() {
  try {
    const { code, bp } = await api("PUT", "me/referral");
    part("referral-said").textContent = `Whoever comes by your link and buys within 30 days brings you ${percentOf(bp)}\u00a0% of the portal’s fee. They pay no more for it.`;
    part("referral-link").value = `${room.dataset.origin}/?ref=${code}`;
    part("referral").hidden = false;
  } catch (problem) {
    part("referral-said").textContent = problem.message;
  }
}

async function load() {
  try {
    await more();
  } catch (problem) {
    if (part("payments")) toast(problem.message);
    else part("history").replaceChildren(h("p", { class: "row" }, icon("alert"), problem.message));
  }
}

copies(part("referral-copy"), part("referral-link"), "The link is copied.");
part("more").addEventListener("click", (event) => busy(event.currentTarget, load));
load();
loadCards();
loadReferral();
