// The sandbox's pay page: shows a payment, sends a test card, answers the bank, and leads back.
import { api } from "./api.js";
import { busy, h, onSubmit, showProblem } from "./dom.js";
import { price } from "./money.js";

const POLL_MS = 2000;
const WORDS = {
  approve: "pays",
  decline: "is declined",
  poor: "has not enough money",
  secure: "the bank asks first (3-D Secure)",
  slow: "pays after 20 seconds",
  dispute: "pays, and is disputed later",
  "dispute won": "pays, is disputed, and we win",
};

const path = `sandbox/payments/${encodeURIComponent(location.pathname.split("/").pop())}`;
const [form, card, bank, waiting, back] = ["form", "card", "bank", "waiting", "back"].map((id) => document.getElementById(id));

/** Whatever goes wrong is told in the form's box. */
const tried = async (button, act) => {
  showProblem(form, null);
  try {
    await busy(button, act);
  } catch (problem) {
    showProblem(form, problem);
    if (!problem.code) throw problem;
  }
};

const load = async () => show(await api("GET", path));

/** Look again at a payment that takes its time; a look that nobody answered is not the last. */
async function look() {
  try {
    await load();
  } catch (problem) {
    showProblem(form, problem);
    if (problem.status === 0 || problem.status >= 500) setTimeout(look, POLL_MS);
    if (!problem.code) throw problem;
  }
}

function show(payment) {
  document.getElementById("what").replaceChildren(
    h("span", {}, payment.description),
    h("strong", {}, price(payment.amount, payment.currency)),
  );
  back.href = payment.return_url;
  if (payment.state === "paid" || payment.state === "authorized") location.replace(payment.return_url);
  const isOpen = payment.state === "open";
  card.hidden = !isOpen;
  bank.hidden = payment.state !== "secure";
  waiting.hidden = payment.state !== "processing";
  back.hidden = isOpen || payment.state === "secure";
  showProblem(form, payment.words ? { message: payment.words } : null);
  if (payment.state === "voided") showProblem(form, { message: "This payment was given up. Nothing was paid." });
  if (payment.state === "processing") setTimeout(look, POLL_MS);
  document.getElementById("cards").replaceChildren(...Object.entries(payment.cards).map(testCard));
}

function testCard([number, does]) {
  const spaced = number.replace(/(\d{4})(?=\d)/g, "$1 ");
  const use = () => {
    form.elements.number.value = spaced;
    form.elements.number.focus();
  };
  return h(
    "li",
    {},
    h("span", {}, h("span", { class: "figures" }, spaced), h("br"), h("span", { class: "muted small" }, WORDS[does] ?? does)),
    h("button", { class: "button button-small", type: "button", onclick: use }, "Use", h("span", { class: "seen-by-readers" }, ` ${spaced}`)),
  );
}

onSubmit(form, async ({ number }) => show(await api("POST", `${path}/card`, { number })));
for (const button of bank.querySelectorAll("[data-passed]")) {
  const passed = button.dataset.passed === "yes";
  button.addEventListener("click", () => tried(button, async () => show(await api("POST", `${path}/answer`, { passed }))));
}
document.getElementById("leave").addEventListener("click", (event) =>
  tried(event.currentTarget, async () => location.replace((await api("POST", `${path}/leave`)).return_url)),
);
tried(form, load);
