// A request or an answer as it goes over the wire, to be read by people. Pure.
import { lines } from "./format.js";

/**
 * First line, headers, an empty line, and the body; a body that is JSON is laid out. Signs that cannot be seen are written as escapes.
 * @param {any} part an object of {method, url, status, headers, body}, or what was kept in its place; null and undefined are ""
 * @returns {string}
 */
export function wire(part) {
  if (part === null || part === undefined) return "";
  if (typeof part !== "object") return lines(String(part));
  const { method, url, status, headers, body, ...rest } = part;
  const first = method ? `${method} ${url}` : status ? `HTTP ${status}` : "";
  const named = Array.isArray(headers) ? headers : Object.entries(headers ?? {});
  const more = Object.entries(rest).filter(([, value]) => typeof value === "number" || (typeof value === "string" && value));
  const head = [first, ...named.map(([name, value]) => `${name}: ${value}`), ...(first ? [] : more.map(([name, value]) => `${name}: ${value}`))];
  return lines([...head.filter(Boolean), "", bodyText(body)].join("\n").trim());
}

/** @param {unknown} body @returns {string} */
function bodyText(body) {
  if (typeof body !== "string") return body === undefined || body === null ? "" : JSON.stringify(body, null, 2);
  try {
    return /^\s*[[{]/.test(body) ? JSON.stringify(JSON.parse(body), null, 2) : body;
  } catch {
    return body;
  }
}
