// Portal settings, for administrators.
import { api } from "./api.js";
import { onSubmit, showProblem, toast } from "./dom.js";

const form = document.getElementById("form");

async function load() {
  try {
    const portal = await api("GET", "portal");
    form.elements.legal.value = portal.legal_text ?? "";
  } catch (problem) {
    showProblem(form, problem);
  }
}

onSubmit(form, async (values) => {
  const percent = Number(values.fee_percent.replace(",", "."));
  if (!(percent >= 0 && percent <= 100)) {
    const message = "The fee is a percentage between 0 and 100, such as 10 or 7.5.";
    showProblem(form, { message, details: { field: "fee_percent" } });
    return;
  }
  await api("PUT", "portal", {
    name: values.name.trim(),
    logo_url: values.logo_url.trim(),
    accent: values.accent,
    accent_dark: values.accent_dark,
    fee_bp: Math.round(percent * 100),
    currency: values.currency.trim().toUpperCase(),
    legal_text: values.legal,
  });
  toast("Saved. Every page shows it now.");
  setTimeout(() => location.reload(), 800);
});

load();
