// The seller that a page is about, and the tabs of a seller's pages.
import { h } from "./dom.js";

const TABS = [
  ["/studio", "Titles"],
  ["/studio/coupons", "Coupons"],
  ["/studio/blocked", "Blocked viewers"],
  ["/earnings", "Earnings"],
  ["/payouts", "Payouts"],
];

/** The seller whose handle stands in the address, else the first of one's own. */
export function sellerOf(me) {
  const wanted = new URLSearchParams(location.search).get("seller");
  return me.sellers.find((seller) => seller.handle === wanted) ?? me.sellers[0];
}

/** Tabs that keep the seller; inside the studio they change the view without loading the page anew. */
export function sellerTabs(me, seller) {
  const query = me.sellers.length > 1 ? `?seller=${encodeURIComponent(seller.handle)}` : "";
  const inStudio = (path) => path.startsWith("/studio") && location.pathname.startsWith("/studio");
  const tab = ([path, words]) =>
    h("a", { href: path + query, "data-inside": inStudio(path), "aria-current": path === location.pathname ? "page" : null }, words);
  return h("nav", { class: "tabs", "aria-label": "Selling" }, TABS.map(tab));
}

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
