// Money as people read it, from integers of the smallest unit.
import { decimalsOf } from "./words.js";

const SIGNS = { USD: "$", EUR: "€", GBP: "£", JPY: "¥" };

/** 499, "USD" → "$4.99"; -123456, "CHF" → "−1,234.56 CHF". `minor` is a whole number, or its text where it is large. */
export function format(minor, currency, decimals = decimalsOf(currency)) {
  const value = BigInt(minor);
  const digits = String(value < 0n ? -value : value).padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals).replace(/\B(?=(\d{3})+$)/g, ",");
  const number = decimals ? `${whole}.${digits.slice(-decimals)}` : whole;
  const minus = value < 0n ? "−" : "";
  return SIGNS[currency] ? `${minus}${SIGNS[currency]}${number}` : `${minus}${number}\u00a0${currency}`;
}
