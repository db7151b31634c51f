// What shows an upload: the zone a file is dropped into, and a running transfer with pause and resume.
import { h, icon, notice } from "./dom.js";
import { percent, remaining, size } from "./words.js";

const TYPES = "video/*,audio/*,.mkv,.mov,.mp4,.webm,.avi,.ts,.mts,.m2ts,.mxf,.mp3,.m4a,.wav,.flac,.ogg,.opus";

/** A drop zone that also opens the file picker; `take(file, options)` gets the file and what is to be done with it. */
export function drop(words, take, { small = false, label = "Choose a file" } = {}) {
  const input = h("input", { type: "file", accept: TYPES, hidden: true });
  const { element: choices, chosen } = wishes();
  const button = h("button", { class: "button button-main", type: "button", onclick: () => input.click() }, label);
  const zone = h(
    "div",
    { class: small ? "drop drop-small" : "drop", "data-drop": "" },
    icon("upload"),
    h("h2", {}, words),
    small ? null : h("p", { class: "muted" }, "It stays a draft that only you see until you publish it."),
    input,
    button,
    choices,
  );
  input.addEventListener("change", () => {
    if (input.files.length) take(input.files[0], chosen());
    input.value = "";
  });
  zone.addEventListener("dragover", () => zone.classList.add("over"));
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0], chosen());
  });
  return zone;
}

/** What a seller may wish for the making of a file, and a function that says what is wished now. */
function wishes() {
  const loudness = h("input", { type: "checkbox" });
  const rates = h("input", { type: "checkbox" });
  const element = h(
    "details",
    { class: "wishes" },
    h("summary", {}, "Options"),
    h("label", { class: "check" }, loudness, "Bring the loudness to that of other titles (−16 LUFS)"),
    h("label", { class: "check" }, rates, "Try out which bitrates suit this film: smaller streams, a little later"),
  );
  return { element, chosen: () => ({ ...(loudness.checked && { loudness: "even" }), ...(rates.checked && { mode: "per-title" }) }) };
}

/** A transfer with its bar and buttons; follows it until `signal` aborts. */
export function transferView(transfer, signal) {
  const bar = h("progress", { max: transfer.file.size || 1, value: transfer.sent, "aria-label": `Upload of ${transfer.file.name}` });
  const line = h("span", { class: "small muted figures", role: "status" });
  const heading = h("strong", { class: "long-name" });
  const toggle = h("button", { class: "button button-small", type: "button" });
  const cancel = h("button", { class: "button button-small button-quiet", type: "button", onclick: () => transfer.cancel() }, "Cancel");
  const trouble = h("div", {});
  const other = h("button", { class: "button button-small", type: "button", hidden: true, onclick: () => transfer.cancel() }, "Choose another file");
  toggle.addEventListener("click", () => (transfer.state === "sending" ? transfer.pause() : transfer.start()));
  const draw = () => {
    const sent = Math.min(transfer.sent, transfer.file.size);
    bar.value = sent;
    const share = percent(sent / (transfer.file.size || 1));
    const sums = `${size(sent)} of ${size(transfer.file.size)} · ${share}`;
    const state = { sending: transfer.stalled ? "no answer, trying again …" : remaining(transfer.remaining), paused: "paused", failed: "stopped", done: "sent" }[transfer.state];
    line.textContent = [sums, state].filter(Boolean).join(" · ");
    const sending = transfer.state === "sending";
    const words = sending ? "Pause" : "Resume";
    if (toggle.dataset.words !== words) toggle.replaceChildren(icon(sending ? "pause" : "resume"), words);
    toggle.dataset.words = words;
    heading.textContent = `${transfer.refused ? "Not taken:" : "Sending"} ${transfer.file.name}`;
    for (const part of [toggle, cancel]) part.hidden = transfer.state === "done" || transfer.refused;
    for (const part of [bar, line]) part.hidden = transfer.refused;
    other.hidden = !transfer.refused;
    trouble.replaceChildren(...(transfer.words ? [notice("bad", transfer.words)] : []));
  };
  transfer.addEventListener("change", draw, { signal });
  draw();
  return h(
    "div",
    { class: "stack", "data-transfer": "" },
    h("div", { class: "spread" }, heading, h("div", { class: "row" }, toggle, cancel, other)),
    bar,
    line,
    trouble,
  );
}
