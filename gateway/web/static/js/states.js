// The states of a title as a badge says them.
import { h } from "./dom.js";

const STATES = {
  draft: ["Draft", ""],
  processing: ["Being made", "badge-warn"],
  ready: ["Ready to publish", "badge-good"],
  published: ["Published", "badge-good"],
  archived: ["Archived", ""],
};

/** Whether a title holds others and has no file of its own. */
export const isContainer = ({ kind }) => kind === "series" || kind === "season";

export function stateBadge(title) {
  if (title.takedown) return h("span", { class: "badge badge-bad" }, "Taken down");
  if (title.making && title.state === "processing") return h("span", { class: "badge badge-good" }, "Watchable, being made");
  if (title.state === "published" && !title.ceilings.length && !isContainer(title)) return h("span", { class: "badge badge-warn" }, "Published, not watchable");
  const [words, kind] = STATES[title.state] ?? [title.state, ""];
  return h("span", { class: `badge ${kind}` }, words);
}
