// The shell: rail, top bar, help; and the router, which brings in a page when somebody goes there.
import { toast, Toasts } from "./lib/kit.js";
import { useKeys } from "./lib/keys.js";
import { connect, connection, disconnect } from "./lib/live.js";
import { matchPath, navigate, place } from "./lib/router.js";
import { loadSession, session } from "./lib/session.js";
import { effect, html, Icon, render, useEffect, useState } from "./lib/ui.js";
import { Bar, Help } from "./lib/bar.js";

/**
 * @typedef {{default: (props: {params: Record<string, string>, query: Record<string, string>}) => any,
 *   title: string | ((params: Record<string, string>) => string)}} Page
 * @typedef {{path: string, load: () => Promise<Page>, nav?: string}} Route
 */

/** @type {Route[]} */
const ROUTES = [
  { path: "/ui/live", nav: "live", load: () => import("./pages/live.js") },
  { path: "/ui/events/:id", nav: "live", load: () => import("./pages/event.js") },
];
/** What `/ui` shows. */
const FRONT = "/ui/live";

const NAV = [{ id: "live", label: "Live", href: "/ui/live", keys: "g l" }];

function Rail({ current = "" }) {
  return html`<div class="rail">
    <a class="brand" href="/ui" aria-label="relay, front page"><img src="/favicon.svg" width="22" height="22" alt="" /><span>relay</span></a>
    <nav aria-label="Pages">
      ${NAV.map(
        (item) => html`<a key=${item.id} class="nav-item" href=${item.href} aria-current=${item.id === current ? "page" : undefined} title=${`${item.label} (${item.keys})`}>
          <${Icon} name=${item.id} /><span>${item.label}</span></a>`,
      )}
    </nav>
    <div class="rail-foot">relay ${session.value?.version}</div>
  </div>`;
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

/** The page that the address names. */
function Main() {
  const { path, query } = place.value;
  const wanted = path === "/ui" ? FRONT : path;
  const found = ROUTES.map((route) => ({ route, params: matchPath(route.path, wanted) })).find((each) => each.params);
  const route = found?.route;
  const params = found?.params ?? {};
  const [loaded, setLoaded] = useState(/** @type {{route: Route, page: Page | null} | null} */ (null));
  const [tries, setTries] = useState(0);

  useEffect(() => {
    if (!route) return undefined;
    let isCurrent = true;
    route.load().then(
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
  const path = place.value.path === "/ui" ? FRONT : place.value.path;
  const route = ROUTES.find((each) => matchPath(each.path, path));
  return html`<div class="shell">
    <${Rail} current=${route?.nav} />
    <${Bar} onHelp=${() => setHelp(true)} />
    <main class="main" id="main"><${Main} /></main>
    ${isHelp && html`<${Help} onClose=${() => setHelp(false)} />`}
    <${Toasts} />
  </div>`;
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
  useEffect(ask, []);
  if (error) return html`<${NotLoaded} onRetry=${ask} />`;
  if (session.value === undefined) return null;
  return session.value ? html`<${Shell} />` : html`<${Door} />`;
}

// The socket was refused: the session has ended, or its token was revoked.
effect(() => {
  if (connection.value === "refused") loadSession().catch(() => toast("relay cannot be reached", "bad"));
});

render(html`<${App} />`, /** @type {Element} */ (document.getElementById("app")));
