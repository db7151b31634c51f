// The wallet: what is on it, live; topping up, sending, gift cards, and the currency amounts are told in besides.
import { api, once } from "./api.js";
import { copyLine } from "./copy.js";
import { day } from "./dates.js";
import { bringIntoSight, h, notice, onSubmit, toast } from "./dom.js";
import { follow } from "./live.js";
import { format, typedAmount } from "./money.js";
import { failure, followPayment, returned, waiting } from "./paying.js";
import { turns } from "./turns.js";

const room = document.getElementById("wallet");
const part = (name) => document.getElementById(name);

const begin = turns();
let shownIn = "";

/** Show what came by the stream, or was asked for. */
function show(wallet) {
  const pockets = wallet.pockets.length ? wallet.pockets : [{ currency: room.dataset.currency, balance: 0, free: 0, owed: 0, shown: null }];
  const estimated = pockets.some((one) => one.shown);
  part("pockets").replaceChildren(
    h("dl", { class: "pockets" }, pockets.map(pocket)),
    estimated ? h("p", { class: "small muted" }, `What is “about” is an estimate by the rates of ${day(room.dataset.ratesOf)}; you pay in the price’s own currency.`) : "",
  );
  if (shownIn !== wallet.display) part("shown-in").value = wallet.display;
  shownIn = wallet.display;
}

function pocket({ currency, balance, free, owed, shown }) {
  const held = BigInt(balance) - BigInt(free);
  return h(
    "div",
    {},
    h("dt", {}, currency),
    h("dd", { class: "balance figures" }, format(balance, currency)),
    shown ? h("dd", { class: "muted figures" }, `about ${format(shown.amount, shown.currency)}`) : null,
    held ? h("dd", { class: "small muted" }, `${format(held, currency)} of it is set aside.`) : null,
    BigInt(owed) ? h("dd", { class: "small" }, `You owe ${format(owed, currency)}: it was given back after you had spent it, and is paid of what you top up or get back next.`) : null,
  );
}

/** The sum of a form: `{amount, currency}`. Throws words for what is none. */
function sumOf(values, name) {
  const currency = values[`${name}-currency`];
  return { amount: typedAmount(values[name], currency, name), currency };
}

/** Let a form send something, and lead to its field `name` when that is what is wrong. */
function sends(form, name, send) {
  onSubmit(part(form), async (values) => {
    try {
      await send(values);
    } catch (problem) {
      if (problem.status === 422 || problem.status === 404 || problem.code === "insufficient" || problem.code === "transfer-to-oneself") {
        problem.details = { ...problem.details, field: problem.status === 404 || problem.code === "transfer-to-oneself" ? name : `${form}-sum` };
      }
      if (problem.code === "insufficient") problem.message = "There is not that much in your wallet. Top it up first.";
      throw problem;
    }
  });
}

sends("top-up", "top-up-sum", async (values) => {
  const purchase = await once("POST", "wallet/top-ups", { ...sumOf(values, "top-up-sum"), return_path: "/wallet" });
  if (purchase.url) location.assign(purchase.url);
  else await comeBack(purchase.id);
});

sends("send", "to", async (values) => {
  const sent = await once("POST", "wallet/transfers", { to: values.to.trim(), ...sumOf(values, "send-sum") });
  part("send").reset();
  tell("good", `${format(sent.amount, sent.currency)} went to ${sent.to}.`);
});

sends("redeem", "code", async ({ code }) => {
  const came = await once("POST", "gift-cards/redeem", { code: code.trim() });
  part("redeem").reset();
  tell("good", `${format(came.amount, came.currency)} came into your wallet.`);
});

sends("card", "card-sum", async (values) => {
  const card = await once("POST", "gift-cards", sumOf(values, "card-sum"));
  part("card").reset();
  const code = h("input", { class: "input", readonly: true, value: card.code, "aria-label": "Code of the gift card" });
  const words = `The card holds ${format(card.amount, card.currency)}. Keep its code: it is shown only now.`;
  // That of a card bought before stays: it is shown nowhere else.
  part("new-card").prepend(notice("good", words), copyLine(code, "Copy the code", "The code is copied."));
});

part("shown-in").addEventListener("change", async ({ target }) => {
  try {
    const { currency } = await api("PUT", "wallet/display", { currency: target.value });
    toast(`Amounts are told in ${currency}, too.`);
  } catch (problem) {
    target.value = shownIn;
    toast(problem.message);
  }
});

function tell(kind, ...words) {
  part("news").replaceChildren(notice(kind, ...words));
  bringIntoSight(part("news").firstChild);
}

/** Back from topping up; the last time counts. */
async function comeBack(id) {
  const signal = begin();
  try {
    const purchase = await followPayment(id, { show: (now) => part("news").replaceChildren(waiting(now)), signal });
    if (signal.aborted) return;
    if (purchase.state === "paid") tell("good", `${format(purchase.amount, purchase.currency)} came into your wallet.`);
    else tell("bad", failure(purchase));
  } catch (problem) {
    if (!signal.aborted) tell("bad", problem.message);
  }
}

follow("wallet", {
  event: "balance",
  show,
  failed: (problem) => part("pockets").replaceChildren(h("p", { class: "muted" }, problem.message)),
});
const id = returned();
if (id) comeBack(id);
