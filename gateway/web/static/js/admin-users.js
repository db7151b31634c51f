// Administration: accounts, their roles, and shutting them out.
import { api, once } from "./api.js";
import { ask } from "./ask.js";
import { day, moment } from "./dates.js";
import { busy, confirmed, field, h, notice, toasted } from "./dom.js";
import { listing } from "./listing.js";
import { format } from "./money.js";
import { facts, nothing, table } from "./table.js";
import { ago } from "./words.js";

const ROLES = {
  admin: "Everything",
  moderator: "Looks at titles and accounts, takes titles down, shuts accounts out",
  support: "Looks at titles, rights, accounts and payments",
  auditor: "Looks at all of it and at the audit trail, changes nothing",
};

export function usersPart() {
  const q = h("input", { type: "search", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const render = (items) => table("Users", [["User name"], ["Roles"], ["Since"], ["State"]], items.map((user) => [userLink(user.username), user.roles.join(", "), day(user.created_at), user.disabled ? badge() : null]));
  return listing({ path: "admin/users", filters: [["q", "User name begins with", q]], render, empty: nothing("person", "Nobody found", "No user name begins like that.") }).element;
}

export const userLink = (username) => (username ? h("a", { href: `/admin/users/${encodeURIComponent(username)}` }, username) : "an account that is gone");

const badge = () => h("span", { class: "badge badge-bad" }, "Shut out");

export async function userPart(username, { may, again }) {
  const user = await api("GET", `admin/users/${encodeURIComponent(username)}`);
  return {
    heading: user.username,
    content: [
      user.disabled ? notice("bad", h("strong", {}, `Shut out since ${moment(user.disabled_at)}. `), user.disabled_reason) : null,
      about(user, may),
      may("account:assign") ? roles(user, again) : null,
      may("account:disable") ? door(user, again) : null,
    ].filter(Boolean),
  };
}

function about(user, may) {
  const name = encodeURIComponent(user.username);
  const way = ([wanted, address, words]) => may(wanted) && h("a", { class: "button button-small", href: address }, words);
  const ways = [
    ["payment:read", `/admin/payments?buyer=${name}`, "Payments"],
    ["audit:read", `/admin/audit?actor=${name}`, "What they did"],
    ["audit:read", `/admin/audit?object=${user.id}`, "What was done to them"],
  ];
  const pockets = user.wallet?.map((one) => format(one.balance, one.currency)).join(", ");
  return h(
    "section",
    { class: "panel stack", "aria-label": "Account" },
    facts([
      ["E-mail", user.email],
      ["Account since", day(user.created_at)],
      ["Last seen", user.last_seen ? ago(user.last_seen) : "never"],
      ["Devices logged in", String(user.logins)],
      ["Roles", user.roles.join(", ") || "none"],
      ["Works for", user.sellers.map((one) => `${one.name} (${one.role})`).join(", ") || "no seller"],
      ["Purchases", String(user.purchases)],
      ["Wallet", user.wallet ? pockets || "empty" : null],
      ["Id", user.id],
    ]),
    h("div", { class: "row" }, ways.map(way)),
  );
}

function roles(user, again) {
  const row = ([role, words]) => {
    const holds = user.roles.includes(role);
    const button = h("button", { class: "button button-small", type: "button", "aria-label": `${holds ? "Take" : "Give"} the role ${role}` }, holds ? "Take away" : "Give");
    button.addEventListener("click", () => busy(button, () => turned(user, role, { holds, again })));
    return h("li", {}, h("span", { class: "long-name" }, h("strong", {}, role), h("br"), h("span", { class: "small muted" }, words)), button);
  };
  return h("section", { class: "panel stack", "aria-labelledby": "u-roles" }, h("h2", { id: "u-roles" }, "Roles"), h("ul", { class: "list" }, Object.entries(ROLES).map(row)));
}

async function turned(user, role, { holds, again }) {
  const question = holds ? `Take the role ${role} from ${user.username}?` : `Make ${user.username} ${role}?`;
  if (!(await confirmed(question, ROLES[role], holds ? "Take it away" : "Give it"))) return;
  await toasted(async () => {
    await once(holds ? "DELETE" : "PUT", `accounts/${encodeURIComponent(user.username)}/roles/${role}`);
    await again();
  });
}

function door(user, again) {
  const path = `admin/users/${encodeURIComponent(user.username)}/disabled`;
  const button = h("button", { class: user.disabled ? "button" : "button button-danger", type: "button" }, user.disabled ? "Let them in again" : "Shut them out …");
  button.addEventListener("click", async () => {
    const isDone = user.disabled
      ? await ask({ heading: `Let ${user.username} in again?`, yes: "Let them in", act: () => once("DELETE", path) })
      : await ask({
        heading: `Shut ${user.username} out?`,
        words: "They are logged out everywhere and cannot log in; what they play stops. What they own stays theirs.",
        fields: [field("Reason", h("textarea", { name: "reason", required: true, maxlength: "500", rows: "3" }), "For those who ask later. The account does not see it.")],
        yes: "Shut them out",
        danger: true,
        act: ({ reason }) => once("PUT", path, { reason: reason.trim() }),
      });
    if (isDone) await busy(button, () => toasted(again));
  });
  return h("section", { class: "panel stack", "aria-labelledby": "u-door" }, h("h2", { id: "u-door" }, "Access"), h("div", {}, button));
}
