// A job as people follow it: the step it is at, how far each rendition is, and what went wrong.
import { h, notice } from "./dom.js";
import { follow } from "./live.js";
import { clock, percent, remaining } from "./words.js";

const STEPS = [
  ["queued", "Waiting its turn"],
  ["probing", "Looking at the file"],
  ["encoding", "Making the versions"],
  ["finalising", "Checking and packing"],
];
export const RUNNING = new Set(STEPS.map(([state]) => state));

/** One line about a job. */
export function jobLine(job) {
  if (job.state === "done") return "Ready to watch";
  if (job.state === "failed") return job.last_error || "It did not work";
  if (job.state === "cancelled") return "Cancelled";
  const words = STEPS.find(([state]) => state === job.state)?.[1] ?? job.state;
  return job.state === "encoding" ? `${words}, ${percent(job.progress)}` : words;
}

/** A fresh element that shows `job`. */
export function jobView(job) {
  if (job.state === "failed") {
    const words = job.refused ? "This file cannot be taken. " : "The file could not be made playable. ";
    return notice("bad", h("strong", {}, words), job.last_error || "Nothing more is known.", job.refused ? "" : " Try again, or upload another file below.");
  }
  if (job.state === "cancelled") return notice("warn", "The work on this file was cancelled.");
  if (job.state === "done") return notice("good", "Every version is ready.");
  const now = STEPS.findIndex(([state]) => state === job.state);
  const steps = STEPS.map(([, words], index) => {
    const attributes = { class: index < now ? "done" : index === now ? "now" : null, "aria-current": index === now ? "step" : null };
    return h("li", attributes, words);
  });
  const waits = job.waits_for ? notice("warn", h("strong", {}, "It waits. "), job.waits_for) : null;
  return h("div", { class: "stack" }, waits, h("ol", { class: "steps" }, steps), overall(job), playable(job), renditions(job.renditions ?? {}), pace(job));
}

/** How fast it goes, and how long that takes. */
function pace({ state, speed, eta_s: eta }) {
  if (state !== "encoding") return null;
  const words = [speed ? `${speed.toFixed(1)} times playing speed` : "", eta === null ? "" : remaining(eta)].filter(Boolean);
  return words.length ? h("p", { class: "small muted figures" }, words.join(" · ")) : null;
}

/** Which spans of the title can be watched already. */
function playable({ state, made, playable: can }) {
  if (state !== "encoding" || !can || !made.length) return null;
  const parts = made.map(([start, end]) => `${clock(start)} to ${clock(end)}`);
  const shown = parts.length > 4 ? [...parts.slice(0, 3), `${parts.length - 3} more parts`] : parts;
  return h("p", { class: "small" }, h("strong", {}, "It can be watched already. "), `There so far: ${shown.join(", ")}. What a viewer jumps to is made next.`);
}

function overall(job) {
  if (job.state === "queued" || job.state === "probing") return h("progress", { "aria-label": "Progress" });
  return h("progress", { max: 1, value: job.progress, "aria-label": `Progress ${percent(job.progress)}` });
}

function renditions(fractions) {
  const names = Object.keys(fractions).sort((a, b) => (Number(b) || 0) - (Number(a) || 0));
  if (!names.length) return null;
  return h(
    "dl",
    { class: "renditions" },
    names.map((name) => {
      const label = renditionName(name);
      return h(
        "div",
        {},
        h("dt", {}, label),
        h("dd", {}, h("progress", { max: 1, value: fractions[name], "aria-label": label })),
        h("dd", {}, percent(fractions[name])),
      );
    }),
  );
}

function renditionName(name) {
  if (/^\d+$/.test(name)) return `${name}p`;
  if (name.startsWith("audio") || name === "sound") return "Sound";
  return name === "poster" ? "Poster" : name;
}

/** Call `show(job)` with each state of a job until it ends or `signal` aborts. */
export function followJob(id, show, signal) {
  const over = new AbortController();
  const take = (job) => {
    if (!RUNNING.has(job.state)) over.abort();
    show(job);
  };
  follow(`jobs/${id}`, { event: "job", show: take, signal: AbortSignal.any([over.signal, signal]) });
}
