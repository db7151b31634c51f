// Administration: titles of all sellers, and taking them down.
import { once } from "./api.js";
import { ask } from "./ask.js";
import { day } from "./dates.js";
import { busy, field, h, toast } from "./dom.js";
import { choice, listing } from "./listing.js";
import { priceOf } from "./money.js";
import { stateBadge } from "./states.js";
import { nothing, table } from "./table.js";

const STATES = [
  ["published", "Published"],
  ["ready", "Ready to publish"],
  ["processing", "Being made"],
  ["draft", "Draft"],
  ["archived", "Archived"],
  ["taken-down", "Taken down"],
];

export function titlesPart({ may }) {
  const q = h("input", { type: "search", autocomplete: "off" });
  let load = null;
  const row = (title) => [
    h("a", { href: `/studio/${title.id}` }, title.name),
    title.seller.name,
    priceOf(title),
    day(title.created_at),
    stateBadge(title),
    h(
      "span",
      { class: "row" },
      may("payment:read") ? h("a", { class: "button button-small", href: `/admin/payments?title=${title.id}`, "aria-label": `Payments for ${title.name}` }, "Payments") : null,
      may("title:takedown") ? takedown(title, () => load()) : null,
    ),
  ];
  const columns = [["Title"], ["Seller"], ["Price", "amount"], ["Since"], ["State"], ["", "ways"]];
  const made = listing({
    path: "admin/titles",
    filters: [["q", "Words", q], ["state", "State", choice("Any", STATES)]],
    render: (items) => table("Titles", columns, items.map(row)),
    empty: nothing("film", "No titles found", "No title has these words and this state."),
  });
  ({ load } = made);
  return made.element;
}

function takedown(title, again) {
  const path = `titles/${title.id}/takedown`;
  const button = h("button", { class: "button button-small", type: "button", "aria-label": `${title.takedown ? "Bring back" : "Take down"} ${title.name}` }, title.takedown ? "Bring back" : "Take down …");
  button.addEventListener("click", async () => {
    const isDone = title.takedown
      ? await ask({ heading: `Bring “${title.name}” back?`, words: `It was taken down: ${title.takedown.reason || title.takedown.notice}`, yes: "Bring it back", act: () => once("DELETE", path) })
      : await ask({
        heading: `Take “${title.name}” down?`,
        words: "Nobody can watch it meanwhile; what plays stops.",
        fields: [
          field("Reason", h("textarea", { name: "reason", required: true, maxlength: "500", rows: "2" }), "The seller and those who run the portal see it."),
          field("Notice", h("textarea", { name: "notice", required: true, maxlength: "2000", rows: "2" }), "Everybody sees it on the watch page."),
        ],
        yes: "Take it down",
        danger: true,
        act: ({ reason, notice }) => once("PUT", path, { reason: reason.trim(), notice: notice.trim() }),
      });
    if (!isDone) return;
    toast(title.takedown ? "It is back." : "It is taken down.");
    await busy(button, again);
  });
  return button;
}
