// What somebody may do, as pages show or hide it; the server decides.

/**
 * Gives `may("noun:verb")` for `me` as the API tells of oneself: what one may do everywhere and, where `handle` names a
 * seller, with what is theirs. Permissions are `noun:verb`, `noun:*` for all of them, or `*`.
 */
export function mayOf(me, handle = "") {
  const theirs = me.sellers.find((seller) => seller.handle === handle)?.permissions ?? [];
  const held = new Set([...me.permissions, ...theirs]);
  return (wanted) => held.has("*") || held.has(wanted) || held.has(`${wanted.split(":")[0]}:*`);
}
