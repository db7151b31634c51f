// The account: name and e-mail, devices with log-out, deletion.
import { api } from "./api.js";
import { busy, confirmed, h, icon, onSubmit, showProblem, toast } from "./dom.js";
import { ago, isPhone } from "./words.js";

const form = document.getElementById("form");
const devices = document.getElementById("devices");
const screens = document.getElementById("screens");
const stopOthers = document.getElementById("stop-others");
const dialog = document.getElementById("sure");

const LOOK_MS = 10_000;

let known = {};

onSubmit(form, async (values) => {
  const wanted = { username: values.username.trim(), email: values.email.trim(), password: values["new-password"] };
  const changes = Object.fromEntries(Object.entries(wanted).filter(([name, value]) => value && value !== known[name]));
  const guarded = "email" in changes || "password" in changes;
  if (guarded && !values["current-password"]) {
    const message = "A new e-mail or password needs your current password.";
    showProblem(form, { message, details: { field: "current-password" } });
    return;
  }
  known = await api("PATCH", "me", guarded ? { ...changes, current_password: values["current-password"] } : changes);
  form.elements["new-password"].value = "";
  form.elements["current-password"].value = "";
  toast("Saved.");
});

function device(item) {
  const sign = isPhone(item.name) ? "phone" : "screen";
  const place = item.place ? ` · ${item.place}` : "";
  const end = h("button", { class: "button button-small", type: "button", "aria-label": `Log out ${item.name}` }, "Log out");
  end.addEventListener("click", async () => {
    if (!(await confirmed("Log this device out?", `${item.name} has to log in again; what plays there stops.`, "Log out"))) return;
    try {
      await api("DELETE", `me/devices/${item.id}`);
      await list();
      toast("The device is logged out.");
    } catch (problem) {
      toast(problem.message);
    }
  });
  return h(
    "li",
    {},
    h(
      "div",
      { class: "row" },
      icon(sign),
      h("div", {}, h("div", {}, item.name || "Unknown device"), h("div", { class: "small muted" }, `Seen ${ago(item.last_seen)}${place}`)),
    ),
    item.current ? h("span", { class: "badge badge-good" }, "This device") : end,
  );
}

function screen(item) {
  const name = item.device || "Unknown device";
  const facts = [`Since ${ago(item.since)}`, item.place].filter(Boolean).join(" · ");
  const stop = h("button", { class: "button button-small", type: "button", "aria-label": `Stop ${name}` }, "Stop");
  stop.addEventListener("click", () => busy(stop, () => ended(`me/sessions/${encodeURIComponent(item.id)}`, "It is stopped; the screen is free.")));
  return h(
    "li",
    {},
    h(
      "div",
      { class: "row" },
      icon(isPhone(name) ? "phone" : "screen"),
      h(
        "div",
        {},
        item.title ? h("a", { href: item.title.watch_url }, item.title.name) : h("span", {}, "A title"),
        h("div", { class: "small muted" }, item.current ? `${name}, this device · ${facts}` : `${name} · ${facts}`),
      ),
    ),
    stop,
  );
}

async function ended(path, words) {
  try {
    await api("DELETE", path);
    toast(words);
  } catch (problem) {
    toast(problem.message);
  }
  await watching();
}

/** What plays now; asked again now and then while somebody looks. */
async function watching() {
  try {
    const { items } = await api("GET", "me/sessions");
    screens.replaceChildren(...(items.length ? items.map(screen) : [h("li", { class: "muted" }, "Nothing plays right now.")]));
    stopOthers.hidden = items.filter((item) => !item.current).length < 2;
  } catch (problem) {
    screens.replaceChildren(h("li", { class: "muted" }, problem.message));
    stopOthers.hidden = true;
  }
}

stopOthers.addEventListener("click", () => busy(stopOthers, () => ended("me/sessions", "Only this device may play on.")));
setInterval(() => {
  if (!document.hidden && !screens.contains(document.activeElement)) watching();
}, LOOK_MS);

async function list() {
  const { items } = await api("GET", "me/devices");
  devices.replaceChildren(...items.map(device));
}

async function load() {
  try {
    known = await api("GET", "me");
    form.elements.username.value = known.username;
    form.elements.email.value = known.email;
    await list();
  } catch (problem) {
    devices.replaceChildren(h("li", { class: "muted" }, problem.message));
  }
}

document.getElementById("delete").addEventListener("click", () => dialog.showModal());
dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
onSubmit(dialog.querySelector("form"), async (values) => {
  await api("DELETE", "me", { password: values["delete-password"] });
  location.assign("/");
});

load();
watching();
