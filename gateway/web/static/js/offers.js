// What a title is offered for: free, for one view, to rent, to own; each with its price and the time it stands.
import { api, once } from "./api.js";
import { dayWindow } from "./dates.js";
import { busy, confirmed, h, notice, toast, toasted } from "./dom.js";
import { offerForm } from "./offer-form.js";
import { format } from "./money.js";
import { turns } from "./turns.js";

/** "Rent for 24 hours" of an offer. */
function offerName({ kind, hours }) {
  if (kind === "rent") return `Rent for ${hours} hours`;
  return { free: "Free", view: "One view", own: "Own" }[kind] ?? kind;
}

/** A panel of the offers of `title`; to be read where one may not change them. */
export function offersPanel(title, { mayChange }) {
  const list = h("div", { class: "stack" });
  const room = h("div", {});
  const add = h("button", { class: "button", type: "button" }, "Add an offer");
  const close = () => {
    const isInside = room.contains(document.activeElement);
    room.replaceChildren();
    add.hidden = false;
    if (isInside) add.focus();
  };
  const panel = { title, list, mayChange, begin: turns(), close, edit: null, load: null };
  panel.load = () => load(panel);
  panel.edit = (offer) => {
    add.hidden = true;
    room.replaceChildren(offerForm(panel, offer));
    room.querySelector("select:not([disabled]), input")?.focus();
  };
  add.addEventListener("click", () => panel.edit(null));
  panel.load();
  return h(
    "section",
    { class: "panel stack", "aria-labelledby": "d-offers" },
    h("h2", { id: "d-offers" }, "Offers"),
    list,
    room,
    mayChange ? h("div", {}, add) : null,
  );
}

async function load(panel) {
  const { title, list } = panel;
  const signal = panel.begin();
  let items, now;
  try {
    [{ items }, now] = await Promise.all([
      api("GET", `studio/titles/${title.id}/offers`),
      api("GET", `titles/${title.id}`), // each change of an offer may change it
    ]);
  } catch (problem) {
    if (!signal.aborted) list.replaceChildren(notice("bad", problem.message));
    if (!problem.code) throw problem;
    return;
  }
  if (signal.aborted) return;
  const open = items.filter((offer) => offer.active && !isOver(offer));
  const past = items.filter((offer) => !open.includes(offer));
  list.replaceChildren(
    ...[
      advice(now, open),
      open.length ? h("ul", { class: "list" }, open.map((offer) => row(panel, offer))) : null,
      past.length ? earlier(past) : null,
    ].filter(Boolean),
  );
}

const isOver = ({ ends_at: end }) => end !== null && Date.parse(end) <= Date.now();
const isLasting = (offer) => !offer.starts_at && !offer.ends_at;

function advice({ price_minor: price, is_free: isFree }, open) {
  const costly = open.some((offer) => offer.amount);
  if (costly && open.some((offer) => offer.kind === "free" && isLasting(offer)))
    return notice("warn", "While the free offer stands, everybody watches without paying.");
  if (costly) return null;
  if (!open.length && !price && !isFree) return h("p", { class: "muted" }, "It is sold with its series or season. Add an offer to sell it by itself too.");
  if (open.length || !price) return h("p", { class: "muted" }, "Everybody may watch it for free. Add an offer with a price to sell it.");
  return notice("warn", "Nothing is offered, so nobody can buy it. Add an offer, or one of kind Free.");
}

function row(panel, offer) {
  const name = offerName(offer);
  const price = offer.amount ? format(offer.amount, offer.currency) : "";
  const facts = [dayWindow(offer.starts_at, offer.ends_at), `version ${offer.version}`].filter(Boolean).join(" · ");
  const change = h("button", { class: "button button-small", type: "button", "aria-label": `Change: ${name}` }, "Change");
  change.addEventListener("click", () => panel.edit(offer));
  const remove = h("button", { class: "button button-small", type: "button", "aria-label": `Take back: ${name}` }, "Take back");
  remove.addEventListener("click", () => retire(remove, panel, offer));
  return h(
    "li",
    {},
    h("span", { class: "long-name" }, h("strong", {}, name), " ", h("span", { class: "figures" }, price), h("br"), h("span", { class: "small muted" }, facts)),
    panel.mayChange ? h("span", { class: "row row-end" }, change, remove) : null,
  );
}

async function retire(button, panel, offer) {
  if (!(await confirmed(`Take back “${offerName(offer)}”?`, "Nobody can choose it any more. What was bought by it stays.", "Take back"))) return;
  await busy(button, async () => {
    await toasted(async () => {
      await once("DELETE", `titles/${panel.title.id}/offers/${offer.id}`);
      toast("The offer is taken back.");
    });
    await panel.load();
  });
}

function earlier(past) {
  const words = (offer) => [offerName(offer), offer.amount ? format(offer.amount, offer.currency) : "", dayWindow(offer.starts_at, offer.ends_at)].filter(Boolean).join(" · ");
  return h(
    "details",
    {},
    h("summary", {}, `Offers that are over (${past.length})`),
    h("ul", { class: "list small muted" }, past.map((offer) => h("li", {}, words(offer)))),
  );
}
