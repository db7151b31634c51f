// The ways to get a title, in words.
import { moment } from "./dates.js";
import { format } from "./money.js";

const NAMES = { view: "Watch once", own: "Buy to keep" };
const TERMS = {
  view: "One showing on one screen, to be begun within 30 days. You may pause and come back.",
  rent: "Begin within 30 days. The time runs from the first play, as often as you like in it.",
  own: "Watch as often as you like, for good.",
};
const VERBS = { view: "Watch once for", rent: "Rent for", own: "Buy for" };

/** "Rent for 48 hours"; `of`: the season or series it is the whole of. */
export function nameOf({ kind, hours }, of = "") {
  const name = kind === "rent" ? `Rent for ${hours} hours` : NAMES[kind];
  return of ? `${name}: all of “${of}”` : name;
}

/** `until`: when the seller takes it off the shelf, if that is known; then nothing of it is for good. */
export function termsOf({ kind, ends_at: end }, until = "") {
  const shown = until ? `It can be watched until ${moment(until)} at the latest.` : "";
  const terms = until && kind === "own" ? "Watch as often as you like." : TERMS[kind];
  return [terms, shown, end ? `On offer until ${moment(end)}.` : ""].filter(Boolean).join(" ");
}

const TOOK = { view: "One showing", own: "To keep", free: "For free" };

/** What was bought, by the kind of its offer; empty for nothing. */
export const tookWords = ({ term, hours }) => (term === "rent" ? `Rental for ${hours} hours` : (TOOK[term] ?? ""));

/** What a button says that takes it at `price`. */
export const verbOf = ({ kind, price }) => (price.amount ? `${VERBS[kind]} ${format(price.amount, price.currency)}` : "Get it for free");

/** What one has of a title already, in words; empty for nothing. */
export function standingWords({ allow, reason, until, begun }) {
  const end = until ? moment(until) : "";
  if (!allow) return reason === "right-ended" ? "What you rented, or bought for one view, has run out." : "";
  if (reason === "owner" || reason === "admin") return "You work on this title, so you may watch it.";
  if (reason === "grant") return "The seller lets you watch this.";
  if (reason === "purchase") return end ? `This is yours. It can be watched until ${end}.` : "This is yours for good.";
  if (reason === "free") return end ? `Free to watch until ${end}.` : "Free to watch.";
  const name = reason === "rent" ? "You rented this" : "You bought one view of this";
  return begun ? `${name}: it runs until ${end}.` : `${name}. Its time begins when you first play it; begun now, it runs until ${end}.`;
}
