// One film in one media element: hls.js where it can, the browser's own HLS else; signs of life; freeing the seat.
import { Problem, problemOf } from "./api.js";
import { loadChrome } from "./chrome.js";
import { h } from "./dom.js";
import { experience } from "./experience.js";
import { patience } from "./patience.js";
import { Renditions } from "./renditions.js";
import { SoundTracks } from "./tracks.js";

/** A film paused longer than this lets its seat go; it takes one again when it plays on. */
const HOLD_PAUSED_MS = 30 * 60_000;
/** By then the farewell of the page before this one has reached the edge. */
const SETTLED_MS = 2000;
/**
 * What hls.js tells of each request: all of CMCD 1 (CTA-5004) but `bs`. It takes a seek for a dry buffer, and says so
 * only if there is anything left to fetch; experience.js knows better, and what both told would count twice.
 */
const CMCD_KEYS = ["bl", "br", "cid", "d", "dl", "mtp", "nor", "ot", "pr", "rtp", "sf", "sid", "st", "su", "tb"];
/** Network errors hls.js may try to mend by itself before the viewer hears of them. */
const TRIES = 3;

/** Fetch a playlist once to learn what the edge says, as a Problem; null when it answers well. */
export async function ask(url) {
  try {
    const response = await fetch(url, { cache: "no-store" });
    return response.ok ? null : await problemOf(response);
  } catch {
    return new Problem(0);
  }
}

/**
 * Build the player from a template and start `play.url`, wished for at `wishedAt` by the clock of `performance`.
 * `onRefused(problem)` is called when it cannot go on. Answers `{media, stop}`; `stop` takes all of it away and frees the seat.
 */
export async function mount(stage, template, play, { title, startAt, wishedAt, onRefused }) {
  const [{ default: Hls }] = await Promise.all([import("../vendor/hls.mjs"), loadChrome()]);
  const parts = document.importNode(template.content, true);
  const controller = parts.querySelector("media-controller");
  const media = parts.querySelector("[slot=media]");
  const leave = new AbortController();
  // What was asked of the edge before all this was taken away is nobody's refusal any more.
  const refuse = (problem) => {
    if (!leave.signal.aborted) onRefused(problem);
  };
  const release = Hls.isSupported()
    ? viaHls(Hls, media, play, { title, startAt, parts, onRefused: refuse, signal: leave.signal })
    : natively(media, play.url, { startAt, onRefused: refuse, signal: leave.signal });
  if (play.player.sprites) media.append(h("track", { kind: "metadata", label: "thumbnails", src: play.player.sprites, default: true }));
  stage.append(parts);
  begin(media);
  const end = signsOfLife(media, play.player, { wishedAt, onRefused: refuse, signal: leave.signal });
  return {
    media,
    controller,
    stop() {
      end();
      leave.abort();
      release();
      controller.remove();
    },
  };
}

async function begin(media) {
  try {
    await media.play();
  } catch {
    // the browser wants another press; the controls are there for it
  }
}

function viaHls(Hls, media, { url, sid, player, making }, { title, startAt, parts, onRefused, signal }) {
  let tries = 0;
  let isOver = false;
  const workerPath = new URL("../vendor/hls.worker.js", import.meta.url).href;
  const cmcd = player.cmcd ? { sessionId: sid, contentId: title, useHeaders: false, includeKeys: CMCD_KEYS } : undefined;
  const hls = new Hls({ workerPath, cmcd, startPosition: startAt || -1, maxBufferLength: 60, backBufferLength: 90, capLevelToPlayerSize: true, ...(making && patience(Hls)) });
  const renditions = new Renditions(hls);
  if (media instanceof HTMLVideoElement) media.videoRenditions = renditions;
  offerTracks(Hls, hls, media, parts);
  hls.on(Hls.Events.MANIFEST_PARSED, (_, { levels }) => {
    if (levels.length > 1) renditions.fill(levels);
  });
  hls.on(Hls.Events.FRAG_BUFFERED, () => {
    tries = 0;
  });
  hls.on(Hls.Events.ERROR, async (_, data) => {
    const status = data.response?.code ?? 0;
    const isUnmade = Boolean(making && data.frag && status === 410);
    if (isOver || !(data.fatal || isUnmade)) return;
    tries += 1;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && tries <= TRIES) {
      hls.recoverMediaError();
      return;
    }
    if (making && data.frag && status === 503) {
      hls.startLoad();
      return;
    }
    isOver = isUnmade;
    hls.stopLoad();
    const problem = await ask(url);
    if (signal.aborted) return;
    if (problem) onRefused(problem);
    else if (isUnmade) whenDry(media, () => onRefused(new Problem(410, { code: "not-made" })), signal);
    else if (tries > TRIES) onRefused(new Problem(status));
    // hls.js asks by itself for what the first playlist names, but not for that one again.
    else if (hls.levels.length) hls.startLoad();
    else hls.loadSource(url);
  });
  hls.loadSource(url);
  hls.attachMedia(media);
  if (making) beginElsewhere(hls, media, { startAt, parts, signal });
  return () => hls.destroy();
}

/**
 * A film that is to begin where it is not made stands there already, though nothing is there; and whoever would rather
 * begin elsewhere is heard, which browsers tell nobody of before they know anything of the film.
 */
function beginElsewhere(hls, media, { startAt, parts, signal }) {
  if (startAt) media.currentTime = startAt;
  parts.querySelector("media-controller").addEventListener("mediaseekrequest", ({ detail: place }) => {
    if (media.readyState > HTMLMediaElement.HAVE_NOTHING) return;
    hls.config.startPosition = place;
    hls.loadSource(hls.url);
  }, { signal });
}

/** Call `act` once the film has nothing left to play on from: what is there of it is watched first. */
function whenDry(media, act, signal) {
  if (signal.aborted) return;
  if (media.readyState < HTMLMediaElement.HAVE_FUTURE_DATA) act();
  else media.addEventListener("waiting", act, { once: true, signal });
}

/** What there is to choose from in the menu: sound tracks, and subtitles where there are any. */
function offerTracks(Hls, hls, media, parts) {
  const [sound, subtitles] = ["sound", "subtitles"].map((name) => parts.querySelector(`[data-menu-of=${name}]`));
  const tracks = new SoundTracks(hls);
  Object.defineProperty(media, "audioTracks", { value: tracks, configurable: true });
  hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, (_, { audioTracks }) => {
    tracks.fill(audioTracks);
    if (sound) sound.hidden = audioTracks.length < 2;
  });
  hls.on(Hls.Events.AUDIO_TRACK_SWITCHED, () => tracks.switched());
  hls.on(Hls.Events.SUBTITLE_TRACKS_UPDATED, (_, { subtitleTracks }) => {
    if (subtitles) subtitles.hidden = !subtitleTracks.length;
  });
}

function natively(media, url, { startAt, onRefused, signal }) {
  media.src = url;
  media.addEventListener("loadedmetadata", () => {
    if (startAt) media.currentTime = startAt;
  }, { once: true, signal });
  media.addEventListener("error", async () => {
    onRefused((await ask(url)) ?? new Problem(500, { detail: "This browser cannot play the film." }));
  }, { signal });
  return () => {
    media.removeAttribute("src");
    media.load();
  };
}

/**
 * A beat each `beat_s` keeps the seat while nothing is fetched, and tells how far the film is and how it fares; so
 * does each pause and seek. Leaving the page frees the seat. Coming back to it (a page from the browser's own memory)
 * takes one again, and what played plays on. Answers a function that frees the seat.
 */
function signsOfLife(media, { beat_s: every, base_url: base, cmcd }, { wishedAt, onRefused, signal }) {
  const fares = cmcd ? experience(media, { wishedAt, signal }) : () => ({ cmcd: "", untold() {} });
  let pausedAt = media.paused ? Date.now() : 0;
  let left = false;
  let wasPlaying = false;
  const sign = (name, { cmcd: words }) => {
    const said = new URLSearchParams();
    // Until it plays, the film stands at 0 and not where it will go on.
    if (media.played.length) said.set("t", media.currentTime.toFixed(1));
    if (words) said.set("CMCD", words);
    return `${base}/${name}?${said}`;
  };
  const beat = async () => {
    if (left || (pausedAt && Date.now() - pausedAt > HOLD_PAUSED_MS)) return;
    const news = fares();
    try {
      const response = await fetch(sign("beat", news), { method: "POST", keepalive: true });
      if (response.status === 410 || (response.status === 409 && !media.paused)) onRefused(await problemOf(response));
    } catch {
      // no network: playing on from the buffer is fine, and the player says so when it runs dry
      news.untold();
    }
  };
  const end = () => {
    if (left) return;
    left = true;
    navigator.sendBeacon(sign("end", fares(true)));
  };
  const back = () => {
    if (!left) return;
    left = false;
    beat();
  };
  media.addEventListener("pause", () => {
    pausedAt = Date.now();
    if (!media.ended) beat();
  }, { signal });
  media.addEventListener("seeked", beat, { signal });
  media.addEventListener("play", () => {
    pausedAt = 0;
    back();
  }, { signal });
  media.addEventListener("ended", async () => {
    await beat();
    if (media.ended) end();
  }, { signal });
  // A reload keeps its session, and the page that went may free its seat after this one took it: a beat takes it back.
  const soon = setTimeout(beat, SETTLED_MS);
  const timer = setInterval(beat, every * 1000);
  signal.addEventListener("abort", () => {
    clearTimeout(soon);
    clearInterval(timer);
  });
  addEventListener("pagehide", () => {
    wasPlaying = !media.paused;
    end();
  }, { signal });
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted || media.ended) return;
    back();
    if (wasPlaying) begin(media);
  }, { signal });
  return end;
}
