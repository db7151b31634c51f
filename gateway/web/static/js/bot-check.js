// What register asks of a browser: nothing, a proof of work, or Turnstile. `prepare` answers how to get the proof.
import { api, Problem } from "./api.js";
import { h } from "./dom.js";

const TURNSTILE = "https://challenges.cloudflare.com/turnstile/v0/api.js?render=explicit";

/** Set the check up inside `box`; resolves to a function that resolves to the proof (or undefined when none is asked). */
export async function prepare(box) {
  const challenge = await api("GET", "auth/challenge");
  if (challenge.kind === "pow") {
    const work = solve(challenge);
    box.append(h("p", { class: "small muted", role: "status" }, "Your browser is doing a short check against bots …"));
    work.then(() => box.replaceChildren(h("p", { class: "small muted" }, "Bot check passed.")));
    return () => work;
  }
  return challenge.kind === "turnstile" ? turnstile(box, challenge) : async () => undefined;
}

/** Let a worker find the answer. */
function solve(challenge) {
  const worker = new Worker(new URL("./pow-worker.js", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.addEventListener("message", ({ data }) => {
      worker.terminate();
      resolve(data);
    });
    worker.addEventListener("error", () => reject(new Problem(0, { detail: "The bot check did not run. Load the page again." })));
    worker.postMessage(challenge);
  });
}

function turnstile(box, { site_key: key }) {
  const proof = new Promise((resolve, reject) => {
    const script = h("script", { src: TURNSTILE, async: true });
    script.addEventListener("load", () => globalThis.turnstile.render(box, { sitekey: key, callback: resolve }));
    script.addEventListener("error", () => reject(new Problem(0, { detail: "The bot check did not load. Allow challenges.cloudflare.com, then load the page again." })));
    document.head.append(script);
  });
  return () => proof;
}
