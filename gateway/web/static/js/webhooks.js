// A seller's webhooks: programs of theirs that are told what happens; their secrets, shown once, and what was sent.
import { api } from "./api.js";
import { copyLine } from "./copy.js";
import { moment } from "./dates.js";
import { busy, confirmed, field, h, notice, onSubmit, toast } from "./dom.js";
import { pause } from "./live.js";
import { nothing, table } from "./table.js";
import { turns } from "./turns.js";

const TYPES = { purchase: "Purchases", refund: "Refunds", dispute: "Disputes", "title.ready": "Titles that are ready", payout: "Payouts" };
const SENT = { purchase: "Purchase", refund: "Refund", dispute: "Dispute", "title.ready": "Title ready", payout: "Payout", test: "Test" };
const STATES = { waiting: ["Waits", "badge-warn"], sent: ["Taken", "badge-good"], dead: ["Given up", "badge-bad"] };
const COLUMNS = [["Sent", "when"], ["What"], ["State"], ["What came of it"], ["", "ways"]];
/** How soon again, and how often, what is on its way is looked at. */
const LOOK_MS = 1500;
const LOOKS = 40;

/** Parts of a view of the endpoints of `seller`. */
export function webhooksView(seller) {
  const list = h("div", { class: "stack" });
  const none = nothing("flag", "No endpoint yet", "Add the address of a program above, and it is told what you choose.");
  const tidy = () => list.childElementCount || list.append(none);
  const put = (endpoint) => {
    none.remove();
    list.append(card(endpoint, tidy));
    lead(list.lastElementChild);
  };
  const load = async () => {
    try {
      const { items } = await api("GET", `webhook-endpoints?seller=${encodeURIComponent(seller.handle)}`);
      list.replaceChildren(...items.map((endpoint) => card(endpoint, tidy)));
      tidy();
    } catch (problem) {
      list.replaceChildren(notice("bad", problem.message), h("div", {}, h("button", { class: "button", type: "button", onclick: load }, "Try again")));
      if (!problem.code) throw problem;
    }
  };
  load();
  return [
    h("p", { class: "muted prose" }, "A webhook tells a program of yours what happens, by an HTTPS request that it can verify (Standard Webhooks). What it does not take is sent again for a day."),
    h("section", { class: "panel stack", "aria-labelledby": "h-new" }, h("h2", { id: "h-new" }, "New endpoint"), newForm(seller, put)),
    h("section", { class: "stack", "aria-labelledby": "h-all" }, h("h2", { id: "h-all" }, "Your endpoints"), list),
  ];
}

function newForm(seller, put) {
  const url = h("input", { name: "url", type: "url", required: true, maxlength: "2000", autocomplete: "off", autocapitalize: "none", spellcheck: "false", placeholder: "https://shop.example/hooks" });
  const box = ([type, words]) => h("label", { class: "check" }, h("input", { type: "checkbox", name: "types", value: type }), words);
  const form = h(
    "form",
    { class: "stack", novalidate: true },
    h("div", { class: "notice notice-bad", role: "alert", "data-problem": "", hidden: true }),
    field("Address", url, "Begins with https:// and can be reached from the Internet."),
    h("fieldset", { class: "ticks" }, h("legend", {}, "Tell it of"), Object.entries(TYPES).map(box), h("p", { class: "small muted" }, "None ticked: everything, also what there is to tell later.")),
    h("div", {}, h("button", { class: "button button-main", type: "submit" }, "Add the endpoint")),
  );
  onSubmit(form, async (values) => {
    const types = new FormData(form).getAll("types");
    try {
      put(await api("POST", "webhook-endpoints", { url: values.url.trim(), seller: seller.handle, types }));
    } catch (problem) {
      if (problem.code === "bad-address") problem.details = { ...problem.details, field: "url" };
      throw problem;
    }
    form.reset();
    toast("Added. Copy its secret now.");
  });
  return form;
}

/** One endpoint, drawn anew when it changes; `gone()` once it is removed. */
function card(endpoint, gone) {
  const path = `webhook-endpoints/${endpoint.id}`;
  const head = h("div", { class: "stack" });
  const secret = h("div", { role: "status" });
  const sent = deliveries(path);
  const element = h("article", { class: "panel stack", "aria-label": endpoint.url }, head, secret, sent.element);
  const draw = (now) => {
    head.replaceChildren(...headOf(now), h("div", { class: "row" }, ways(now)));
    if (now.secret) secret.replaceChildren(shownOnce(now.secret, () => secret.replaceChildren()));
  };
  const way = (words, act) => {
    const button = h("button", { class: "button button-small", type: "button" }, words);
    button.addEventListener("click", () => busy(button, async () => {
      try {
        await act();
      } catch (problem) {
        toast(problem.message);
        if (!problem.code) throw problem;
      }
    }));
    return button;
  };
  const ways = ({ url, active }) => [
    active ? way("Send a test", async () => {
      await api("POST", `${path}/test`);
      sent.follow();
    }) : null,
    way("New secret …", async () => {
      if (!(await confirmed("Draw a new secret?", "The one it has goes on signing beside the new one for a day, so there is time to change it in your program.", "Draw a new one"))) return;
      draw(await api("POST", `${path}/secret`));
      lead(element);
    }),
    way(active ? "Switch off …" : "Switch on", async () => {
      if (active && !(await confirmed("Switch it off?", "It is told nothing from now on, and what waits for it is given up.", "Switch it off"))) return;
      draw(await api("PATCH", path, { active: !active }));
    }),
    way("Remove …", async () => {
      if (!(await confirmed("Remove this endpoint?", `${url} is told nothing more. Its secret and the list of what was sent go with it.`, "Remove it"))) return;
      await api("DELETE", path);
      element.remove();
      gone();
    }),
  ].filter(Boolean);
  draw(endpoint);
  return element;
}

function headOf({ url, types, active, words, failing_since: since }) {
  const badge = !active ? ["Off", "badge-bad"] : since ? ["Failing", "badge-warn"] : ["On", "badge-good"];
  const trouble = words || (since ? `It has taken nothing since ${moment(since)}. After three days of that it is switched off.` : "");
  return [
    h("div", { class: "spread" }, h("h3", { class: "long-name" }, url), h("span", { class: `badge ${badge[1]}` }, badge[0])),
    h("p", { class: "muted" }, types.length ? `Told of: ${types.map((type) => TYPES[type] ?? type).join(", ")}` : "Told of everything"),
    trouble ? h("p", {}, trouble) : null,
  ].filter(Boolean);
}

/** Go to the secret that an endpoint shows. */
const lead = (element) => element.querySelector("[readonly]").focus();

function shownOnce(secret, done) {
  const shown = h("input", { class: "input", readonly: true, "aria-label": "Secret", value: secret });
  const close = h("button", { class: "button button-small", type: "button", onclick: done }, "I have it");
  return notice("good", h("div", { class: "stack" }, h("p", {}, "This is its secret. It is shown this once: give it to your program now."), copyLine(shown, "Copy the secret", "The secret is copied."), h("div", {}, close)));
}

/** `{element, follow}`: what was sent, opened by its reader; `follow()` opens it and looks on while something waits, for a minute. */
function deliveries(path) {
  const list = h("div", { class: "stack" });
  const element = h("details", {}, h("summary", {}, "What was sent"), list);
  const load = async (before = "", known = []) => {
    try {
      const { items, next } = await api("GET", `${path}/deliveries${before ? `?before=${before}` : ""}`);
      const all = [...known, ...items];
      const more = h("button", { class: "button button-small", type: "button", onclick: () => busy(more, () => load(next, all)) }, "Show older ones");
      list.replaceChildren(all.length ? table("What was sent", COLUMNS, all.map(row)) : h("p", { class: "muted" }, "Nothing yet. Send a test to see whether it arrives."), ...(next ? [h("div", {}, more)] : []));
      return all;
    } catch (problem) {
      list.replaceChildren(notice("bad", problem.message));
      if (!problem.code) throw problem;
      return [];
    }
  };
  const begin = turns();
  const follow = async () => {
    const signal = begin();
    element.open = true;
    for (let looks = 0; looks < LOOKS && !signal.aborted && element.isConnected; looks += 1) {
      const now = await load();
      if (!now.some((one) => one.state === "waiting")) return;
      await pause(LOOK_MS);
    }
  };
  const row = (one) => {
    const [words, kind] = STATES[one.state];
    return [moment(one.created_at), SENT[one.type] ?? one.type, h("span", { class: `badge ${kind}` }, words), outcome(one), one.state === "waiting" ? null : h("span", { class: "row" }, again(one))];
  };
  const again = (one) => {
    const button = h("button", { class: "button button-small", type: "button" }, "Send again");
    button.addEventListener("click", () => busy(button, async () => {
      try {
        await api("POST", `${path}/deliveries/${one.id}/replay`);
        follow();
      } catch (problem) {
        toast(problem.message);
        if (!problem.code) throw problem;
      }
    }));
    return button;
  };
  element.addEventListener("toggle", () => element.open && !list.childElementCount && load());
  return { element, follow };
}

/** What came of it so far, in words. */
function outcome({ state, status, words, attempts, due_at: due }) {
  const tries = attempts === 1 ? "1 try" : `${attempts} tries`;
  if (state === "sent") return `Answer ${status}; ${tries}`;
  if (!words) return "On its way";
  const met = `${words.replace(/\.$/, "")}; ${tries}`;
  return state === "dead" || !attempts ? met : `${met}, the next on ${moment(due)}`;
}
