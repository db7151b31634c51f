// Money as people read and type it, from integers of the smallest unit and to them.
import { wrong } from "./dom.js";
import { amount, decimalsOf, minorOf } from "./words.js";

const SIGNS = { USD: "$", EUR: "€", GBP: "£", JPY: "¥" };
const GROUPED = new Intl.NumberFormat("en");

/** 499, "USD" → "$4.99"; -123456, "CHF" → "−1,234.56 CHF". `minor` is a whole number, or its text where it is large. */
export function format(minor, currency, decimals = decimalsOf(currency)) {
  const value = BigInt(minor);
  const digits = String(value < 0n ? -value : value).padStart(decimals + 1, "0");
  const whole = GROUPED.format(BigInt(digits.slice(0, digits.length - decimals)));
  const number = decimals ? `${whole}.${digits.slice(-decimals)}` : whole;
  const minus = value < 0n ? "−" : "";
  return SIGNS[currency] ? `${minus}${SIGNS[currency]}${number}` : `${minus}${number}\u00a0${currency}`;
}

/** The same for what is sold. */
export const price = (minor, currency) => (BigInt(minor) ? format(minor, currency) : "Free");

/** The price of a title. One that has none may be sold with its series. */
export const priceOf = ({ price_minor: minor, currency, is_free: isFree }) => (minor ? format(minor, currency) : isFree ? "Free" : "In its series");

/** More than the API takes of any amount, in the smallest unit. */
const MOST = 10 ** 12;

/** What was typed into the field `name`, in the smallest unit and `least` at least. Throws words for what is no amount. */
export function typedAmount(text, currency, name, least = 1) {
  const minor = minorOf(text, currency);
  if (minor === null || minor < least) throw wrong(`“${text}” is not an amount in ${currency}. Write it like ${amount(5 * 10 ** decimalsOf(currency), currency)}.`, name);
  if (minor > MOST) throw wrong("That is more than can be asked for at once.", name);
  return minor;
}

/** 1250 → "12.5": basis points as percent. */
export function percentOf(bp) {
  const digits = String(bp).padStart(3, "0");
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`.replace(/\.?0+$/, "");
}

/** "12.5" or "12,5" percent → 1250 basis points; null for what is none. */
export function bpOf(text) {
  const found = /^(\d{1,3})(?:[.,](\d{1,2}))?$/.exec(text.trim());
  return found ? Number(found[1]) * 100 + Number((found[2] ?? "").padEnd(2, "0")) : null;
}
