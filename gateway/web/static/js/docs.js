// The API reference, made from /v1/openapi.json: search, each route with what it takes, answers and a curl line.
import { h, icon, toast } from "./dom.js";

const room = document.getElementById("operations");
const search = document.getElementById("q");
const count = document.getElementById("count");
const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];
let spec = {};

function resolve(schema, depth = 0) {
  if (!schema?.$ref || depth > 20) return schema ?? {};
  const target = schema.$ref.replace("#/", "").split("/").reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], spec);
  return resolve(target, depth + 1);
}

/** A type as one writes it: `string`, `Title[]`, `"a" | "b"`. */
function typeOf(schema) {
  if (!schema) return "any";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choice = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (choice) return choice.map(typeOf).join(" | ");
  if (schema.type === "array") return `${typeOf(schema.items)}[]`;
  if (schema.type === "object" && schema.additionalProperties) return `{[name]: ${typeOf(schema.additionalProperties)}}`;
  return schema.format ? `${schema.type} (${schema.format})` : String(schema.type ?? "any");
}

function limits(schema) {
  const words = { minLength: "at least # characters", maxLength: "at most # characters", minimum: "at least #", maximum: "at most #", pattern: "like #" };
  return Object.entries(words).filter(([key]) => schema[key] !== undefined).map(([key, text]) => text.replace("#", schema[key]));
}

function example(schema, depth = 0) {
  const whole = resolve(schema);
  if (depth > 4) return "…";
  if (whole.default !== undefined) return whole.default;
  if (whole.const !== undefined) return whole.const;
  if (whole.enum) return whole.enum[0];
  const choice = whole.anyOf ?? whole.oneOf;
  if (choice) return example(choice.find((one) => one.type !== "null"), depth);
  if (whole.type === "object" || whole.properties) {
    const needed = new Set(whole.required ?? Object.keys(whole.properties ?? {}));
    return Object.fromEntries(Object.entries(whole.properties ?? {}).filter(([name]) => needed.has(name)).map(([name, one]) => [name, example(one, depth + 1)]));
  }
  if (whole.type === "array") return [];
  return { string: "…", integer: 0, number: 0, boolean: false }[whole.type] ?? null;
}

function fields(schema) {
  const whole = resolve(schema);
  const properties = Object.entries(whole.properties ?? {});
  if (!properties.length) return h("p", {}, h("code", {}, typeOf(schema)));
  const needed = new Set(whole.required ?? []);
  const rows = properties.map(([name, one]) => {
    const target = resolve(one);
    const notes = [one.description ?? target.description, ...limits(target), one.default !== undefined ? `default ${JSON.stringify(one.default)}` : null];
    return h(
      "tr",
      {},
      h("td", {}, h("code", {}, name), needed.has(name) ? null : h("span", { class: "muted small" }, " optional")),
      h("td", {}, h("code", {}, typeOf(one))),
      h("td", { class: "muted" }, notes.filter(Boolean).join("; ")),
    );
  });
  return table(["Field", "Type", "Notes"], rows);
}

function table(heads, rows) {
  return h("table", {}, h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows));
}

function curl(operation) {
  const origin = room.dataset.origin || location.origin;
  const parts = [`curl ${operation.method === "GET" ? "" : `-X ${operation.method} `}${origin}${operation.path}`];
  if (operation.security?.length) parts.push('-H "Authorization: Bearer $USHER_TOKEN"');
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  if (body) parts.push('-H "Content-Type: application/json"', `-d '${JSON.stringify(example(body))}'`);
  return parts.join(" \\\n  ");
}

function code(text) {
  const copy = h("button", { class: "button button-small", type: "button", "aria-label": "Copy" }, icon("copy"));
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text).then(() => toast("Copied."), () => toast("The browser did not allow copying."));
  });
  return h("div", { class: "code" }, h("pre", { tabindex: "0" }, h("code", {}, text)), copy);
}

function responses(operation) {
  const rows = Object.entries(operation.responses ?? {}).map(([status, answer]) => {
    const [type, content] = Object.entries(answer.content ?? {})[0] ?? ["", null];
    return h("tr", {}, h("td", { class: "figures" }, status), h("td", {}, content ? h("code", {}, typeOf(content.schema)) : "–"), h("td", { class: "muted" }, [answer.description, type].filter(Boolean).join(", ")));
  });
  const good = Object.entries(operation.responses ?? {}).find(([status]) => status.startsWith("2"))?.[1];
  const schema = good?.content?.["application/json"]?.schema;
  return [h("h3", {}, "Answers"), table(["Status", "Body", "Meaning"], rows), schema ? fields(schema) : null];
}

function body(operation) {
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  const parameters = (operation.parameters ?? []).map((one) =>
    h("tr", {}, h("td", {}, h("code", {}, one.name)), h("td", {}, one.in), h("td", { class: "muted" }, [one.description, one.required ? "required" : null].filter(Boolean).join("; "))),
  );
  const limit = operation["x-rate-limit"];
  return h(
    "div",
    { class: "operation-body" },
    operation.description && operation.description !== operation.summary ? h("p", {}, coded(operation.description)) : null,
    h("p", { class: "small muted" }, [operation.security?.length ? "Needs a login." : "Needs no login.", limit ? ` At most ${limit.count} in ${limit.per_s} s.` : ""]),
    code(curl(operation)),
    parameters.length ? [h("h3", {}, "Parameters"), table(["Name", "In", "Notes"], parameters)] : null,
    schema ? [h("h3", {}, "Body"), fields(schema)] : null,
    responses(operation),
  );
}

/** Words with `names` in backticks set as code. */
function coded(words) {
  return words.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
}

function card(operation) {
  const details = h(
    "details",
    { class: "operation", id: operation.operationId },
    h(
      "summary",
      {},
      h("span", { class: `method method-${operation.method.toLowerCase()}` }, operation.method),
      h("span", { class: "path" }, operation.path),
      operation.security?.length ? h("span", { class: "muted", title: "Needs a login" }, icon("lock"), h("span", { class: "seen-by-readers" }, "needs a login")) : h("span", {}),
      h("span", { class: "says" }, coded(operation.summary ?? "")),
    ),
  );
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(body(operation));
  });
  return details;
}

function operations() {
  return Object.entries(spec.paths ?? {}).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ path, method: method.toUpperCase(), tag: "other", ...item[method] })),
  );
}

function draw() {
  const wanted = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const found = operations().filter((one) => {
    const text = `${one.method} ${one.path} ${one.summary ?? ""} ${(one.tags ?? []).join(" ")}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
  const groups = Map.groupBy ? Map.groupBy(found, tagOf) : grouped(found);
  count.textContent = `${found.length} ${found.length === 1 ? "route" : "routes"}`;
  const sections = [...groups].map(([tag, members]) => h("section", { class: "group" }, h("h2", {}, tag), members.map(card)));
  const nothing = h("div", { class: "empty" }, icon("search"), h("h2", {}, "No route matches"), h("p", {}, "Search by path, by method or by what it does."));
  room.replaceChildren(...(sections.length ? sections : [nothing]));
}

const tagOf = (operation) => operation.tags?.[0] ?? operation.tag;

function grouped(list) {
  const groups = new Map();
  for (const one of list) groups.set(tagOf(one), [...(groups.get(tagOf(one)) ?? []), one]);
  return groups;
}

async function load() {
  try {
    const answer = await fetch("/v1/openapi.json");
    spec = await answer.json();
    draw();
    const linked = document.getElementById(location.hash.slice(1));
    if (linked?.matches("details")) {
      linked.open = true;
      linked.scrollIntoView();
    }
  } catch {
    room.replaceChildren(h("p", {}, "The description of the API did not load. Load the page again."));
  }
}

search.addEventListener("input", draw);
document.getElementById("find").addEventListener("submit", (event) => event.preventDefault());
load();
