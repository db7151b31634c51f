// A seller's earnings: what they have now, live; sales by day and title over a time; statements by month.
import { balanceTiles, balanceWords, earningsOf, followEarnings } from "./balance.js";
import { h } from "./dom.js";
import { salesSection } from "./sales.js";
import { sellerPage } from "./seller.js";
import { statementsSection } from "./statements.js";

const room = document.getElementById("earnings");

sellerPage(room, "Earnings", async (seller, signal) => {
  const { currency } = room.dataset;
  let known = await earningsOf(seller.handle);
  const balance = h("div", {}, balanceTiles(known, currency));
  const heard = h("p", { class: "seen-by-readers", role: "status" });
  const sales = salesSection(seller, { currency, signal });
  followEarnings(seller.handle, {
    signal,
    show(items) {
      if (JSON.stringify(items) === JSON.stringify(known)) return;
      known = items;
      balance.replaceChildren(balanceTiles(items, currency));
      heard.textContent = balanceWords(items);
      sales.again();
    },
  });
  const words = h("p", { class: "small muted" }, "These figures change by themselves as viewers buy. ", h("a", { href: `/payouts${location.search}` }, "Take money out"));
  return [h("section", { class: "stack", "aria-labelledby": "e-now" }, h("h2", { id: "e-now" }, "Now"), balance, heard, words), sales.element, statementsSection(seller)];
});
