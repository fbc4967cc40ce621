// The address bar: which page, with which parameters and query.
import { signal } from "../vendor/signals.mjs";

/** @typedef {{path: string, query: Record<string, string>}} Place */

/** @returns {Place} */
function read() {
  const path = location.pathname.replace(/\/+$/, "") || "/ui";
  return { path, query: Object.fromEntries(new URLSearchParams(location.search)) };
}

/** Where we are. */
export const place = signal(read());

/** Go to a URL of the UI. @param {string} href @param {{replace?: boolean}} [how] `replace`: no step to go back to */
export function navigate(href, { replace = false } = {}) {
  if (href === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  place.value = read();
}

/** Change the query and stay; null or "" takes a name out. @param {Record<string, string | null>} changes @param {{replace?: boolean}} [how] */
export function setQuery(changes, how = { replace: true }) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  navigate(location.pathname + (query.size ? `?${query}` : ""), how);
}

/** The page of a thing. @type {{event: (id: string) => string, source: (slug: string) => string, destination: (slug: string) => string, plan: (slug: string, query?: Record<string, string>) => string, live: (q: string) => string}} */
export const hrefs = {
  event: (id) => `/ui/events/${encodeURIComponent(id)}`,
  source: (slug) => `/ui/sources/${encodeURIComponent(slug)}`,
  destination: (slug) => `/ui/destinations/${encodeURIComponent(slug)}`,
  plan: (slug, query = {}) => `/ui/plans/${encodeURIComponent(slug)}${Object.keys(query).length ? `?${new URLSearchParams(query)}` : ""}`,
  live: (q) => `/ui/live${q ? `?q=${encodeURIComponent(q)}` : ""}`,
};

/**
 * The parameters of `path` under `pattern` ("/ui/events/:id"), or null.
 * @param {string} pattern @param {string} path @returns {Record<string, string> | null}
 */
export function matchPath(pattern, path) {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return null;
  /** @type {Record<string, string>} */
  const params = {};
  for (const [index, part] of wanted.entries()) {
    if (part.startsWith(":")) {
      try {
        params[part.slice(1)] = decodeURIComponent(given[index]);
      } catch {
        return null;
      }
    } else if (part !== given[index]) return null;
  }
  return params;
}

addEventListener("popstate", () => (place.value = read()));

// Every link into the UI moves without a reload; a modified click keeps the browser's own meaning.
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.origin !== location.origin || link.target || link.hasAttribute("download")) return;
  if (!/^\/ui(\/|$)/.test(link.pathname) || link.pathname.startsWith("/ui/api/") || link.pathname.startsWith("/ui/static/")) return;
  event.preventDefault();
  navigate(link.pathname + link.search);
});
