// The seller that a page is about, and the tabs of a seller's pages.
import { api } from "./api.js";
import { h, notice } from "./dom.js";
import { mayOf } from "./may.js";
import { nothing, tabs } from "./table.js";
import { turns } from "./turns.js";

/** Address, words, and what one needs for it. */
const TABS = [
  ["/studio", "Titles", "title:read"],
  ["/studio/coupons", "Coupons", "offer:read"],
  ["/studio/blocked", "Blocked viewers", "entitlement:read"],
  ["/studio/webhooks", "Webhooks", "seller:write"],
  ["/earnings", "Earnings", "earnings:read"],
  ["/payouts", "Payouts", "earnings:read"],
];

/** The seller whose handle stands in the address, else the first of one's own. */
export function sellerOf(me) {
  const wanted = new URLSearchParams(location.search).get("seller");
  return me.sellers.find((seller) => seller.handle === wanted) ?? me.sellers[0];
}

/** Tabs of what `me` may see, which keep the seller; inside the studio they change the view without loading the page anew. */
export function sellerTabs(me, seller) {
  const query = me.sellers.length > 1 ? `?seller=${encodeURIComponent(seller.handle)}` : "";
  const inStudio = (path) => path.startsWith("/studio") && location.pathname.startsWith("/studio");
  const tab = ([path, words]) => [path + query, words, { "data-inside": inStudio(path), "aria-current": path === location.pathname ? "page" : null }];
  const may = mayOf(me, seller.handle);
  return tabs("Selling", TABS.filter(([, , needs]) => may(needs)).map(tab));
}

/** What stands where somebody works for a seller but may not see this part. */
export const notYours = (words, seller) => nothing("lock", "Not yours to see", `${words} of ${seller.name} are not part of your role there. Its owners can give you another one.`);

/** The heading of a seller's page, with a choice for who has several; `changed()` shows the page of the other. */
export function sellerHead(words, me, seller, changed) {
  const head = h("h1", {}, words);
  if (me.sellers.length < 2) return h("div", { class: "spread" }, head, h("span", { class: "muted" }, seller.name));
  const choice = h("select", { class: "input", "aria-label": "Seller" }, me.sellers.map((one) => h("option", { value: one.handle, selected: one === seller }, one.name)));
  choice.addEventListener("change", () => {
    history.replaceState(null, "", `${location.pathname}?seller=${encodeURIComponent(choice.value)}`);
    changed();
  });
  return h("div", { class: "spread" }, head, h("div", {}, choice));
}

/**
 * A page of what a seller earns in `room`: tabs, heading, and the parts that `fill(seller, signal)` resolves to, made
 * anew for another seller; `signal` aborts when they go.
 */
export function sellerPage(room, words, fill) {
  const begin = turns();
  const show = async () => {
    const signal = begin();
    let head = [h("h1", {}, words)];
    try {
      const me = await api("GET", "me");
      if (signal.aborted) return;
      if (!me.sellers.length) {
        const way = h("a", { class: "button button-main", href: "/studio" }, "Open the studio");
        room.replaceChildren(...head, nothing("film", "You sell nothing yet", "Become a seller, and what you earn stands here.", way));
        return;
      }
      const seller = sellerOf(me);
      head = [sellerTabs(me, seller), sellerHead(words, me, seller, show)];
      const parts = mayOf(me, seller.handle)("earnings:read") ? await fill(seller, signal) : [notYours(words, seller)];
      if (!signal.aborted) room.replaceChildren(...head, ...parts);
    } catch (problem) {
      if (signal.aborted) return;
      const again = h("button", { class: "button", type: "button", onclick: show }, "Try again");
      room.replaceChildren(...head, notice("bad", problem.message), h("div", {}, again));
      if (!problem.code) throw problem;
    }
  };
  show();
}
