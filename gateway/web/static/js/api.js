// The API as pages use it: one call, one kind of error, and the words for it.

/** An answer that was not 2xx, or no answer at all (`status` 0). */
export class Problem extends Error {
  constructor(status, body = {}, retryAfter = 0) {
    super(words(status, body));
    this.status = status;
    this.code = body.code ?? (status ? `http-${status}` : "network");
    const { details, ...beside } = body;
    this.details = { field: FIELD.exec(body.detail ?? "")?.[1], ...beside, ...details };
    this.retryAfter = retryAfter;
  }
}

const WORDS = {
  0: "There is no connection to the server. Check your network, then try again.",
  400: "The server did not understand this. Load the page again and retry.",
  401: "You are not logged in any more. Log in, then try again.",
  403: "This account may not do that.",
  404: "This does not exist (any more), or it is not yours.",
  409: "That is not possible just now.",
  410: "This is gone.",
  413: "That is too large.",
  415: "This kind of file is not supported.",
  423: "Somebody else is changing this right now. Try again in a moment.",
  429: "That was too often. Wait a moment, then try again.",
};

/** The field a decoder complains of: `… - at `$.username`` . */
const FIELD = /\s-\sat\s`\$\.(\w+)[^`]*`/;

function words(status, body) {
  const field = FIELD.exec(body.detail ?? "")?.[1];
  if (field) return `“${field[0].toUpperCase()}${field.slice(1).replaceAll("_", " ")}” does not have the right form.`;
  if (typeof body.detail === "string" && body.detail) return body.detail;
  if (WORDS[status]) return WORDS[status];
  return status >= 500 ? "The server has a problem right now. Try again in a moment." : "That did not work.";
}

/** Turn a response that is not 2xx into a Problem. */
export async function problemOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // not JSON: the status has to do
  }
  return new Problem(response.status, body ?? {}, Number(response.headers.get("Retry-After")) || 0);
}

/**
 * Call `/v1/<path>` with a body that is JSON, or a file as it is; resolves to the decoded answer, or null for 204. Rejects
 * with a Problem. Sent twice under the same `key`, it has its effect once.
 */
export async function api(method, path, body, key = "") {
  const isFile = body instanceof Blob;
  const headers = body === undefined ? {} : { "Content-Type": isFile ? "text/plain" : "application/json" };
  if (key) headers["Idempotency-Key"] = key;
  let response;
  try {
    response = await fetch(`/v1/${path}`, {
      method,
      headers,
      body: body === undefined || isFile ? body : JSON.stringify(body),
      credentials: "same-origin",
    });
  } catch {
    throw new Problem(0);
  }
  if (!response.ok) throw await problemOf(response);
  return response.status === 204 || response.headers.get("Content-Length") === "0" ? null : response.json();
}

/** Wishes that were sent and may have come true unheard: what was asked → its key. */
const unheard = new Map();

/**
 * `api` for what moves money or counts: sent again after an answer that did not come, the same wish has the same key
 * and so its effect once.
 */
export async function once(method, path, body) {
  const wish = JSON.stringify([method, path, body]);
  const key = unheard.get(wish) ?? randomKey();
  unheard.set(wish, key);
  try {
    const answer = await api(method, path, body, key);
    unheard.delete(wish);
    return answer;
  } catch (problem) {
    const isRefused = problem.status >= 400 && problem.status < 500 && problem.code !== "in-flight";
    if (isRefused) unheard.delete(wish);
    throw problem;
  }
}

/** `crypto.randomUUID` is missing where a page came without TLS. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Every page of a cursor listing, as one list; `limit` pages at most. */
export async function all(path, limit = 20) {
  const items = [];
  let cursor = "";
  for (let page = 0; page < limit; page += 1) {
    const mark = path.includes("?") ? "&" : "?";
    const answer = await api("GET", cursor ? `${path}${mark}cursor=${encodeURIComponent(cursor)}` : path);
    items.push(...answer.items);
    cursor = answer.next;
    if (!cursor) break;
  }
  return items;
}
