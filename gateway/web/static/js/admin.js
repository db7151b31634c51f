// Administration: tabs by what one may do, and the part that the address names.
import { api } from "./api.js";
import { auditPart } from "./admin-audit.js";
import { paymentPart, paymentsPart, refundsPart } from "./admin-payments.js";
import { payoutsPart, runPart } from "./admin-payouts.js";
import { reconPart, reconReport } from "./admin-recon.js";
import { reportPart } from "./admin-report.js";
import { titlesPart } from "./admin-titles.js";
import { userPart, usersPart } from "./admin-users.js";
import { h, icon, notice } from "./dom.js";
import { mayOf } from "./may.js";
import { tabs } from "./table.js";

/** What stands in the address → words, what one needs for it, the part, and the part of one thing of it. */
const PARTS = {
  users: { words: "Users", needs: "account:read", all: usersPart, one: userPart },
  titles: { words: "Titles", needs: "title:read", all: titlesPart },
  payments: { words: "Payments", needs: "payment:read", all: paymentsPart, one: paymentPart },
  refunds: { words: "Refunds", needs: "payment:read", all: refundsPart },
  payouts: { words: "Payouts", needs: "payout:approve", all: payoutsPart, one: runPart },
  report: { words: "Report", needs: "ledger:read", all: reportPart },
  reconciliation: { words: "Reconciliation", needs: "recon:read", all: reconPart, one: reconReport },
  audit: { words: "Audit trail", needs: "audit:read", all: auditPart },
};
const room = document.getElementById("admin");

async function show() {
  try {
    const may = mayOf(await api("GET", "me"));
    const open = Object.keys(PARTS).filter((name) => may(PARTS[name].needs));
    if (!open.length) {
      room.replaceChildren(h("h1", {}, "Administration"), notice("bad", "This account may not do that."));
      return;
    }
    const [, , name = open[0], id] = location.pathname.split("/");
    const part = PARTS[name];
    if (!part || !open.includes(name)) throw Object.assign(new Error("There is nothing here, or this account may not see it."), { code: "not-found" });
    await fill(open, name, { id: id && decodeURIComponent(id), may });
  } catch (problem) {
    room.replaceChildren(h("h1", {}, "Administration"), notice("bad", problem.message), h("div", {}, h("a", { class: "button", href: "/admin" }, "Go back")));
    if (!problem.code) throw problem;
  }
}

async function fill(open, name, { id, may }) {
  const part = PARTS[name];
  const top = tabs("Administration", open.map((one) => [`/admin/${one}`, PARTS[one].words, { "aria-current": one === name ? "page" : null }]));
  const context = { may, currency: room.dataset.currency, rails: room.dataset.rails.split(" ").filter(Boolean) };
  if (!id || !part.one) {
    document.title = document.title.replace("Administration", part.words);
    const content = await part.all(context);
    room.replaceChildren(top, h("h1", {}, part.words), ...[content].flat());
    return;
  }
  const back = h("a", { class: "crumb", href: `/admin/${name}` }, icon("back"), part.words);
  const again = () => fill(open, name, { id, may });
  const { heading, content } = await part.one(id, { ...context, again });
  document.title = document.title.replace("Administration", heading);
  room.replaceChildren(top, h("div", {}, back, h("h1", {}, heading)), ...content);
}

show();
