// Who is signed in, and what they may do.
import { signal } from "../vendor/signals.mjs";
import { ApiError, get, post, useCsrf, whenSignedOut } from "./api.js";

/**
 * @typedef {{name: string, role: "viewer" | "operator" | "admin", csrf: string, version: string, expires_s: number, now_s: number}} Session
 */

/** undefined: not asked yet; null: nobody. @type {import("../vendor/signals.mjs").Signal<Session | null | undefined>} */
export const session = signal(/** @type {Session | null | undefined} */ (undefined));

let skewS = 0;

/** What time it is at relay, in unix seconds: this machine's clock may be off. */
export function nowS() {
  return Date.now() / 1000 + skewS;
}

const ROLES = ["viewer", "operator", "admin"];

/** Whether the person on this screen may do what needs `role`. @param {"viewer" | "operator" | "admin"} role */
export function may(role) {
  return session.value ? ROLES.indexOf(session.value.role) >= ROLES.indexOf(role) : false;
}

/** Ask who is signed in. Throws ApiError when relay cannot be asked. */
export async function loadSession() {
  try {
    accept(await get("session"));
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    session.value = null;
  }
}

/** With a token, or with the code of a one-time link. Throws ApiError. @param {{token: string} | {link: string}} proof */
export async function login(proof) {
  accept(await post("login", proof));
}

export async function logout() {
  await post("logout");
  session.value = null;
}

/** @param {Session} told */
function accept(told) {
  useCsrf(told.csrf);
  skewS = told.now_s - Date.now() / 1000;
  session.value = told;
}

whenSignedOut(() => {
  if (session.value) session.value = null;
});
