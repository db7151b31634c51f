// A seller's webhooks: programs of theirs that are told what happens; their secrets, shown once, and what was sent.
import { api } from "./api.js";
import { copyLine } from "./copy.js";
import { moment } from "./dates.js";
import { busy, confirmed, field, h, notice, onSubmit, toast, toasted } from "./dom.js";
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
  const trouble = h("div", { class: "stack" });
  /** Ids of what was added here: its card shows its secret, and stays when the others come. */
  const added = new Set();
  const put = (endpoint) => {
    added.add(endpoint.id);
    none.remove();
    list.append(card(endpoint, tidy));
    lead(list.lastElementChild);
  };
  const load = async () => {
    try {
      const { items } = await api("GET", `webhook-endpoints?seller=${encodeURIComponent(seller.handle)}`);
      trouble.remove();
      none.remove();
      list.prepend(...items.filter(({ id }) => !added.has(id)).map((endpoint) => card(endpoint, tidy)));
      tidy();
    } catch (problem) {
      const again = h("button", { class: "button", type: "button", onclick: () => busy(again, load) }, "Try again");
      trouble.replaceChildren(notice("bad", problem.message), h("div", {}, again));
      list.prepend(trouble);
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
    button.addEventListener("click", () => busy(button, () => toasted(act)));
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

/** `{element, follow}`: what was sent, asked for when it is opened and for a minute while something waits; `follow()` opens it. */
function deliveries(path) {
  const list = h("div", { class: "stack" });
  const summary = h("summary", {}, "What was sent");
  const element = h("details", {}, summary, list);
  const button = (words, attributes = {}) => h("button", { class: "button button-small", type: "button", ...attributes }, words);
  const older = button("Show older ones", { name: "older" });
  const begin = turns();
  let known = null;
  const show = (now) => {
    if (JSON.stringify(now) === JSON.stringify(known)) return;
    known = now;
    const held = list.contains(document.activeElement) ? document.activeElement.name : null;
    const shown = now.items.length ? table("What was sent", COLUMNS, now.items.map(row)) : h("p", { class: "muted" }, "Nothing yet. Send a test to see whether it arrives.");
    list.replaceChildren(shown, ...(now.next ? [h("div", {}, older)] : []));
    if (held) ([...list.querySelectorAll("button")].find(({ name }) => name === held) ?? summary).focus({ preventScroll: true });
  };
  const look = async () => {
    const signal = begin();
    let isTold = false;
    for (let looks = 0; looks < LOOKS && !signal.aborted && element.open && element.isConnected; looks += 1) {
      try {
        const newest = await api("GET", `${path}/deliveries`);
        if (signal.aborted) return;
        show(joined(newest, known));
        if (!known.items.some(({ state }) => state === "waiting")) return;
        isTold = false;
      } catch (problem) {
        if (!problem.code) throw problem;
        if (signal.aborted) return;
        if (!known) list.replaceChildren(notice("bad", problem.message));
        else if (!isTold) toast(problem.message);
        isTold = true;
      }
      await pause(LOOK_MS, signal);
    }
  };
  const follow = () => {
    if (element.open) look();
    else element.open = true; // and so it is looked at
  };
  const more = async () => {
    const { next } = known;
    const page = await api("GET", `${path}/deliveries?before=${next}`);
    if (known.next === next) show({ items: [...known.items, ...page.items], next: page.next });
  };
  older.addEventListener("click", () => busy(older, () => toasted(more)));
  const row = (one) => {
    const [words, kind] = STATES[one.state];
    return [moment(one.created_at), SENT[one.type] ?? one.type, h("span", { class: `badge ${kind}` }, words), outcome(one), one.state === "waiting" ? null : h("span", { class: "row" }, again(one))];
  };
  const again = ({ id }) => {
    const way = button("Send again", { name: id });
    way.addEventListener("click", () => busy(way, () => toasted(async () => {
      await api("POST", `${path}/deliveries/${id}/replay`);
      follow();
    })));
    return way;
  };
  element.addEventListener("toggle", () => element.open && look());
  return { element, follow };
}

/** The newest page and what is known of those before it; the page alone where others may lie between. */
function joined(newest, known) {
  const ids = new Set(newest.items.map(({ id }) => id));
  const before = known?.items.filter(({ id }) => !ids.has(id)) ?? [];
  const meets = newest.next && before.length < (known?.items.length ?? 0);
  return meets ? { items: [...newest.items, ...before], next: known.next } : newest;
}

/** What came of it so far, in words. */
function outcome({ state, status, words, attempts, due_at: due }) {
  const tries = attempts === 1 ? "1 try" : `${attempts} tries`;
  if (state === "sent") return `Answer ${status}; ${tries}`;
  if (!words) return "On its way";
  const met = `${words.replace(/\.$/, "")}; ${tries}`;
  return state === "dead" || !attempts ? met : `${met}, the next on ${moment(due)}`;
}
