// What changes while somebody looks at it: told by a stream of the server, or asked for where there is none; ever less
// often while nothing changes, and not at all while the page is hidden.
import { api } from "./api.js";

const FIRST_MS = 3000;
const MOST_MS = 60_000;

/** Wait, and then until the page is seen; for ever where `signal` aborts meanwhile on a hidden page. */
export async function pause(ms, signal) {
  await new Promise((next) => setTimeout(next, ms));
  if (document.hidden) await new Promise((next) => document.addEventListener("visibilitychange", next, { once: true, signal }));
}

/** Pauses that double up to the longest; `reset()` begins with the first again. */
function pauses(first, most) {
  let ms = first;
  return {
    reset: () => (ms = first),
    async wait(signal) {
      const now = ms;
      ms = Math.min(most, 2 * ms);
      await pause(now, signal);
    },
  };
}

/** Run `look()` again and again until `signal` aborts; soon again where it resolves to true: something changed. */
export async function keepLooking(look, { signal, first = FIRST_MS, most = MOST_MS }) {
  const rest = pauses(first, most);
  while (!signal.aborted) {
    await rest.wait(signal);
    if (!signal.aborted && (await look())) rest.reset();
  }
}

/**
 * Call `show(value)` with what is at `/v1/<path>` now and whenever it changes, until `signal` aborts. The stream beside
 * it tells that in events of this name. Where the server refuses a stream, it is asked for, and the stream tried again;
 * `failed(problem)` hears that it could not be had.
 */
export function follow(path, { event, show, failed = () => {}, signal = new AbortController().signal }) {
  const rest = pauses(FIRST_MS, MOST_MS);
  let told = "";
  const take = (text, value) => {
    if (text !== told) rest.reset();
    told = text;
    show(value);
  };
  const open = () => {
    if (signal.aborted) return;
    const source = new EventSource(`/v1/${path}/events`);
    const stop = () => source.close();
    signal.addEventListener("abort", stop);
    source.addEventListener("open", rest.reset);
    source.addEventListener(event, ({ data }) => take(data, JSON.parse(data)));
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) return;
      signal.removeEventListener("abort", stop);
      if (!signal.aborted) ask();
    });
  };
  const ask = async () => {
    try {
      const value = await api("GET", path);
      if (!signal.aborted) take(JSON.stringify(value), value);
    } catch (problem) {
      if (signal.aborted) return;
      failed(problem);
      if (!problem.code) throw problem;
      if ([401, 403, 404].includes(problem.status)) return;
    }
    await rest.wait(signal);
    open();
  };
  open();
}
