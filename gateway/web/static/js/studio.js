// The studio: become a seller, the list of titles, new titles by dropping a file, coupons, blocked viewers, webhooks.
// One module shows all of them and a title's desk, so that moving between them does not stop an upload.
import { all, api } from "./api.js";
import { blockedView } from "./blocked.js";
import { couponsView } from "./coupons.js";
import { field, h, icon, notice, onSubmit } from "./dom.js";
import { followJob, jobLine, RUNNING } from "./jobs.js";
import { desk } from "./desk.js";
import { mayOf } from "./may.js";
import { priceOf } from "./money.js";
import { notYours, sellerHead, sellerOf, sellerTabs } from "./seller.js";
import { stateBadge } from "./states.js";
import { nothing } from "./table.js";
import { drop, transferView } from "./transfer-view.js";
import { turns } from "./turns.js";
import { Transfer, transfers } from "./uploads.js";
import { webhooksView } from "./webhooks.js";
import { handleOf, percent } from "./words.js";

const room = document.getElementById("studio");
const settings = { currency: room.dataset.currency, feeBp: Number(room.dataset.feeBp), origin: room.dataset.origin };
let me = null;
/** A view begins; what the one before it still waits for counts no more, and its streams and listeners end. */
const beginView = turns();

/** Views of a seller beside its titles: what stands in the address → heading, what one needs for it, parts. */
const PARTS = {
  coupons: ["Coupons", "offer:read", couponsView],
  blocked: ["Blocked viewers", "entitlement:read", blockedView],
  webhooks: ["Webhooks", "seller:write", webhooksView],
};

/** Show the view that the address names; whether it is still the one that was asked for last. */
async function route() {
  const signal = beginView();
  try {
    me ??= await api("GET", "me");
    if (signal.aborted) return false;
    const id = /^\/studio\/([^/]+)$/.exec(location.pathname)?.[1];
    if (!me.sellers.length && (!id || PARTS[id])) showWelcome();
    else if (PARTS[id]) showPart(...PARTS[id]);
    else if (id) await showDesk(id, signal);
    else await showTitles(signal);
  } catch (problem) {
    if (signal.aborted) return false;
    const retry = h("button", { class: "button", type: "button", onclick: route }, "Try again");
    room.replaceChildren(h("h1", {}, "Studio"), notice("bad", problem.message), h("div", {}, retry));
    if (problem.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
    else if (!problem.code) throw problem;
  }
  return !signal.aborted;
}

function go(path) {
  history.pushState(null, "", path);
  route().then((isShown) => {
    if (!isShown) return;
    scrollTo(0, 0);
    document.getElementById("main").focus({ preventScroll: true });
  });
}

function showWelcome() {
  const name = h("input", { name: "name", required: true, maxlength: "60", autocomplete: "organization" });
  const handle = h("input", { name: "handle", required: true, minlength: "3", maxlength: "32", pattern: "[A-Za-z0-9]+(-[A-Za-z0-9]+)*", autocapitalize: "none", spellcheck: "false" });
  let touched = false;
  name.addEventListener("input", () => {
    if (!touched) handle.value = handleOf(name.value);
  });
  handle.addEventListener("input", () => {
    touched = true;
  });
  const fee = settings.feeBp ? `The portal keeps ${settings.feeBp / 100}\u00a0% of each sale; the rest is yours.` : "The portal takes no fee.";
  const form = h(
    "form",
    { class: "panel stack", novalidate: true },
    h("div", { class: "notice notice-bad", role: "alert", "data-problem": "", hidden: true }),
    field("Your name as a seller", name, "Stands beside your titles: a studio, a band, or your own name."),
    field("Handle", handle, "3 to 32 letters, digits and hyphens. It becomes your address here."),
    h("div", {}, h("button", { class: "button button-main", type: "submit" }, "Become a seller")),
  );
  onSubmit(form, async (values) => {
    await api("POST", "sellers", { name: values.name.trim(), handle: values.handle.trim() });
    me = null;
    await route();
  });
  room.replaceChildren(
    h("div", { class: "narrow stack-wide" }, h("div", { class: "stack" }, h("h1", {}, "Show your work"), h("p", { class: "muted" }, `Upload a film or a recording, set a price, and say who may watch. ${fee}`)), form),
  );
  name.focus();
}

function showPart(words, needs, parts) {
  const seller = sellerOf(me);
  const content = mayOf(me, seller.handle)(needs) ? parts(seller, settings) : [notYours(words, seller)];
  room.replaceChildren(sellerTabs(me, seller), sellerHead(words, me, seller, route), ...content);
}

async function showTitles(signal) {
  const seller = sellerOf(me);
  const titles = await all(`studio/titles?limit=50&seller=${encodeURIComponent(seller.handle)}`);
  if (signal.aborted) return;
  const problem = h("div", { role: "alert" });
  const zone = drop("Drop a video or sound file here", async (file, options) => {
    problem.replaceChildren();
    try {
      await begin(file, options, sellerOf(me).handle);
    } catch (error) {
      problem.replaceChildren(notice("bad", error.message));
    }
  });
  const mayMake = mayOf(me, seller.handle)("title:write");
  const shown = titles.length ? h("ul", { class: "titles" }) : nothingYet(mayMake);
  const maker = mayMake ? h("section", { class: "stack", "aria-label": "New title" }, zone, problem) : null;
  room.replaceChildren(
    ...[sellerTabs(me, seller), sellerHead("Studio", me, seller, route), maker].filter(Boolean),
    h("section", { class: "stack", "aria-label": "Your titles" }, h("h2", {}, "Your titles"), shown),
  );
  if (titles.length) shown.append(...titles.map((title) => titleRow(title, signal)));
}

function nothingYet(mayMake) {
  const words = mayMake ? "Drop your first file above. It stays a draft that only you see until you publish it." : "As soon as somebody makes one, it stands here.";
  return h("div", { class: "empty" }, icon("film"), h("h3", {}, "No titles yet"), h("p", {}, words));
}

async function begin(file, options, seller) {
  const kind = file.type.startsWith("audio/") ? "audio" : "video";
  const name = file.name.replace(/\.[^.]*$/, "").replace(/[_.]+/g, " ").trim() || "Untitled";
  const title = await api("POST", "titles", { seller, name: name.slice(0, 200), kind });
  new Transfer(title.id, file, options).start();
  go(`/studio/${title.id}`);
}

function titleRow(title, signal) {
  const line = h("div", { class: "foot-line" });
  const wide = h("div", { class: "wide", hidden: true });
  const say = (job) => {
    const running = job && RUNNING.has(job.state);
    const waiting = title.upload ? `Upload stopped at ${percent(title.upload.offset / (title.upload.size_bytes || 1))}` : null;
    const words = running || job?.state === "failed" ? jobLine(job) : waiting;
    line.replaceChildren(...[stateBadge(title), h("span", { class: "figures" }, priceOf(title)), words ? h("span", {}, words) : null].filter(Boolean));
    wide.hidden = !(running && job.state === "encoding");
    if (!wide.hidden) wide.replaceChildren(h("progress", { max: 1, value: job.progress, "aria-label": `Progress of ${title.name}` }));
  };
  say(title.job);
  const sending = transfers.get(title.id);
  if (sending) {
    wide.hidden = false;
    wide.replaceChildren(transferView(sending, signal));
  } else if (title.job && RUNNING.has(title.job.state)) {
    followJob(title.job.id, async (job) => {
      if (!RUNNING.has(job.state)) Object.assign(title, await api("GET", `titles/${title.id}`).catch(() => null));
      say(job);
    }, signal);
  }
  const link = h("a", { href: `/studio/${title.id}`, "data-inside": "" }, title.name);
  return h("li", { class: "title-row" }, thumb(title), h("div", { class: "body" }, h("h3", {}, link), line), wide);
}

function thumb(title) {
  if (title.poster_url) return h("div", { class: "poster" }, h("img", { src: title.poster_url, alt: "", loading: "lazy" }));
  return h("div", { class: "poster poster-blank tint-4", "aria-hidden": "true" }, icon(title.kind === "audio" ? "sound" : "film"));
}

async function showDesk(id, signal) {
  const title = await api("GET", `titles/${id}`);
  if (signal.aborted) return;
  const may = mayOf(me, title.seller.handle);
  if (!may("title:read")) {
    const look = h("a", { class: "button", href: title.watch_url }, "Watch page");
    room.replaceChildren(h("h1", {}, title.name), nothing("lock", "Not yours to see", `This is a title of ${title.seller.name}. Only who works there sees how it is sold.`, look));
    return;
  }
  const content = desk(title, { settings, may, reload: route });
  room.replaceChildren(...content.children);
  content.begin(signal);
}

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-inside]") : null;
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
addEventListener("popstate", route);
// A file that misses the zone must not replace the page.
for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault());

route();
