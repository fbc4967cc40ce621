// The newest events that match, out of the live rows.
import { subscribe } from "./live.js";

const LIMIT_MS = 3000;

/** One that it took, else one that was meant for it. @param {string} slug of a destination @returns {Promise<string | null>} an event id; null: none is kept, or relay did not answer in time */
export async function recentEvent(slug) {
  const to = { f: "to", op: "eq", v: slug };
  const [taken] = await recentRows([to, { f: "state", op: "eq", v: "delivered" }], 1);
  return (taken ?? (await recentRows([to], 1))[0])?.event_id ?? null;
}

/** Newest first; none when relay does not answer in time. @param {object[]} all conditions @param {number} limit @returns {Promise<import("./live.js").Row[]>} */
export function recentRows(all, limit) {
  return new Promise((resolve) => {
    const done = (/** @type {import("./live.js").Row[]} */ rows) => {
      clearTimeout(timer);
      subscription.close();
      resolve(rows);
    };
    const timer = setTimeout(() => done([]), LIMIT_MS);
    const subscription = subscribe({ filter: { all }, limit, onSnapshot: (rows) => done([...rows].reverse()), onRows: () => {}, onPatch: () => {} });
  });
}
