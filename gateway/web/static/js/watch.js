// The watch page: asks for the right to play, builds the player, says in words what stands in the way.
import { api, Problem } from "./api.js";
import { openBox } from "./buy.js";
import { busy, h, icon, toast } from "./dom.js";
import { followMaking, makingLine, paint, sayWaiting } from "./making.js";
import { mount } from "./player.js";
import { refusal } from "./refusals.js";
import { turns } from "./turns.js";
import { ago, isPhone } from "./words.js";

const stage = document.getElementById("stage");
const start = document.getElementById("start");
const cover = document.getElementById("cover");
const { title } = stage.dataset;
const memory = `usher:position:${title}`;
/** After a refusal that a new link may mend, one is asked for by itself, but not more often than this. */
const RENEW_MS = 30_000;
/** What this browser remembers is newer than what the account knows for this long. */
const RECENT_MS = 120_000;
/** Of a film that was seen to here, nothing is left to go on with. */
const SEEN = 0.95;
/** Says why a right that stood a moment ago is gone. */
const TAKEN_BACK = "entitlement-taken-back";
/** Waits before each look at why a film that played may not play on. */
const LOOKS_MS = [0, 1000, 2000, 4000, 8000, 16_000];
/** After so many looks a right that is about to end has ended; one that stands gets another link. */
const FIRST_LOOKS = 3;

let playing = null;
let renewedAt = 0;
/** What is found out for an earlier try to play counts no more. */
const beginTry = turns();
let tried = beginTry();
/** Links in a row that were over before the film played: each waits longer for the next one. */
let unplayed = 0;
let watched = new AbortController();

/** Ask for the right to play, and play. When that is refused, `otherwise` is said if given, else the refusal. */
async function play({ otherwise } = {}) {
  if (start.getAttribute("aria-busy") === "true") return;
  tried = beginTry();
  const wishedAt = performance.now();
  start.setAttribute("aria-busy", "true");
  lift();
  try {
    if (!navigator.onLine) throw new Problem(0);
    const answer = await api("POST", `titles/${title}/play`, {});
    const kind = answer.player.sound_only ? "player-sound" : "player-video";
    const startAt = startOf(answer.player.start_s);
    playing = await mount(stage, document.getElementById(kind), answer, { title, startAt, wishedAt, onRefused: refused });
    present(answer.player);
    if (answer.making) accompany(playing);
    box?.load();
  } catch (problem) {
    if (problem instanceof Problem) {
      await curtain(otherwise ?? problem);
      if (problem.status === 403) box?.load();
    } else {
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
  media.addEventListener("playing", () => {
    unplayed = 0;
  });
  if ("mediaSession" in navigator) {
    const artwork = cover.querySelector("img") ? [{ src: cover.querySelector("img").src }] : [];
    navigator.mediaSession.metadata = new MediaMetadata({ title: stage.dataset.name, artwork });
  }
}

/** Tell how far the making is, and why the film waits, while it plays. */
function accompany({ media, controller }) {
  const line = document.getElementById("making");
  const note = controller.querySelector(".being-made");
  const range = controller.querySelector("media-time-range");
  let known = { making: true, made: [], fraction: 0, duration_s: 0 };
  watched = new AbortController();
  const { signal } = watched;
  signal.addEventListener("abort", () => {
    line.hidden = true;
  });
  sayWaiting(media, note, { bar: range.parentElement, known: () => known, signal });
  followMaking(title, {
    signal,
    show(now) {
      known = now;
      paint(range, now);
      line.textContent = makingLine(now);
      line.hidden = !now.making;
    },
  });
}

/**
 * The edge refused what plays. A link that is merely over is renewed where it stood, and so is one to a film of which
 * no more is made, since it may be made anew; all else is said.
 */
function refused(problem) {
  if (!playing) return;
  remember(playing.media);
  watched.abort();
  playing.stop();
  playing = null;
  const over = problem.status === 401 || (problem.status === 410 && problem.code === "over");
  const unmade = problem.code === "not-made";
  if ((over || unmade) && Date.now() - renewedAt > RENEW_MS) {
    renewedAt = Date.now();
    play(unmade ? { otherwise: problem } : {});
  } else if (over || problem.code === "revoked") said(problem);
  else curtain(problem);
}

/**
 * Say why a link is worth nothing any more. The right itself may be over or taken back, which is known a moment later,
 * and of a right that ends in a moment each link is over at once: so it is looked at again. Whose right still stands
 * after all that gets another link.
 */
async function said(problem) {
  const signal = tried;
  const isWithdrawn = problem.code === "revoked";
  let isTold = false;
  for (const wait of isWithdrawn ? LOOKS_MS : LOOKS_MS.slice(0, FIRST_LOOKS + unplayed)) {
    await new Promise((next) => setTimeout(next, wait));
    if (signal.aborted) return;
    const why = await standsInTheWay();
    if (signal.aborted) return;
    if (why) {
      if (isWithdrawn && why.code === "entitlement-no-right") why.code = TAKEN_BACK;
      await curtain(why);
      box?.load();
      return;
    }
    if (!isTold) await curtain(problem);
    isTold = true;
  }
  if (signal.aborted || isWithdrawn) return;
  unplayed += 1;
  play();
}

/** Why this viewer may not watch now, as a Problem; null when they may. */
async function standsInTheWay() {
  try {
    await api("GET", `titles/${title}/making`);
    return null;
  } catch (problem) {
    return [401, 403, 410].includes(problem.status) ? problem : null;
  }
}

async function curtain(problem) {
  const { sign, heading, words, ways, wait, screens } = refusal(problem);
  if (ways.some((way) => way.buy)) await box?.ready;
  const listed = problem.status === 409 ? await screensInUse(screens) : [];
  const choices = listed.filter((seat) => seat.id);
  const offered = ways.filter((way) => (!way.instead || choices.length) && (!way.buy || box?.sells()));
  const buttons = offered.map((way, index) => {
    const attributes = { class: index ? "button" : "button button-main", type: "button" };
    if (way.instead) return h("button", { ...attributes, onclick: (event) => instead(event.currentTarget) }, way.label);
    if (way.buy) return h("button", { ...attributes, onclick: () => box.show() }, way.label);
    if (way.retry) return h("button", { ...attributes, onclick: wish }, way.label);
    return h("a", { class: attributes.class, href: way.href() }, way.label);
  });
  const shown = h(
    "div",
    { class: "curtain", role: "alert", tabindex: "-1", id: "curtain" },
    icon(sign),
    h("h2", {}, heading),
    h("p", {}, words),
    listed.length ? screenList(listed, choices.length > 1) : null,
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

/** Stop what plays on the chosen screen, then play here. */
function instead(button) {
  const chosen = stage.querySelector("input[name=screen]:checked, input[name=screen][type=hidden]");
  busy(button, async () => {
    try {
      await api("DELETE", `me/sessions/${encodeURIComponent(chosen.value)}`);
    } catch (problem) {
      // Gone already: somebody was faster, and the screen may well be free.
      if (problem.status !== 404) {
        toast(problem.message);
        return;
      }
    }
    await play();
  });
}

function retryIn(seconds, shown) {
  const again = () => {
    if (shown.isConnected) play();
  };
  setTimeout(again, seconds * 1000);
  addEventListener("online", again, { once: true });
}

/** The screens in use as the account knows them, the longest in use first; what the edge told when nobody else tells. */
async function screensInUse(told) {
  try {
    const { items } = await api("GET", "me/sessions");
    return items.filter((seat) => !seat.current);
  } catch {
    return told.map(({ place, since }) => ({ device: "", place, since }));
  }
}

function screenList(listed, choosing) {
  const items = listed.map((seat, index) => {
    const about = describe(seat);
    if (!seat.id) return h("li", {}, about);
    const type = choosing ? "radio" : "hidden";
    return h("li", {}, h("label", {}, h("input", { type, name: "screen", value: seat.id, checked: choosing && index === 0 }), about));
  });
  return h("ul", { class: "screens", "aria-label": "Screens in use" }, items);
}

/** Which device, what it plays, where and since when. */
function describe({ device, title: film, place, since }) {
  const name = device || "Another screen";
  const where = [film?.name, place ? `network ${place}` : "", since ? `started ${ago(since)}` : ""].filter(Boolean).join(" · ");
  return [icon(isPhone(name) ? "phone" : "screen"), h("span", {}, name, where ? h("small", {}, where) : null)];
}

function lift() {
  document.getElementById("curtain")?.remove();
  stage.classList.remove("curtained");
}

/** Where to go on: where this browser was a moment ago, else where the account was last, else where this browser was. */
function startOf(known) {
  let kept = null;
  try {
    kept = JSON.parse(localStorage.getItem(memory));
  } catch {
    // nothing is kept here
  }
  if (kept?.at && Date.now() - kept.at < RECENT_MS) return kept.t;
  return known || kept?.t || 0;
}

function remember(media) {
  const atEnd = media.duration && media.currentTime > SEEN * media.duration;
  try {
    if (atEnd || media.currentTime < 5) localStorage.removeItem(memory);
    else localStorage.setItem(memory, JSON.stringify({ t: Math.floor(media.currentTime), at: Date.now() }));
  } catch {
    // a browser that stores nothing goes on where the account was last
  }
}

addEventListener("pagehide", () => {
  if (playing) remember(playing.media);
});

/** Somebody wishes to play: a link that turns out to be over is renewed, whatever was renewed before. */
function wish() {
  renewedAt = 0;
  unplayed = 0;
  play();
}

const box = openBox((hasClock) => {
  if (playing) return true;
  // Whoever pressed play here waits for it; else a time that runs from the first play is not begun for them.
  const isWished = !hasClock || document.getElementById("curtain") !== null;
  if (isWished) wish();
  return isWished;
});

if (start) {
  start.hidden = false;
  start.addEventListener("click", wish);
}
