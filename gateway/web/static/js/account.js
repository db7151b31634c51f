// The account: name and e-mail, devices with log-out, deletion.
import { api } from "./api.js";
import { confirmed, h, icon, onSubmit, showProblem, toast } from "./dom.js";
import { ago } from "./words.js";

const form = document.getElementById("form");
const devices = document.getElementById("devices");
const dialog = document.getElementById("sure");

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
  const sign = /phone|android|ios|ipad/i.test(item.name) ? "phone" : "screen";
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
