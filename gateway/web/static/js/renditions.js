// The video qualities of hls.js in the shape media-chrome's menu reads (`videoRenditions` of the media-elements API).

export class Renditions extends EventTarget {
  #hls;

  length = 0;

  constructor(hls) {
    super();
    this.#hls = hls;
  }

  /** Take the levels of a playlist, highest first. */
  fill(levels) {
    const order = levels.map((level, index) => ({ level, index })).sort((a, b) => b.level.height - a.level.height);
    for (const { level, index } of order) {
      const { width, height, bitrate, frameRate } = level;
      this[this.length] = { id: String(index), width, height, bitrate, frameRate };
      this.length += 1;
      this.dispatchEvent(new Event("addrendition"));
    }
  }

  /** Place in this list of what the viewer chose; -1 while the player chooses. */
  get selectedIndex() {
    if (this.#hls.autoLevelEnabled) return -1;
    const chosen = this.#hls.nextLevel < 0 ? this.#hls.currentLevel : this.#hls.nextLevel;
    return Array.prototype.findIndex.call(this, (one) => one.id === String(chosen));
  }

  set selectedIndex(index) {
    this.#hls.nextLevel = index < 0 || index === undefined ? -1 : Number(this[index].id);
    this.dispatchEvent(new Event("change"));
  }

  *[Symbol.iterator]() {
    for (let index = 0; index < this.length; index += 1) yield this[index];
  }
}
