// Alerts in words. Pure.
import { count, plural, seconds } from "./format.js";

/** @typedef {{kind: "destination" | "source" | "relay", slug: string}} Subject */
/**
 * @typedef {{id: number, rule: string, kind: string, subject: Subject, state: "firing" | "resolved", value: number | null, threshold: number | null, unit: string,
 *   opened_s: number, resolved_s: number | null, reminded_s: number | null, muted_until_s: number | null, muted_by: string | null, text: string, cause: string,
 *   code: string | null, cure: string, sample: {code: string, status: number | null, answer: string} | null, also: string[],
 *   change: {version: number, at_s: number, by: string, changed: unknown} | null, deliveries: {destination: string, state: string}[]}} Alert
 * @typedef {{name: string, kind: string, help: string, subject: string, subject_kind: string, threshold: number, unit: string, window_m: number, min_events: number,
 *   enabled: boolean, muted_until_s: number | null, firing: boolean, backtest: {days: number, count: number, basis: "counts" | "history"}}} Rule
 */

/** @param {number | null} value @param {string} unit */
export function amount(value, unit) {
  if (value === null || value === undefined || unit === "") return "";
  if (unit === "share") return `${Math.round(value * 1000) / 10} %`;
  return unit === "s" ? seconds(value) : plural(value, unit.replace(/s$/, ""));
}

/** What a rule would have done. @param {Rule} rule */
export function backtest({ backtest: { days, count: times, basis } }) {
  if (times === 0) return basis === "counts" ? `would not have fired in ${days} days` : `did not fire in ${days} days`;
  const often = times === 1 ? "once" : times === 2 ? "twice" : `${count(times)} times`;
  return basis === "counts" ? `would have fired ${often} in ${days} days` : `fired ${often} in ${days} days`;
}

/** @param {{muted_until_s: number | null}} muted @param {number} [now_s] */
export function isMuted({ muted_until_s }, now_s = Date.now() / 1000) {
  return muted_until_s !== null && muted_until_s > now_s;
}
