// Log in, then go on to where one wanted.
import { api } from "./api.js";
import { onSubmit } from "./dom.js";
import { inward } from "./words.js";

const form = document.getElementById("form");
form.elements.login.focus();
// From the page that set a new password.
document.getElementById("changed").hidden = location.hash !== "#changed";

onSubmit(form, async ({ login, password }) => {
  await api("POST", "auth/login", { login: login.trim(), password });
  location.assign(inward(new URLSearchParams(location.search).get("next")));
});
