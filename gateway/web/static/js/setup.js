// The first administrator names the portal.
import { api } from "./api.js";
import { onSubmit } from "./dom.js";

const form = document.getElementById("form");
form.elements.portal_name.focus();

onSubmit(form, async ({ portal_name: name, email, username, password }) => {
  await api("POST", "setup", { portal_name: name.trim(), email: email.trim(), username: username.trim(), password });
  location.assign("/studio");
});
