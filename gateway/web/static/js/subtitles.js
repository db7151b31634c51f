// The subtitles of a title in the studio: what there is, a file more, one less.
import { api } from "./api.js";
import { busy, confirmed, field, h, onSubmit, toast, wrong } from "./dom.js";
import { isContainer } from "./states.js";

/** Languages to choose from, by BCP 47 tag; the API takes any. */
const TAGS = "en de fr es it pt pt-BR nl sv da nb fi pl cs sk hu ro bg el tr uk ru hr sr sl lt lv et he ar fa hi bn ta te ur id ms th vi zh zh-Hant ja ko sw".split(" ");
const MAX_BYTES = 2 << 20;

const nameOf = (tag) => {
  try {
    return new Intl.DisplayNames(["en"], { type: "language" }).of(tag);
  } catch {
    return tag;
  }
};

/** A panel for the subtitles of `title`; it stays away where the title can have none. */
export function subtitlesPanel(title) {
  if (isContainer(title)) return null;
  const list = h("ul", { class: "list" });
  const panel = h(
    "section",
    { class: "panel stack", "aria-labelledby": "d-subtitles", hidden: true },
    h("h2", { id: "d-subtitles" }, "Subtitles"),
    h("p", { class: "muted" }, "An SRT or WebVTT file a language. Viewers choose them in the player."),
    list,
  );
  const load = async () => {
    let items;
    try {
      ({ items } = await api("GET", `titles/${title.id}/subtitles`));
    } catch (problem) {
      panel.hidden = problem.status === 404 || problem.status === 405;
      list.replaceChildren(h("li", { class: "muted" }, problem.message));
      return;
    }
    panel.hidden = false;
    list.replaceChildren(...(items.length ? items.map((one) => subtitlesRow(title, one, load)) : [h("li", { class: "muted" }, "None yet.")]));
  };
  panel.append(subtitlesForm(title, load));
  load();
  return panel;
}

function subtitlesForm(title, load) {
  const file = h("input", { type: "file", name: "file", required: true, accept: ".srt,.vtt,text/vtt,application/x-subrip" });
  const language = h("select", { name: "language", required: true }, TAGS.map((tag) => h("option", { value: tag }, nameOf(tag))));
  const form = h(
    "form",
    { class: "stack", novalidate: true },
    h("div", { class: "notice notice-bad", role: "alert", "data-problem": "", hidden: true }),
    field("File", file, "UTF-8 or UTF-16 text, 2\u00a0MiB at most."),
    field("Language", language),
    check("default", "Shown unless a viewer chooses otherwise"),
    check("forced", "Only what must be read, such as signs"),
    h("div", {}, h("button", { class: "button", type: "submit" }, "Add subtitles")),
  );
  file.addEventListener("change", () => {
    const guess = tagIn(file.files[0]?.name ?? "");
    if (guess) language.value = guess;
  });
  onSubmit(form, async (values) => {
    if (values.file.size > MAX_BYTES) throw wrong("“File” is larger than 2\u00a0MiB, so it is hardly a file of subtitles.", "file");
    const query = new URLSearchParams();
    for (const name of ["default", "forced"]) if (values[name]) query.set(name, "true");
    try {
      await api("PUT", `titles/${title.id}/subtitles/${values.language}?${query}`, values.file);
    } catch (problem) {
      problem.details = { ...problem.details, field: "file" };
      throw problem;
    }
    form.reset();
    await load();
    toast(title.ceilings.length ? "Added. Players offer them in a moment." : "Added. Players offer them once the title is ready.");
  });
  return form;
}

function check(name, words) {
  return h("label", { class: "check" }, h("input", { type: "checkbox", name, value: "true" }), words);
}

/** The language in "harbour.pt-BR.srt"; null where there is none to choose from. */
function tagIn(name) {
  const found = /\.([A-Za-z]{2}(?:-[A-Za-z]{2,4})?)\.[A-Za-z]+$/.exec(name)?.[1].toLowerCase();
  return TAGS.find((tag) => tag.toLowerCase() === found) ?? null;
}

function subtitlesRow(title, { language, label, forced, default: first }, load) {
  const facts = [forced ? "only what must be read" : "", first ? "shown by default" : ""].filter(Boolean).join(", ");
  const remove = h("button", { class: "button button-small", type: "button", "aria-label": `Remove ${label}` }, "Remove");
  remove.addEventListener("click", () => busy(remove, async () => {
    if (!(await confirmed(`Remove the subtitles in ${label}?`, "Who watches now keeps them to the end.", "Remove"))) return;
    try {
      await api("DELETE", `titles/${title.id}/subtitles/${language}${forced ? "?forced=true" : ""}`);
      await load();
    } catch (problem) {
      toast(problem.message);
    }
  }));
  return h("li", {}, h("span", {}, label, " ", h("span", { class: "small muted" }, facts)), remove);
}
