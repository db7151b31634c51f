// A chart of money by day: what viewers paid, and in front of it what of that is the seller's. Its figures stand in a
// table beside it, so nobody needs to see it. uPlot draws it, and is fetched when there is something to draw.
import { isoDay } from "./dates.js";
import { h } from "./dom.js";
import { format } from "./money.js";

const DAY_S = 86_400;
const HEIGHT = 240;
const SHORT = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", timeZone: "UTC" });
let fetching = null;

function uplot() {
  fetching ??= (async () => {
    const sheet = h("link", { rel: "stylesheet", href: new URL("../vendor/uplot.css", import.meta.url).href });
    document.head.append(sheet);
    return (await import("../vendor/uplot.mjs")).default;
  })();
  return fetching;
}

/** Every day from `since` to `until`, both of them, as "2026-11-22". */
export function daysBetween(since, until) {
  const days = [];
  for (let at = Date.parse(since); at <= Date.parse(until); at += DAY_S * 1000) days.push(isoDay(new Date(at)));
  return days;
}

/** A figure of `lines`, one `{day, gross, net}` a day without gaps; it is drawn once it is on the page, until `signal` aborts. */
export function chart(lines, { currency, signal }) {
  const plot = h("div", { class: "chart-plot", "aria-hidden": "true" });
  const said = h("p", { class: "small muted figures" });
  const keys = h("p", { class: "row small" }, h("span", { class: "key" }, "yours"), h("span", { class: "key key-soft" }, "the rest of what viewers paid"));
  draw(plot, said, lines, { currency, signal });
  return h("figure", { class: "chart stack" }, plot, h("figcaption", { class: "spread" }, keys, said));
}

async function draw(plot, said, lines, { currency, signal }) {
  const UPlot = await uplot();
  if (signal.aborted || !plot.isConnected) return;
  const data = [lines.map(({ day }) => Date.parse(day) / 1000), lines.map(({ gross }) => Number(gross)), lines.map(({ net }) => Number(net))];
  const say = (index) => {
    const line = lines[index];
    said.textContent = line ? `${SHORT.format(new Date(line.day))}: ${format(line.net, currency)} of ${format(line.gross, currency)}` : "";
  };
  const make = () => new UPlot(options(UPlot, { width: plot.clientWidth, currency, say }), data, plot);
  let shown = make();
  const sized = new ResizeObserver(() => shown.setSize({ width: plot.clientWidth, height: HEIGHT }));
  sized.observe(plot);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => {
    shown.destroy();
    shown = make();
  }, { signal });
  signal.addEventListener("abort", () => {
    sized.disconnect();
    shown.destroy();
  });
}

function options(UPlot, { width, currency, say }) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const bars = (label, fill) => ({ label, fill, stroke: fill, width: 0, points: { show: false }, paths: UPlot.paths.bars({ size: [0.72, 36] }) });
  const axis = { stroke: colour("muted"), font: `12px ${style.getPropertyValue("--sans")}`, ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    padding: [12, 8, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, points: { show: false } },
    tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    scales: {
      x: { range: (_, least, most) => [least - DAY_S / 2, most + DAY_S / 2] },
      y: { range: (_, least, most) => [Math.min(0, least), Math.max(1, most)] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 28, space: 64, incrs: [1, 2, 7, 14, 30, 61, 91].map((days) => days * DAY_S), values: (_, ticks) => ticks.map((at) => SHORT.format(new Date(at * 1000))) },
      { ...axis, grid: { stroke: colour("line"), width: 1 }, size: 78, space: 44, values: (_, ticks) => ticks.map((minor) => (Number.isInteger(minor) ? format(minor, currency) : "")) },
    ],
    series: [{}, bars("gross", colour("line-strong")), bars("net", colour("accent"))],
    hooks: { setCursor: [(shown) => say(shown.cursor.idx)] },
  };
}
