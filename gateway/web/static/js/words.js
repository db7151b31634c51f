// Amounts, lengths, sizes and times as people say them.

const DECIMALS = { JPY: 0, KRW: 0, VND: 0, CLP: 0, BHD: 3, KWD: 3, OMR: 3, TND: 3, BIF: 0, DJF: 0, GNF: 0, KMF: 0, MGA: 0, PYG: 0, RWF: 0, VUV: 0, XAF: 0, XOF: 0, XPF: 0, IQD: 3, JOD: 3, LYD: 3, USDC: 6, BONUS: 0, PAID: 0 };

export const decimalsOf = (currency) => DECIMALS[currency] ?? 2;

/** 499, "USD" → "4.99". */
export function amount(minor, currency) {
  const digits = decimalsOf(currency);
  const text = String(minor).padStart(digits + 1, "0");
  return digits ? `${text.slice(0, -digits)}.${text.slice(-digits)}` : text;
}

/** "4.99" or "4,99" → 499; null when it is no amount in that currency. */
export function minorOf(text, currency) {
  const digits = decimalsOf(currency);
  const found = /^(\d{1,12})(?:[.,](\d+))?$/.exec(text.trim());
  if (!found || (found[2] ?? "").length > digits) return null;
  return Number(found[1] + (found[2] ?? "").padEnd(digits, "0"));
}

/** 5520 → "1 h 32 min". */
export function spoken(seconds) {
  if (seconds < 60) return `${Math.round(seconds)}\u00a0s`;
  const minutes = Math.round(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return [hours ? `${hours}\u00a0h` : "", minutes % 60 ? `${minutes % 60}\u00a0min` : ""].filter(Boolean).join(" ");
}

/** 3725 → "1:02:05". */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [first, ...rest] = parts[0] ? parts : parts.slice(1);
  return [first, ...rest.map((part) => String(part).padStart(2, "0"))].join(":");
}

export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let step = 0;
  let value = bytes;
  while (value >= 1000 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${value < 10 && step ? value.toFixed(1) : Math.round(value)}\u00a0${units[step]}`;
}

/** Seconds to go, rounded so that it does not dance. */
export function remaining(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 8) return "a few seconds left";
  if (seconds < 55) return `about ${Math.ceil(seconds / 10) * 10} s left`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `about ${Math.max(minutes, 1)} min left` : `about ${(seconds / 3600).toFixed(1)} h left`;
}

/** "3 minutes ago" of a date, an ISO text or seconds since 1970. */
export function ago(when, now = Date.now()) {
  const then = typeof when === "number" ? when * 1000 : Date.parse(when);
  const seconds = Math.round((then - now) / 1000);
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (Math.abs(seconds) < 50) return "just now";
  if (Math.abs(seconds) < 3000) return format.format(Math.round(seconds / 60), "minute");
  if (Math.abs(seconds) < 72000) return format.format(Math.round(seconds / 3600), "hour");
  return format.format(Math.round(seconds / 86400), "day");
}

export const percent = (fraction) => `${Math.min(100, Math.floor(fraction * 100))}\u00a0%`;

/** Whether a device of this name is held in a hand. */
export const isPhone = (name) => /phone|android|ipad|ios/i.test(name);

/** A path of this site to go to after log-in, or `/`. */
export function inward(address) {
  return address && /^\/(?![/\\])/.test(address) ? address : "/";
}

/** "Ocean Films!" → "ocean-films". */
export function handleOf(name) {
  return name.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 32);
}
