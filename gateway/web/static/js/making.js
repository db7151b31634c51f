// A film that is watched while it is made: how much of it there is, on the seek bar and in words.
import { api } from "./api.js";
import { percent } from "./words.js";

/** How often a page asks how far the making is. */
const LOOK_MS = 3000;
/** A film stands still at least this long before words say why. */
const PATIENCE_MS = 700;
const MADE = "rgb(255 255 255 / 38%)";
const UNMADE = "rgb(255 255 255 / 10%)";

/** Call `show(making)` now and again until the whole of `title` is made, or no more of it will be, or `signal` aborts. */
export function followMaking(title, { show, signal }) {
  let timer = 0;
  const look = async () => {
    try {
      const now = await api("GET", `titles/${title}/making`);
      if (signal.aborted) return;
      show(now);
      if (!now.making) return;
    } catch (problem) {
      // No network, or a server that is busy: asked again. Whatever else stands in the way, the player says.
      if (problem.status && problem.status < 500 && problem.status !== 429) {
        if (!signal.aborted) show({ making: false, made: [], fraction: 0, duration_s: 0 });
        return;
      }
    }
    if (!signal.aborted) timer = setTimeout(look, LOOK_MS);
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  look();
}

/** One line about how far the making is; empty when all is there. */
export function makingLine({ making, fraction }) {
  if (!making) return "";
  return `The rest is still being made, ${percent(fraction)} so far. Jump ahead and that part is made next.`;
}

/** Paint the spans that are made on the track of a seek bar; all of it looks as ever when nothing is being made. */
export function paint(range, { making, made, duration_s: whole }) {
  if (!making || !whole) {
    range.style.removeProperty("--media-range-track-background");
    return;
  }
  const place = (seconds) => `${Math.min(100, (seconds / whole) * 100).toFixed(2)}%`;
  const stops = [];
  let at = 0;
  for (const [start, end] of made) {
    stops.push(`${UNMADE} ${place(at)} ${place(start)}`, `${MADE} ${place(start)} ${place(end)}`);
    at = end;
  }
  stops.push(`${UNMADE} ${place(at)} 100%`);
  range.style.setProperty("--media-range-track-background", `linear-gradient(to right, ${stops.join(", ")})`);
}

/**
 * Say on `note` that the film waits for a part that is not made, as long as it does, and let the seek bar stand there
 * too: it shows what is made. `known()` tells what that is.
 */
export function sayWaiting(media, note, { bar, known, signal }) {
  let timer = 0;
  const say = (waits) => {
    note.hidden = !waits;
    bar.toggleAttribute("noautohide", waits);
  };
  const look = () => {
    const { making, made } = known();
    const at = media.currentTime;
    const here = made.some(([start, end]) => at >= start - 0.1 && at < end - 0.1);
    const waits = making && !here && media.readyState < HTMLMediaElement.HAVE_FUTURE_DATA && !media.ended;
    say(waits);
    if (waits) timer = setTimeout(look, PATIENCE_MS);
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(look, PATIENCE_MS);
  };
  const now = () => {
    clearTimeout(timer);
    say(false);
  };
  for (const name of ["waiting", "seeking", "loadstart"]) media.addEventListener(name, later, { signal });
  for (const name of ["playing", "canplay"]) media.addEventListener(name, now, { signal });
  signal.addEventListener("abort", now);
  later();
}
