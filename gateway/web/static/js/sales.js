// Sales of a seller over a time: sums, a chart by day, a table by title, and all of it as a file.
import { api } from "./api.js";
import { chart, daysBetween } from "./chart.js";
import { day, isoDay } from "./dates.js";
import { field, h, notice } from "./dom.js";
import { download } from "./files.js";
import { format } from "./money.js";
import { nothing, table, tiles } from "./table.js";
import { turns } from "./turns.js";
import { amount } from "./words.js";

const RANGES = [
  ["7", "Last 7 days"],
  ["30", "Last 30 days"],
  ["90", "Last 90 days"],
  ["365", "Last 365 days"],
  ["", "From … to …"],
];
const COUNTS = ["purchases", "refunds"];
/** Where what viewers paid goes: name in the answer → heading. */
const AMOUNTS = { gross: "Viewers paid", fee: "Fee", others: "Partners", net: "Yours" };
const DAY_MS = 86_400_000;

/** `{element, again}`: the section, and what asks anew for what it shows. */
export function salesSection(seller, { currency, signal }) {
  const today = isoDay(new Date());
  const range = h("select", {}, RANGES.map(([days, words]) => h("option", { value: days, selected: days === "30" }, words)));
  const from = h("input", { type: "date", max: today, value: isoDay(new Date(Date.now() - 29 * DAY_MS)) });
  const to = h("input", { type: "date", max: today, value: today });
  const own = [field("From", from), field("To", to)];
  const coin = h("select", {});
  const coins = field("Currency", coin);
  const shown = h("div", { class: "stack" });
  const exporting = h("button", { class: "button", type: "button", hidden: true }, "Export as CSV");
  const view = { seller, currency, coin, coins, shown, exporting, begin: turns(signal), draw: turns(signal), answer: null };
  const again = () => load(view, range.value ? lastDays(Number(range.value)) : { since: from.value, until: to.value });
  const change = () => {
    for (const one of own) one.hidden = Boolean(range.value);
    again();
  };
  for (const input of [range, from, to]) input.addEventListener("change", change);
  coin.addEventListener("change", () => present(view));
  exporting.addEventListener("click", () => download(`sales-${seller.handle}-${view.answer.since}-${view.answer.until}.csv`, csvRows(view.answer)));
  change();
  const element = h(
    "section",
    { class: "stack", "aria-labelledby": "e-sales" },
    h("h2", { id: "e-sales" }, "Sales"),
    h("div", { class: "filters" }, field("Time", range), own, coins, h("div", { class: "row" }, exporting), h("p", { class: "small muted filters-words" }, "Days begin and end by UTC, as in your statements.")),
    shown,
  );
  return { element, again };
}

function lastDays(days) {
  return { since: isoDay(new Date(Date.now() - (days - 1) * DAY_MS)), until: isoDay(new Date()) };
}

async function load(view, { since, until }) {
  const signal = view.begin();
  if (!since || !until || since > until) {
    view.shown.replaceChildren(notice("bad", "“To” is before “From”."));
    return;
  }
  const path = `sellers/${view.seller.handle}/sales?since=${since}&until=${until}`;
  try {
    const [days, titles] = await Promise.all([api("GET", `${path}&by=day`), api("GET", `${path}&by=title`)]);
    if (signal.aborted) return;
    view.answer = { since, until, days: days.items, titles: titles.items };
    present(view);
  } catch (problem) {
    if (signal.aborted) return;
    view.shown.replaceChildren(notice("bad", problem.message));
    if (!problem.code) throw problem;
  }
}

function present(view) {
  const { answer, coin, coins, shown, exporting } = view;
  const signal = view.draw();
  const found = [...new Set(answer.days.map((line) => line.currency))].sort();
  const currency = found.includes(coin.value) ? coin.value : found[0] ?? view.currency;
  coin.replaceChildren(...found.map((code) => h("option", { value: code, selected: code === currency }, code)));
  coins.hidden = found.length < 2;
  exporting.hidden = !found.length;
  if (!found.length) {
    shown.replaceChildren(nothing("film", "Nothing sold in this time", "As soon as somebody buys one of your titles, it stands here."));
    return;
  }
  const days = answer.days.filter((line) => line.currency === currency);
  const titles = answer.titles.filter((line) => line.currency === currency);
  const sum = summed(days);
  const byDay = new Map(days.map((line) => [line.day, line]));
  const lines = daysBetween(answer.since, answer.until).map((one) => byDay.get(one) ?? { day: one, gross: 0, net: 0 });
  const names = amountsIn(titles);
  const figures = [["Sales", "amount"], ["Refunds, disputes", "amount"], ...names.map((name) => [AMOUNTS[name], "amount"])];
  const cells = (line) => [String(line.purchases), String(line.refunds), ...names.map((name) => format(line[name], currency))];
  shown.replaceChildren(
    tiles([
      ["Sales", String(sum.purchases), sum.refunds ? `${sum.refunds} ${sum.refunds === 1 ? "refund or dispute" : "refunds and disputes"}` : null],
      ...names.map((name) => [AMOUNTS[name], format(sum[name], currency), null, name === "net" ? "tile-good" : null]),
    ]),
    h("div", { class: "panel" }, chart(lines, { currency, signal })),
    h("h3", {}, "By title"),
    h("div", { class: "panel" }, table("Sales by title", [["Title"], ...figures], titles.map((line) => [line.name ?? "A title", ...cells(line)]), ["All", ...cells(sum)])),
    h("details", { class: "more-of-it" }, h("summary", {}, "By day"), h("div", { class: "panel" }, table("Sales by day", [["Day"], ...figures], days.map((line) => [day(line.day), ...cells(line)])))),
  );
}

/** The amounts that say something: what partners got only where somebody got any. */
const amountsIn = (lines) => Object.keys(AMOUNTS).filter((name) => name !== "others" || lines.some((line) => BigInt(line.others)));

function summed(lines) {
  const total = (name) => lines.reduce((sum, line) => sum + BigInt(line[name]), 0n);
  const counts = COUNTS.map((name) => [name, Number(total(name))]);
  return Object.fromEntries([...counts, ...Object.keys(AMOUNTS).map((name) => [name, total(name)])]);
}

/** Days first, then titles, in one sheet; amounts are plain decimals, as a spreadsheet reads them. */
function csvRows({ days, titles }) {
  const row = (kind, name, line) => {
    const amounts = Object.keys(AMOUNTS).map((part) => decimal(line[part], line.currency));
    return [kind, name, line.purchases, line.refunds, ...amounts, line.currency];
  };
  return [
    ["by", "name", "sales", "refunds", ...Object.keys(AMOUNTS), "currency"],
    ...days.map((line) => row("day", line.day, line)),
    ...titles.map((line) => row("title", line.name ?? "", line)),
  ];
}

function decimal(minor, currency) {
  const text = String(minor);
  return text.startsWith("-") ? `-${amount(text.slice(1), currency)}` : amount(text, currency);
}
