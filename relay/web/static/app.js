// The shell: rail, top bar, help; and the router, which brings in a page when somebody goes there.
import { ApiError, get } from "./lib/api.js";
import { count } from "./lib/format.js";
import { isOn, shortcuts, switchKeys, useKeys } from "./lib/keys.js";
import { attempt, Dialog, Menu, ThemeMenu, Toasts } from "./lib/kit.js";
import { connect, connection, disconnect, nextTry, retryNow, stats } from "./lib/live.js";
import { hrefs, matchPath, navigate, place } from "./lib/router.js";
import { loadSession, logout, session } from "./lib/session.js";
import { effect, html, Icon, render, useEffect, useRef, useState } from "./lib/ui.js";

/** A route brings in its module and, with it, the styles that only it needs. @param {string} names by spaces */
function styles(names) {
  return Promise.all(names.split(" ").map(stylesheet));
}

/** @param {string} name */
function stylesheet(name) {
  const href = `/ui/static/pages/${name}.css`;
  if (document.querySelector(`link[href="${href}"]`)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
    link.onload = resolve;
    link.onerror = () => (link.remove(), reject(new Error(href)));
    document.head.append(link);
  });
}

/**
 * @typedef {{default: (props: {params: Record<string, string>, query: Record<string, string>}) => any,
 *   title: string | ((params: Record<string, string>) => string)}} Page
 * @typedef {{path: string, load: () => Promise<Page>, css?: string, nav?: string}} Route
 */

/** @type {Route[]} */
const ROUTES = [
  { path: "/ui/overview", nav: "overview", css: "pages", load: () => import("./pages/overview.js") },
  { path: "/ui/live", nav: "live", css: "live", load: () => import("./pages/live.js") },
  { path: "/ui/events/:id", nav: "live", css: "live", load: () => import("./pages/event.js") },
  { path: "/ui/sources", nav: "sources", css: "pages", load: () => import("./pages/sources.js") },
  { path: "/ui/sources/:slug", nav: "sources", css: "pages live plans", load: () => import("./pages/source.js") },
  { path: "/ui/destinations", nav: "destinations", css: "pages", load: () => import("./pages/destinations.js") },
  { path: "/ui/destinations/:slug", nav: "destinations", css: "pages live", load: () => import("./pages/destination.js") },
  { path: "/ui/plans", nav: "plans", css: "pages live plans", load: () => import("./pages/plans.js") },
  { path: "/ui/plans/:slug", nav: "plans", css: "pages live plans", load: () => import("./pages/plan.js") },
  { path: "/ui/privacy", nav: "privacy", css: "pages live", load: () => import("./pages/privacy.js") },
  { path: "/ui/catalog", nav: "catalog", css: "pages", load: () => import("./pages/catalog.js") },
  { path: "/ui/catalog/:slug", nav: "catalog", css: "pages", load: () => import("./pages/catalog.js") },
  { path: "/ui/alerts", nav: "alerts", css: "pages", load: () => import("./pages/alerts.js") },
  { path: "/ui/settings", nav: "settings", css: "pages", load: () => import("./pages/settings.js") },
];
/** What `/ui` shows. */
const FRONT = "/ui/overview";

const NAV = [
  { id: "overview", label: "Overview", href: "/ui", keys: "g o" },
  { id: "live", label: "Live", href: "/ui/live", keys: "g l" },
  { id: "sources", label: "Sources", href: "/ui/sources", keys: "g s" },
  { id: "destinations", label: "Destinations", href: "/ui/destinations", keys: "g d" },
  { id: "plans", label: "Plans", href: "/ui/plans", keys: "g p" },
  { id: "privacy", label: "Privacy", href: "/ui/privacy", keys: "g y" },
  { id: "catalog", label: "Catalog", href: "/ui/catalog", keys: "g c" },
  { id: "alerts", label: "Alerts", href: "/ui/alerts", keys: "g a" },
  { id: "settings", label: "Settings", href: "/ui/settings", keys: "g e" },
];

/** Finds an event by its id or its message id; everything else is a filter of the live view. @param {string} text */
async function find(text) {
  if (/^[er]\d+$/.test(text)) return navigate(hrefs.event(text));
  if (!/[\s:"]/.test(text)) {
    try {
      const { events } = await get("events", { query: { message_id: text } });
      if (events.length) return navigate(hrefs.event(events[0].event_id));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }
  return navigate(hrefs.live(text));
}

function Search() {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  useKeys([{ keys: "/", label: "Search, or filter", act: () => input.current?.select() }], []);
  /** @param {SubmitEvent} event */
  const submit = (event) => {
    event.preventDefault();
    const text = input.current?.value.trim();
    if (!text || !input.current) return;
    input.current.value = "";
    input.current.blur();
    find(text);
  };
  return html`<form class="search" role="search" onSubmit=${submit}>
    <${Icon} name="search" size=${14} />
    <input class="input" ref=${input} type="search" aria-label="Find an event by its id, or filter the live view" placeholder="Event id, message id or filter" autocomplete="off" spellcheck=${false}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && input.current?.blur()} />
    ${isOn.value && html`<kbd aria-hidden="true">/</kbd>`}
  </form>`;
}

/** Live, reconnecting in n s, or refused. */
function Connection() {
  const [, setNow] = useState(0);
  const state = connection.value;
  useEffect(() => {
    if (state !== "waiting") return undefined;
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [state]);
  if (state === "live") {
    return html`<span class="connection ok" title="Connected: figures and events arrive as they happen"><span class="dot beat"></span>live</span>`;
  }
  const wait = Math.max(0, Math.ceil((nextTry.value - Date.now()) / 1000));
  const text = state === "waiting" ? `reconnecting in ${wait} s` : state === "refused" ? "signed out" : "connecting";
  return html`<button type="button" class="connection warn" onClick=${retryNow} title="Try again now"><span class="dot"></span>${text}</button>`;
}

function Bell() {
  const firing = stats.value?.alerts ?? 0;
  const said = firing ? `Alerts: ${count(firing)} firing` : "Alerts: none firing";
  return html`<a class="btn ghost icon bell" href="/ui/alerts" title=${said} aria-label=${said}><${Icon} name="alerts" />${firing > 0 && html`<span class="count bad" aria-hidden="true">${firing > 99 ? "99+" : firing}</span>`}</a>`;
}

function Account() {
  const who = session.value;
  if (!who) return null;
  const items = [
    { label: `Signed in as ${who.name} (${who.role})`, disabled: true, act: () => {} },
    null,
    { label: "Sign out", icon: "leave", act: () => attempt(logout, "Signed out") },
  ];
  return html`<${Menu} class="btn ghost icon" title="Account" items=${items} label=${html`<span class="avatar" aria-hidden="true">${(who.name || "?")[0].toUpperCase()}</span>`} />`;
}

/** @param {{onHelp: () => void}} props */
function Bar({ onHelp }) {
  return html`<header class="topbar">
    <${Search} />
    <span class="grow"></span>
    <${Connection} />
    <${Bell} />
    <${ThemeMenu} />
    <button type="button" class="btn ghost icon" title="Keyboard and help (?)" aria-label="Keyboard and help" onClick=${onHelp}><${Icon} name="help" /></button>
    <${Account} />
  </header>`;
}

/** What the keyboard can do on this page. @param {{onClose: () => void}} props */
function Help({ onClose }) {
  const seen = new Map(shortcuts.value.map((one) => [one.keys, one.label]));
  const general = [...seen].filter(([keys]) => keys.startsWith("g ") || keys === "?");
  const here = [...seen].filter(([keys]) => !keys.startsWith("g ") && keys !== "?");
  const list = (/** @type {[string, string][]} */ pairs) =>
    html`<dl class="kv keys">${pairs.map(([keys, label]) => [html`<dt>${keys.split(" ").map((key) => (key === "or" ? " or " : html`<kbd>${key}</kbd> `))}</dt>`, html`<dd>${label}</dd>`])}</dl>`;
  return html`<${Dialog} title="Keyboard" onClose=${onClose}>
    <div class="cols-2">
      <section class="stack"><h3>On this page</h3>${list(here)}</section>
      <section class="stack"><h3>Everywhere</h3>${list(general)}</section>
    </div>
    <label class="check"><input type="checkbox" checked=${isOn.value} onChange=${() => switchKeys(!isOn.value)} />Single keys act as shortcuts</label>
  </${Dialog}>`;
}

function Mark() {
  return html`<svg class="mark" width="22" height="22" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" /><path d="M7 16h7c4 0 4-7 8-7h3M14 16c4 0 4 7 8 7h3" /><circle cx="7.5" cy="16" r="2.6" /></svg>`;
}

function Rail({ current = "" }) {
  return html`<nav class="rail" aria-label="Pages">
    <a class="brand" href="/ui" aria-label="relay, front page"><${Mark} /><span>relay</span></a>
    <div class="nav">
      ${NAV.map(
        (item) => html`<a key=${item.id} class="nav-item" href=${item.href} aria-current=${item.id === current ? "page" : undefined} title=${`${item.label} (${item.keys})`}>
          <${Icon} name=${item.id} /><span>${item.label}</span></a>`,
      )}
    </div>
    <div class="rail-foot">relay ${session.value?.version}</div>
  </nav>`;
}

/** What goes wrong when a page cannot be fetched: relay is away, or was replaced by another version. @param {{onRetry: () => void}} props */
function NotLoaded({ onRetry }) {
  return html`<div class="page"><div class="notice bad" role="alert"><${Icon} name="warn" /><div class="grow"><strong>This page could not be loaded.</strong><p>relay cannot be reached, or was updated meanwhile.</p></div>
    <button type="button" class="btn small" onClick=${onRetry}>Retry</button><button type="button" class="btn small" onClick=${() => location.reload()}>Reload</button></div></div>`;
}

function NotFound() {
  return html`<div class="page"><div class="empty"><span class="empty-icon"><${Icon} name="search" size=${20} /></span><p class="empty-title">There is no such page</p>
    <p><a href="/ui">Go to the front page</a></p></div></div>`;
}

/** A page's module and styles. @param {Route} route @returns {Promise<Page>} */
async function bring(route) {
  const [page] = await Promise.all([route.load(), route.css && styles(route.css)]);
  return page;
}

/** The page that the address names. */
function Main() {
  const { path, query } = place.value;
  const route = routeOf(path);
  const params = (route && matchPath(route.path, path)) ?? {};
  const [loaded, setLoaded] = useState(/** @type {{route: Route, page: Page | null} | null} */ (null));
  const [tries, setTries] = useState(0);

  useEffect(() => {
    if (!route) return undefined;
    let isCurrent = true;
    bring(route).then(
      (page) => isCurrent && setLoaded({ route, page }),
      () => isCurrent && setLoaded({ route, page: null }),
    );
    return () => void (isCurrent = false);
  }, [route, tries]);

  const page = loaded && loaded.route === route ? loaded.page : undefined;
  const title = page ? (typeof page.title === "function" ? page.title(params) : page.title) : "";
  useEffect(() => void (document.title = title ? `${title} · relay` : "relay"), [title]);
  useEffect(() => void document.querySelector("main")?.scrollTo(0, 0), [path]);

  if (!route) return html`<${NotFound} />`;
  if (page === null) return html`<${NotLoaded} onRetry=${() => setTries(tries + 1)} />`;
  return page ? html`<${page.default} key=${path} params=${params} query=${query} />` : null;
}

function Shell() {
  const [isHelp, setHelp] = useState(false);
  useEffect(() => {
    connect();
    return disconnect;
  }, []);
  useKeys(
    [
      ...NAV.map((item) => ({ keys: item.keys, label: `Go to ${item.label}`, act: () => navigate(item.href) })),
      { keys: "?", label: "This help", act: () => setHelp(true) },
    ],
    [],
  );
  const route = routeOf(place.value.path);
  return html`<div class="shell">
    <${Rail} current=${route?.nav} />
    <${Bar} onHelp=${() => setHelp(true)} />
    <main class="main" id="main"><${Main} /></main>
    ${isHelp && html`<${Help} onClose=${() => setHelp(false)} />`}
    <${Toasts} />
  </div>`;
}

/** The page of an address. @param {string} path */
function routeOf(path) {
  return ROUTES.find((route) => matchPath(route.path, path === "/ui" ? FRONT : path));
}

/** Nobody signed in: the login page, whatever the address; the address stays for after. */
function Door() {
  const [page, setPage] = useState(/** @type {{default: any} | null} */ (null));
  useEffect(() => void import("./pages/login.js").then(setPage), []);
  return page && html`<${page.default} />`;
}

function App() {
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  const ask = () => {
    setError(null);
    loadSession().catch(setError);
  };
  useEffect(() => {
    // Whoever opens the door on purpose is not asked first whether they are in.
    if (location.pathname === "/ui/login") session.value = null;
    else ask();
  }, []);
  if (error) return html`<${NotLoaded} onRetry=${ask} />`;
  if (session.value === undefined) return null;
  return session.value ? html`<${Shell} />` : html`<${Door} />`;
}

// A socket that ends may mean that the session has: a browser does not tell a refused handshake from a relay that is away, so ask.
effect(() => {
  if (connection.value === "refused" || connection.value === "waiting") loadSession().catch(() => {});
});

// The page comes while relay is asked who looks.
const firstRoute = routeOf(place.value.path);
if (firstRoute) bring(firstRoute).catch(() => {});
render(html`<${App} />`, /** @type {Element} */ (document.getElementById("app")));
