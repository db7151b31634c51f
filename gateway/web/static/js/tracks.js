// The sound tracks of hls.js in the shape media-chrome's menu reads (`audioTracks` of HTMLMediaElement).

export class SoundTracks extends EventTarget {
  #hls;

  length = 0;

  constructor(hls) {
    super();
    this.#hls = hls;
  }

  /** Take the tracks that go with what plays now; one that stands in the groups of stereo and surround is shown once. */
  fill(tracks) {
    for (let index = 0; index < this.length; index += 1) delete this[index];
    this.length = 0;
    const seen = new Set();
    tracks.forEach((track, index) => {
      if (seen.has(track.url)) return;
      seen.add(track.url);
      this[this.length] = this.#shown(track, index);
      this.length += 1;
    });
    this.dispatchEvent(new Event("removetrack"));
    this.dispatchEvent(new Event("addtrack"));
    this.switched();
  }

  /** Another track is heard. */
  switched() {
    this.dispatchEvent(new Event("change"));
  }

  *[Symbol.iterator]() {
    for (let index = 0; index < this.length; index += 1) yield this[index];
  }

  #shown({ name, lang, channels, default: first }, index) {
    const hls = this.#hls;
    return {
      id: String(index),
      kind: first ? "main" : "translation",
      label: [name || spoken(lang), surround(channels)].filter(Boolean).join(", "),
      language: lang ?? "",
      get enabled() {
        return hls.audioTrack === index;
      },
      set enabled(wanted) {
        if (wanted && hls.audioTrack !== index) hls.audioTrack = index;
      },
    };
  }
}

function surround(channels) {
  return Number.parseInt(channels, 10) > 2 ? "surround" : "";
}

/** "de" → "German". */
function spoken(language) {
  try {
    return new Intl.DisplayNames(["en"], { type: "language" }).of(language);
  } catch {
    return "Sound";
  }
}
