// Following a payment after its payer came back: what became of it, told whenever that changes.
import { api } from "./api.js";
import { h, icon } from "./dom.js";
import { pause } from "./live.js";

/** How often a payment is asked for: soon at first, then at ease. */
const SOON_MS = 700;
const LATER_MS = 3000;
const SOON_TRIES = 20;

/** Which payment of this page is not over yet, for as long as the tab lives. */
const memory = `paying:${location.pathname}`;

/**
 * The payment that the address of this page names, taken out of it, so that a reload does not tell of one that is over
 * again; without it the one that was not over when the page was left.
 */
export function returned() {
  const here = new URL(location.href);
  const id = here.searchParams.get("purchase");
  if (!id) return remembered();
  here.searchParams.delete("purchase");
  history.replaceState(null, "", here.pathname + here.search + here.hash);
  return id;
}

function remembered() {
  try {
    return sessionStorage.getItem(memory);
  } catch {
    return null;
  }
}

function remember(id) {
  try {
    if (id) sessionStorage.setItem(memory, id);
    else sessionStorage.removeItem(memory);
  } catch {
    // a browser that stores nothing tells of it once
  }
}

/**
 * Call `show(purchase)` at once and whenever it changed, until it is paid or over; gives it as it ended, null where
 * `signal` aborted before. Rejects with a Problem.
 */
export async function followPayment(id, { show, signal }) {
  let told = "";
  for (let tries = 0; !signal.aborted; tries += 1) {
    const purchase = await asked(id);
    if (purchase) remember(isOpen(purchase) ? id : "");
    if (purchase && !isOpen(purchase)) return purchase;
    if (purchase && told !== purchase.state) {
      told = purchase.state;
      show(purchase);
    }
    await pause(tries < SOON_TRIES ? SOON_MS : LATER_MS, signal);
  }
  return null;
}

/** The payment; null while nobody answers. */
async function asked(id) {
  try {
    return await api("GET", `payments/${encodeURIComponent(id)}`);
  } catch (problem) {
    if (problem.status && problem.status < 500 && problem.status !== 429) {
      remember("");
      throw problem;
    }
    return null;
  }
}

/** That a payment is not complete, and where it goes on. */
export function waiting({ state, url }) {
  const isAgreed = state === "authorized";
  const words = isAgreed ? "Your bank agreed. The payment is being completed …" : "Your payment is not complete yet. This page notices by itself when it is.";
  const go = !isAgreed && url ? h("div", {}, h("a", { class: "button button-small", href: url }, "Go on paying")) : null;
  return h("div", { class: "notice" }, icon("clock"), h("div", { class: "stack" }, h("span", {}, words), go));
}

export const isOpen = ({ state }) => state === "new" || state === "authorized";

/** Why nothing came of it. */
export function failure({ state, words }) {
  const why = words ? `${words} ` : "";
  if (state === "refunded") return "This payment was given back.";
  if (state === "disputed") return "This payment is disputed, so it counts for nothing until that is decided.";
  return `${why}The payment did not go through, and nothing was taken. You can try again.`;
}
