// Administration: payments and refunds of everybody, one payment with all that was booked for it, giving it back.
import { api, once } from "./api.js";
import { userLink } from "./admin-users.js";
import { ask } from "./ask.js";
import { moment } from "./dates.js";
import { busy, field, h, toast, toasted } from "./dom.js";
import { choice, days, listing } from "./listing.js";
import { format, percentOf, typedAmount } from "./money.js";
import { railName } from "./rails.js";
import { facts, nothing, shortId, table } from "./table.js";
import { amount } from "./words.js";

const STATES = {
  new: ["Waiting", "badge-warn"],
  authorized: ["Authorized", "badge-warn"],
  paid: ["Paid", "badge-good"],
  refunded: ["Given back", ""],
  disputed: ["Disputed", "badge-bad"],
  failed: ["Failed", ""],
  expired: ["Ran out", ""],
};
const REFUNDS = {
  asked: ["Asked of the provider", "badge-warn"],
  done: ["Done", "badge-good"],
  failed: ["Failed", "badge-bad"],
};
/** Who got a part, and how; a seller whose title it is not shares in it as a partner. */
function whose({ kind, name }, seller) {
  if (kind === "fee") return "The portal";
  if (kind === "wallet") return "Wallet";
  const who = name && name !== seller ? "Partner" : "Seller";
  return kind === "external" ? `${who}, paid by the provider` : who;
}

const holderOf = ({ kind, name, holder }) => (!name ? shortId(holder) : kind === "wallet" ? userLink(name) : name);

function badge(states, state) {
  const [words, kind] = states[state] ?? [state, ""];
  return h("span", { class: `badge ${kind}` }, words);
}

const options = (states) => Object.entries(states).map(([state, [words]]) => [state, words]);
const what = ({ kind, title_name: name }) => (kind === "top_up" ? "Top-up" : name || "A title");

export function paymentsPart() {
  const text = (placeholder) => h("input", { type: "search", placeholder, autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const row = (one) => [
    h("a", { href: `/admin/payments/${one.id}` }, moment(one.created_at)),
    what(one),
    one.seller,
    userLink(one.buyer),
    format(one.amount, one.currency),
    badge(STATES, one.state),
    railName(one.rail),
  ];
  const columns = [["When", "when"], ["What"], ["Seller"], ["Who paid"], ["Amount", "amount"], ["State"], ["By"]];
  return listing({
    path: "admin/payments",
    filters: [
      ["buyer", "Who paid", text("user name")],
      ["title", "Title", text("id")],
      ["state", "State", choice("Any", options(STATES))],
      ["rail", "By", choice("Any", ["wallet", "sandbox", "stripe"].map((rail) => [rail, railName(rail)]))],
      ...days(),
    ],
    render: (items) => table("Payments", columns, items.map(row)),
    empty: nothing("search", "No payments found", "Nothing was paid that fits this."),
  }).element;
}

export function refundsPart({ may }) {
  let load = null;
  const row = (one) => [h("a", { href: `/admin/payments/${one.purchase}` }, moment(one.created_at)), one.title_name || "Top-up", userLink(one.buyer), format(one.amount, one.currency), badge(REFUNDS, one.state), whyOf(one), askAgain(one, { may, again: () => load() })];
  const columns = [["When", "when"], ["What"], ["Who paid"], ["Amount", "amount"], ["State"], ["Reason"], ["", "ways"]];
  const made = listing({
    path: "admin/refunds",
    filters: [["state", "State", choice("Any", options(REFUNDS))]],
    render: (items) => table("Refunds", columns, items.map(row)),
    empty: nothing("check", "No refunds", "Nothing was given back that fits this."),
  });
  ({ load } = made);
  return made.element;
}

export async function paymentPart(id, { may, again }) {
  const { payment, parts, refunds, postings } = await api("GET", `admin/payments/${encodeURIComponent(id)}`);
  const left = payment.paid_at ? payment.amount - payment.refunded - payment.disputed : 0;
  return {
    heading: `${what(payment)}, ${format(payment.amount, payment.currency)}`,
    content: [about(payment), may("payment:refund") && (left > 0 || !payment.amount) && payment.state === "paid" ? giveBack(payment, left, again) : null, refunds.length ? refundsOf(refunds, { may, again }) : null, parts.length ? partsOf(payment, parts) : null, booked(postings)].filter(Boolean),
  };
}

function about(one) {
  const told = (minor) => format(minor, one.currency);
  return h(
    "section",
    { class: "panel stack", "aria-label": "Payment" },
    facts([
      ["State", badge(STATES, one.state)],
      ["Who paid", userLink(one.buyer)],
      ["For", one.viewer && one.viewer !== one.buyer ? userLink(one.viewer) : null],
      ["Seller", one.seller],
      ["Amount", told(one.amount)],
      ["Given back", one.refunded ? told(one.refunded) : null],
      ["Disputed", one.disputed ? told(one.disputed) : null],
      ["By", railName(one.rail)],
      ["The provider kept", one.rail_fee ? told(one.rail_fee) : null],
      ["Fee", `${percentOf(one.fee_bp)}\u00a0%`],
      ["Begun", moment(one.created_at)],
      ["Paid", one.paid_at ? moment(one.paid_at) : null],
      ["Earnings available", one.settled_at ? moment(one.settled_at) : one.settle_at ? `from ${moment(one.settle_at)}` : null],
      ["What the provider said", one.words],
      ["Name at the provider", one.provider_ref],
      ["Legal entity", one.legal_entity],
      ["Offer", one.offer ? `${one.offer}, version ${one.offer_version}` : null],
      ["Id", one.id],
    ]),
  );
}

function giveBack(payment, left, again) {
  const button = h("button", { class: "button button-danger", type: "button" }, "Give it back …");
  button.addEventListener("click", async () => {
    const sum = h("input", { name: "amount", required: true, inputmode: "decimal", autocomplete: "off", value: amount(left, payment.currency) });
    const reason = h("textarea", { name: "reason", required: true, maxlength: "500", rows: "3" });
    const isDone = await ask({
      heading: "Give it back?",
      words: !left ? "It cost nothing: the right ends, and what is watched by it stops." : `Up to ${format(left, payment.currency)}. Seller, partners and portal give back their parts of it; with all of it given back the right ends, and what is watched by it stops.`,
      fields: [left ? field(`Amount in ${payment.currency}`, sum) : null, field("Reason", reason, "It stands in the audit trail.")],
      yes: "Give it back",
      danger: true,
      act: (values) => once("POST", `payments/${payment.id}/refunds`, { reason: values.reason.trim(), ...(left && { amount: typedAmount(values.amount, payment.currency, "amount") }) }),
    });
    if (!isDone) return;
    toast("It is given back.");
    await busy(button, () => toasted(again));
  });
  return h("div", {}, button);
}

const section = (id, words, ...content) => h("section", { class: "panel stack", "aria-labelledby": id }, h("h2", { id }, words), content);

function refundsOf(refunds, context) {
  const rows = refunds.map((one) => [h("a", { href: `/admin/audit?object=${one.id}` }, moment(one.created_at)), format(one.amount, one.currency), badge(REFUNDS, one.state), whyOf(one), askAgain(one, context)]);
  return section("y-refunds", "Given back", table("Refunds", [["When", "when"], ["Amount", "amount"], ["State"], ["Reason"], ["", "ways"]], rows));
}

const whyOf = ({ reason, words }) => (words ? `${reason} (${words})` : reason);

/** A way to ask its provider once more for a refund that failed: it is the same one there, so never made twice. */
function askAgain(one, { may, again }) {
  if (one.state !== "failed" || !may("payment:refund")) return null;
  const sum = format(one.amount, one.currency);
  const button = h("button", { class: "button button-small", type: "button", "aria-label": `Ask again for ${sum}` }, "Ask again");
  button.addEventListener("click", () => busy(button, async () => {
    await toasted(async () => {
      await once("POST", `refunds/${one.id}/retry`);
      toast(`The provider is asked for ${sum} again.`);
    });
    await toasted(again);
  }));
  return h("span", { class: "row" }, button);
}

function partsOf({ currency, seller }, parts) {
  const rows = parts.map((part) => [whose(part, seller), holderOf(part), format(part.amount, currency), part.back ? format(part.back, currency) : ""]);
  return section("y-parts", "Who got what", table("Parts", [["Who"], ["Name"], ["Amount", "amount"], ["Given back", "amount"]], rows));
}

function booked(postings) {
  const rows = postings.map((one) => [`${one.txn} ${one.kind}`, moment(one.at), one.account, format(one.amount, one.asset)]);
  const columns = [["Movement"], ["When", "when"], ["Account"], ["Amount", "amount"]];
  return section("y-books", "Postings", postings.length ? table("Postings", columns, rows) : h("p", { class: "muted" }, "Nothing is booked for it."));
}
