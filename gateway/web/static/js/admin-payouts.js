// Administration: withdrawals that wait to be decided or paid, runs in which they are paid, and the terms of each rail.
import { api, once } from "./api.js";
import { ask } from "./ask.js";
import { day, moment } from "./dates.js";
import { busy, field, h, notice, toast, toasted, wrong } from "./dom.js";
import { format, typedAmount } from "./money.js";
import { railName } from "./rails.js";
import { nothing, table } from "./table.js";
import { turns } from "./turns.js";
import { withdrawalBadge } from "./withdrawals.js";
import { amount } from "./words.js";

export function payoutsPart({ currency, rails }) {
  const list = h("div", {});
  const past = h("div", {});
  const policies = h("div", { class: "stack" });
  waiting(list);
  runs(past);
  terms(policies, { currency, rails });
  const where = "Usher knows no bank account of a seller: for a bank transfer, agree outside of Usher on where it goes.";
  return [
    h("section", { class: "stack", "aria-labelledby": "o-waiting" }, h("h2", { id: "o-waiting" }, "Waiting"), h("p", { class: "muted prose" }, where), list),
    h("section", { class: "stack", "aria-labelledby": "o-runs" }, h("h2", { id: "o-runs" }, "Runs"), past),
    h("section", { class: "panel stack", "aria-labelledby": "o-terms" }, h("h2", { id: "o-terms" }, "Terms"), policies),
  ];
}

async function waiting(list, begin = turns()) {
  const signal = begin();
  const load = () => waiting(list, begin);
  try {
    const { items, handles, owing } = await api("GET", "withdrawals");
    if (signal.aborted) return;
    const columns = [["Asked on"], ["Seller"], ["Amount", "amount"], ["Owed by the seller", "amount"], ["By"], ["State"], ["Due"], ["", "ways"]];
    const owed = (one) => (owing[one.id] ? format(owing[one.id], one.currency) : "");
    const rows = items.map((one) => [day(one.created_at), handles[one.seller], format(one.amount, one.currency), owed(one), railName(one.rail), withdrawalBadge(one), day(one.due_at), h("span", { class: "row" }, ways(one, { load, owed: owed(one) }))]);
    list.replaceChildren(items.length ? h("div", { class: "panel" }, table("Withdrawals that wait", columns, rows)) : nothing("check", "Nothing waits", "What sellers ask for stands here until it is paid or rejected."));
  } catch (problem) {
    if (!signal.aborted) list.replaceChildren(notice("bad", problem.message));
    if (!problem.code) throw problem;
  }
}

/** What may be done with a withdrawal as it stands, and with what its seller owes. */
function ways(one, { load, owed }) {
  const sum = format(one.amount, one.currency);
  const found = [];
  if (one.state === "requested") {
    const approve = h("button", { class: "button button-small", type: "button", "aria-label": `Approve ${sum}` }, "Approve");
    approve.addEventListener("click", () => busy(approve, async () => {
      await toasted(async () => {
        const { state } = await once("POST", `withdrawals/${one.id}/approve`);
        toast(state === "approved" ? `${sum} is approved.` : `The seller owes something: ${sum} went back to them, less that.`);
      });
      await load();
    }));
    found.push(approve);
  }
  const isDue = one.state === "approved" && Date.parse(one.due_at) <= Date.now();
  if (isDue || one.state === "paying") {
    const words = ["Say so once the money left. It is taken off the books as paid.", owed && one.state === "approved" ? `The seller owes ${owed}: if nothing left yet, wait, and it goes back to them by itself.` : ""].filter(Boolean).join(" ");
    const fields = () => [field("Reference", h("input", { name: "ref", required: true, maxlength: "200", autocomplete: "off" }), "How the bank or the provider calls this payment.")];
    found.push(asking(`Mark ${sum} as paid`, "Mark as paid …", { heading: `Is ${sum} paid?`, words, fields, yes: "It is paid", load, act: ({ ref }) => once("POST", `withdrawals/${one.id}/complete`, { rail_ref: ref.trim() }) }));
  }
  if (["requested", "approved", "paying"].includes(one.state)) {
    const fields = () => [field("Reason", h("textarea", { name: "reason", required: true, maxlength: "500", rows: "3" }), "The seller sees it.")];
    const words = "It is available to the seller again.";
    found.push(asking(`Reject ${sum}`, "Reject …", { heading: `Reject ${sum}?`, words, fields, yes: "Reject it", danger: true, load, act: ({ reason }) => once("POST", `withdrawals/${one.id}/reject`, { reason: reason.trim() }) }));
  }
  return found;
}

function asking(label, words, { fields, load, ...question }) {
  const button = h("button", { class: "button button-small", type: "button", "aria-label": label }, words);
  button.addEventListener("click", async () => {
    if (await ask({ ...question, fields: fields() })) await busy(button, () => toasted(load));
  });
  return button;
}

const runBadge = ({ closed_at: closed, by_hand: byHand }) =>
  closed ? h("span", { class: "badge badge-good" }, "Done") : h("span", { class: "badge badge-warn" }, byHand ? "To be paid by hand" : "Being paid");

async function runs(list) {
  try {
    const { items } = await api("GET", "payouts");
    const columns = [["Run"], ["By"], ["Withdrawals", "amount"], ["Amount", "amount"], ["State"]];
    const rows = items.map((run) => [h("a", { href: `/admin/payouts/${run.id}` }, moment(run.created_at)), railName(run.rail), String(run.count), format(run.amount, run.currency), runBadge(run)]);
    list.replaceChildren(items.length ? h("div", { class: "panel" }, table("Runs", columns, rows)) : nothing("clock", "No run yet", "What is approved and due is paid together, each day."));
  } catch (problem) {
    list.replaceChildren(notice("bad", problem.message));
    if (!problem.code) throw problem;
  }
}

/** One run: what is in it, its list for the bank, and saying that it was paid. */
export async function runPart(id, { again }) {
  const run = await api("GET", `payouts/${encodeURIComponent(id)}`);
  const sum = format(run.amount, run.currency);
  const rows = run.items.map((one) => [one.handle, format(one.amount, one.currency), withdrawalBadge(one), one.state === "paid" ? one.rail_ref : one.reason, one.id, run.by_hand && one.state === "paid" ? cameBack(one, again) : ""]);
  const open = run.by_hand && !run.closed_at;
  const fields = () => [field("Reference", h("input", { name: "ref", required: true, maxlength: "200", autocomplete: "off" }), "How the bank calls this payment.")];
  const act = ({ ref }) => once("POST", `payouts/${run.id}/complete`, { rail_ref: ref.trim() });
  const words = "All that is left of this run is booked as paid.";
  return {
    heading: `${railName(run.rail)}, ${sum}`,
    content: [
      h(
        "div",
        { class: "row" },
        runBadge(run),
        h("span", { class: "muted" }, moment(run.created_at)),
        h("a", { class: "button button-small", href: `/v1/payouts/${run.id}/items.csv`, download: "" }, "List as CSV"),
        open ? asking("Mark the run as paid", "Mark all as paid …", { heading: `Is ${sum} paid?`, words, fields, yes: "It is paid", load: again, act }) : null,
      ),
      h("div", { class: "panel" }, table("Withdrawals", [["Seller"], ["Amount", "amount"], ["State"], ["Reference"], ["Id"], ["", "ways"]], rows)),
    ],
  };
}

/** Says that the bank sent back what was paid by hand. */
function cameBack(one, load) {
  const sum = format(one.amount, one.currency);
  const fields = () => [field("Reason", h("textarea", { name: "reason", required: true, maxlength: "500", rows: "3" }), "The seller sees it.")];
  const words = "Say so once the bank sent the money back. It is available to the seller again, after what they owe.";
  const act = ({ reason }) => once("POST", `withdrawals/${one.id}/reject`, { reason: reason.trim(), came_back: true });
  return asking(`${sum} for ${one.handle} came back`, "Came back …", { heading: `Did ${sum} come back?`, words, fields, yes: "It came back", danger: true, load, act });
}

async function terms(room, { currency, rails }) {
  try {
    const { items } = await api("GET", "policies");
    const columns = [["By"], ["At least", "amount"], ["Days it waits", "amount"], ["Nobody is asked up to", "amount"], ["", "ways"]];
    const load = () => terms(room, { currency, rails });
    const change = (policy) => {
      const button = h("button", { class: "button button-small", type: "button", "aria-label": `Change the terms of ${railName(policy.rail)} in ${policy.currency}` }, "Change …");
      button.addEventListener("click", () => edit(policy, { rails, load: () => busy(button, load) }));
      return h("span", { class: "row" }, button);
    };
    const rows = items.map((one) => [`${railName(one.rail)}, ${one.currency}`, format(one.minimum, one.currency), String(one.hold_days), format(one.auto_up_to, one.currency), change(one)]);
    const add = h("button", { class: "button", type: "button" }, "Set terms …");
    add.addEventListener("click", () => edit({ rail: "bank", currency }, { rails, load: () => busy(add, load) }));
    room.replaceChildren(
      h("p", { class: "muted" }, "On which terms sellers are paid out. A rail that is not listed has the default: 50.00 at least, and somebody is always asked."),
      items.length ? table("Terms", columns, rows) : h("p", {}, "No terms were set."),
      h("div", {}, add),
    );
  } catch (problem) {
    room.replaceChildren(notice("bad", problem.message));
    if (!problem.code) throw problem;
  }
}

async function edit(policy, { rails, load }) {
  const known = [...new Set(["bank", ...rails, policy.rail])];
  const rail = h("select", { name: "rail", required: true }, known.map((one) => h("option", { value: one, selected: one === policy.rail }, railName(one))));
  const shown = (minor) => (minor === undefined ? "" : amount(minor, policy.currency));
  const input = (name, value, mode) => h("input", { name, required: true, inputmode: mode, autocomplete: "off", value });
  const isDone = await ask({
    heading: "Terms of payouts",
    fields: [
      field("By", rail),
      field("Currency", h("input", { name: "currency", required: true, minlength: "3", maxlength: "5", autocapitalize: "characters", spellcheck: "false", value: policy.currency })),
      field("At least", input("minimum", shown(policy.minimum), "decimal")),
      field("Days it waits", input("days", String(policy.hold_days ?? 3), "numeric")),
      field("Nobody is asked up to", input("auto", shown(policy.auto_up_to ?? 0), "decimal"), "All that a seller takes out in 24 hours counts. 0: somebody is always asked."),
    ],
    yes: "Save",
    act: ({ rail: chosen, currency, minimum, days, auto }) => {
      const code = currency.trim().toUpperCase();
      const body = { rail: chosen, currency: code, minimum: typedAmount(minimum, code, "minimum", 0), auto_up_to: typedAmount(auto, code, "auto", 0), hold_days: Number(days) };
      if (!/^\d{1,3}$/.test(days.trim()) || body.hold_days > 365) throw wrong(`“${days}” is not a number of days from 0 to 365.`, "days");
      return once("PUT", "policies", body);
    },
  });
  if (!isDone) return;
  await load();
  toast("Saved. It counts for what is asked for from now on.");
}
