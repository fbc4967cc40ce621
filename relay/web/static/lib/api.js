// The console's JSON: one fetch with the session's CSRF value, one shape of error, one time limit.

const BASE = "/ui/api/";
const LIMIT_MS = 20_000;

/** What the server, or the network, refused. `status` 0: no answer came. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message @param {any} [more] the rest of the error object */
  constructor(status, code, message, more = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.more = more;
  }
}

const state = { csrf: "", onSignedOut: () => {} };

/** Told by `lib/session.js`. @param {string} csrf */
export function useCsrf(csrf) {
  state.csrf = csrf;
}

/** What to do when an answer says that nobody is signed in. @param {() => void} act */
export function whenSignedOut(act) {
  state.onSignedOut = act;
}

/**
 * @typedef {{signal?: AbortSignal, query?: Record<string, string | number | boolean | null | undefined>}} Options
 * `signal` aborts the request (the promise rejects with an AbortError); `query` values that are null, undefined or "" are left out.
 */

/** @param {string} path below /ui/api/, already encoded @param {Options} [options] @returns {Promise<any>} */
export function get(path, options = {}) {
  return send("GET", path, undefined, options);
}

/** @param {string} path @param {unknown} [body] @param {Options} [options] @returns {Promise<any>} */
export function post(path, body = {}, options = {}) {
  return send("POST", path, body, options);
}

/** @param {string} path @param {unknown} body @param {Options} [options] @returns {Promise<any>} */
export function put(path, body, options = {}) {
  return send("PUT", path, body, options);
}

/** @param {string} path @param {Options} [options] @returns {Promise<any>} */
export function remove(path, options = {}) {
  return send("DELETE", path, undefined, options);
}

/** A path of the API from parts that may hold any character: `path("events", id, "retry")`. @param {...string} parts */
export function path(...parts) {
  return parts.map(encodeURIComponent).join("/");
}

/** The URL of a GET for a link, such as a download. @param {string} where @param {Options["query"]} [query] */
export function urlOf(where, query = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  return BASE + where + (search.size ? `?${search}` : "");
}

/** @param {string} method @param {string} where @param {unknown} body @param {Options} options */
async function send(method, where, body, { signal, query }) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-Relay-CSRF"] = state.csrf;
  const limit = AbortSignal.timeout(LIMIT_MS);
  let response;
  let answer;
  try {
    response = await fetch(urlOf(where, query), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      credentials: "same-origin",
      cache: "no-store",
    });
    const text = await response.text();
    answer = text && response.headers.get("Content-Type")?.includes("json") ? JSON.parse(text) : {};
  } catch (error) {
    if (signal?.aborted) throw error;
    if (limit.aborted) throw new ApiError(0, "timeout", `relay did not answer within ${LIMIT_MS / 1000} seconds`);
    throw new ApiError(0, "unreachable", "relay cannot be reached");
  }
  if (response.ok) return answer;
  const { code = "failed", message = `relay answered ${response.status}`, ...more } = answer.error ?? {};
  if (response.status === 401 && where !== "login" && where !== "session") state.onSignedOut();
  throw new ApiError(response.status, code, message, more);
}
