// By whose link somebody came: kept in this browser for a while, and told when they buy.
const KEPT = "usher:referral";
const DAYS = 30;

/** Keep the code in this page's address, if there is one. */
export function noteReferral() {
  const code = new URLSearchParams(location.search).get("ref");
  if (!code || !/^[A-Za-z0-9]{1,32}$/.test(code)) return;
  try {
    localStorage.setItem(KEPT, JSON.stringify({ code, at: Date.now() }));
  } catch {
    // a browser that stores nothing forgets who sent it
  }
}

/** The code that was kept, or nothing. */
export function referral() {
  try {
    const { code, at } = JSON.parse(localStorage.getItem(KEPT));
    return Date.now() - at < DAYS * 86_400_000 ? code : undefined;
  } catch {
    return undefined;
  }
}
