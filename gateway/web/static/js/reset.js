// Choose a new password with the token of the link, which leaves the address bar at once.
import { api } from "./api.js";
import { onSubmit, showProblem } from "./dom.js";

const form = document.getElementById("form");
const token = new URLSearchParams(location.search).get("token") ?? "";
history.replaceState(null, "", location.pathname);

if (token) {
  form.elements.password.focus();
} else {
  showProblem(form, { message: "This page opens from the link in our mail. Ask for another one below." });
}

onSubmit(form, async ({ password }) => {
  await api("POST", "auth/reset", { token, password });
  location.assign("/login#changed");
});
