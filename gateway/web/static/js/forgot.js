// Ask for a reset link; the answer is the same whether or not the account exists.
import { api } from "./api.js";
import { onSubmit } from "./dom.js";

const form = document.getElementById("form");
form.elements.email.focus();

onSubmit(form, async ({ email }) => {
  await api("POST", "auth/forgot", { email: email.trim() });
  form.hidden = true;
  const sent = document.getElementById("sent");
  sent.hidden = false;
  sent.focus();
});
