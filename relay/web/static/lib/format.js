// Numbers, times and texts as people read them. Pure.

const COUNT = new Intl.NumberFormat();
const COMPACT = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const ONE = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const TWO = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const NONE = "–";

/** @typedef {number | null | undefined} Maybe */

/** 12004 -> "12,004". @param {Maybe} value */
export function count(value) {
  return value === null || value === undefined ? NONE : COUNT.format(value);
}

/** 88120 -> "88.1K", for narrow places; the exact number belongs into the tooltip. @param {Maybe} value */
export function compact(value) {
  return value === null || value === undefined ? NONE : value < 10_000 ? COUNT.format(value) : COMPACT.format(value);
}

/** Events per second: 41.23 -> "41.2/s". @param {Maybe} value */
export function rate(value) {
  if (value === null || value === undefined) return NONE;
  if (value === 0) return "0/s";
  return `${value < 0.1 ? TWO.format(Math.max(value, 0.01)) : value < 1000 ? ONE.format(value) : compact(Math.round(value))}/s`;
}

/** 0.998 -> "99.8 %". 100 % and 0 % are said only when they are exact. @param {Maybe} share */
export function percent(share) {
  if (share === null || share === undefined) return NONE;
  if (share === 1 || share === 0) return `${share * 100} %`;
  return `${ONE.format(Math.min(99.9, Math.max(0.1, share * 100)))} %`;
}

/** 812 -> "812 B", 1536 -> "1.5 KiB". @param {Maybe} value */
export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  while (value >= 1024 && step < units.length - 1) {
    value /= 1024;
    step += 1;
  }
  return `${step ? ONE.format(value) : COUNT.format(value)} ${units[step]}`;
}

/** Milliseconds as "84 ms", "1.4 s", "6 min". @param {Maybe} value */
export function ms(value) {
  if (value === null || value === undefined) return NONE;
  if (value < 1) return `${TWO.format(value)} ms`;
  return value < 1000 ? `${Math.round(value)} ms` : seconds(value / 1000);
}

/** Seconds as "3 s", "6 min", "2 h 10 min", "4 d 3 h". @param {Maybe} value */
export function seconds(value) {
  if (value === null || value === undefined) return NONE;
  if (value < 10 && !Number.isInteger(value)) return `${ONE.format(Math.max(value, 0))} s`;
  const whole = Math.max(0, Math.round(value));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min${whole < 600 && whole % 60 ? ` ${whole % 60} s` : ""}`;
  if (whole < 86_400) return joined(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
  return joined(Math.floor(whole / 86_400), "d", Math.floor((whole % 86_400) / 3600), "h");
}

/** @param {number} big @param {string} bigUnit @param {number} small @param {string} smallUnit */
function joined(big, bigUnit, small, smallUnit) {
  return `${big} ${bigUnit}${small ? ` ${small} ${smallUnit}` : ""}`;
}

/** A count down: 42 -> "00:42". @param {number} value seconds */
export function countdown(value) {
  const whole = Math.max(0, Math.ceil(value));
  const pad = (/** @type {number} */ part) => String(part).padStart(2, "0");
  const head = whole >= 3600 ? `${Math.floor(whole / 3600)}:` : "";
  return `${head}${pad(Math.floor((whole % 3600) / 60))}:${pad(whole % 60)}`;
}

/** @param {Date} date @param {boolean} [withMs] */
function clockOf(date, withMs = false) {
  const pad = (/** @type {number} */ part, width = 2) => String(part).padStart(width, "0");
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}${withMs ? `.${pad(date.getMilliseconds(), 3)}` : ""}`;
}

/** Local time of day with milliseconds. @param {string | number} at ISO-8601, or milliseconds */
export function timeMs(at) {
  return clockOf(new Date(at), true);
}

/** Local time today, else with the date. @param {Maybe} at_s unix seconds @param {number} [now_s] */
export function time(at_s, now_s = Date.now() / 1000) {
  if (at_s === null || at_s === undefined) return NONE;
  const date = new Date(at_s * 1000);
  if (date.toDateString() === new Date(now_s * 1000).toDateString()) return clockOf(date);
  return `${date.toLocaleDateString(undefined, { month: "short", day: "numeric" })} ${clockOf(date).slice(0, 5)}`;
}

/** For tooltips: local date and time with the offset. @param {Maybe} at_s unix seconds */
export function fullTime(at_s) {
  if (at_s === null || at_s === undefined) return "";
  const date = new Date(at_s * 1000);
  const offset = -date.getTimezoneOffset();
  const sign = offset < 0 ? "-" : "+";
  const part = (/** @type {number} */ value) => String(Math.floor(Math.abs(value))).padStart(2, "0");
  const day = `${date.getFullYear()}-${part(date.getMonth() + 1)}-${part(date.getDate())}`;
  return `${day} ${clockOf(date, true)} ${sign}${part(offset / 60)}:${part(offset % 60)}`;
}

/** For copying. @param {number} at_s unix seconds */
export function iso(at_s) {
  return new Date(at_s * 1000).toISOString();
}

/** "just now", "42 s ago", "3 h ago". @param {Maybe} at_s unix seconds @param {number} [now_s] */
export function ago(at_s, now_s = Date.now() / 1000) {
  if (at_s === null || at_s === undefined) return "never";
  const past = now_s - at_s;
  if (past < 2) return "just now";
  const coarse = past < 60 ? Math.round(past) : past < 3600 ? Math.floor(past / 60) * 60 : past < 86_400 ? Math.floor(past / 3600) * 3600 : Math.floor(past / 86_400) * 86_400;
  return `${seconds(coarse)} ago`;
}

// Controls, soft hyphen, bidi marks and overrides, zero-width and other invisible signs, surrogates without a partner.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
/** @type {Record<string, string>} */
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** The text with everything that cannot be seen written as an escape, so that it cannot pose as something else. @param {unknown} value */
export function visible(value) {
  const text = typeof value === "string" ? value : String(value ?? "");
  return text.replace(HIDDEN, (sign) => SHORT[sign] ?? `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** `visible`, with line breaks left as they are: for a `<pre>`. @param {string} text */
export function lines(text) {
  return text.split("\n").map(visible).join("\n");
}

/** At most `length` characters, with an ellipsis. @param {string} text @param {number} length */
export function cut(text, length) {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** With a capital at the beginning. @param {string} text */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What a period is called. @type {Record<string, string>} */
export const PERIODS = { "1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days" };

/** "1 event", "2 events". @param {number} number @param {string} noun @param {string} [plural] */
export function plural(number, noun, plural = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : plural}`;
}
