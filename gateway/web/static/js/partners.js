// Who shares in a title's sales besides its seller, each with a part of what the portal's fee leaves.
import { api, once } from "./api.js";
import { h, icon, notice, onSubmit, toast, wrong } from "./dom.js";
import { bpOf, percentOf } from "./money.js";

const WHOLE_BP = 10_000;

/** A panel of the partners of `title`; to be read where one may not change them. */
export function partnersPanel(title, { mayChange }) {
  return mayChange ? shares(title) : told(title);
}

function panel(...content) {
  return h(
    "section",
    { class: "panel stack", "aria-labelledby": "d-partners" },
    h("h2", { id: "d-partners" }, "Partners"),
    h("p", { class: "muted" }, "Sellers who get a part of each sale of this title, named by their handle."),
    ...content,
  );
}

function told(title) {
  const list = h("ul", { class: "list" });
  const row = ({ seller, share_bp: bp }) => h("li", {}, h("span", {}, seller), h("span", { class: "figures" }, `${percentOf(bp)}\u00a0%`));
  const load = async () => {
    try {
      const { items } = await api("GET", `titles/${title.id}/partners`);
      list.replaceChildren(...(items.length ? items.map(row) : [h("li", { class: "muted" }, "Nobody: all of it is the seller's.")]));
    } catch (problem) {
      list.replaceChildren(h("li", { class: "muted" }, problem.message));
    }
  };
  load();
  return panel(list, h("p", { class: "small muted" }, "Only owners of the seller change the shares."));
}

function shares(title) {
  const rows = h("div", { class: "stack" });
  const left = h("p", { class: "small muted", role: "status" });
  const form = h(
    "form",
    { class: "stack", novalidate: true, hidden: true },
    h("div", { class: "notice notice-bad", role: "alert", "data-problem": "", hidden: true }),
    rows,
    left,
    h(
      "div",
      { class: "row" },
      h("button", { class: "button", type: "submit" }, "Save the shares"),
      h("button", { class: "button button-quiet", type: "button", onclick: () => add(rows, say).focus() }, "Add a partner"),
    ),
  );
  const trouble = h("div", {});
  const say = () => {
    const given = [...rows.querySelectorAll("[name=share]")].reduce((sum, input) => sum + (bpOf(input.value) ?? 0), 0);
    left.textContent = given > WHOLE_BP ? "These shares are more than all there is." : `You keep ${percentOf(WHOLE_BP - given)}\u00a0% of what the portal's fee leaves.`;
  };
  rows.addEventListener("input", say);
  onSubmit(form, async () => {
    const { items } = await once("PUT", `titles/${title.id}/partners`, { items: typed(rows) });
    show(items);
    toast("Saved. It counts for sales from now on.");
  });
  const show = (items) => {
    rows.replaceChildren();
    for (const partner of items) add(rows, say, partner);
    form.hidden = false;
    say();
  };
  const load = async () => {
    try {
      show((await api("GET", `titles/${title.id}/partners`)).items);
    } catch (problem) {
      trouble.replaceChildren(notice("bad", problem.message));
    }
  };
  load();
  return panel(trouble, form);
}

function add(rows, say, partner = { seller: "", share_bp: 0 }) {
  const seller = h("input", { class: "input", name: "seller", required: true, maxlength: "32", autocapitalize: "none", autocomplete: "off", spellcheck: "false", "aria-label": "Handle of the partner", placeholder: "handle", value: partner.seller });
  const share = h("input", { class: "input", name: "share", required: true, inputmode: "decimal", autocomplete: "off", "aria-label": "Share in percent", placeholder: "0", value: partner.share_bp ? percentOf(partner.share_bp) : "" });
  const row = h("div", { class: "share" }, seller, share, h("span", { "aria-hidden": "true" }, "%"));
  const remove = h("button", { class: "button button-small button-quiet", type: "button", "aria-label": "Remove this partner" }, icon("close"));
  remove.addEventListener("click", () => {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    (next?.querySelector("button") ?? rows.parentElement.querySelector("[type=submit]")).focus();
    say();
  });
  row.append(remove);
  rows.append(row);
  return seller;
}

/** What was typed, as the API takes it. Throws what showProblem shows. */
function typed(rows) {
  return [...rows.children].map((row) => {
    const [seller, share] = row.querySelectorAll("input");
    const bp = bpOf(share.value);
    if (!seller.value.trim() || !bp || bp > WHOLE_BP) {
      (seller.value.trim() ? share : seller).focus();
      throw wrong("Each partner has a handle, and a share above 0 and up to 100 percent, such as 12.5.");
    }
    return { seller: seller.value.trim(), share_bp: bp };
  });
}
