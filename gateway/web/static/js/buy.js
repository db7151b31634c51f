// The price box of the watch page: what one has, every way to get the title, and the purchase itself.
import { api, once, Problem } from "./api.js";
import { day } from "./dates.js";
import { bringIntoSight, busy, h, notice, onSubmit, showProblem } from "./dom.js";
import { format } from "./money.js";
import { failure, followPayment, isOpen, returned, waiting } from "./paying.js";
import { balanceIn, topUpSum } from "./pocket.js";
import { referral } from "./referral.js";
import { turns } from "./turns.js";
import { nameOf, standingWords, termsOf, verbOf } from "./ways.js";
import { decimalsOf } from "./words.js";

const box = document.getElementById("buy");
const part = (name) => document.getElementById(name);
/** A request with the same key is still on its way: asked again after so long, so many times. */
const AGAIN_MS = 400;
const TRIES = 25;
/** Why nobody may buy a title, whatever it is offered for. */
const NOT_SOLD = new Set(["taken-down", "outside-window", "blocked"]);
/** Why somebody may watch who never thought of paying: not told where nothing is for sale. */
const UNASKED = new Set(["free", "owner", "admin"]);
/** What may be bought by who has this already. */
const BESIDES = { view: ["rent", "own"], rent: ["own"] };
/** The longest a timer of a browser waits. */
const LONGEST_MS = 2 ** 31 - 1;

let known = { items: [], allow: false, reason: "" };
/** The last question for what is known; an answer to an earlier one may be older than what was bought since. */
let latest = null;
let trouble = null;
let wallet = null;
/** The code that prices are asked with, and the one that lowers those which are shown. */
let coupon = "";
let lowering = "";
let chosen = new URLSearchParams(location.search).get("offer") ?? "";
/** Names of the seasons and series that offers are for. */
const wholes = new Map();
let timer = 0;
/** The box speaks of one purchase: the last one. */
const beginPurchase = turns();
let onRight = () => false;

/**
 * Bring the box to life; `given(hasClock)` is called when a right to watch was bought in it, whose time runs from the first
 * play where it has a clock, and answers whether it plays then. Answers `{ready, sells, show, load}`:
 * once it is `ready` it knows whether it `sells` anything; `show` leads there.
 */
export function openBox(given) {
  if (!box) return null;
  onRight = given;
  if (box.dataset.me) {
    onSubmit(part("buy-form"), buy);
    part("coupon-apply").addEventListener("click", (event) => busy(event.currentTarget, applyCoupon));
    part("coupon").addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      part("coupon-apply").click();
    });
    part("gift_to").addEventListener("input", drawOffers);
    part("top-up").addEventListener("click", (event) => busy(event.currentTarget, topUp));
    part("buy-pay").addEventListener("change", () => box.setAttribute("data-paid-by", "chosen"));
    addEventListener("focus", loadWallet);
  }
  const [id, ready] = [returned(), load()];
  ready.then(() => {
    if (id) comeBack(id);
    else if (location.hash === "#buy") show();
  });
  return { ready, sells: () => known.items.length > 0, show, load };
}

/** Bring the box before the reader. */
function show() {
  box.scrollIntoView({ block: "center" });
  (box.querySelector("input[name=offer]:checked") ?? box).focus({ preventScroll: true });
}

/** Ask again what the title is to be had for, and whether one may watch it; the last of several questions counts. */
function load() {
  const mine = asked().then((found) => (mine === latest ? take(found) : latest));
  latest = mine;
  return mine;
}

async function asked() {
  const query = coupon ? `?coupon=${encodeURIComponent(coupon)}` : "";
  try {
    const found = await api("GET", `titles/${box.dataset.title}/offers${query}`);
    if (NOT_SOLD.has(found.reason)) found.items = [];
    await Promise.all([loadWallet(), ...found.items.map(nameWhole)]);
    return { found };
  } catch (problem) {
    return { problem };
  }
}

function take({ found, problem }) {
  trouble?.remove();
  if (problem?.status === 404) return;
  if (problem) {
    trouble = notice("bad", problem.message);
    part("buy-news").replaceChildren(trouble);
    box.hidden = false;
    return;
  }
  known = found;
  weighCoupon();
  draw();
  again();
}

async function nameWhole({ scope }) {
  if (scope === box.dataset.title || wholes.has(scope)) return;
  try {
    wholes.set(scope, (await api("GET", `titles/${scope}`)).name);
  } catch (problem) {
    // It was taken off sale just now; buying it says so.
    if (problem.status !== 404) throw problem;
    wholes.set(scope, "its series");
  }
}

async function loadWallet() {
  if (!box.dataset.me) return;
  wallet = await api("GET", "wallet").catch(() => wallet);
  drawPay();
}

/** What one has, or what is offered, ends some time: look again then. */
function again() {
  clearTimeout(timer);
  const ends = [known.until, ...known.items.map((item) => item.ends_at)].filter(Boolean).map((end) => Date.parse(end) - Date.now());
  const next = Math.min(...ends.filter((left) => left > 0));
  if (next < LONGEST_MS) timer = setTimeout(load, next + 1000);
}

function draw() {
  const words = known.items.length || !UNASKED.has(known.reason) ? standingWords(known) : "";
  const sign = known.allow ? notice("good", words) : notice("warn", words);
  part("buy-standing").replaceChildren(...(words ? [sign] : []));
  box.hidden = !known.items.length && !words && !part("buy-news").childElementCount;
  part("buy-head").textContent = known.allow ? "Your right to watch" : "How to watch";
  drawOffers();
}

/** When this title goes off the shelf, for what is sold of it alone; a series is more than one title. */
const shownUntil = ({ scope }) => (scope === box.dataset.title ? box.dataset.until : "");

const isGift = () => Boolean(part("gift_to")?.value.trim());

/** What can be bought: who has less may still buy more, who owns may give it to somebody. */
function buyable() {
  if (isGift() || !known.allow || known.reason === "free") return known.items;
  return known.items.filter((item) => BESIDES[known.reason]?.includes(item.kind));
}

function drawOffers() {
  const items = buyable();
  part("buy-form").hidden = !known.items.length;
  for (const name of ["buy-some", "buy-coupon"]) part(name)?.toggleAttribute("hidden", !items.length);
  if (!items.some((item) => item.id === chosen)) chosen = (items.find((item) => item.kind === "own") ?? items[0])?.id ?? "";
  const focused = document.activeElement?.name === "offer";
  part("buy-ways").replaceChildren(...items.map(way));
  if (focused) box.querySelector("input[name=offer]:checked")?.focus();
  drawPay();
}

function way(item) {
  const { price, shown } = item;
  const input = h("input", { type: "radio", name: "offer", value: item.id, checked: item.id === chosen, "aria-describedby": `terms-${item.id}` });
  input.addEventListener("change", () => {
    chosen = item.id;
    drawPay();
  });
  const full = price.discount ? h("s", {}, h("span", { class: "seen-by-readers" }, "instead of "), format(price.full, price.currency)) : null;
  const now = h("strong", {}, price.amount ? format(price.amount, price.currency) : "Free");
  return h(
    "div",
    { class: "way" },
    h("label", {}, input, h("span", { class: "way-name" }, nameOf(item, wholes.get(item.scope))), h("span", { class: "way-price figures" }, full, now)),
    h("span", { class: "way-terms", id: `terms-${item.id}` }, termsOf(item, shownUntil(item)), shown ? h("span", { class: "figures" }, ` About ${format(shown.amount, shown.currency)}.`) : null),
  );
}

/** The part that follows from the way that is chosen: how to pay, and what the button says. */
function drawPay() {
  const item = buyable().find((one) => one.id === chosen);
  const estimate = item?.shown ? `Amounts in ${item.shown.currency} are estimates by the rates of ${day(box.dataset.ratesOf)}. You pay in ${item.price.currency}.` : "";
  part("buy-estimate").textContent = estimate;
  if (!box.dataset.me) {
    const next = encodeURIComponent(`${location.pathname}?offer=${chosen}#buy`);
    part("buy-login").href = `/login?next=${next}`;
    part("buy-join").href = `/register?next=${next}`;
    return;
  }
  const now = part("buy-now");
  now.hidden = !item;
  part("buy-pay").hidden = !item?.price.amount;
  if (!item) return;
  now.textContent = isGift() ? `${verbOf(item)}, as a gift` : verbOf(item);
  const { amount, currency } = item.price;
  const have = balanceIn(wallet, currency);
  const isShort = have < BigInt(amount);
  part("wallet-said").textContent = isShort ? `You have ${format(have, currency)}: ${format(BigInt(amount) - have, currency)} too little.` : `You have ${format(have, currency)}.`;
  const [byWallet, byCard, topping] = ["pay-wallet", "pay-card", "top-up"].map(part);
  byWallet.disabled = isShort;
  if (isShort) byCard.checked = true;
  else if (!box.dataset.paidBy) byWallet.checked = true;
  topping.hidden = !isShort;
  topping.textContent = `Top up ${format(topUpSum(amount, have, decimalsOf(currency)), currency)}`;
}

async function applyCoupon() {
  const input = part("coupon");
  coupon = input.value.trim();
  input.removeAttribute("aria-invalid");
  part("coupon-said").textContent = "";
  await load();
}

/** Say what the coupon does to the prices that are known; one that does nothing is asked with no more. */
function weighCoupon() {
  const cut = known.items.some((item) => item.price.discount);
  if (!coupon) lowering = "";
  else if (cut) {
    lowering = coupon;
    part("coupon-said").textContent = "The coupon lowers the price.";
  } else dropCoupon(known.coupon_refused || "The coupon takes nothing off here.");
}

/** A coupon that lowered prices until now goes from its field; one that never did stays there, to be mended. */
function dropCoupon(words) {
  const input = part("coupon");
  if (input.value.trim() === coupon) {
    if (coupon === lowering) input.value = "";
    else input.setAttribute("aria-invalid", "true");
  }
  part("coupon-said").textContent = words;
  coupon = "";
  lowering = "";
}

/** A coupon was typed and not looked at: it is, before anything is paid. */
async function unapplied() {
  await applyCoupon();
  const then = lowering ? "Press the button again to go on." : "Take it out to go on without it.";
  throw Object.assign(new Error(`${part("coupon-said").textContent} ${then}`), { code: "coupon", details: lowering ? {} : { field: "coupon" } });
}

async function buy(values) {
  const item = buyable().find((one) => one.id === chosen);
  if (!item) return;
  if (values.coupon.trim() && values.coupon.trim() !== lowering) await unapplied();
  const to = values.gift_to.trim();
  const order = {
    offer: item.id,
    version: item.version,
    pay: item.price.amount ? values.pay : "wallet",
    return_path: location.pathname,
    ...(item.price.coupon && lowering && { coupon: lowering }),
    ...(to && { gift_to: to }),
    ...(referral() && { referral: referral() }),
  };
  try {
    await settle(await answered(`titles/${item.scope}/checkout`, order), to);
  } catch (problem) {
    throw problem instanceof Problem ? await explained(problem, item) : problem;
  }
}

/** The answer to something that moves money; asked again while the same is on its way, under the same key. */
async function answered(path, order) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await once("POST", path, order);
    } catch (problem) {
      const isOnItsWay = problem.code === "in-flight" || problem.status === 503;
      if (!isOnItsWay || tries >= TRIES) throw problem;
      await new Promise((next) => setTimeout(next, AGAIN_MS));
    }
  }
}

async function topUp() {
  const { amount, currency } = buyable().find((one) => one.id === chosen).price;
  const sum = topUpSum(amount, balanceIn(wallet, currency), decimalsOf(currency));
  try {
    await settle(await answered("wallet/top-ups", { amount: Number(sum), currency, return_path: `${location.pathname}?offer=${chosen}` }));
  } catch (problem) {
    showProblem(part("buy-form"), problem);
    if (!problem.code) throw problem;
  }
}

/** A problem in words that say what to do; the box shows what is true by now. */
async function explained(problem, before) {
  const { code, status } = problem;
  const isCoupon = /^coupon/.test(code);
  const field = !isCoupon && (code === "gift-to-oneself" || (status === 404 && isGift())) ? "gift_to" : undefined;
  problem.details = { ...problem.details, field };
  if (field) part(field).closest("details").open = true;
  if (status === 0 || status >= 500) problem.message = `${problem.message} Nothing is charged twice: the same button asks for the same purchase.`;
  if (isCoupon) dropCoupon(problem.message);
  await load();
  if (!known.items.length) {
    // The form goes with the last offer, and its words with it.
    part("buy-news").replaceChildren(notice("bad", problem.message));
    box.hidden = false;
  }
  const full = isCoupon && known.items.find((item) => item.id === before.id)?.price;
  if (full) problem.message = `${problem.message} Without the coupon it costs ${format(full.amount, full.currency)}. Nothing was taken. Press the button again if you want it for that.`;
  if (code === "price-changed") {
    const { offer, amount, currency } = problem.details.offer;
    if (known.items.some((item) => item.id === offer)) chosen = offer;
    drawOffers();
    const [was, now] = [format(before.price.amount, before.price.currency), format(amount, currency)];
    problem.message = `The price changed while you looked: it was ${was} and is ${now} now. Nothing was taken. Press the button again if you want it for that.`;
  }
  return problem;
}

/** What came of asking for a purchase: it is paid, or is paid elsewhere. */
async function settle(purchase, to = "") {
  beginPurchase();
  if (isOpen(purchase) && purchase.url) location.assign(purchase.url);
  else if (isOpen(purchase)) await comeBack(purchase.id);
  else await ended(purchase, to);
}

/** Back from paying: say how it stands until it is over. */
async function comeBack(id) {
  const signal = beginPurchase();
  const say = (...said) => {
    if (signal.aborted) return;
    part("buy-news").replaceChildren(...said);
    box.hidden = false;
  };
  try {
    const purchase = await followPayment(id, { show: (now) => say(waiting(now)), signal });
    if (!signal.aborted) await ended(purchase);
  } catch (problem) {
    say(notice("bad", problem.message));
  }
}

async function ended(purchase, to = "") {
  const news = part("buy-news");
  let plays = false;
  news.replaceChildren();
  await load();
  if (purchase.state !== "paid") news.replaceChildren(notice("bad", failure(purchase)));
  else if (purchase.kind === "top_up") {
    news.replaceChildren(notice("good", `${format(purchase.amount, purchase.currency)} came into your wallet.`));
    part("buy-now")?.focus();
  } else if (purchase.is_gift) {
    part("gift_to").value = "";
    drawOffers();
    news.replaceChildren(notice("good", to ? `It is ${to}’s now. They may watch it from here at any time.` : "Your gift has reached them. They may watch it from here at any time."));
  } else {
    const words = purchase.amount ? "Thank you, it is paid." : "It is yours.";
    plays = onRight(known.reason in BESIDES);
    news.replaceChildren(notice("good", plays ? words : `${words} Press play when you want to begin.`));
  }
  box.hidden = false;
  if (!plays) bringIntoSight(news);
}
