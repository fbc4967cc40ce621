// What every view of one event needs: its story as relay tells it, and what a person can order for it.
import { path, post } from "./api.js";
import { fullTime, ms, visible } from "./format.js";
import { attempt } from "./kit.js";
import { usePoll } from "./poll.js";
import { useEffect, useState } from "./ui.js";

/**
 * @typedef {{path: string, before: unknown, after: unknown}} Change
 * @typedef {{stage: string, outcome: string, code: string | null, meaning: string | null, text: string | null, at_ms: number | null, changes?: Change[]}} Stage
 * @typedef {{attempt: number, subscription_id: string | null, at_s: number, result: string, code: string | null, status: number | null,
 *   duration_ms: number | null, version: number, job: string | null}} Attempt
 * @typedef {{subscription?: string, action?: string, method?: string, url?: string, headers?: Record<string, string>, body?: unknown, problem?: string}} Planned
 * @typedef {{subscription_id: string | null, state: string, attempts: number, code: string | null, status: number | null, due_s: number | null,
 *   changed_s: number | null, until_s: number | null, detail?: {request?: any, response?: any} | null}} Waiting
 * @typedef {{slug: string, name: string, type: string, state: string, code: string | null, meaning: string | null, stages: Stage[], planned?: Planned[],
 *   attempts: Attempt[], rows: Waiting[], why: string | null, advice: string | null, next_s: number | null}} Delivery
 * @typedef {{event_id: string, message_id: string, seq: number | null, source: {slug: string, name: string}, type: string, name: string | null,
 *   user_id: string | null, anonymous_id: string | null, received_ms: number, sent_from: {ip: string | null, library: string | null, user_agent: string | null} | null,
 *   bytes: number, verdict: string, code: string | null, meaning: string | null, payload?: Record<string, any> | null, stages: Stage[],
 *   destinations: Delivery[], original_event_id: string | null, advice?: string | null, plan?: string, is_unplanned?: boolean,
 *   violations?: {type: string, field: string, description: string}[], hints?: {code: string, text: string, path: string}[]}} Story
 */

const MOVING = ["pending", "sending", "retry", "parked", "held"];
const POLL_MS = 2000;
const SETTLED_POLL_MS = 15_000;
const SETTLED_MS = 30_000;

/** The story of an event, asked again while something can still happen to it. @param {string} eventId */
export function useStory(eventId) {
  const [everyMs, setEveryMs] = useState(POLL_MS);
  const poll = /** @type {import("./poll.js").Polled<Story>} */ (usePoll(path("events", eventId), { everyMs }));
  const { data } = poll;
  useEffect(() => void (data && setEveryMs(isMoving(data) ? POLL_MS : SETTLED_POLL_MS)), [data]);
  return poll;
}

/** Every field that was changed in `stages`; people without the right to see values get none. @param {Stage[]} stages */
export function changesOf(stages) {
  return stages.flatMap((stage) => stage.changes ?? []);
}

/** Whether anything of it still waits. @param {Story} story */
function isMoving(story) {
  const age = Date.now() - story.received_ms;
  return age < SETTLED_MS || story.destinations.some((each) => MOVING.includes(each.state));
}

/** @param {string} eventId @param {Delivery} to @param {() => void} [after] */
export function retryNow(eventId, to, after) {
  return attempt(() => post(path("events", eventId, "retry"), { destination: to.slug }), `${to.name} is tried again now`).then(after);
}

/** @param {string} eventId @param {Delivery} to @param {() => void} [after] */
export function giveUp(eventId, to, after) {
  return attempt(() => post(path("events", eventId, "discard"), { destination: to.slug }), `Given up for ${to.name}`).then(after);
}

/** What an event is called. @param {{name: string | null, type: string, user_id: string | null}} event */
export function titleOf(event) {
  return visible(event.name || (event.type === "identify" && event.user_id ? `identify ${event.user_id}` : `unnamed ${event.type}`));
}

/** Since the event came in, "+0.3 ms". @param {Story} story @param {number | null} at_ms */
export function since(story, at_ms) {
  return at_ms === null ? "" : `+${ms(Math.max(0, at_ms - story.received_ms))}`;
}

/** For a tooltip. @param {number | null} at_ms */
export function atTime(at_ms) {
  return at_ms === null ? undefined : fullTime(at_ms / 1000);
}
