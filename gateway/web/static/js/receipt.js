// The receipt of a payment, to read and to print.
import { api } from "./api.js";
import { moment } from "./dates.js";
import { h, toast } from "./dom.js";
import { format } from "./money.js";
import { railName } from "./rails.js";
import { tookWords } from "./ways.js";

const STATES = { paid: "Paid", refunded: "Given back", disputed: "Disputed" };

/** Show the receipt of what `payment` was part of, named `words`. */
export async function showReceipt(payment, words, portal) {
  let purchase;
  try {
    purchase = await api("GET", `payments/${payment.purchase}`);
  } catch (problem) {
    toast(problem.message);
    return;
  }
  const { amount, currency, refunded } = purchase;
  const facts = [
    ["Sold by", portal],
    ["For", purchase.kind === "top_up" ? "Top-up of your wallet" : (payment.title_name ?? words)],
    ["What", tookWords(payment)],
    ["Seller", payment.seller],
    ["Paid", purchase.paid_at ? moment(purchase.paid_at) : ""],
    ["Amount", format(amount, currency)],
    ["Paid by", railName(purchase.rail)],
    ["Given back", BigInt(refunded) ? format(refunded, currency) : ""],
    ["As a gift", purchase.is_gift ? "Yes" : ""],
    ["State", STATES[purchase.state] ?? purchase.state],
    ["Number", purchase.id],
  ];
  const dialog = h(
    "dialog",
    { class: "receipt", "aria-labelledby": "receipt-head" },
    h("h2", { id: "receipt-head" }, "Receipt"),
    h("dl", {}, facts.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", { class: "figures" }, value)]).flat()),
    h(
      "div",
      { class: "row" },
      h("button", { class: "button button-main", type: "button", onclick: () => dialog.close() }, "Close"),
      h("button", { class: "button", type: "button", onclick: () => print() }, "Print"),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
