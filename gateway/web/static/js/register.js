// Create an account, with whatever bot check the portal asks for.
import { api } from "./api.js";
import { onSubmit } from "./dom.js";
import { inward } from "./words.js";
import { prepare } from "./bot-check.js";

const form = document.getElementById("form");
const box = form.querySelector("[data-bot-check]");
let check = prepare(box);
check.catch(() => {});
form.elements.email.focus();

onSubmit(form, async ({ email, username, password }) => {
  try {
    const proof = await (await check)();
    const body = { email: email.trim(), username: username.trim(), password };
    await api("POST", "auth/register", proof === undefined ? body : { ...body, proof });
  } catch (problem) {
    box.replaceChildren();
    check = prepare(box);
    check.catch(() => {});
    throw problem;
  }
  location.assign(inward(new URLSearchParams(location.search).get("next")));
});
