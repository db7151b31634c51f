// How segments are asked for while the film is made: requests that the edge holds until there is something to answer.

/**
 * The edge holds a request for what is not there yet, then says 503, and it is asked again at once and for as long as
 * it takes.
 */
const POLICY = {
  default: {
    maxTimeToFirstByteMs: 10_000,
    maxLoadTimeMs: 60_000,
    timeoutRetry: { maxNumRetry: 60, retryDelayMs: 0, maxRetryDelayMs: 0 },
    errorRetry: { maxNumRetry: 120, retryDelayMs: 500, maxRetryDelayMs: 1000 },
  },
};
/** A request without an answer for this long is held. */
const HELD_MS = 500;
const LOOK_MS = 50;

/** What hls.js is configured with for a film in the making. */
export function patience(Hls) {
  return { fragLoadPolicy: POLICY, fLoader: patient(Hls.DefaultConfig.loader) };
}

/**
 * A loader that leaves out of its times how long it was held: that says nothing of the network, and hls.js would take
 * a slow one for granted, go down to the smallest rendition and stay there.
 */
function patient(Loader) {
  return class extends Loader {
    #timer = 0;

    load(...request) {
      super.load(...request);
      const { loading } = this.stats;
      let isHeld = false;
      this.#timer = setInterval(() => {
        if (loading.end) this.#rest();
        isHeld ||= performance.now() - loading.start > HELD_MS;
        if (isHeld && !loading.first) loading.start = performance.now();
      }, LOOK_MS);
    }

    abort() {
      this.#rest();
      super.abort();
    }

    destroy() {
      this.#rest();
      super.destroy();
    }

    #rest() {
      clearInterval(this.#timer);
    }
  };
}
