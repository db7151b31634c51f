// The watch page: asks for the right to play, builds the player, says in words what stands in the way.
import { api, Problem } from "./api.js";
import { h, icon } from "./dom.js";
import { mount } from "./player.js";
import { refusal } from "./refusals.js";
import { ago } from "./words.js";

const stage = document.getElementById("stage");
const start = document.getElementById("start");
const cover = document.getElementById("cover");
const { title } = stage.dataset;
const memory = `usher:position:${title}`;
/** After a refusal that a new link may mend, one is asked for by itself, but not more often than this. */
const RENEW_MS = 30_000;

let playing = null;
let renewedAt = 0;

async function play() {
  start.setAttribute("aria-busy", "true");
  lift();
  try {
    if (!navigator.onLine) throw new Problem(0);
    const answer = await api("POST", `titles/${title}/play`, { device: thisDevice() });
    const kind = answer.player.sound_only ? "player-sound" : "player-video";
    const startAt = remembered() || answer.player.start_s || 0;
    playing = await mount(stage, document.getElementById(kind), answer, { startAt, onRefused: refused });
    present(answer.player);
  } catch (problem) {
    if (problem instanceof Problem) await curtain(problem);
    else {
      curtain(new Problem(500, { detail: "The player did not load. Load the page again." }));
      throw problem;
    }
  } finally {
    start.removeAttribute("aria-busy");
  }
}

function present({ sound_only: sound }) {
  start.hidden = true;
  stage.querySelector(".veil")?.setAttribute("hidden", "");
  cover.hidden = !sound;
  const { media, controller } = playing;
  if (stage.contains(document.activeElement) || document.activeElement === document.body) controller.focus();
  let saved = 0;
  media.addEventListener("timeupdate", () => {
    if (Math.abs(media.currentTime - saved) < 5) return;
    saved = media.currentTime;
    remember(media);
  });
  media.addEventListener("pause", () => remember(media));
  if ("mediaSession" in navigator) {
    const artwork = cover.querySelector("img") ? [{ src: cover.querySelector("img").src }] : [];
    navigator.mediaSession.metadata = new MediaMetadata({ title: stage.dataset.name, artwork });
  }
}

/** The edge refused what plays. A link that is merely over is renewed where it stood; all else is said. */
function refused(problem) {
  if (!playing) return;
  remember(playing.media);
  playing.stop();
  playing = null;
  const over = problem.status === 401 || (problem.status === 410 && !/taken|revoked|shared/.test(problem.code));
  if (over && Date.now() - renewedAt > RENEW_MS) {
    renewedAt = Date.now();
    play();
  } else curtain(problem);
}

async function curtain(problem) {
  const { sign, heading, words, ways, wait, screens } = refusal(problem);
  const names = screens.length ? await deviceNames() : new Map();
  const buttons = ways.map((way, index) => {
    const attributes = { class: index ? "button" : "button button-main" };
    return way.retry
      ? h("button", { ...attributes, type: "button", onclick: play }, way.label)
      : h("a", { ...attributes, href: way.href() }, way.label);
  });
  const list = screens.length ? h("ul", { class: "screens" }, screens.map((seat) => screen(seat, names))) : null;
  const shown = h(
    "div",
    { class: "curtain", role: "alert", tabindex: "-1", id: "curtain" },
    icon(sign),
    h("h2", {}, heading),
    h("p", {}, words),
    list,
    h("div", { class: "row" }, buttons),
  );
  lift();
  start.hidden = true;
  cover.hidden = false;
  stage.classList.add("curtained");
  stage.append(shown);
  shown.focus({ preventScroll: true });
  if (wait) retryIn(wait, shown);
}

function retryIn(seconds, shown) {
  const again = () => {
    if (shown.isConnected) play();
  };
  setTimeout(again, seconds * 1000);
  addEventListener("online", again, { once: true });
}

/** What the account calls the devices that the edge knows by a random id alone; empty when nobody tells. */
async function deviceNames() {
  if (!stage.dataset.me) return new Map();
  try {
    const { items } = await api("GET", "me/devices");
    return new Map(items.map(({ device, name, current }) => [device, current ? `${name}, this device` : name]));
  } catch {
    return new Map();
  }
}

function screen({ device, place, since }, names) {
  const name = names.get(device) || "Another screen";
  const where = [place ? `network ${place}` : "", since ? `since ${ago(since)}` : ""].filter(Boolean).join(" · ");
  return h("li", {}, icon(/phone|android|ios/i.test(name) ? "phone" : "screen"), h("div", {}, name, where ? h("small", {}, where) : null));
}

function lift() {
  document.getElementById("curtain")?.remove();
  stage.classList.remove("curtained");
}

function remembered() {
  try {
    return Number(localStorage.getItem(memory)) || 0;
  } catch {
    return 0;
  }
}

function remember(media) {
  const atEnd = media.duration && media.currentTime > media.duration - 15;
  try {
    if (atEnd || media.currentTime < 5) localStorage.removeItem(memory);
    else localStorage.setItem(memory, String(Math.floor(media.currentTime)));
  } catch {
    // a browser that stores nothing starts from the beginning
  }
}

/** What the viewer's list of screens calls this browser. */
function thisDevice() {
  const agent = navigator.userAgent;
  const browser = [["Edg/", "Edge"], ["OPR/", "Opera"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Safari/", "Safari"]].find(([mark]) => agent.includes(mark));
  const system = [["iPhone", "iPhone"], ["iPad", "iPad"], ["Android", "Android"], ["Windows", "Windows"], ["Mac OS", "Mac"], ["CrOS", "Chromebook"], ["Linux", "Linux"]].find(([mark]) => agent.includes(mark));
  return `${browser?.[1] ?? "Browser"} on ${system?.[1] ?? "a device"}`;
}

if (start) {
  start.hidden = false;
  start.addEventListener("click", play);
}
