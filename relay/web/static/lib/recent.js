// The newest event of a destination, out of the live rows.
import { subscribe } from "./live.js";

const LIMIT_MS = 3000;

/** One that it took, else one that was meant for it. @param {string} slug of a destination @returns {Promise<string | null>} an event id; null: none is kept, or relay did not answer in time */
export async function recentEvent(slug) {
  const to = { f: "to", op: "eq", v: slug };
  return (await newest([to, { f: "state", op: "eq", v: "delivered" }])) ?? newest([to]);
}

/** @param {object[]} all @returns {Promise<string | null>} */
function newest(all) {
  return new Promise((resolve) => {
    const done = (/** @type {string | null} */ id) => {
      clearTimeout(timer);
      subscription.close();
      resolve(id);
    };
    const timer = setTimeout(() => done(null), LIMIT_MS);
    const subscription = subscribe({
      filter: { all },
      limit: 1,
      onSnapshot: (rows) => done(rows.at(-1)?.event_id ?? null),
      onRows: () => {},
      onPatch: () => {},
    });
  });
}
