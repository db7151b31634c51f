// Withdrawals of sellers in words: their state, what comes next, by which way.
import { day } from "./dates.js";
import { h } from "./dom.js";

const STATES = {
  requested: ["Asked for", "badge-warn"],
  approved: ["Approved", "badge-warn"],
  paying: ["Being paid", "badge-warn"],
  paid: ["Paid out", "badge-good"],
  rejected: ["Rejected", "badge-bad"],
  returned: ["Came back", "badge-bad"],
};

export function withdrawalBadge({ state }) {
  const [words, kind] = STATES[state] ?? [state, ""];
  return h("span", { class: `badge ${kind}` }, words);
}

/** What happens next with a withdrawal, or why nothing does. */
export function withdrawalWords({ state, due_at: due, paid_at: paid, reason, rail_ref: ref }) {
  if (state === "requested") return `Somebody looks at it; paid from ${day(due)} on.`;
  if (state === "approved") return Date.parse(due) > Date.now() ? `Paid from ${day(due)} on.` : "Paid with the next run.";
  if (state === "paying") return "On its way to you.";
  if (state === "paid") return [`On ${day(paid)}`, ref ? `reference ${ref}` : ""].filter(Boolean).join(", ");
  return [sentence(reason), "It is available again."].filter(Boolean).join(" ");
}

/** What somebody typed, ended as a sentence is, so that another may follow. */
const sentence = (words = "") => (/[^.!?…]$/.test(words.trim()) ? `${words.trim()}.` : words.trim());
