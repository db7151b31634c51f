// Uploads by tus: they stop and go on, and after a reload the same file goes on where it stopped.
import "../vendor/tus.js";
import { Problem } from "./api.js";

const { Upload } = globalThis.tus;
const DELAYS = [0, 1000, 3000, 5000, 10_000, 20_000, 30_000, 60_000];
const WORDS = {
  404: "This upload does not exist any more. Choose the file again to start anew.",
  410: "This upload waited too long and was dropped. Choose the file again to start anew.",
  413: "This file is larger than the server takes.",
  415: "This kind of file is not supported. Send a video or sound file such as MP4, MOV, MKV, WebM, MP3 or WAV.",
  460: "The file changed while it was sent. Choose it again to start anew.",
};

/** Title id → the transfer that runs or waits on this page. It outlives the view that shows it. */
export const transfers = new Map();

addEventListener("beforeunload", (event) => {
  if ([...transfers.values()].some((transfer) => transfer.state === "sending")) event.preventDefault();
});

/** One file on its way. Fires `change` whenever `state` (sending, paused, done, failed) or `sent` moves. */
export class Transfer extends EventTarget {
  /** `options` go into the upload's metadata: `mode`, `loudness`. */
  constructor(title, file, options = {}) {
    super();
    this.title = title;
    this.file = file;
    this.state = "paused";
    this.sent = 0;
    this.words = "";
    /** Whether this file cannot be sent however often it is tried. */
    this.refused = false;
    /** Whether it waits for the server to answer again. */
    this.stalled = false;
    this.since = null;
    this.upload = new Upload(file, {
      endpoint: "/v1/uploads",
      retryDelays: DELAYS,
      metadata: { title, filename: file.name, filetype: file.type || "application/octet-stream", ...options },
      fingerprint: async () => `usher:${title}:${file.name}:${file.size}:${file.lastModified}`,
      removeFingerprintOnSuccess: true,
      onShouldRetry: (error) => this.#retries(error.originalResponse?.getStatus() ?? 0),
      onProgress: (sent) => this.#moved(sent),
      onSuccess: () => this.#become("done"),
      onError: (error) => this.#failed(error),
    });
    transfers.set(title, this);
  }

  async start() {
    if (this.state === "sending") return;
    this.words = "";
    this.since = null;
    this.#become("sending");
    const previous = await this.upload.findPreviousUploads();
    if (previous.length && !this.upload.url) this.upload.resumeFromPreviousUpload(previous[0]);
    this.upload.start();
  }

  async pause() {
    await this.upload.abort();
    this.#become("paused");
  }

  /** Stop and throw away what was sent. */
  async cancel() {
    transfers.delete(this.title);
    await this.upload.abort(Boolean(this.upload.url) && !this.refused).catch(() => {});
    this.#become("cancelled");
  }

  /** Seconds to go at the speed so far, or NaN. */
  get remaining() {
    if (!this.since || this.sent <= this.since.sent) return Number.NaN;
    const speed = (this.sent - this.since.sent) / (Date.now() - this.since.at);
    return (this.file.size - this.sent) / speed / 1000;
  }

  #retries(status) {
    this.stalled = mayRetry(status);
    this.since = null;
    this.dispatchEvent(new Event("change"));
    return this.stalled;
  }

  #moved(sent) {
    this.sent = sent;
    this.stalled = false;
    this.since ??= { sent, at: Date.now() };
    this.dispatchEvent(new Event("change"));
  }

  #failed(error) {
    const response = error.originalResponse;
    const status = response?.getStatus() ?? 0;
    let body = {};
    try {
      body = JSON.parse(response?.getBody() ?? "{}");
    } catch {
      // not JSON: the status has to do
    }
    const offline = status === 0 ? "The connection broke. What was sent is safe: resume when the network is back." : "";
    this.refused = status !== 0 && status !== 401 && !mayRetry(status);
    this.words = body.detail || WORDS[status] || offline || new Problem(status).message;
    this.#become("failed");
  }

  #become(state) {
    this.state = state;
    this.stalled = false;
    if (state === "done") transfers.delete(this.title);
    this.dispatchEvent(new Event("change"));
  }
}

function mayRetry(status) {
  return status === 0 || status === 409 || status === 423 || status === 429 || status >= 500;
}
