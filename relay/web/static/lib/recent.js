// The newest event that was routed to a destination, out of the live rows.
import { subscribe } from "./live.js";

const LIMIT_MS = 3000;

/** @param {string} slug of a destination @returns {Promise<string | null>} its event id; null: none is kept, or relay did not answer in time */
export function recentEvent(slug) {
  return new Promise((resolve) => {
    const done = (/** @type {string | null} */ id) => {
      clearTimeout(timer);
      subscription.close();
      resolve(id);
    };
    const timer = setTimeout(() => done(null), LIMIT_MS);
    const subscription = subscribe({
      filter: { all: [{ f: "to", op: "eq", v: slug }] },
      limit: 1,
      onSnapshot: (rows) => done(rows.at(-1)?.event_id ?? null),
      onRows: () => {},
      onPatch: () => {},
    });
  });
}
