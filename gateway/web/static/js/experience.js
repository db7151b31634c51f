/**
 * How the viewer fares, in the words of CMCD 2 (CTA-5004-B): the time from `wishedAt`, when play was pressed, to the
 * first picture (msd), and how long the film stood still since it was last told (bs, bsd).
 * Answers a function that gives what is new, once, as `{cmcd, untold}`; `untold` takes it back if nobody heard it. When
 * the viewer `isLeaving`, a film that stands still counts up to now.
 */
export function experience(media, { wishedAt, signal }) {
  // A browser that would not begin by itself wants another press: that one is the wish.
  let wished = media.paused ? 0 : wishedAt;
  let startup = 0;
  let isStartTold = false;
  let dryAt = 0;
  let dryMs = 0;
  const wet = () => {
    if (dryAt) dryMs += performance.now() - dryAt;
    dryAt = 0;
  };
  const rest = () => {
    wet();
    // Who pauses or leaves before the first picture wishes anew by the next press.
    if (!startup) wished = 0;
  };
  const on = (name, heard) => media.addEventListener(name, heard, { signal });
  on("play", () => {
    wished ||= performance.now();
  });
  on("playing", () => {
    if (wished) startup ||= performance.now() - wished;
    wet();
  });
  on("waiting", () => {
    // A seek waits by its nature, and so does the start.
    if (startup && !media.seeking) dryAt ||= performance.now();
  });
  on("pause", rest);
  for (const name of ["seeking", "ended"]) on(name, wet);
  return (isLeaving = false) => {
    if (isLeaving) rest();
    const [dry, start] = [dryMs, isStartTold ? 0 : startup];
    dryMs = 0;
    isStartTold ||= start > 0;
    const said = [];
    if (dry) said.push("bs", `bsd=(${Math.round(dry)})`);
    if (start) said.push(`msd=${Math.round(start)}`);
    const untold = () => {
      dryMs += dry;
      if (start) isStartTold = false;
    };
    return { cmcd: said.length ? [...said, "v=2"].join(",") : "", untold };
  };
}
