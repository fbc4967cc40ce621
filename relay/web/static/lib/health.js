// How a destination is doing, in one word and one colour: the same on every page. Pure.
import { count, plural, seconds } from "./format.js";

/** @typedef {{id: string, name: string, action: string, trigger: string, mapping: Record<string, unknown>, enabled: boolean}} Mapping */
/**
 * What every list of destinations holds.
 * @typedef {{slug: string, name: string, type: string, enabled: boolean, state: string, breaker: string, held_by: string | null,
 *   hold_code: string | null, hold_status: number | null, since: number | null, sample?: string | null, pending: number, retry: number,
 *   parked: number, dead: number, oldest_s: number, rate: number, success: number | null, p95_ms: number | null, sources: string[],
 *   spark: number[], accepted: number, balance_ok: boolean}} Destination
 * @typedef {"ok" | "warn" | "bad" | "off"} Tone
 */

export const SUCCESS_OK = 0.95;
const SUCCESS_BAD = 0.5;

/** @param {Destination} to @returns {{word: string, tone: Tone, icon: string, text: string}} */
export function healthOf(to) {
  if (to.state === "disabled") return { word: "off", tone: "off", icon: "close", text: "switched off in the configuration" };
  if (to.state === "held" && to.held_by === "user") return { word: "on hold", tone: "warn", icon: "pause", text: "a person stopped deliveries; events wait" };
  if (to.state === "held") return { word: "held", tone: "bad", icon: "pause", text: "relay stopped deliveries: the settings are wrong, the events are fine and wait" };
  if (to.state === "breaker_open") return { word: "not answering", tone: "bad", icon: "warn", text: "the receiver fails; relay probes it until it answers" };
  if (to.success !== null && to.success < SUCCESS_BAD) return { word: "failing", tone: "bad", icon: "warn", text: "less than half of the attempts succeed" };
  if (to.success !== null && to.success < SUCCESS_OK) return { word: "degraded", tone: "warn", icon: "refresh", text: "more than one attempt in twenty fails" };
  return { word: "running", tone: "ok", icon: "check", text: "deliveries go through" };
}

/** @param {number | null} share */
export function toneOfShare(share) {
  if (share === null || share === undefined) return "off";
  return share < SUCCESS_BAD ? "bad" : share < SUCCESS_OK ? "warn" : "ok";
}

/** How long the oldest event waits; "": nothing waits, or what waits has only just come. @param {number | null} oldest_s unix seconds; 0 and null: nothing waits */
export function waits(oldest_s) {
  const age = oldest_s ? Math.round(Date.now() / 1000 - oldest_s) : 0;
  return age < 2 ? "" : seconds(age);
}

/** The whole state in a sentence, for those who do not see the row. @param {Destination} to */
export function told(to) {
  const parts = [healthOf(to).word, to.pending ? `${plural(to.pending, "event")} waiting` : "nothing waits"];
  if (to.dead) parts.push(`${count(to.dead)} dead`);
  return parts.join(", ");
}

