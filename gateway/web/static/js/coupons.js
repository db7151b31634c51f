// A seller's coupons: what they take off, how often they were used, one more, one less.
import { all, api, once } from "./api.js";
import { dayWindow, momentOf } from "./dates.js";
import { busy, confirmed, field, h, notice, onSubmit, toast, toasted, wrong } from "./dom.js";
import { bpOf, format, percentOf, typedAmount } from "./money.js";
import { nothing, table } from "./table.js";
import { turns } from "./turns.js";

const COLUMNS = [["Code"], ["Takes off"], ["For"], ["Used", "amount"], ["Good"], ["", "ways"]];

/** Parts of a view of the coupons of `seller`. */
export function couponsView(seller, { currency }) {
  const list = h("div", {});
  const view = { seller, list, titles: [] };
  const begin = turns();
  const load = async () => {
    const signal = begin();
    try {
      const [{ items }, titles] = await Promise.all([
        api("GET", `sellers/${seller.handle}/coupons`),
        all(`studio/titles?limit=50&seller=${encodeURIComponent(seller.handle)}`),
      ]);
      if (signal.aborted) return;
      view.titles = titles;
      if (!form.elements.title.options.length) form.elements.title.append(...choices(titles));
      show(view, items, load);
    } catch (problem) {
      if (!signal.aborted) list.replaceChildren(notice("bad", problem.message));
      if (!problem.code) throw problem;
    }
  };
  const form = couponForm(seller, currency, load);
  load();
  return [
    h("section", { class: "panel stack", "aria-labelledby": "c-new" }, h("h2", { id: "c-new" }, "New coupon"), form),
    h("section", { class: "stack", "aria-labelledby": "c-all" }, h("h2", { id: "c-all" }, "Your coupons"), list),
  ];
}

const choices = (titles) => [h("option", { value: "" }, "All my titles"), ...titles.map((title) => h("option", { value: title.id }, title.name))];

function show(view, items, load) {
  if (!items.length) {
    view.list.replaceChildren(nothing("check", "No coupons yet", "A coupon is a code that lowers your prices. Make one above and hand the code out."));
    return;
  }
  const names = new Map(view.titles.map((title) => [title.id, title.name]));
  const rows = items.map((coupon) => [
    coupon.code,
    coupon.kind === "percent" ? `${percentOf(coupon.bp)}\u00a0%` : format(coupon.amount, coupon.currency),
    coupon.scope ? names.get(coupon.scope) ?? "One title" : "All titles",
    coupon.uses_max ? `${coupon.used} of ${coupon.uses_max}` : String(coupon.used),
    standing(coupon),
    coupon.active ? h("span", { class: "row" }, away(view.seller, coupon, load)) : null,
  ]);
  view.list.replaceChildren(h("div", { class: "panel" }, table("Coupons", COLUMNS, rows)));
}

function standing(coupon) {
  if (!coupon.active) return h("span", { class: "badge" }, "Taken back");
  if (coupon.ends_at && Date.parse(coupon.ends_at) <= Date.now()) return h("span", { class: "badge" }, "Over");
  if (coupon.uses_max && coupon.used >= coupon.uses_max) return h("span", { class: "badge" }, "Used up");
  return dayWindow(coupon.starts_at, coupon.ends_at) || "until you take it back";
}

function away(seller, coupon, load) {
  const button = h("button", { class: "button button-small", type: "button", "aria-label": `Take back ${coupon.code}` }, "Take back");
  button.addEventListener("click", async () => {
    if (!(await confirmed(`Take back ${coupon.code}?`, "Nobody can use it any more. Who used it keeps their price.", "Take back"))) return;
    await busy(button, async () => {
      await toasted(async () => {
        await once("DELETE", `sellers/${seller.handle}/coupons/${encodeURIComponent(coupon.code)}`);
        toast(`${coupon.code} is taken back.`);
      });
      await load();
    });
  });
  return button;
}

function couponForm(seller, currency, load) {
  const code = h("input", { name: "code", required: true, pattern: "[A-Za-z0-9][A-Za-z0-9_\\-]{2,31}", maxlength: "32", autocapitalize: "characters", autocomplete: "off", spellcheck: "false" });
  const off = h("input", { name: "off", required: true, inputmode: "decimal", autocomplete: "off" });
  const unit = h("select", { class: "input", name: "unit", "aria-label": "Percent, or a currency" }, [["%", "percent"], [currency, currency]].map(([value, words]) => h("option", { value }, words)));
  const takes = field("Takes off", off);
  takes.append(h("div", { class: "with-unit" }, off, unit));
  const uses = h("input", { name: "uses", inputmode: "numeric", autocomplete: "off" });
  const each = h("input", { name: "each", inputmode: "numeric", autocomplete: "off", value: "1" });
  const form = h(
    "form",
    { class: "stack", novalidate: true },
    h("div", { class: "notice notice-bad", role: "alert", "data-problem": "", hidden: true }),
    h("div", { class: "two" }, field("Code", code, "3 to 32 letters, digits, hyphens. Any case of letters is the same."), takes),
    field("For", h("select", { name: "title" })),
    h("div", { class: "two" }, field("Uses in all", uses, "Empty: as often as it is wanted."), field("Uses a viewer", each)),
    h(
      "div",
      { class: "two" },
      field("From", h("input", { name: "starts", type: "datetime-local" }), "Empty: from now on."),
      field("Until", h("input", { name: "ends", type: "datetime-local" }), "Empty: until you take it back."),
    ),
    h("div", {}, h("button", { class: "button button-main", type: "submit" }, "Make the coupon")),
  );
  onSubmit(form, async (values) => {
    const made = await once("POST", `sellers/${seller.handle}/coupons`, bodyOf(values));
    form.reset();
    await load();
    toast(`${made.code} is good now.`);
  });
  return form;
}

function bodyOf({ code, off, unit, title, uses, each, starts, ends }) {
  const body = { code: code.trim(), starts_at: momentOf(starts), ends_at: momentOf(ends), per_viewer: count(each, "each") ?? 1 };
  if (unit === "%") {
    const bp = bpOf(off);
    if (!bp || bp % 100 || bp > 10_000) throw wrong("A coupon takes off a whole percentage from 1 to 100.", "off");
    body.percent = bp / 100;
  } else {
    body.amount = typedAmount(off, unit, "off");
    body.currency = unit;
  }
  if (title) body.title = title;
  const most = count(uses, "uses");
  if (most) body.uses_max = most;
  return body;
}

function count(text, name) {
  if (!text.trim()) return null;
  if (!/^[1-9]\d{0,8}$/.test(text.trim())) throw wrong(`“${text}” is not a number of uses.`, name);
  return Number(text);
}
