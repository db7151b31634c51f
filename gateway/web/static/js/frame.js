// Every page: the account menu, logging out, and by whose link somebody came.
import { api } from "./api.js";
import { toast } from "./dom.js";
import { noteReferral } from "./referral.js";

noteReferral();

const menu = document.querySelector("[data-menu]");

if (menu) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });
}

document.querySelector("[data-logout]")?.addEventListener("click", async () => {
  try {
    await api("POST", "auth/logout");
    location.assign("/");
  } catch (problem) {
    toast(problem.message);
  }
});

const next = new URLSearchParams(location.search).get("next");
for (const link of document.querySelectorAll("[data-keep-next]")) {
  if (next) link.search = `?next=${encodeURIComponent(next)}`;
}
