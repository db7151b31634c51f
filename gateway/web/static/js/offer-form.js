// The form of one offer: kind, price, the time it stands, and what becomes of the price when it is paid by card.
import { api, once } from "./api.js";
import { momentOf, typedMoment } from "./dates.js";
import { field, h, icon, onSubmit, toast, wrong } from "./dom.js";
import { format, typedAmount } from "./money.js";
import { isContainer } from "./states.js";
import { turns } from "./turns.js";
import { amount, minorOf } from "./words.js";

const KINDS = [
  ["own", "Own, for good"],
  ["rent-24", "Rent for 24 hours"],
  ["rent-36", "Rent for 36 hours"],
  ["rent-72", "Rent for 72 hours"],
  ["view", "One view"],
  ["free", "Free"],
];
/** How long somebody stops typing before a price is asked about. */
const PAUSE_MS = 300;

/** A form that changes `offer`, or makes one when there is none. */
export function offerForm(panel, offer) {
  const { title } = panel;
  const kinds = KINDS.filter(([value]) => value !== "view" || !isContainer(title));
  const kind = h("select", { name: "kind", disabled: Boolean(offer) }, kinds.map(([value, words]) => h("option", { value, selected: value === kindOf(offer) }, words)));
  const price = h("input", { name: "price", inputmode: "decimal", autocomplete: "off", value: offer?.amount ? amount(offer.amount, offer.currency) : "" });
  const currency = h("input", { name: "currency", required: true, minlength: "3", maxlength: "5", autocapitalize: "characters", spellcheck: "false", value: offer?.currency ?? title.currency });
  const starts = h("input", { name: "starts", type: "datetime-local", value: typedMoment(offer?.starts_at) });
  const ends = h("input", { name: "ends", type: "datetime-local", value: typedMoment(offer?.ends_at) });
  const money = h("div", { class: "two" }, field("Price", price), field("Currency", currency));
  const outcome = h("div", { "aria-live": "polite" });
  const form = h(
    "form",
    { class: "stack", novalidate: true, "aria-label": offer ? "Change the offer" : "New offer" },
    h("div", { class: "notice notice-bad", role: "alert", "data-problem": "", hidden: true }),
    field("Kind", kind, offer ? "To offer it in another way, add an offer and take this one back." : ""),
    money,
    outcome,
    h(
      "details",
      { open: Boolean(offer?.starts_at || offer?.ends_at) },
      h("summary", {}, "Only for a time"),
      h("div", { class: "two" }, field("From", starts, "Empty: from now on."), field("Until", ends, "Empty: until you take it back.")),
    ),
    h(
      "div",
      { class: "row" },
      h("button", { class: "button button-main", type: "submit" }, offer ? "Save as the next version" : "Offer it"),
      h("button", { class: "button button-quiet", type: "button", onclick: panel.close }, "Cancel"),
    ),
  );
  watchPrice({ kind, price, currency, money, outcome });
  onSubmit(form, async (values) => {
    const body = bodyOf({ ...values, kind: kind.value });
    const path = `titles/${title.id}/offers`;
    try {
      if (offer) await once("PUT", `${path}/${offer.id}`, { ...body, version: offer.version });
      else await once("POST", path, { ...body, ...shapeOf(kind.value) });
    } catch (problem) {
      if (problem.code === "nets-below-zero") problem.message = "This price loses money by card. Tick the box below it to keep it all the same.";
      throw problem;
    }
    toast(offer ? "Saved. Who has the old price on screen is told before they pay." : "It is offered now.");
    panel.close();
    await panel.load();
  });
  return form;
}

const kindOf = (offer) => (offer?.kind === "rent" ? `rent-${offer.hours}` : offer?.kind);

function shapeOf(choice) {
  const [kind, hours] = choice.split("-");
  return hours ? { kind, hours: Number(hours) } : { kind };
}

function bodyOf({ kind, price, currency, starts, ends, accept_loss: accepted }) {
  const code = currency.trim().toUpperCase();
  if (kind !== "free" && !price.trim()) throw wrong("“Price” is empty. To give it away, choose the kind Free.", "price");
  const minor = kind === "free" ? 0 : typedAmount(price, code, "price");
  return { amount: minor, currency: code, starts_at: momentOf(starts), ends_at: momentOf(ends), accept_loss: accepted === "yes" };
}

/** Say beside a price, while it is typed, who gets what of it by card, and warn of one that loses money. */
function watchPrice({ kind, price, currency, money, outcome }) {
  let timer = 0;
  const begin = turns();
  const ask = async () => {
    const signal = begin();
    const code = currency.value.trim().toUpperCase();
    const minor = kind.value === "free" ? 0 : minorOf(price.value, code);
    let shown = [];
    if (minor) {
      try {
        shown = cardWords(await api("GET", `studio/card-price?amount=${minor}&currency=${encodeURIComponent(code)}`));
      } catch (problem) {
        shown = [h("p", { class: "small muted" }, problem.message)];
      }
    }
    if (!signal.aborted) outcome.replaceChildren(...shown);
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE_MS);
  };
  const shape = () => {
    money.hidden = kind.value === "free";
    soon();
  };
  kind.addEventListener("change", shape);
  for (const input of [price, currency]) input.addEventListener("input", soon);
  shape();
}

function cardWords(card) {
  const told = (minor) => format(minor, card.currency);
  const parts = h(
    "p",
    { class: "small muted figures" },
    `Of ${told(card.amount)} you get ${told(card.seller_share)}, the portal ${told(card.platform_fee)}. By card the provider costs about ${told(card.provider_fee)}.`,
  );
  if (card.net >= 0) return [parts];
  const accept = h("label", { class: "check" }, h("input", { type: "checkbox", name: "accept_loss", value: "yes" }), "Offer it at this price all the same");
  return [h("div", { class: "stack" }, h("div", { class: "notice notice-warn", role: "alert" }, icon("alert"), h("div", {}, card.warning)), accept)];
}
