// Days and moments as people read and type them.

const DAY = new Intl.DateTimeFormat("en", { dateStyle: "medium" });
const MOMENT = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

/** "Nov 22, 2026" of an ISO text, in the reader's time; a day without an hour is that day everywhere. */
export const day = (iso) => DAY.format(new Date(iso.length === 10 ? `${iso}T12:00` : iso));

/** "Nov 22, 2026, 6:15 AM" of an ISO text, in the reader's time. */
export const moment = (iso) => MOMENT.format(new Date(iso));

/** "2026-11-22" of a Date, its day in UTC, as days are booked. */
export const isoDay = (date) => date.toISOString().slice(0, 10);

/** What a field of type datetime-local shows for an ISO text, and the ISO text of what was typed there; null for none. */
export function typedMoment(iso) {
  if (!iso) return "";
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
export const momentOf = (typed) => (typed ? new Date(typed).toISOString() : null);

/** The reader's time zone, such as "Europe/Berlin". */
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** The moment at which a day such as "2026-11-22", or one so many days later, begins for the reader, as an ISO text. */
export function dayBegins(typed, later = 0) {
  const [year, month, date] = typed.split("-").map(Number);
  return new Date(year, month - 1, date + later).toISOString();
}

/** "from Nov 22, 2026, 6:15 AM until …" of the time something stands; empty where it has no ends. */
export function dayWindow(from, until) {
  return [from ? `from ${moment(from)}` : "", until ? `until ${moment(until)}` : ""].filter(Boolean).join(" ");
}
