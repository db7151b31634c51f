// A seller's money as it is now: pending, available, on its way, owed; told anew whenever it changes.
import { api } from "./api.js";
import { h } from "./dom.js";
import { follow } from "./live.js";
import { format } from "./money.js";
import { tiles } from "./table.js";

const pathOf = (handle) => `sellers/${encodeURIComponent(handle)}/earnings`;

/** Call `show(items)` with a seller's money now and at each change; nothing more after `signal` aborts. */
export function followEarnings(handle, { show, signal }) {
  follow(pathOf(handle), { event: "balance", show: ({ items }) => show(items), signal });
}

/** What a seller has, asked once. */
export const earningsOf = async (handle) => (await api("GET", pathOf(handle))).items;

/** The money of a seller as figures, a line of them a currency. */
export function balanceTiles(items, currency) {
  const told = items.length ? items : [{ currency, pending: 0, available: 0, in_transit: 0, owed: 0, shown: null }];
  return h("div", { class: "stack" }, told.map(line));
}

function line({ currency, pending, available, in_transit: away, owed, shown }) {
  const about = shown ? `about ${format(shown.amount, shown.currency)}` : null;
  const figures = [
    ["Pending", format(pending, currency), "sold, and soon available"],
    ["Available", format(available, currency), about ?? "to be paid out when you ask", "tile-good"],
    ["On its way", format(away, currency), "asked for, not paid out yet"],
  ];
  if (BigInt(owed)) figures.push(["Owed", format(owed, currency), "given back after it was paid out; taken of what comes next", "tile-bad"]);
  return tiles(figures);
}

/** The same in one sentence, for who does not see it. */
export function balanceWords(items) {
  const parts = items.map(({ currency, pending, available }) => `${format(pending, currency)} pending, ${format(available, currency)} available`);
  return parts.length ? `Your earnings now: ${parts.join("; ")}.` : "";
}
