/**
 * How the viewer fares, in the words of CMCD 2 (CTA-5004-B): the time from the first press of play to the first
 * picture (msd), and how long the film stood still since it was last told (bs, bsd). Each is told once, with a beat.
 */
export function experience(media, { signal }) {
  let wishedAt = 0;
  let startup = 0;
  let dryAt = 0;
  let dryMs = 0;
  const wet = () => {
    if (dryAt) dryMs += performance.now() - dryAt;
    dryAt = 0;
  };
  const on = (name, heard) => media.addEventListener(name, heard, { signal });
  on("play", () => {
    wishedAt ||= performance.now();
  });
  on("playing", () => {
    startup ||= performance.now() - wishedAt;
    wet();
  });
  on("waiting", () => {
    // A seek waits by its nature, and so does the start.
    if (startup && !media.seeking) dryAt ||= performance.now();
  });
  for (const name of ["pause", "seeking", "ended"]) on(name, wet);
  let isStartTold = false;
  return () => {
    const said = [];
    if (dryMs) said.push("bs", `bsd=(${Math.round(dryMs)})`);
    if (startup && !isStartTold) said.push(`msd=${Math.round(startup)}`);
    if (!said.length) return "";
    dryMs = 0;
    isStartTold = startup > 0;
    return `&CMCD=${encodeURIComponent([...said, "v=2"].join(","))}`;
  };
}
