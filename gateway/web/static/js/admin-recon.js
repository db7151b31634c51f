// Administration: the books beside what payment providers say; runs, and what differs in one.
import { api, once } from "./api.js";
import { moment } from "./dates.js";
import { busy, h, notice, toast } from "./dom.js";
import { pause } from "./live.js";
import { format } from "./money.js";
import { railName } from "./rails.js";
import { facts, nothing, table } from "./table.js";

/** How often a run that is on is looked at. */
const LOOK_MS = 1500;
const STATES = { asked: ["Running", "badge-warn"], done: ["Done", "badge-good"], failed: ["Failed", "badge-bad"] };
const KINDS = {
  "charged-not-booked": "Paid there, not booked here",
  "booked-not-charged": "Booked here, not paid there",
  amount: "Another amount",
  fee: "Another fee of the provider",
  "passed-on": "Another part passed on",
  "refund-not-booked": "Given back there, not booked here",
  "refund-not-made": "Given back here, not there",
  dispute: "Dispute differs",
  "payout-not-booked": "Paid out there, not booked here",
  "payout-not-made": "Paid out here, not there",
  "right-missing": "Paid, but no right to watch",
  "right-left": "Taken back, but still a right",
  ledger: "The ledger does not add up",
};

function badge(run) {
  const differences = total(run);
  if (run.state === "done" && differences) return h("span", { class: "badge badge-bad" }, `${differences} ${differences === 1 ? "difference" : "differences"}`);
  const [words, kind] = STATES[run.state] ?? [run.state, ""];
  return h("span", { class: `badge ${kind}` }, run.state === "done" ? "No differences" : words);
}

const total = ({ counts }) => Object.values(counts).reduce((sum, count) => sum + count, 0);
const period = ({ since, until }) => `${moment(since)} to ${moment(until)}`;

const ABOUT = "Each night the books are compared with what payment providers say: what was paid, given back, disputed and paid out, and whether everybody has the rights they paid for.";
const OFF = "The books are not compared with what payment providers say: that is switched off. Whoever runs this installation switches it on: usher flag set recon.enabled on.";

export function reconPart({ may }) {
  const list = h("div", {});
  const about = h("p", { class: "muted prose" });
  const run = h("button", { class: "button button-main", type: "button" }, "Compare the last three days now");
  const trouble = h("div", { role: "alert" });
  const ways = may("recon:run") ? h("div", { class: "row", hidden: true }, run, h("span", { class: "small muted" }, "Up to an hour ago: what came after that may still be on its way.")) : null;
  const show = () => runs(list, (isOn) => {
    about.textContent = isOn ? ABOUT : OFF;
    if (ways) ways.hidden = !isOn;
  });
  run.addEventListener("click", () => busy(run, async () => {
    trouble.replaceChildren();
    try {
      await once("POST", "reconciliations", {});
      toast("The books are compared; the report comes in a moment.");
      await show();
    } catch (problem) {
      trouble.replaceChildren(notice("bad", problem.message));
      if (!problem.code) throw problem;
    }
  }));
  show();
  return [
    about,
    ways,
    trouble,
    list,
  ].filter(Boolean);
}

async function runs(list, tell) {
  try {
    const { items, is_on: isOn } = await api("GET", "reconciliations");
    tell(isOn);
    const row = (one) => [h("a", { href: `/admin/reconciliation/${one.id}` }, moment(one.created_at)), period(one), badge(one), String(one.charges), String(one.purchases), String(one.postings)];
    const columns = [["Run"], ["Period"], ["Outcome"], ["Payments there", "amount"], ["Purchases here", "amount"], ["Postings", "amount"]];
    list.replaceChildren(items.length ? h("div", { class: "panel" }, table("Runs", columns, items.map(row))) : nothing("clock", "No run yet", isOn ? "The first comes by night, or when you ask for it." : "There is none while this is switched off."));
    if (items.some((one) => one.state === "asked")) pause(LOOK_MS).then(() => list.isConnected && runs(list, tell));
  } catch (problem) {
    list.replaceChildren(notice("bad", problem.message));
    if (!problem.code) throw problem;
  }
}

export async function reconReport(id, { again }) {
  const run = await api("GET", `reconciliations/${encodeURIComponent(id)}`);
  // A look that nobody answered is not the last.
  const missed = (problem) => (problem.status === 0 || problem.status >= 500 ? look() : toast(problem.message));
  const look = () => pause(LOOK_MS).then(again).catch(missed);
  if (run.state === "asked") look();
  const about = facts([
    ["Outcome", badge(run)],
    ["Asked by", run.actor === "system" ? "the night" : run.actor],
    ["Begun", moment(run.created_at)],
    ["Finished", run.finished_at ? moment(run.finished_at) : null],
    ["Payments at providers", String(run.charges)],
    ["Purchases here", String(run.purchases)],
    ["Postings", String(run.postings)],
    ["What happened", run.words],
  ]);
  const sum = (one, value) => (one.currency ? format(value, one.currency) : String(value));
  const row = (one) => [
    KINDS[one.kind] ?? one.kind,
    one.purchase.startsWith("pur_") ? h("a", { href: `/admin/payments/${one.purchase}` }, one.purchase) : one.purchase,
    one.rail ? `${railName(one.rail)} ${one.ref}` : one.ref,
    sum(one, one.ours),
    sum(one, one.theirs),
    one.words,
  ];
  const columns = [["What differs"], ["Here"], ["There"], ["Booked", "amount"], ["At the provider", "amount"], ["What to do"]];
  const found = run.differences.length
    ? h("div", { class: "panel" }, table("Differences", columns, run.differences.map(row)))
    : run.state === "done" ? nothing("check", "No differences", "Books and providers say the same.") : null;
  return { heading: period(run), content: [h("section", { class: "panel", "aria-label": "Run" }, about), found].filter(Boolean) };
}
