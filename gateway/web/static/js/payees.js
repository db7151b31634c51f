// A seller's accounts at payment providers, to which their part of a sale is paid at once.
import { api } from "./api.js";
import { field, h, notice, onSubmit } from "./dom.js";
import { railName } from "./rails.js";

/** A panel about the accounts of `seller`; it stays away where no provider has any. */
export function payeesSection(seller) {
  const content = h("div", { class: "stack" });
  const panel = h(
    "section",
    { class: "panel stack", "aria-labelledby": "p-payee", hidden: true },
    h("h2", { id: "p-payee" }, "Paid at once by the provider"),
    h("p", { class: "muted" }, "With an account of your own at the payment provider, your part of a card payment goes there directly."),
    content,
  );
  load(seller, panel, content);
  return panel;
}

async function load(seller, panel, content) {
  try {
    const { items, providers } = await api("GET", `sellers/${seller.handle}/payees`);
    panel.hidden = !items.length && !providers.length;
    const known = new Map(items.map((item) => [item.provider, item]));
    const names = [...new Set([...providers, ...known.keys()])];
    content.replaceChildren(...names.map((name) => account(seller, name, known.get(name), providers.includes(name))));
  } catch (problem) {
    panel.hidden = false;
    content.replaceChildren(notice("bad", problem.message));
    if (!problem.code) throw problem;
  }
}

function account(seller, provider, payee, isOpen) {
  const isWhole = payee && payee.can_charge && payee.can_be_paid;
  const form = h(
    "form",
    { class: "stack", novalidate: true },
    h("div", { class: "notice notice-bad", role: "alert", "data-problem": "", hidden: true }),
    payee ? null : field("Country", h("input", { name: "country", required: true, maxlength: "2", pattern: "[A-Za-z]{2}", autocomplete: "country", autocapitalize: "characters", spellcheck: "false" }), "Two letters, such as DE. It cannot be changed later."),
    h("div", {}, h("button", { class: isWhole ? "button" : "button button-main", type: "submit" }, payee ? (isWhole ? "Look at it there" : "Go on with it") : `Open an account at ${railName(provider)}`)),
  );
  onSubmit(form, async ({ country }) => {
    // The provider knows the country of an account that is there; it counts only for a new one.
    const { url } = await api("POST", `sellers/${seller.handle}/payees/${provider}`, { country: (country ?? "US").trim().toUpperCase() });
    location.assign(url);
  });
  return h("div", { class: "stack" }, h("div", { class: "spread" }, h("h3", {}, railName(provider)), badge(payee)), missing(payee), isOpen ? form : null);
}

function badge(payee) {
  if (!payee) return h("span", { class: "badge" }, "Not opened");
  if (payee.can_charge && payee.can_be_paid) return h("span", { class: "badge badge-good" }, "Ready");
  return h("span", { class: "badge badge-warn" }, payee.can_charge ? "Cannot be paid yet" : "Not complete");
}

function missing(payee) {
  if (!payee?.missing.length) return null;
  const words = payee.missing.map((one) => one.replace(/[._]/g, " "));
  return h("div", { class: "small" }, h("p", {}, "The provider still asks for:"), h("ul", {}, words.map((one) => h("li", {}, one))));
}
