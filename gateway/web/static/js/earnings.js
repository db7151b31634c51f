// A seller's earnings: what they have now, live; sales by day and title over a time; statements by month.
import { api } from "./api.js";
import { balanceTiles, balanceWords, followEarnings } from "./balance.js";
import { h, notice } from "./dom.js";
import { nothing } from "./table.js";
import { salesSection } from "./sales.js";
import { sellerHead, sellerOf, sellerTabs } from "./seller.js";
import { statementsSection } from "./statements.js";

const room = document.getElementById("earnings");
let leave = new AbortController();

async function show() {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  try {
    const me = await api("GET", "me");
    if (!me.sellers.length) {
      room.replaceChildren(h("h1", {}, "Earnings"), nothing("film", "You sell nothing yet", "Become a seller, and what you earn stands here.", h("a", { class: "button button-main", href: "/studio" }, "Open the studio")));
      return;
    }
    fill(me, sellerOf(me), signal);
  } catch (problem) {
    room.replaceChildren(h("h1", {}, "Earnings"), notice("bad", problem.message), h("div", {}, h("button", { class: "button", type: "button", onclick: show }, "Try again")));
    if (!problem.code) throw problem;
  }
}

function fill(me, seller, signal) {
  const balance = h("div", {}, balanceTiles([], room.dataset.currency));
  const heard = h("p", { class: "seen-by-readers", role: "status" });
  const sales = salesSection(seller, { currency: room.dataset.currency, signal });
  let isFirst = true;
  followEarnings(seller.handle, {
    signal,
    show(items) {
      balance.replaceChildren(balanceTiles(items, room.dataset.currency));
      if (!isFirst) {
        heard.textContent = balanceWords(items);
        sales.again();
      }
      isFirst = false;
    },
  });
  room.replaceChildren(
    sellerTabs(me, seller),
    sellerHead("Earnings", me, seller, show),
    h("section", { class: "stack", "aria-labelledby": "e-now" }, h("h2", { id: "e-now" }, "Now"), balance, heard, h("p", { class: "small muted" }, "These figures change by themselves as viewers buy. ", h("a", { href: `/payouts${location.search}` }, "Take money out"))),
    sales.element,
    statementsSection(seller),
  );
}

show();
