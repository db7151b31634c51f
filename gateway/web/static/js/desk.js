// One title's desk: its file and the work on it, name and words, what it is offered for, publishing, who may watch.
import { all, api, once } from "./api.js";
import { copyLine } from "./copy.js";
import { busy, confirmed, field, h, icon, notice, onSubmit, toast, toasted } from "./dom.js";
import { followJob, jobView, RUNNING } from "./jobs.js";
import { offersPanel } from "./offers.js";
import { partnersPanel } from "./partners.js";
import { isContainer, stateBadge } from "./states.js";
import { stillsPanel } from "./stills.js";
import { subtitlesPanel } from "./subtitles.js";
import { drop, transferView } from "./transfer-view.js";
import { turns } from "./turns.js";
import { Transfer, transfers } from "./uploads.js";
import { ago, percent, size, spoken } from "./words.js";

/** The desk of `title`, with what one `may` do: its elements, and what begins once they are on the page. */
export function desk(title, { settings, may, reload }) {
  const media = h("section", { class: "panel stack", "aria-labelledby": "d-media" }, h("h2", { id: "d-media" }, "File"));
  const isEditor = may("title:write");
  const offers = may("offer:read") ? offersPanel(title, { mayChange: may("offer:write") }) : null;
  const left = h("div", { class: "desk-column" }, ...[media, isEditor ? aboutPanel(title, reload) : aboutWords(title), offers].filter(Boolean));
  const about = { settings, may, reload };
  const publish = publishPanel(title, about);
  const people = [
    may("title:report") ? partnersPanel(title, { mayChange: may("payout:write") }) : null,
    may("entitlement:read") ? viewersPanel(title, { mayChange: may("entitlement:write") }) : null,
  ];
  const shown = isEditor ? [stillsPanel(title), subtitlesPanel(title)] : [];
  const right = h("div", { class: "desk-column" }, ...[publish, ...shown, ...people].filter(Boolean));
  const badge = stateBadge(title);
  const back = h("a", { class: "crumb", href: "/studio", "data-inside": "" }, icon("back"), "All titles");
  const head = h("div", {}, back, h("div", { class: "row" }, h("h1", {}, title.name), badge));
  return {
    children: [head, takedown(title), h("div", { class: "desk" }, left, right)].filter(Boolean),
    begin: (signal) => mediaPanel(media, title, { signal, may, reload, onPlayable: () => toasted(() => refresh({ publish, badge }, title, about)) }),
  };
}

/** The film can be watched from now on: the panel that publishes it says so, and nothing that was typed is lost. */
async function refresh({ publish, badge }, title, about) {
  Object.assign(title, await api("GET", `titles/${title.id}`));
  const fresh = publishPanel(title, about);
  const isInside = publish.contains(document.activeElement);
  publish.replaceWith(fresh);
  if (isInside) fresh.querySelector("button, a")?.focus({ preventScroll: true });
  badge.replaceWith(stateBadge(title));
}

function takedown(title) {
  if (!title.takedown) return null;
  const { reason, notice: words } = title.takedown;
  return notice(
    "bad",
    h("strong", {}, "This title was taken down. Nobody can watch it meanwhile."),
    words ? h("p", {}, words) : null,
    reason && reason !== words ? h("p", { class: "small" }, `Reason: ${reason}`) : null,
  );
}

async function mediaPanel(panel, title, { signal, may, reload, onPlayable }) {
  const content = h("div", { class: "stack" });
  panel.append(content);
  const sending = transfers.get(title.id);
  if (sending) {
    showTransfer(content, sending, { signal, reload });
    return;
  }
  try {
    const [job] = may("job:read") ? (await api("GET", `titles/${title.id}/jobs`)).items : [];
    if (signal.aborted) return;
    if (job && RUNNING.has(job.state)) showJob(content, job, { signal, may, reload, onPlayable: title.making ? null : onPlayable });
    else await showFile(content, title, job, { signal, may, reload });
  } catch (problem) {
    content.replaceChildren(notice("bad", problem.message));
    if (!problem.code) throw problem;
  }
}

function showJob(content, job, { signal, may, reload, onPlayable }) {
  let told = !onPlayable;
  const shown = h("div", {}, jobView(job));
  content.replaceChildren(shown, may("job:write") ? h("div", {}, cancelButton(job, reload)) : "");
  followJob(job.id, (now) => {
    shown.replaceChildren(jobView(now));
    if (!RUNNING.has(now.state)) reload();
    else if (now.playable && !told) {
      told = true;
      onPlayable();
    }
  }, signal);
}

function cancelButton(job, reload) {
  const button = h("button", { class: "button button-small", type: "button" }, "Stop the work");
  button.addEventListener("click", async () => {
    const words = "What is done is kept, and you can let it go on later. Until then nobody sees more of it.";
    if (await confirmed("Stop making this title?", words, "Stop the work")) await tell(button, job, "cancel", reload);
  });
  return button;
}

function retryButton(job, reload) {
  const button = h("button", { class: "button button-small", type: "button" }, job.state === "cancelled" ? "Go on with it" : "Try again");
  button.addEventListener("click", () => tell(button, job, "retry", reload));
  return button;
}

/** Tell the farm what to do with a job, then show what came of it. */
function tell(button, job, verb, reload) {
  return busy(button, async () => {
    await toasted(() => api("POST", `jobs/${job.id}/${verb}`));
    await reload();
  });
}

async function showFile(content, title, job, { signal, may, reload }) {
  const parts = [];
  if (job?.state === "failed" || job?.state === "cancelled") parts.push(jobView(job));
  if (parts.length && !job.refused && may("job:write")) parts.push(h("div", {}, retryButton(job, reload)));
  const facts = [
    title.duration_s ? spoken(title.duration_s) : null,
    title.sound_only ? "sound" : title.height ? `up to ${title.height}p` : null,
    title.ceilings?.length > 1 ? `${title.ceilings.length} sizes` : null,
  ].filter(Boolean);
  if (facts.length) parts.push(h("p", { class: "row" }, icon(title.sound_only ? "sound" : "film"), facts.join(" · ")));
  const waiting = title.upload ?? (await waitingUpload(title));
  if (waiting) {
    const share = percent(waiting.offset / (waiting.size_bytes || 1));
    parts.push(notice("warn", `The upload stopped at ${share} of ${size(waiting.size_bytes)}. Choose the same file again and it goes on from there.`));
  }
  if (isContainer(title)) parts.push(h("p", { class: "muted" }, "This title holds others and has no file of its own."));
  else if (may("title:upload")) parts.push(zone(title, { waiting, job, content }, { signal, reload }));
  content.replaceChildren(...parts);
}

/** A single title does not tell of its upload; the studio's listing does. */
async function waitingUpload(title) {
  if (title.state !== "draft") return null;
  return (await all("studio/titles?limit=50")).find((one) => one.id === title.id)?.upload ?? null;
}

function zone(title, { waiting, job, content }, { signal, reload }) {
  const words = waiting ? "Drop the same file to go on" : title.duration_s ? "Drop a file to replace it" : "Drop the file here";
  const take = (file, options) => {
    const transfer = new Transfer(title.id, file, options);
    transfer.start();
    showTransfer(content, transfer, { signal, reload });
  };
  return drop(words, take, { small: true, label: job?.refused ? "Upload another file" : undefined });
}

function showTransfer(content, transfer, { signal, reload }) {
  content.replaceChildren(transferView(transfer, signal));
  transfer.addEventListener("change", () => {
    if (signal.aborted) return;
    if (transfer.state === "done") {
      content.replaceChildren(h("p", { class: "muted", role: "status" }, "The file is complete. Looking for a free worker …"));
      setTimeout(reload, 300);
    } else if (transfer.state === "cancelled") reload();
  }, { signal });
}

function aboutPanel(title, reload) {
  const name = h("input", { name: "name", required: true, maxlength: "200", value: title.name });
  const description = h("textarea", { name: "description", maxlength: "5000", rows: "6", value: title.description });
  const form = h(
    "form",
    { class: "panel stack", novalidate: true },
    h("h2", {}, "About"),
    h("div", { class: "notice notice-bad", role: "alert", "data-problem": "", hidden: true }),
    field("Name", name),
    field("Description", description, "What people read before they decide."),
    h("div", {}, h("button", { class: "button button-main", type: "submit" }, "Save")),
  );
  onSubmit(form, async (values) => {
    await api("PATCH", `titles/${title.id}`, { name: values.name.trim(), description: values.description });
    toast("Saved.");
    await reload();
  });
  return form;
}

/** The same, for who does not write it. */
function aboutWords({ description }) {
  const words = description ? h("p", { class: "prose" }, description) : h("p", { class: "muted" }, "Nothing is said about it yet.");
  return h("section", { class: "panel stack", "aria-labelledby": "d-about" }, h("h2", { id: "d-about" }, "About"), words);
}

const ADVICE = {
  draft: "Upload a file first. As soon as it is ready you can publish it.",
  processing: "The versions are being made. You can publish as soon as they are ready.",
  ready: "Everything is ready. Publishing puts it on the front page.",
  published: "It is on the front page.",
  archived: "It is off the front page and nobody finds it. Publish it to bring it back.",
};

function adviceFor(title) {
  if (isContainer(title)) return ADVICE[title.state] ?? "";
  if (title.state === "published" && title.making) return "It is on the front page. Who watches sees what is made so far, and the rest as it comes.";
  if (title.state === "published" && !title.ceilings.length) return "Nobody can watch it before its file is made: it has its place on the front page all the same.";
  if (title.state === "processing" && title.ceilings.length) return "It can be watched already, so you need not wait: publish it now, and the rest follows as it is made.";
  return ADVICE[title.state] ?? "";
}

function publishPanel(title, { settings, may, reload }) {
  const trouble = h("div", { role: "alert" });
  const act = (verb, done) => async (event) => {
    trouble.replaceChildren();
    await busy(event.currentTarget, async () => {
      try {
        await api("POST", `titles/${title.id}/${verb}`);
        toast(done);
        await reload();
      } catch (problem) {
        trouble.replaceChildren(notice("bad", problem.message));
      }
    });
  };
  const archive = act("archive", "Taken off the front page.");
  const watchable = title.ceilings.length > 0;
  const first = h("button", { class: "button button-main", type: "button", onclick: act("publish", "Published.") }, "Publish");
  const buttons = {
    ready: first,
    processing: watchable ? first : null,
    archived: h("button", { class: "button button-main", type: "button", onclick: act("publish", "Published.") }, "Publish again"),
    published: h("button", { class: "button", type: "button", onclick: async (event) => {
      const target = event.currentTarget;
      if (await confirmed("Take it off the front page?", "Nobody finds it any more until you publish it again.", "Take it off")) await archive({ currentTarget: target });
    } }, "Take off the front page"),
  };
  if (title.takedown) {
    return h("section", { class: "panel stack", "aria-labelledby": "d-publish" }, h("h2", { id: "d-publish" }, "Publish"), h("p", { class: "muted" }, "It comes back as it was when the portal lifts the takedown."));
  }
  const showing = title.state === "published" || title.state === "ready" || (title.state === "processing" && watchable);
  const look = showing ? h("a", { class: "button", href: title.watch_url }, icon("play"), title.state === "published" ? "Watch page" : "Preview") : null;
  const links = title.state === "published" ? linkLine(settings.origin + title.watch_url) : null;
  return h(
    "section",
    { class: "panel stack", "aria-labelledby": "d-publish" },
    h("h2", { id: "d-publish" }, "Publish"),
    h("p", { class: "muted" }, adviceFor(title)),
    trouble,
    h("div", { class: "row" }, may("title:publish") ? buttons[title.state] : null, look),
    links,
  );
}

function linkLine(address) {
  const shown = h("input", { class: "input", readonly: true, value: address, "aria-label": "Link to the watch page" });
  return copyLine(shown, "Copy the link", "The link is copied.");
}

function viewersPanel(title, { mayChange }) {
  const list = h("ul", { class: "list", id: "viewers" });
  const input = h("input", { name: "username", required: true, autocapitalize: "none", autocomplete: "off", spellcheck: "false" });
  const form = h(
    "form",
    { class: "stack", novalidate: true },
    h("div", { class: "notice notice-bad", role: "alert", "data-problem": "", hidden: true }),
    field("User name", input),
    h("div", {}, h("button", { class: "button", type: "submit" }, "Let them watch")),
  );
  const begin = turns();
  const load = async () => {
    const signal = begin();
    try {
      const { items } = await api("GET", `titles/${title.id}/viewers`);
      if (signal.aborted) return;
      const rows = items.map((viewer) => viewerRow(title, viewer, mayChange ? load : null));
      list.replaceChildren(...(rows.length ? rows : [h("li", { class: "muted" }, "Nobody yet.")]));
    } catch (problem) {
      if (!signal.aborted) list.replaceChildren(h("li", { class: "muted" }, problem.message));
      if (!problem.code) throw problem;
    }
  };
  onSubmit(form, async ({ username }) => {
    try {
      await once("PUT", `titles/${title.id}/viewers/${encodeURIComponent(username.trim())}`);
    } catch (problem) {
      if (problem.status === 404) problem.message = `Nobody here is called “${username.trim()}”. Check the spelling.`;
      throw problem;
    }
    input.value = "";
    await load();
    toast(`${username.trim()} may watch it now.`);
  });
  load();
  return h(
    "section",
    { class: "panel stack", "aria-labelledby": "d-viewers" },
    h("h2", { id: "d-viewers" }, "Viewers you let in"),
    h("p", { class: "muted" }, "They watch without paying, whatever others pay."),
    mayChange ? form : null,
    list,
  );
}

/** A viewer, with a button that removes them and then calls `load`, if there is one. */
function viewerRow(title, viewer, load) {
  const remove = h("button", { class: "button button-small", type: "button", "aria-label": `Remove ${viewer.username}` }, "Remove");
  remove.addEventListener("click", () => busy(remove, () => toasted(async () => {
    await once("DELETE", `titles/${title.id}/viewers/${encodeURIComponent(viewer.username)}`);
    await load();
  })));
  return h("li", {}, h("span", {}, viewer.username, " ", h("span", { class: "small muted" }, viewer.since ? `since ${ago(viewer.since)}` : "")), load && remove);
}
